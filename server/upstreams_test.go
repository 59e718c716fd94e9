package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/server/upstream"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// idp is an OpenID provider: whoever comes to it is its one user.
type idp struct {
	t      testing.TB
	http   *httptest.Server
	key    tokens.SigningKey
	claims map[string]any // of the ID token, besides what every one has
	change func(claims map[string]any)
	forge  func(token string) string
	codes  map[string]url.Values // the authorization request of each code
}

func newIDP(t testing.TB) *idp {
	t.Helper()
	key, err := tokens.NewSigningKey()
	must(t, err)
	p := &idp{t: t, key: key, codes: map[string]url.Values{}, claims: map[string]any{
		"sub": "s-1", "email": "lin@example.com", "email_verified": true, "name": "Lin", "groups": []string{"support", "staff"},
	}}
	mux := http.NewServeMux()
	p.http = httptest.NewServer(mux)
	t.Cleanup(p.http.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		writeTo(w, map[string]any{
			"issuer": p.http.URL, "authorization_endpoint": p.http.URL + "/authorize", "token_endpoint": p.http.URL + "/token", "jwks_uri": p.http.URL + "/jwks",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"},
		})
	})
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, r *http.Request) {
		jwks, err := tokens.NewKeySet(p.key).JWKS()
		must(t, err)
		w.Write(jwks)
	})
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	return p
}

func writeTo(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func (p *idp) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code := tokens.NewID("code_")
	p.codes[code] = q
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusSeeOther)
}

func (p *idp) token(w http.ResponseWriter, r *http.Request) {
	asked, ok := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	id, secret, basic := r.BasicAuth()
	if !ok || !basic || id != "remit" || secret != "s3cret" || !tokens.VerifyPKCE(r.PostFormValue("code_verifier"), asked.Get("code_challenge")) {
		w.WriteHeader(http.StatusBadRequest)
		writeTo(w, map[string]any{"error": "invalid_grant"})
		return
	}
	now := p.now()
	claims := map[string]any{"iss": p.http.URL, "aud": "remit", "iat": now, "exp": now + 300, "nonce": asked.Get("nonce")}
	maps.Copy(claims, p.claims)
	if p.change != nil {
		p.change(claims)
	}
	token, err := p.key.Sign("JWT", claims)
	must(p.t, err)
	if p.forge != nil {
		token = p.forge(token)
	}
	writeTo(w, map[string]any{"access_token": "at", "token_type": "Bearer", "id_token": token})
}

var idpNow int64

func (p *idp) now() int64 { return idpNow }

// withIDP is a world whose users may sign in with the provider.
func withIDP(t *testing.T, changes ...func(*upstream.Config)) (*world, *idp) {
	t.Helper()
	p := newIDP(t)
	c := upstream.Config{
		Name: "acme", Title: "Acme Login", Issuer: p.http.URL, ClientID: "remit", ClientSecret: "s3cret", AddUsers: true,
		Roles: []upstream.GroupRoles{{Group: "support", Resource: ticketsURI, Roles: []string{"agent"}}},
	}
	for _, change := range changes {
		change(&c)
	}
	w := newWorldOn(t, func(s store.Store) store.Store { return s }, func(s *server.Config) { s.Upstream = []upstream.Config{c} })
	idpNow = w.clock.Now().Unix()
	return w, p
}

// through signs the browser in at the provider and returns what the way back answers.
func (b *browser) through(start string) answer {
	b.w.t.Helper()
	away := b.get(start)
	if away.Status != http.StatusSeeOther {
		b.w.t.Fatalf("%s: %d %s", start, away.Status, away.Body)
	}
	back := b.get(away.Header.Get("Location"))
	return b.get(back.Header.Get("Location"))
}

const withAcme = "/signin/with/acme?return_to=%2Fagents"

