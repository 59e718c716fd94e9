package server_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"testing"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// grantCase is what a test must know of a grant to walk it.
type grantCase struct {
	// good returns a request that has not been sent yet, and the task that it needs ("" where it makes one).
	good func(w *world, a *agent) (form url.Values, task string)
	// free names what a request of this grant is not bound to.
	free []string
	// user is whose account the grant needs; nil: Mara's.
	user func(w *world, a *agent) string
}

// grantCases has a case for every line of the table of grants.
var grantCases = map[string]grantCase{
	"authorization_code": {good: func(w *world, a *agent) (url.Values, string) {
		form := a.codeForm(a.code())
		st, err := w.store.CodeByID(context.Background(), store.HashOf(form.Get("code")))
		must(w.t, err)
		return form, st.Task.ID
	}},
	"refresh_token": {good: func(w *world, a *agent) (url.Values, string) {
		got := a.tokens()
		return a.refreshForm(got.text("refresh_token")), got.text("task_id")
	}},
	"client_credentials": {
		good: func(w *world, a *agent) (url.Values, string) { return a.ownForm(), "" },
		free: []string{"a wrong client", "a wrong key", "an ended task"}, // it presents nothing but itself
		user: func(_ *world, a *agent) string { return a.client },
	},
	"urn:ietf:params:oauth:grant-type:token-exchange": {good: func(w *world, a *agent) (url.Values, string) {
		parent := w.sibling(a)
		got := parent.tokens()
		return parent.handOn(a, got.text("access_token")), got.text("task_id")
	}},
}

// grantClient adds a confidential client that is registered for every grant, and returns an agent of it.
func (w *world) grantClient(name string) *agent {
	secret := tokens.NewSecret("rs_")
	c := store.Client{ID: tokens.NewID("cli_"), CreatedAt: w.clock.Now(), SecretHash: store.HashOf(secret), Metadata: store.ClientMetadata{
		ClientName: name, RedirectURIs: []string{"http://127.0.0.1/callback"}, TokenEndpointAuthMethod: "client_secret_post",
		GrantTypes: w.server.GrantNames(), ResponseTypes: []string{"code"},
	}}
	must(w.t, w.store.AddClient(context.Background(), c))
	must(w.t, w.store.AssignClientRole(context.Background(), c.ID, ticketsURI, "reader"))
	a := w.agent(c.ID)
	a.secret = secret
	return a
}

// sibling is another agent of the same client.
func (w *world) sibling(a *agent) *agent {
	b := w.agent(a.client)
	b.secret = a.secret
	return b
}

// TestGrantsRefuse walks the table of grants: whatever they present, all refuse the same things, and the
// good request after each refusal still works.
func TestGrantsRefuse(t *testing.T) {
	all, _, _ := trustWorld(t)
	for _, name := range all.server.GrantNames() {
		c, ok := grantCases[name]
		if !ok {
			t.Errorf("no case for %s", name)
			continue
		}
		t.Run(name, func(t *testing.T) { c.walk(t, name) })
	}
}

