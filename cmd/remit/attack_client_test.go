package main_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackClient plays section 4.4 of the catalogue, at PAR and at the token endpoint.
func TestAttackClient(t *testing.T) {
	play(t, map[string]row{"CA1": ca1, "CA2": ca2, "CA3": ca3, "CA4": ca4, "CA5": ca5, "CA6": ca6, "CA7": ca7, "CA8": ca8, "CA9": ca9, "CA10": ca10})
}

// assertion makes a client assertion of C from a good one that was changed.
type assertion func(header, claims blackbox.Object) string

// changed signs with C's key what is left after the change.
func (w *world) changed(change func(header, claims blackbox.Object) (blackbox.Object, blackbox.Object)) assertion {
	return func(header, claims blackbox.Object) string {
		header, claims = change(header, claims)
		return w.cKey.JWS(header.JSON(), claims.JSON())
	}
}

// claim changes one claim; nil takes it away.
func (w *world) claim(name string, value any) assertion {
	return w.changed(func(h, c blackbox.Object) (blackbox.Object, blackbox.Object) {
		if value == nil {
			return h, c.Without(name)
		}
		return h, c.With(name, value)
	})
}

// head changes one member of the header.
func (w *world) head(name string, value any) assertion {
	return w.changed(func(h, c blackbox.Object) (blackbox.Object, blackbox.Object) { return h.With(name, value), c })
}

// asserted is the form with C authenticated by the assertion.
func (w *world) asserted(form blackbox.Form, a assertion) blackbox.Form {
	return form.Set("client_id", w.c).Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer").
		Set("client_assertion", a(blackbox.Object{"alg": "ES256", "typ": "JWT", "kid": w.cKey.JKT()}, blackbox.NewAssertion(w.c, w.issuer)))
}

// ofC is a code of client C.
func (w *world) ofC(t *testing.T) *blackbox.Flow {
	t.Helper()
	f := w.flow()
	f.ClientID = w.c
	if _, err := w.server.FreshNonce(t.Context(), w.a); err != nil { // an assertion is good for one request alone
		t.Fatal(err)
	}
	res, err := w.server.Send(t.Context(), f.Key, w.server.PAR, w.asserted(f.PushForm(), w.claim("iat", time.Now().Unix())))
	if f.RequestURI = res.Text("request_uri"); err != nil || f.RequestURI == "" {
		t.Fatalf("push of C: %v %s", err, res)
	}
	return must(t, f, (*blackbox.Flow).Consent)
}

// refusesClient sends each assertion to PAR, to the token endpoint and to revocation; afterwards C is served.
func (w *world) refusesClient(t *testing.T, x want, assertions map[string]assertion) {
	t.Helper()
	f := w.ofC(t)
	for name, a := range assertions {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, x, func() (blackbox.Response, error) {
				return w.server.Send(t.Context(), f.Key, w.server.PAR, w.asserted(f.PushForm(), a))
			})
			w.refuses(t, x, func() (blackbox.Response, error) {
				return w.server.Send(t.Context(), f.Key, w.server.Token, w.asserted(f.RedeemForm(), a))
			})
			w.refuses(t, x, func() (blackbox.Response, error) {
				return blackbox.Post(t.Context(), w.server.Revoke, w.asserted(blackbox.Form{{Name: "token", Value: "at_x"}}, a))
			})
		})
	}
	w.redeemsC(t, f)
}

// redeemsC checks that C's code is as good as before.
func (w *world) redeemsC(t *testing.T, f *blackbox.Flow) {
	t.Helper()
	if _, err := w.server.FreshNonce(t.Context(), w.a); err != nil {
		t.Fatal(err)
	}
	res, err := w.server.Send(t.Context(), f.Key, w.server.Token, w.asserted(f.RedeemForm(), w.claim("iat", time.Now().Unix())))
	if err != nil || res.Status != http.StatusOK {
		t.Errorf("C afterwards: %v %s", err, res)
		return
	}
	jot(t, goodAfter)
}

func ca1(t *testing.T, w *world) {
	public := w.cKey.JWK().With("kid", w.cKey.JKT()).With("alg", "ES256").With("use", "sig").JSON()
	mac := func(h, c blackbox.Object) string {
		input := blackbox.B64([]byte(h.With("alg", "HS256").JSON())) + "." + blackbox.B64([]byte(c.JSON()))
		sum := hmac.New(sha256.New, []byte(public))
		sum.Write([]byte(input))
		return input + "." + blackbox.B64(sum.Sum(nil))
	}
	w.refusesClient(t, E401(), map[string]assertion{
		"RS256": w.head("alg", "RS256"), "PS256": w.head("alg", "PS256"), "ES384": w.head("alg", "ES384"), "HS256 with the public key": mac, "kid missing, another key": func(h, c blackbox.Object) string { return blackbox.NewKey().JWS(h.Without("kid").JSON(), c.JSON()) },
		"none": func(h, c blackbox.Object) string {
			return blackbox.B64([]byte(h.With("alg", "none").JSON())) + "." + blackbox.B64([]byte(c.JSON())) + "."
		},
		"another key": func(h, c blackbox.Object) string { return blackbox.NewKey().JWS(h.JSON(), c.JSON()) },
	})
}

