package main_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackResource plays section 4.16 of the catalogue with tokens that the server issued. The
// rows that need tokens it would never issue are in TestAttackForged.
func TestAttackResource(t *testing.T) {
	play(t, map[string]row{"RS1": rs1, "RS2": rs2, "RS3": rs3, "RS4": rs4, "RS5": rs5, "RS10": rs10, "RS12": rs12, "RS19": rs19})
}

// refused401 checks R401: status and challenge, Bearer first, and the way to the metadata.
func refused401(t *testing.T, res blackbox.Response, code string) {
	t.Helper()
	sane(t, res)
	seen(t, res)
	challenges := blackbox.Challenges(res)
	if res.Status != http.StatusUnauthorized || len(challenges) != 2 || challenges[0].Scheme != "bearer" || challenges[1].Scheme != "dpop" {
		t.Errorf("want 401 with a Bearer and a DPoP challenge: %s", res)
		return
	}
	for _, c := range challenges {
		if !strings.HasSuffix(c.Params["resource_metadata"], "/.well-known/oauth-protected-resource/mcp") {
			t.Errorf("resource_metadata %q", c.Params["resource_metadata"])
		}
	}
	if got := challenges[1].Params["error"]; got != code || challenges[1].Params["algs"] == "" {
		t.Errorf("DPoP error %q, want %q: %s", got, code, res)
	}
}

