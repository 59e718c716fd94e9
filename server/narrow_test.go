package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// applied waits until the Guard of the resource has in force all that it was told.
func (w *world) applied(uri string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	changed, stop := w.store.WatchFeed(uri)
	defer stop()
	for {
		seq, _, err := w.store.FeedSnapshot(ctx, uri, w.clock.Now())
		must(w.t, err)
		res, err := w.store.ResourceByURI(ctx, uri)
		must(w.t, err)
		if res.AckSeq >= seq {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			w.t.Fatal("the Guard does not say that it knows")
		}
	}
}

// narrow opens the page of the task's tools and leaves these ticked; more fields come in pairs.
func (b *browser) narrow(task, uri string, tools []string, more ...string) answer {
	b.w.t.Helper()
	path := "/agents/" + task + "/tools"
	page := b.get(path + "?" + url.Values{"resource": {uri}}.Encode())
	if page.Status != http.StatusOK {
		b.w.t.Fatalf("page: %d %s", page.Status, page.Body)
	}
	form := hidden(page.Body)
	form["tool"] = tools
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return b.post(path, form)
}

// narrowed fails unless the task was narrowed.
func narrowed(t testing.TB, got answer) {
	t.Helper()
	if got.Status != http.StatusSeeOther || got.Header.Get("Location") != "/agents?told=narrowed" {
		t.Fatalf("narrow: %d to %q %s", got.Status, got.Header.Get("Location"), got.Body)
	}
}

// TestNarrow: what a user takes from a running task never runs again: not with the token that the agent
// has, not with the next one, not by what it handed on, and not by a step-up that was allowed before.
func TestNarrow(t *testing.T) { // U3
	w := newWorld(t)
	h := w.serveHop("Files", nil)
	must(t, w.store.AssignRole(context.Background(), w.user.ID, h.uri, "writer"))
	a := w.grantClient("Agent")
	ask := func(tools ...string) url.Values {
		form := a.request()
		var list []string
		for _, name := range tools {
			list = append(list, `{"type":"mcp_tool","locations":["`+h.uri+`"],"tool":"`+name+`"}`)
		}
		form.Set("authorization_details", "["+strings.Join(list, ",")+"]")
		form.Set("resource", h.uri)
		return form
	}
	b := w.mara()
	got := a.post("/token", a.codeForm(b.consent(a.push(ask("look", "change")), "look", "change").Query().Get("code")))
	task, token := got.text("task_id"), got.text("access_token")
	sub := w.sibling(a)
	handed := sub.post("/token", a.handOn(sub, token))
	for _, one := range []struct {
		who   *agent
		token string
	}{{a, token}, {sub, handed.text("access_token")}} {
		if status := one.who.callTool(h.uri, one.token, "change"); status != http.StatusOK {
			t.Fatalf("before: %d", status)
		}
	}
	if page := b.get("/agents").Body; !strings.Contains(page, "/agents/"+task+"/tools") {
		t.Error("the agents page does not lead there")
	}

	narrowed(t, b.narrow(task, h.uri, []string{"look"}))
	w.applied(h.uri)
	for _, tool := range []string{"change", "look"} { // the old token is dead, whole
		if status := a.callTool(h.uri, token, tool); status != http.StatusUnauthorized {
			t.Errorf("the token had before, %s: %d", tool, status)
		}
		if status := sub.callTool(h.uri, handed.text("access_token"), tool); status != http.StatusUnauthorized {
			t.Errorf("the token handed on before, %s: %d", tool, status)
		}
	}
	want(t, sub.post("/token", a.handOn(sub, token)), 400, "invalid_grant")
	for name, next := range map[string]struct {
		who *agent
		got answer
	}{
		"refreshed":            {a, a.post("/token", a.refreshForm(got.text("refresh_token")))},
		"handed on, refreshed": {sub, sub.post("/token", sub.refreshForm(handed.text("refresh_token")))},
	} {
		if next.got.Status != http.StatusOK || strings.Contains(next.got.Body, "change") {
			t.Errorf("%s: %d %s", name, next.got.Status, next.got.Body)
		}
		if status := next.who.callTool(h.uri, next.got.text("access_token"), "change"); status != http.StatusForbidden {
			t.Errorf("%s: what was taken: %d", name, status)
		}
		if status := next.who.callTool(h.uri, next.got.text("access_token"), "look"); status != http.StatusOK {
			t.Errorf("%s: what was left: %d", name, status)
		}
	}
	if !w.recorded("task.narrowed", `"by":"user"`) {
		t.Error("the ledger does not tell of it")
	}
	// Nothing is left: the task ends.
	if got := b.narrow(task, h.uri, nil); got.Status != http.StatusSeeOther || !strings.Contains(got.Header.Get("Location"), "ended=") {
		t.Errorf("nothing left: %d %s", got.Status, got.Header.Get("Location"))
	}
	if st, _, err := w.store.TaskByID(context.Background(), task); err != nil || st.State != store.TaskRevoked {
		t.Errorf("the task is %s (%v)", st.State, err)
	}
}

