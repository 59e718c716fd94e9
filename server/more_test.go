package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// more is the address of the page that asks about one more tool of a task.
func more(task, uri, tool string) string {
	return "/agents/" + task + "/more?" + url.Values{"resource": {uri}, "tool": {tool}}.Encode()
}

// lent begins a task of the agent's that may only search.
func (a *agent) lent() (got answer, task string) {
	got = a.post("/token", a.codeForm(a.w.mara().consent(a.push(a.request()), "search_tickets").Query().Get("code")))
	return got, got.text("task_id")
}

// TestAllowATool: beside a call that was refused for want of the user's consent stands how to give it.
// What they allow there is in the agent's next token, and no more than that.
func TestAllowATool(t *testing.T) { // U4
	w := newWorld(t)
	h := w.serveHop("Files", nil)
	must(t, w.store.AssignRole(context.Background(), w.user.ID, h.uri, "writer"))
	a, b := w.grantClient("Agent"), w.mara()
	form := a.request()
	form.Set("resource", h.uri)
	form.Set("authorization_details", `[{"type":"mcp_tool","locations":["`+h.uri+`"],"tool":"look"}]`)
	got := a.post("/token", a.codeForm(b.consent(a.push(form), "look").Query().Get("code")))
	task, token := got.text("task_id"), got.text("access_token")
	ends := w.task(task).EndsAt
	if status := a.callTool(h.uri, token, "change"); status != http.StatusForbidden {
		t.Fatalf("before: %d", status)
	}
	page := b.get(more(task, h.uri, "change"))
	shows(t, page, "Let Agent use this tool?", "The agent is not asking now", "Who may use it", "Files", "Title of change")
	if strings.Contains(page.Body, "more tool") || strings.Contains(page.Body, "Who is asking") {
		t.Errorf("the page says that the agent asks: %s", page.words())
	}
	if strings.Contains(page.Body, `value="look"`) || strings.Contains(page.Body, "Sends you to") {
		t.Errorf("the page offers what is lent already, or speaks of a redirect: %s", page.words())
	}
	answered := hidden(page.Body)
	answered.Set("tool", "change")
	answered.Set("decision", "allow")
	answered.Set("mode.change", "1")
	if got := b.post("/consent", answered); got.Status != http.StatusSeeOther || got.Header.Get("Location") != "/agents?told=widened" {
		t.Fatalf("allow: %d to %q %s", got.Status, got.Header.Get("Location"), got.Body)
	}
	shows(t, b.get("/agents?told=widened"), "as soon as it asks for its next token")
	if status := a.callTool(h.uri, token, "change"); status != http.StatusForbidden {
		t.Errorf("the token had before: %d", status)
	}
	next := a.post("/token", a.refreshForm(got.text("refresh_token")))
	for i, want := range []int{http.StatusOK, http.StatusForbidden} { // once, as chosen
		if status := a.callTool(h.uri, next.text("access_token"), "change"); status != want {
			t.Errorf("call %d with the next token: %d, want %d", i+1, status, want)
		}
	}
	page = b.get(more(task, h.uri, "change"))
	shows(t, page, "You allowed this before: At most 1 calls, 1 of them made so far.", "For 1 more call from now on")
	again := hidden(page.Body)
	again.Set("tool", "change")
	again.Set("decision", "allow")
	again.Set("mode.change", "1")
	if got := b.post("/consent", again); got.Status != http.StatusSeeOther {
		t.Fatalf("allow once more: %d %s", got.Status, got.Body)
	}
	next = a.post("/token", a.refreshForm(next.text("refresh_token")))
	for i, want := range []int{http.StatusOK, http.StatusForbidden} { // one more, not none: the first is spent
		if status := a.callTool(h.uri, next.text("access_token"), "change"); status != want {
			t.Errorf("call %d once it is allowed again: %d, want %d", i+1, status, want)
		}
	}
	if status := a.callTool(h.uri, next.text("access_token"), "look"); status != http.StatusOK {
		t.Errorf("what was lent before: %d", status)
	}
	if !w.task(task).EndsAt.Equal(ends) {
		t.Error("the deadline has moved")
	}
	if n := len(w.records("task.widened")); n != 2 {
		t.Errorf("%d records of it", n)
	}
	for i, want := range []bool{false, true, true} { // the agent asked at first, the user then
		if said := w.records("consent.allowed")[i].Payload; strings.Contains(string(said), `"asked_by":"user"`) != want {
			t.Errorf("consent %d is on record as %s", i, said)
		}
	}
	if got := b.post("/consent", answered); got.Status != http.StatusBadRequest { // it counted once
		t.Errorf("the same answer again: %d", got.Status)
	}
}

