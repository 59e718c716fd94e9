package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// TestConsoleBlock: the agents of ticked tasks are stopped for a while, after what would stop was shown
// and its number typed; viewers may not, and lifting lets everything go on.
func TestConsoleBlock(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	one, two := a.tokens(), a.tokens()
	viewer, revoker := w.staff("viewer@example.com", store.RoleViewer), w.staff("revoker@example.com", store.RoleRevoker)
	if page := viewer.get("/admin"); strings.Contains(page.Body, "/admin/block") || strings.Contains(page.Body, "/admin/reconsent") {
		t.Error("a viewer is offered to block")
	}
	page := revoker.get("/admin")
	for _, to := range []string{"/admin/block", "/admin/reconsent"} {
		if !strings.Contains(page.Body, `formaction="`+to+`"`) {
			t.Errorf("no button to %s", to)
		}
	}
	review := "/admin/block?task=" + one.text("task_id")
	shows(t, revoker.get(review), "Block this agent", "2 tasks", "Agent Demo Agent", "For how long", "Type 2 to go on", "These tasks stop",
		"remit kill client "+w.client+" --dry-run", "remit kill client "+w.client+" --for=1h --reason='…'")
	if list, err := w.store.Switches(t.Context(), true); err != nil || len(list) != 0 {
		t.Errorf("looking throws %d switches, %v", len(list), err)
	}
	form := func(change func(url.Values)) url.Values {
		f := url.Values{"task": {one.text("task_id")}, "seconds": {"3600"}, "shown": {"2"}, "count": {"2"}, "reason": {"INC"}}
		if change != nil {
			change(f)
		}
		return f
	}
	for name, tt := range map[string]struct {
		change func(url.Values)
		status int
	}{
		"not typed":     {func(f url.Values) { f.Set("count", "1") }, http.StatusConflict},
		"no reason":     {func(f url.Values) { f.Del("reason") }, http.StatusBadRequest},
		"no time":       {func(f url.Values) { f.Del("seconds") }, http.StatusBadRequest},
		"too long":      {func(f url.Values) { f.Set("seconds", "99999999") }, http.StatusBadRequest},
		"nothing named": {func(f url.Values) { f.Del("task") }, http.StatusBadRequest},
		"unknown":       {func(f url.Values) { f.Set("task", "tsk_nobody") }, http.StatusNotFound},
	} {
		if got := revoker.fill("/admin/block", form(tt.change)); got.Status != tt.status {
			t.Errorf("%s: %d %s", name, got.Status, got.words())
		}
	}
	if got := viewer.fill("/admin/block", form(nil)); got.Status != http.StatusForbidden {
		t.Errorf("a viewer: %d", got.Status)
	}
	if got := a.post("/token", a.refreshForm(one.text("refresh_token"))); got.Status != http.StatusOK {
		t.Fatalf("after what was refused: %d %s", got.Status, got.Body)
	} else {
		one = got
	}
	shows(t, revoker.act("/admin/block", form(nil)), "An agent "+w.client, "In force", "INC-2291 runaway agent")
	for _, lent := range []answer{one, two} {
		if got := a.post("/token", a.refreshForm(lent.text("refresh_token"))); got.Status != http.StatusServiceUnavailable {
			t.Errorf("refresh: %d %s", got.Status, got.Body)
		}
	}
	if _, said := w.said("switch.thrown"); said["person"] != w.id("revoker@example.com") || said["reason"] != "INC-2291 runaway agent" {
		t.Errorf("recorded: %v", said)
	}
	list, err := w.store.Switches(t.Context(), false)
	must(t, err)
	if len(list) != 1 || list[0].Until.Sub(w.clock.Now()) != time.Hour {
		t.Fatalf("switches: %v", list)
	}
	shows(t, revoker.act("/admin/kill/lift", url.Values{"switch": {list[0].ID}}), "Lifted")
	if got := a.post("/token", a.refreshForm(two.text("refresh_token"))); got.Status != http.StatusOK {
		t.Errorf("refresh afterwards: %d %s", got.Status, got.Body)
	}
}

