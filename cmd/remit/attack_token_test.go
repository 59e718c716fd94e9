package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackToken plays section 4.3 of the catalogue. TK7 is among those that take their time;
// TK10 cannot be played, because PR4 lets no code without a challenge come to be.
func TestAttackToken(t *testing.T) {
	play(t, map[string]row{
		"TK1": tk1, "TK2": tk2, "TK3": tk3, "TK4": tk4, "TK5": tk5, "TK6": tk6, "TK8": tk8, "TK9": tk9, "TK11": tk11, "TK12": tk12, "TK13": tk13,
		"TK14": tk14, "TK15": tk15, "TK16": tk16, "TK17": tk17, "TK18": tk18, "TK19": tk19,
	})
}

// refusesToken sends each form with a good proof of the flow's key, and wants it refused.
func (w *world) refusesToken(t *testing.T, x want, key blackbox.Key, forms map[string]blackbox.Form) {
	t.Helper()
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, x, func() (blackbox.Response, error) { return w.server.Send(t.Context(), key, w.server.Token, form) })
		})
	}
}

func tk1(t *testing.T, w *world) {
	f := w.code(t)
	target := strings.TrimPrefix(w.server.Token, w.issuer)
	form := blackbox.Header{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}
	proof := func() blackbox.Header { return blackbox.DPoP(w.server.Proof(f.Key, w.server.Token)) }
	for name, r := range map[string]blackbox.Request{
		"GET":   {Method: "GET", Target: target + "?" + f.RedeemForm().Encode(), Headers: []blackbox.Header{proof()}},
		"empty": {Method: "POST", Target: target, Headers: []blackbox.Header{form, proof()}},
		"JSON":  {Method: "POST", Target: target, Headers: []blackbox.Header{{Name: "Content-Type", Value: "application/json"}, proof()}, Body: []byte(blackbox.Object{"grant_type": "authorization_code", "code": f.Code}.JSON())},
	} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, E("invalid_request").or(405).or(415), func() (blackbox.Response, error) { return blackbox.Do(t.Context(), w.issuer, r) })
		})
	}
	good(t, f, (*blackbox.Flow).Redeem)
}

func tk2(t *testing.T, w *world) {
	f := w.code(t)
	form := f.RedeemForm()
	w.refusesToken(t, E("unsupported_grant_type"), f.Key, map[string]blackbox.Form{
		"unknown": form.Set("grant_type", "urn:example:none"), "two in one": form.Set("grant_type", "authorization_code refresh_token"), "case": form.Set("grant_type", "Authorization_Code"),
	})
	w.refusesToken(t, E("invalid_request"), f.Key, map[string]blackbox.Form{"missing": form.Without("grant_type"), "empty": form.Set("grant_type", "")})
	good(t, f, (*blackbox.Flow).Redeem)
}

func tk3(t *testing.T, w *world) {
	f := w.token(t)
	// RFC 6749 §5.2: what the server serves, and this client did not register for; and what it serves nobody.
	w.refusesToken(t, E("unauthorized_client"), f.Key, map[string]blackbox.Form{
		"refresh by a client without it": f.RefreshForm().Set("client_id", w.codeOnly),
		"client credentials":             {{Name: "grant_type", Value: "client_credentials"}, {Name: "client_id", Value: w.a}},
	})
	w.refusesToken(t, E("unsupported_grant_type"), f.Key, map[string]blackbox.Form{
		"password": {{Name: "grant_type", Value: "password"}, {Name: "client_id", Value: w.a}, {Name: "username", Value: w.mara.Email}, {Name: "password", Value: w.mara.Password}},
		"implicit": {{Name: "grant_type", Value: "implicit"}, {Name: "client_id", Value: w.a}},
	})
	good(t, f, (*blackbox.Flow).Refresh)
	only := w.flow()
	only.ClientID = w.codeOnly
	good(t, only, (*blackbox.Flow).ToToken)
	if only.RefreshToken() != "" {
		t.Error("a client without the refresh grant got a refresh token")
	}
}

