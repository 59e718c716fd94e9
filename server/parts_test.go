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

const notesURI = "https://notes.example/mcp"

const notesPolicy = `
version: 1
baseline: [notes.read]
scopes:
  notes.read: {title: "Read notes", roles: [reader]}
roles:
  reader: {tools: {search_tickets: {}, read_note: {}}}
`

// withNotes adds a second resource, with a tool of the same name as one of the first.
func withNotes(t testing.TB) *world {
	w := newWorld(t)
	ctx := context.Background()
	must(t, w.store.AddResource(ctx, store.Resource{
		URI: notesURI, Name: "Notes", Policy: []byte(notesPolicy), PolicyVersion: tokens.HashBytes([]byte(notesPolicy)), CreatedAt: w.clock.Now(),
		Tools: []store.Tool{
			tool(t, "read_note", `{"readOnlyHint":true,"openWorldHint":false}`, false),
			tool(t, "search_tickets", `{"readOnlyHint":true,"openWorldHint":false}`, false),
		},
	}))
	must(t, w.store.AssignRole(ctx, w.user.ID, notesURI, "reader"))
	return w
}

// both is the request about both resources.
func (a *agent) both() url.Values {
	form := a.with("scope", "tickets.read notes.read")
	form["resource"] = []string{ticketsURI, notesURI}
	form.Del("authorization_details")
	return form
}

// answer sends the form of one page, with these tools ticked; none: it is not allowed.
func (b *browser) answer(page answer, seconds string, tools ...string) answer {
	b.w.t.Helper()
	if page.Status != http.StatusOK {
		b.w.t.Fatalf("page: %d %s", page.Status, page.Body)
	}
	form := hidden(page.Body)
	form["tool"] = tools
	form.Set("duration", seconds)
	form.Set("decision", map[bool]string{true: "allow", false: "deny"}[len(tools) > 0])
	return b.post("/consent", form)
}

func codeOf(t testing.TB, got answer) string {
	t.Helper()
	code := mustURL(t, got.Header.Get("Location")).Query().Get("code")
	if code == "" {
		t.Fatalf("no code: %d to %q %s", got.Status, got.Header.Get("Location"), got.Body)
	}
	return code
}

func TestSeveralResources(t *testing.T) {
	w := withNotes(t)
	a, b := w.agent(w.client), w.mara()
	first := b.get(a.push(a.both())) // in the order of their names
	if !strings.Contains(first.Body, notesURI) || strings.Contains(first.Body, `value="get_ticket"`) || !strings.Contains(first.Body, "Server 1 of 2") {
		t.Fatalf("the first page is about one server alone: %s", first.Body)
	}
	second := b.answer(first, "1800", "read_note")
	if !strings.Contains(second.Body, ticketsURI) || strings.Contains(second.Body, `value="read_note"`) || !strings.Contains(second.Body, "Server 2 of 2") {
		t.Fatalf("the second page is about the other alone: %d %s", second.Status, second.Body)
	}
	if strings.Contains(second.Body, `value="7200"`) {
		t.Error("the task could last longer than was chosen before")
	}
	code := codeOf(t, b.answer(second, "900", "search_tickets"))

	if got := a.post("/token", a.codeForm(code)); got.error() != "invalid_target" {
		t.Errorf("a token request that names none: %d %s", got.Status, got.Body)
	}
	form := a.codeForm(code)
	form["resource"] = []string{ticketsURI, notesURI}
	if got := a.post("/token", form); got.error() != "invalid_target" {
		t.Errorf("a token request that names both: %d %s", got.Status, got.Body)
	}
	form.Set("resource", ticketsURI)
	got := a.post("/token", form)
	if got.Status != http.StatusOK || got.text("scope") != "tickets.read" && !strings.Contains(got.text("scope"), "tool:search_tickets") {
		t.Fatalf("token: %d %s", got.Status, got.Body)
	}
	if strings.Contains(got.Body, "read_note") || strings.Contains(got.Body, notesURI) {
		t.Errorf("a token for one resource tells of another: %s", got.Body)
	}
	refresh := a.refreshForm(got.text("refresh_token"))
	if none := a.post("/token", refresh); none.error() != "invalid_target" {
		t.Errorf("a refresh that names none: %d %s", none.Status, none.Body)
	}
	refresh.Set("resource", notesURI)
	notes := a.post("/token", refresh)
	if notes.Status != http.StatusOK || !strings.Contains(notes.Body, "read_note") || strings.Contains(notes.Body, ticketsURI) {
		t.Fatalf("refresh for the other: %d %s", notes.Status, notes.Body)
	}
	if notes.text("task_id") != got.text("task_id") {
		t.Error("two tasks")
	}
	task, grants, err := w.store.TaskByID(context.Background(), got.text("task_id"))
	must(t, err)
	if left := task.EndsAt.Sub(w.clock.Now()); len(grants) != 2 || left != 15*time.Minute {
		t.Errorf("%d grants, %s left", len(grants), left)
	}
	for _, g := range grants { // shown == granted
		want := map[string]string{ticketsURI: "search_tickets", notesURI: "read_note"}[g.Resource]
		d, err := tokens.ParseGrant(g.Details)
		must(t, err)
		if len(d.Tools) != 1 || d.Tools[0].Tool != want || d.Tools[0].Locations[0] != g.Resource || d.Task.MaxDuration != 900 {
			t.Errorf("%s: %s", g.Resource, g.Details)
		}
	}
}

