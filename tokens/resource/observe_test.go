package resource_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// TestObserve: what the policy alone refuses runs and is recorded as what would have been refused;
// token, key, task, consent and liveness are enforced all the same.
func TestObserve(t *testing.T) {
	w := newWorld(t, func(c *resource.Config) {
		c.Policy = []byte(strings.Replace(ticketsPolicy, "version: 1", "version: 1\nmode: observe", 1) +
			"  late: {tools: {email_customer: {when: {client: [cimd]}}}}\n")
	})
	all := func(scope, role string) *resourcetest.Token {
		g := resourcetest.Grant{Scopes: []string{scope}, Roles: []string{role}}
		for _, tool := range []string{"search_tickets", "add_comment", "delete_ticket", "unmapped_tool", "email_customer"} {
			g.Tools = append(g.Tools, tokens.ToolDetail{Tool: tool})
		}
		g.Tools[0].Constraints = constraints(t, `{"project":{"const":"WEB"}}`)
		return w.token(g)
	}
	tests := []struct {
		token     *resourcetest.Token
		tool      string
		arguments any
		observed  string
		check     string // that failed
	}{
		{all("tickets.read", "reader"), "search_tickets", web, "", ""},
		{all("tickets.read", "reader"), "search_tickets", map[string]any{"project": "WEB", "limit": 51}, "argument_limit", "limits"},
		{all("tickets.read", "agent"), "add_comment", web, "scope", "scope"},
		{all("tickets.write", "reader"), "add_comment", web, "role", "role"},
		{all("tickets.write", "admin"), "unmapped_tool", web, "unknown_tool", "definition"},
		{all("tool:email_customer", "late"), "email_customer", web, "condition", "condition"},
	}
	for _, tt := range tests {
		if a := w.call(tt.token, tt.tool, tt.arguments); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", tt.tool, a.status, a.body)
		}
	}
	byTask := map[string]resourcetest.Execution{}
	for _, e := range w.issuer.Executions(w.uri, 2*len(tests)) {
		if e.Kind == "execution.decided" {
			byTask[e.Task] = e
		}
	}
	for _, tt := range tests {
		e, failed := byTask[tt.token.Claims.Task.ID], ""
		for _, c := range e.Checks {
			if !c.OK {
				failed += c.Name
			}
		}
		if e.Decision != "allowed" || e.Observed != tt.observed || failed != tt.check || len(e.Checks) < 13 {
			t.Errorf("%s: %+v", tt.tool, e)
		}
	}

	token := all("tickets.read", "reader")
	w.wants(w.call(token, "get_ticket", web), http.StatusForbidden, resource.ToolNotGranted) // consent
	w.wants(w.call(token, "search_tickets", map[string]any{"project": "OPS"}), http.StatusForbidden, resource.ArgumentLimit)
	w.wants(w.call(token, "no_such_tool", web), http.StatusForbidden, resource.NoScope)
	changed := all("tickets.read", "reader")
	changed.Claims.Details.Tools[0].Definition = tokens.HashBytes([]byte("another"))
	raw, err := w.issuer.Key().SignAccessToken(changed.Claims)
	if err != nil {
		t.Fatal(err)
	}
	changed.Raw = raw
	w.wants(w.call(changed, "search_tickets", web), http.StatusForbidden, resource.DefinitionChanged)
	limited := w.token(agent(tokens.ToolDetail{Tool: "email_customer", MaxCalls: 1}))
	if a := w.call(limited, "email_customer", web); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.wants(w.call(limited, "email_customer", web), http.StatusForbidden, resource.ToolBudget) // the consent's own
	w.issuer.EndTask(token.Claims.Task.ID)
	w.eventually("the end of the task", func() bool { return w.call(token, "search_tickets", web).status == http.StatusUnauthorized })

	counted := w.token(agent(tokens.ToolDetail{Tool: "add_comment"}))
	for range 3 { // the policy says two
		if a := w.call(counted, "add_comment", web); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	w.eventually("the third call in the record", func() bool {
		n := 0
		for _, e := range w.issuer.Executions(w.uri, 1) {
			if e.Task == counted.Claims.Task.ID && e.Observed == "tool_budget" {
				n++
			}
		}
		return n == 1
	})
}

// TestPolicyBudgetIsDurable: what a policy allows is counted at the authorization server, so that no
// restart of a Guard begins to count again.
func TestPolicyBudgetIsDurable(t *testing.T) {
	w := newWorld(t)
	token := w.token(agent(tokens.ToolDetail{Tool: "add_comment"}))
	if a := w.call(token, "add_comment", web); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if err := w.guard.Close(); err != nil {
		t.Fatal(err)
	}
	w.guard = w.issuer.Guard(w.config)
	if a := w.call(token, "add_comment", web); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.wants(w.call(token, "add_comment", web), http.StatusForbidden, resource.ToolBudget)
	w.issuer.Down(true)
	other := w.token(agent(tokens.ToolDetail{Tool: "add_comment"}))
	w.wants(w.call(other, "add_comment", web), http.StatusServiceUnavailable, resource.BudgetUnavailable)
}
