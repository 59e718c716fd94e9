package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
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
