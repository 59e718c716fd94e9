package server_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/memory"
)

func TestSessionCookie(t *testing.T) { // LG1
	w := newWorld(t)
	secure, err := server.New(context.Background(), server.Config{
		Issuer: "https://id.example", Store: w.store, Ephemeral: memory.New(memory.Options{Now: w.clock.Now}),
		MasterKey: w.masterKey, Now: w.clock.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	must(t, err)
	t.Cleanup(secure.Close)
	got := serve(secure.Handler(), "POST", "/signin", url.Values{"email": {"mara@example.com"}, "password": {password}}.Encode(), "", "")
	cookies := got.Result().Cookies()
	if got.Code != http.StatusSeeOther || len(cookies) == 0 {
		t.Fatalf("sign-in: %d, cookies %v", got.Code, cookies)
	}
	for _, c := range cookies {
		hostBound(t, c)
	}
	if page := serve(secure.Handler(), "GET", "/agents", "", "", ""); page.Header().Get("Strict-Transport-Security") == "" {
		t.Error("no Strict-Transport-Security over https")
	}
}

func hostBound(t *testing.T, c *http.Cookie) {
	t.Helper()
	if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("cookie: %s", c)
	}
}

func TestSignOut(t *testing.T) { // LG8
	w := newWorld(t)
	b := w.browser()
	b.signIn()
	page := b.get("/agents")
	noCode(t, b.post("/signout", url.Values{}), http.StatusForbidden)
	noCode(t, b.post("/signout", url.Values{"csrf": {"guess"}}), http.StatusForbidden)
	if still := b.get("/agents"); !strings.Contains(still.Body, "mara@example.com") {
		t.Fatal("a forged sign-out signed the user out")
	}
	cookie := b.http.Jar.Cookies(mustURL(t, w.issuer))[0]
	if out := b.post("/signout", url.Values{"csrf": {hidden(page.Body).Get("csrf")}}); out.Status != http.StatusSeeOther {
		t.Fatalf("sign-out: %d", out.Status)
	}
	thief := w.browser() // the cookie's value was copied before
	thief.http.Jar.SetCookies(mustURL(t, w.issuer), []*http.Cookie{cookie})
	if got := thief.get("/agents"); strings.Contains(got.Body, "mara@example.com") {
		t.Error("the session lives on after signing out")
	}
}

func TestForwardedForIsNotBelieved(t *testing.T) { // LG9
	w := newWorld(t)
	limited := false
	for i := range 100 {
		r := httptest.NewRequest("POST", "/signin", strings.NewReader(url.Values{"email": {strings.Repeat("x", i+1) + "@example.com"}, "password": {""}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Forwarded-For", "203.0.113."+strings.Repeat("1", i%3+1)) // another "address" each time
		got := httptest.NewRecorder()
		w.server.Handler().ServeHTTP(got, r)
		limited = limited || got.Code == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("a forged X-Forwarded-For dodged the limit of the address")
	}
}

// changing is a store where the user's password is changed just before a session begins.
type changing struct {
	store.Store
	user, hash string // empty: it is not
}

func (c *changing) AddSession(ctx context.Context, session store.Session, recs ...store.Record) error {
	if c.user != "" {
		if err := c.SetPassword(ctx, c.user, c.hash, store.Hash{}); err != nil {
			return err
		}
	}
	return c.Store.AddSession(ctx, session, recs...)
}

// TestSignInByAChangedPassword: who signs in by a password while it is changed elsewhere, because somebody else knows
// it, has no session.
func TestSignInByAChangedPassword(t *testing.T) {
	var s *changing
	w := newWorldOn(t, func(inner store.Store) store.Store { s = &changing{Store: inner}; return s })
	u, err := w.store.UserByID(t.Context(), w.user.ID)
	if err != nil {
		t.Fatal(err)
	}
	s.user, s.hash = u.ID, "another"
	form := url.Values{"email": {"mara@example.com"}, "password": {password}}
	if got := w.browser().post("/signin", form); got.Status != http.StatusUnauthorized || len(got.Header.Values("Set-Cookie")) > 0 {
		t.Fatalf("%d %s, cookies %q", got.Status, got.words(), got.Header.Values("Set-Cookie"))
	}
	s.user = ""
	if err := s.SetPassword(t.Context(), u.ID, u.PasswordHash, store.Hash{}); err != nil {
		t.Fatal(err)
	}
	w.browser().signIn()
}
