package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
)

// kill throws a kill switch from the socket.
func (w *world) kill(level, subject, tool string, seconds int) string {
	w.t.Helper()
	got := w.operator("POST", "/admin/api/switches", map[string]any{"level": level, "subject": subject, "tool": tool, "seconds": seconds, "reason": "INC-1"})
	if got.Status != http.StatusCreated {
		w.t.Fatalf("kill %s: %d %s", level, got.Status, got.Body)
	}
	return got.text("id")
}

func (w *world) unkill(id string) {
	w.t.Helper()
	if got := w.operator("POST", "/admin/api/switches/lift", map[string]string{"id": id, "reason": "over"}); got.Status != http.StatusOK || got.text("state") != "lifted" {
		w.t.Fatalf("lift: %d %s", got.Status, got.Body)
	}
}

// TestKillSwitches: at each level, what runs is refused by the next request and goes on afterwards with
// the same credentials; Guards are told with the one event that they need.
func TestKillSwitches(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	a := w.agent(w.client)
	lent := a.tokens()
	access, refresh := lent.text("access_token"), lent.text("refresh_token")
	for level, subject := range map[string]string{
		"task": lent.text("task_id"), "client": w.client, "user": "mara@example.com", "resource": ticketsURI, "everything": "",
	} {
		q := url.Values{"level": {level}, "subject": {subject}}
		dry := w.operator("GET", "/admin/api/switches/dryrun?"+q.Encode(), nil)
		if dry.Status != http.StatusOK || !strings.Contains(dry.Body, lent.text("task_id")) {
			t.Errorf("%s: dry run %d %s", level, dry.Status, dry.Body)
		}
		feed := g.listen(t)
		if first := feed.next(); first.body["switches"] != nil {
			t.Errorf("%s: snapshot before: %v", level, first.body)
		}
		id := w.kill(level, subject, "", 0)
		e := feed.next()
		told, _ := e.body["switch"].(map[string]any)
		if e.kind != store.EventSwitchThrown || told["id"] != id || told["level"] != level {
			t.Errorf("%s: told %s %v", level, e.kind, e.body)
		}
		if again := g.listen(t).next(); len(again.body["switches"].([]any)) != 1 {
			t.Errorf("%s: snapshot: %v", level, again.body)
		}
		if got := g.introspect(access); got.JSON["active"] != false {
			t.Errorf("%s: introspect: %s", level, got.Body)
		}
		got := a.post("/token", a.refreshForm(refresh))
		if got.Status != http.StatusServiceUnavailable || got.error() != "temporarily_unavailable" || got.Header.Get("Retry-After") == "" {
			t.Errorf("%s: refresh: %d %s", level, got.Status, got.Body)
		}
		w.unkill(id)
		if e := feed.next(); e.kind != store.EventSwitchLifted || e.body["switch_id"] != id {
			t.Errorf("%s: told %s %v", level, e.kind, e.body)
		}
		if got := g.introspect(access); got.JSON["active"] != true {
			t.Errorf("%s: introspect afterwards: %s", level, got.Body)
		}
		if got = a.post("/token", a.refreshForm(refresh)); got.Status != http.StatusOK {
			t.Fatalf("%s: refresh afterwards: %d %s", level, got.Status, got.Body)
		}
		access, refresh = got.text("access_token"), got.text("refresh_token")
	}
}

// TestKillSwitchByTheClock: a timed one goes back by itself, judged when it is read.
func TestKillSwitchByTheClock(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	a := w.agent(w.client)
	lent := a.tokens()
	w.kill("user", w.user.ID, "", 60)
	w.clock.Add(59 * time.Second)
	if got := a.post("/token", a.refreshForm(lent.text("refresh_token"))); got.Status != http.StatusServiceUnavailable {
		t.Errorf("after 59 s: %d %s", got.Status, got.Body)
	}
	w.clock.Add(time.Second)
	if first := g.listen(t).next(); first.body["switches"] != nil {
		t.Errorf("snapshot: %v", first.body)
	}
	if got := a.post("/token", a.refreshForm(lent.text("refresh_token"))); got.Status != http.StatusOK {
		t.Errorf("after 60 s: %d %s", got.Status, got.Body)
	}
	if list := w.operator("GET", "/admin/api/switches", nil); strings.Contains(list.Body, "swt_") {
		t.Errorf("in force: %s", list.Body)
	}
	if list := w.operator("GET", "/admin/api/switches?all=true", nil); !strings.Contains(list.Body, `"state":"lifted"`) {
		t.Errorf("all: %s", list.Body)
	}
}

