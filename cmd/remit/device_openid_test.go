package main_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestDeviceIDToken: a device that asks for openid besides its server gets an ID token with its nonce, where
// the user allowed that, and none otherwise (OpenID Connect Core 1.0 §2).
func TestDeviceIDToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jwks, err := blackbox.Get(t.Context(), w.server.JWKS)
	if err != nil {
		t.Fatal(err)
	}
	ask := w.deviceForm().Add("scope", "openid email").Add("nonce", "n-0S6")
	for name, allows := range map[string]bool{"allowed": true, "not allowed": false} {
		t.Run(name, func(t *testing.T) {
			key := blackbox.NewKey()
			asked, err := w.server.Send(t.Context(), key, w.issuer+"/device", ask)
			if err != nil || asked.Status != http.StatusOK {
				t.Fatalf("device: %v %s", err, asked)
			}
			at, err := w.mara.Get(t.Context(), asked.Text("verification_uri_complete"))
			if err != nil {
				t.Fatal(err)
			}
			typed, _ := at.Page.With("user_code")
			at, err = w.mara.Submit(t.Context(), at.Page, typed, typed.Filled().Set("user_code", asked.Text("user_code")))
			pages := 0
			for ; err == nil; pages++ {
				page, form, ok := blackbox.ConsentForm(at)
				if !ok {
					break
				}
				answer := blackbox.Choice{Duration: 1800}.Fill(form).Without("read")
				if reads, _ := form.Values("read"); len(reads) > 0 && allows {
					answer = answer.Add("read", "openid")
				}
				at, err = w.mara.Submit(t.Context(), page, form, answer)
			}
			if err != nil || at.Status != http.StatusOK || pages != 2 {
				t.Fatalf("%d pages: %v %s", pages, err, at.Response)
			}
			poll := blackbox.Form{{Name: "grant_type", Value: deviceGrant}, {Name: "client_id", Value: w.headless}, {Name: "device_code", Value: asked.Text("device_code")}}
			res, err := w.server.Send(t.Context(), key, w.server.Token, poll)
			if err != nil || res.Status != http.StatusOK {
				t.Fatalf("poll: %v %s", err, res)
			}
			raw := res.Text("id_token")
			if raw == "" == allows {
				t.Fatalf("an ID token: %t, want %t: %s", raw != "", allows, res)
			}
			f := w.flow()
			f.ClientID, f.Key, f.Issued = w.headless, key, res.JSON()
			w.works(t, f)
			if !allows {
				return
			}
			if err := blackbox.Verify(raw, jwks.Body); err != nil {
				t.Error(err)
			}
			_, claims, err := blackbox.Decode(raw)
			if err != nil {
				t.Fatal(err)
			}
			if claims["iss"] != w.issuer || claims["aud"] != w.headless || claims["nonce"] != "n-0S6" || claims["sub"] != claim(t, f, "sub") || claims["auth_time"] == nil || claims["amr"] == nil {
				t.Errorf("claims %v", claims)
			}
			if claims["email"] != nil {
				t.Error("it tells what was not allowed")
			}
			if f.Access() == raw {
				t.Error("one token for both")
			}
			res = w.r1.post(t, authorization("DPoP", raw), blackbox.DPoP(w.r1.Proof(key, raw)))
			refused401At(t, res, "invalid_token")
			must(t, f, (*blackbox.Flow).Refresh)
			if f.Issued["id_token"] != nil {
				t.Error("a refresh tells again who signed in")
			}
		})
	}
	w.refuses(t, E("invalid_request"), func() (blackbox.Response, error) {
		return w.server.Send(t.Context(), blackbox.NewKey(), w.issuer+"/device", ask.Set("nonce", strings.Repeat("n", 2000)))
	})
	w.refuses(t, E("invalid_target"), func() (blackbox.Response, error) {
		return w.server.Send(t.Context(), blackbox.NewKey(), w.issuer+"/device", ask.Add("resource", w.r2.URL))
	})
}
