package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// TestConsoleKillKey: a stolen key dies by the hand of an admin who has just signed in and types what the
// page says; anybody else, and any other form, leaves it as it was.
func TestConsoleKillKey(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	lent := a.tokens()
	kid := w.signer()
	viewer, revoker, admin := w.staff("viewer@example.com", store.RoleViewer), w.staff("revoker@example.com", store.RoleRevoker), w.staff("admin@example.com", store.RoleAdmin)
	page := "/admin/key?kid=" + kid
	if got := viewer.get("/admin/keys"); strings.Contains(got.Body, "/admin/key?") {
		t.Error("a viewer is led to killing")
	}
	if got := admin.get("/admin/keys"); !strings.Contains(got.Body, `href="`+page+`"`) {
		t.Errorf("no way to the key: %s", got.words())
	}
	shows(t, admin.get(page), "Kill this signing key?", "There is no way back", kid, "Running tasks 1", "at every Guard within a minute", "Type "+kid[:8]+" to go on", "remit key kill "+kid+" --reason='…'")
	form := func(change func(url.Values)) url.Values {
		f := url.Values{"kid": {kid}, "confirm": {kid[:8]}, "reason": {"stolen"}}
		if change != nil {
			change(f)
		}
		return f
	}
	var dead string
	keys, err := w.store.Keys(t.Context())
	must(t, err)
	for _, k := range keys {
		if k.Use != "sig" {
			dead = k.ID // no key that signs
		}
	}
	for name, tt := range map[string]struct {
		by     *browser
		change func(url.Values)
		status int
	}{
		"a viewer":        {viewer, nil, http.StatusForbidden},
		"a revoker":       {revoker, nil, http.StatusForbidden},
		"not typed":       {admin, func(f url.Values) { f.Del("confirm") }, http.StatusConflict},
		"typed otherwise": {admin, func(f url.Values) { f.Set("confirm", "yes") }, http.StatusConflict},
		"no reason":       {admin, func(f url.Values) { f.Del("reason") }, http.StatusBadRequest},
		"no key":          {admin, func(f url.Values) { f.Del("kid") }, http.StatusNotFound},
		"unknown":         {admin, func(f url.Values) { f.Set("kid", "nobody"); f.Set("confirm", "nobody") }, http.StatusNotFound},
		"no signing key":  {admin, func(f url.Values) { f.Set("kid", dead); f.Set("confirm", dead) }, http.StatusNotFound},
	} {
		if got := tt.by.fill("/admin/key/kill", form(tt.change)); got.Status != tt.status {
			t.Errorf("%s: %d %s", name, got.Status, got.words())
		}
	}
	w.clock.Add(5*time.Minute + time.Second)
	if got := admin.fill("/admin/key/kill", form(nil)); got.Status != http.StatusForbidden || !strings.Contains(got.words(), "Sign in again") {
		t.Errorf("long after signing in: %d %s", got.Status, got.words())
	}
	if got := admin.get(page); got.Status != http.StatusUnauthorized || !strings.Contains(got.Body, `name="password"`) || !strings.Contains(got.words(), "Sign in again to kill a key") {
		t.Errorf("long after signing in, the page: %d %s", got.Status, got.words())
	}
	if w.signer() != kid {
		t.Fatal("the key is dead already")
	}
	if got := a.post("/token", a.refreshForm(lent.text("refresh_token"))); got.Status != http.StatusOK {
		t.Fatalf("after what was refused: %d %s", got.Status, got.Body)
	} else {
		lent = got
	}
	again := w.staff("other@example.com", store.RoleAdmin) // who has just signed in
	shows(t, again.act("/admin/key/kill", form(nil)), "Keys", kid)
	if w.signer() == kid {
		t.Error("it signs still")
	}
	if got := again.get(page); got.Status != http.StatusNotFound {
		t.Errorf("its page: %d", got.Status)
	}
	if got := again.fill("/admin/key/kill", form(nil)); got.Status != http.StatusNotFound {
		t.Errorf("again: %d %s", got.Status, got.words())
	}
	if _, said := w.said("key.killed"); said["kid"] != kid || said["person"] != w.id("other@example.com") || said["reason"] != "INC-2291 runaway agent" {
		t.Errorf("recorded: %v", said)
	}
	if got := a.post("/token", a.refreshForm(lent.text("refresh_token"))); got.Status != http.StatusOK {
		t.Errorf("a new token for the task that runs: %d %s", got.Status, got.Body)
	}
}
