package server_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/server/upstream"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

const afterLogout = "http://127.0.0.1:7777/bye"

// party is a confidential client that signs its users in here.
func (w *world) party(redirect string, bearer bool) store.Client {
	c := store.Client{ID: tokens.NewID("cli_"), CreatedAt: w.clock.Now(), SecretHash: store.HashOf("rs_party"), Policy: store.ClientPolicy{Bearer: bearer}, Metadata: store.ClientMetadata{
		ClientName: "Wiki", RedirectURIs: []string{redirect}, PostLogoutRedirectURIs: []string{afterLogout}, TokenEndpointAuthMethod: "client_secret_basic",
		GrantTypes: []string{"authorization_code", "refresh_token"},
	}}
	must(w.t, w.store.AddClient(context.Background(), c))
	return c
}

// allowAll ticks everything on the page, as a person would who wants to be signed in.
func (b *browser) allowAll(target string) answer {
	b.w.t.Helper()
	page := b.get(target)
	if page.Status != http.StatusOK {
		b.w.t.Fatalf("page: %d to %q %s", page.Status, page.Header.Get("Location"), page.Body)
	}
	form := hidden(page.Body)
	for _, scope := range []string{"openid", "profile", "email"} {
		if strings.Contains(page.Body, `value="`+scope+`"`) {
			form.Add("read", scope)
		}
	}
	form.Set("duration", "900")
	form.Set("decision", "allow")
	return b.post("/consent", form)
}

