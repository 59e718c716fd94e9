package server

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// A kill switch stops for a while what it is for and ends nothing. The store holds the tasks, Guards hear
// of it by their feeds, and everybody who issues or decides asks here.

const (
	maxSwitched = 30 * 24 * time.Hour // longer is: until it is lifted
	confirmLife = 15 * time.Minute    // how long a switch waits for a second person
)

// unswitched refuses a use that a kill switch covers.
func (s *Server) unswitched(ctx context.Context, u store.Use) error {
	all, err := s.store.Switches(ctx, false)
	for _, sw := range all {
		if sw.State == store.SwitchThrown && sw.Covers(u) {
			return store.ErrSwitched
		}
	}
	return err
}

// toolsOff names the tools of the resource that a kill switch is thrown for.
func (s *Server) toolsOff(ctx context.Context, resource string) (map[string]bool, error) {
	all, err := s.store.Switches(ctx, false)
	var off map[string]bool
	for _, sw := range all {
		if sw.State == store.SwitchThrown && sw.Level == store.LevelTool && sw.Subject == resource {
			if off == nil {
				off = map[string]bool{}
			}
			off[sw.Tool] = true
		}
	}
	return off, err
}

// toolOn refuses a tool that a kill switch is thrown for.
func (s *Server) toolOn(ctx context.Context, resource, tool string) error {
	off, err := s.toolsOff(ctx, resource)
	if err == nil && off[tool] {
		err = store.ErrSwitched
	}
	return err
}

// switchEvent is a kill switch as Guards are told of it.
type switchEvent struct {
	ID      string      `json:"id"`
	Level   store.Level `json:"level"`
	Subject string      `json:"subject,omitempty"`
	Tool    string      `json:"tool,omitempty"`
	Tasks   []string    `json:"tasks,omitempty"`
	Until   int64       `json:"until,omitempty"` // milliseconds
}

func eventOf(sw store.Switch) switchEvent {
	e := switchEvent{ID: sw.ID, Level: sw.Level, Subject: sw.Subject, Tool: sw.Tool, Tasks: sw.Tasks}
	if !sw.Until.IsZero() {
		e.Until = sw.Until.UnixMilli()
	}
	return e
}

// switchesAt are those in force that concern the resource.
func (s *Server) switchesAt(ctx context.Context, resource string) (all []switchEvent, err error) {
	open, err := s.store.Switches(ctx, false)
	for _, sw := range open {
		if sw.State == store.SwitchThrown && (sw.Level != store.LevelTool || sw.Subject == resource) {
			all = append(all, eventOf(sw))
		}
	}
	return all, err
}

// throwing is what is asked for.
type throwing struct {
	Level   store.Level `json:"level"`
	Subject string      `json:"subject"` // a user's may be the e-mail
	Tool    string      `json:"tool"`
	Seconds int64       `json:"seconds"` // 0: until it is lifted
	Reason  string      `json:"reason"`
}

// aimSwitch reads what a kill switch is to be for, and refuses what this person may not stop.
func (s *Server) aimSwitch(ctx context.Context, a acting, in throwing) (store.Switch, error) {
	sw := store.Switch{Level: in.Level, Subject: strings.TrimSpace(in.Subject), Tool: in.Tool}
	switch {
	case !slices.Contains(store.Levels, in.Level):
		return sw, bad("level is task, client, domain, user, tool, resource or everything")
	case (in.Level == store.LevelEverything) != (sw.Subject == ""), (in.Level == store.LevelTool) != (in.Tool != ""):
		return sw, bad("name the one task, client, domain, user or resource, or the tool and its resource; for everything, nothing")
	case in.Seconds < 0 || time.Duration(in.Seconds) > maxSwitched/time.Second:
		return sw, bad("seconds is at most 30 days; 0 is until it is lifted")
	}
	var err error
	switch in.Level {
	case store.LevelUser:
		var u store.User
		if u, err = s.userNamed(ctx, sw.Subject); err == nil && !reaches(a.role, u.ConsoleRole) {
			err = forbidden("this user's console role is above your own")
		}
		sw.Subject = u.ID
	case store.LevelDomain:
		sw.Subject = strings.ToLower(strings.TrimSuffix(sw.Subject, "."))
		if err = (CIMD{Domains: []string{sw.Subject}}).check(); err != nil || strings.HasPrefix(sw.Subject, "*") {
			err = bad("a domain is a host name such as agent.example; hosts below it are meant too")
		}
	case store.LevelTool:
		var res store.Resource
		res, err = s.store.ResourceByURI(ctx, sw.Subject)
		if err == nil && !slices.ContainsFunc(res.Tools, func(t store.Tool) bool { return t.Name == in.Tool }) {
			err = store.ErrResourceNotFound
		}
	case store.LevelEverything:
		if a.role != store.RoleAdmin {
			err = forbidden("only an admin stops everything")
		}
	}
	if in.Seconds > 0 {
		sw.Until = s.now().UTC().Add(time.Duration(in.Seconds) * time.Second).Truncate(time.Microsecond)
	}
	return sw, err
}

// throwSwitch puts a kill switch in force; the one for everything perhaps only after a second person's word.
func (s *Server) throwSwitch(ctx context.Context, a acting, in throwing) (store.Switch, error) {
	if strings.TrimSpace(in.Reason) == "" {
		return store.Switch{}, bad("reason is missing: say why, for the ledger")
	}
	if err := checkReason(in.Reason); err != nil {
		return store.Switch{}, err
	}
	sw, err := s.aimSwitch(ctx, a, in)
	if err != nil {
		return sw, err
	}
	sw.ID, sw.By, sw.Person, sw.Reason, sw.CreatedAt = tokens.NewID("swt_"), a.by, a.person, in.Reason, s.now().UTC()
	if sw.Level != store.LevelEverything || !s.twoPersons {
		return s.store.ThrowSwitch(ctx, sw)
	}
	sw.State, sw.ConfirmBy = store.SwitchWaiting, sw.CreatedAt.Add(confirmLife)
	return s.store.ThrowSwitch(ctx, sw, sw.Record("switch.asked", a.by))
}

// secondSwitch is the second person's word.
func (s *Server) secondSwitch(ctx context.Context, a acting, id, reason string) (store.Switch, error) {
	if a.role != store.RoleAdmin {
		return store.Switch{}, forbidden("only an admin confirms a kill switch")
	}
	return s.store.ConfirmSwitch(ctx, id, a.person, a.record("console.confirmed", reason, map[string]any{"switch": id}))
}

// takeBack lifts a kill switch: an admin any, a revoker those by revokers.
func (s *Server) takeBack(ctx context.Context, a acting, id, reason string) (store.Switch, error) {
	sw, err := s.store.SwitchByID(ctx, id)
	if err != nil {
		return sw, err
	}
	if a.role != store.RoleAdmin && sw.By != store.ByRevoker {
		return sw, forbidden("only an admin lifts what an admin has stopped")
	}
	return s.store.LiftSwitch(ctx, id, a.by, a.record("console.lifted", reason, map[string]any{"switch": id}))
}
