package main_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/cmd/remit/demo"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// forger has an issuer's own signing key, and makes tokens that the issuer would never issue.
type forger struct {
	issuer *resourcetest.Issuer
	key    blackbox.Key // of the issuer
	agent  blackbox.Key
	tools  *protected
	jwks   []byte
	header blackbox.Object // of a good token
	claims blackbox.Object
}

// newForger serves a protected handler at a loopback address; public is what the Guard is told
// that its address is, or "" for the truth.
func newForger(t *testing.T, public string) *forger {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forger{issuer: resourcetest.New(t), tools: &protected{Tools: &blackbox.Tools{URL: "http://" + listen.Addr().String() + "/mcp"}}}
	if public == "" {
		public = f.tools.URL
	}
	server, policy := demo.NewTickets()
	guard := f.issuer.Guard(f.issuer.Config(public, string(policy), mcpauth.Tools(server)))
	web := &http.Server{Handler: guard.Protect(http.HandlerFunc(whoami))}
	go web.Serve(listen)
	t.Cleanup(func() { web.Close() })

	token := f.token(t, public, "usr_mara")
	f.agent = parse(t, token.Key.Marshal)
	f.key = parse(t, f.issuer.Key().Marshal)
	if f.header, f.claims, err = blackbox.Decode(token.Raw); err != nil {
		t.Fatal(err)
	}
	jwks, err := blackbox.Get(t.Context(), f.issuer.URL()+"/jwks")
	if err != nil {
		t.Fatal(err)
	}
	f.jwks = jwks.Body
	return f
}

// whoami answers with the user whom the Guard let through.
func whoami(w http.ResponseWriter, r *http.Request) {
	p, _ := resource.PrincipalFrom(r.Context())
	io.WriteString(w, p.User)
}

func (f *forger) token(t *testing.T, uri, user string) *resourcetest.Token {
	t.Helper()
	return f.issuer.Token(uri, resourcetest.Grant{User: user, Scopes: []string{"tickets.read"}, Roles: []string{"reader"}, Tools: []tokens.ToolDetail{{Tool: "get_ticket"}}})
}