// TestOpenIDConnectClient: a client that knows OpenID Connect and nothing of Remit signs a user in.
func TestOpenIDConnectClient(t *testing.T) {
	w := newWorld(t)
	c := w.party(callback, true)
	ctx := oidc.ClientContext(context.Background(), w.http.Client())
	found, err := oidc.NewProvider(ctx, w.issuer)
	must(t, err)
	rp := oauth2.Config{ClientID: c.ID, ClientSecret: "rs_party", Endpoint: found.Endpoint(), RedirectURL: callback, Scopes: []string{"openid", "profile", "email"}}
	b := w.mara()
	w.clock.Add(time.Minute)
	start := rp.AuthCodeURL("xyz", oidc.Nonce("n-1"), oauth2.S256ChallengeOption(verifier))
	page := b.get(start)
	for _, text := range []string{"Who you are", "Sign you in there", "Your name", "Your e-mail address", "Wiki"} {
		if !strings.Contains(page.Body, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	token, err := rp.Exchange(ctx, codeOf(t, b.allowAll(start)), oauth2.VerifierOption(verifier))
	must(t, err)
	raw, _ := token.Extra("id_token").(string)
	check := found.VerifierContext(ctx, &oidc.Config{ClientID: c.ID, Now: w.clock.Now})
	id, err := check.Verify(ctx, raw)
	must(t, err)
	var claims struct {
		Email    string   `json:"email"`
		Verified bool     `json:"email_verified"`
		Name     string   `json:"name"`
		AuthTime int64    `json:"auth_time"`
		AMR      []string `json:"amr"`
	}
	must(t, id.Claims(&claims))
	if id.Subject != w.user.ID || id.Nonce != "n-1" || claims.Email != w.user.Email || !claims.Verified || claims.Name != "Mara" ||
		claims.AuthTime != w.clock.Now().Add(-time.Minute).Unix() || !slices.Equal(claims.AMR, []string{"pwd"}) {
		t.Errorf("%+v %+v", id, claims)
	}
	if _, err := found.VerifierContext(ctx, &oidc.Config{ClientID: w.client, Now: w.clock.Now}).Verify(ctx, raw); err == nil {
		t.Error("the ID token is another client's too")
	}
	info, err := found.UserInfo(ctx, rp.TokenSource(ctx, token))
	must(t, err)
	if info.Subject != id.Subject || info.Email != w.user.Email || !info.EmailVerified {
		t.Errorf("userinfo: %+v", info)
	}
	// The ID token opens nothing, and the access token nothing else.
	for name, tt := range map[string]struct{ path, header string }{
		"the ID token at userinfo": {"/userinfo", "Bearer " + raw},
		"no token":                 {"/userinfo", ""},
		"bearer as DPoP":           {"/userinfo", "DPoP " + token.AccessToken},
		"the ID token at a task":   {"/tasks/x", "Bearer " + raw},
	} {
		if got := w.fetch(tt.path, tt.header); got.Status != http.StatusUnauthorized && got.Status != http.StatusBadRequest || got.Header.Get("WWW-Authenticate") == "" && tt.path == "/userinfo" {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	if got := w.guard(ticketsURI).introspect(token.AccessToken); !strings.Contains(got.Body, `{"active":false}`) {
		t.Errorf("a resource learns of the token: %s", got.Body)
	}
	// What is not allowed is not said.
	form := b.get(start)
	some := hidden(form.Body)
	some.Set("read", "openid")
	some.Set("duration", "900")
	some.Set("decision", "allow")
	token, err = rp.Exchange(ctx, codeOf(t, b.post("/consent", some)), oauth2.VerifierOption(verifier))
	must(t, err)
	if info, err = found.UserInfo(ctx, rp.TokenSource(ctx, token)); err != nil || info.Email != "" {
		t.Errorf("openid alone: %+v %v", info, err)
	}
	// Nor once the task has ended.
	tasks, err := w.store.TaskList(ctx, store.TaskFilter{UserID: w.user.ID, Live: true})
	must(t, err)
	for _, task := range tasks {
		_, err := w.store.EndTask(ctx, store.End{TaskID: task.ID, State: store.TaskRevoked, By: store.ByUser})
		must(t, err)
	}
	if got := w.fetch("/userinfo", "Bearer "+token.AccessToken); got.Status != http.StatusUnauthorized {
		t.Errorf("after the end: %d %s", got.Status, got.Body)
	}
}

// fetch asks for a page of the protocol with this Authorization header and these proofs.
func (w *world) fetch(path, authorization string, proofs ...string) answer {
	w.t.Helper()
	r, err := http.NewRequest("GET", w.issuer+path, nil)
	must(w.t, err)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	for _, p := range proofs {
		r.Header.Add("DPoP", p)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	return read(w.t, resp, err)
}

// TestUserinfoOfAnAgent: an agent that asked for openid besides its server reads who its user is, with
// its key; one that did not ask, and one that was not allowed, do not.
func TestUserinfoOfAnAgent(t *testing.T) {
	w := newWorld(t)
	a, b := w.agent(w.client), w.mara()
	ask := a.with("scope", "openid tickets.read", "nonce", "n-2")
	ask.Del("authorization_details")
	run := func(openid bool) answer {
		page := b.get(a.push(ask)) // userinfo's name comes first
		var second answer
		for i, text := range []string{"1 of 2", "2 of 2"} {
			if !strings.Contains(page.Body, text) {
				t.Fatalf("page %d: %d %s", i, page.Status, page.Body)
			}
			form := hidden(page.Body)
			form.Set("duration", "900")
			form.Set("decision", "allow")
			if strings.Contains(page.Body, `value="openid"`) {
				if form.Set("read", "openid"); !openid {
					form.Set("decision", "deny")
				}
			} else {
				form.Set("tool", "search_tickets")
			}
			second = b.post("/consent", form)
			page = second
		}
		got := a.post("/token", a.codeForm(codeOf(t, second))) // names no resource: there is one to name
		if got.Status != http.StatusOK || !strings.Contains(got.Body, ticketsURI) {
			t.Fatalf("token: %d %s", got.Status, got.Body)
		}
		return got
	}
	got := run(true)
	if got.text("id_token") == "" {
		t.Error("no ID token")
	}
	info := func(a *agent, token string) answer {
		for {
			got := w.fetch("/userinfo", "DPoP "+token, a.proof("GET", "/userinfo", token))
			if got.error() != "use_dpop_nonce" {
				return got
			}
			a.nonce = got.Header.Get("DPoP-Nonce")
		}
	}
	if said := info(a, got.text("access_token")); said.Status != http.StatusOK || said.text("sub") != w.user.ID || said.text("email") != "" {
		t.Errorf("userinfo: %d %s", said.Status, said.Body)
	}
	if said := info(w.agent(w.client), got.text("access_token")); said.Status != http.StatusUnauthorized {
		t.Errorf("with another key: %d %s", said.Status, said.Body)
	}
	if said := w.fetch("/userinfo", "DPoP "+got.text("access_token")); said.Status == http.StatusOK {
		t.Errorf("without a proof: %s", said.Body)
	}
	if said := w.fetch("/userinfo", "Bearer "+got.text("access_token")); said.Status != http.StatusUnauthorized {
		t.Errorf("as a bearer token: %d %s", said.Status, said.Body)
	}
	denied := run(false)
	if denied.text("id_token") != "" {
		t.Error("an ID token that the user did not allow")
	}
	if said := info(a, denied.text("access_token")); said.Status != http.StatusForbidden || said.error() != "insufficient_scope" {
		t.Errorf("not allowed: %d %s", said.Status, said.Body)
	}
	plain := a.tokens()
	if plain.text("id_token") != "" {
		t.Error("an ID token that nobody asked for")
	}
	if said := info(a, plain.text("access_token")); said.Status != http.StatusForbidden {
		t.Errorf("not asked for: %d %s", said.Status, said.Body)
	}
}

func TestLogout(t *testing.T) { // LG8
	w := newWorld(t)
	c := w.party(callback, true)
	ctx := oidc.ClientContext(context.Background(), w.http.Client())
	found, err := oidc.NewProvider(ctx, w.issuer)
	must(t, err)
	rp := oauth2.Config{ClientID: c.ID, ClientSecret: "rs_party", Endpoint: found.Endpoint(), RedirectURL: callback, Scopes: []string{"openid"}}
	b := w.mara()
	token, err := rp.Exchange(ctx, codeOf(t, b.allowAll(rp.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)))), oauth2.VerifierOption(verifier))
	must(t, err)
	hint, _ := token.Extra("id_token").(string)
	good := url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {afterLogout}, "state": {"a&b"}}
	signedIn := func() bool { return strings.Contains(b.get("/agents").Body, "Signed in as") }

	for name, change := range map[string]func(url.Values){
		"an address that is not registered": func(f url.Values) { f.Set("post_logout_redirect_uri", afterLogout+"/") },
		"the address of sign-ins":           func(f url.Values) { f.Set("post_logout_redirect_uri", callback) },
		"a hint of somebody":                func(f url.Values) { f.Set("id_token_hint", "eyJhbGciOiJub25lIn0.e30.") },
		"an access token as the hint":       func(f url.Values) { f.Set("id_token_hint", token.AccessToken) },
		"another client":                    func(f url.Values) { f.Set("client_id", w.client) },
		"nobody asks":                       func(f url.Values) { f.Del("id_token_hint") },
		"an unknown client":                 func(f url.Values) { f.Del("id_token_hint"); f.Set("client_id", "cli_none") },
	} {
		form := url.Values{}
		for k, v := range good {
			form[k] = slices.Clone(v)
		}
		change(form)
		noCode(t, b.get("/logout?"+form.Encode()), http.StatusBadRequest)
		if !signedIn() {
			t.Fatalf("%s: signed out", name)
		}
	}
	page := b.get("/logout?" + good.Encode())
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "Sign out here?") || !signedIn() {
		t.Fatalf("no question: %d %s", page.Status, page.Body)
	}
	form := url.Values{}
	for _, m := range hiddenInput.FindAllStringSubmatch(page.Body[strings.Index(page.Body, `action="/logout"`):], -1) {
		form.Set(m[1], strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(m[2]))
	}
	forged := url.Values{"csrf": {"x"}}
	noCode(t, b.post("/logout", forged), http.StatusForbidden)
	other := url.Values{"csrf": form["csrf"], "id_token_hint": {hint}} // the seal of a page that named another address
	noCode(t, b.post("/logout", other), http.StatusForbidden)
	if !signedIn() {
		t.Fatal("signed out by a forged form")
	}
	got := b.post("/logout", form)
	if to := mustURL(t, got.Header.Get("Location")); got.Status != http.StatusSeeOther || !strings.HasPrefix(to.String(), afterLogout+"?") || to.Query().Get("state") != "a&b" {
		t.Fatalf("%d to %q %s", got.Status, to, got.Body)
	}
	if signedIn() {
		t.Error("still signed in")
	}
	if got := b.get("/logout?" + good.Encode()); got.Status != http.StatusSeeOther { // with the hint of a client of ours
		t.Errorf("nobody is signed in: %d", got.Status)
	}
	good.Del("id_token_hint")
	good.Set("client_id", c.ID)
	noCode(t, b.get("/logout?"+good.Encode()), http.StatusOK) // whoever knows a client's name cannot bounce browsers
	w.signedIn = nil
	b = w.mara()
	if !signedIn() {
		t.Error("the good sign-in after it")
	}
}

// TestRemitSignsInUsersOfRemit: one instance is the OpenID provider of another.
func TestRemitSignsInUsersOfRemit(t *testing.T) {
	first := newWorld(t)
	c := upstream.Config{Name: "house", Title: "The house", Issuer: first.issuer, ClientSecret: "rs_party", AddUsers: true}
	// The second needs the first's client, the client the second's address: the first is told of it later.
	second := newWorldOn(t, func(s store.Store) store.Store { return s }, func(s *server.Config) {
		c.ClientID = first.party(s.Issuer+"/signin/from/house", true).ID
		s.Upstream = []upstream.Config{c}
	})
	ina := first.user
	ina.ID, ina.Email, ina.Name = tokens.NewID("usr_"), "ina@house.example", "Ina"
	must(t, first.store.AddUser(context.Background(), ina))
	home, guest := first.browser(), second.browser()
	if got := home.post("/signin", url.Values{"email": {ina.Email}, "password": {password}}); got.Status != http.StatusSeeOther {
		t.Fatalf("sign-in: %d %s", got.Status, got.Body)
	}
	away := guest.get("/signin/with/house?return_to=%2Faccount")
	if away.Status != http.StatusSeeOther || !strings.HasPrefix(away.Header.Get("Location"), first.issuer+"/authorize?") {
		t.Fatalf("%d to %q %s", away.Status, away.Header.Get("Location"), away.Body)
	}
	back := home.allowAll(away.Header.Get("Location"))
	codeOf(t, back)
	in := guest.get(back.Header.Get("Location"))
	if in.Status != http.StatusSeeOther && in.Status != http.StatusOK {
		t.Fatalf("back: %d %s", in.Status, in.Body[strings.Index(in.Body, "<main"):])
	}
	page := guest.get("/account")
	if page.Status != http.StatusOK || !strings.Contains(page.Body, ina.Email) {
		t.Fatalf("not signed in: %d %s", page.Status, in.Body)
	}
}
