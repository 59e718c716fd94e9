package resource_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// unbound is a good call with a token that is bound to no key, sent as what it is.
func (w *world) unbound(t *resourcetest.Token, tool string, change ...func(*http.Request)) answer {
	w.Helper()
	r := w.request(resourcetest.Call(tool, web))
	r.Header.Set("Authorization", "Bearer "+t.Raw)
	for _, c := range change {
		c(r)
	}
	return w.do(http.DefaultClient, r)
}

func TestBearerByPolicy(t *testing.T) {
	grant := resourcetest.Grant{
		Bearer: true, Scopes: []string{"tickets.read", "tickets.write"}, Roles: []string{"agent"},
		Tools: []tokens.ToolDetail{{Tool: "search_tickets"}, {Tool: "add_comment"}},
	}
	readOnly := func(c *resource.Config) { c.Policy = []byte("bearer: read_only\n" + ticketsPolicy) }
	all := func(c *resource.Config) { c.Policy = []byte("bearer: all\n" + ticketsPolicy) }

	t.Run("not by default", func(t *testing.T) {
		w := newWorld(t)
		w.wants(w.unbound(w.token(grant), "search_tickets"), http.StatusUnauthorized, resource.NotKeyBound)
		w.good()
	})
	t.Run("read-only tools", func(t *testing.T) {
		w := newWorld(t, readOnly, func(c *resource.Config) {
			plain := c.Tools
			c.Tools = func(ctx context.Context) ([]json.RawMessage, error) {
				tools, err := plain(ctx)
				tools = slices.Clone(tools)
				tools[0] = json.RawMessage(strings.Replace(string(tools[0]), `{`, `{"annotations":{"readOnlyHint":true},`, 1))
				return tools, err
			}
		})
		token := w.token(grant)
		if a := w.unbound(token, "search_tickets"); a.status != http.StatusOK {
			t.Errorf("a reading tool: %d %s", a.status, a.body)
		}
		w.wants(w.unbound(token, "add_comment"), http.StatusForbidden, resource.NotKeyBound)
		narrow := grant // nor could a new consent help: the client is not sent to ask for one
		narrow.Scopes, narrow.Tools = []string{"tickets.read"}, grant.Tools[:1]
		refused := w.unbound(w.token(narrow), "add_comment")
		w.wants(refused, http.StatusForbidden, resource.NotKeyBound)
		if c := strings.Join(refused.header.Values("WWW-Authenticate"), " "); strings.Contains(c, "error=") || !strings.Contains(c, "DPoP algs=") {
			t.Errorf("challenges: %s", c)
		}
		narrow.Roles = []string{"reader"} // who has no right to the tool learns nothing of it
		w.wants(w.unbound(w.token(narrow), "add_comment"), http.StatusForbidden, resource.NoScope)
		w.wants(w.unbound(token, "search_tickets", func(r *http.Request) { r.Header.Set("Authorization", "DPoP "+token.Raw) }), http.StatusUnauthorized, resource.NotKeyBound)
		bound := w.token(reader())
		w.wants(w.unbound(bound, "search_tickets"), http.StatusUnauthorized, resource.NotKeyBound) // no downgrade
		w.good()
	})
	t.Run("all tools", func(t *testing.T) {
		w := newWorld(t, all)
		if a := w.unbound(w.token(grant), "add_comment"); a.status != http.StatusOK {
			t.Errorf("any tool: %d %s", a.status, a.body)
		}
	})
}