func parse(t *testing.T, marshal func() ([]byte, error)) blackbox.Key {
	t.Helper()
	jwk, err := marshal()
	if err != nil {
		t.Fatal(err)
	}
	k, err := blackbox.ParseKey(jwk)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signed is a token with this header and these claims.
func (f *forger) signed(header, claims blackbox.Object) string {
	return f.key.JWS(header.JSON(), claims.JSON())
}

// call uses a token with the agent's key.
func (f *forger) call(t *testing.T, token string) blackbox.Response {
	t.Helper()
	res, err := f.tools.Call(t.Context(), f.agent, token, "get_ticket", readArguments)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// works checks that the good token still is one.
func (f *forger) works(t *testing.T) {
	t.Helper()
	if res := f.call(t, f.signed(f.header, f.claims)); res.Status != http.StatusOK || string(res.Body) != f.claims["sub"] {
		t.Errorf("the good token: %s", res)
	}
}

// TestAttackForged plays the rows of section 4.16 that need a token no issuer would issue.
func TestAttackForged(t *testing.T) {
	t.Parallel()
	f := newForger(t, "")
	f.works(t)
	now := time.Now().Unix()
	with := func(name string, value any) string { return f.signed(f.header, f.claims.With(name, value)) }
	typ := func(value any) string { return f.signed(f.header.With("typ", value), f.claims) }
	parts := func(header blackbox.Object) string {
		return blackbox.B64([]byte(header.JSON())) + "." + blackbox.B64([]byte(f.claims.JSON()))
	}
	hs256 := func(secret []byte) string {
		input := parts(f.header.With("alg", "HS256"))
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		return input + "." + blackbox.B64(mac.Sum(nil))
	}
	stranger := blackbox.NewKey()
	for id, rows := range map[string]map[string]string{
		"RS5": {
			"R2": with("aud", "https://r2.example/mcp"), "a list with R2": with("aud", []string{f.tools.URL, "https://r2.example/mcp"}), "prefix": with("aud", f.tools.URL+".evil.example"), "below": with("aud", f.tools.URL+"/x"),
			"slash": with("aud", f.tools.URL+"/"), "empty": with("aud", ""), "empty list": with("aud", []string{}), "missing": f.signed(f.header, f.claims.Without("aud")), "upper case": with("aud", "HTTP"+f.tools.URL[4:]),
		},
		"RS6": {"another": with("iss", "https://evil.example"), "slash": with("iss", f.issuer.URL()+"/"), "missing": f.signed(f.header, f.claims.Without("iss")), "a list": with("iss", []string{f.issuer.URL()})},
		"RS7": {
			"JWT": typ("JWT"), "missing": f.signed(f.header.Without("typ"), f.claims), "application/at+jwt twice": typ("at+jwt,at+jwt"), "dpop+jwt": typ("dpop+jwt"), "client assertion": typ("client-authentication+jwt"), "logout": typ("logout+jwt"), "secevent": typ("secevent+jwt"), "checkpoint": typ("remit-checkpoint+jwt"),
		},
		"RS8": {
			"none": parts(f.header.With("alg", "none")) + ".", "nOnE": parts(f.header.With("alg", "nOnE")) + ".", "HS256 with the key set": hs256(f.jwks), "HS256 with the jwk": hs256([]byte(f.key.JWK().JSON())), "HS256 with nothing": hs256(nil),
			"RS256": f.signed(f.header.With("alg", "RS256"), f.claims), "ES384": f.signed(f.header.With("alg", "ES384"), f.claims), "kid of a file": f.signed(f.header.With("kid", "../../dev/null"), f.claims), "kid missing": stranger.JWS(f.header.Without("kid").JSON(), f.claims.JSON()),
			"another key": stranger.JWS(f.header.JSON(), f.claims.JSON()), "jwk in the header": stranger.JWS(f.header.With("jwk", stranger.JWK()).JSON(), f.claims.JSON()), "jku": stranger.JWS(f.header.With("jku", "https://evil.example/jwks").JSON(), f.claims.JSON()),
			"crit": f.signed(f.header.With("crit", []string{"exp"}).With("exp", 1), f.claims), "b64": f.signed(f.header.With("b64", false).With("crit", []string{"b64"}), f.claims), "signature cut": f.signed(f.header, f.claims)[:100],
		},
		"RS9": {
			"1 s ago": with("exp", now-1), "61 s ago": with("exp", now-61), "nbf in 120 s": with("nbf", now+120), "iat in 120 s": with("iat", now+120), "no exp": f.signed(f.header, f.claims.Without("exp")), "exp text": with("exp", fmt.Sprint(now+60)), "exp 1e20": with("exp", 1e20), "exp null": f.signed(f.header, f.claims.With("exp", nil)), "exp negative": with("exp", -1),
		},
		"RS11": {
			"missing": f.signed(f.header, f.claims.Without("cnf")), "empty": with("cnf", blackbox.Object{}), "empty jkt": with("cnf", blackbox.Object{"jkt": ""}), "x5t alone": with("cnf", blackbox.Object{"x5t#S256": blackbox.Digest("x")}), "a string": with("cnf", f.agent.JKT()),
			"JKT": with("cnf", blackbox.Object{"JKT": f.agent.JKT()}), "jkt twice": f.key.JWS(f.header.JSON(), twice(f.claims)),
		},
	} {
		t.Run(id, func(t *testing.T) {
			plays(t)
			if id == "RS11" {
				refused401(t, f.call(t, with("cnf", blackbox.Object{"jkt": stranger.JKT()})), "invalid_dpop_proof")
			}
			for name, token := range rows {
				t.Run(name, func(t *testing.T) { refused401(t, f.call(t, token), "invalid_token") })
			}
			f.works(t)
		})
	}
}

// twice names another key before the right one.
func twice(claims blackbox.Object) string {
	return `{"cnf":{"jkt":"x"},` + claims.JSON()[1:]
}

// TestAttackRS17: behind a proxy, htu is the public address, not where the request came in.
func TestAttackRS17(t *testing.T) {
	t.Parallel()
	plays(t)
	const public = "https://tickets.example/mcp"
	f := newForger(t, public)
	token := f.signed(f.header, f.claims)
	call := func(htu string, more ...blackbox.Header) blackbox.Response {
		inner := f.tools.Proof(f.agent, token).Claim("htu", htu)
		return f.tools.post(t, append(more, authorization("DPoP", token), blackbox.DPoP(inner))...)
	}
	call(public) // which learns the nonce
	if res := call(public); res.Status != http.StatusOK {
		t.Errorf("the public address: %s", res)
	}
	if res := call(public, blackbox.Header{Name: "Host", Value: "tickets.example"}); res.Status != http.StatusOK {
		t.Errorf("with the public Host: %s", res)
	}
	for name, res := range map[string]blackbox.Response{
		"the inner address":  call(f.tools.URL),
		"the Host header":    call("https://evil.example/mcp", blackbox.Header{Name: "Host", Value: "evil.example"}),
		"X-Forwarded-Host":   call("https://evil.example/mcp", blackbox.Header{Name: "X-Forwarded-Host", Value: "evil.example"}),
		"http in the public": call("http://tickets.example/mcp"),
	} {
		t.Run(name, func(t *testing.T) {
			seen(t, res)
			if res.Status != http.StatusUnauthorized || !blackbox.Challenged(res, "invalid_dpop_proof") {
				t.Errorf("%s", res)
			}
		})
	}
	if res := call(public); res.Status != http.StatusOK {
		t.Errorf("afterwards: %s", res)
	}
}

// TestAttackRS18: with a thousand users at once, nobody is taken for somebody else.
func TestAttackRS18(t *testing.T) {
	t.Parallel()
	plays(t)
	const users, workers = 1000, 32
	f := newForger(t, "")
	f.works(t) // which learns the nonce
	type user struct {
		*resourcetest.Token
		key blackbox.Key
	}
	all := make(chan user, users)
	for i := range users {
		token := f.token(t, f.tools.URL, fmt.Sprintf("usr_%d", i))
		all <- user{token, parse(t, token.Key.Marshal)}
	}
	close(all)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for u := range all {
				for range 3 {
					res, err := f.tools.Call(t.Context(), u.key, u.Raw, "get_ticket", readArguments)
					if err != nil || res.Status != http.StatusOK || string(res.Body) != u.Claims.Subject {
						t.Errorf("%s got %v %s", u.Claims.Subject, err, res)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}
