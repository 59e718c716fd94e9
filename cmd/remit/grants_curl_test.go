//go:build clients

package main_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// grantPage is the page of a grant.
func grantPage(name string) string { return "../../docs/grants/" + name + ".md" }

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
		s.goldenOn(t, grantPage("authorization-code"), "code")
		f.Issued = issued.JSON()

		s = w.terminalOf(t)
		s.wants(s.post(f.Key, w.server.Token, f.RefreshForm()), http.StatusOK)
		s.goldenOn(t, grantPage("refresh"), "refresh")
	})
	t.Run("client credentials", func(t *testing.T) {
		s := w.terminalOf(t)
		id, secret := w.secretClient(t, "Nightly job", "client_credentials")
		w.remit(t, nil, "", "client", "assign", "--client", id, "--resource", w.r1.URL, "--role", "reader")
		s.wants(s.post(blackbox.NewKey(), w.server.Token, blackbox.Form{
			{Name: "grant_type", Value: "client_credentials"}, {Name: "client_id", Value: id}, {Name: "client_secret", Value: secret}, {Name: "resource", Value: w.r1.URL}, {Name: "scope", Value: "tickets.read"},
		}), http.StatusOK)
		s.goldenOn(t, grantPage("client-credentials"), "client_credentials")
	})
	t.Run("token exchange", func(t *testing.T) {
		s, c, sub := w.terminalOf(t), w.crew(t), blackbox.NewKey()
		form := c.form(t, c.parent.Key, c.parent.Access(), sub).Add("authorization_details", `[{"type":"mcp_tool","tool":"get_ticket"}]`)
		s.as(url.QueryEscape(form.Get("subject_token_proof")), "$PARENTS_PROOF")
		s.as(form.Get("subject_token_proof"), "$PARENTS_PROOF")
		s.wants(s.post(sub, w.server.Token, form), http.StatusOK)
		s.goldenOn(t, grantPage("token-exchange"), "token_exchange")
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
		s.goldenOn(t, grantPage("device"), "device")
	})
	t.Run("jwt-bearer", func(t *testing.T) {
		s := w.terminalOf(t)
		id, secret := w.secretClient(t, "Desktop", bearerGrant)
		s.wants(s.post(blackbox.NewKey(), w.server.Token, idp.form(w, id, secret, nil, nil)), http.StatusOK)
		s.goldenOn(t, grantPage("jwt-bearer"), "jwt_bearer")
	})
	t.Run("step-up", func(t *testing.T) {
		s, f := w.terminalOf(t), w.reading(t, w.mara)
		s.as(f.TaskID(), "tsk_…")
		s.write("# The Guard refused add_comment, and said what is missing. The task's own key asks for it.")
		up := w.extends(w.a, f.Key, f.TaskID())
		form := up.PushForm()
		s.as(up.Verifier, "$VERIFIER")
		pushed := s.post(f.Key, w.server.PAR, form)
		s.wants(pushed, http.StatusCreated)
		up.RequestURI = pushed.Text("request_uri")
		must(t, up, (*blackbox.Flow).Consent)
		s.write("# The user saw what is new, and allowed it. The token is good for both.")
		s.wants(s.post(f.Key, w.server.Token, up.RedeemForm()), http.StatusOK)
		s.goldenOn(t, grantPage("step-up"), "step_up")
	})
	t.Run("workload", func(t *testing.T) { // the last: the server begins anew
		job := w.client(t, "Nightly job", map[string]any{"token_endpoint_auth_method": "none", "grant_types": []string{bearerGrant}})
		w.remit(t, nil, "", "client", "assign", "--client", job, "--resource", w.r1.URL, "--role", "reader")
		cluster, spire := provider{"https://kubernetes.default.svc.cluster.local", blackbox.NewKey()}, provider{"https://spire.acme.example", blackbox.NewKey()}
		w.trusts(t, cluster.workload(job, "system:serviceaccount:jobs:nightly"), spire.workload(job, "spiffe://acme.example/jobs/nightly"))
		for name, assertion := range map[string]string{
			"kubernetes": cluster.asserts("system:serviceaccount:jobs:nightly"), "spiffe": spire.asserts("spiffe://acme.example/jobs/nightly"),
		} {
			s := w.terminalOf(t)
			s.write("# $ASSERTION is what the platform gave the workload, with the audience remit: " + map[string]string{"kubernetes": "a Kubernetes service account token.", "spiffe": "a SPIFFE JWT-SVID."}[name])
			s.as(assertion, "$ASSERTION")
			s.wants(s.post(blackbox.NewKey(), w.server.Token, blackbox.Form{{Name: "grant_type", Value: bearerGrant}, {Name: "assertion", Value: assertion}, {Name: "resource", Value: w.r1.URL}}), http.StatusOK)
			s.goldenOn(t, grantPage("jwt-bearer"), name)
		}
	})
}