// TestConsoleReconsent: what a user has lent to an agent ends, remembered choices are forgotten, and the
// next request asks; another client's, and another user's, stay as they are.
func TestConsoleReconsent(t *testing.T) {
	w := rememberWorld(t)
	a, b := w.agent(w.client), w.mara()
	got := b.remembers(a.push(a.reads()), "search_tickets")
	leads(t, got)
	claims := w.claims(a.tokenOf(mustURL(t, got.Header.Get("Location")).Query().Get("code")))
	twin := w.agent(w.client)
	second := w.claims(twin.tokenOf(mustURL(t, b.goesOn(twin.push(twin.reads())).Header.Get("Location")).Query().Get("code")))
	other := w.agent(w.otherClient(t))
	theirs := other.tokens()
	viewer, revoker := w.staff("viewer@example.com", store.RoleViewer), w.staff("revoker@example.com", store.RoleRevoker)
	review := "/admin/reconsent?task=" + claims.Task.ID
	shows(t, revoker.get(review), "Require re-consent", "2 tasks", "Asked anew mara@example.com", "tasks that live: 2, choices that go on: 1", "Type 2 to go on", "These tasks end",
		"remit task reconsent "+claims.Task.ID+" --reason='…'")
	form := func(count string) url.Values {
		return url.Values{"task": {claims.Task.ID}, "shown": {"2"}, "count": {count}, "reason": {"INC"}}
	}
	if got := revoker.fill("/admin/reconsent", form("1")); got.Status != http.StatusConflict {
		t.Errorf("not typed: %d", got.Status)
	}
	if got := viewer.fill("/admin/reconsent", form("2")); got.Status != http.StatusForbidden {
		t.Errorf("a viewer: %d", got.Status)
	}
	third := w.agent(w.client)
	if page := b.get(third.push(third.reads())); !asBefore(page) {
		t.Fatalf("after what was refused the choice does not go on: %d", page.Status)
	}
	shows(t, revoker.act("/admin/reconsent", form("2")), "1 of 1 tasks have ended")
	asksAnew(t, b.get(a.push(a.reads())))
	asksAnew(t, b.get(third.push(third.reads())))
	for _, id := range []string{claims.Task.ID, second.Task.ID} {
		if task, _, err := w.store.TaskByID(t.Context(), id); err != nil || task.State != store.TaskRevoked {
			t.Errorf("%s is %s, %v", id, task.State, err)
		}
	}
	if got := other.post("/token", other.refreshForm(theirs.text("refresh_token"))); got.Status != http.StatusOK {
		t.Errorf("another client's task: %d %s", got.Status, got.Body)
	}
	rec, said := w.said("consent.required")
	if rec.User != w.user.ID || rec.Client != w.client || said["person"] != w.id("revoker@example.com") || said["reason"] != "INC-2291 runaway agent" {
		t.Errorf("recorded: %v %v", rec, said)
	}
	if rec, said := w.said("consent.forgotten"); rec.User != w.user.ID || said["person"] != w.id("revoker@example.com") {
		t.Errorf("recorded: %v %v", rec, said)
	}
	// Once more, when nothing lives and nothing goes on, it changes nothing.
	shows(t, revoker.get(review), "0 tasks", "tasks that live: 0, choices that go on: 0")
	if got := w.operator("POST", "/admin/api/tasks/reconsent", map[string]string{"id": claims.Task.ID, "reason": "again"}); got.Status != http.StatusOK || got.JSON["forgotten_choices"] != 0.0 {
		t.Errorf("again: %d %s", got.Status, got.Body)
	}
	if got := w.operator("POST", "/admin/api/tasks/reconsent", map[string]string{"id": "tsk_nobody"}); got.Status != http.StatusNotFound {
		t.Errorf("an unknown task: %d %s", got.Status, got.Body)
	}
}

// otherClient is another client that may ask the same.
func (w *world) otherClient(t *testing.T) string {
	t.Helper()
	c, err := w.store.ClientByID(t.Context(), w.client)
	must(t, err)
	c.ID = "cli_another"
	must(t, w.store.AddClient(t.Context(), c))
	return c.ID
}

// TestReconsentHalfDone: a store that fails on the way is said, and the same request finishes it.
func TestReconsentHalfDone(t *testing.T) {
	var broken *halting
	w := newWorldOn(t, func(s store.Store) store.Store { broken = &halting{s, 1 << 30}; return broken })
	_, first := w.lend()
	_, second := w.lend()
	b := w.staff("revoker@example.com", store.RoleRevoker)
	form := url.Values{"task": {first.Task.ID}, "reason": {"x"}, "shown": {"2"}, "count": {"2"}}
	broken.ends = 1
	if got := b.fill("/admin/reconsent", form); got.Status < 500 || strings.Contains(got.Body, "fire") {
		t.Errorf("%d %s", got.Status, got.words())
	}
	broken.ends = 1 << 30
	form.Set("shown", "1")
	form.Set("count", "1")
	if got := b.fill("/admin/reconsent", form); got.Status != http.StatusSeeOther {
		t.Errorf("again: %d %s", got.Status, got.words())
	}
	for _, id := range []string{first.Task.ID, second.Task.ID} {
		if task, _, err := w.store.TaskByID(context.Background(), id); err != nil || task.State != store.TaskRevoked {
			t.Errorf("%s is %s, %v", id, task.State, err)
		}
	}
}
