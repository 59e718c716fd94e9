package resource

import (
	"strings"
	"time"
)

// killSwitch is what an admin has stopped for a while: nothing has ended, but while it is in force what
// it covers is refused. The feed tells of it, and when it is lifted; its time is judged here too.
type killSwitch struct {
	ID      string   `json:"id"`
	Level   string   `json:"level"`
	Subject string   `json:"subject"`
	Tool    string   `json:"tool"`
	Tasks   []string `json:"tasks"`
	Until   int64    `json:"until"` // milliseconds; 0: until it is lifted
}

// inForce reports whether its time has not run out.
func (k killSwitch) inForce(now time.Time) bool { return k.Until == 0 || now.UnixMilli() < k.Until }

// covers reports whether the switch refuses all that this token may do here. What it is for, when that is
// not known to this version, is everything.
func (k killSwitch) covers(b *bearer) bool {
	switch k.Level {
	case "tool": // see coversTool
		return false
	case "user":
		return b.Subject == k.Subject
	case "task":
		if b.Task.ID == k.Subject {
			return true
		}
		for _, id := range k.Tasks {
			if b.Task.ID == id {
				return true
			}
		}
		return false
	case "client":
		return anyClient(b, func(id string) bool { return id == k.Subject })
	case "domain":
		return anyClient(b, func(id string) bool { return under(id, k.Subject) })
	case "resource": // this one, or one that acts here as the backend's client
		return k.Subject == "" || b.Audience == k.Subject || anyClient(b, func(id string) bool { return id == k.Subject })
	}
	return true
}

// anyClient asks of the client and of each that it acts for (RFC 8693 §4.1).
func anyClient(b *bearer, is func(id string) bool) bool {
	if is(b.ClientID) {
		return true
	}
	for a := b.Act; a != nil; a = a.Act {
		if is(a.ClientID) || is(a.Subject) {
			return true
		}
	}
	return false
}

// under reports whether a client_id is a URL at this host or at one below it.
func under(clientID, domain string) bool {
	rest, ok := strings.CutPrefix(clientID, "https://")
	host, _, _ := strings.Cut(rest, "/")
	return ok && domain != "" && strings.Contains("."+strings.ToLower(host)+":", "."+domain+":")
}

// switchedOff reports whether a switch covers the token. v.mu is held.
func (v *view) switchedOff(b *bearer, now time.Time) bool {
	for _, k := range v.switches {
		if k.inForce(now) && k.covers(b) {
			return true
		}
	}
	return false
}

// toolOff reports whether a switch is for this tool.
func (v *view) toolOff(tool string) bool {
	now := v.now()
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, k := range v.switches {
		if k.Level == "tool" && k.Tool == tool && k.inForce(now) {
			return true
		}
	}
	return false
}

// throw takes a switch in, and lift one out. v.mu is held.
func (v *view) throw(k *killSwitch) {
	if k != nil && k.ID != "" {
		v.switches[k.ID] = *k
	}
}

// notSwitchedOff checks that no admin has stopped the tool. Who asks about tokens in place of hearing the
// feed learns it with the answer.
func (c *call) notSwitchedOff() *refusal {
	tool := c.msg.tool
	if c.msg.method != methodCall {
		return nil
	}
	off := c.bearer.off[tool]
	if !c.g.introspects {
		off = off || c.g.ends.toolOff(tool)
	}
	if !off {
		return nil
	}
	return refuse(SwitchedOff, quotable(tool)+" is stopped by an administrator for now").with(unavailable, stoppedHint)
}

const stoppedHint = "Do without it, or try again later; a new consent cannot change this."
