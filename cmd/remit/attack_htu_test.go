package main_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/cmd/remit/demo"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
)

// named is a server that stands on the web under a name, with TLS: who asks it knows where it listens.
type named struct {
	*world
	tools string // a protected server that it knows
}

// newNamed starts a server of this issuer.
func newNamed(t *testing.T, issuer string) named {
	t.Helper()
	cert, key := certificate(t, time.Now().Add(24*time.Hour), mustURL(t, issuer).Hostname())
	p := &process{dir: shortDir(t), listen: freeAddress(t), secure: true, issuer: issuer}
	p.env = append(engineEnv(t), "REMIT_DEV=", "REMIT_TLS_CERT="+cert, "REMIT_TLS_KEY="+key)
	p.run(t)
	n := named{&world{process: p, server: &blackbox.Server{Issuer: issuer, PAR: issuer + "/par", Token: issuer + "/token"}}, "https://tools.example/mcp"}
	server, policy := demo.NewTickets()
	tools, err := mcpauth.Tools(server)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.Marshal(map[string]any{"uri": n.tools, "name": "Tickets", "policy": string(policy), "tools": tools})
	if err != nil {
		t.Fatal(err)
	}
	n.remit(t, nil, string(file), "resource", "add", "-")
	return n
}

// sends posts a form with a proof to an address of the server.
func (n named) sends(t *testing.T, address string, form blackbox.Form, proof blackbox.Proof) blackbox.Response {
	t.Helper()
	res := n.asksTLS(t, blackbox.Request{Method: "POST", Target: mustURL(t, address).RequestURI(), Headers: []blackbox.Header{formType, blackbox.DPoP(proof)}, Body: []byte(form.Encode())})
	n.server.Note(res)
	return res
}

// TestAttackDP11: an address in another spelling is the same address (RFC 3986 §6.2.2, §6.2.3), and another
// address is another one, however close; also where the issuer is a name, its port goes without saying, and its
// path has a letter that some encode.
func TestAttackDP11(t *testing.T) {
	t.Parallel()
	plays(t)
	n := newNamed(t, "https://remit.example/~acme")
	id, secret := n.secretClient(t, "Nightly", "client_credentials", "authorization_code")
	n.remit(t, nil, "", "client", "assign", "--client", id, "--resource", n.tools, "--role", "admin")
	authenticated := form("client_id", id, "client_secret", secret, "resource", n.tools)
	for name, at := range map[string]struct {
		address string
		form    blackbox.Form
		done    int
	}{
		"token": {n.server.Token, authenticated.Add("grant_type", "client_credentials"), http.StatusOK},
		"par": {n.server.PAR, authenticated.Add("response_type", "code").Add("redirect_uri", redirectA).Add("scope", "tickets.read").
			Add("code_challenge", blackbox.Digest(blackbox.Random(32))).Add("code_challenge_method", "S256"), http.StatusCreated},
	} {
		n.sends(t, at.address, at.form, n.server.Proof(blackbox.NewKey(), at.address)) // which learns the nonce
		with := func(htu string) blackbox.Response {
			return n.sends(t, at.address, at.form, n.server.Proof(blackbox.NewKey(), at.address).Claim("htu", htu))
		}
		for spelt, htu := range spellings(at.address) {
			if res := with(htu); res.Status != at.done {
				t.Errorf("%s, %s: %s", name, spelt, res)
			}
		}
		for which, htu := range others(at.address) {
			t.Run(name+" "+which, func(t *testing.T) {
				n.refuses(t, badProof(), func() (blackbox.Response, error) { return with(htu), nil })
			})
		}
		if res := with(at.address); res.Status != at.done {
			t.Errorf("%s, afterwards: %s", name, res)
		}
	}
	jot(t, "ten spellings of the address: served")
	jot(t, goodAfter)
}

// spellings are other ways to write an address of https://remit.example/~acme.
func spellings(address string) map[string]string {
	swap := func(old, new string) string { return strings.Replace(address, old, new, 1) }
	return map[string]string{
		"query": address + "?a=b", "fragment": address + "#x", "upper-case scheme": swap("https", "HTTPS"), "upper-case host": swap("remit.example", "Remit.EXAMPLE"), "its port": swap("example/", "example:443/"),
		"no port behind the colon": swap("example/", "example:/"), "encoded tilde": swap("~", "%7E"), "encoded tilde, lower case": swap("~", "%7e"), "dot segments": swap("/~acme", "/x/.././~acme"),
		"all at once": strings.Replace(swap("https://remit.example", "HTTPS://REMIT.example:443"), "~", "%7e", 1) + "?x#y",
	}
}

// others are addresses that only look like this one.
func others(address string) map[string]string {
	swap := func(old, new string) string { return strings.Replace(address, old, new, 1) }
	return map[string]string{
		"another port": swap("example/", "example:8443/"), "the port of http": swap("example/", "example:80/"), "http": swap("https", "http"), "http at 443": swap("https://remit.example", "http://remit.example:443"),
		"another host": swap("remit.example", "evil.example"), "a host below": swap("remit.example", "a.remit.example"), "a host above": swap("remit.example", "remit.example.evil.example"), "the root's dot": swap("example/", "example./"),
		"where it listens": swap("remit.example", "127.0.0.1"), "a user": swap("https://", "https://remit@"), "a host as user": swap("https://remit.example", "https://remit.example@evil.example"),
		"no tilde": swap("~acme", "acme"), "upper-case path": swap("~acme", "~ACME"), "encoded slash": swap("~acme/", "~acme%2F"), "two slashes": swap("~acme/", "~acme//"), "a slash behind": address + "/", "encoded twice": swap("~", "%257E"),
		"above the root": swap("/~acme", "/~acme/.."),
	}
}