func ca2(t *testing.T, w *world) {
	w.refusesClient(t, E401(), map[string]assertion{
		"token URL": w.claim("aud", w.server.Token), "PAR URL": w.claim("aud", w.server.PAR), "an array": w.claim("aud", []string{w.issuer}), "two": w.claim("aud", []string{w.issuer, "https://other.example"}),
		"another server": w.claim("aud", "https://other.example"), "slash": w.claim("aud", w.issuer+"/"), "none": w.claim("aud", nil),
	})
}

func ca3(t *testing.T, w *world) {
	w.refusesClient(t, E401(), map[string]assertion{
		"no sub": w.claim("sub", nil), "another sub": w.claim("sub", w.a), "another iss": w.claim("iss", w.a), "no iss": w.claim("iss", nil), "no jti": w.claim("jti", nil),
		"another client's": func(h, c blackbox.Object) string {
			return w.cKey.JWS(h.JSON(), c.With("iss", w.a).With("sub", w.a).JSON())
		},
	})
}

func ca4(t *testing.T, w *world) {
	now := time.Now().Unix()
	ahead := func(claim string) assertion { // of the moment when it is sent
		return func(h, c blackbox.Object) string { return w.claim(claim, time.Now().Unix()+61)(h, c) }
	}
	w.refusesClient(t, E401(), map[string]assertion{
		"exp 5 min ago": w.claim("exp", now-300), "no exp": w.claim("exp", nil), "exp in ten years": w.claim("exp", now+10*365*86400), "nbf in 61 s": ahead("nbf"), "iat in 61 s": ahead("iat"),
		"exp a text": w.claim("exp", "soon"),
	})
	for name, a := range map[string]assertion{"nbf in 8 s": w.claim("nbf", now+8), "iat in 8 s": w.claim("iat", now+8)} {
		f := w.ofC(t)
		res, err := w.server.Send(t.Context(), f.Key, w.server.Token, w.asserted(f.RedeemForm(), a))
		if err != nil || res.Status != http.StatusOK {
			t.Errorf("%s: %v %s", name, err, res)
		}
	}
}

func ca5(t *testing.T, w *world) {
	f := w.ofC(t)
	basic := blackbox.Header{Name: "Authorization", Value: "Basic " + blackbox.B64([]byte(w.c+":guess"))}
	good := w.claim("iat", time.Now().Unix())
	w.refuses(t, E("invalid_request", "invalid_client").or(401), func() (blackbox.Response, error) {
		return blackbox.Post(t.Context(), w.server.Token, w.asserted(f.RedeemForm(), good), blackbox.DPoP(w.server.Proof(f.Key, w.server.Token)), basic)
	})
	w.refuses(t, E("invalid_request"), func() (blackbox.Response, error) {
		return w.server.Send(t.Context(), f.Key, w.server.Token, w.asserted(f.RedeemForm(), good).Add("client_secret", "rs_guess"))
	})
	w.redeemsC(t, f)
}

func ca6(t *testing.T, w *world) {
	f := w.ofC(t)
	again := w.flow()
	again.ClientID = w.c
	raw := blackbox.NewAssertion(w.c, w.issuer)
	same := func(h, _ blackbox.Object) string { return w.cKey.JWS(h.JSON(), raw.JSON()) }
	if res, err := w.server.Send(t.Context(), again.Key, w.server.PAR, w.asserted(again.PushForm(), same)); err != nil || res.Status != http.StatusCreated {
		t.Fatalf("the first use: %v %s", err, res)
	}
	t.Run("at PAR again", func(t *testing.T) {
		w.refuses(t, E401(), func() (blackbox.Response, error) {
			return w.server.Send(t.Context(), again.Key, w.server.PAR, w.asserted(again.PushForm(), same))
		})
	})
	t.Run("at token", func(t *testing.T) {
		w.refuses(t, E401(), func() (blackbox.Response, error) {
			return w.server.Send(t.Context(), f.Key, w.server.Token, w.asserted(f.RedeemForm(), same))
		})
	})
	w.redeemsC(t, f)
}

