package main_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackPAR plays section 4.2 of the catalogue. PR7 is among those that take their time.
func TestAttackPAR(t *testing.T) {
	play(t, map[string]row{
		"PR1": pr1, "PR2": pr2, "PR3": pr3, "PR4": pr4, "PR5": pr5, "PR6": pr6, "PR8": pr8, "PR9": pr9, "PR10": pr10, "PR11": pr11,
		"PR12": pr12, "PR13": pr13, "PR14": pr14, "PR15": pr15,
	})
}

// refusesPush sends each form with a good proof, wants it refused, and then pushes a good one.
func (w *world) refusesPush(t *testing.T, x want, forms map[string]blackbox.Form) {
	t.Helper()
	f := w.flow()
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, x, func() (blackbox.Response, error) { return w.server.Send(t.Context(), f.Key, w.server.PAR, form) })
		})
	}
	good(t, f, (*blackbox.Flow).Push)
}

func pr1(t *testing.T, w *world) {
	target := strings.TrimPrefix(w.server.PAR, w.issuer)
	form := w.flow().PushForm()
	for name, r := range map[string]blackbox.Request{
		"GET": {Method: "GET", Target: target + "?" + form.Encode()},
		"PUT": {Method: "PUT", Target: target, Headers: []blackbox.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}, Body: []byte(form.Encode())},
	} {
		t.Run(name, func(t *testing.T) {
			res := w.refuses(t, E("invalid_request").or(405), func() (blackbox.Response, error) { return blackbox.Do(t.Context(), w.issuer, r) })
			if res.Status == 405 && res.Header.Get("Allow") != "POST" {
				t.Errorf("Allow %q", res.Header.Get("Allow"))
			}
		})
	}
	good(t, w.flow(), (*blackbox.Flow).Push)
}

func pr2(t *testing.T, w *world) {
	form := w.flow().PushForm()
	w.refusesPush(t, E401(), map[string]blackbox.Form{
		"confidential without authentication": form.Set("client_id", w.c),
		"unknown":                             form.Set("client_id", "cli_aaaaaaaaaaaaaaaaaaaaaaaaaa"),
		"none":                                form.Without("client_id"),
		"public with a secret":                form.Add("client_secret", "rs_guess"),
		"another key":                         blackbox.Asserted(form.Set("client_id", w.c), blackbox.NewKey(), blackbox.NewAssertion(w.c, w.issuer)),
		"assertion of C for A":                blackbox.Asserted(form, w.cKey, blackbox.NewAssertion(w.c, w.issuer)),
	})
	f := w.flow()
	f.ClientID = w.c
	res, err := w.server.Send(t.Context(), f.Key, w.server.PAR, blackbox.Asserted(f.PushForm(), w.cKey, blackbox.NewAssertion(w.c, w.issuer)))
	if err != nil || res.Status != 201 {
		t.Errorf("a good push of C: %v %s", err, res)
	}
}

func pr3(t *testing.T, w *world) {
	f := must(t, w.flow(), (*blackbox.Flow).Push)
	w.refusesPush(t, E("invalid_request"), map[string]blackbox.Form{
		"its own":    f.PushForm().Add("request_uri", f.RequestURI),
		"a stranger": f.PushForm().Add("request_uri", "https://evil.example/r"),
		"alone":      {{Name: "client_id", Value: w.a}, {Name: "request_uri", Value: f.RequestURI}},
	})
	w.asks(t, f.AuthorizeURL())
}

func pr4(t *testing.T, w *world) {
	form := w.flow().PushForm()
	challenge := form.Get("code_challenge")
	w.refusesPush(t, E("invalid_request"), map[string]blackbox.Form{
		"none":          form.Without("code_challenge").Without("code_challenge_method"),
		"no challenge":  form.Without("code_challenge"),
		"no method":     form.Without("code_challenge_method"),
		"plain":         form.Set("code_challenge_method", "plain"),
		"S512":          form.Set("code_challenge_method", "S512"),
		"s256":          form.Set("code_challenge_method", "s256"),
		"42":            form.Set("code_challenge", challenge[:42]),
		"129":           form.Set("code_challenge", strings.Repeat("a", 129)),
		"not base64url": form.Set("code_challenge", "+"+challenge[1:]),
		"padded":        form.Set("code_challenge", challenge+"="),
	})
}

