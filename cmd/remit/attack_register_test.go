package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackRegister plays section 4.10 of the catalogue, where registration was opened.
func TestAttackRegister(t *testing.T) {
	playIn(t, map[string]row{"RG2": rg2, "RG3": rg3, "RG4": rg4, "RG5": rg5, "RG6": rg6, "RG7": rg7, "RG8": rg8, "RG9": rg9, "RG10": rg10, "RX5": rx5Register, "RX16": rx16Register}, "REMIT_REGISTRATION=open")
}

// registration is what a good public client registers, changed; nil takes a member away.
func registration(changes blackbox.Object) string {
	form := blackbox.Object{
		"client_name": "Curious Client", "redirect_uris": []string{redirectA}, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
	}
	maps.Copy(form, changes)
	for name, value := range form {
		if value == nil {
			delete(form, name)
		}
	}
	return form.JSON()
}

// registered registers a client that is good.
func (w *world) registered(t *testing.T, changes blackbox.Object) blackbox.Response {
	t.Helper()
	res, err := w.registers(t.Context(), registration(changes))
	if err != nil || res.Status != http.StatusCreated {
		t.Fatalf("a good registration: %v %s", err, res)
	}
	return res
}

// refusesRegistration sends each registration, wants it refused, and then registers a good client.
func (w *world) refusesRegistration(t *testing.T, x want, all map[string]blackbox.Object) {
	t.Helper()
	for name, changes := range all {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, x, func() (blackbox.Response, error) { return w.registers(t.Context(), registration(changes)) })
		})
	}
	w.registered(t, nil)
	jot(t, goodAfter)
}

func rg2(t *testing.T, w *world) {
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf("https://agent.example/%d", i)
	}
	all := map[string]blackbox.Object{"1 000": {"redirect_uris": many}, "none": {"redirect_uris": []string{}}, "missing": {"redirect_uris": nil}, "one of them bad": {"redirect_uris": []string{redirectA, "http://10.0.0.1/cb"}}}
	for name, uri := range map[string]string{
		"http": "http://agent.example/cb", "fragment": redirectA + "#x", "bare fragment": redirectA + "#", "javascript": "javascript:alert(1)", "data": "data:text/html,x", "custom scheme": "cursor://anysphere/cb",
		"reverse domain": "com.example.app:/cb", "wildcard host": "https://*.agent.example/cb", "wildcard path": "https://agent.example/*", "user": "https://a:b@agent.example/cb", "empty": "", "loopback's name": "http://127.0.0.1.evil.example/cb",
	} {
		all[name] = blackbox.Object{"redirect_uris": []string{uri}}
	}
	w.refusesRegistration(t, E("invalid_redirect_uri"), all)
}

// rg3: names that deceive are refused; whoever registered themselves is shown as that.
func rg3(t *testing.T, w *world) {
	all := map[string]blackbox.Object{}
	for name, text := range map[string]string{"10 kB": strings.Repeat("a", 10_000), "right to left": "Agent \u202eelgooG", "control": "Agent\u0007", "line break": "Agent\nby Google", "NUL": "Agent\u0000", "zero width": "Google\u200b", "a blank first": " Google"} {
		all[name] = blackbox.Object{"client_name": text}
	}
	w.refusesRegistration(t, E("invalid_client_metadata"), all)
	f := w.flow()
	f.ClientID = w.registered(t, blackbox.Object{"client_name": "G\u043e\u043egle"}).Text("client_id") // Cyrillic
	must(t, f, (*blackbox.Flow).Push)
	at := w.asks(t, f.AuthorizeURL())
	if !strings.Contains(at.Page.Text, "registered itself") || !strings.Contains(at.Page.Text, "agent.example") {
		t.Errorf("a look-alike is not told as unverified: %s", at.Page.Text)
	}
	jot(t, "a look-alike: shown as registered by itself, with its host")
}

