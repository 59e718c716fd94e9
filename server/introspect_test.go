package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// introspect asks about a token as the Guard.
func (g *guardian) introspect(token string) answer {
	g.w.t.Helper()
	return g.w.introspect(url.Values{
		"token":                 {token},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {g.assertion()},
	}, "")
}

func (w *world) introspect(form url.Values, authorization string) answer {
	w.t.Helper()
	r, err := http.NewRequest("POST", w.issuer+"/introspect", strings.NewReader(form.Encode()))
	must(w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	return read(w.t, resp, err)
}

// TestIntrospection plays attacks.md IN1 to IN5.
func TestIntrospection(t *testing.T) {
	var db *tokenless
	w := newWorldOn(t, func(s store.Store) store.Store { db = &tokenless{Store: s}; return db })
	w.addOther()
	g, other := w.guard(ticketsURI), w.guard(otherURI)
	a := w.agent(w.client)
	issued := a.post("/token", a.codeForm(a.code()))
	token, refresh := issued.text("access_token"), issued.text("refresh_token")
	claims, err := w.keys().OpenAccessToken(token, w.issuer)
	must(t, err)
	const jwt = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

	for name, tt := range map[string]struct {
		form   url.Values
		header string
	}{ // IN1
		"no authentication": {url.Values{"token": {token}}, ""},
		"a public client":   {url.Values{"token": {token}, "client_id": {w.client}}, ""},
		"the live token":    {url.Values{"token": {token}}, "Bearer " + token},
		"a Guard's header":  {url.Values{"token": {token}}, "Bearer " + g.assertion()},
		"another type":      {url.Values{"token": {token}, "client_assertion_type": {"x"}, "client_assertion": {g.assertion()}}, ""},
		"two methods":       {url.Values{"token": {token}, "client_assertion_type": {jwt}, "client_assertion": {g.assertion()}}, "Bearer " + token},
	} {
		if got := w.introspect(tt.form, tt.header); got.Status != http.StatusUnauthorized || got.error() != "invalid_client" {
			t.Errorf("IN1 %s: %d %s", name, got.Status, got.Body)
		}
	}

	inactive := func(id string, got answer) {
		t.Helper()
		if got.Status != http.StatusOK || strings.TrimSpace(got.Body) != `{"active":false}` {
			t.Errorf("%s: %d %s", id, got.Status, got.Body)
		}
	}
	inactive("IN2 nonsense", g.introspect("nonsense"))
	inactive("IN2 refresh token", g.introspect(refresh))
	inactive("IN2 assertion", g.introspect(g.assertion()))
	inactive("IN2 tampered", g.introspect(token[:len(token)-4]+"AAAA"))
	inactive("IN3 another resource", other.introspect(token))

	got := g.introspect(token) // IN4
	want := map[string]any{
		"active": true, "token_type": "DPoP", "aud": ticketsURI, "iss": w.issuer, "sub": w.user.ID, "client_id": w.client,
		"jti": claims.ID, "scope": strings.Join(claims.Scope, " "), "exp": float64(claims.Expires.Unix()),
	}
	for name, value := range want {
		if got.JSON[name] != value {
			t.Errorf("IN4 %s = %v, want %v", name, got.JSON[name], value)
		}
	}
	if cnf, _ := got.JSON["cnf"].(map[string]any); cnf["jkt"] != claims.JKT {
		t.Errorf("IN4 cnf = %v", cnf)
	}
	if list, _ := got.JSON["authorization_details"].([]any); len(list) == 0 {
		t.Errorf("IN4 authorization_details = %v", list)
	}
	if strings.Contains(got.Body, "argon") || strings.Contains(got.Body, "mara@") {
		t.Errorf("IN4 tells too much: %s", got.Body)
	}
	if got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("IN4 Cache-Control = %q", got.Header.Get("Cache-Control"))
	}

	db.down.Store(true) // IN5
	if got := g.introspect(token); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || strings.Contains(got.Body, "active") || strings.Contains(got.Body, "disk") {
		t.Errorf("IN5: %d %s", got.Status, got.Body)
	}
	db.down.Store(false)

	if got := w.operator("POST", "/admin/api/tasks/suspend", map[string]string{"id": claims.Task.ID}); got.Status != http.StatusOK {
		t.Fatal(got.Body)
	}
	inactive("IN2 suspended", g.introspect(token))
	if got := w.operator("POST", "/admin/api/tasks/resume", map[string]string{"id": claims.Task.ID}); got.Status != http.StatusOK {
		t.Fatal(got.Body)
	}
	if got := g.introspect(token); got.JSON["active"] != true {
		t.Errorf("resumed: %s", got.Body)
	}
	w.clock.Add(301 * time.Second)
	inactive("IN2 expired", g.introspect(token))
}

func TestIntrospectionAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(w *world, task string) answer{
		"task ended": func(w *world, task string) answer {
			return w.operator("POST", "/admin/api/tasks/end", map[string]string{"id": task})
		},
		"user disabled": func(w *world, _ string) answer {
			return w.operator("POST", "/admin/api/users/disable", map[string]string{"user": "mara@example.com"})
		},
		"client disabled": func(w *world, _ string) answer {
			return w.operator("POST", "/admin/api/clients/disable", map[string]string{"client_id": w.client})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			g := w.guard(ticketsURI)
			token, claims := w.lend()
			if got := g.introspect(token); got.JSON["active"] != true {
				t.Fatalf("before: %s", got.Body)
			}
			if got := end(w, claims.Task.ID); got.Status != http.StatusOK {
				t.Fatalf("end: %d %s", got.Status, got.Body)
			}
			if got := g.introspect(token); strings.TrimSpace(got.Body) != `{"active":false}` {
				t.Errorf("after: %s", got.Body)
			}
			if n := len(w.records("task.ended")); n != 1 {
				t.Errorf("%d records of one end", n)
			}
		})
	}
}
