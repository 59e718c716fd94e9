package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
)

const hopPolicy = `
version: 1
scopes:
  read:  {roles: [reader]}
  write: {roles: [writer]}
roles:
  reader: {tools: {look: {}}}
  writer: {tools: {change: {}}}
`

// hop is an MCP server behind a real Guard.
type hop struct {
	uri   string
	guard *resource.Guard
	seen  []http.Header
	who   resource.Principal
}

// serveHop registers an MCP server with two tools and serves it; tool runs what its Guard let through.
func (w *world) serveHop(name string, tool func(h *hop, r *http.Request) error) *hop {
	w.t.Helper()
	return w.serveHopWith(name, hopPolicy, tool)
}

// serveHopWith does so with another policy.
func (w *world) serveHopWith(name, policy string, tool func(h *hop, r *http.Request) error) *hop {
	w.t.Helper()
	t, ctx, h := w.t, context.Background(), &hop{}
	mcp := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h.seen = append(h.seen, r.Header.Clone())
		h.guard.Protect(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			h.who, _ = resource.PrincipalFrom(r.Context())
			if tool != nil {
				if err := tool(h, r); err != nil {
					http.Error(rw, err.Error(), http.StatusBadGateway)
				}
			}
		})).ServeHTTP(rw, r)
	}))
	t.Cleanup(mcp.Close)
	h.uri = mcp.URL + "/mcp"
	res := store.Resource{URI: h.uri, Name: name, Policy: []byte(policy), PolicyVersion: tokens.HashBytes([]byte(policy)), CreatedAt: w.clock.Now()}
	var live []json.RawMessage
	for _, n := range []string{"look", "change"} {
		one := toolNamed(t, n)
		res.Tools, live = append(res.Tools, one), append(live, one.Definition)
	}
	must(t, w.store.AddResource(ctx, res))
	must(t, w.store.AssignRole(ctx, w.user.ID, h.uri, "reader"))
	var err error
	h.guard, err = resource.New(ctx, resource.Config{
		Issuer: w.issuer, Resource: h.uri, StateDir: t.TempDir(), EnrolmentCode: w.enrolCode(h.uri), Policy: res.Policy,
		Tools: func(context.Context) ([]json.RawMessage, error) { return live, nil }, Now: w.clock.Now, InsecureHTTP: true,
	})
	must(t, err)
	t.Cleanup(func() { h.guard.Close() })
	ready, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	must(t, h.guard.Ready(ready))
	return h
}

func toolNamed(t testing.TB, name string) store.Tool {
	return tool(t, name, `{"readOnlyHint":true,"openWorldHint":false}`, false)
}

// TestLastHop: an MCP server reaches another behind it for its caller, by a token of its own.
func TestLastHop(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	back := w.serveHop("Backend", nil)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request went elsewhere") }))
	t.Cleanup(elsewhere.Close)
	to, tools, failed := back.uri, "look", error(nil)
	front := w.serveHop("Front", func(h *hop, r *http.Request) error {
		client := &http.Client{Transport: h.guard.Backend(back.uri, nil, "read")}
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tools + `","arguments":{}}}`
		req, err := http.NewRequestWithContext(r.Context(), "POST", to, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", r.Header.Get("Authorization")) // what must never arrive
		resp, err := client.Do(req)
		if failed = err; err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("the backend answered %d", resp.StatusCode)
		}
		return nil
	})
	must(t, w.store.PutBackend(ctx, front.uri, back.uri, []string{"read"}))

	a := w.grantClient("Agent")
	ask := a.request()
	ask.Del("authorization_details")
	ask.Set("scope", "read")
	ask.Set("resource", front.uri)
	got := a.post("/token", a.codeForm(w.mara().consent(a.push(ask), "look").Query().Get("code")))
	token := got.text("access_token")
	if status := a.callTool(front.uri, token, "look"); status != http.StatusOK {
		t.Fatalf("call: %d (%v)", status, failed)
	}
	who := back.who
	if who.User != w.user.ID || who.JKT == a.key.JKT() || !strings.HasPrefix(who.Client, "grd_") || who.Task == got.text("task_id") ||
		len(who.Actors) != 2 || who.Actors[0].Subject != front.uri || who.Actors[1].Client != a.client || !slices.Equal(who.Scopes, []string{"read"}) {
		t.Errorf("the backend saw %+v", who)
	}
	if who.Expires.After(w.claims(token).Expires) {
		t.Errorf("the backend's token lives until %v, the caller's until %v", who.Expires, w.claims(token).Expires)
	}
	for _, h := range back.seen {
		if strings.Contains(fmt.Sprint(h), token) {
			t.Error("the caller's token was passed on")
		}
	}
	sent := len(back.seen)
	for _, address := range []string{elsewhere.URL + "/mcp", back.uri + "/../other", strings.TrimSuffix(back.uri, "mcp") + "other", back.uri + "x"} {
		to = address
		if status := a.callTool(front.uri, token, "look"); status != http.StatusBadGateway || failed == nil {
			t.Errorf("%s: %d", address, status)
		}
	}
	to = back.uri
	if len(back.seen) != sent {
		t.Errorf("%d requests reached the backend's host", len(back.seen)-sent)
	}
	tools = "change" // beyond the scopes that the admin allowed
	if status := a.callTool(front.uri, token, "look"); status != http.StatusBadGateway {
		t.Errorf("another tool of the backend: %d", status)
	}
	tools = "look"
	if _, err := front.guard.Exchange(ctx, back.uri); !errors.Is(err, resource.ErrNoPermit) {
		t.Errorf("without a permit: %v", err)
	}
	if status := a.callTool(front.uri, token, "look"); status != http.StatusOK {
		t.Errorf("after the refusals: %d (%v)", status, failed)
	}
	// The end of the caller's task is the end of what hangs under it.
	_, err := w.store.EndTask(ctx, store.End{TaskID: got.text("task_id"), State: store.TaskRevoked, By: store.ByUser, Reason: "test"})
	must(t, err)
	sub, _, err := w.store.TaskByID(ctx, who.Task)
	must(t, err)
	if !sub.State.Terminal() {
		t.Errorf("the backend's task is %s", sub.State)
	}
}