func TestUpstreamSignIn(t *testing.T) {
	w, p := withIDP(t)
	b := w.browser()
	if page := b.get("/agents"); !strings.Contains(page.Body, "Sign in with Acme Login") {
		t.Error("the provider is not offered")
	}
	if got := b.through(withAcme); got.Status != http.StatusSeeOther || got.Header.Get("Location") != "/agents" {
		t.Fatalf("sign-in: %d %s", got.Status, got.Body)
	}
	if got := b.get("/agents"); !strings.Contains(got.Body, "lin@example.com") {
		t.Fatal("nobody is signed in")
	}
	user, err := w.store.UserByUpstream(t.Context(), p.http.URL, "s-1")
	must(t, err)
	roles, err := w.store.RolesOf(t.Context(), user.ID, ticketsURI)
	must(t, err)
	if len(roles) != 1 || roles[0] != "agent" {
		t.Errorf("roles = %v", roles)
	}
	p.claims["groups"] = []string{"staff"} // they have left the team
	w.browser().through(withAcme)
	if roles, err = w.store.RolesOf(t.Context(), user.ID, ticketsURI); err != nil || len(roles) != 0 {
		t.Errorf("roles after leaving the group = %v, %v", roles, err)
	}
}

// TestUpstreamForgeries plays LG3 and LG4.
func TestUpstreamForgeries(t *testing.T) {
	tests := map[string]func(p *idp){
		"another audience":      func(p *idp) { p.change = set("aud", "another") },
		"several, not for us":   func(p *idp) { p.change = set("aud", []string{"remit", "another"}, "azp", "another") },
		"another issuer":        func(p *idp) { p.change = set("iss", "https://evil.example") },
		"expired":               func(p *idp) { p.change = set("exp", idpNow-1) },
		"another nonce":         func(p *idp) { p.change = set("nonce", "mine") },
		"no nonce":              func(p *idp) { p.change = set("nonce", "") },
		"no subject":            func(p *idp) { p.change = set("sub", "") },
		"e-mail not verified":   func(p *idp) { p.change = set("email_verified", false) },
		"verified as a text":    func(p *idp) { p.change = set("email_verified", "true") },
		"the e-mail of another": func(p *idp) { p.change = set("email", "mara@example.com") },
		"no signature":          func(p *idp) { p.forge = func(s string) string { return s[:strings.LastIndex(s, ".")+1] } },
		"alg none":              func(p *idp) { p.forge = algNone },
		"signed by another":     func(p *idp) { p.key = anotherKey(p) },
		"no token at all":       func(p *idp) { p.forge = func(string) string { return "" } },
		"signed with the public key": func(p *idp) {
			p.forge = func(s string) string { return strings.Replace(s, s[:strings.Index(s, ".")], "eyJhbGciOiJIUzI1NiJ9", 1) }
		},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			w, p := withIDP(t)
			good := p.key
			spoil(p)
			b := w.browser()
			if got := b.through(withAcme); got.Status < 400 {
				t.Fatalf("accepted: %d %s", got.Status, got.Body)
			}
			if page := b.get("/agents"); strings.Contains(page.Body, "Signed in as") {
				t.Fatal("somebody is signed in")
			}
			p.change, p.forge, p.key = nil, nil, good
			if got := b.through(withAcme); got.Status != http.StatusSeeOther {
				t.Errorf("the good sign-in after it: %d %s", got.Status, got.Body)
			}
		})
	}
}

func set(pairs ...any) func(map[string]any) {
	return func(claims map[string]any) {
		for i := 0; i < len(pairs); i += 2 {
			claims[pairs[i].(string)] = pairs[i+1]
		}
	}
}

func algNone(token string) string {
	parts := strings.Split(token, ".")
	return "eyJhbGciOiJub25lIn0." + parts[1] + "."
}

// anotherKey signs under the name of the good one: the provider publishes the good one alone.
func anotherKey(p *idp) tokens.SigningKey {
	key, err := tokens.NewSigningKey()
	must(p.t, err)
	published, err := tokens.NewKeySet(p.key).JWKS()
	must(p.t, err)
	p.http.Config.Handler.(*http.ServeMux).HandleFunc("GET /jwks/{$}", func(w http.ResponseWriter, r *http.Request) { w.Write(published) })
	good := p.http.Config.Handler
	p.http.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			w.Write(published)
			return
		}
		good.ServeHTTP(w, r)
	})
	return key
}