// TestNarrowTerms: calls, arguments and time get less and never more, and other people's tasks do not exist.
func TestNarrowTerms(t *testing.T) { // U3, U7
	w := newWorld(t)
	a, b := w.agent(w.client), w.mara()
	got := a.tokens()
	c := w.claims(got.text("access_token"))
	task := c.Task.ID
	narrowed(t, b.narrow(task, ticketsURI, []string{"search_tickets"}, "mode.search_tickets", "5", "limit.search_tickets.project.only", "WEB\nOPS", "duration", "300"))
	next := a.post("/token", a.refreshForm(got.text("refresh_token")))
	if next.Status != http.StatusOK {
		t.Fatalf("refresh: %d %s", next.Status, next.Body)
	}
	n := w.claims(next.text("access_token"))
	if len(n.Details.Tools) != 1 || n.Details.Tools[0].MaxCalls != 5 || len(n.Details.Tools[0].Constraints["project"]) != 2 {
		t.Errorf("granted: %+v", n.Details.Tools)
	}
	if left := n.Task.Ends.Sub(w.clock.Now()); left > 5*time.Minute {
		t.Errorf("the task lasts %s", left)
	}
	narrowed(t, b.narrow(task, ticketsURI, []string{"search_tickets"}, "mode.search_tickets", "1000", "duration", "7200"))
	w.clock.Add(3 * time.Second)
	last := a.post("/token", a.refreshForm(next.text("refresh_token")))
	l := w.claims(last.text("access_token"))
	if l.Details.Tools[0].MaxCalls != 5 || l.Task.Ends.After(n.Task.Ends) {
		t.Errorf("it got more: %+v until %s", l.Details.Tools, l.Task.Ends)
	}

	if got := b.narrow(task, ticketsURI, []string{"search_tickets", "delete_ticket"}); got.Status != http.StatusBadRequest {
		t.Errorf("a tool that is not lent: %d", got.Status)
	}
	page := b.get("/agents/" + task + "/tools")
	if strings.Contains(page.Body, "delete_ticket") {
		t.Error("the page offers what is not lent")
	}
	li := w.noor()
	for _, path := range []string{"/agents/" + task + "/tools", "/agents/tsk_nobody/tools"} {
		if got := li.get(path); got.Status != http.StatusNotFound {
			t.Errorf("somebody else's page %s: %d", path, got.Status)
		}
		form := hidden(page.Body)
		form.Set("csrf", li.agentsForm().Get("csrf"))
		form.Set("tool", "search_tickets")
		if got := li.post(path, form); got.Status != http.StatusNotFound {
			t.Errorf("somebody else's form %s: %d", path, got.Status)
		}
	}
	for name, spoil := range map[string]func(url.Values){
		"without the seal":   func(f url.Values) { f.Del("shown") },
		"with other grants":  func(f url.Values) { f.Set("seen", "gnt_1") },
		"of another session": func(f url.Values) { f.Set("csrf", "x") },
	} {
		f := hidden(page.Body)
		f.Set("tool", "search_tickets")
		spoil(f)
		if got := b.post("/agents/"+task+"/tools", f); got.Status != http.StatusForbidden {
			t.Errorf("%s: %d", name, got.Status)
		}
	}
	stale := hidden(page.Body)
	stale.Set("tool", "search_tickets")
	narrowed(t, b.narrow(task, ticketsURI, []string{"search_tickets"}))
	if got := b.post("/agents/"+task+"/tools", stale); got.Status != http.StatusConflict {
		t.Errorf("a page of before: %d", got.Status)
	}
}

