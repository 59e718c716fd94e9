package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// provider is an identity provider that the server trusts.
type provider struct {
	issuer string
	key    blackbox.Key
}

// trustingWorld is a world that trusts a provider.
func trustingWorld(t *testing.T) (*world, provider) {
	t.Helper()
	p := provider{"https://idp.acme.example", blackbox.NewKey()}
	file := filepath.Join(shortDir(t), "trust.json")
	keys := blackbox.Object{"keys": []any{p.key.JWK().With("kid", "k1").With("alg", "ES256").With("use", "sig")}}
	trust := blackbox.Object{"trusted_issuers": []any{blackbox.Object{"issuer": p.issuer, "kind": "id-jag", "jwks": keys, "clients": []string{"*"}}}}
	if err := os.WriteFile(file, []byte(trust.JSON()), 0o600); err != nil {
		t.Fatal(err)
	}
	return newWorld(t, "REMIT_TRUST_FILE="+file), p
}

// form presents an assertion whose header and claims were changed: nil takes a member away.
func (p provider) form(w *world, id, secret string, header, claims blackbox.Object) blackbox.Form {
	now := time.Now().Unix()
	h := blackbox.Object{"alg": "ES256", "kid": "k1", "typ": "oauth-id-jag+jwt"}
	c := blackbox.Object{
		"iss": p.issuer, "sub": "00u1", "aud": w.issuer, "client_id": id, "jti": blackbox.Random(16), "email": w.mara.Email,
		"iat": now, "exp": now + 300, "resource": w.r1.URL, "scope": "tickets.read tickets.write",
	}
	spoil := func(o, by blackbox.Object) blackbox.Object {
		for name, value := range by {
			if o = o.With(name, value); value == nil {
				o = o.Without(name)
			}
		}
		return o
	}
	return blackbox.Form{
		{Name: "grant_type", Value: bearerGrant},
		{Name: "client_id", Value: id},
		{Name: "client_secret", Value: secret},
		{Name: "assertion", Value: p.key.JWS(spoil(h, header).JSON(), spoil(c, claims).JSON())},
		{Name: "scope", Value: "tickets.read"},
	}
}

// TestAttackAssertion plays the rows of assertions by a trusted identity provider.
func TestAttackAssertion(t *testing.T) {
	t.Parallel()
	w, idp := trustingWorld(t)
	id, secret := w.secretClient(t, "Desktop", bearerGrant)
	other, _ := w.secretClient(t, "Another", bearerGrant)
	now := time.Now().Unix()
	claims := func(name string, value any) blackbox.Form {
		return idp.form(w, id, secret, nil, blackbox.Object{name: value})
	}
	stranger := provider{idp.issuer, blackbox.NewKey()}
	used := idp.form(w, id, secret, nil, nil)
	w.nonce(t)
	if res, err := w.server.Send(t.Context(), blackbox.NewKey(), w.server.Token, used); err != nil || res.Status != 200 {
		t.Fatalf("a good assertion: %v %s", err, res)
	}
	for row, tt := range map[string]struct {
		x     want
		forms map[string]blackbox.Form
	}{
		"JB1": {E("invalid_grant"), map[string]blackbox.Form{
			"typ JWT": idp.form(w, id, secret, blackbox.Object{"typ": "JWT"}, nil), "typ at+jwt": idp.form(w, id, secret, blackbox.Object{"typ": "at+jwt"}, nil), "alg none": idp.form(w, id, secret, blackbox.Object{"alg": "none"}, nil),
			"another key": stranger.form(w, id, secret, nil, nil), "another audience": claims("aud", "https://other.example"), "no audience": claims("aud", nil), "another issuer": claims("iss", "https://evil.example"),
			"another client": claims("client_id", other), "no client": claims("client_id", nil), "no jti": claims("jti", nil), "expired": claims("exp", now-60), "no end": claims("exp", nil), "too long": claims("exp", now+7200),
			"too old": claims("iat", now-7200), "of the future": claims("iat", now+3600), "nonsense": used.Set("assertion", "x.y.z"),
		}},
		"JB2": {E("invalid_grant"), map[string]blackbox.Form{"once more": used}},
		"JB3": {E("invalid_grant"), map[string]blackbox.Form{"unknown": claims("email", "nobody@acme.example"), "not named": claims("email", nil)}},
		"JB4": {E("invalid_scope", "invalid_target"), map[string]blackbox.Form{
			"a wider scope": claims("scope", "tickets.write"), "an unknown resource": claims("resource", "https://unknown.example/mcp"), "a resource besides": claims("scope", "tickets.read").Add("resource", w.r2.URL),
		}},
	} {
		t.Run(row, func(t *testing.T) {
			plays(t)
			for name, form := range tt.forms {
				t.Run(name, func(t *testing.T) {
					w.nonce(t)
					w.refuses(t, tt.x, func() (blackbox.Response, error) {
						return w.server.Send(t.Context(), blackbox.NewKey(), w.server.Token, form)
					})
				})
			}
			res, err := w.server.Send(t.Context(), blackbox.NewKey(), w.server.Token, idp.form(w, id, secret, nil, nil))
			if err != nil || res.Status != 200 {
				t.Errorf("the good request afterwards: %v %s", err, res)
			}
			jot(t, goodAfter)
		})
	}
	t.Run("JB5", func(t *testing.T) { plays(t); jb5(t, w) })
}