func pr5(t *testing.T, w *world) {
	f := w.flow()
	form := f.PushForm()
	multipart := "--x\r\n"
	for _, p := range form {
		multipart += fmt.Sprintf("Content-Disposition: form-data; name=%q\r\n\r\n%s\r\n--x\r\n", p.Name, p.Value)
	}
	for name, body := range map[string]struct{ media, text string }{
		"multipart": {"multipart/form-data; boundary=x", multipart + "--x--\r\n"},
		"JSON":      {"application/json", blackbox.Object{"client_id": w.a}.JSON()},
		"none":      {"", form.Encode()},
		"text":      {"text/plain", form.Encode()},
	} {
		t.Run(name, func(t *testing.T) {
			r := blackbox.Request{Method: "POST", Target: strings.TrimPrefix(w.server.PAR, w.issuer), Body: []byte(body.text), Headers: []blackbox.Header{blackbox.DPoP(w.server.Proof(f.Key, w.server.PAR))}}
			if body.media != "" {
				r.Headers = append(r.Headers, blackbox.Header{Name: "Content-Type", Value: body.media})
			}
			w.refuses(t, E("invalid_request").or(415), func() (blackbox.Response, error) { return blackbox.Do(t.Context(), w.issuer, r) })
		})
	}
	good(t, f, (*blackbox.Flow).Push)
}

// pr6: a request_uri in another client's name is refused and not spent.
func pr6(t *testing.T, w *world) {
	f := must(t, w.flow(), (*blackbox.Flow).Push)
	mine := f.AuthorizeURL()
	f.ClientID = w.b
	PAGE().check(t, w.landed(t, f.AuthorizeURL()))
	f.ClientID = w.a
	w.asks(t, mine)
	good(t, f, (*blackbox.Flow).Consent)
	good(t, f, (*blackbox.Flow).Redeem)
}

// pr8: the page may be opened twice before anybody signs in.
func pr8(t *testing.T, w *world) {
	f := must(t, w.flow(), (*blackbox.Flow).Push)
	f.Person = &blackbox.Browser{Email: w.mara.Email, Password: w.mara.Password}
	for range 2 {
		at, err := f.Person.Get(t.Context(), f.AuthorizeURL())
		if _, ok := at.Page.With("password"); err != nil || !ok {
			t.Fatalf("no sign-in page: %v %s", err, at.Response)
		}
	}
	good(t, f, (*blackbox.Flow).Consent)
}

// pr9: once it is decided, a request_uri is spent.
func pr9(t *testing.T, w *world) {
	f := must(t, w.flow(), (*blackbox.Flow).ToCode)
	PAGE().check(t, w.landed(t, f.AuthorizeURL()))
	denied := w.flow()
	denied.Choice.Deny = true
	must(t, denied, (*blackbox.Flow).ToCode)
	PAGE().check(t, w.landed(t, denied.AuthorizeURL()))
	good(t, f, (*blackbox.Flow).Redeem)
}

func pr10(t *testing.T, w *world) {
	form := w.flow().PushForm()
	w.refusesPush(t, E("invalid_dpop_proof", "invalid_request"), map[string]blackbox.Form{
		"another key":  form.Add("dpop_jkt", blackbox.NewKey().JKT()),
		"no thumprint": form.Add("dpop_jkt", "x"),
	})
	f := w.flow()
	res, err := w.server.Send(t.Context(), f.Key, w.server.PAR, f.PushForm().Add("dpop_jkt", f.Key.JKT()))
	if err != nil || res.Status != 201 {
		t.Errorf("the same key: %v %s", err, res)
	}
}

func pr11(t *testing.T, w *world) {
	f := must(t, w.flow(), (*blackbox.Flow).Push) // which learns the nonce
	for name, p := range map[string]blackbox.Proof{
		"htu of /token": w.server.Proof(f.Key, w.server.Token),
		"htm GET":       w.server.Proof(f.Key, w.server.PAR).Claim("htm", "GET"),
		"signature":     {Key: blackbox.NewKey(), Header: w.server.Proof(f.Key, w.server.PAR).Header, Claims: w.server.Proof(f.Key, w.server.PAR).Claims},
	} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, E("invalid_dpop_proof"), func() (blackbox.Response, error) {
				return blackbox.Post(t.Context(), w.server.PAR, f.PushForm(), blackbox.DPoP(p))
			})
		})
	}
	good(t, f, (*blackbox.Flow).Push)
}

func pr12(t *testing.T, w *world) {
	form := w.flow().PushForm()
	plain := form.Without("authorization_details")
	w.refusesPush(t, E("invalid_target"), map[string]blackbox.Form{
		"plain http":         form.Set("resource", "http://x"),
		"fragment":           form.Set("resource", w.r1.URL+"#x"),
		"empty fragment":     form.Set("resource", w.r1.URL+"#"),
		"unknown":            form.Set("resource", "https://unknown.example/mcp"),
		"relative":           form.Set("resource", "/mcp"),
		"slash":              plain.Set("resource", w.r1.URL+"/"),
		"upper case":         plain.Set("resource", strings.ToUpper(w.r1.URL)),
		"none":               plain.Without("resource"),
		"unknown, no detail": plain.Set("resource", "https://unknown.example/mcp"),
		"two, one unknown":   plain.Add("resource", "https://unknown.example/mcp"),
	})
	// RFC 8707 §2: several resources, each asked about by itself; RFC 9396 §2.2: those of the details too.
	for name, form := range map[string]blackbox.Form{"two": plain.Add("resource", w.r2.URL), "another than the details'": form.Set("resource", w.r2.URL)} {
		if res, err := w.server.Send(t.Context(), w.flow().Key, w.server.PAR, form); err != nil || res.Status != 201 {
			t.Errorf("%s: %v %s", name, err, res)
		}
	}
}

