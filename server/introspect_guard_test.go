package server_test

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens/resource"
)

// introspected is a policy whose tool get_ticket is asked about at each call.
const introspected = `version: 1
scopes: {s0: {roles: [r0]}}
roles: {r0: {tools: {get_ticket: {introspect: always}, search_tickets: {}}}}
`

// TestGuardIntrospects: a Guard that asks, without a feed or before one tool, learns from the shipped
// endpoint what has ended and which roles are left, at its next call.
func TestGuardIntrospects(t *testing.T) {
	ways := map[string]func(*resource.Config){
		"always":        func(c *resource.Config) { c.Introspection = resource.IntrospectAlways },
		"by the policy": func(*resource.Config) {},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ctx := context.Background()
			g := w.guarded(t, way)
			g.enforce(introspected)
			l := lending{scopes: []string{"s0"}, asked: map[string]askedFor{}, roles: []string{"r0"}, ticks: []string{"get_ticket", "search_tickets"}, later: []string{"r0"}}
			wants := func(a *agent, token string, statuses ...int) {
				t.Helper()
				if got := a.callWith(g.uri, token, "get_ticket", []byte(`{"project":"WEB"}`)); !slices.Contains(statuses, got) {
					t.Errorf("got %d, want one of %d", got, statuses)
				}
			}
			// The feed may be heard before or after the answer: of a task suspended it is a 403, of a token that no longer
			// stands a 401.
			refused := func(a *agent, token string) {
				t.Helper()
				wants(a, token, http.StatusUnauthorized, http.StatusForbidden)
			}
			a, token := g.lend(l)
			wants(a, token, http.StatusOK)
			g.assign(nil) // RM2: the role is lost since, and the token with it
			refused(a, token)
			g.assign([]string{"r0"})
			refused(a, token)
			a, token = g.lend(l)
			wants(a, token, http.StatusOK)
			must(t, w.store.RevokeAccess(ctx, w.claims(token).ID))
			wants(a, token, http.StatusUnauthorized)

			a, token = g.lend(l)
			task := w.claims(token).Task.ID
			_, err := w.store.SuspendTask(ctx, task, store.ByAdmin, "test")
			must(t, err)
			refused(a, token)
			_, err = w.store.EndTask(ctx, store.End{TaskID: task, State: store.TaskRevoked, By: store.ByUser, Reason: "test"})
			must(t, err)
			refused(a, token)
			a, token = g.lend(l)
			wants(a, token, http.StatusOK)
			if n := g.ran; n != 3 {
				t.Errorf("%d calls ran, want 3", n)
			}
		})
	}
}