// TestUpstreamAnswerOfAnotherBrowser plays LG3: state, code and cookie are one browser's, once.
func TestUpstreamAnswerOfAnotherBrowser(t *testing.T) {
	w, _ := withIDP(t)
	mara, mallory := w.browser(), w.browser()
	away := mallory.get(withAcme)
	back := mallory.get(away.Header.Get("Location")).Header.Get("Location") // mallory's own answer, not used
	if got := mara.get(back); got.Status != http.StatusForbidden {
		t.Errorf("without an attempt: %d", got.Status)
	}
	mara.get(withAcme)
	if got := mara.get(back); got.Status != http.StatusForbidden {
		t.Errorf("with another attempt's state: %d", got.Status)
	}
	if page := mara.get("/agents"); strings.Contains(page.Body, "Signed in as") {
		t.Fatal("mara is signed in as somebody else")
	}
	away = mallory.get(withAcme)
	back = mallory.get(away.Header.Get("Location")).Header.Get("Location")
	cookies := mallory.http.Jar.Cookies(mustURL(t, w.issuer))
	if got := mallory.get(back); got.Status != http.StatusSeeOther {
		t.Fatalf("the good answer: %d %s", got.Status, got.Body)
	}
	again := w.browser()
	again.http.Jar.SetCookies(mustURL(t, w.issuer), cookies)
	if got := again.get(back); got.Status != http.StatusForbidden {
		t.Errorf("the same answer again: %d", got.Status)
	}
	if got := w.browser().get("/signin/with/nobody"); got.Status != http.StatusNotFound {
		t.Errorf("an unknown provider: %d", got.Status)
	}
	if got := w.browser().get("/signin/with/acme?return_to=https%3A%2F%2Fevil.example"); strings.Contains(got.Header.Get("Location"), "evil") {
		t.Error("return_to leads away") // LG5
	}
}

// TestUpstreamGroupLeft: who is in none of the groups that may sign in any more is disabled, and
// their tasks end.
func TestUpstreamGroupLeft(t *testing.T) {
	w, p := withIDP(t, func(c *upstream.Config) { c.Groups = []string{"staff"} })
	b := w.browser()
	if got := b.through(withAcme); got.Status != http.StatusSeeOther {
		t.Fatalf("sign-in: %d", got.Status)
	}
	p.claims["groups"] = []string{"alumni"}
	if got := w.browser().through(withAcme); got.Status != http.StatusUnauthorized {
		t.Errorf("after leaving: %d", got.Status)
	}
	user, err := w.store.UserByUpstream(t.Context(), p.http.URL, "s-1")
	must(t, err)
	if page := b.get("/agents"); !user.Disabled || strings.Contains(page.Body, "Signed in as") {
		t.Errorf("disabled %v; the older session is %d", user.Disabled, page.Status)
	}
	p.claims["groups"] = []string{"staff"} // only an admin lets them in again
	if got := w.browser().through(withAcme); got.Status != http.StatusUnauthorized {
		t.Errorf("back in the group: %d", got.Status)
	}
}

func TestUpstreamLink(t *testing.T) {
	w, p := withIDP(t, func(c *upstream.Config) { c.AddUsers = false })
	b := w.browser()
	if got := w.browser().through(withAcme); got.Status != http.StatusUnauthorized {
		t.Fatalf("a stranger: %d", got.Status)
	}
	b.signIn()
	page := b.get("/account")
	i := strings.Index(page.Body, "/signin/with/acme?link=")
	if i < 0 {
		t.Fatal("linking is not offered")
	}
	link := strings.ReplaceAll(page.Body[i:i+strings.IndexByte(page.Body[i:], '"')], "&amp;", "&")
	if got := w.browser().get(link); got.Status != http.StatusForbidden {
		t.Errorf("the link of another: %d", got.Status)
	}
	if got := b.through(link); got.Status != http.StatusSeeOther || !strings.HasPrefix(got.Header.Get("Location"), "/account") {
		t.Fatalf("link: %d %s", got.Status, got.Body)
	}
	user, err := w.store.UserByUpstream(t.Context(), p.http.URL, "s-1")
	must(t, err)
	if user.ID != w.user.ID {
		t.Errorf("linked to %s", user.ID)
	}
	if got := w.browser().through(withAcme); got.Status != http.StatusSeeOther {
		t.Errorf("sign-in with the linked account: %d", got.Status)
	}
}

func TestUpstreamDown(t *testing.T) {
	w, p := withIDP(t)
	p.http.Close()
	if got := w.browser().get(withAcme); got.Status != http.StatusServiceUnavailable {
		t.Errorf("status %d", got.Status)
	}
	b := w.browser()
	b.signIn() // the password still works
}
