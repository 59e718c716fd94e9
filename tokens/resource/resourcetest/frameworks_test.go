package resourcetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// A server of mark3labs/mcp-go under a Guard: its tools are what the Guard compares, its lists show
// what the caller may call, and what it runs is what the Guard allowed.
func Example_markThreeLabs() {
	var guard *resource.Guard // of resource.New, with Tools: toolsOf(tickets)
	tickets := newTickets()
	http.Handle("/mcp", guard.Protect(server.NewStreamableHTTPServer(tickets, server.WithStateLess(true))))
	http.Handle("/.well-known/", guard.Metadata())
}

// newTickets is the server, with the two options that a Guard needs.
func newTickets() *server.MCPServer {
	s := server.NewMCPServer("tickets", "1", server.WithToolFilter(permitted), server.WithToolHandlerMiddleware(secondCheck))
	for _, name := range []string{"get_ticket", "delete_ticket"} {
		s.AddTool(mcp.NewTool(name, mcp.WithString("id")), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			p, _ := resource.PrincipalFrom(ctx)
			return mcp.NewToolResultText(name + " for " + p.User), nil
		})
	}
	return s
}

// permitted leaves of a list what the caller may call.
func permitted(ctx context.Context, tools []mcp.Tool) (mine []mcp.Tool) {
	permit, ok := resource.PermitFrom(ctx)
	for _, t := range tools {
		if ok && permit.May(ctx, t.Name) {
			mine = append(mine, t)
		}
	}
	return mine
}

// secondCheck runs nothing but the call that the Guard allowed, once.
func secondCheck(next server.ToolHandlerFunc) server.ToolHandlerFunc {
	return func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		arguments, err := json.Marshal(r.GetRawArguments())
		if err != nil {
			return nil, err
		}
		if permit, ok := resource.PermitFrom(ctx); !ok || !permit.Use(r.Params.Name, arguments) {
			return mcp.NewToolResultError("this is not the call that the guard allowed"), nil
		}
		return next(ctx, r)
	}
}

// toolsOf reads the live definitions, past the filter.
func toolsOf(s *server.MCPServer) func(context.Context) ([]json.RawMessage, error) {
	return func(context.Context) (all []json.RawMessage, err error) {
		for _, t := range s.ListTools() {
			raw, err := json.Marshal(t.Tool)
			if err != nil {
				return nil, err
			}
			all = append(all, raw)
		}
		return all, nil
	}
}

// plainServer is a server by net/http alone: it filters its lists itself.
func plainServer(w http.ResponseWriter, r *http.Request) {
	permit, _ := resource.PermitFrom(r.Context())
	result := json.RawMessage(`{"content":[{"type":"text","text":"for ` + permit.Principal().User + `"}]}`)
	if permit.Method() == "tools/list" {
		entries, err := tools(r.Context())
		if err == nil {
			result, err = json.Marshal(map[string]any{"tools": entries})
		}
		if err == nil {
			result, err = permit.FilterTools(r.Context(), result)
		}
		if err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": 1, "result": result})
}

// TestFrameworks: behind every kind of server an agent sees and calls the tools of its token alone.
func TestFrameworks(t *testing.T) {
	labs := newTickets()
	for name, one := range map[string]struct {
		handler http.Handler
		tools   func(context.Context) ([]json.RawMessage, error)
	}{
		"net/http":         {http.HandlerFunc(plainServer), tools},
		"mark3labs/mcp-go": {server.NewStreamableHTTPServer(labs, server.WithStateLess(true)), toolsOf(labs)},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := resourcetest.New(t)
			var protected http.Handler
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { protected.ServeHTTP(w, r) }))
			defer web.Close()
			uri := web.URL + "/mcp"
			protected = issuer.Guard(issuer.Config(uri, policy, one.tools)).Protect(one.handler)
			token := issuer.Token(uri, resourcetest.Grant{User: "mara", Scopes: []string{"tickets"}, Roles: []string{"agent"}, Tools: []tokens.ToolDetail{{Tool: "get_ticket"}}})
			post := func(body []byte) (int, string) {
				t.Helper()
				resp, err := token.Client().Post(uri, "application/json", bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				raw, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(raw)
			}
			if status, list := post([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)); status != http.StatusOK || !strings.Contains(list, "get_ticket") || strings.Contains(list, "delete_ticket") {
				t.Errorf("tools/list: %d %s", status, list)
			}
			if status, said := post(resourcetest.Call("get_ticket", map[string]string{"id": "7"})); status != http.StatusOK || !strings.Contains(said, "for mara") {
				t.Errorf("get_ticket: %d %s", status, said)
			}
			if status, said := post(resourcetest.Call("delete_ticket", map[string]string{"id": "7"})); status != http.StatusForbidden {
				t.Errorf("delete_ticket: %d %s", status, said)
			}
		})
	}
}
