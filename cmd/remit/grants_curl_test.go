//go:build clients

package main_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// grantsPage shows every grant as curl sees it.
const grantsPage = "../../docs/grants-curl.md"

// signed is a terminal whose requests carry a DPoP proof, which the page calls $PROOF.
type signed struct {
	*terminal
	w *world
}

// post sends the parameters with a fresh proof of the key.
func (s *signed) post(key blackbox.Key, address string, form blackbox.Form) blackbox.Response {
	s.t.Helper()
	s.w.nonce(s.t)
	proof := s.w.server.Proof(key, address).String()
	s.as("'DPoP: "+proof+"'", `"DPoP: $PROOF"`)
	args := []string{address, "-H", "DPoP: " + proof}
	for _, p := range form {
		args = append(args, "--data-urlencode", p.Name+"="+p.Value)
	}
	return s.curl(args...)
}

// terminalOf is an empty transcript in which the servers have the names of the page.
func (w *world) terminalOf(t *testing.T) *signed {
	t.Helper()
	s := &transcript{}
	host := strings.TrimSuffix(w.r1.URL, "/mcp")
	for _, pair := range [][2]string{{w.issuer, "http://localhost:8080"}, {host, "http://localhost:9000"}} {
		s.as(pair[0], pair[1])
		s.as(url.QueryEscape(pair[0]), url.QueryEscape(pair[1]))
	}
	return &signed{&terminal{s, t}, w}
}

// TestGrantsCurl: each grant, typed by hand.
func TestGrantsCurl(t *testing.T) {
	t.Parallel()
	w, idp := trustingWorld(t)
	t.Run("code", func(t *testing.T) {
		s, f := w.terminalOf(t), w.flow()
		f.Details = strings.Replace(f.Details, "this week's", "the new", 1) // no quote within quotes
		form := f.PushForm()
		s.as(f.Verifier, "$VERIFIER")
		s.write("# Push the request: the proof fixes the key that the code will be good for.")
		pushed := s.post(f.Key, w.server.PAR, form)
		s.wants(pushed, http.StatusCreated)
		f.RequestURI = pushed.Text("request_uri")
		must(t, f, (*blackbox.Flow).Consent)
		s.write("# The user opens http://localhost:8080/authorize?client_id=…&request_uri=… and allows it. The browser comes back with a code.")
		issued := s.post(f.Key, w.server.Token, f.RedeemForm())
		s.wants(issued, http.StatusOK)
		s.goldenOn(t, grantsPage, "code")
		f.Issued = issued.JSON()

		s = w.terminalOf(t)
		s.wants(s.post(f.Key, w.server.Token, f.RefreshForm()), http.StatusOK)
		s.goldenOn(t, grantsPage, "refresh")
	})
	t.Run("client credentials", func(t *testing.T) {
		s := w.terminalOf(t)
		id, secret := w.secretClient(t, "Nightly job", "client_credentials")
		w.remit(t, nil, "", "client", "assign", "--client", id, "--resource", w.r1.URL, "--role", "reader")
		s.wants(s.post(blackbox.NewKey(), w.server.Token, blackbox.Form{
			{Name: "grant_type", Value: "client_credentials"}, {Name: "client_id", Value: id}, {Name: "client_secret", Value: secret}, {Name: "resource", Value: w.r1.URL}, {Name: "scope", Value: "tickets.read"},
		}), http.StatusOK)
		s.goldenOn(t, grantsPage, "client_credentials")
	})
	t.Run("token exchange", func(t *testing.T) {
		s, c, sub := w.terminalOf(t), w.crew(t), blackbox.NewKey()
		form := c.form(t, c.parent.Key, c.parent.Access(), sub).Add("authorization_details", `[{"type":"mcp_tool","tool":"get_ticket"}]`)
		s.as(url.QueryEscape(form.Get("subject_token_proof")), "$PARENTS_PROOF")
		s.as(form.Get("subject_token_proof"), "$PARENTS_PROOF")
		s.wants(s.post(sub, w.server.Token, form), http.StatusOK)
		s.goldenOn(t, grantsPage, "token_exchange")
	})
	t.Run("device", func(t *testing.T) {
		s, key := w.terminalOf(t), blackbox.NewKey()
		asked := s.post(key, w.issuer+"/device", blackbox.Form{{Name: "client_id", Value: w.headless}, {Name: "resource", Value: w.r1.URL}, {Name: "authorization_details", Value: strings.Replace(w.details("get_ticket"), "this week's", "the new", 1)}})
		s.wants(asked, http.StatusOK)
		s.as(asked.Text("device_code"), "$DEVICE_CODE")
		s.as(asked.Text("user_code"), "WXYZ-WXYZ")
		s.as(asked.Text("pairing_words"), "amber river stone")
		poll := blackbox.Form{{Name: "grant_type", Value: deviceGrant}, {Name: "client_id", Value: w.headless}, {Name: "device_code", Value: asked.Text("device_code")}}
		s.wants(s.post(key, w.server.Token, poll), http.StatusBadRequest)
		w.allowsDevice(t, asked)
		s.write("# The user typed the code at /activate, compared the words, and allowed it.")
		s.wants(s.post(key, w.server.Token, poll), http.StatusOK)
		s.goldenOn(t, grantsPage, "device")
	})
	t.Run("jwt-bearer", func(t *testing.T) {
		s := w.terminalOf(t)
		id, secret := w.secretClient(t, "Desktop", bearerGrant)
		s.wants(s.post(blackbox.NewKey(), w.server.Token, idp.form(w, id, secret, nil, nil)), http.StatusOK)
		s.goldenOn(t, grantsPage, "jwt_bearer")
	})
}