// tk4: a parameter stands once; the code is not spent by the refusal.
func tk4(t *testing.T, w *world) {
	f := w.code(t)
	forms := map[string]blackbox.Form{}
	for _, name := range []string{"code", "client_id", "grant_type", "code_verifier", "redirect_uri", "resource"} {
		forms[name+" same"] = f.RedeemForm().Add(name, f.RedeemForm().Get(name))
		forms[name+" different"] = f.RedeemForm().Add(name, "x")
		forms[name+" different, first"] = f.RedeemForm().Prepend(name, "x")
	}
	for name, form := range forms {
		x := E("invalid_request")
		if strings.HasPrefix(name, "resource") {
			x = E("invalid_request", "invalid_target")
			if name == "resource same" {
				continue // RFC 8707 §2 lets resource stand more than once; naming the same one twice asks for nothing else
			}
		}
		w.refusesToken(t, x, f.Key, map[string]blackbox.Form{name: form})
	}
	good(t, f, (*blackbox.Flow).Redeem)
}

// tk5: another client's code is worth nothing, and stays its owner's.
func tk5(t *testing.T, w *world) {
	f := w.code(t)
	w.refusesToken(t, E("invalid_grant"), f.Key, map[string]blackbox.Form{"B": f.RedeemForm().Set("client_id", w.b)})
	w.refusesToken(t, E("invalid_grant"), blackbox.NewKey(), map[string]blackbox.Form{"B with its own key": f.RedeemForm().Set("client_id", w.b)})
	asserted := blackbox.Asserted(f.RedeemForm().Set("client_id", w.c), w.cKey, blackbox.NewAssertion(w.c, w.issuer))
	w.refusesToken(t, E("invalid_grant"), f.Key, map[string]blackbox.Form{"C": asserted})
	good(t, f, (*blackbox.Flow).Redeem)
	w.works(t, f)
}

// tk6: a code that is used twice, rightly, kills what it brought.
func tk6(t *testing.T, w *world) {
	f := w.token(t)
	w.works(t, f)
	res, err := w.server.Send(t.Context(), f.Key, w.server.Token, f.RedeemForm())
	if err != nil {
		t.Fatal(err)
	}
	E("invalid_grant").check(t, res)
	w.dead(t, f)
	good(t, w.flow(), (*blackbox.Flow).ToToken)
}

// dead checks that what a flow holds is worth nothing: at the resource within promise P1, at the
// server at once.
func (w *world) dead(t *testing.T, f *blackbox.Flow) {
	t.Helper()
	if f.RefreshToken() != "" {
		w.refuses(t, E("invalid_grant"), func() (blackbox.Response, error) {
			return w.server.Send(t.Context(), f.Key, w.server.Token, f.RefreshForm())
		})
	}
	w.refusedBy(t, w.r1, f)
	if res := w.introspect(t, w.r1, f.Access()); res.Status != http.StatusOK || res.JSON()["active"] != false {
		t.Errorf("the dead token at introspection: %s", res)
	}
}

// refusedBy checks that the resource refuses the token within promise P1.
func (w *world) refusedBy(t *testing.T, r *protected, f *blackbox.Flow) {
	t.Helper()
	var res blackbox.Response
	eventually(t, 2*time.Second, "the resource refuses the dead token", func() bool {
		var err error
		res, err = r.Call(t.Context(), f.Key, f.Access(), "get_ticket", readArguments)
		return err == nil && res.Status != http.StatusOK
	})
	seen(t, res)
	if res.Status != http.StatusUnauthorized || !blackbox.Challenged(res, "invalid_token") {
		t.Errorf("the dead token at the resource: %s", res)
	}
}

func tk8(t *testing.T, w *world) {
	f := w.code(t)
	w.refusesToken(t, E("invalid_grant"), f.Key, map[string]blackbox.Form{"none": f.RedeemForm().Without("code_verifier"), "empty": f.RedeemForm().Set("code_verifier", "")})
	good(t, f, (*blackbox.Flow).Redeem)
}

func tk9(t *testing.T, w *world) {
	f := w.code(t)
	form := f.RedeemForm()
	w.refusesToken(t, E("invalid_grant"), f.Key, map[string]blackbox.Form{
		"the challenge": form.Set("code_verifier", blackbox.Digest(f.Verifier)),
		"42":            form.Set("code_verifier", f.Verifier[:42]),
		"129":           form.Set("code_verifier", strings.Repeat("a", 129)),
		"not ASCII":     form.Set("code_verifier", strings.Repeat("ä", 43)),
		"another":       form.Set("code_verifier", blackbox.Random(32)),
		"with a space":  form.Set("code_verifier", f.Verifier+" "),
		"other case":    form.Set("code_verifier", strings.ToUpper(f.Verifier)),
	})
	good(t, f, (*blackbox.Flow).Redeem)
}

