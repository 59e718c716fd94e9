package main_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackRefresh plays section 4.6 of the catalogue. RF1 after the grace, and RF7, are among the
// rows that take their time.
func TestAttackRefresh(t *testing.T) {
	play(t, map[string]row{"RF1": rf1, "RF2": rf2, "RF3": rf3, "RF4": rf4, "RF5": rf5, "RF6": rf6, "RF8": rf8, "RF9": rf9, "RF10": rf10})
}

// rf1: within the grace the same key gets the identical successor, three times; without a grace the
// second use ends the family.
func rf1(t *testing.T, w *world) {
	f := w.token(t)
	form := f.RefreshForm()
	must(t, f, (*blackbox.Flow).Refresh)
	successor := f.RefreshToken()
	for i := range 3 {
		res, err := w.server.Send(t.Context(), f.Key, w.server.Token, form)
		if err != nil || res.Status != http.StatusOK || res.Text("refresh_token") != successor {
			t.Fatalf("repeat %d: %v %s", i+1, err, res)
		}
	}
	good(t, f, (*blackbox.Flow).Refresh) // the successor is alive
	w.works(t, f)

	g := w.flow()
	g.ClientID = w.graceless
	must(t, g, (*blackbox.Flow).ToToken)
	form = g.RefreshForm()
	must(t, g, (*blackbox.Flow).Refresh)
	res, err := w.server.Send(t.Context(), g.Key, w.server.Token, form)
	if err != nil {
		t.Fatal(err)
	}
	E("invalid_grant").check(t, res)
	w.dead(t, g)
}

func rf2(t *testing.T, w *world) {
	f := w.token(t)
	form := f.RefreshForm()
	w.refusesToken(t, E("invalid_scope"), f.Key, map[string]blackbox.Form{
		"wider": form.Add("scope", f.Issued["scope"].(string)+" tool:delete_ticket"), "another": form.Add("scope", "tool:email_customer"), "unknown": form.Add("scope", "no.such.scope"),
	})
	w.refusesToken(t, E("invalid_authorization_details"), f.Key, map[string]blackbox.Form{
		"another tool": form.Add("authorization_details", w.details("delete_ticket")), "not JSON": form.Add("authorization_details", "["),
	})
	w.refusesToken(t, E("invalid_target"), f.Key, map[string]blackbox.Form{"R2": form.Add("resource", w.r2.URL), "unknown": form.Add("resource", "https://unknown.example/mcp")})
	good(t, f, (*blackbox.Flow).Refresh)
}

// rf3: a narrower scope gives a narrower access token, and a refresh token as wide as before.
func rf3(t *testing.T, w *world) {
	f := w.flow()
	f.Details, f.Scope = "", "tickets.read tickets.write"
	must(t, f, (*blackbox.Flow).ToToken)
	res, err := w.server.Send(t.Context(), f.Key, w.server.Token, f.RefreshForm().Add("scope", "tickets.read"))
	if err != nil || res.Status != http.StatusOK || res.Text("scope") != "tickets.read" {
		t.Fatalf("%v %s", err, res)
	}
	f.Issued = res.JSON()
	call, err := w.r1.Call(t.Context(), f.Key, f.Access(), "add_comment", blackbox.Object{"project": "WEB", "id": "WEB-118", "text": "x"})
	if err != nil || call.Status != http.StatusForbidden || blackbox.Denial(call)["code"] != "scope" {
		t.Errorf("a call outside the narrowed scope: %v %s", err, call)
	}
	good(t, f, (*blackbox.Flow).Refresh)
	if f.Issued["scope"] != "tickets.read tickets.write" {
		t.Errorf("afterwards the scope is %v", f.Issued["scope"])
	}
}

