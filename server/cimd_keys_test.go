package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/tokens"
)

func signingKey(t testing.TB) tokens.SigningKey {
	t.Helper()
	key, err := tokens.NewSigningKey()
	must(t, err)
	return key
}

func jwks(t testing.TB, keys ...tokens.SigningKey) json.RawMessage {
	t.Helper()
	set, err := tokens.NewKeySet(keys...).JWKS()
	must(t, err)
	return set
}

// signed is the good request with an assertion of this key.
func (v *vendor) signed(key tokens.SigningKey, form url.Values) url.Values {
	v.w.t.Helper()
	assertion, err := key.Assertion(v.id(), v.w.issuer, v.w.clock.Now())
	must(v.w.t, err)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	return form
}

// pushSigned pushes with an assertion; it authenticates anew for each try.
func (v *vendor) pushSigned(key tokens.SigningKey) answer {
	a := v.w.agent(v.id())
	got := a.send("/par", v.signed(key, a.request()), a.proof("POST", "/par", ""))
	if got.error() == "use_dpop_nonce" {
		a.nonce = got.Header.Get("DPoP-Nonce")
		got = a.send("/par", v.signed(key, a.request()), a.proof("POST", "/par", ""))
	}
	return got
}

func TestDocumentMethods(t *testing.T) { // both spellings of the list (SEP-3149), and the one method
	key := signingKey(t)
	for name, tt := range map[string]struct {
		changes map[string]any
		signed  bool // must authenticate by its key
	}{
		"nothing said":            {map[string]any{"token_endpoint_auth_method": nil}, false},
		"none":                    {nil, false},
		"one of several":          {map[string]any{"token_endpoint_auth_methods": []string{"private_key_jwt", "none"}}, false},
		"list":                    {map[string]any{"token_endpoint_auth_method": nil, "token_endpoint_auth_methods": []string{"private_key_jwt"}}, true},
		"list of supported":       {map[string]any{"token_endpoint_auth_method": nil, "token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}, true},
		"the strongest of a list": {map[string]any{"token_endpoint_auth_method": nil, "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}}, true},
		"none in a list":          {map[string]any{"token_endpoint_auth_method": nil, "token_endpoint_auth_methods_supported": []string{"none", "tls_client_auth"}}, false},
		"private_key_jwt":         {map[string]any{"token_endpoint_auth_method": "private_key_jwt"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			changes := map[string]any{"jwks": jwks(t, key)}
			for k, value := range tt.changes {
				changes[k] = value
			}
			v.publish(changes)
			if got := v.push(v.id()); (got.Status == http.StatusCreated) == tt.signed {
				t.Errorf("unsigned: %d %s", got.Status, got.Body)
			}
			if got := v.pushSigned(key); (got.Status == http.StatusCreated) != tt.signed {
				t.Errorf("signed: %d %s", got.Status, got.Body)
			}
			if got := v.pushSigned(signingKey(t)); got.Status == http.StatusCreated {
				t.Error("signed by another key: passed")
			}
		})
	}
}

func TestCM9KeysThatChange(t *testing.T) {
	for name, publish := range map[string]func(v *vendor, keys json.RawMessage){
		"jwks": func(v *vendor, keys json.RawMessage) {
			v.publish(map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks": keys})
		},
		"jwks_uri": func(v *vendor, keys json.RawMessage) {
			v.put("/keys.json", keys)
			v.publish(map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": v.At("agent.example.com", "/keys.json")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			former, next := signingKey(t), signingKey(t)
			publish(v, jwks(t, former))
			created := func(when string, key tokens.SigningKey, want bool) {
				t.Helper()
				if got := v.pushSigned(key); (got.Status == http.StatusCreated) != want {
					t.Errorf("%s: %d %s", when, got.Status, got.Body)
				}
			}
			created("the first key", former, true)
			publish(v, jwks(t, next))
			created("a new key before the document is read again", next, false)
			v.later()
			created("a new key after it", next, true)
			created("a key that was taken back", former, false)
		})
	}
}

func TestKeysThatCannotBeRead(t *testing.T) {
	v := newVendor(t)
	key := signingKey(t)
	v.publish(map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": v.At("agent.example.com", "/keys.json")})
	want(t, v.pushSigned(key), 401, "invalid_client") // 404
	v.put("/keys.json", jwks(t, key))
	if got := v.pushSigned(key); got.Status != http.StatusCreated {
		t.Errorf("one failure was remembered: %d %s", got.Status, got.Body)
	}
	v.later()
	v.serve("/keys.json", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) })
	want(t, v.pushSigned(key), 503, "temporarily_unavailable")
	v.put("/keys.json", map[string]any{"keys": []any{}})
	want(t, v.pushSigned(key), 401, "invalid_client")
	v.w.clock.Add(time.Minute)
	v.put("/keys.json", jwks(t, key))
	if got := v.pushSigned(key); got.Status != http.StatusCreated {
		t.Errorf("after a minute: %d %s", got.Status, got.Body)
	}
}

// TestCA9OneReadingAMinute: whoever names a client whose keys cannot be read has its server asked twice, and
// then once a minute, whatever that server does; afterwards the good request works.
func TestCA9OneReadingAMinute(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		status int
		code   string
	}{
		"down":           {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, 503, "temporarily_unavailable"},
		"slow":           {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 503, "temporarily_unavailable"},
		"gone":           {http.NotFound, 401, "invalid_client"},
		"10 000 keys":    {func(w http.ResponseWriter, _ *http.Request) { manyKeys(w, 10_000) }, 401, "invalid_client"},
		"keys too weak":  {func(w http.ResponseWriter, _ *http.Request) { manyKeys(w, 100) }, 401, "invalid_client"},
		"a private home": {nil, 401, "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t, impatient)
			key := signingKey(t)
			uri := v.At("agent.example.com", "/keys.json")
			if tt.answer == nil {
				v.DNS.Set("home.example.com", "10.0.0.1")
				uri = strings.Replace(uri, "agent.example.com", "home.example.com", 1)
			} else {
				v.serve("/keys.json", tt.answer)
			}
			v.publish(map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri})
			asked := 0
			for minute := range 3 {
				for range 5 {
					got := v.pushSigned(key)
					want(t, got, tt.status, tt.code)
					if got.Status == 503 && got.Header.Get("Retry-After") == "" {
						t.Error("503 without Retry-After")
					}
				}
				if n := v.fetched("/keys.json") - asked; tt.answer != nil && n != map[bool]int{true: 2, false: 1}[minute == 0] {
					t.Errorf("minute %d: asked for %d times", minute, n)
				}
				asked = v.fetched("/keys.json")
				v.w.clock.Add(time.Minute)
			}
			if tt.answer == nil {
				return // nobody serves there
			}
			v.put("/keys.json", jwks(t, key))
			if got := v.pushSigned(key); got.Status != http.StatusCreated {
				t.Errorf("afterwards: %d %s", got.Status, got.Body)
			}
		})
	}
}

// manyKeys answers with so many keys that none may sign with.
func manyKeys(w http.ResponseWriter, n int) {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	io.WriteString(w, `{"keys":[`+strings.TrimSuffix(strings.Repeat(`{"kty":"oct","k":"AAAA"},`, n), ",")+`]}`)
}

// TestCA9UnknownKey: a key that the set did not have when it was read has it read again, once a minute.
func TestCA9UnknownKey(t *testing.T) {
	v := newVendor(t)
	former, next := signingKey(t), signingKey(t)
	v.put("/keys.json", jwks(t, former))
	v.publish(map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": v.At("agent.example.com", "/keys.json")})
	pushes := func(key tokens.SigningKey, status int) {
		t.Helper()
		if got := v.pushSigned(key); got.Status != status {
			t.Errorf("%d %s, want %d", got.Status, got.Body, status)
		}
	}
	pushes(former, http.StatusCreated)
	for minute := range 3 {
		for range 5 {
			pushes(signingKey(t), http.StatusUnauthorized)
		}
		if n := v.fetched("/keys.json"); n != minute+1 {
			t.Errorf("read %d times in %d minutes", n, minute+1)
		}
		v.w.clock.Add(time.Minute)
	}
	v.put("/keys.json", jwks(t, next))
	pushes(former, http.StatusCreated) // which the server has no reason to doubt
	pushes(next, http.StatusCreated)
	pushes(former, http.StatusUnauthorized)

	// Nor does a stranger's kid take away from a client what it has while its server is down.
	v.w.clock.Add(time.Minute)
	v.serve("/keys.json", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	for range 5 {
		pushes(signingKey(t), http.StatusServiceUnavailable)
	}
	pushes(next, http.StatusCreated)
}

func TestCM9RedirectsThatChange(t *testing.T) {
	v := newVendor(t)
	v.cache = "no-store" // counts for a minute, as a code does
	v.publish(nil)
	a := v.w.agent(v.id())

	// A code is bound to the document that it was asked under: what the document says later neither
	// takes it away nor sends it elsewhere.
	target := a.push(a.request())
	v.w.clock.Add(45 * time.Second)
	code := v.w.mara().consent(target, "search_tickets").Query().Get("code")
	v.publish(map[string]any{"redirect_uris": []string{"https://agent.example.com/other"}})
	v.w.clock.Add(30 * time.Second)
	bad := a.codeForm(code)
	bad.Set("redirect_uri", "https://agent.example.com/other")
	if got := a.post("/token", bad); got.Status == http.StatusOK {
		t.Error("a code was redeemed under a redirect URI that it was not asked with")
	}
	if got := a.post("/token", a.codeForm(code)); got.Status != http.StatusOK {
		t.Errorf("token: %d %s", got.Status, got.Body)
	}
	if n := v.fetched("/client.json"); n != 2 {
		t.Errorf("the document was fetched %d times", n)
	}

	// A request that was pushed under a former document does not send the user where the new one does not.
	v.publish(nil)
	v.later()
	target = a.push(a.request())
	form := v.w.mara().consentForm(target)
	v.later()
	v.publish(map[string]any{"redirect_uris": []string{"https://agent.example.com/other"}})
	noCode(t, v.w.mara().get(target), 400)
	noCode(t, v.w.mara().post("/consent", form), 400)
}

func TestChangedDocumentIsTold(t *testing.T) {
	v := newVendor(t)
	v.publish(nil)
	a := v.w.agent(v.id())
	first := v.w.mara().get(a.push(a.request()))
	if !strings.Contains(first.Body, "Nobody here has let this app work for them before.") || strings.Contains(first.Body, "has changed what it says") {
		t.Error("the first page speaks of a past")
	}
	a.tokens()
	v.later()
	if page := v.w.mara().get(a.push(a.request())); !strings.Contains(page.Body, "once before") || strings.Contains(page.Body, "has changed what it says") {
		t.Error("a page tells of a change where there is none")
	}

	// A page that was shown under the former document does not count for the new one.
	target := a.push(a.request())
	form := v.w.mara().consentForm(target)
	v.later()
	v.publish(map[string]any{"client_name": "Your Bank", "redirect_uris": []string{"http://127.0.0.1/callback", "https://evil.example/cb"}})
	a.push(a.request())
	again := v.w.mara().post("/consent", form)
	noCode(t, again, 409)
	for _, text := range []string{"has changed what it says", "Example Agent", "Your Bank", "https://evil.example/cb", "no longer sends you to https://agent.example.com/cb"} {
		if !strings.Contains(again.Body, text) {
			t.Errorf("the page does not say %q", text)
		}
	}

	// Nor does changing it back and forth hide the change.
	for range 3 {
		v.later()
		v.publish(map[string]any{"client_name": "Example Agent", "redirect_uris": []string{"http://127.0.0.1/callback"}})
		a.push(a.request())
		v.later()
		v.publish(map[string]any{"client_name": "Your Bank", "redirect_uris": []string{"http://127.0.0.1/callback", "https://evil.example/cb"}})
		a.push(a.request())
	}
	if page := v.w.mara().get(a.push(a.request())); !strings.Contains(page.Body, "https://evil.example/cb") {
		t.Error("a flood of changes hid the change")
	}
	v.w.mara().consent(a.push(a.request()), "search_tickets")
	v.w.clock.Add(time.Second)
	if page := v.w.mara().get(a.push(a.request())); strings.Contains(page.Body, "has changed what it says") {
		t.Error("what was agreed to anew is told as new")
	}
}

// TestChangedDocumentIsAskedAgain: what a client says of itself is part of what was agreed to; when it says
// something else, a remembered choice does not go on, and the whole page says what is new.
func TestChangedDocumentIsAskedAgain(t *testing.T) { // ux C5, C22
	v := newVendor(t, func(c *server.Config) { c.Remember = 7 * 24 * time.Hour })
	v.publish(nil)
	a, b := v.w.agent(v.id()), v.w.mara()
	form := b.consentForm(a.push(a.reads()))
	form["tool"] = []string{"search_tickets"}
	form.Set("remember", "1")
	leads(t, b.post("/consent", form))
	v.later()
	if page := b.get(a.push(a.reads("state", "another"))); !strings.Contains(page.Body, "Continuing as before") {
		t.Fatalf("nothing was remembered: %d %s", page.Status, page.Body)
	}
	v.publish(map[string]any{"redirect_uris": []string{"http://127.0.0.1/callback", "https://evil.example/cb"}})
	v.later()
	page := b.get(a.push(a.reads("state", "a third")))
	for _, text := range []string{"What it may do", "has changed what it says", "https://evil.example/cb"} {
		if !strings.Contains(page.Body, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	if strings.Contains(page.Body, "Continuing as before") {
		t.Error("a choice goes on for a client that says something else of itself")
	}
}
