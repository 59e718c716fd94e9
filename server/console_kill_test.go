package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
)

// TestConsoleKill: what is to stop is counted first, typed when it is several, told, and taken back; a
// revoker neither stops everything nor lifts what an admin has stopped (AD4, AD8).
func TestConsoleKill(t *testing.T) {
	w := newWorld(t)
	w.guard(ticketsURI)
	a := w.agent(w.client)
	lent := []answer{a.tokens(), a.tokens()}
	viewer, revoker, admin := w.staff("viewer@example.com", store.RoleViewer), w.staff("revoker@example.com", store.RoleRevoker), w.staff("admin@example.com", store.RoleAdmin)
	if page := viewer.get("/admin/kill"); page.Status != http.StatusOK || strings.Contains(page.Body, "/admin/kill/review") || !strings.Contains(page.words(), "nothing ever was") {
		t.Errorf("a viewer: %d %s", page.Status, page.words())
	}
	query := url.Values{"level": {"client"}, "subject": {w.client}, "seconds": {"3600"}}
	shows(t, revoker.get("/admin/kill/review?"+query.Encode()), "Stop: An agent "+w.client+"?", "2 tasks", "Type 2 to go on", "These tasks stop", "remit kill client "+w.client+" --for=3600s --dry-run")
	form := func(shown, count string) url.Values {
		f := url.Values{"level": {"client"}, "subject": {w.client}, "seconds": {"3600"}, "shown": {shown}, "count": {count}, "reason": {"INC"}}
		return f
	}
	for name, wrong := range map[string]url.Values{"not typed": form("2", ""), "typed wrongly": form("2", "1"), "not shown": form("", "")} {
		if got := revoker.fill("/admin/kill", wrong); got.Status != http.StatusConflict || !strings.Contains(got.words(), "2 tasks would stop now") {
			t.Errorf("%s: %d %s", name, got.Status, got.words())
		}
	}
	page := revoker.act("/admin/kill", form("2", "2"))
	shows(t, page, "An agent "+w.client, "In force", "INC-2291 runaway agent", "Lift", "Where it is in force", ticketsURI, "not yet", "remit kill lift swt_")
	for _, one := range lent {
		if got := a.post("/token", a.refreshForm(one.text("refresh_token"))); got.Status != http.StatusServiceUnavailable {
			t.Errorf("refresh: %d %s", got.Status, got.Body)
		}
	}
	shows(t, viewer.get("/admin/tasks/"+lent[0].text("task_id")), "Suspended by a kill switch")
	mine := w.mara().get("/agents")
	shows(t, mine, "Stopped by the operator for now")
	if _, said := w.said("switch.thrown"); said["person"] != w.id("revoker@example.com") || said["by"] != "revoker" || said["level"] != "client" {
		t.Errorf("recorded: %v", said)
	}
	list, err := w.store.Switches(t.Context(), false)
	must(t, err)
	shows(t, revoker.act("/admin/kill/lift", url.Values{"switch": {list[0].ID}}), "Lifted")
	if got := a.post("/token", a.refreshForm(lent[0].text("refresh_token"))); got.Status != http.StatusOK {
		t.Errorf("refresh afterwards: %d %s", got.Status, got.Body)
	}
	everything := url.Values{"level": {"everything"}, "shown": {"2"}, "count": {"2"}, "reason": {"INC"}}
	if got := revoker.fill("/admin/kill", everything); got.Status != http.StatusForbidden {
		t.Errorf("everything by a revoker: %d %s", got.Status, got.words())
	}
	if got := revoker.fill("/admin/kill", url.Values{"level": {"user"}, "subject": {"admin@example.com"}, "reason": {"INC"}}); got.Status != http.StatusForbidden {
		t.Errorf("an admin by a revoker: %d %s", got.Status, got.words())
	}
	admin.act("/admin/kill", url.Values{"level": {"everything"}, "shown": {"2"}, "count": {"2"}})
	list, err = w.store.Switches(t.Context(), false)
	must(t, err)
	if got := revoker.fill("/admin/kill/lift", url.Values{"switch": {list[0].ID}, "reason": {"x"}}); got.Status != http.StatusForbidden {
		t.Errorf("an admin's switch by a revoker: %d %s", got.Status, got.words())
	}
	admin.act("/admin/kill/lift", url.Values{"switch": {list[0].ID}})
}