func rg4(t *testing.T, w *world) {
	w.refusesRegistration(t, E("invalid_client_metadata"), map[string]blackbox.Object{
		"a script as logo": {"logo_uri": "javascript:alert(1)"}, "data as logo": {"logo_uri": "data:image/svg+xml,x"}, "an inner logo": {"logo_uri": "http://169.254.169.254/x"},
		"a script as terms": {"tos_uri": "javascript:alert(1)"}, "data as policy": {"policy_uri": "data:text/html,x"}, "a script as page": {"client_uri": "javascript:alert(1)"},
	})
}

func rg5(t *testing.T, w *world) {
	key := blackbox.NewKey()
	set := func(keys ...any) blackbox.Object { return blackbox.Object{"keys": keys} }
	w.refusesRegistration(t, E("invalid_client_metadata"), map[string]blackbox.Object{
		"both":          {"jwks": set(key.JWK()), "jwks_uri": "https://agent.example/jwks"},
		"a private key": {"jwks": set(key.PrivateJWK())},
		"RSA 1024":      {"jwks": set(blackbox.Object{"kty": "RSA", "e": "AQAB", "n": strings.Repeat("x", 171)})},
		"a shared key":  {"jwks": set(blackbox.Object{"kty": "oct", "k": "AAAA"})},
		"no keys":       {"token_endpoint_auth_method": "private_key_jwt"},
		"inner keys":    {"jwks_uri": "https://169.254.169.254/jwks"},
		"keys by http":  {"jwks_uri": "http://agent.example/jwks"},
		"not a set":     {"jwks": "x"},
	})
}

func rg6(t *testing.T, w *world) {
	grants := func(all ...string) blackbox.Object { return blackbox.Object{"grant_types": all} }
	w.refusesRegistration(t, E("invalid_client_metadata"), map[string]blackbox.Object{
		"implicit": grants("authorization_code", "implicit"), "password": grants("authorization_code", "password"), "client credentials": grants("authorization_code", "client_credentials"),
		"refresh alone": grants("refresh_token"), "response type token": {"response_types": []string{"code", "token"}}, "scope admin": {"scope": "tickets.read admin"}, "a scope of no shape": {"scope": `a"b`},
		"an unknown method": {"token_endpoint_auth_method": "tls_client_auth"}, "an unknown type": {"application_type": "service"},
	})
}

// rg7: who sends another's document becomes nobody else.
func rg7(t *testing.T, w *world) {
	secret := blackbox.Object{"token_endpoint_auth_method": "client_secret_post"}
	first, second := w.registered(t, secret), w.registered(t, secret)
	if first.Text("client_id") == second.Text("client_id") || first.Text("client_secret") == second.Text("client_secret") || strings.HasPrefix(first.Text("client_id"), "https://") {
		t.Errorf("%s\n%s", first, second)
	}
	jot(t, "different ids and secrets")
	form := blackbox.Form{{Name: "grant_type", Value: "refresh_token"}, {Name: "client_id", Value: first.Text("client_id")}, {Name: "client_secret", Value: second.Text("client_secret")}, {Name: "refresh_token", Value: "rr_x"}}
	w.refusesToken(t, E401(), blackbox.NewKey(), map[string]blackbox.Form{"the other's secret": form})
	w.refusesToken(t, E("invalid_grant"), blackbox.NewKey(), map[string]blackbox.Form{"its own": form.Set("client_secret", first.Text("client_secret"))})
}

// rg8: what was registered cannot be changed by anybody; no token for it is handed out.
func rg8(t *testing.T, w *world) {
	a, b := w.registered(t, blackbox.Object{"client_name": "A"}), w.registered(t, blackbox.Object{"client_name": "B"})
	if a.JSON()["registration_access_token"] != nil || a.JSON()["registration_client_uri"] != nil {
		t.Errorf("a token to change it: %s", a)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		for name, headers := range map[string][]blackbox.Header{"nothing": nil, "another's id": {authorization("Bearer", b.Text("client_id"))}, "a guess": {authorization("Bearer", blackbox.Random(32))}} {
			t.Run(method+" with "+name, func(t *testing.T) {
				res := w.refuses(t, want{statuses: []int{401, 404}}, func() (blackbox.Response, error) {
					return blackbox.Do(t.Context(), w.issuer, blackbox.Request{Method: method, Target: "/register/" + a.Text("client_id"), Headers: headers})
				})
				if res.Status == http.StatusOK {
					t.Errorf("%s", res)
				}
			})
		}
	}
	f := w.flow()
	f.ClientID = a.Text("client_id")
	good(t, f, (*blackbox.Flow).ToToken)
}

