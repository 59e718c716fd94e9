package main_test

import (
	"net/http"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackDevice plays the rows of device authorization; DV5 is among the races.
func TestAttackDevice(t *testing.T) {
	play(t, map[string]row{"DV1": dv1, "DV2": dv2, "DV4": dv4})
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
	asked := w.device(t, key)
	w.allowsDevice(t, asked)
	poll := blackbox.Form{{Name: "grant_type", Value: deviceGrant}, {Name: "client_id", Value: w.headless}, {Name: "device_code", Value: asked.Text("device_code")}}
	for name, tt := range map[string]struct {
		key  blackbox.Key
		form blackbox.Form
	}{
		"another key": {blackbox.NewKey(), poll}, "cut": {key, poll.Set("device_code", asked.Text("device_code")[:20])}, "the user's code": {key, poll.Set("device_code", asked.Text("user_code"))},
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