// TestConsoleKillTwoPersons: two admins stop everything together, and one does not.
func TestConsoleKillTwoPersons(t *testing.T) {
	w := newWorldOn(t, func(s store.Store) store.Store { return s }, func(c *server.Config) { c.TwoPersons = true })
	a := w.agent(w.client)
	lent := a.tokens()
	one, two := w.staff("one@example.com", store.RoleAdmin), w.staff("two@example.com", store.RoleAdmin)
	page := one.act("/admin/kill", url.Values{"level": {"everything"}})
	shows(t, page, "Waits for a second admin")
	if strings.Contains(page.Body, "/admin/kill/confirm") {
		t.Error("who asked is offered to confirm")
	}
	list, err := w.store.Switches(t.Context(), false)
	must(t, err)
	form := func() url.Values { return url.Values{"switch": {list[0].ID}, "reason": {"x"}} }
	if got := one.fill("/admin/kill/confirm", form()); got.Status != http.StatusForbidden {
		t.Errorf("by the same person: %d %s", got.Status, got.words())
	}
	if got := a.post("/token", a.refreshForm(lent.text("refresh_token"))); got.Status != http.StatusOK {
		t.Errorf("while it waits: %d %s", got.Status, got.Body)
	} else {
		lent = got
	}
	shows(t, two.act("/admin/kill/confirm", form()), "In force", "Confirmed by", "two@example.com")
	if got := a.post("/token", a.refreshForm(lent.text("refresh_token"))); got.Status != http.StatusServiceUnavailable {
		t.Errorf("refresh: %d %s", got.Status, got.Body)
	}
}

// TestConsoleAccess: the matrix, and a call that nobody makes, with the reason.
func TestConsoleAccess(t *testing.T) {
	w := newWorld(t)
	b := w.staff("viewer@example.com", store.RoleViewer)
	at := "/admin/access?" + url.Values{"resource": {ticketsURI}}.Encode()
	shows(t, b.get(at), "Who can call what at Tickets", "Would this call be allowed?", "mara@example.com", "by role", "remit resource access "+ticketsURI)
	ask := func(user, arguments string) answer {
		return b.get(at + "&" + url.Values{"user": {user}, "client": {w.client}, "tool": {"search_tickets"}, "arguments": {arguments}}.Encode())
	}
	shows(t, ask("mara@example.com", ""), "It would be allowed.", "consent", "would be asked", "remit resource simulate "+ticketsURI+" search_tickets --user=mara@example.com")
	shows(t, ask("viewer@example.com", ""), "It would be refused", "holds none", "give the user")
	for _, user := range []string{"nobody@example.com", `"><script>alert(1)</script>`} {
		if page := ask(user, ""); page.Status != http.StatusOK || !strings.Contains(page.words(), "there is no such user") || strings.Contains(page.Body, "<script>alert") {
			t.Errorf("%s: %d %s", user, page.Status, page.words())
		}
	}
	if page := ask("mara@example.com", "{"); page.Status != http.StatusOK || !strings.Contains(page.words(), "one JSON object") {
		t.Errorf("bad arguments: %d %s", page.Status, page.words())
	}
}

// TestConsoleOverview: the first page counts, draws and lists the same numbers.
func TestConsoleOverview(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	b := w.staff("viewer@example.com", store.RoleViewer)
	shows(t, b.get("/admin"), "running tasks 1", "calls, last hour 0", "Calls per minute, last 60 minutes", "No call was made in the last hour")
	w.clock.Add(10 * time.Second) // what was counted is old
	refused := but(decided(claims), map[string]any{"decision": "refused", "reason": "argument_limit"})
	if got := g.call("POST", "/executions", batch(1, decided(claims), refused)); got.Status >= 300 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	must(t, w.server.Settle(t.Context()))
	page := b.get("/admin")
	shows(t, page, "calls, last hour 2", "blocked calls, last hour 1")
	if !strings.Contains(page.Body, `<svg class="chart"`) || !strings.Contains(page.Body, `class="bar refused"`) {
		t.Error("nothing is drawn")
	}
}