// TestKillSwitchTool: a tool is left out of new tokens and new consents and refused by counts and
// approvals; the task goes on with the others, and gets it back.
func TestKillSwitchTool(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	a := w.agent(w.client)
	lent := a.tokens()
	tools := func(got answer) string { raw, _ := json.Marshal(got.JSON["authorization_details"]); return string(raw) }
	if !strings.Contains(tools(lent), "add_comment") {
		t.Fatalf("lent: %s", lent.Body)
	}
	id := w.kill("tool", ticketsURI, "add_comment", 0)
	if got := g.introspect(lent.text("access_token")); got.JSON["active"] != true || !strings.Contains(got.Body, `"switched_off":["add_comment"]`) {
		t.Errorf("introspect: %s", got.Body)
	}
	got := a.post("/token", a.refreshForm(lent.text("refresh_token")))
	switch {
	case got.Status == http.StatusOK && strings.Contains(tools(got), "add_comment"):
		t.Errorf("refresh: %s", got.Body)
	case got.Status != http.StatusOK && got.Status != http.StatusServiceUnavailable:
		t.Errorf("refresh: %d %s", got.Status, got.Body)
	}
	claims := w.claims(lent.text("access_token"))
	reserve := map[string]any{"execution": "exe_" + strings.Repeat("a", 26), "task": claims.Task.ID, "jti": claims.ID, "tool": "add_comment"}
	if got := g.call("POST", "/executions/reserve", reserve); got.Status != http.StatusGone {
		t.Errorf("reserve: %d %s", got.Status, got.Body)
	}
	ask := map[string]any{"execution": "exe_" + strings.Repeat("b", 26), "task": claims.Task.ID, "jti": claims.ID, "tool": "add_comment", "definition": "sha-256:x", "arguments": map[string]any{}}
	if got := g.call("POST", "/approvals", ask); got.Status != http.StatusGone {
		t.Errorf("approval: %d %s", got.Status, got.Body)
	}
	w.unkill(id)
	if got := g.call("POST", "/executions/reserve", reserve); got.Status != http.StatusOK {
		t.Errorf("reserve afterwards: %d %s", got.Status, got.Body)
	}
}