func pr13(t *testing.T, w *world) {
	form := w.flow().PushForm()
	details := func(s string) blackbox.Form {
		return form.Set("authorization_details", strings.ReplaceAll(s, "R1", w.r1.URL))
	}
	w.refusesPush(t, E("invalid_authorization_details"), map[string]blackbox.Form{
		"no JSON":              details(`{`),
		"an object":            details(`{"type":"mcp_tool","locations":["R1"],"tool":"get_ticket"}`),
		"a string":             details(`"mcp_tool"`),
		"null inside":          details(`[null]`),
		"no type":              details(`[{"locations":["R1"],"tool":"get_ticket"}]`),
		"unknown type":         details(`[{"type":"payment"}]`),
		"type in another case": details(`[{"type":"MCP_TOOL","locations":["R1"],"tool":"get_ticket"}]`),
		"unknown tool":         details(`[{"type":"mcp_tool","locations":["R1"],"tool":"format_disk"}]`),
		"tool's other case":    details(`[{"type":"mcp_tool","locations":["R1"],"tool":"Get_Ticket"}]`),
		"extra member":         details(`[{"type":"mcp_tool","locations":["R1"],"tool":"get_ticket","sudo":true}]`),
		"member's other case":  details(`[{"type":"mcp_tool","locations":["R1"],"tool":"get_ticket","Tool":"delete_ticket"}]`),
		"tool twice":           details(`[{"type":"mcp_tool","locations":["R1"],"tool":"get_ticket","tool":"delete_ticket"}]`),
		"two tasks":            details(`[{"type":"mcp_task","purpose":"a"},{"type":"mcp_task","purpose":"b"}]`),
		"another definition":   details(`[{"type":"mcp_tool","locations":["R1"],"tool":"get_ticket","definition":"sha-256:` + blackbox.Digest("x") + `"}]`),
		"unknown constraint":   details(`[{"type":"mcp_tool","locations":["R1"],"tool":"get_ticket","constraints":{"id":{"prefix":"WEB"}}}]`),
		"negative budget":      details(`[{"type":"mcp_tool","locations":["R1"],"tool":"get_ticket","max_calls":-1}]`),
		"long purpose":         details(`[{"type":"mcp_task","purpose":"` + strings.Repeat("x", 141) + `"}]`),
		"too many":             details(`[` + strings.Repeat(`{"type":"mcp_tool","locations":["R1"],"tool":"get_ticket"},`, 64) + `{"type":"mcp_tool","locations":["R1"],"tool":"get_ticket"}]`),
		"deep":                 details(strings.Repeat(`[`, 5000) + strings.Repeat(`]`, 5000)),
		"behind it":            details(`[]x`),
		"lone surrogate":       details(`[{"type":"mcp_task","purpose":"\ud800"}]`),
	})
}

// pr14: request_uris are unguessable: 10,000 of them, none twice, each of 256 random bits.
func pr14(t *testing.T, w *world) {
	const workers, each = 10, 1000
	form := w.flow().PushForm()
	all := make([][]string, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for range each {
				res, err := blackbox.Post(t.Context(), w.server.PAR, form)
				if err != nil || res.Status != 201 {
					t.Errorf("push: %v %s", err, res)
					return
				}
				all[i] = append(all[i], strings.TrimPrefix(res.Text("request_uri"), "urn:ietf:params:oauth:request_uri:"))
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	var ones, bits int
	for _, handles := range all {
		for _, h := range handles {
			raw := blackbox.Unb64(strings.TrimPrefix(h, "rq_"))
			if seen[h] || len(raw) < 16 {
				t.Fatalf("handle %q: seen %v, %d bytes", h, seen[h], len(raw))
			}
			seen[h] = true
			for _, b := range raw {
				for ; b != 0; b &= b - 1 {
					ones++
				}
			}
			bits += 8 * len(raw)
		}
	}
	if share := float64(ones) / float64(max(bits, 1)); share < 0.49 || share > 0.51 {
		t.Errorf("%.3f of the bits are ones", share)
	}
}

func pr15(t *testing.T, w *world) {
	form := w.flow().PushForm()
	w.refusesPush(t, E("invalid_request"), map[string]blackbox.Form{
		"stranger": form.Set("redirect_uri", "https://evil.example/"), "of B": form.Set("redirect_uri", redirectB), "below": form.Set("redirect_uri", redirectA+"/x"),
		"none of two": form.Without("redirect_uri"), "twice": form.Add("redirect_uri", "https://evil.example/"), "fragment": form.Set("redirect_uri", redirectA+"#"),
	})
	f := w.flow()
	f.Redirect = "http://127.0.0.1:53121/callback" // any port on loopback (RFC 8252 §7.3)
	good(t, f, (*blackbox.Flow).ToCode)
}
