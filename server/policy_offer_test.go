package server_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

const offeringPolicy = `
version: 1
scopes:
  docs:    {title: "Read the handbook", roles: [reader]}
  tickets: {roles: [agent]}
roles:
  reader: {resources: ["docs://handbook/**"], prompts: [summarise], tools: {search_tickets: {}}}
  agent:
    include: [reader]
    when: {hours: [{days: [mon], from: "08:00", to: "18:00", zone: Europe/Berlin}]}
    tools:
      add_comment: {max_calls: 3, limits: {text: {maxLength: 40}}}
      get_ticket: {approval: each_call}
      delete_ticket: {when: {client: [cimd]}}
`

// approve publishes the policy with all tools that the world has.
func (w *world) approve(text string) {
	w.t.Helper()
	res, err := w.store.ResourceByURI(w.t.Context(), ticketsURI)
	must(w.t, err)
	var live []store.Tool
	for _, one := range res.Tools {
		live = append(live, store.Tool{Name: one.Name, Live: one.Definition, LiveHash: one.Hash})
	}
	_, err = w.store.PublishManifest(w.t.Context(), ticketsURI, []byte(text), tokens.HashBytes([]byte(text)), live)
	must(w.t, err)
}

// lendScopes runs the flow for these scopes with these ticks.
func (a *agent) lendScopes(scope string, tools, reads []string) (page string, got answer) {
	a.w.t.Helper()
	ask := a.request()
	ask.Del("authorization_details")
	ask.Set("scope", scope)
	b := a.w.mara()
	page = b.get(a.push(ask)).Body
	form := hidden(page)
	form["tool"], form["read"] = tools, reads
	form.Set("duration", "1800")
	form.Set("decision", "allow")
	sent := b.post("/consent", form)
	to, err := url.Parse(sent.Header.Get("Location"))
	if err != nil || sent.Status != http.StatusSeeOther {
		return page, sent
	}
	return page, a.post("/token", a.codeForm(to.Query().Get("code")))
}

func TestOfferOfAPolicy(t *testing.T) {
	w := newWorld(t)
	w.approve(offeringPolicy)
	a := w.agent(w.client)
	page, got := a.lendScopes("docs tickets", []string{"add_comment", "get_ticket"}, []string{"docs"})
	for _, want := range []string{
		"Reads docs://handbook/**", "Prompt summarise", `name="read" value="docs"`, "Only Mon 08:00–18:00 Europe/Berlin", "At most 3 calls", "Asks each time",
		"only to apps that are known better", // delete_ticket is for clients of another grade
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(page, `value="delete_ticket"`) {
		t.Error("a tool is offered that this client can never call")
	}
	c := w.claims(got.text("access_token"))
	if c.Grade != "registered" || !slices.Contains(c.Scope, "docs") || c.Details.Tools[0].MaxCalls != 3 && c.Details.Tools[1].MaxCalls != 3 {
		t.Errorf("%+v", c)
	}
	if slices.ContainsFunc(c.Details.Tools, func(d tokens.ToolDetail) bool { return d.Tool == "get_ticket" && d.Approval != tokens.ApprovalEachCall }) {
		t.Errorf("the policy wants each call to be asked about: %+v", c.Details)
	}

	_, got = w.agent(w.client).lendScopes("docs", []string{"search_tickets"}, nil) // unticked: the tool, and nothing to read
	if c := w.claims(got.text("access_token")); !slices.Equal(c.Scope, []string{"tool:search_tickets"}) {
		t.Errorf("scopes %q", c.Scope)
	}
	_, got = w.agent(w.client).lendScopes("docs", nil, []string{"docs"}) // and nothing to call
	if c := w.claims(got.text("access_token")); !slices.Equal(c.Scope, []string{"docs"}) || len(c.Details.Tools) != 0 {
		t.Errorf("scopes %q, %+v", c.Scope, c.Details)
	}
	if _, got := w.agent(w.client).lendScopes("docs", []string{"search_tickets"}, []string{"tickets"}); got.Status != http.StatusBadRequest {
		t.Errorf("what was not offered to be read: %d %s", got.Status, got.Body)
	}
}

func TestOfferOfAnObservedPolicy(t *testing.T) {
	w := newWorld(t)
	w.approve(strings.Replace(offeringPolicy, "version: 1", "version: 1\nmode: observe", 1))
	page, got := w.agent(w.client).lendScopes("tickets", []string{"add_comment"}, nil)
	if !strings.Contains(page, "only watches its own rules") || strings.Contains(page, "At most 3 calls") || strings.Contains(page, "40") && strings.Contains(page, "text: at most") {
		t.Error("the page must say that the policy is watched, and promise none of its limits")
	}
	if c := w.claims(got.text("access_token")); len(c.Details.Tools) != 1 || c.Details.Tools[0].MaxCalls != 0 {
		t.Errorf("what is only watched is granted as a limit: %+v", c.Details)
	}
}

// TestReserveByThePolicyOfACall: a Guard's policy may allow less than consent and the published policy.
func TestReserveByThePolicyOfACall(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	reserve := func(most int) answer {
		return g.call("POST", "/executions/reserve", map[string]any{
			"execution": tokens.NewID("exe_"), "task": claims.Task.ID, "jti": claims.ID, "tool": "search_tickets", "max_calls": most,
		})
	}
	if got := reserve(2); got.Status != http.StatusOK || got.JSON["tool_left"] != 1.0 {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if got := reserve(2); got.Status != http.StatusOK || got.JSON["tool_left"] != 0.0 {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	want(t, reserve(2), 409, "tool_budget_spent")
	if got := reserve(3); got.Status != http.StatusOK {
		t.Errorf("a rule that allows more: %d %s", got.Status, got.Body)
	}
	want(t, reserve(-1), 400, "invalid_request")
}