func TestKillSwitchRefusals(t *testing.T) {
	w := newWorld(t)
	good := func() map[string]any {
		return map[string]any{"level": "user", "subject": "mara@example.com", "reason": "x"}
	}
	for name, changes := range map[string]map[string]any{
		"no reason":          {"reason": " "},
		"another level":      {"level": "world"},
		"no subject":         {"subject": ""},
		"a tool of a user":   {"tool": "x"},
		"a subject of all":   {"level": "everything"},
		"a negative time":    {"seconds": -1},
		"a year":             {"seconds": 31536000},
		"no user":            {"subject": "nobody@example.com"},
		"no client":          {"level": "client", "subject": "cli_x"},
		"no task":            {"level": "task", "subject": "tsk_x"},
		"no resource":        {"level": "resource", "subject": "https://x.example"},
		"no tool":            {"level": "tool", "subject": ticketsURI},
		"an unknown tool":    {"level": "tool", "subject": ticketsURI, "tool": "gte_ticket"},
		"a URL for a domain": {"level": "domain", "subject": "https://agent.example/"},
		"a wildcard":         {"level": "domain", "subject": "*.agent.example"},
		"a port":             {"level": "domain", "subject": "agent.example:443"},
	} {
		got := w.operator("POST", "/admin/api/switches", but(good(), changes))
		if got.Status != http.StatusBadRequest && got.Status != http.StatusNotFound || got.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	if n := len(w.records("switch.thrown")); n != 0 {
		t.Errorf("%d thrown", n)
	}
	id := w.kill("domain", "Agent.Example.", "", 0)
	for name, in := range map[string]map[string]string{"no reason": {"id": id}, "another": {"id": "swt_x", "reason": "x"}} {
		if got := w.operator("POST", "/admin/api/switches/lift", in); got.Status < 400 || got.Status > 404 {
			t.Errorf("lift %s: %d %s", name, got.Status, got.Body)
		}
	}
	w.unkill(id)
	if got := w.operator("POST", "/admin/api/switches/lift", map[string]string{"id": id, "reason": "x"}); got.Status != http.StatusConflict {
		t.Errorf("twice: %d %s", got.Status, got.Body)
	}
	rec, said := w.said("switch.thrown")
	if said["subject"] != "agent.example" || said["reason"] != "INC-1" || said["by"] != "admin" || rec.Kind == "" {
		t.Errorf("recorded: %v", said)
	}
	w.said("switch.lifted")
	if _, said := w.said("console.lifted"); said["switch"] != id || said["reason"] != "over" {
		t.Errorf("recorded: %v", said)
	}
}

// TestKillSwitchTwoPersons: by configuration, everything is stopped only when a second person says so.
func TestKillSwitchTwoPersons(t *testing.T) {
	w := newWorldOn(t, func(s store.Store) store.Store { return s }, func(c *server.Config) { c.TwoPersons = true })
	a := w.agent(w.client)
	lent := a.tokens()
	got := w.operator("POST", "/admin/api/switches", map[string]any{"level": "everything", "reason": "x"})
	if got.Status != http.StatusCreated || got.text("state") != "waiting" {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if again := w.operator("POST", "/admin/api/switches/confirm", map[string]string{"id": got.text("id"), "reason": "x"}); again.Status != http.StatusForbidden {
		t.Errorf("by the same: %d %s", again.Status, again.Body)
	}
	refreshed := a.post("/token", a.refreshForm(lent.text("refresh_token")))
	if refreshed.Status != http.StatusOK {
		t.Errorf("while it waits: %d %s", refreshed.Status, refreshed.Body)
	}
	if list := w.operator("GET", "/admin/api/switches", nil); !strings.Contains(list.Body, `"confirm_by"`) {
		t.Errorf("list: %s", list.Body)
	}
	w.clock.Add(15 * time.Minute)
	if late := w.operator("POST", "/admin/api/switches/confirm", map[string]string{"id": got.text("id"), "reason": "x"}); late.Status != http.StatusConflict {
		t.Errorf("late: %d %s", late.Status, late.Body)
	}
	if w.kill("user", "mara@example.com", "", 0) == "" { // the other levels need one
		t.Error("not thrown")
	}
}

// TestAccessAndSimulate: who can call what, and would this call be allowed, with the reason.
func TestAccessAndSimulate(t *testing.T) {
	w := newWorld(t)
	matrix := w.operator("GET", "/admin/api/resources/access?uri="+url.QueryEscape(ticketsURI), nil)
	if matrix.Status != http.StatusOK || !strings.Contains(matrix.Body, `"mara@example.com"`) || !strings.Contains(matrix.Body, `"allowed":true,"why":"by role reader"`) {
		t.Fatalf("%d %s", matrix.Status, matrix.Body)
	}
	good := func() map[string]any {
		return map[string]any{"uri": ticketsURI, "user": "mara@example.com", "client": w.client, "tool": "search_tickets"}
	}
	judge := func(changes map[string]any) (bool, string, string) {
		t.Helper()
		got := w.operator("POST", "/admin/api/resources/simulate", but(good(), changes))
		if got.Status != http.StatusOK {
			t.Fatalf("%v: %d %s", changes, got.Status, got.Body)
		}
		steps := got.JSON["steps"].([]any)
		last := steps[len(steps)-1].(map[string]any)
		return got.JSON["allowed"].(bool), last["check"].(string), last["detail"].(string)
	}
	wants := func(name string, changes map[string]any, allowed bool, check, detail string) {
		t.Helper()
		if ok, at, why := judge(changes); ok != allowed || at != check || !strings.Contains(why, detail) {
			t.Errorf("%s: %v at %s: %s", name, ok, at, why)
		}
	}
	wants("a good call", nil, true, "consent", "would be asked")
	w.agent(w.client).tokens()
	wants("with a task", nil, true, "consent", "has it until")
	wants("another tool", map[string]any{"tool": "no_such"}, false, "definition", "does not offer")
	wants("another scope", map[string]any{"scopes": []string{"nonsense"}}, false, "scope", "does not know nonsense")
	w.operator("POST", "/admin/api/users", map[string]string{"email": "c@example.com", "name": "C"})
	wants("without a role", map[string]any{"user": "c@example.com"}, false, "role", "holds none")
	id := w.kill("tool", ticketsURI, "search_tickets", 0)
	wants("a switch", nil, false, "switch", "thrown")
	w.unkill(id)
	w.operator("POST", "/admin/api/users/disable", map[string]string{"user": "c@example.com"})
	wants("a disabled user", map[string]any{"user": "c@example.com"}, false, "user", "disabled")
	w.operator("POST", "/admin/api/resources/disable", map[string]string{"uri": ticketsURI})
	wants("a disabled resource", nil, false, "resource", "disabled")
	w.operator("POST", "/admin/api/clients/disable", map[string]string{"client_id": w.client})
	wants("a disabled client", nil, false, "client", "disabled")
	for name, changes := range map[string]map[string]any{
		"no user": {"user": "nobody@example.com"}, "no client": {"client": "cli_x"}, "no resource": {"uri": "https://x.example"},
	} {
		if got := w.operator("POST", "/admin/api/resources/simulate", but(good(), changes)); got.Status != http.StatusNotFound {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	if n := len(w.records("token.issued")); n != 1 {
		t.Errorf("%d tokens issued", n)
	}
}