// secretClient adds a client with a secret.
func (w *world) secretClient(t *testing.T, name string, grants ...string) (id, secret string) {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"client_name": name, "token_endpoint_auth_method": "client_secret_post", "grant_types": grants, "redirect_uris": []string{redirectA}})
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	w.remit(t, &out, string(raw), "client", "add", "-")
	return out.ID, out.Secret
}

func ca7(t *testing.T, w *world) {
	id, secret := w.secretClient(t, "Secret", "authorization_code")
	f := w.ofC(t)
	for name, form := range map[string]blackbox.Form{
		"a secret for C":                f.RedeemForm().Add("client_secret", secret),
		"garbage besides the assertion": w.asserted(f.RedeemForm(), func(blackbox.Object, blackbox.Object) string { return "x.y.z" }).Add("client_secret", secret),
		"garbage":                       w.asserted(f.RedeemForm(), func(blackbox.Object, blackbox.Object) string { return "x.y.z" }),
		"another's name":                w.asserted(f.RedeemForm(), w.claim("iat", time.Now().Unix())).Set("client_id", id),
	} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, E401(), func() (blackbox.Response, error) { return w.server.Send(t.Context(), f.Key, w.server.Token, form) })
		})
	}
	w.redeemsC(t, f)
}

func ca8(t *testing.T, w *world) {
	w.refusesClient(t, E401(), map[string]assertion{"dpop+jwt": w.head("typ", "dpop+jwt"), "at+jwt": w.head("typ", "at+jwt"), "logout+jwt": w.head("typ", "logout+jwt")})
	f := w.ofC(t)
	w.refuses(t, badProof(), func() (blackbox.Response, error) {
		assertion := w.cKey.JWS(blackbox.Object{"alg": "ES256", "typ": "JWT", "kid": w.cKey.JKT()}.JSON(), blackbox.NewAssertion(w.c, w.issuer).JSON())
		return blackbox.Post(t.Context(), w.server.Token, w.asserted(f.RedeemForm(), w.claim("iat", time.Now().Unix())), blackbox.Header{Name: "DPoP", Value: assertion})
	})
	w.redeemsC(t, f)
}

func ca9(t *testing.T, w *world) {
	start := time.Now()
	w.refusesClient(t, E401(), map[string]assertion{"kid unknown": w.head("kid", "other"), "kid of a file": w.head("kid", "../../dev/null"), "jku": w.changed(func(h, c blackbox.Object) (blackbox.Object, blackbox.Object) {
		return h.With("kid", "other").With("jku", "https://evil.example/jwks"), c
	})})
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("refusing took %v", took)
	}
}

// ca10: many wrong secrets are refused alike.
func ca10(t *testing.T, w *world) {
	id, secret := w.secretClient(t, "Guessed", "client_credentials")
	form := blackbox.Form{{Name: "grant_type", Value: "client_credentials"}, {Name: "client_id", Value: id}, {Name: "resource", Value: w.r1.URL}}
	for range 200 {
		E401().or(http.StatusTooManyRequests).check(t, mustPost(t, w.server.Token, form.Set("client_secret", "rs_"+blackbox.Random(32))))
	}
	for _, wrong := range []string{"", secret[:len(secret)-1], secret + "x", " " + secret} {
		E401().check(t, mustPost(t, w.server.Token, form.Set("client_secret", wrong)))
	}
	w.remit(t, nil, "", "client", "assign", "--client", id, "--resource", w.r1.URL, "--role", "admin")
	res, err := w.server.Send(t.Context(), blackbox.NewKey(), w.server.Token, form.Set("client_secret", secret))
	if err != nil || res.Status != http.StatusOK {
		t.Errorf("the right secret: %v %s", err, res)
	}
}

