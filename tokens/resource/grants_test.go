package resource_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// manyTools is a policy and a manifest of that many tools, one of which the test calls.
func manyTools(n int) (policy string, all []json.RawMessage, details []tokens.ToolDetail) {
	var b strings.Builder
	b.WriteString("version: 1\nscopes: {all: {roles: [agent]}}\nroles:\n  agent:\n    tools:\n")
	for i := range n {
		name := fmt.Sprintf("tool_%04d", i)
		fmt.Fprintf(&b, "      %s: {}\n", name)
		all = append(all, definition(name, "Does "+name))
		details = append(details, tokens.ToolDetail{Tool: name})
	}
	return b.String(), all, details
}

func largeWorld(t *testing.T, n int) (*world, resourcetest.Grant) {
	t.Helper()
	rules, all, details := manyTools(n)
	w := newWorld(t, func(c *resource.Config) { c.Policy = []byte(rules) })
	w.mu.Lock()
	w.tools = all
	w.mu.Unlock()
	w.issuer.Advance(2 * time.Second) // so that the live tools are read again
	grant := resourcetest.Grant{Scopes: []string{"all"}, Roles: []string{"agent"}}
	for _, d := range details {
		def, err := tokens.ParseDefinition(definition(d.Tool, "Does "+d.Tool))
		if err != nil {
			t.Fatal(err)
		}
		if d.Definition, err = def.Hash(); err != nil {
			t.Fatal(err)
		}
		grant.Tools = append(grant.Tools, d)
	}
	return w, grant
}

func TestLargeGrant(t *testing.T) {
	w, grant := largeWorld(t, 1000)
	first, second := w.token(grant), w.token(grant) // of other tasks: the same grant
	if first.Claims.GrantHash == "" || len(first.Raw) > 1<<10 {
		t.Errorf("a token of %d bytes, grant_hash %q", len(first.Raw), first.Claims.GrantHash)
	}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			one := first
			if i%2 == 1 {
				one = second
			}
			if a := w.call(one, fmt.Sprintf("tool_%04d", i*60), web); a.status != http.StatusOK {
				t.Errorf("call %d got %d: %s", i, a.status, a.body)
			}
		})
	}
	all.Wait()
	if n := w.issuer.GrantFetches(w.uri); n != 1 {
		t.Errorf("the grant was fetched %d times", n)
	}
	few := w.token(resourcetest.Grant{Scopes: grant.Scopes, Roles: grant.Roles, Tools: grant.Tools[:100]})
	w.wants(w.call(few, "tool_0500", web), http.StatusForbidden, resource.ToolNotGranted)
	if a := w.call(few, "tool_0099", web); a.status != http.StatusOK {
		t.Errorf("a tool of the smaller grant got %d: %s", a.status, a.body)
	}
}

func TestLargeGrantFailsClosed(t *testing.T) {
	w, grant := largeWorld(t, 100)
	wider := grant
	wider.Tools = append([]tokens.ToolDetail{{Tool: "tool_extra"}}, grant.Tools...)
	widest, err := detailsOf(w.uri, wider).Canonical()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := detailsOf("https://other.example/mcp", grant).Canonical()
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for name, lie := range map[string][]byte{
		"no such grant":        nil,
		"a wider grant":        widest,
		"another resource's":   elsewhere,
		"not JSON":             []byte("<html>"),
		"nothing":              {},
		"the same, other form": append(append([]byte{}, widest...), ' '),
	} {
		t.Run(name, func(t *testing.T) {
			g := grant
			calls++
			g.MaxCalls = 10 + calls // a grant, and a hash, of its own
			token := w.token(g)
			truth := detailsOf(w.uri, g)
			truth.Task = &tokens.TaskDetail{MaxCalls: g.MaxCalls}
			raw, err := truth.Canonical()
			if err != nil {
				t.Fatal(err)
			}
			hash := tokens.HashBytes(raw)
			w.issuer.SetGrant(w.uri, hash, lie)
			a := w.call(token, "tool_0001", web)
			w.wants(a, http.StatusServiceUnavailable, resource.GrantUnavailable)
			if a.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			w.issuer.SetGrant(w.uri, hash, raw)
			if a := w.call(token, "tool_0001", web); a.status != http.StatusOK {
				t.Errorf("with the true grant: %d %s", a.status, a.body)
			}
		})
	}
	t.Run("one that hashes to its name, for another resource", func(t *testing.T) {
		claims := w.issuer.Claims(w.uri, grant)
		claims.Details, claims.GrantHash = tokens.Details{}, tokens.HashBytes(elsewhere)
		w.issuer.SetGrant(w.uri, claims.GrantHash, elsewhere)
		w.wants(w.call(w.issuer.Sign(claims), "tool_0001", web), http.StatusServiceUnavailable, resource.GrantUnavailable)
		if a := w.call(w.token(grant), "tool_0001", web); a.status != http.StatusOK {
			t.Errorf("the good request got %d: %s", a.status, a.body)
		}
	})
}

// detailsOf is what the grant's canonical form is made of.
func detailsOf(uri string, g resourcetest.Grant) tokens.Details {
	d := tokens.Details{Task: &tokens.TaskDetail{}}
	for _, t := range g.Tools {
		t.Locations = []string{uri}
		if t.Definition == "" {
			t.Definition = tokens.HashBytes([]byte(t.Tool))
		}
		d.Tools = append(d.Tools, t)
	}
	return d
}

// tools/list asks for each tool whether it may be called.
func TestLargeGrantListed(t *testing.T) {
	w, grant := largeWorld(t, 1000)
	grant.Tools = grant.Tools[:500]
	var may int
	w.serve = func(rw http.ResponseWriter, r *http.Request) {
		p, _ := resource.PermitFrom(r.Context())
		for i := range 1000 {
			if p.May(r.Context(), fmt.Sprintf("tool_%04d", i)) {
				may++
			}
		}
	}
	if a := w.send(w.token(grant), []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)); a.status != http.StatusOK || may != 500 {
		t.Errorf("%d: %d tools may be called, want 500", a.status, may)
	}
}
