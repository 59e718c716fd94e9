package server_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/remit-auth/remit/store"
)

// ownForm is a request of a client for itself.
func (a *agent) ownForm() url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {a.client}, "resource": {ticketsURI}, "scope": {"tickets.read"}}
}

func TestClientCredentials(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	a := w.grantClient("Nightly job")
	got := a.post("/token", a.ownForm())
	if got.Status != 200 || got.text("token_type") != "DPoP" || got.text("refresh_token") != "" {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	c := w.claims(got.text("access_token"))
	if c.Subject != a.client || c.ClientID != a.client || strings.Join(c.Roles, " ") != "reader" || len(c.Details.Tools) != 2 || !c.Expires.Equal(c.Task.Ends) {
		t.Errorf("claims: %+v", c)
	}
	if done := a.call("POST", "/tasks/"+got.text("task_id")+"/complete", got.text("access_token")); done.Status != 200 {
		t.Errorf("complete: %d %s", done.Status, done.Body)
	}
	// Nothing without a role, whatever the scopes say.
	must(t, w.store.UnassignRole(ctx, a.client, ticketsURI, "reader"))
	want(t, a.post("/token", a.ownForm()), 400, "invalid_scope")
	must(t, w.store.AssignClientRole(ctx, a.client, ticketsURI, "reader"))
	// Only what both reach: the reader's role has no comments.
	wide := a.ownForm()
	wide.Set("scope", "tickets.write")
	if got := a.post("/token", wide); got.Status != 200 || strings.Contains(got.Body, "add_comment") {
		t.Errorf("wide: %d %s", got.Status, got.Body)
	}
	for name, form := range map[string]url.Values{
		"invalid_target":                {"resource": nil},
		"invalid_authorization_details": {"authorization_details": {`[{"type":"mcp_tool","tool":"unknown"}]`}},
	} {
		bad := a.ownForm()
		for k, v := range form {
			bad[k] = v
		}
		want(t, a.post("/token", bad), 400, name)
	}
	// A public client has nobody to speak for.
	public := w.agent(w.client)
	want(t, public.post("/token", public.ownForm()), 400, "unauthorized_client")
	c2, err := w.store.ClientByID(ctx, w.client)
	must(t, err)
	c2.ID, c2.Metadata.GrantTypes = "cli_public", []string{"client_credentials"}
	must(t, w.store.AddClient(ctx, c2))
	public.client = c2.ID
	want(t, public.post("/token", public.ownForm()), 400, "unauthorized_client")
	if got := a.post("/token", a.ownForm()); got.Status != 200 {
		t.Errorf("the good request after them: %d %s", got.Status, got.Body)
	}
}

func TestClientCredentialsWithoutKey(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	a := w.grantClient("Nightly job")
	form := with(a.ownForm(), "client_secret", a.secret)
	must(t, w.store.SetClientPolicy(ctx, a.client, store.ClientPolicy{Bearer: true}))
	want(t, a.send("/token", form), 400, "invalid_dpop_proof") // the resource does not allow it
}