// TestAllowASpentTool: of a tool that the server's policy lends so many calls of, a consent gives no more.
func TestAllowASpentTool(t *testing.T) {
	w := newWorld(t)
	h := w.serveHopWith("Files", strings.Replace(hopPolicy, "change: {}", "change: {max_calls: 2}", 1), nil)
	must(t, w.store.AssignRole(context.Background(), w.user.ID, h.uri, "writer"))
	a, b := w.grantClient("Agent"), w.mara()
	form := a.request()
	form.Set("resource", h.uri)
	form.Set("authorization_details", `[{"type":"mcp_tool","locations":["`+h.uri+`"],"tool":"change"}]`)
	got := a.post("/token", a.codeForm(b.consent(a.push(form), "change").Query().Get("code")))
	for _, want := range []int{http.StatusOK, http.StatusOK, http.StatusForbidden} {
		if status := a.callTool(h.uri, got.text("access_token"), "change"); status != want {
			t.Fatalf("%d, want %d", status, want)
		}
	}
	page := b.get(more(got.text("task_id"), h.uri, "change"))
	shows(t, page, "change", "this task has made as many calls of it as it may at most")
	if strings.Contains(page.Body, `value="allow"`) {
		t.Errorf("it can be allowed: %s", page.words())
	}
}

// TestAllowAToolIsOffered: where the user's consent is what was missing, and nowhere else.
func TestAllowAToolIsOffered(t *testing.T) { // U4
	w := newWorld(t)
	a := w.agent(w.client)
	got, task := a.lent()
	c := &caller{guardian: w.guard(ticketsURI), claims: w.claims(got.text("access_token"))}
	links := func() (tools []string) {
		for _, part := range strings.Split(w.mara().get("/agents").Body, "/more?")[1:] {
			link, _, _ := strings.Cut(part, `"`)
			q, err := url.ParseQuery(strings.ReplaceAll(link, "&amp;", "&"))
			must(t, err)
			tools = append(tools, q.Get("tool"))
		}
		return tools
	}
	c.calls("add_comment tool_not_granted", "nuke unknown_tool", "get_ticket role")
	if got := strings.Join(links(), " "); got != "add_comment" {
		t.Errorf("offered: %q", got)
	}
	c.calls("search_tickets argument_limit", "search_tickets", "get_ticket scope")
	if got := strings.Join(links(), " "); got != "get_ticket search_tickets" { // which has a limit
		t.Errorf("offered: %q", got)
	}
	b := w.mara()
	form := hidden(b.get(more(task, ticketsURI, "get_ticket")).Body)
	form.Set("tool", "get_ticket")
	form.Set("decision", "allow")
	if got := b.post("/consent", form); got.Status >= 400 {
		t.Fatalf("allow: %d %s", got.Status, got.Body)
	}
	c.calls("search_tickets argument_limit", "get_ticket argument_limit") // which no consent would lift: what it asked for is no call of the tool
	if got := strings.Join(links(), " "); got != "search_tickets" {
		t.Errorf("offered once it is allowed: %q", got)
	}
	if got := b.get(more(task, ticketsURI, "get_ticket")); got.Status != http.StatusConflict || !strings.Contains(got.words(), "may use this tool already") {
		t.Errorf("the page of a tool that is allowed: %d %s", got.Status, got.words())
	}
	w.end(task, store.TaskRevoked, store.ByUser, "test")
	if got := links(); len(got) != 0 {
		t.Errorf("offered after the end: %q", got)
	}
}

// TestAllowAToolFromElsewhere: an agent that leads its user to the page has not been chosen by them.
func TestAllowAToolFromElsewhere(t *testing.T) {
	w := newWorld(t)
	_, task := w.agent(w.client).lent()
	b := w.mara()
	from := func(site string) answer {
		r, err := http.NewRequest("GET", w.issuer+more(task, ticketsURI, "get_ticket"), nil)
		must(t, err)
		r.Header.Set("Sec-Fetch-Site", site)
		resp, err := b.http.Do(r)
		return read(t, resp, err)
	}
	for _, site := range []string{"cross-site", "same-site", "none"} {
		if got := from(site); got.Status != http.StatusSeeOther || got.Header.Get("Location") != "/agents" {
			t.Errorf("%s: %d to %q %s", site, got.Status, got.Header.Get("Location"), got.words())
		}
	}
	shows(t, from("same-origin"), "Let Demo Agent use this tool?")
}