// rf4: another client cannot use it, and does its owner no harm.
func rf4(t *testing.T, w *world) {
	f := w.token(t)
	form := f.RefreshForm()
	w.refusesToken(t, E("invalid_grant"), f.Key, map[string]blackbox.Form{"B with the key": form.Set("client_id", w.b)})
	w.refusesToken(t, E("invalid_grant"), blackbox.NewKey(), map[string]blackbox.Form{"B": form.Set("client_id", w.b)})
	w.works(t, f)
	good(t, f, (*blackbox.Flow).Refresh)
	// The same with a token that its owner has used: no reaction, for it is not its owner who asks.
	w.refusesToken(t, E("invalid_grant"), f.Key, map[string]blackbox.Form{"B with a used one": form.Set("client_id", w.b)})
	w.works(t, f)
	good(t, f, (*blackbox.Flow).Refresh)
}

func rf5(t *testing.T, w *world) {
	f := w.token(t)
	form := f.RefreshForm()
	w.refusesToken(t, E("invalid_dpop_proof", "invalid_grant"), blackbox.NewKey(), map[string]blackbox.Form{"another key": form})
	for name, headers := range map[string][]blackbox.Header{"no proof": nil, "as bearer": {{Name: "Authorization", Value: "Bearer " + f.Access()}}} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, E("invalid_dpop_proof", "invalid_client").or(401), func() (blackbox.Response, error) {
				return blackbox.Post(t.Context(), w.server.Token, form, headers...)
			})
		})
	}
	w.works(t, f)
	good(t, f, (*blackbox.Flow).Refresh)
	w.refusesToken(t, E("invalid_dpop_proof", "invalid_grant"), blackbox.NewKey(), map[string]blackbox.Form{"a used one with another key": form})
	good(t, f, (*blackbox.Flow).Refresh)
}

// rf6: of a confidential client too the refresh token is bound to the agent's key. The catalogue
// would let the key change; the design binds a task to one agent (DESIGN §4, Refresh).
func rf6(t *testing.T, w *world) {
	f := w.flow()
	f.ClientID = w.c
	asserted := func(form blackbox.Form) blackbox.Form {
		return blackbox.Asserted(form, w.cKey, blackbox.NewAssertion(w.c, w.issuer))
	}
	send := func(k blackbox.Key, address string, form blackbox.Form) blackbox.Response {
		res, err := w.server.Send(t.Context(), k, address, asserted(form))
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if f.RequestURI = send(f.Key, w.server.PAR, f.PushForm()).Text("request_uri"); f.RequestURI == "" {
		t.Fatal("C cannot push")
	}
	must(t, f, (*blackbox.Flow).Consent)
	f.Issued = send(f.Key, w.server.Token, f.RedeemForm()).JSON()
	w.works(t, f)
	w.refuses(t, E("invalid_grant", "invalid_dpop_proof"), func() (blackbox.Response, error) {
		return w.server.Send(t.Context(), blackbox.NewKey(), w.server.Token, asserted(f.RefreshForm()))
	})
	w.refuses(t, E401(), func() (blackbox.Response, error) {
		return w.server.Send(t.Context(), f.Key, w.server.Token, f.RefreshForm())
	})
	if res := send(f.Key, w.server.Token, f.RefreshForm()); res.Status != http.StatusOK {
		t.Errorf("the good request afterwards: %s", res)
	}
}

// rf8: after the end, by whoever, nothing is refreshed.
func rf8(t *testing.T, w *world) {
	for name, end := range map[string]func(*testing.T, *blackbox.Flow){
		"the agent completes": func(t *testing.T, f *blackbox.Flow) { w.complete(t, f) },
		"the admin ends":      func(t *testing.T, f *blackbox.Flow) { w.remit(t, nil, "", "task", "end", f.TaskID()) },
		"the client revokes": func(t *testing.T, f *blackbox.Flow) {
			if res := w.revoke(t, f.ClientID, f.RefreshToken()); res.Status != http.StatusOK {
				t.Errorf("revoke: %s", res)
			}
		},
		"the user ends": func(t *testing.T, f *blackbox.Flow) {
			at, err := w.mara.Get(t.Context(), w.issuer+"/agents")
			if err != nil {
				t.Fatal(err)
			}
			for _, form := range at.Page.Forms {
				if task, _ := form.Values("task"); slices.Contains(task, f.TaskID()) {
					if _, err := w.mara.Submit(t.Context(), at.Page, form, form.Filled().Set("action", "end")); err != nil {
						t.Fatal(err)
					}
					return
				}
			}
			t.Fatalf("no way to end %s at %s", f.TaskID(), at.URL)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := w.token(t)
			w.works(t, f)
			end(t, f)
			w.dead(t, f)
		})
	}
	t.Run("the user signs out everywhere", func(t *testing.T) {
		nora, mara := w.person(t, "nora", "user"), w.token(t)
		w.remit(t, nil, "", "user", "assign", "--email", nora.Email, "--resource", w.r1.URL, "--role", "admin")
		f := w.flow()
		f.Person = nora
		w.works(t, must(t, f, (*blackbox.Flow).ToToken))
		cookies := nora.Cookies()
		w.signsOutEverywhere(t, nora)
		w.dead(t, f)
		if w.inside(t, cookies) {
			t.Error("the session is still one")
		}
		w.alive(t, mara) // who did not sign out
		w.enters(t, nora)
		again := w.flow()
		again.Person = nora
		good(t, again, (*blackbox.Flow).ToToken)
	})
	good(t, w.flow(), (*blackbox.Flow).ToToken)
}

