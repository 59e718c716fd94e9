package resource_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

func always(c *resource.Config) { c.Introspection = resource.IntrospectAlways }

// A Guard without a feed asks about every request and remembers nothing of the answers.
func TestIntrospectAlways(t *testing.T) {
	w := newWorld(t, always)
	token := w.token(reader())
	for range 3 {
		if a := w.call(token, "search_tickets", web); a.status != http.StatusOK {
			t.Fatalf("got %d: %s", a.status, a.body)
		}
	}
	if n := w.issuer.Introspections(); n < 3 {
		t.Errorf("asked %d times", n)
	}
	w.issuer.Advance(time.Minute) // no view grows stale
	if a := w.call(token, "search_tickets", web); a.status != http.StatusOK {
		t.Errorf("later: %d", a.status)
	}
	w.issuer.Down(true)
	a := w.call(token, "search_tickets", web)
	w.wants(a, http.StatusServiceUnavailable, resource.StaleView)
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.issuer.Down(false)
	w.issuer.SuspendTask(token.Claims.Task.ID)
	w.wants(w.call(token, "search_tickets", web), http.StatusUnauthorized, resource.TokenRevoked)
	w.issuer.ResumeTask(token.Claims.Task.ID)
	if a := w.call(token, "search_tickets", web); a.status != http.StatusOK { // a "no" is not remembered either
		t.Errorf("after it was resumed: %d", a.status)
	}
	w.issuer.EndTask(token.Claims.Task.ID)
	w.wants(w.call(token, "search_tickets", web), http.StatusUnauthorized, resource.TokenRevoked)
	w.good()
}

// Only tools that the configuration names are asked about, and then even a fresh feed is not enough.
func TestIntrospectTools(t *testing.T) {
	w := newWorld(t, func(c *resource.Config) { c.IntrospectTools = []string{"get_ticket"} })
	token := w.token(reader())
	call := func(tool string) answer { return w.call(token, tool, web) }
	if a := call("search_tickets"); a.status != http.StatusOK || w.issuer.Introspections() != 0 {
		t.Errorf("got %d, asked %d times", a.status, w.issuer.Introspections())
	}
	for n := 1; n <= 2; n++ {
		if a := call("get_ticket"); a.status != http.StatusOK || w.issuer.Introspections() != n {
			t.Errorf("got %d, asked %d times", a.status, w.issuer.Introspections())
		}
	}
	w.issuer.SetRoles("usr_test", "guest") // RM2: lost since the token was issued
	w.wants(call("get_ticket"), http.StatusForbidden, resource.NoRole)
	w.issuer.SetRoles("usr_test", "agent", "admin") // never more than the token has
	if a := call("get_ticket"); a.status != http.StatusOK {
		t.Errorf("with the role again: %d %s", a.status, a.body)
	}
	w.issuer.TamperIntrospection(func(out map[string]any) {
		for name := range out {
			delete(out, name)
		}
		out["active"] = false
	})
	w.wants(call("get_ticket"), http.StatusUnauthorized, resource.TokenRevoked)
	if a := call("search_tickets"); a.status != http.StatusOK {
		t.Errorf("another tool: %d", a.status)
	}
}

// The policy file can name them too, and a reload counts from the next call on.
func TestIntrospectByPolicy(t *testing.T) {
	w := newWorld(t, func(c *resource.Config) {
		c.Policy = []byte(strings.Replace(ticketsPolicy, "get_ticket: {}", "get_ticket: {introspect: always}", 1))
	})
	token := w.token(reader())
	if a := w.call(token, "search_tickets", web); a.status != http.StatusOK || w.issuer.Introspections() != 0 {
		t.Errorf("another tool: %d, asked %d times", a.status, w.issuer.Introspections())
	}
	if a := w.call(token, "get_ticket", web); a.status != http.StatusOK || w.issuer.Introspections() != 1 {
		t.Errorf("got %d, asked %d times", a.status, w.issuer.Introspections())
	}
	w.issuer.SetRoles("usr_test", "guest")
	w.wants(w.call(token, "get_ticket", web), http.StatusForbidden, resource.NoRole)
	w.issuer.SetRoles("usr_test", "agent")
	w.issuer.TamperIntrospection(func(out map[string]any) { out["jti"] = tokens.NewID("at_") })
	w.wants(w.call(token, "get_ticket", web), http.StatusServiceUnavailable, resource.StaleView)
	w.issuer.TamperIntrospection(nil)
	if err := w.guard.ReloadPolicy([]byte(ticketsPolicy)); err != nil {
		t.Fatal(err)
	}
	asked := w.issuer.Introspections()
	if a := w.call(token, "get_ticket", web); a.status != http.StatusOK || w.issuer.Introspections() != asked {
		t.Errorf("without it: %d, asked %d times more", a.status, w.issuer.Introspections()-asked)
	}
}