// workload is the trust in a platform, one of whose workloads is this client.
func (p provider) workload(client, sub string) blackbox.Object {
	keys := blackbox.Object{"keys": []any{p.key.JWK().With("kid", "k1").With("alg", "ES256").With("use", "sig")}}
	rule := blackbox.Object{"match": blackbox.Object{"sub": sub}, "client": client, "scopes": []string{"tickets.read"}}
	return blackbox.Object{"issuer": p.issuer, "kind": "workload", "jwks": keys, "audience": "remit", "rules": []any{rule}}
}

// asserts is what the platform gives a workload.
func (p provider) asserts(sub string) string {
	now := time.Now().Unix()
	claims := blackbox.Object{"iss": p.issuer, "sub": sub, "aud": []string{"remit"}, "iat": now, "exp": now + 3600, "jti": blackbox.Random(16)}
	return p.key.JWS(blackbox.Object{"alg": "ES256", "kid": "k1"}.JSON(), claims.JSON())
}

// trusts lets the server begin anew, trusting these issuers.
func (w *world) trusts(t *testing.T, issuers ...blackbox.Object) {
	t.Helper()
	for _, pair := range w.env {
		if file, ok := strings.CutPrefix(pair, "REMIT_TRUST_FILE="); ok {
			if err := os.WriteFile(file, []byte(blackbox.Object{"trusted_issuers": issuers}.JSON()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range w.all() {
		p.stop(t)
		p.start(t)
	}
}

// jb5: a workload is a client by a rule that matches it, and by nothing else. The rule names a client, so
// that the server begins anew with it.
func jb5(t *testing.T, w *world) {
	cluster := provider{"https://cluster.acme.example", blackbox.NewKey()}
	job := w.client(t, "Nightly job", map[string]any{"token_endpoint_auth_method": "none", "grant_types": []string{bearerGrant}})
	w.remit(t, nil, "", "client", "assign", "--client", job, "--resource", w.r1.URL, "--role", "reader")
	w.trusts(t, cluster.workload(job, "system:serviceaccount:jobs:*"))
	now := time.Now().Unix()
	good := blackbox.Object{"iss": cluster.issuer, "sub": "system:serviceaccount:jobs:nightly", "aud": []string{"remit"}, "iat": now, "exp": now + 3600}
	form := func(key blackbox.Key, header, claims blackbox.Object) blackbox.Form {
		raw := key.JWS(header.JSON(), claims.With("jti", blackbox.Random(16)).JSON())
		return blackbox.Form{{Name: "grant_type", Value: bearerGrant}, {Name: "assertion", Value: raw}, {Name: "resource", Value: w.r1.URL}}
	}
	head := blackbox.Object{"alg": "ES256", "kid": "k1"}
	once := form(cluster.key, head, good)
	for name, tt := range map[string]struct {
		x    want
		form blackbox.Form
	}{
		"another namespace": {E("invalid_grant"), form(cluster.key, head, good.With("sub", "system:serviceaccount:other:nightly"))}, "below the namespace": {E("invalid_grant"), form(cluster.key, head, good.With("sub", "system:serviceaccount:jobs:a/b"))},
		"no subject": {E("invalid_grant"), form(cluster.key, head, good.Without("sub"))}, "another audience": {E("invalid_grant"), form(cluster.key, head, good.With("aud", "https://kubernetes.default.svc"))}, "no audience": {E("invalid_grant"), form(cluster.key, head, good.Without("aud"))},
		"another issuer": {E("invalid_grant"), form(cluster.key, head, good.With("iss", "https://evil.example"))}, "another key": {E("invalid_grant"), form(blackbox.NewKey(), head, good)}, "alg none": {E("invalid_grant"), form(cluster.key, head.With("alg", "none"), good)},
		"expired": {E("invalid_grant"), form(cluster.key, head, good.With("exp", now-120))}, "for days": {E("invalid_grant"), form(cluster.key, head, good.With("exp", now+3*86400))}, "as an ID-JAG": {E("invalid_grant"), form(cluster.key, head.With("typ", "oauth-id-jag+jwt"), good)},
		"a wider scope": {E("invalid_scope"), once.Set("scope", "tickets.write")}, "as another client": {E401(), form(cluster.key, head, good).Set("client_id", w.a)},
	} {
		t.Run(name, func(t *testing.T) {
			w.nonce(t)
			w.refuses(t, tt.x, func() (blackbox.Response, error) {
				return w.server.Send(t.Context(), blackbox.NewKey(), w.server.Token, tt.form)
			})
		})
	}
	f := w.flow()
	w.nonce(t)
	res, err := w.server.Send(t.Context(), f.Key, w.server.Token, form(cluster.key, head, good))
	if err != nil || res.Status != 200 {
		t.Fatalf("the workload: %v %s", err, res)
	}
	f.Issued = res.JSON()
	eventually(t, blackbox.Timeout, "the Guard hears the server again", func() bool {
		res, err := w.r1.Call(t.Context(), f.Key, f.Access(), "get_ticket", readArguments)
		return err == nil && res.Status == 200
	})
	jot(t, goodAfter)
}
