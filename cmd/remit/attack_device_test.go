package main_test

import (
	"net/http"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackDevice plays the rows of device authorization; DV5 is among the races.
func TestAttackDevice(t *testing.T) {
	play(t, map[string]row{"DV1": dv1, "DV2": dv2, "DV3": dv3, "DV4": dv4, "DV6": dv6})
}

// deviceForm is the good request of the client without a browser.
func (w *world) deviceForm() blackbox.Form {
	return blackbox.Form{{Name: "client_id", Value: w.headless}, {Name: "resource", Value: w.r1.URL}, {Name: "authorization_details", Value: w.details("get_ticket")}}
}

// device asks for a code as the holder of the key.
func (w *world) device(t *testing.T, key blackbox.Key) blackbox.Response {
	t.Helper()
	res, err := w.server.Send(t.Context(), key, w.issuer+"/device", w.deviceForm())
	if err != nil || res.Status != http.StatusOK {
		t.Fatalf("device: %v %s", err, res)
	}
	return res
}

func dv1(t *testing.T, w *world) {
	w.nonce(t)
	key := blackbox.NewKey()
	for name, headers := range map[string][]blackbox.Header{
		"none": nil, "for the token endpoint": {blackbox.DPoP(w.server.Proof(key, w.server.Token))}, "two": {blackbox.DPoP(w.server.Proof(key, w.issuer+"/device")), blackbox.DPoP(w.server.Proof(key, w.issuer+"/device"))},
	} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, badProof(), func() (blackbox.Response, error) {
				return blackbox.Post(t.Context(), w.issuer+"/device", w.deviceForm(), headers...)
			})
		})
	}
	w.device(t, key)
	jot(t, goodAfter)
}

func dv2(t *testing.T, w *world) {
	key, form := blackbox.NewKey(), w.deviceForm()
	for name, tt := range map[string]struct {
		x    want
		form blackbox.Form
	}{
		"not registered for it": {E("unauthorized_client"), form.Set("client_id", w.a)}, "an unknown client": {E401(), form.Set("client_id", "cli_aaaaaaaaaaaaaaaaaaaaaaaaaa")},
		"an unknown resource": {E("invalid_target"), form.Set("resource", "https://unknown.example/mcp")}, "an unknown tool": {E("invalid_authorization_details"), form.Set("authorization_details", w.details("format_disk"))},
	} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, tt.x, func() (blackbox.Response, error) { return w.server.Send(t.Context(), key, w.issuer+"/device", tt.form) })
		})
	}
	w.device(t, key)
	jot(t, goodAfter)
}

func dv4(t *testing.T, w *world) {
	key := blackbox.NewKey()
	another := w.client(t, "Headless too", map[string]any{"token_endpoint_auth_method": "none", "grant_types": []string{deviceGrant, "refresh_token"}})
	asked := w.device(t, key)
	w.allowsDevice(t, asked)
	poll := blackbox.Form{{Name: "grant_type", Value: deviceGrant}, {Name: "client_id", Value: w.headless}, {Name: "device_code", Value: asked.Text("device_code")}}
	for name, tt := range map[string]struct {
		key  blackbox.Key
		form blackbox.Form
	}{
		"another key": {blackbox.NewKey(), poll}, "another client": {key, poll.Set("client_id", another)}, "cut": {key, poll.Set("device_code", asked.Text("device_code")[:20])}, "the user's code": {key, poll.Set("device_code", asked.Text("user_code"))},
		"as a code": {key, poll.Set("grant_type", "authorization_code").Add("code", asked.Text("device_code")).Add("code_verifier", blackbox.Random(32)).Set("client_id", w.a)},
	} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, E("invalid_grant", "invalid_dpop_proof"), func() (blackbox.Response, error) { return w.server.Send(t.Context(), tt.key, w.server.Token, tt.form) })
		})
	}
	if res, err := w.server.Send(t.Context(), key, w.server.Token, poll); err != nil || res.Status != http.StatusOK {
		t.Errorf("the right poll: %v %s", err, res)
	}
	jot(t, goodAfter)
}

// dv3: before the decision there is nothing, and who asks too often is told to wait.
func dv3(t *testing.T, w *world) {
	key := blackbox.NewKey()
	asked := w.device(t, key)
	poll := blackbox.Form{{Name: "grant_type", Value: deviceGrant}, {Name: "client_id", Value: w.headless}, {Name: "device_code", Value: asked.Text("device_code")}}
	send := func() (blackbox.Response, error) { return w.server.Send(t.Context(), key, w.server.Token, poll) }
	t.Run("the first poll", func(t *testing.T) { w.refuses(t, E("authorization_pending"), send) })
	t.Run("at once again", func(t *testing.T) { w.refuses(t, E("authorization_pending"), send) }) // one is to spare, for clocks that differ
	t.Run("and again", func(t *testing.T) { w.refuses(t, E("slow_down"), send) })
	other := blackbox.NewKey()
	denied := w.device(t, other)
	w.decidesDevice(t, denied, blackbox.Choice{Deny: true})
	t.Run("after it was denied", func(t *testing.T) {
		w.refuses(t, E("access_denied"), func() (blackbox.Response, error) {
			return w.server.Send(t.Context(), other, w.server.Token, poll.Set("device_code", denied.Text("device_code")))
		})
	})
	w.allowsDevice(t, asked)
	if res, err := send(); err != nil || res.Status != http.StatusOK {
		t.Errorf("after it was allowed: %v %s", err, res)
	}
	jot(t, goodAfter)
}

// dv6: a code is not guessed, and no page allows anything by itself.
func dv6(t *testing.T, w *world) {
	asked := w.device(t, blackbox.NewKey())
	at, err := w.mara.Get(t.Context(), w.issuer+"/activate")
	if err != nil {
		t.Fatal(err)
	}
	typed, ok := at.Page.With("user_code")
	if !ok {
		t.Fatalf("no page to type the code on: %s", at.Response)
	}
	for name, code := range map[string]string{"wrong": "BCDF-GHJK", "empty": "", "the device's code": asked.Text("device_code"), "a pattern": "%", "an injection": "' OR 1=1 --"} {
		t.Run(name, func(t *testing.T) {
			res := w.refuses(t, want{statuses: []int{200, 400, 404}, page: true}, func() (blackbox.Response, error) {
				return w.submitsAs(t, at.Page, typed, w.mara.Cookies())(typed.Filled().Set("user_code", code))
			})
			if _, asks := blackbox.ParsePage(w.issuer, res.Body).With("decision"); asks {
				t.Errorf("a consent page: %s", res)
			}
		})
	}
	for name, form := range map[string]blackbox.Form{"no token": {{Name: "user_code", Value: asked.Text("user_code")}}, "a guess": {{Name: "user_code", Value: asked.Text("user_code")}, {Name: "csrf", Value: blackbox.Random(24)}}} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, want{statuses: []int{403}, page: true}, func() (blackbox.Response, error) {
				return w.submitsAs(t, at.Page, typed, w.mara.Cookies())(form)
			})
		})
	}
	t.Run("opened by a link", func(t *testing.T) {
		at := w.open(t, asked.Text("verification_uri_complete"))
		if _, asks := at.Page.With("decision"); asks {
			t.Error("a link leads past the page to type the code on")
		}
		seen(t, at.Response)
	})
	w.allowsDevice(t, asked)
	jot(t, goodAfter)
}
