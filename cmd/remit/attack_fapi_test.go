package main_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestFAPI plays modules of the FAPI 2.0 Security Profile plan (DPoP, private_key_jwt) by their names;
// those that a row of the catalogue plays already are told in docs/security-tests.md by that row.
func TestFAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, module := range map[string]row{
		"happy-flow": fapiHappy, "user-rejects-authentication": fapiRejects, "ensure-authorization-request-without-state-success": fapiNoState,
		"ensure-authorization-request-with-long-nonce": fapiNonce, "ensure-other-scope-order-succeeds": fapiScopes, "ensure-dpopproof-with-iat-10seconds-before-and-after-succeeds": fapiIat,
		"ensure-dpop-auth-code-binding-success": fapiBinding, "ensure-client-id-in-token-endpoint": fapiClientID, "ensure-holder-of-key-required": fapiKey,
		"ensure-authorization-code-is-bound-to-client": fapiBound, "ensure-response-type-token-fails": fapiResponseType, "refresh-token": fapiRefresh,
	} {
		t.Run(name, func(t *testing.T) {
			plays(t)
			module(t, w)
		})
	}
}

// asC is the form with C well authenticated.
func (w *world) asC(form blackbox.Form) blackbox.Form {
	return w.asserted(form, w.claim("iat", time.Now().Unix()))
}

// nonce learns the newest nonce, so that no assertion is spent on a challenge.
func (w *world) nonce(t *testing.T) {
	t.Helper()
	if _, err := w.server.FreshNonce(t.Context(), w.a); err != nil {
		t.Fatal(err)
	}
}

// pushed pushes a request of C, and remembers its request_uri.
func (w *world) pushed(t *testing.T, f *blackbox.Flow, form blackbox.Form) blackbox.Response {
	t.Helper()
	w.nonce(t)
	res, err := w.server.Send(t.Context(), f.Key, w.server.PAR, w.asC(form))
	if err != nil {
		t.Fatal(err)
	}
	f.RequestURI = res.Text("request_uri")
	return res
}

func (w *world) flowC() *blackbox.Flow {
	f := w.flow()
	f.ClientID = w.c
	return f
}

// takes redeems C's code.
func (w *world) takes(t *testing.T, f *blackbox.Flow) {
	t.Helper()
	w.nonce(t)
	res, err := w.server.Send(t.Context(), f.Key, w.server.Token, w.asC(f.RedeemForm()))
	if err != nil || res.Status != http.StatusOK {
		t.Fatalf("redeem: %v %s", err, res)
	}
	f.Issued = res.JSON()
}

func fapiHappy(t *testing.T, w *world) {
	f := w.ofC(t)
	w.takes(t, f)
	w.works(t, f)
	res, err := w.r1.Post(t.Context(), "tools/call", "get_ticket", blackbox.CallBody("get_ticket", readArguments), blackbox.Header{Name: "Authorization", Value: "Bearer " + f.Access()})
	if err != nil {
		t.Fatal(err)
	}
	refused401(t, res, "invalid_token")
}

func fapiRejects(t *testing.T, w *world) {
	f := w.flowC()
	f.Choice.Deny = true
	w.pushed(t, f, f.PushForm())
	must(t, f, (*blackbox.Flow).Consent)
	w.redirects(t, f.Landing, f, "access_denied")
}

func fapiNoState(t *testing.T, w *world) {
	f := w.flowC()
	form := f.PushForm().Without("state")
	f.State = ""
	w.pushed(t, f, form)
	must(t, f, (*blackbox.Flow).Consent)
	if strings.Contains(f.Landing.URL, "state=") {
		t.Errorf("a state that nobody sent: %s", f.Landing.URL)
	}
	w.takes(t, f)
	jot(t, goodAfter)
}

func fapiNonce(t *testing.T, w *world) {
	for _, n := range []int{48, 288} { // 64 and 384 characters
		f := w.flowC()
		if res := w.pushed(t, f, f.PushForm().Add("nonce", blackbox.Random(n))); res.Status != http.StatusCreated {
			t.Fatalf("a nonce of %d bytes: %s", n, res)
		}
		must(t, f, (*blackbox.Flow).Consent)
		w.takes(t, f)
	}
	jot(t, goodAfter)
}

func fapiScopes(t *testing.T, w *world) {
	for _, scope := range []string{"tickets.read tickets.write", "tickets.write tickets.read"} {
		f := w.flowC()
		if res := w.pushed(t, f, f.PushForm().Without("authorization_details").Set("scope", scope)); res.Status != http.StatusCreated {
			t.Fatalf("%s: %s", scope, res)
		}
		must(t, f, (*blackbox.Flow).Consent)
		w.takes(t, f)
	}
	jot(t, goodAfter)
}