// TestNarrowStepUp: what a step-up brought can be taken again, and one that was allowed before the
// narrowing and not redeemed brings nothing.
func TestNarrowStepUp(t *testing.T) { // U3
	w := newWorld(t)
	a, b := w.agent(w.client), w.mara()
	got := a.tokens()
	task := got.text("task_id")
	more := a.request()
	more.Set("authorization_details", fmt.Sprintf(`[{"type":"mcp_task","task":%q},{"type":"mcp_tool","locations":[%q],"tool":"get_ticket"}]`, task, ticketsURI))
	late := mustURL(t, b.post("/consent", b.stepUpForm(a.push(more), "get_ticket")).Header.Get("Location")).Query().Get("code")
	narrowed(t, b.narrow(task, ticketsURI, []string{"search_tickets"}))
	want(t, a.post("/token", a.codeForm(late)), 400, "invalid_grant")
	next := a.post("/token", a.refreshForm(got.text("refresh_token")))
	if strings.Contains(next.Body, "get_ticket") || next.Status != http.StatusOK {
		t.Fatalf("refresh: %d %s", next.Status, next.Body)
	}
	again := mustURL(t, b.post("/consent", b.stepUpForm(a.push(more), "get_ticket")).Header.Get("Location")).Query().Get("code")
	if got := a.post("/token", a.codeForm(again)); got.Status != http.StatusOK || !strings.Contains(got.Body, "get_ticket") {
		t.Errorf("a new consent: %d %s", got.Status, got.Body)
	}
	details, err := tokens.ParseGrant(w.inForce(task).Details)
	must(t, err)
	if len(details.Tools) != 2 {
		t.Errorf("in force: %+v", details.Tools)
	}
}

// inForce is the task's one grant in force.
func (w *world) inForce(task string) store.Grant {
	w.t.Helper()
	_, grants, err := w.store.TaskByID(context.Background(), task)
	must(w.t, err)
	for _, g := range grants {
		if g.EndedAt.IsZero() {
			return g
		}
	}
	w.t.Fatal("nothing is in force")
	return store.Grant{}
}

// TestNarrowCallsFromNow: a number of calls counts from now on, as on the page of a step-up, and the page
// says how many of those allowed were made.
func TestNarrowCallsFromNow(t *testing.T) {
	w := newWorld(t)
	a, b, g := w.agent(w.client), w.mara(), w.guard(ticketsURI)
	got := a.tokens()
	task := w.claims(got.text("access_token")).Task.ID
	limit := func(mode string, want int) {
		t.Helper()
		narrowed(t, b.narrow(task, ticketsURI, []string{"search_tickets"}, "mode.search_tickets", mode))
		w.clock.Add(3 * time.Second)
		if got = a.post("/token", a.refreshForm(got.text("refresh_token"))); got.Status != http.StatusOK {
			t.Fatalf("refresh: %d %s", got.Status, got.Body)
		}
		if d := w.claims(got.text("access_token")).Details.Tools; len(d) != 1 || d[0].MaxCalls != want {
			t.Errorf("%s calls from now on: %+v, want %d in all", mode, d, want)
		}
	}
	reserve := func() int {
		claims := w.claims(got.text("access_token"))
		return g.call("POST", "/executions/reserve", map[string]any{"execution": tokens.NewID("exe_"), "task": task, "jti": claims.ID, "tool": "search_tickets"}).Status
	}
	page := "/agents/" + task + "/tools"
	shows(t, b.get(page), "a number of calls counts from now on", "For 5 more calls from now on")
	limit("5", 5)
	for range 2 {
		if status := reserve(); status != http.StatusOK {
			t.Fatalf("reserve: %d", status)
		}
	}
	shows(t, b.get(page), "At most 5 calls, 2 of them made so far", "For this task, at most 3 more calls from now on", "For 1 more call from now on")
	limit("1000", 5)
	limit("1", 3)
	for i, want := range []int{http.StatusOK, http.StatusForbidden} {
		if status := reserve(); (status == http.StatusOK) != (want == http.StatusOK) {
			t.Errorf("call %d of one that is left: %d", i+1, status)
		}
	}
	shows(t, b.get(page), "At most 3 calls, 3 of them made so far", "at most 0 more calls from now on")
}