// rg9: nobody chooses an id, a secret or a policy.
func rg9(t *testing.T, w *world) {
	for name, id := range map[string]string{"a path": "../../admin", "another's": w.a, "an address": "https://agent.example/client.json"} {
		res := w.registered(t, blackbox.Object{"client_id": id, "client_secret": "mine", "client_name": "Chooser " + name, "remit": blackbox.Object{"verified_by_admin": true, "refresh_grace": 60}})
		if got := res.Text("client_id"); got == id || !strings.HasPrefix(got, "cli_") || res.Text("client_secret") != "" {
			t.Errorf("%s: %s", name, res)
		}
		var out struct {
			Clients []struct {
				ID     string          `json:"client_id"`
				Policy json.RawMessage `json:"remit"`
			}
		}
		w.remit(t, &out, "", "client", "list")
		for _, c := range out.Clients {
			if c.ID == res.Text("client_id") && string(c.Policy) != "{}" {
				t.Errorf("%s chose its own policy: %s", name, c.Policy)
			}
		}
	}
	jot(t, "ignored: ids are made here")
}

func rg10(t *testing.T, w *world) {
	statement := blackbox.B64([]byte(`{"alg":"none"}`)) + "." + blackbox.B64([]byte(`{"client_name":"Google"}`)) + "."
	w.refusesRegistration(t, E("invalid_software_statement"), map[string]blackbox.Object{"alg none": {"software_statement": statement}, "signed by anybody": {"software_statement": blackbox.NewKey().JWS(`{"alg":"ES256"}`, `{"client_name":"Google"}`)}})
}

// refusesDocument sends each body to be registered, wants it refused, and then registers a good client.
func (w *world) refusesDocument(t *testing.T, x want, all map[string]string) {
	t.Helper()
	for name, body := range all {
		t.Run("register, "+name, func(t *testing.T) {
			w.refuses(t, x, func() (blackbox.Response, error) { return w.registers(t.Context(), body) })
		})
	}
	w.registered(t, nil)
	jot(t, goodAfter)
}

// member is a good registration with one more member, as written.
func member(text string) string { return strings.TrimSuffix(registration(nil), "}") + "," + text + "}" }

// rx5Register is RX5 where a stranger registers. What no member that is known holds is no reason to refuse.
func rx5Register(t *testing.T, w *world) {
	w.refusesDocument(t, E("invalid_client_metadata"), map[string]string{
		"15 000 deep": member(`"x":` + strings.Repeat("[", 15_000) + strings.Repeat("]", 15_000)), "cut": member(`"x":` + strings.Repeat("[", 15_000)),
		"1e400 as a name": registration(blackbox.Object{"client_name": json.RawMessage("1e400")}), "1e400 as keys": registration(blackbox.Object{"jwks": json.RawMessage(`{"keys":1e400}`)}), "not UTF-8": member("\"x\":\"\xff\""), "lone surrogate": member(`"x":"\udfff"`),
		"2 500 members": member(strings.TrimSuffix(strings.Repeat(`"a":1,`, 2_500), ",")),
	})
}

// rx16Register is RX16 where a stranger registers: a name in another case, or below __proto__, is no name of it.
func rx16Register(t *testing.T, w *world) {
	w.refusesDocument(t, E("invalid_client_metadata"), map[string]string{
		"a name twice": member(`"client_name":"Google"`), "BOM": "\ufeff" + registration(nil), "behind it": registration(nil) + "{}", "a list": "[" + registration(nil) + "]",
	})
	redirects := `["` + redirectA + `"]`
	less := strings.TrimSuffix(registration(blackbox.Object{"redirect_uris": nil}), "}")
	w.refusesDocument(t, E("invalid_redirect_uri"), map[string]string{
		"another case": less + `,"Redirect_uris":` + redirects + "}", "__proto__": less + `,"__proto__":{"redirect_uris":` + redirects + "}}",
	})
}
