package main_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// openID is an OpenID provider at which users sign in: whoever comes is its one user.
type openID struct {
	url   string
	key   blackbox.Key
	mu    sync.Mutex
	asked map[string]url.Values // the request of each code
	// forge makes the ID token; nil: a good one.
	forge func(header, claims blackbox.Object) string
}

func newOpenID(t *testing.T) *openID {
	t.Helper()
	p := &openID{key: blackbox.NewKey(), asked: map[string]url.Values{}}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL
	answer := func(w http.ResponseWriter, status int, o blackbox.Object) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(o.JSON()))
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, blackbox.Object{
			"issuer": p.url, "authorization_endpoint": p.url + "/authorize", "token_endpoint": p.url + "/token", "jwks_uri": p.url + "/jwks",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"},
		})
	})
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, blackbox.Object{"keys": []any{p.key.JWK().With("kid", "k1").With("alg", "ES256").With("use", "sig")}})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		asked, ok := p.asked[r.PostFormValue("code")]
		delete(p.asked, r.PostFormValue("code"))
		if id, secret, basic := r.BasicAuth(); !ok || !basic || id != "remit" || secret != "s3cret" || blackbox.Digest(r.PostFormValue("code_verifier")) != asked.Get("code_challenge") {
			answer(w, http.StatusBadRequest, blackbox.Object{"error": "invalid_grant"})
			return
		}
		now := time.Now().Unix()
		header := blackbox.Object{"alg": "ES256", "kid": "k1", "typ": "JWT"}
		claims := blackbox.Object{"iss": p.url, "aud": "remit", "iat": now, "exp": now + 300, "nonce": asked.Get("nonce"), "sub": "s-1", "email": "lin@example.com", "email_verified": true, "name": "Lin"}
		token := p.key.JWS(header.JSON(), claims.JSON())
		if p.forge != nil {
			token = p.forge(header, claims)
		}
		answer(w, http.StatusOK, blackbox.Object{"access_token": "at", "token_type": "Bearer", "id_token": token})
	})
	return p
}

// answers is the provider's answer to who was sent there, as an address to come back to.
func (p *openID) answers(t *testing.T, away string) string {
	t.Helper()
	u, err := url.Parse(away)
	if err != nil || !strings.HasPrefix(away, p.url+"/authorize?") {
		t.Fatalf("sent to %s", away)
	}
	code, q := blackbox.Random(16), u.Query()
	p.mu.Lock()
	p.asked[code] = q
	p.mu.Unlock()
	return q.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
}

// forges lets the provider's ID tokens be made so.
func (p *openID) forges(forge func(header, claims blackbox.Object) string) {
	p.mu.Lock()
	p.forge = forge
	p.mu.Unlock()
}

// TestAttackUpstream plays the rows of section 4.14 about signing in at a provider.
func TestAttackUpstream(t *testing.T) {
	t.Parallel()
	p := newOpenID(t)
	file := filepath.Join(shortDir(t), "upstream.yaml")
	raw, err := json.Marshal(map[string]any{"providers": []any{map[string]any{"name": "acme", "title": "Acme Login", "issuer": p.url, "client_id": "remit", "client_secret": "s3cret", "add_users": true}}})
	if err == nil {
		err = os.WriteFile(file, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "REMIT_UPSTREAM_FILE="+file)
	playOn(t, w, map[string]row{"LG3": func(t *testing.T, w *world) { lg3(t, w, p) }, "LG4": func(t *testing.T, w *world) { lg4(t, w, p) }})
}

const withAcme = "/signin/with/acme?return_to=%2Fagents"

// leaves sends a browser off to the provider, and returns where to.
func (w *world) leaves(t *testing.T, b *blackbox.Browser) string {
	t.Helper()
	at, err := b.Get(t.Context(), w.issuer+withAcme)
	if err != nil || !at.Left {
		t.Fatalf("off to the provider: %v %s", err, at.Response)
	}
	return at.URL
}

// returns brings a browser back, and tells whether somebody is signed in then.
func (w *world) returns(t *testing.T, b *blackbox.Browser, address string) (blackbox.Response, bool) {
	t.Helper()
	at, err := b.Get(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	sane(t, at.Response)
	return at.Response, w.inside(t, b.Cookies())
}

// lg3: an answer is good for the browser that left, for what it left with, once.
func lg3(t *testing.T, w *world, p *openID) {
	x := want{statuses: []int{403}, page: true}
	refused := func(name string, b *blackbox.Browser, address string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			res, inside := w.returns(t, b, address)
			if x.check(t, res); inside {
				t.Error("somebody is signed in")
			}
		})
	}
	mallory := &blackbox.Browser{}
	own := p.answers(t, w.leaves(t, mallory))
	refused("of another browser", &blackbox.Browser{}, own)
	victim := &blackbox.Browser{}
	w.leaves(t, victim)
	refused("of another's attempt", victim, own)
	b := &blackbox.Browser{}
	away := w.leaves(t, b)
	answer := p.answers(t, away)
	cookies := b.Cookies()
	state, err := url.Parse(answer)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(url.Values){
		"without its state": func(q url.Values) { q.Del("state") }, "with two states": func(q url.Values) { q.Add("state", q.Get("state")) }, "of another issuer": func(q url.Values) { q.Set("iss", "https://evil.example") },
	} {
		spoiled := &blackbox.Browser{}
		u, err := url.Parse(p.answers(t, w.leaves(t, spoiled)))
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		change(q)
		u.RawQuery = q.Encode()
		refused(name, spoiled, u.String())
	}
	if res, inside := w.returns(t, b, answer); !inside || res.Status != http.StatusOK {
		t.Fatalf("the right answer: %s", res)
	}
	jot(t, goodAfter)
	t.Run("again", func(t *testing.T) {
		res, err := blackbox.Get(t.Context(), answer, blackbox.Header{Name: "Cookie", Value: cookies}, blackbox.Header{Name: "Accept", Value: "text/html"})
		if err != nil {
			t.Fatal(err)
		}
		x.check(t, res)
	})
	if state.Query().Get("state") == "" || !strings.Contains(away, "code_challenge_method=S256") || !strings.Contains(away, "nonce=") {
		t.Errorf("the request binds nothing: %s", away)
	}
}

