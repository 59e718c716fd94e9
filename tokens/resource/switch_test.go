package resource_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// TestKillSwitch: while a kill switch is in force what it covers is refused, and nothing else; afterwards
// the same token is good again.
func TestKillSwitch(t *testing.T) {
	w := newWorld(t)
	token, other := w.token(reader()), w.token(reader())
	claims := w.issuer.Claims(w.uri, reader())
	claims.ClientID = "https://agents.cursor.example/client"
	claims.Subject = "usr_noor"
	claims.Act = &tokens.Actor{Subject: "cli_sub", ClientID: "cli_sub", Act: &tokens.Actor{Subject: "https://front.example/mcp", ClientID: "cli_first"}}
	cursor := w.issuer.Sign(claims)
	all := map[string]*resourcetest.Token{"token": token, "other": other, "cursor": cursor}
	for name, tt := range map[string]struct {
		s       resourcetest.Switch
		refused map[string]bool
	}{
		"a task":                   {resourcetest.Switch{Level: "task", Subject: token.Claims.Task.ID}, map[string]bool{"token": true}},
		"a task and one under it":  {resourcetest.Switch{Level: "task", Subject: other.Claims.Task.ID, Tasks: []string{"tsk_x", cursor.Claims.Task.ID}}, map[string]bool{"other": true, "cursor": true}},
		"a client":                 {resourcetest.Switch{Level: "client", Subject: token.Claims.ClientID}, map[string]bool{"token": true, "other": true}},
		"a client that acts":       {resourcetest.Switch{Level: "client", Subject: "cli_sub"}, map[string]bool{"cursor": true}},
		"a client that lent it on": {resourcetest.Switch{Level: "client", Subject: "cli_first"}, map[string]bool{"cursor": true}},
		"a domain":                 {resourcetest.Switch{Level: "domain", Subject: "cursor.example"}, map[string]bool{"cursor": true}},
		"another domain":           {resourcetest.Switch{Level: "domain", Subject: "sor.example"}, map[string]bool{}},
		"a user":                   {resourcetest.Switch{Level: "user", Subject: "usr_noor"}, map[string]bool{"cursor": true}},
		"a tool":                   {resourcetest.Switch{Level: "tool", Tool: "search_tickets"}, map[string]bool{"token": true, "other": true, "cursor": true}},
		"another tool":             {resourcetest.Switch{Level: "tool", Tool: "get_ticket"}, map[string]bool{}},
		"the resource":             {resourcetest.Switch{Level: "resource"}, map[string]bool{"token": true, "other": true, "cursor": true}},
		"this resource":            {resourcetest.Switch{Level: "resource", Subject: w.uri}, map[string]bool{"token": true, "other": true, "cursor": true}},
		"another resource":         {resourcetest.Switch{Level: "resource", Subject: w.uri + "/other"}, map[string]bool{}},
		"one that acts here":       {resourcetest.Switch{Level: "resource", Subject: "https://front.example/mcp"}, map[string]bool{"cursor": true}},
		"everything":               {resourcetest.Switch{Level: "everything"}, map[string]bool{"token": true, "other": true, "cursor": true}},
		"what is not known as yet": {resourcetest.Switch{Level: "galaxy"}, map[string]bool{"token": true, "other": true, "cursor": true}},
	} {
		tt.s.ID = "swt_" + name
		w.issuer.ThrowSwitch(tt.s, 0)
		for which, one := range all {
			a := w.call(one, "search_tickets", web)
			if tt.refused[which] {
				w.wants(a, http.StatusForbidden, resource.SwitchedOff)
			} else if a.status != http.StatusOK {
				t.Errorf("%s: %s: %d %s", name, which, a.status, a.body)
			}
		}
		w.issuer.LiftSwitch(tt.s.ID)
		for which, one := range all {
			if a := w.call(one, "search_tickets", web); a.status != http.StatusOK {
				t.Errorf("after %s: %s: %d %s", name, which, a.status, a.body)
			}
		}
	}
}

// TestKillSwitchByTheClock: its time is judged at each call, and a Guard that starts meanwhile learns of it.
func TestKillSwitchByTheClock(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	w.issuer.ThrowSwitch(resourcetest.Switch{ID: "swt_1", Level: "everything"}, time.Minute)
	w.wants(w.call(token, "search_tickets", web), http.StatusForbidden, resource.SwitchedOff)
	w.restart()
	w.ready()
	w.wants(w.call(token, "search_tickets", web), http.StatusForbidden, resource.SwitchedOff)
	w.issuer.Advance(time.Minute + time.Second)
	w.ready()
	if a := w.call(token, "search_tickets", web); a.status != http.StatusOK {
		t.Errorf("after a minute: %d %s", a.status, a.body)
	}
	w.issuer.ThrowSwitch(resourcetest.Switch{ID: "swt_2", Level: "tool", Tool: "search_tickets"}, 0)
	w.issuer.LiftSwitch("swt_2")
	w.restart()
	w.ready()
	w.good()
}

// TestKillSwitchAsked: a Guard that asks about tokens learns of a tool with the answer.
func TestKillSwitchAsked(t *testing.T) {
	w := newWorld(t, func(c *resource.Config) { c.Introspection = resource.IntrospectAlways })
	token := w.token(reader())
	if a := w.call(token, "search_tickets", web); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.issuer.TamperIntrospection(func(answer map[string]any) { answer["switched_off"] = []string{"search_tickets"} })
	w.wants(w.call(token, "search_tickets", web), http.StatusForbidden, resource.SwitchedOff)
	if a := w.call(token, "get_ticket", web); a.status != http.StatusOK {
		t.Errorf("another tool: %d %s", a.status, a.body)
	}
	w.issuer.TamperIntrospection(nil)
	w.good()
}