func mustPost(t *testing.T, address string, form blackbox.Form, headers ...blackbox.Header) blackbox.Response {
	t.Helper()
	res, err := blackbox.Post(t.Context(), address, form, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestAttackIntrospection plays section 4.9.
func TestAttackIntrospection(t *testing.T) {
	play(t, map[string]row{"IN1": in1, "IN2": in2, "IN3": in3, "IN4": in4})
}

// guardOf reads who a Guard is from its state directory.
func (w *world) guardOf(t *testing.T, r *protected) (id string, key blackbox.Key) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(r.state, "key.json"))
	if err != nil {
		t.Fatal(err)
	}
	if key, err = blackbox.ParseKey(raw); err != nil {
		t.Fatal(err)
	}
	raw, err = os.ReadFile(filepath.Join(r.state, "guard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		ID string `json:"guard_id"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out.ID, key
}

// introspect asks about a token as the Guard of r.
func (w *world) introspect(t *testing.T, r *protected, token string) blackbox.Response {
	t.Helper()
	id, key := w.guardOf(t, r)
	return mustPost(t, w.issuer+"/introspect", blackbox.Asserted(blackbox.Form{{Name: "token", Value: token}}, key, blackbox.NewAssertion(id, w.issuer)))
}

// inactive checks the one answer about tokens that are not live here.
func (w *world) inactive(t *testing.T, r *protected, token string) {
	t.Helper()
	res := w.introspect(t, r, token)
	if sane(t, res); res.Status != http.StatusOK || len(res.JSON()) != 1 || res.JSON()["active"] != false {
		t.Errorf("want inactive, and nothing else: %s", res)
	}
	jot(t, `200 {"active":false}`)
}

func in1(t *testing.T, w *world) {
	f := w.token(t)
	form := blackbox.Form{{Name: "token", Value: f.Access()}}
	id, key := w.guardOf(t, w.r1)
	for name, send := range map[string]func() blackbox.Response{
		"nothing":         func() blackbox.Response { return mustPost(t, w.issuer+"/introspect", form) },
		"a public client": func() blackbox.Response { return mustPost(t, w.issuer+"/introspect", form.Add("client_id", w.a)) },
		"the token itself": func() blackbox.Response {
			return mustPost(t, w.issuer+"/introspect", form, blackbox.Header{Name: "Authorization", Value: "Bearer " + f.Access()})
		},
		"a client's key": func() blackbox.Response {
			return mustPost(t, w.issuer+"/introspect", blackbox.Asserted(form, w.cKey, blackbox.NewAssertion(w.c, w.issuer)))
		},
		"a Guard's name": func() blackbox.Response {
			return mustPost(t, w.issuer+"/introspect", blackbox.Asserted(form, blackbox.NewKey(), blackbox.NewAssertion(id, w.issuer)))
		},
		"another audience": func() blackbox.Response {
			return mustPost(t, w.issuer+"/introspect", blackbox.Asserted(form, key, blackbox.NewAssertion(id, w.issuer+"/introspect")))
		},
	} {
		t.Run(name, func(t *testing.T) { E401().check(t, send()) })
	}
	if res := w.introspect(t, w.r1, f.Access()); res.JSON()["active"] != true {
		t.Errorf("its own Guard: %s", res)
	}
	jot(t, goodAfter)
}

func in2(t *testing.T, w *world) {
	f, dead := w.token(t), w.token(t)
	if res := mustPost(t, w.server.Revoke, blackbox.Form{{Name: "client_id", Value: w.a}, {Name: "token", Value: dead.RefreshToken()}}); res.Status != http.StatusOK {
		t.Fatalf("revoke: %s", res)
	}
	for name, token := range map[string]string{
		"unknown": "x.y.z", "revoked": dead.Access(), "a refresh token": f.RefreshToken(), "cut": f.Access()[:len(f.Access())-2], "with a newline": f.Access() + "\n",
		"another key": blackbox.NewKey().JWS(blackbox.Object{"alg": "ES256", "typ": "at+jwt"}.JSON(), blackbox.Object{"iss": w.issuer, "jti": "at_x"}.JSON()),
	} {
		t.Run(name, func(t *testing.T) { w.inactive(t, w.r1, token) })
	}
	if res := w.introspect(t, w.r1, f.Access()); res.JSON()["active"] != true {
		t.Errorf("a live one: %s", res)
	}
	jot(t, goodAfter)
}

func in3(t *testing.T, w *world) {
	f := w.token(t)
	t.Run("the Guard of R2", func(t *testing.T) { w.inactive(t, w.r2, f.Access()) })
	w.works(t, f)
}

func in4(t *testing.T, w *world) {
	c := w.crew(t)
	f := c.hands(t)
	res := w.introspect(t, w.r1, f.Access())
	got := blackbox.Object(res.JSON())
	cnf, _ := got["cnf"].(map[string]any)
	act, _ := got["act"].(map[string]any)
	above, _ := act["act"].(map[string]any)
	for what, ok := range map[string]bool{
		"active": got["active"] == true, "cnf.jkt": cnf["jkt"] == f.Key.JKT(), "token_type": got["token_type"] == "DPoP", "aud": got["aud"] == w.r1.URL, "scope": got["scope"] != nil,
		"authorization_details": got["authorization_details"] != nil, "act": act["client_id"] == c.client && above["client_id"] == c.client, "client_id": got["client_id"] == c.client,
		"no secret": got["email"] == nil && got["password"] == nil && got["refresh_token"] == nil,
	} {
		if !ok {
			t.Errorf("%s: %s", what, got.JSON())
		}
	}
	jot(t, "200 active, with cnf, aud, scope, authorization_details and act")
}
