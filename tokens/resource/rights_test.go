package resource_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// agent may do what an agent does, on two tools that write.
func agent(tools ...tokens.ToolDetail) resourcetest.Grant {
	return resourcetest.Grant{Scopes: []string{"tickets.write"}, Roles: []string{"agent"}, Tools: tools}
}

func constraints(t *testing.T, raw string) tokens.Constraints {
	t.Helper()
	c, err := tokens.ParseConstraints([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRM1ToolWithoutScope(t *testing.T) {
	w := newWorld(t)
	grant := reader()
	grant.Tools = append(grant.Tools, tokens.ToolDetail{Tool: "add_comment"})
	a := w.call(w.token(grant), "add_comment", web)
	w.wants(a, http.StatusForbidden, resource.NoScope)
	c := a.header.Values("WWW-Authenticate")
	if len(c) != 2 || !strings.HasPrefix(c[0], `Bearer error="insufficient_scope"`) || !strings.Contains(c[0], `scope="tool:add_comment"`) ||
		!strings.Contains(c[0], "resource_metadata=") || !strings.HasPrefix(c[1], "DPoP ") || !strings.Contains(c[1], `scope="tool:add_comment"`) {
		t.Errorf("challenges %q", c)
	}
	if d := a.denial.Error; d.Code != -32001 || d.Data.Remediation != "available" || d.Data.Tool != "add_comment" || d.Data.Task == "" || string(a.denial.ID) != "1" {
		t.Errorf("denial %s", a.body)
	}
	w.good()
}

func TestRM3Arguments(t *testing.T) {
	w := newWorld(t)
	grant := reader()
	grant.Tools[0].Constraints = constraints(t, `{"project":{"const":"WEB"}}`)
	token := w.token(grant)
	tests := map[string]string{
		"another project":              `{"project":"OPS","limit":5}`,
		"no project":                   `{"limit":5}`,
		"beyond the policy's":          `{"project":"WEB","limit":51}`,
		"an unknown argument":          `{"project":"WEB","limit":5,"admin":true}`,
		"another case":                 `{"project":"WEB","Project":"OPS","limit":5}`,
		"another case alone":           `{"Project":"WEB","limit":5}`,
		"a list":                       `{"project":["WEB"],"limit":5}`,
		"a number that folds":          `{"project":"WEB","limit":"5"}`,
		"arguments that are no object": `["WEB"]`,
	}
	for name, arguments := range tests {
		t.Run(name, func(t *testing.T) {
			a := w.call(token, "search_tickets", json.RawMessage(arguments))
			w.wants(a, http.StatusForbidden, resource.ArgumentLimit)
			if !strings.Contains(a.header.Get("WWW-Authenticate"), `error="insufficient_scope"`) {
				t.Errorf("challenge %q", a.header.Get("WWW-Authenticate"))
			}
		})
	}
	w.wants(w.call(token, "search_tickets", json.RawMessage(`{"project":"WEB","project":"OPS","limit":5}`)), http.StatusBadRequest, resource.BadRequest)
	if w.calls() != 0 {
		t.Errorf("the server ran %d times", w.calls())
	}
	if a := w.call(token, "search_tickets", json.RawMessage(`{ "limit" : 5.0, "project": "\u0057EB"}`)); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if !strings.Contains(w.sent[0], `"arguments":{"limit":5,"project":"WEB"}`) {
		t.Errorf("the server got %s", w.sent[0])
	}
	if a := w.call(token, "search_tickets", json.RawMessage(`{"project":"WEB"}`)); a.status != http.StatusOK {
		t.Errorf("without what the policy only bounds: %d %s", a.status, a.body)
	}
}

// TestRefusedArgumentsAreRecorded: a refusal tells by its digest what was asked for, as a permission does.
func TestRefusedArgumentsAreRecorded(t *testing.T) {
	w := newWorld(t)
	grant := reader()
	grant.Tools[0].Constraints = constraints(t, `{"project":{"const":"WEB"}}`)
	w.wants(w.call(w.token(grant), "search_tickets", json.RawMessage(`{ "project":"OPS", "limit":5.0 }`)), http.StatusForbidden, resource.ArgumentLimit)
	e := w.issuer.Executions(w.uri, 1)[0]
	if e.Decision != "refused" || e.Arguments != tokens.HashBytes([]byte(`{"limit":5,"project":"OPS"}`)) {
		t.Errorf("recorded %+v", e)
	}
}

func TestRM4NothingInTheToken(t *testing.T) {
	w := newWorld(t)
	full := reader()
	for name, change := range map[string]func(*resourcetest.Grant){
		"no scopes": func(g *resourcetest.Grant) { g.Scopes = nil },
		"no roles":  func(g *resourcetest.Grant) { g.Roles = nil },
		"no tools":  func(g *resourcetest.Grant) { g.Tools = nil },
		"nothing":   func(g *resourcetest.Grant) { *g = resourcetest.Grant{} },
	} {
		t.Run(name, func(t *testing.T) {
			g := full
			change(&g)
			if a := w.call(w.token(g), "search_tickets", web); a.status != http.StatusForbidden {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	w.good()
}

func TestRM5ReadScopeOnAWrite(t *testing.T) {
	w := newWorld(t)
	grant := reader()
	grant.Roles = []string{"admin"}
	w.wants(w.call(w.token(grant), "delete_ticket", web), http.StatusForbidden, resource.NoScope)
	w.wants(w.call(w.token(grant), "email_customer", web), http.StatusForbidden, resource.NoScope)
	w.good()
}

// TestRM6UnknownTool: a tool that does not exist, one that no role names and one that is out of the
// user's reach are answered alike; the ledger knows the difference.
func TestRM6UnknownTool(t *testing.T) {
	w := newWorld(t)
	var answers []string
	names := []string{"no_such_tool", "unmapped_tool", "purge_cache", "delete_ticket"}
	for _, name := range names {
		token := w.token(agent(tokens.ToolDetail{Tool: name}))
		a := w.call(token, name, web)
		w.wants(a, http.StatusForbidden, resource.NoScope)
		text := a.body + strings.Join(a.header.Values("WWW-Authenticate"), "\n")
		text = strings.ReplaceAll(text, name, "TOOL")
		answers = append(answers, strings.ReplaceAll(text, token.Claims.Task.ID, "TASK"))
	}
	for i, a := range answers {
		if a != answers[0] {
			t.Errorf("%s:\n%s\n%s:\n%s", names[0], answers[0], names[i], a)
		}
	}
	var reasons []string
	for _, e := range w.issuer.Executions(w.uri, 4) {
		reasons = append(reasons, e.Reason)
	}
	if got := strings.Join(reasons, " "); got != "unknown_tool unknown_tool unknown_tool scope" {
		t.Errorf("the ledger is told %q", got)
	}
}

func TestRefusedByRole(t *testing.T) {
	w := newWorld(t)
	grant := agent(tokens.ToolDetail{Tool: "delete_ticket"})
	grant.Scopes = []string{"tool:delete_ticket"}
	a := w.call(w.token(grant), "delete_ticket", web)
	w.wants(a, http.StatusForbidden, resource.NoRole)
	if a.denial.Error.Data.Remediation != "unavailable" || strings.Contains(a.header.Get("WWW-Authenticate"), "scope=\"") {
		t.Errorf("a consent cannot help, but: %s %q", a.body, a.header.Get("WWW-Authenticate"))
	}
}

func TestToolNotGranted(t *testing.T) {
	w := newWorld(t)
	a := w.call(w.token(agent(tokens.ToolDetail{Tool: "add_comment"})), "email_customer", web)
	w.wants(a, http.StatusForbidden, resource.ToolNotGranted)
	if !strings.Contains(a.header.Get("WWW-Authenticate"), `scope="tool:email_customer"`) {
		t.Errorf("challenge %q", a.header.Get("WWW-Authenticate"))
	}
	elsewhere := w.token(reader())
	elsewhere.Claims.Details.Tools[0].Locations = []string{"https://r2.example/mcp"}
	raw, err := w.issuer.Key().SignAccessToken(elsewhere.Claims)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere.Raw = raw
	w.wants(w.call(elsewhere, "search_tickets", web), http.StatusForbidden, resource.ToolNotGranted)
}

func TestDefinitionChanged(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	if a := w.call(token, "get_ticket", web); a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	w.mu.Lock()
	w.tools[1] = definition("get_ticket", "Does get_ticket and posts it on the web")
	w.mu.Unlock()
	w.issuer.Advance(time.Second)
	w.wants(w.call(token, "get_ticket", web), http.StatusForbidden, resource.DefinitionChanged)
	if a := w.call(token, "search_tickets", web); a.status != http.StatusOK {
		t.Errorf("the other tool: %d %s", a.status, a.body)
	}
	w.eventually("the changed tool at the issuer", func() bool {
		_, tools := w.issuer.Manifest(w.uri)
		return strings.Contains(string(tools[1]), "posts it")
	})
	if a := w.call(w.token(reader()), "get_ticket", web); a.status != http.StatusOK {
		t.Errorf("consented again: %d %s", a.status, a.body)
	}
}

// TestDefinitionBroken: what cannot be judged is not called, and takes nothing beside it away.
func TestDefinitionBroken(t *testing.T) {
	for name, broken := range map[string]string{
		"a name of no grammar":      `{"name":"get ticket (new)","inputSchema":{"type":"object"}}`,
		"no schema":                 `{"name":"get_ticket"}`,
		"reads and destroys":        `{"name":"get_ticket","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true,"destructiveHint":true}}`,
		"no object":                 `17`,
		"twice":                     string(definition("get_ticket", "Does get_ticket")),
		"twice, one of them broken": `{"name":"get_ticket"}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			token := w.token(reader())
			w.good()
			good := w.tools
			w.mu.Lock()
			w.tools = append([]json.RawMessage{}, good...)
			if strings.HasPrefix(name, "twice") {
				w.tools = append(w.tools, json.RawMessage(broken))
			} else {
				w.tools[1] = json.RawMessage(broken)
			}
			w.mu.Unlock()
			w.issuer.Advance(time.Second)
			w.wants(w.call(token, "get_ticket", web), http.StatusForbidden, resource.NoScope) // as the ledger alone tells apart
			if a := w.call(token, "search_tickets", web); a.status != http.StatusOK {
				t.Errorf("the other tool: %d %s", a.status, a.body)
			}
			w.eventually("the issuer is told what is left", func() bool {
				_, tools := w.issuer.Manifest(w.uri)
				return len(tools) == len(good)-1
			})
			w.mu.Lock()
			w.tools = good
			w.mu.Unlock()
			w.issuer.Advance(time.Second)
			if a := w.call(token, "get_ticket", web); a.status != http.StatusOK {
				t.Errorf("mended: %d %s", a.status, a.body)
			}
		})
	}
}

func TestToolsCannotBeRead(t *testing.T) {
	var broken atomic.Bool
	w := newWorld(t, func(c *resource.Config) {
		list := c.Tools
		c.Tools = func(ctx context.Context) ([]json.RawMessage, error) {
			if broken.Load() {
				return nil, errors.New("no tools today")
			}
			return list(ctx)
		}
	})
	token := w.token(reader())
	w.good()
	broken.Store(true)
	w.issuer.Advance(time.Second)
	w.wants(w.call(token, "search_tickets", web), http.StatusServiceUnavailable, resource.StaleView)
	broken.Store(false)
	w.good()
}

func TestBudgets(t *testing.T) {
	w := newWorld(t)
	grant := agent(tokens.ToolDetail{Tool: "email_customer", MaxCalls: 2}, tokens.ToolDetail{Tool: "get_ticket"})
	token := w.token(grant)
	for range 2 {
		if a := w.call(token, "email_customer", web); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	w.wants(w.call(token, "email_customer", web), http.StatusForbidden, resource.ToolBudget)
	if a := w.call(token, "get_ticket", web); a.status != http.StatusOK {
		t.Errorf("the other tool: %d %s", a.status, a.body)
	}

	grant = agent(tokens.ToolDetail{Tool: "get_ticket"})
	grant.MaxCalls = 1
	token = w.token(grant)
	if a := w.call(token, "get_ticket", web); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.wants(w.call(token, "get_ticket", web), http.StatusForbidden, resource.TaskBudget)
	w.wants(w.call(token, "get_ticket", web), http.StatusUnauthorized, resource.TaskEnded)

	token = w.token(agent(tokens.ToolDetail{Tool: "email_customer", MaxCalls: 2}))
	w.issuer.Down(true) // no answer, no call
	w.wants(w.call(token, "email_customer", web), http.StatusServiceUnavailable, resource.BudgetUnavailable)
	w.issuer.Down(false)
	w.ready()
	if a := w.call(token, "email_customer", web); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestPolicyBudget: the policy allows an agent two comments a task, whatever the consent says.
func TestPolicyBudget(t *testing.T) {
	w := newWorld(t)
	token := w.token(agent(tokens.ToolDetail{Tool: "add_comment"}))
	for range 2 {
		if a := w.call(token, "add_comment", web); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	w.wants(w.call(token, "add_comment", web), http.StatusForbidden, resource.ToolBudget)
	if a := w.call(w.token(agent(tokens.ToolDetail{Tool: "add_comment"})), "add_comment", web); a.status != http.StatusOK {
		t.Errorf("another task: %d %s", a.status, a.body)
	}
}

func TestRM7RM8ReloadPolicy(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	if err := w.guard.ReloadPolicy([]byte("version: 1\nroles: {r: {include: [x]}}")); err == nil {
		t.Error("a policy with an unknown role was taken")
	}
	if a := w.call(token, "search_tickets", web); a.status != http.StatusOK {
		t.Errorf("the old policy is gone: %d %s", a.status, a.body)
	}
	narrower := strings.Replace(ticketsPolicy, "maximum: 50", "maximum: 2", 1)
	if err := w.guard.ReloadPolicy([]byte(narrower)); err != nil {
		t.Fatal(err)
	}
	w.wants(w.call(token, "search_tickets", web), http.StatusForbidden, resource.ArgumentLimit)
	w.eventually("the new policy at the issuer", func() bool {
		published, _ := w.issuer.Manifest(w.uri)
		return published == narrower
	})
	records := w.issuer.Executions(w.uri, 3)
	if records[0].Policy == records[2].Policy || records[2].Policy == "" {
		t.Errorf("policy versions %q and %q", records[0].Policy, records[2].Policy)
	}
}