// RS16: an answer counts only for the very token that was asked about.
func TestIntrospectionIsBound(t *testing.T) {
	w := newWorld(t, always)
	w.good()
	other, err := tokens.NewProofKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string]any){
		"another token":    func(out map[string]any) { out["jti"] = tokens.NewID("at_") },
		"another key":      func(out map[string]any) { out["cnf"] = map[string]string{"jkt": other.JKT()} },
		"no key":           func(out map[string]any) { delete(out, "cnf") },
		"another task":     func(out map[string]any) { out["task"] = map[string]string{"id": tokens.NewID("tsk_")} },
		"another user":     func(out map[string]any) { out["sub"] = "usr_other" },
		"another client":   func(out map[string]any) { out["client_id"] = "cli_other" },
		"another resource": func(out map[string]any) { out["aud"] = "https://other.example/mcp" },
		"another issuer":   func(out map[string]any) { out["iss"] = "https://other.example" },
		"another end":      func(out map[string]any) { out["exp"] = 4102444800 },
		"another grant":    func(out map[string]any) { out["grant_hash"] = tokens.HashBytes(nil) },
		"active as text":   func(out map[string]any) { out["active"] = "true" },
	} {
		t.Run(name, func(t *testing.T) {
			w.issuer.TamperIntrospection(change)
			w.wants(w.call(w.token(reader()), "search_tickets", web), http.StatusServiceUnavailable, resource.StaleView)
			w.issuer.TamperIntrospection(nil)
			w.good()
		})
	}
}

// What has begun to stream ends with its task also without a feed.
func TestIntrospectWait(t *testing.T) {
	w := newWorld(t, always)
	ended := make(chan resource.Code, 1)
	began := make(chan struct{})
	w.serve = func(_ http.ResponseWriter, r *http.Request) {
		p, _ := resource.PermitFrom(r.Context())
		close(began)
		ended <- p.Wait(context.WithoutCancel(r.Context()))
	}
	token := w.token(resourcetest.Grant{Scopes: []string{"tickets.read"}, Roles: []string{"agent"}, Tools: []tokens.ToolDetail{{Tool: "search_tickets"}}})
	go func() {
		<-began
		w.issuer.EndTask(token.Claims.Task.ID)
	}()
	w.call(token, "search_tickets", web)
	if code := <-ended; code != resource.TokenRevoked {
		t.Errorf("it ended with %q", code)
	}
}

// A task's time runs out also when nobody can be asked about it.
func TestIntrospectWaitByTheClock(t *testing.T) {
	w := newWorld(t, always)
	ended := make(chan resource.Code, 1)
	w.serve = func(_ http.ResponseWriter, r *http.Request) {
		p, _ := resource.PermitFrom(r.Context())
		w.issuer.Down(true)
		w.issuer.Advance(time.Hour)
		ended <- p.Wait(context.WithoutCancel(r.Context()))
	}
	w.call(w.token(reader()), "search_tickets", web)
	if code := <-ended; code != resource.TaskEnded {
		t.Errorf("it ended with %q", code)
	}
}

func TestIntrospectionUnknown(t *testing.T) {
	w := newWorld(t)
	c := w.config
	c.StateDir, c.EnrolmentCode, c.Introspection = t.TempDir(), w.issuer.Enrolment(w.uri), "sometimes"
	if g, err := resource.New(t.Context(), c); err == nil {
		g.Close()
		t.Error("an unknown way was taken")
	}
}