// lg4: an ID token that the provider would not issue, or issues to another, signs nobody in.
func lg4(t *testing.T, w *world, p *openID) {
	signed := func(change func(h, c blackbox.Object) (blackbox.Object, blackbox.Object)) func(h, c blackbox.Object) string {
		return func(h, c blackbox.Object) string {
			h, c = change(h, c)
			return p.key.JWS(h.JSON(), c.JSON())
		}
	}
	claims := func(pairs ...any) func(h, c blackbox.Object) string {
		return signed(func(h, c blackbox.Object) (blackbox.Object, blackbox.Object) {
			for i := 0; i < len(pairs); i += 2 {
				if c = c.With(pairs[i].(string), pairs[i+1]); pairs[i+1] == nil {
					c = c.Without(pairs[i].(string))
				}
			}
			return h, c
		})
	}
	unsigned := func(h, c blackbox.Object) string {
		return blackbox.B64([]byte(h.JSON())) + "." + blackbox.B64([]byte(c.JSON()))
	}
	past := time.Now().Add(-10 * time.Minute).Unix()
	for name, forge := range map[string]func(h, c blackbox.Object) string{
		"another audience": claims("aud", "another"), "several, for another": claims("aud", []string{"remit", "another"}, "azp", "another"), "another issuer": claims("iss", "https://evil.example"), "expired": claims("exp", past, "iat", past-60),
		"another nonce": claims("nonce", "mine"), "no nonce": claims("nonce", nil), "no subject": claims("sub", nil),
		"e-mail not verified": claims("sub", "s-2", "email_verified", false), "verified as a text": claims("sub", "s-2", "email_verified", "true"), "the e-mail of a user": claims("sub", "s-2", "email", w.mara.Email),
		"alg none":          func(h, c blackbox.Object) string { return unsigned(h.With("alg", "none"), c) + "." },
		"no signature":      func(h, c blackbox.Object) string { return unsigned(h, c) + "." },
		"signed by another": func(h, c blackbox.Object) string { return blackbox.NewKey().JWS(h.JSON(), c.JSON()) },
		"a key of its own": func(h, c blackbox.Object) string {
			k := blackbox.NewKey()
			return k.JWS(h.With("jwk", k.JWK()).Without("kid").JSON(), c.JSON())
		},
		"HS256 with the public key": func(h, c blackbox.Object) string {
			mac := hmac.New(sha256.New, []byte(p.key.JWK().JSON()))
			input := unsigned(h.With("alg", "HS256"), c)
			mac.Write([]byte(input))
			return input + "." + blackbox.B64(mac.Sum(nil))
		},
		"HS256 with the secret": func(h, c blackbox.Object) string {
			mac := hmac.New(sha256.New, []byte("s3cret"))
			input := unsigned(h.With("alg", "HS256"), c)
			mac.Write([]byte(input))
			return input + "." + blackbox.B64(mac.Sum(nil))
		},
		"none at all": func(blackbox.Object, blackbox.Object) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			p.forges(forge)
			defer p.forges(nil)
			b := &blackbox.Browser{}
			res, inside := w.returns(t, b, p.answers(t, w.leaves(t, b)))
			if seen(t, res); inside || res.Status < 400 {
				t.Errorf("%s", res)
			}
		})
	}
	b := &blackbox.Browser{}
	if res, inside := w.returns(t, b, p.answers(t, w.leaves(t, b))); !inside {
		t.Errorf("the good one afterwards: %s", res)
	}
	jot(t, goodAfter)
}
