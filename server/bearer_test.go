package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// setPolicy publishes another policy file for the resource.
func (w *world) setPolicy(text string) {
	w.t.Helper()
	res, err := w.store.ResourceByURI(context.Background(), ticketsURI)
	must(w.t, err)
	var live []store.Tool // as they are: a tool that is not offered any more is gone
	for _, one := range res.Tools {
		if one.LiveHash == "" && !one.Gone {
			one.Live, one.LiveHash = one.Definition, one.Hash
		}
		live = append(live, store.Tool{Name: one.Name, Live: one.Live, LiveHash: one.LiveHash})
	}
	_, err = w.store.PublishManifest(context.Background(), ticketsURI, []byte(text), tokens.HashBytes([]byte(text)), live)
	must(w.t, err)
}

func TestBearerByPolicy(t *testing.T) {
	w := newWorld(t)
	must(t, w.store.AddClient(context.Background(), store.Client{ID: "cli_bearer", CreatedAt: w.clock.Now(), Policy: store.ClientPolicy{Bearer: true}, Metadata: store.ClientMetadata{
		ClientName: "Old Client", RedirectURIs: []string{"http://127.0.0.1/callback"}, TokenEndpointAuthMethod: "none", GrantTypes: []string{"authorization_code", "refresh_token"},
	}}))
	a := w.agent("cli_bearer")
	flow := func(tools ...string) answer {
		pushed := a.send("/par", a.request())
		to := w.mara().consent("/authorize?"+url.Values{"client_id": {a.client}, "request_uri": {pushed.text("request_uri")}}.Encode(), tools...)
		return a.send("/token", a.codeForm(to.Query().Get("code")))
	}
	want(t, flow("search_tickets", "add_comment"), 400, "invalid_dpop_proof") // the resource does not allow it

	w.setPolicy("bearer: read_only" + ticketsPolicy)
	page := w.mara().get("/authorize?" + a.request().Encode())
	if !strings.Contains(page.Body, "Not key-bound") || strings.Contains(page.Body, `value="add_comment"`) {
		t.Error("the page must say that the token is not key-bound, and offer tools that read alone")
	}
	got := flow("search_tickets")
	if got.Status != 200 || got.text("token_type") != "Bearer" || got.JSON["expires_in"].(float64) > 120 {
		t.Fatalf("bearer: %d %s", got.Status, got.Body)
	}
	keys, err := tokens.ParseKeySet([]byte(w.mara().get("/jwks").Body))
	must(t, err)
	claims, err := keys.OpenAccessToken(got.text("access_token"), w.issuer)
	must(t, err)
	if claims.JKT != "" || len(claims.Details.Tools) != 1 {
		t.Errorf("claims: %+v", claims)
	}
	want(t, a.call("POST", "/tasks/"+got.text("task_id")+"/complete", got.text("access_token")), 401, "invalid_token")
	other := w.agent(w.client)
	want(t, other.send("/token", other.codeForm("rc_x")), 400, "invalid_dpop_proof") // not this client's policy

	again := a.send("/token", a.refreshForm(got.text("refresh_token")))
	if again.Status != 200 || again.text("token_type") != "Bearer" {
		t.Fatalf("refresh: %d %s", again.Status, again.Body)
	}
	w.setPolicy(ticketsPolicy)
	want(t, a.send("/token", a.refreshForm(again.text("refresh_token"))), 400, "invalid_dpop_proof")
	w.setPolicy("bearer: read_only" + ticketsPolicy)
	last := a.send("/token", a.refreshForm(again.text("refresh_token")))
	if last.Status != 200 {
		t.Fatalf("after the refusal: %d %s", last.Status, last.Body)
	}
	done := a.send("/tasks/"+got.text("task_id")+"/complete", url.Values{"client_id": {a.client}, "refresh_token": {last.text("refresh_token")}})
	if done.text("state") != "completed" {
		t.Errorf("complete: %d %s", done.Status, done.Body)
	}
}

func TestBearerForClientsThatNoAdminAdded(t *testing.T) {
	for name, tt := range map[string]struct {
		all  bool
		body string
		want string // "" : a bearer token
	}{
		"by default":         {false, `{}`, "invalid_dpop_proof"},
		"where all may":      {true, `{}`, ""},
		"that wants a key":   {true, `{"dpop_bound_access_tokens":true}`, "invalid_dpop_proof"}, // RFC 9449 §5.2
		"that asks for more": {true, `{"remit":{"bearer":true,"refresh_grace":60}}`, ""},        // ignored
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOn(t, func(s store.Store) store.Store { return s }, func(c *server.Config) {
				c.Registration.Open, c.BearerForAll = true, tt.all
			})
			w.setPolicy("bearer: read_only" + ticketsPolicy)
			id := w.register(`{"redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],` + tt.body[1:])
			a := w.agent(id)
			form := a.request()
			form.Del("authorization_details")
			form.Set("scope", "tool:search_tickets")
			code := w.mara().consent("/authorize?"+form.Encode(), "search_tickets").Query().Get("code")
			got := a.send("/token", a.codeForm(code))
			if tt.want != "" {
				want(t, got, 400, tt.want)
				return
			}
			if got.Status != 200 || got.text("token_type") != "Bearer" {
				t.Fatalf("%d %s", got.Status, got.Body)
			}
			if done := a.send("/tasks/"+got.text("task_id")+"/complete", url.Values{"client_id": {id}, "refresh_token": {got.text("refresh_token")}}); done.text("state") != "completed" {
				t.Errorf("complete: %d %s", done.Status, done.Body)
			}
		})
	}
}

// register registers a client and returns its client_id.
func (w *world) register(body string) string {
	w.t.Helper()
	body = strings.Replace(body, ",}", "}", 1)
	resp, err := http.Post(w.issuer+"/register", "application/json", strings.NewReader(body))
	got := read(w.t, resp, err)
	if got.Status != http.StatusCreated {
		w.t.Fatalf("register: %d %s", got.Status, got.Body)
	}
	return got.text("client_id")
}