func tk11(t *testing.T, w *world) {
	f := w.code(t)
	w.refuses(t, E("invalid_dpop_proof"), func() (blackbox.Response, error) { return blackbox.Post(t.Context(), w.server.Token, f.RedeemForm()) })
	good(t, f, (*blackbox.Flow).Redeem)
}

// tk12: the code is bound to the key of the push, by proof and by dpop_jkt (RFC 9449 §10).
func tk12(t *testing.T, w *world) {
	f := w.code(t)
	w.refusesToken(t, E("invalid_grant", "invalid_dpop_proof"), blackbox.NewKey(), map[string]blackbox.Form{"proof at the push": f.RedeemForm()})
	good(t, f, (*blackbox.Flow).Redeem)
	named := w.flow()
	at, err := w.mara.Consent(t.Context(), w.front(named.PushForm().Add("dpop_jkt", named.Key.JKT())), named.Choice)
	if err != nil || at.Query("code") == "" {
		t.Fatalf("dpop_jkt in front: %v %s", err, at.URL)
	}
	named.Code = at.Query("code")
	w.refusesToken(t, E("invalid_grant", "invalid_dpop_proof"), blackbox.NewKey(), map[string]blackbox.Form{"dpop_jkt": named.RedeemForm()})
	good(t, named, (*blackbox.Flow).Redeem)
}

func tk13(t *testing.T, w *world) {
	f := w.code(t)
	w.refusesToken(t, E("invalid_target"), f.Key, map[string]blackbox.Form{
		"R2": f.RedeemForm().Set("resource", w.r2.URL), "unknown": f.RedeemForm().Set("resource", "https://unknown.example/mcp"), "both": f.RedeemForm().Add("resource", w.r2.URL), "slash": f.RedeemForm().Set("resource", w.r1.URL+"/"),
	})
	good(t, f, (*blackbox.Flow).Redeem)
}

// tk14: what is added at the token endpoint widens nothing.
func tk14(t *testing.T, w *world) {
	for name, add := range map[string]blackbox.Param{
		"scope": {Name: "scope", Value: "tickets.read tickets.write tool:delete_ticket"}, "details": {Name: "authorization_details", Value: w.details("delete_ticket", "email_customer")},
	} {
		t.Run(name, func(t *testing.T) {
			f := w.code(t)
			res, err := w.server.Send(t.Context(), f.Key, w.server.Token, f.RedeemForm().Add(add.Name, add.Value))
			if err != nil {
				t.Fatal(err)
			}
			sane(t, res)
			if res.Status != http.StatusOK {
				E("invalid_scope", "invalid_authorization_details").check(t, res)
				good(t, f, (*blackbox.Flow).Redeem)
				return
			}
			f.Issued = res.JSON()
			_, claims, err := blackbox.Decode(f.Access())
			if err != nil || strings.Contains(claims.JSON(), "delete_ticket") || strings.Contains(claims.JSON(), "email_customer") {
				t.Errorf("widened: %v %s", err, claims.JSON())
			}
		})
	}
}

// tk15: the good answer says what it must.
func tk15(t *testing.T, w *world) {
	f := w.code(t)
	records, _ := w.rows(t)
	res, err := w.server.Send(t.Context(), f.Key, w.server.Token, f.RedeemForm())
	if err != nil || res.Status != http.StatusOK {
		t.Fatalf("%v %s", err, res)
	}
	if after, _ := w.rows(t); after == records {
		t.Error("a token was issued and no ledger record was added")
	}
	f.Issued = res.JSON()
	if !strings.Contains(res.Header.Get("Cache-Control"), "no-store") || res.Text("token_type") != "DPoP" || f.Issued["scope"] == nil || f.TaskID() == "" || f.RefreshToken() == "" {
		t.Errorf("%s", res)
	}
	jwks, err := blackbox.Get(t.Context(), w.server.JWKS)
	if err != nil {
		t.Fatal(err)
	}
	if err := blackbox.Verify(f.Access(), jwks.Body); err != nil {
		t.Error(err)
	}
	header, claims, err := blackbox.Decode(f.Access())
	if err != nil {
		t.Fatal(err)
	}
	cnf, _ := claims["cnf"].(map[string]any)
	iat, _ := claims["iat"].(float64)
	exp, _ := claims["exp"].(float64)
	jti, _ := claims["jti"].(string)
	for what, ok := range map[string]bool{
		"typ": header["typ"] == "at+jwt", "iss": claims["iss"] == w.issuer, "aud": claims["aud"] == w.r1.URL, "client_id": claims["client_id"] == w.a,
		"cnf.jkt": cnf["jkt"] == f.Key.JKT(), "jti": len(jti) >= 22, "exp": exp > iat && exp-iat <= 300, "scope": claims["scope"] == f.Issued["scope"], "sub": claims["sub"] != nil && claims["sub"] != w.mara.Email,
	} {
		if !ok {
			t.Errorf("%s: %s %s", what, header.JSON(), claims.JSON())
		}
	}
	told, _ := json.Marshal(f.Issued["authorization_details"])
	carried, _ := json.Marshal(claims["authorization_details"])
	if string(told) != string(carried) || !strings.Contains(string(told), `"tool":"get_ticket"`) {
		t.Errorf("authorization_details: told %s, carried %s", told, carried)
	}
}