func fapiIat(t *testing.T, w *world) {
	for _, apart := range []int64{-10, 10} {
		f := w.flowC()
		w.nonce(t)
		at := func(address string) blackbox.Header {
			return blackbox.DPoP(w.server.Proof(f.Key, address).Claim("iat", time.Now().Unix()+apart))
		}
		res := mustPost(t, w.server.PAR, w.asC(f.PushForm()), at(w.server.PAR))
		f.RequestURI = res.Text("request_uri")
		must(t, f, (*blackbox.Flow).Consent)
		w.nonce(t)
		res = mustPost(t, w.server.Token, w.asC(f.RedeemForm()), at(w.server.Token))
		if res.Status != http.StatusOK {
			t.Errorf("%d s: %s", apart, res)
		}
		f.Issued = res.JSON()
		w.works(t, f)
	}
}

func fapiBinding(t *testing.T, w *world) {
	f := w.flowC()
	w.nonce(t)
	res := mustPost(t, w.server.PAR, w.asC(f.PushForm().Add("dpop_jkt", f.Key.JKT())))
	if f.RequestURI = res.Text("request_uri"); res.Status != http.StatusCreated {
		t.Fatalf("dpop_jkt alone: %s", res)
	}
	must(t, f, (*blackbox.Flow).Consent)
	t.Run("another key", func(t *testing.T) {
		w.nonce(t)
		w.refuses(t, E("invalid_grant", "invalid_dpop_proof"), func() (blackbox.Response, error) {
			return w.server.Send(t.Context(), blackbox.NewKey(), w.server.Token, w.asC(f.RedeemForm()))
		})
	})
	w.takes(t, f)
	w.works(t, f)
}

func fapiClientID(t *testing.T, w *world) {
	f := w.ofC(t)
	w.nonce(t)
	w.refuses(t, E401(), func() (blackbox.Response, error) {
		return w.server.Send(t.Context(), f.Key, w.server.Token, w.asC(f.RedeemForm()).Set("client_id", w.a))
	})
	w.takes(t, f)
	jot(t, goodAfter)
}

func fapiKey(t *testing.T, w *world) {
	f := w.ofC(t)
	w.refuses(t, badProof(), func() (blackbox.Response, error) {
		return blackbox.Post(t.Context(), w.server.Token, w.asC(f.RedeemForm()))
	})
	w.takes(t, f)
	w.works(t, f)
}

func fapiBound(t *testing.T, w *world) {
	f := w.ofC(t)
	w.refuses(t, E("invalid_grant"), func() (blackbox.Response, error) {
		return w.server.Send(t.Context(), f.Key, w.server.Token, f.RedeemForm().Set("client_id", w.a))
	})
	w.takes(t, f)
	w.works(t, f)
}

func fapiResponseType(t *testing.T, w *world) {
	for _, kind := range []string{"token", "code id_token", "id_token"} {
		t.Run(kind, func(t *testing.T) {
			f := w.flowC()
			w.nonce(t)
			w.refuses(t, E("unsupported_response_type", "invalid_request"), func() (blackbox.Response, error) {
				return w.server.Send(t.Context(), f.Key, w.server.PAR, w.asC(f.PushForm().Set("response_type", kind)))
			})
		})
	}
	f := w.ofC(t)
	w.takes(t, f)
	jot(t, goodAfter)
}

func fapiRefresh(t *testing.T, w *world) {
	f := w.ofC(t)
	w.takes(t, f)
	for name, tt := range map[string]struct {
		x    want
		send func() (blackbox.Response, error)
	}{
		"no client authentication": {E401(), func() (blackbox.Response, error) {
			return w.server.Send(t.Context(), f.Key, w.server.Token, f.RefreshForm())
		}},
		"no proof": {badProof(), func() (blackbox.Response, error) {
			return blackbox.Post(t.Context(), w.server.Token, w.asC(f.RefreshForm()))
		}},
		"another client": {E("invalid_grant"), func() (blackbox.Response, error) {
			return w.server.Send(t.Context(), f.Key, w.server.Token, f.RefreshForm().Set("client_id", w.a))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w.nonce(t)
			w.refuses(t, tt.x, tt.send)
		})
	}
	for range 2 { // the answer was lost: once more the same
		w.nonce(t)
		res, err := w.server.Send(t.Context(), f.Key, w.server.Token, w.asC(f.RefreshForm()))
		if err != nil || res.Status != http.StatusOK {
			t.Errorf("refresh: %v %s", err, res)
		}
	}
	jot(t, goodAfter)
}