// post sends a good call of get_ticket under these headers.
func (p *protected) post(t *testing.T, headers ...blackbox.Header) blackbox.Response {
	t.Helper()
	res, err := p.Post(t.Context(), "tools/call", "get_ticket", blackbox.CallBody("get_ticket", readArguments), headers...)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func authorization(scheme, token string) blackbox.Header {
	return blackbox.Header{Name: "Authorization", Value: scheme + " " + token}
}

func rs1(t *testing.T, w *world) {
	res := w.r1.post(t)
	refused401(t, res, "")
	for _, c := range blackbox.Challenges(res) {
		if c.Params["error"] != "" || c.Params["scope"] != "tickets.read" {
			t.Errorf("challenge %v", c)
		}
	}
	refused401(t, w.r1.post(t, authorization("Basic", "YTpi")), "")
	w.works(t, w.token(t))
}

// rs2: the token counts in the Authorization header alone, under the scheme of its binding.
func rs2(t *testing.T, w *world) {
	f := w.token(t)
	w.works(t, f)
	proof := func() blackbox.Header { return blackbox.DPoP(w.r1.Proof(f.Key, f.Access())) }
	refused401(t, w.r1.post(t, authorization("Bearer", f.Access())), "invalid_token")
	refused401(t, w.r1.post(t, authorization("Bearer", f.Access()), proof()), "invalid_token")
	query := &protected{Tools: &blackbox.Tools{URL: w.r1.URL + "?access_token=" + f.Access()}}
	refused401(t, query.post(t, proof()), "")
	form, err := blackbox.Post(t.Context(), w.r1.URL, blackbox.Form{{Name: "access_token", Value: f.Access()}}, proof())
	if err != nil {
		t.Fatal(err)
	}
	refused401(t, form, "")
	for name, headers := range map[string][]blackbox.Header{
		"the same twice": {authorization("DPoP", f.Access()), authorization("DPoP", f.Access()), proof()},
		"both schemes":   {authorization("Bearer", f.Access()), authorization("DPoP", f.Access()), proof()},
		"in one line":    {authorization("DPoP", f.Access()+", Bearer "+f.Access()), proof()},
	} {
		t.Run(name, func(t *testing.T) {
			res := w.r1.post(t, headers...)
			sane(t, res)
			if res.Status != http.StatusBadRequest && (name != "in one line" || res.Status != http.StatusUnauthorized) {
				t.Errorf("%s", res)
			}
		})
	}
	w.works(t, f)
}

// rs3: the negative cases of the FAPI suite's dpop-negative-tests, at the resource.
func rs3(t *testing.T, w *world) {
	f := w.token(t)
	w.works(t, f)
	g := func() blackbox.Proof { return w.r1.Proof(f.Key, f.Access()) }
	hour := time.Now().Unix()
	for name, p := range map[string]string{
		"not a JWT": "x", "no typ": g().Head("typ", nil).String(), "no alg": g().Head("alg", nil).String(), "no jwk": g().Head("jwk", nil).String(), "no jti": g().Claim("jti", nil).String(),
		"no htm": g().Claim("htm", nil).String(), "no htu": g().Claim("htu", nil).String(), "no iat": g().Claim("iat", nil).String(), "no ath": g().Claim("ath", nil).String(), "wrong typ": g().Head("typ", "JWT").String(),
		"RS256": g().Head("alg", "RS256").String(), "none": g().Head("alg", "none").String(), "private key": g().Head("jwk", f.Key.PrivateJWK()).String(), "wrong htm": g().Claim("htm", "GET").String(),
		"wrong htu": g().Claim("htu", w.r2.URL).String(), "htu of the server": g().Claim("htu", w.server.Token).String(), "an hour old": g().Claim("iat", hour-3600).String(), "an hour ahead": g().Claim("iat", hour+3600).String(),
		"wrong ath": g().Claim("ath", blackbox.Digest("x")).String(), "ath of another case": g().Claim("ath", strings.ToLower(blackbox.Digest(f.Access()))).String(), "crit": g().Head("crit", []string{"typ"}).String(),
		"signature": blackbox.Proof{Key: blackbox.NewKey(), Header: g().Header, Claims: g().Claims}.String(), "b64": g().Head("b64", false).Head("crit", []string{"b64"}).String(),
	} {
		t.Run(name, func(t *testing.T) {
			refused401(t, w.r1.post(t, authorization("DPoP", f.Access()), blackbox.Header{Name: "DPoP", Value: p}), "invalid_dpop_proof")
		})
	}
	for name, proofs := range map[string][]string{"none": {}, "two": {g().String(), g().String()}, "in one line": {g().String() + "," + g().String()}} {
		t.Run(name+" sent", func(t *testing.T) {
			headers := []blackbox.Header{authorization("DPoP", f.Access())}
			for _, p := range proofs {
				headers = append(headers, blackbox.Header{Name: "DPoP", Value: p})
			}
			refused401(t, w.r1.post(t, headers...), "invalid_dpop_proof")
		})
	}
	t.Run("replay", func(t *testing.T) {
		p := blackbox.DPoP(g())
		if res := w.r1.post(t, authorization("DPoP", f.Access()), p); res.Status != http.StatusOK {
			t.Errorf("the first: %s", res)
		}
		refused401(t, w.r1.post(t, authorization("DPoP", f.Access()), p), "invalid_dpop_proof")
	})
	for name, p := range map[string]blackbox.Proof{"no nonce": g().Claim("nonce", nil), "invented nonce": g().Claim("nonce", blackbox.Random(24)), "the server's nonce": g().Claim("nonce", w.server.Known())} {
		t.Run(name, func(t *testing.T) {
			res := w.r1.post(t, authorization("DPoP", f.Access()), blackbox.DPoP(p))
			refused401(t, res, "use_dpop_nonce")
			if n := res.Header.Values("DPoP-Nonce"); len(n) != 1 || !strings.Contains(res.Header.Get("Cache-Control"), "no-store") {
				t.Errorf("DPoP-Nonce %q", n)
			}
		})
	}
	for name, p := range map[string]blackbox.Proof{
		"htu with query": g().Claim("htu", w.r1.URL+"?a=b"), "htu with fragment": g().Claim("htu", w.r1.URL+"#x"), "upper-case scheme": g().Claim("htu", "HTTP"+w.r1.URL[4:]),
		"extra claims": g().Claim("x", 1), "extra header": g().Head("x", 1), "10 s old": g().Claim("iat", hour-10), "10 s ahead": g().Claim("iat", hour+10),
	} {
		t.Run(name+" passes", func(t *testing.T) {
			if res := w.r1.post(t, authorization("DPoP", f.Access()), blackbox.DPoP(p)); res.Status != http.StatusOK {
				t.Errorf("%s", res)
			}
		})
	}
	w.works(t, f)
}

// rs4: token and proof belong together.
func rs4(t *testing.T, w *world) {
	f, other := w.token(t), w.token(t)
	w.works(t, f)
	refused401(t, w.r1.post(t, authorization("DPoP", f.Access()), blackbox.DPoP(w.r1.Proof(f.Key, other.Access()))), "invalid_dpop_proof")
	refused401(t, w.r1.post(t, authorization("DPoP", f.Access()), blackbox.DPoP(w.r1.Proof(blackbox.NewKey(), f.Access()))), "invalid_dpop_proof")
	refused401(t, w.r1.post(t, authorization("DPoP", f.Access()), blackbox.DPoP(w.r1.Proof(other.Key, f.Access()))), "invalid_dpop_proof")
	w.works(t, f)
	w.works(t, other)
}

// elsewhere is a flow of client A for the second resource.
func (w *world) elsewhere(t *testing.T) *blackbox.Flow {
	f := w.flow()
	f.Resource, f.Details = w.r2.URL, w.detailsAt(w.r2.URL, "get_ticket")
	return must(t, f, (*blackbox.Flow).ToToken)
}

// rs5: a token for another resource is worth nothing here.
func rs5(t *testing.T, w *world) {
	f := w.elsewhere(t)
	res, err := w.r1.Call(t.Context(), f.Key, f.Access(), "get_ticket", readArguments)
	if err != nil {
		t.Fatal(err)
	}
	refused401(t, res, "invalid_token")
	if res, err = w.r2.Call(t.Context(), f.Key, f.Access(), "get_ticket", readArguments); err != nil || res.Status != http.StatusOK {
		t.Errorf("at its own: %v %s", err, res)
	}
}

func rs10(t *testing.T, w *world) {
	f := w.token(t)
	w.works(t, f)
	for _, scheme := range []string{"dpop", "DPOP", "DPoP"} {
		if res := w.r1.post(t, authorization(scheme, f.Access()), blackbox.DPoP(w.r1.Proof(f.Key, f.Access()))); res.Status != http.StatusOK {
			t.Errorf("%s: %s", scheme, res)
		}
	}
}

// rs12: what is authorised is what is executed: one message, each member once.
func rs12(t *testing.T, w *world) {
	f := w.token(t)
	w.works(t, f)
	call := func(tool string) string { return blackbox.CallBody(tool, readArguments) }
	good := call("get_ticket")
	tickets := func() int { return strings.Count(string(w.search(t, f).Body), `"WEB-090"`) }
	if tickets() == 0 {
		t.Fatal("WEB-090 is not there to be deleted")
	}
	for name, body := range map[string]string{
		"batch":               "[" + good + "," + call("delete_ticket") + "]",
		"batch of one":        "[" + good + "]",
		"empty batch":         "[]",
		"method twice":        strings.Replace(good, `"method":"tools/call"`, `"method":"tools/list","method":"tools/call"`, 1),
		"Method too":          strings.Replace(good, `"method":"tools/call"`, `"method":"tools/call","Method":"tools/list"`, 1),
		"name twice":          strings.Replace(good, `"name":"get_ticket"`, `"name":"get_ticket","name":"delete_ticket"`, 1),
		"name twice, escaped": strings.Replace(good, `"name":"get_ticket"`, `"name":"get_ticket","n\u0061me":"delete_ticket"`, 1),
		"argument twice":      strings.Replace(good, `"project":"WEB"`, `"project":"WEB","project":"OPS"`, 1),
		"arguments twice":     strings.Replace(good, `"arguments":`, `"arguments":{"project":"OPS","id":"OPS-007"},"arguments":`, 1),
		"behind it":           good + call("delete_ticket"),
		"behind a newline":    good + "\n" + call("delete_ticket"),
		"byte order mark":     "\ufeff" + good,
		"no JSON":             "{",
		"empty":               "",
		"a number":            "1",
		"not UTF-8":           strings.Replace(good, "WEB-118", "WEB\xff118", 1),
		"deep":                strings.Replace(good, `"WEB-118"`, strings.Repeat("[", 10000)+strings.Repeat("]", 10000), 1),
	} {
		t.Run(name, func(t *testing.T) {
			res, err := w.r1.Post(t.Context(), "tools/call", "get_ticket", body, authorization("DPoP", f.Access()), blackbox.DPoP(w.r1.Proof(f.Key, f.Access())))
			if err != nil || res.Status != http.StatusBadRequest {
				t.Errorf("%v %s", err, res)
			}
			sane(t, res)
		})
	}
	for name, tt := range map[string]struct{ tool, body, code string }{
		"forbidden":                   {"delete_ticket", call("delete_ticket"), "scope"},
		"the header says another":     {"get_ticket", call("delete_ticket"), "scope"},
		"other case":                  {"Get_Ticket", call("Get_Ticket"), "scope"},
		"another project":             {"get_ticket", blackbox.CallBody("get_ticket", blackbox.Object{"project": "OPS", "id": "OPS-007"}), "argument_limit"},
		"no project":                  {"get_ticket", blackbox.CallBody("get_ticket", blackbox.Object{"id": "WEB-118"}), "argument_limit"},
		"argument in another case":    {"get_ticket", blackbox.CallBody("get_ticket", blackbox.Object{"project": "WEB", "Project": "OPS", "id": "WEB-118"}), "argument_limit"},
		"argument that nobody knows":  {"get_ticket", blackbox.CallBody("get_ticket", blackbox.Object{"project": "WEB", "id": "WEB-118", "sudo": true}), "argument_limit"},
		"project as a list":           {"get_ticket", blackbox.CallBody("get_ticket", blackbox.Object{"project": []string{"WEB"}, "id": "WEB-118"}), "argument_limit"},
		"an argument of another type": {"get_ticket", blackbox.CallBody("get_ticket", blackbox.Object{"project": nil, "id": "WEB-118"}), "argument_limit"},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := w.r1.Post(t.Context(), "tools/call", tt.tool, tt.body, authorization("DPoP", f.Access()), blackbox.DPoP(w.r1.Proof(f.Key, f.Access())))
			if err != nil || res.Status != http.StatusForbidden || blackbox.Denial(res)["code"] != tt.code {
				t.Errorf("want 403 %s: %v %s", tt.code, err, res)
			}
			if c := blackbox.Challenges(res); len(c) != 2 || c[0].Params["error"] != "insufficient_scope" {
				t.Errorf("challenges %v", c)
			}
		})
	}
	if tickets() == 0 {
		t.Error("WEB-090 was deleted")
	}
	w.works(t, f)
}

