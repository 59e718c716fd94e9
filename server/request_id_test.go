package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/store"
)

// nameOf is what an answer calls the request.
func nameOf(t *testing.T, h http.Header) string {
	t.Helper()
	names := h.Values("X-Request-Id")
	if len(names) != 1 || !strings.HasPrefix(names[0], "req_") {
		t.Fatalf("the answer names its request %q", names)
	}
	return names[0]
}

// TestRequestsAreNamed: what the answer calls a request, the ledger calls it too, and nobody else can give that name.
func TestRequestsAreNamed(t *testing.T) { // AU1
	w := newWorld(t)
	a := w.agent(w.client)
	got := a.tokens()
	refreshed := a.post("/token", a.refreshForm(got.text("refresh_token")))
	disabled := w.operator("POST", "/admin/api/clients/disable", map[string]string{"client_id": w.client, "reason": "it misbehaves"})
	refused := a.send("/token", url.Values{"client_id": {a.client}, "grant_type": {"refresh_token"}, "refresh_token": {"rr_none"}})
	byKind := map[string]store.Record{}
	for _, rec := range w.records("") {
		byKind[rec.Kind] = rec
	}
	seen := map[string]bool{nameOf(t, refused.Header): true}
	for kind, answered := range map[string]answer{"token.issued": got, "token.refreshed": refreshed, "client.disabled": disabled} {
		name := nameOf(t, answered.Header)
		if seen[name] {
			t.Errorf("two requests are called %s", name)
		}
		seen[name] = true
		if rec, ok := byKind[kind]; !ok || rec.Request != name {
			t.Errorf("%s: recorded (%t) for %q, answered as %q", kind, ok, rec.Request, name)
		}
	}
	if rec := byKind["task.ended"]; rec.Request != nameOf(t, disabled.Header) {
		t.Errorf("the end that followed is recorded for %q", rec.Request)
	}

	name := nameOf(t, refreshed.Header)
	found := w.staff("sam@example.org", store.RoleViewer).get("/admin/ledger?request=" + name)
	if !strings.Contains(found.Body, "A token was refreshed") || strings.Contains(found.Body, "A token was issued") {
		t.Errorf("the console does not find a request's records by its name: %s", found.words())
	}
	read := slices.Collect(strings.Lines(w.operator("GET", "/admin/api/audit/records?request="+name, nil).Body))
	if len(read) == 0 || slices.ContainsFunc(read, func(line string) bool { return !strings.Contains(line, `"request":"`+name) }) {
		t.Errorf("an admin asks for the records of %s and reads %q", name, read)
	}

	page := w.mara().get("/authorize?client_id=" + w.client + "&request_uri=urn:x")
	if name := nameOf(t, page.Header); page.Status != http.StatusBadRequest || !strings.Contains(page.Body, name) {
		t.Errorf("a page that refuses does not tell whom to name: %d %s", page.Status, page.words())
	}

	r := httptest.NewRequest("POST", w.issuer+"/par", nil)
	r.Header.Set("X-Request-Id", nameOf(t, got.Header))
	rec := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(rec, r)
	if name := nameOf(t, rec.Result().Header); seen[name] {
		t.Errorf("a caller chose the name %s", name)
	}
}

// TestEveryAnswerIsNamed: also those that no endpoint gives, and those of the other listeners.
func TestEveryAnswerIsNamed(t *testing.T) { // AU1
	w := newWorld(t)
	long := strings.Repeat("a", 200<<10)
	public, remote := w.server.Handler(), w.server.RemoteAdmin("right")
	seen := map[string]bool{"req_mine": true}
	for name, ask := range map[string]struct {
		at                        http.Handler
		method, path, body, token string
		status                    int
	}{
		"metadata":             {at: public, method: "GET", path: "/.well-known/oauth-authorization-server", status: 200},
		"keys":                 {at: public, method: "GET", path: "/jwks", status: 200},
		"a page":               {at: public, method: "GET", path: "/signin", status: 200},
		"nothing":              {at: public, method: "GET", path: "/nothing", status: 404},
		"no static file":       {at: public, method: "GET", path: "/static/none", status: 404},
		"a path to be cleaned": {at: public, method: "GET", path: "/static/../token", status: 404},
		"another method":       {at: public, method: "DELETE", path: "/token", status: 405},
		"asked by a browser":   {at: public, method: "OPTIONS", path: "/token", status: 405},
		"too much":             {at: public, method: "POST", path: "/token", body: long, status: 413},
		"by the socket":        {at: w.server.Admin(), method: "GET", path: "/admin/api/users", status: 200},
		"nothing there":        {at: w.server.Admin(), method: "GET", path: "/none", status: 404},
		"another method there": {at: w.server.Admin(), method: "DELETE", path: "/admin/api/users", status: 405},
		"from afar":            {at: remote, method: "GET", path: "/admin/api/users", token: "right", status: 200},
		"from afar, refused":   {at: remote, method: "GET", path: "/admin/api/users", token: "wrong", status: 401},
		"from afar, nobody":    {at: remote, method: "GET", path: "/admin/api/users", status: 401},
	} {
		r := httptest.NewRequest(ask.method, w.issuer+ask.path, strings.NewReader(ask.body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Request-Id", "req_mine")
		if ask.token != "" {
			r.Header.Set("Authorization", "Bearer "+ask.token)
		}
		rec := httptest.NewRecorder()
		ask.at.ServeHTTP(rec, r)
		if rec.Code != ask.status {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
		names := rec.Result().Header.Values("X-Request-Id")
		if len(names) != 1 || !strings.HasPrefix(names[0], "req_") || seen[names[0]] {
			t.Errorf("%s is named %q", name, names)
			continue
		}
		seen[names[0]] = true
	}
}
