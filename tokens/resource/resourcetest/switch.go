package resourcetest

import "time"

// Switch is a kill switch: what it is for is refused while it is in force.
type Switch struct {
	ID      string   `json:"id"`
	Level   string   `json:"level"` // task, client, domain, user, tool, resource or everything
	Subject string   `json:"subject,omitempty"`
	Tool    string   `json:"tool,omitempty"`
	Tasks   []string `json:"tasks,omitempty"` // of level task: those under it
	Until   int64    `json:"until,omitempty"` // milliseconds; 0: until it is lifted
}

// ThrowSwitch puts a kill switch in force, for d or, when that is 0, until it is lifted; it waits like
// EndTask.
func (i *Issuer) ThrowSwitch(s Switch, d time.Duration) {
	i.t.Helper()
	if d > 0 {
		s.Until = i.Now().Add(d).UnixMilli()
	}
	i.tell(event{Kind: "switch.thrown", Switch: &s})
}

// LiftSwitch takes it back.
func (i *Issuer) LiftSwitch(id string) {
	i.t.Helper()
	i.tell(event{Kind: "switch.lifted", SwitchID: id})
}

// switches are those of these events that were not lifted.
func switches(events []event) []Switch {
	var all []Switch
	for n, e := range events {
		if e.Switch == nil {
			continue
		}
		lifted := false
		for _, later := range events[n:] {
			lifted = lifted || later.SwitchID == e.Switch.ID
		}
		if !lifted {
			all = append(all, *e.Switch)
		}
	}
	return all
}