// tk16: the query of a POST counts for nothing, and nothing of it is logged.
func tk16(t *testing.T, w *world) {
	f := w.code(t)
	target := strings.TrimPrefix(w.server.Token, w.issuer) + "?" + f.RedeemForm().Encode()
	form := blackbox.Header{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}
	for name, body := range map[string]string{"all in the query": "", "the code in the query": f.RedeemForm().Without("code").Encode()} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, E("invalid_request"), func() (blackbox.Response, error) {
				return blackbox.Do(t.Context(), w.issuer, blackbox.Request{Method: "POST", Target: target, Headers: []blackbox.Header{form, blackbox.DPoP(w.server.Proof(f.Key, w.server.Token))}, Body: []byte(body)})
			})
		})
	}
	good(t, f, (*blackbox.Flow).Redeem)
	for what, secret := range map[string]string{"code": f.Code, "access token": f.Access(), "refresh token": f.RefreshToken(), "verifier": f.Verifier, "request_uri": f.RequestURI, "password": w.mara.Password} {
		if w.logHolds(secret) {
			t.Errorf("the log holds the %s", what)
		}
		if strings.Contains(string(w.database(t)), secret) {
			t.Errorf("the database holds the %s", what)
		}
	}
}

// tk17: a code is compared whole.
func tk17(t *testing.T, w *world) {
	f := w.code(t)
	form := f.RedeemForm()
	forms := map[string]blackbox.Form{
		"newline": form.Set("code", f.Code+"\n"), "padding": form.Set("code", f.Code+"="), "space": form.Set("code", " "+f.Code), "no prefix": form.Set("code", strings.TrimPrefix(f.Code, "rc_")), "upper case": form.Set("code", strings.ToUpper(f.Code)),
	}
	for _, n := range []int{1, 2, 8, 20} {
		forms[fmt.Sprint("cut by ", n)] = form.Set("code", f.Code[:len(f.Code)-n])
	}
	for _, i := range []int{3, 10, len(f.Code) - 1} {
		changed := []byte(f.Code)
		if changed[i] = 'A'; f.Code[i] == 'A' {
			changed[i] = 'B'
		}
		forms[fmt.Sprint("changed at ", i)] = form.Set("code", string(changed))
	}
	w.refusesToken(t, E("invalid_grant"), f.Key, forms)
	good(t, f, (*blackbox.Flow).Redeem)
}

func tk18(t *testing.T, w *world) {
	f := w.code(t)
	w.refusesToken(t, E("invalid_grant"), f.Key, map[string]blackbox.Form{
		"other": f.RedeemForm().Set("redirect_uri", "http://127.0.0.1:7/callback"), "of B": f.RedeemForm().Set("redirect_uri", redirectB), "slash": f.RedeemForm().Set("redirect_uri", redirectA+"/"),
	})
	good(t, f, (*blackbox.Flow).Redeem)
}

// tk19: no other origin may read a token.
func tk19(t *testing.T, w *world) {
	f := w.code(t)
	origin := blackbox.Header{Name: "Origin", Value: "https://evil.example"}
	res, err := blackbox.Post(t.Context(), w.server.Token, f.RedeemForm(), blackbox.DPoP(w.server.Proof(f.Key, w.server.Token)), origin)
	if err != nil {
		t.Fatal(err)
	}
	sane(t, res)
	pre, err := blackbox.Do(t.Context(), w.issuer, blackbox.Request{Method: "OPTIONS", Target: strings.TrimPrefix(w.server.Token, w.issuer), Headers: []blackbox.Header{origin, {Name: "Access-Control-Request-Method", Value: "POST"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range []blackbox.Response{res, pre} {
		if v := res.Header.Get("Access-Control-Allow-Origin"); v != "" {
			t.Errorf("Access-Control-Allow-Origin %q", v)
		}
	}
}