// search is a good call of search_tickets.
func (w *world) search(t *testing.T, f *blackbox.Flow) blackbox.Response {
	t.Helper()
	res, err := w.r1.Call(t.Context(), f.Key, f.Access(), "search_tickets", blackbox.Object{"project": "WEB", "limit": 50})
	if err != nil || res.Status != http.StatusOK {
		t.Fatalf("search: %v %s", err, res)
	}
	return res
}

// rs19: a token that one resource passes on is refused by the next, with the proof and without.
func rs19(t *testing.T, w *world) {
	f := w.token(t)
	w.works(t, f)
	other := w.elsewhere(t) // so that R2 is in use, and its nonce is known
	if res, err := w.r2.Call(t.Context(), other.Key, other.Access(), "get_ticket", readArguments); err != nil || res.Status != http.StatusOK {
		t.Fatalf("R2: %v %s", err, res)
	}
	received := blackbox.DPoP(w.r1.Proof(f.Key, f.Access()))
	refused401(t, w.r2.post(t, authorization("DPoP", f.Access()), received), "invalid_token")
	refused401(t, w.r2.post(t, authorization("Bearer", f.Access())), "invalid_token")
	res, err := w.r2.Call(t.Context(), f.Key, f.Access(), "get_ticket", readArguments)
	if err != nil {
		t.Fatal(err)
	}
	refused401(t, res, "invalid_token")
	w.works(t, f)
}