// TestExchangeBehind: what a resource may not have.
func TestExchangeBehind(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.addOther()
	g, other := w.guard(ticketsURI), w.guard(otherURI)
	must(t, w.store.AssignRole(ctx, w.user.ID, otherURI, "reader"))
	_, err := w.store.PublishManifest(ctx, otherURI, []byte(hopPolicy), tokens.HashBytes([]byte(hopPolicy)), []store.Tool{toolNamed(t, "look")})
	must(t, err)
	must(t, w.store.ApproveTool(ctx, otherURI, "look", toolNamed(t, "look").Hash))
	must(t, w.store.PutBackend(ctx, ticketsURI, otherURI, []string{"read"}))
	a := w.grantClient("Agent")
	token := a.tokens().text("access_token")
	hand := w.agent("") // the Guard's own key
	form := func(g *guardian) url.Values {
		return url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {token}, "subject_token_type": {accessTokenType}, "resource": {otherURI},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {g.assertion()},
		}
	}
	hand.post("/token", form(g)) // for its nonce
	for name, tt := range map[string]struct {
		form func() url.Values
		code string
	}{
		"the token of another resource": {func() url.Values { return form(other) }, "invalid_target"},
		"a backend that is not allowed": {func() url.Values { return with(form(g), "resource", ticketsURI) }, "invalid_target"},
		"no backend":                    {func() url.Values { f := form(g); f.Del("resource"); return f }, "invalid_target"},
		"a scope that is not allowed":   {func() url.Values { return with(form(g), "scope", "write") }, "invalid_scope"},
		"a tool that the backend has not": {func() url.Values {
			return with(form(g), "authorization_details", `[{"type":"mcp_tool","tool":"other"}]`)
		}, "invalid_authorization_details"},
		"another grant": {func() url.Values { return with(form(g), "grant_type", "client_credentials") }, "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			got := hand.send("/token", tt.form(), hand.proof("POST", "/token", ""))
			if got.Status < 400 || got.Status > 401 || got.error() != tt.code {
				t.Errorf("%d %s", got.Status, got.Body)
			}
			if got := hand.send("/token", form(g), hand.proof("POST", "/token", "")); got.Status != 200 {
				t.Errorf("the good request after it: %d %s", got.Status, got.Body)
			}
		})
	}
	want(t, hand.send("/token", form(g)), 400, "invalid_dpop_proof")
	made := hand.send("/token", form(g), hand.proof("POST", "/token", "")).text("access_token")
	if got := other.introspect(made); got.JSON["active"] != true {
		t.Errorf("introspect: %s", got.Body)
	}
	stopped := w.kill("resource", ticketsURI, "", 0) // it acts nowhere any more
	want(t, hand.send("/token", form(g), hand.proof("POST", "/token", "")), 503, "temporarily_unavailable")
	if got := other.introspect(made); got.JSON["active"] != false {
		t.Errorf("introspect at the backend of a stopped resource: %s", got.Body)
	}
	w.unkill(stopped)
	if got := other.introspect(made); got.JSON["active"] != true {
		t.Errorf("introspect afterwards: %s", got.Body)
	}
	if got := hand.send("/token", form(g), hand.proof("POST", "/token", "")); got.Status != 200 {
		t.Errorf("afterwards: %d %s", got.Status, got.Body)
	}
	must(t, w.store.UnassignRole(ctx, w.user.ID, otherURI, "reader"))
	want(t, hand.send("/token", form(g), hand.proof("POST", "/token", "")), 400, "invalid_scope")
}