// TestOneDecisionPerResource: what is not allowed at one is nowhere, and what is, stays.
func TestOneDecisionPerResource(t *testing.T) {
	w := withNotes(t)
	a, b := w.agent(w.client), w.mara()
	code := codeOf(t, b.answer(b.answer(b.get(a.push(a.both())), "1800"), "7200", "search_tickets"))
	form := a.codeForm(code)
	form.Set("resource", notesURI)
	if got := a.post("/token", form); got.error() != "invalid_target" {
		t.Errorf("the one that was not allowed: %d %s", got.Status, got.Body)
	}
	form.Del("resource") // one is left, and needs no name
	if got := a.post("/token", form); got.Status != http.StatusOK || strings.Contains(got.Body, notesURI) {
		t.Errorf("the one that was: %d %s", got.Status, got.Body)
	}
	last := b.answer(b.answer(b.get(a.push(a.both())), "1800"), "1800")
	if code := b.errorAt(last); code != "access_denied" {
		t.Errorf("none allowed: %q", code)
	}
}

func TestAnswersAreSealed(t *testing.T) { // P10
	w := withNotes(t)
	a, b := w.agent(w.client), w.mara()
	first := b.get(a.push(a.both()))
	denied := hidden(b.answer(first, "1800").Body)
	allowed := b.answer(first, "1800", "read_note")
	tests := map[string]func(url.Values){
		"answers of another page":    func(f url.Values) { f.Set("earlier", denied.Get("earlier")) },
		"no answers":                 func(f url.Values) { f.Del("earlier") },
		"answers that are no answer": func(f url.Values) { f.Set("earlier", "e30") },
		"the offer of another page":  func(f url.Values) { f.Set("offer", hidden(first.Body).Get("offer")) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			form := hidden(allowed.Body)
			form.Set("tool", "search_tickets")
			form.Set("duration", "900")
			form.Set("decision", "allow")
			change(form)
			noCode(t, b.post("/consent", form), http.StatusForbidden)
		})
	}
	for name, tt := range map[string]struct{ seconds, tool string }{
		"longer than chosen before": {"7200", "search_tickets"},
		"a tool of the other":       {"900", "read_note"},
	} {
		t.Run(name, func(t *testing.T) { noCode(t, b.answer(allowed, tt.seconds, tt.tool), http.StatusBadRequest) })
	}
	must(t, w.store.UnassignRole(context.Background(), w.user.ID, notesURI, "reader")) // what was allowed before is not offered any more
	if got := b.answer(allowed, "900", "search_tickets"); got.Status != http.StatusConflict || !strings.Contains(got.Body, "Server 1 of 2") {
		t.Errorf("after a change of what was decided first: %d %s", got.Status, got.Body)
	}
	must(t, w.store.AssignRole(context.Background(), w.user.ID, notesURI, "reader"))
	codeOf(t, b.answer(allowed, "900", "search_tickets"))
	noCode(t, b.answer(allowed, "900", "search_tickets"), http.StatusBadRequest) // CS9: once
}

func TestSeveralResourcesRefused(t *testing.T) { // PR12, PR13
	w := withNotes(t)
	a := w.agent(w.client)
	many := []string{ticketsURI}
	for _, n := range "12345" {
		many = append(many, "https://r"+string(n)+".example/mcp")
	}
	tests := map[string]struct {
		change func(url.Values)
		want   string
	}{
		"one unknown":               {func(f url.Values) { f["resource"] = []string{ticketsURI, "https://none.example/mcp"} }, "invalid_target"},
		"too many":                  {func(f url.Values) { f["resource"] = many }, "invalid_target"},
		"no scope for one":          {func(f url.Values) { f.Set("scope", "tickets.read") }, "invalid_scope"},
		"a scope of none":           {func(f url.Values) { f.Set("scope", "tickets.read notes.read other") }, "invalid_scope"},
		"a tool without a location": {func(f url.Values) { f.Set("authorization_details", `[{"type":"mcp_tool","tool":"read_note"}]`) }, "invalid_authorization_details"},
		"a tool of the other": {func(f url.Values) {
			f.Set("authorization_details", `[{"type":"mcp_tool","locations":["`+ticketsURI+`"],"tool":"read_note"}]`)
		}, "invalid_authorization_details"},
		"a step-up": {func(f url.Values) {
			f.Set("authorization_details", `[{"type":"mcp_task","task":"tsk_aaaaaaaaaaaaaaaaaaaaaaaaaa"}]`)
		}, "invalid_authorization_details"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			form := a.both()
			tt.change(form)
			if got := a.post("/par", form); got.Status != http.StatusBadRequest || got.error() != tt.want {
				t.Errorf("%d %s, want %s", got.Status, got.Body, tt.want)
			}
		})
	}
	a.push(a.both())
}
