package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server/upstream"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// logoutClaims is what a good logout token of the provider says.
func (p *idp) logoutClaims(w *world) map[string]any {
	now := w.clock.Now().Unix()
	return map[string]any{
		"iss": p.http.URL, "aud": "remit", "iat": now, "exp": now + 120, "jti": tokens.NewID("lo_"), "sub": "s-1", "sid": "sid-1",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
}

// signsOut posts a logout token as the provider does: without a browser.
func (p *idp) signsOut(w *world, typ string, claims map[string]any) answer {
	p.t.Helper()
	token, err := p.key.Sign(typ, claims)
	must(p.t, err)
	if p.forge != nil {
		token = p.forge(token)
	}
	return p.posts(w, "acme", url.Values{"logout_token": {token}})
}

func (p *idp) posts(w *world, provider string, form url.Values) answer {
	p.t.Helper()
	resp, err := http.PostForm(w.issuer+"/logout/from/"+provider, form)
	return read(p.t, resp, err)
}

// isIn reports whether the browser is signed in.
func (b *browser) isIn() bool { return strings.Contains(b.get("/agents").Body, "Signed in as") }

// TestBackChannelLogout: who signs out at the provider is signed out here, where they came through it,
// and nowhere else; once.
func TestBackChannelLogout(t *testing.T) {
	w, p := withIDP(t)
	in := func(sub, sid string) *browser {
		p.claims["sub"], p.claims["sid"], p.claims["email"] = sub, sid, sub+"@example.com"
		b := w.browser()
		b.through(withAcme)
		if !b.isIn() {
			t.Fatal("not signed in")
		}
		return b
	}
	laptop, phone, other := in("s-1", "sid-1"), in("s-1", "sid-2"), in("s-2", "sid-3")
	local := w.browser()
	local.signIn()
	user, err := w.store.UserByUpstream(t.Context(), p.http.URL, "s-1")
	must(t, err)
	check := func(what string, want ...*browser) {
		t.Helper()
		for name, b := range map[string]*browser{"laptop": laptop, "phone": phone, "other": other, "local": local} {
			is := false
			for _, one := range want {
				is = is || one == b
			}
			if b.isIn() != is {
				t.Errorf("%s: %s is signed in: %v", what, name, !is)
			}
		}
	}
	claims := p.logoutClaims(w)
	if got := p.signsOut(w, "logout+jwt", claims); got.Status != http.StatusOK || got.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("logout: %d %s", got.Status, got.Body)
	}
	check("one session", phone, other, local)
	w.clock.Add(90 * time.Second)
	laptop = in("s-1", "sid-1") // comes back
	if got := p.signsOut(w, "logout+jwt", claims); got.Status != http.StatusBadRequest {
		t.Errorf("the same token again: %d", got.Status)
	}
	check("replayed", laptop, phone, other, local)

	bySID := p.logoutClaims(w)
	delete(bySID, "sub")
	bySID["sid"] = "sid-2"
	if got := p.signsOut(w, "JWT", bySID); got.Status != http.StatusOK {
		t.Fatalf("by sid: %d %s", got.Status, got.Body)
	}
	check("by its name", laptop, other, local)
	stranger := p.logoutClaims(w)
	stranger["sub"], stranger["sid"] = "s-2", "sid-1" // the session is not theirs
	p.signsOut(w, "logout+jwt", stranger)
	check("another's session", laptop, other, local)

	phone = in("s-1", "sid-4")
	all := p.logoutClaims(w)
	delete(all, "sid")
	if got := p.signsOut(w, "logout+jwt", all); got.Status != http.StatusOK {
		t.Fatalf("by sub: %d %s", got.Status, got.Body)
	}
	check("all of one person", other, local)
	must(t, w.server.Settle(t.Context()))
	recs, err := w.store.Records(t.Context(), store.RecordFilter{Limit: 500})
	must(t, err)
	n := 0
	for _, rec := range recs {
		if rec.Kind == "session.ended" && rec.User == user.ID && strings.Contains(string(rec.Payload), "acme") {
			n++
		}
	}
	if n != 4 {
		t.Errorf("%d ends in the ledger, want 4", n)
	}
}