// TestAllowAToolRefuses: the page and its answer are their user's alone, about a task that runs, for as
// long as it is as it was shown.
func TestAllowAToolRefuses(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	must(t, w.store.AssignRole(ctx, w.user.ID, ticketsURI, "admin"))
	a, b := w.agent(w.client), w.mara()
	_, task := a.lent()
	fill := func(tool string) url.Values {
		t.Helper()
		form := hidden(b.get(more(task, ticketsURI, tool)).Body)
		form.Set("tool", tool)
		form.Set("decision", "allow")
		return form
	}
	has := func(want ...string) {
		t.Helper()
		_, grants, err := w.store.TaskByID(ctx, task)
		must(t, err)
		var tools []string
		for _, g := range grants {
			if g.EndedAt.IsZero() {
				d, err := tokens.ParseGrant(g.Details)
				must(t, err)
				for _, one := range d.Tools {
					tools = append(tools, one.Tool)
				}
			}
		}
		if strings.Join(tools, " ") != strings.Join(want, " ") {
			t.Errorf("the task has %q, want %q", tools, want)
		}
	}
	for name, got := range map[string]answer{
		"somebody else's":    w.person("noor@example.com").get(more(task, ticketsURI, "add_comment")),
		"an unknown task":    b.get(more("tsk_none", ticketsURI, "add_comment")),
		"an unknown tool":    b.get(more(task, ticketsURI, "nuke")),
		"another server":     b.get(more(task, "https://elsewhere.example/mcp", "add_comment")),
		"a server not in it": b.get(more(task, w.serveHop("Files", nil).uri, "look")),
	} {
		if got.Status != http.StatusNotFound && got.Status != http.StatusBadRequest && got.Status != http.StatusConflict {
			t.Errorf("%s: %d", name, got.Status)
		}
	}

	theirs := fill("add_comment")
	if got := w.person("ole@example.com").post("/consent", theirs); got.Status < 400 {
		t.Errorf("another's session: %d", got.Status)
	}
	two := fill("add_comment")
	two.Add("tool", "delete_ticket")
	if got := b.post("/consent", two); got.Status != http.StatusBadRequest {
		t.Errorf("a tool that was not asked about: %d", got.Status)
	}
	denied := fill("add_comment")
	denied.Set("decision", "deny")
	if got := b.post("/consent", denied); got.Header.Get("Location") != "/agents" {
		t.Errorf("no: %d to %q", got.Status, got.Header.Get("Location"))
	}
	denied.Set("decision", "allow")
	if got := b.post("/consent", denied); got.Status != http.StatusBadRequest {
		t.Errorf("yes after no: %d", got.Status)
	}
	has("search_tickets")

	stale, good := fill("add_comment"), fill("get_ticket")
	if got := b.post("/consent", good); got.Status != http.StatusSeeOther {
		t.Errorf("the good answer: %d %s", got.Status, got.Body)
	}
	has("search_tickets", "get_ticket")
	narrowed(t, b.narrow(task, ticketsURI, []string{"search_tickets"}))
	if got := b.post("/consent", stale); got.Status != http.StatusConflict {
		t.Errorf("narrowed since it was shown: %d", got.Status)
	}
	has("search_tickets")

	w.clock.Add(6 * time.Minute) // C25
	back := b.signsInOnce(b.post("/consent", fill("delete_ticket")))
	has("search_tickets")
	form := hidden(b.get(back).Body)
	form.Set("tool", "delete_ticket")
	form.Set("decision", "allow")
	if got := b.post("/consent", form); got.Header.Get("Location") != "/agents?told=widened" {
		t.Errorf("after signing in again: %d to %q %s", got.Status, got.Header.Get("Location"), got.Body)
	}
	has("search_tickets", "delete_ticket")

	late := fill("add_comment")
	w.end(task, store.TaskRevoked, store.ByUser, "test")
	if got := b.post("/consent", late); got.Status < 400 {
		t.Errorf("a task that has ended: %d", got.Status)
	}
	if got := b.get(more(task, ticketsURI, "add_comment")); got.Status != http.StatusConflict {
		t.Errorf("the page of a task that has ended: %d", got.Status)
	}
	if n := len(w.records("task.widened")); n != 2 {
		t.Errorf("%d widenings are on record", n)
	}
}
