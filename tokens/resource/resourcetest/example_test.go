package resourcetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

const policy = `
version: 1
scopes: {tickets: {roles: [agent]}}
roles: {agent: {tools: {get_ticket: {}, delete_ticket: {}}}}
`

func tools(context.Context) ([]json.RawMessage, error) {
	return []json.RawMessage{
		json.RawMessage(`{"name":"get_ticket","inputSchema":{"type":"object","properties":{"id":{"type":"string"}}}}`),
		json.RawMessage(`{"name":"delete_ticket","inputSchema":{"type":"object","properties":{"id":{"type":"string"}}}}`),
	}, nil
}

// TestTickets is how the author of an MCP server tests it: what was allowed works, what was not does
// not, and nothing works once the task has ended.
func TestTickets(t *testing.T) {
	issuer := resourcetest.New(t)
	var guard *resource.Guard
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		guard.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, _ := resource.PrincipalFrom(r.Context())
			w.Write([]byte("for " + p.User))
		})).ServeHTTP(w, r)
	}))
	defer server.Close()
	guard = issuer.Guard(issuer.Config(server.URL+"/mcp", policy, tools))
	token := issuer.Token(server.URL+"/mcp", resourcetest.Grant{
		User: "mara", Scopes: []string{"tickets"}, Roles: []string{"agent"},
		Tools: []tokens.ToolDetail{{Tool: "get_ticket"}},
	})
	call := func(tool string) int {
		t.Helper()
		resp, err := token.Client().Post(server.URL+"/mcp", "application/json", bytes.NewReader(resourcetest.Call(tool, map[string]string{"id": "7"})))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := call("get_ticket"); got != http.StatusOK {
		t.Errorf("get_ticket: %d", got)
	}
	if got := call("delete_ticket"); got != http.StatusForbidden {
		t.Errorf("delete_ticket: %d", got)
	}
	issuer.EndTask(token.Claims.Task.ID)
	if got := call("get_ticket"); got != http.StatusUnauthorized {
		t.Errorf("get_ticket after the end: %d", got)
	}
	if got := len(issuer.Executions(server.URL+"/mcp", 4)); got != 4 { // a decision, its outcome, two refusals
		t.Errorf("%d records", got)
	}
}