// TestBackChannelLogoutForgeries plays what OpenID Connect Back-Channel Logout 1.0 §2.6 refuses: nobody
// is signed out, and the good token after it counts.
func TestBackChannelLogoutForgeries(t *testing.T) {
	w, p := withIDP(t)
	p.claims["sid"] = "sid-1"
	b := w.browser()
	b.through(withAcme)
	now := w.clock.Now().Unix()
	const event = "http://schemas.openid.net/event/backchannel-logout"
	for name, spoil := range map[string]func(map[string]any){
		"another audience":    set("aud", "another"),
		"no audience":         set("aud", nil),
		"another issuer":      set("iss", "https://evil.example"),
		"expired":             set("exp", now-1),
		"no end":              set("exp", nil),
		"made long ago":       set("iat", now-600),
		"made in the future":  set("iat", now+600),
		"never made":          set("iat", nil),
		"no jti":              set("jti", ""),
		"a long jti":          set("jti", strings.Repeat("x", 300)),
		"a nonce":             set("nonce", "n"),
		"an empty nonce":      set("nonce", nil),
		"no events":           set("events", nil),
		"another event":       set("events", map[string]any{"https://schemas.openid.net/event/other": map[string]any{}}),
		"an event as a text":  set("events", map[string]any{event: "yes"}),
		"an event of nothing": set("events", map[string]any{event: nil}),
		"nobody":              set("sub", "", "sid", ""),
	} {
		claims := p.logoutClaims(w)
		spoil(claims)
		if name != "an empty nonce" {
			maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
		}
		if got := p.signsOut(w, "logout+jwt", claims); got.Status != http.StatusBadRequest || !b.isIn() {
			t.Errorf("%s: %d %s; signed in %v", name, got.Status, got.Body, b.isIn())
		}
	}
	id := p.logoutClaims(w)
	delete(id, "events")
	for typ, claims := range map[string]map[string]any{"at+jwt": p.logoutClaims(w), "dpop+jwt": p.logoutClaims(w), "JWT": id} {
		if got := p.signsOut(w, typ, claims); got.Status != http.StatusBadRequest || !b.isIn() {
			t.Errorf("a token of the type %s: %d", typ, got.Status)
		}
	}
	good := p.key
	for name, forge := range map[string]func(string) string{
		"alg none":          algNone,
		"no signature":      func(s string) string { return s[:strings.LastIndex(s, ".")+1] },
		"a shared secret":   func(s string) string { return strings.Replace(s, s[:strings.Index(s, ".")], "eyJhbGciOiJIUzI1NiJ9", 1) },
		"nothing":           func(string) string { return "" },
		"no JWT":            func(string) string { return "x.y.z" },
		"JSON":              func(s string) string { return `{"payload":"` + strings.Split(s, ".")[1] + `","signatures":[]}` },
		"signed by another": func(s string) string { return s },
	} {
		if name == "signed by another" {
			p.key = anotherKey(p)
		}
		p.forge = forge
		if got := p.signsOut(w, "logout+jwt", p.logoutClaims(w)); got.Status != http.StatusBadRequest || !b.isIn() {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
		p.forge, p.key = nil, good
	}
	if got := p.posts(w, "nobody", url.Values{"logout_token": {"x"}}); got.Status != http.StatusNotFound {
		t.Errorf("an unknown provider: %d", got.Status)
	}
	if got := w.browser().get("/logout/from/acme"); got.Status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", got.Status)
	}
	if got := p.signsOut(w, "logout+jwt", p.logoutClaims(w)); got.Status != http.StatusOK || b.isIn() {
		t.Errorf("the good token after it: %d %s", got.Status, got.Body)
	}
}

// TestBackChannelLogoutEndsTasks: where the operator wants it, nobody's agents go on without them.
func TestBackChannelLogoutEndsTasks(t *testing.T) {
	for name, ends := range map[string]bool{"sessions alone": false, "tasks too": true, "tasks too, of many": true} {
		t.Run(name, func(t *testing.T) {
			w, p := withIDP(t, func(c *upstream.Config) { c.LogoutEndsTasks = ends })
			must(t, w.store.LinkUpstream(t.Context(), w.user.ID, p.http.URL, "s-1"))
			b := w.browser()
			b.through(withAcme)
			_, before := w.lend()
			w.clock.Add(2 * time.Minute)
			claims := p.logoutClaims(w)
			w.clock.Add(2 * time.Minute)
			claims["exp"] = w.clock.Now().Unix() + 60
			_, after := w.lend()                                                   // begun since
			for n := range map[bool]int{true: 100}[name == "tasks too, of many"] { // a page of them
				id, now := fmt.Sprint("tsk_since", n), w.clock.Now()
				must(t, w.store.StartTask(t.Context(), store.Start{
					Task:   store.Task{ID: id, UserID: w.user.ID, ClientID: w.client, State: store.TaskActive, CreatedAt: now, EndsAt: now.Add(time.Hour)},
					Access: store.AccessToken{JTI: id, TaskID: id, Resource: ticketsURI, ClientID: w.client, IssuedAt: now, ExpiresAt: now.Add(time.Minute)},
				}))
			}
			if got := p.signsOut(w, "logout+jwt", claims); got.Status != http.StatusOK || b.isIn() {
				t.Fatalf("logout: %d %s", got.Status, got.Body)
			}
			for id, want := range map[string]bool{before.Task.ID: ends, after.Task.ID: false} {
				task, _, err := w.store.TaskByID(t.Context(), id)
				must(t, err)
				if task.State.Terminal() != want {
					t.Errorf("task is %s (%s)", task.State, task.Reason)
				}
			}
			if name == "tasks too" && !strings.Contains(w.mara().get("/agents").Body, "Ended when you signed out at your provider") {
				t.Error("the page does not say why the task ended")
			}
		})
	}
}