func (c grantCase) walk(t *testing.T, name string) {
	w, _, _ := trustWorld(t)
	ctx := context.Background()
	a, other := w.grantClient("All grants"), w.grantClient("Other")
	policy := func(p store.ClientPolicy) { must(t, w.store.SetClientPolicy(ctx, a.client, p)) }
	user := w.user.ID
	if c.user != nil {
		user = c.user(w, a)
	}
	tests := map[string]struct {
		codes []string
		spoil func(form url.Values, task string) (answer, func())
	}{
		"a wrong client": {[]string{"invalid_grant"}, func(form url.Values, _ string) (answer, func()) {
			form.Set("client_id", other.client)
			form.Set("client_secret", other.secret)
			return a.post("/token", form), nil
		}},
		"a wrong secret": {[]string{"invalid_client"}, func(form url.Values, _ string) (answer, func()) {
			form.Set("client_secret", other.secret)
			return a.post("/token", form), nil
		}},
		"a wrong key": {[]string{"invalid_grant", "invalid_dpop_proof"}, func(form url.Values, _ string) (answer, func()) {
			return w.sibling(a).post("/token", form), nil
		}},
		"no proof": {[]string{"invalid_dpop_proof"}, func(form url.Values, _ string) (answer, func()) {
			form.Set("client_secret", a.secret)
			return a.send("/token", form), nil
		}},
		"a grant outside the policy": {[]string{"unauthorized_client"}, func(form url.Values, _ string) (answer, func()) {
			policy(store.ClientPolicy{Grants: []string{"something_else"}})
			return a.post("/token", form), func() { policy(store.ClientPolicy{}) }
		}},
		"a resource outside the policy": {[]string{"invalid_target"}, func(form url.Values, _ string) (answer, func()) {
			policy(store.ClientPolicy{Resources: []string{"https://other.example/mcp"}})
			return a.post("/token", form), func() { policy(store.ClientPolicy{}) }
		}},
		"an unknown resource": {[]string{"invalid_target"}, func(form url.Values, _ string) (answer, func()) {
			form.Set("resource", "https://unknown.example/mcp")
			return a.post("/token", form), nil
		}},
		"another spelling of the resource": {[]string{"invalid_target"}, func(form url.Values, _ string) (got answer, undo func()) {
			for _, form["resource"] = range spellings() {
				if got = a.post("/token", form); got.Status != 400 || got.error() != "invalid_target" {
					t.Errorf("%s is taken", form["resource"])
					break
				}
			}
			return got, nil
		}},
		"no resource at all": {[]string{"invalid_target"}, func(form url.Values, _ string) (answer, func()) {
			form.Set("resource", "tickets")
			return a.post("/token", form), nil
		}},
		"a scope that is not to be had": {[]string{"invalid_scope"}, func(form url.Values, _ string) (answer, func()) {
			form.Set("scope", "everything")
			return a.post("/token", form), nil
		}},
		"a scope outside the policy": {[]string{"invalid_scope"}, func(form url.Values, _ string) (answer, func()) {
			policy(store.ClientPolicy{Scopes: []string{"tickets.read"}})
			form.Set("scope", "tickets.write")
			return a.post("/token", form), func() { policy(store.ClientPolicy{}) }
		}},
		"an ended task": {[]string{"invalid_grant"}, func(form url.Values, task string) (answer, func()) {
			_, err := w.store.EndTask(ctx, store.End{TaskID: task, State: store.TaskRevoked, By: store.ByUser, Reason: "test"})
			must(t, err)
			return a.post("/token", form), nil
		}},
		"a disabled user": {[]string{"invalid_grant"}, func(form url.Values, _ string) (answer, func()) {
			_, err := w.store.DisableUser(ctx, user, true)
			must(t, err)
			return a.post("/token", form), func() {
				_, err := w.store.DisableUser(ctx, user, false)
				must(t, err)
				w.signedIn = nil
			}
		}},
		"a disabled client": {[]string{"invalid_client"}, func(form url.Values, _ string) (answer, func()) {
			_, err := w.store.DisableClient(ctx, a.client, true)
			must(t, err)
			return a.post("/token", form), func() {
				_, err := w.store.DisableClient(ctx, a.client, false)
				must(t, err)
			}
		}},
		"a disabled resource": {[]string{"invalid_grant", "invalid_target"}, func(form url.Values, _ string) (answer, func()) {
			_, err := w.store.DisableResource(ctx, ticketsURI, true)
			must(t, err)
			return a.post("/token", form), func() {
				_, err := w.store.DisableResource(ctx, ticketsURI, false)
				must(t, err)
			}
		}},
	}
	for what, tt := range tests {
		if slices.Contains(c.free, what) {
			continue
		}
		t.Run(what, func(t *testing.T) {
			w.t = t
			form, task := c.good(w, a)
			before := w.tokenRecords()
			got, mend := tt.spoil(form, task)
			if got.Status < 400 || got.Status >= 500 || !slices.Contains(tt.codes, got.error()) {
				t.Errorf("%s with %s: %d %s", name, what, got.Status, got.Body)
			}
			if after := w.tokenRecords(); after != before {
				t.Errorf("%d tokens were issued", after-before)
			}
			if mend != nil {
				mend()
			}
			form, _ = c.good(w, a)
			if got := a.post("/token", form); got.Status != 200 || got.text("token_type") != "DPoP" {
				t.Errorf("the good request after %s: %d %s", what, got.Status, got.Body)
			}
		})
	}
}

// tokenRecords counts what was issued.
func (w *world) tokenRecords() int {
	w.t.Helper()
	return len(w.records("token.issued")) + len(w.records("token.refreshed"))
}

// TestPoliciesOfClients: what an admin sets holds for what was granted before.
func TestPoliciesOfClients(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	a := w.grantClient("Narrowed")
	refresh := a.tokens().text("refresh_token")
	must(t, w.store.SetClientPolicy(ctx, a.client, store.ClientPolicy{AccessLife: 60, Scopes: []string{"tickets.write", "other"}}))
	got := a.post("/token", a.refreshForm(refresh))
	if got.Status != 200 || got.JSON["expires_in"].(float64) > 60 || got.text("scope") != "tickets.write" {
		t.Errorf("narrowed: %d %s", got.Status, got.Body)
	}
	if err := w.store.SetClientPolicy(ctx, "cli_nobody", store.ClientPolicy{}); !errors.Is(err, store.ErrClientNotFound) {
		t.Error(err)
	}
	must(t, w.store.SetClientPolicy(ctx, a.client, store.ClientPolicy{Grants: []string{"refresh_token"}}))
	want(t, a.post("/par", a.request()), 400, "unauthorized_client")
}