// signsOutEverywhere presses the button that ends all sessions and all tasks.
func (w *world) signsOutEverywhere(t *testing.T, b *blackbox.Browser) {
	t.Helper()
	at := w.sees(t, b, "/account")
	for _, form := range at.Page.Forms {
		if actions, _ := form.Values("action"); slices.Contains(actions, "stop_all") {
			if done, err := b.Submit(t.Context(), at.Page, form, form.Filled().Set("action", "stop_all")); err != nil || done.Status >= 400 {
				t.Fatalf("sign out everywhere: %v %s", err, done.Response)
			}
			return
		}
	}
	t.Fatalf("no way to sign out everywhere at %s: %s", at.URL, at.Response)
}

// rf9: a token is taken for what it is alone.
func rf9(t *testing.T, w *world) {
	f, other := w.token(t), w.code(t)
	form := f.RefreshForm()
	w.refusesToken(t, E("invalid_grant"), f.Key, map[string]blackbox.Form{
		"an access token": form.Set("refresh_token", f.Access()), "a code": form.Set("refresh_token", other.Code), "a request_uri": form.Set("refresh_token", other.RequestURI),
		"cut": form.Set("refresh_token", f.RefreshToken()[:len(f.RefreshToken())-1]), "newline": form.Set("refresh_token", f.RefreshToken()+"\n"),
	})
	w.refusesToken(t, E("invalid_grant"), other.Key, map[string]blackbox.Form{"as a code": other.RedeemForm().Set("code", f.RefreshToken())})
	for name, token := range map[string]string{"the refresh token at the resource": f.RefreshToken(), "the code at the resource": other.Code} {
		t.Run(name, func(t *testing.T) {
			res, err := w.r1.Call(t.Context(), f.Key, token, "get_ticket", readArguments)
			if err != nil || res.Status != http.StatusUnauthorized || !blackbox.Challenged(res, "invalid_token") {
				t.Errorf("%v %s", err, res)
			}
		})
	}
	good(t, f, (*blackbox.Flow).Refresh)
	good(t, other, (*blackbox.Flow).Redeem)
}

// rf10: the server dies after the rotation and before its answer arrives; the agent asks again with
// what it has, and is not locked out.
func rf10(t *testing.T, w *world) {
	f := w.token(t)
	old := f.RefreshForm()
	must(t, f, (*blackbox.Flow).Refresh)
	w.kill(t)
	w.start(t)
	res, err := w.server.Send(t.Context(), f.Key, w.server.Token, old)
	if err != nil || res.Status != http.StatusOK || res.Text("refresh_token") != f.RefreshToken() {
		t.Fatalf("the predecessor after the crash: %v %s", err, res)
	}
	good(t, f, (*blackbox.Flow).Refresh)
}
