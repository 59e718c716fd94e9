package main_test

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackAuthorize plays section 4.1 of the catalogue.
func TestAttackAuthorize(t *testing.T) {
	play(t, map[string]row{
		"AZ1": az1, "AZ2": az2, "AZ3": az3, "AZ4": az4, "AZ5": az5, "AZ6": az6, "AZ7": az7, "AZ8": az8, "AZ9": az9, "AZ10": az10, "AZ11": az11,
		"AZ12": az12, "AZ13": az13, "AZ14": az14, "AZ15": az15, "AZ16": az16, "AZ17": az17, "AZ18": az18, "AZ19": az19, "AZ20": az20, "AZ21": az21,
	})
}

// az1: a client that must push sends its parameters through the browser.
func az1(t *testing.T, w *world) {
	f := w.flow()
	f.ClientID = w.mustPush
	w.pageOrRedirect(t, w.open(t, w.front(f.PushForm())), f, "invalid_request")
	good(t, f, (*blackbox.Flow).Push)
	w.asks(t, f.AuthorizeURL())
}

func az2(t *testing.T, w *world) {
	form := w.flow().PushForm()
	w.refusesPage(t, map[string]string{
		"unknown": w.front(form.Set("client_id", "cli_aaaaaaaaaaaaaaaaaaaaaaaaaa")),
		"none":    w.front(form.Without("client_id")),
		"empty":   w.front(form.Set("client_id", "")),
	})
}

func az3(t *testing.T, w *world) {
	w.refusesPage(t, map[string]string{"of B": w.front(w.flow().PushForm().Set("redirect_uri", redirectB))})
}

// redirectTo are good requests but for their redirect_uri.
func (w *world) redirectTo(uris map[string]string) map[string]string {
	out := map[string]string{}
	for name, uri := range uris {
		out[name] = w.front(w.flow().PushForm().Set("redirect_uri", uri))
	}
	return out
}

func az4(t *testing.T, w *world) {
	w.refusesPage(t, w.redirectTo(map[string]string{
		"parent":          redirectA + "/../x",
		"parent with ;":   redirectA + "/..;/x",
		"encoded parent":  redirectA + "/%2e%2e/",
		"below":           redirectA + "/x",
		"slash":           redirectA + "/",
		"doubled":         "https://agent.example//callback",
		"encoded letter":  "https://agent.example/%63allback",
		"userinfo":        "https://agent.example@evil.example/callback",
		"userinfo before": "https://evil.example@agent.example/callback",
		"subdomain":       "https://agent.example.evil.example/callback",
		"port":            "https://agent.example:443/callback",
		"dot":             "https://agent.example./callback",
	}))
}

func az5(t *testing.T, w *world) {
	w.refusesPage(t, w.redirectTo(map[string]string{"query": redirectA + "?a=b", "empty query": redirectA + "?", "loopback query": "http://127.0.0.1:7777/callback?a=b"}))
}

func az6(t *testing.T, w *world) {
	w.refusesPage(t, w.redirectTo(map[string]string{"fragment": redirectA + "#x", "bare": redirectA + "#", "loopback": "http://127.0.0.1:7777/callback#x"}))
}

func az7(t *testing.T, w *world) {
	w.refusesPage(t, w.redirectTo(map[string]string{
		"host": "https://Agent.example/callback", "scheme": "HTTPS://agent.example/callback", "path": "https://agent.example/Callback",
		"https loopback": "https://127.0.0.1:7777/callback", "other loopback": "http://localhost:7777/callback",
	}))
}

func az8(t *testing.T, w *world) {
	w.refusesPage(t, w.redirectTo(map[string]string{
		"javascript": "javascript:alert(1)", "data": "data:text/html,<script>alert(1)</script>", "vbscript": "vbscript:x", "mixed": "JaVa\tScRiPt:alert(1)", "file": "file:///etc/passwd",
	}))
}

func az9(t *testing.T, w *world) {
	form := w.flow().PushForm()
	w.refusesPage(t, map[string]string{
		"good, evil": w.front(form.Add("redirect_uri", "https://evil.example/")),
		"evil, good": w.front(form.Prepend("redirect_uri", "https://evil.example/")),
		"good, good": w.front(form.Add("redirect_uri", redirectA)),
	})
}

func az10(t *testing.T, w *world) {
	for name, value := range map[string]string{"token": "token", "id_token": "id_token", "hybrid": "code id_token", "missing": "", "case": "CODE", "none": "none"} {
		t.Run(name, func(t *testing.T) {
			f := w.flow()
			form := f.PushForm().Set("response_type", value)
			if value == "" {
				form = form.Without("response_type")
			}
			w.redirects(t, w.open(t, w.front(form)), f, "unsupported_response_type", "invalid_request")
		})
	}
	w.asks(t, w.front(w.flow().PushForm()))
}

func az11(t *testing.T, w *world) {
	for _, mode := range []string{"fragment", "form_post", "web_message"} {
		t.Run(mode, func(t *testing.T) {
			f := w.flow()
			w.redirects(t, w.open(t, w.front(f.PushForm().Set("response_mode", mode))), f, "invalid_request")
		})
	}
	w.asks(t, w.front(w.flow().PushForm()))
}

// az12: a long state comes back whole, or the request is refused; it is never cut.
func az12(t *testing.T, w *world) {
	for name, size := range map[string]int{"384": 384, "4 KiB": 4 << 10} {
		t.Run(name, func(t *testing.T) {
			f := w.flow()
			f.PushForm()
			f.State = strings.Repeat("s", size)
			good(t, f, (*blackbox.Flow).ToCode) // which compares the state
		})
	}
	f := w.flow()
	long := f.PushForm().Set("state", strings.Repeat("s", 8<<10))
	t.Run("8 KiB pushed", func(t *testing.T) {
		w.refuses(t, E("invalid_request"), func() (blackbox.Response, error) { return f.Server.Send(t.Context(), f.Key, w.server.PAR, long) })
	})
	t.Run("8 KiB in front", func(t *testing.T) {
		at := w.open(t, w.front(long))
		if q := at.Query("state"); at.Left && q != "" && q != long.Get("state") {
			t.Errorf("the state came back with %d bytes", len(q))
		}
	})
}

// az13: iss stands in success and error (RFC 9207), byte for byte.
func az13(t *testing.T, w *world) {
	if w.server.Metadata["authorization_response_iss_parameter_supported"] != true || w.server.Metadata["issuer"] != w.issuer {
		t.Errorf("metadata: %s", w.server.Metadata.JSON())
	}
	good(t, w.flow(), (*blackbox.Flow).ToCode) // which compares iss
	denied := w.flow()
	denied.Choice.Deny = true
	good(t, denied, (*blackbox.Flow).ToCode)
	w.redirects(t, denied.Landing, denied, "access_denied")
}

// az14: a bad request of somebody unknown does not bounce off the server (OAuth 2.1 §7.12.2).
func az14(t *testing.T, w *world) {
	f := w.flow()
	stranger := &blackbox.Browser{Email: w.mara.Email, Password: w.mara.Password}
	at, err := stranger.Get(t.Context(), w.front(f.PushForm().Set("scope", "no.such.scope")))
	if err != nil || at.Left {
		t.Fatalf("before sign-in: %v, left %v to %s", err, at.Left, at.URL)
	}
	if at, err = stranger.SignIn(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	w.redirects(t, at, f, "invalid_scope")
	w.asks(t, w.front(f.PushForm()))
}

// az15: request objects are not taken, and nothing is fetched.
func az15(t *testing.T, w *world) {
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	var caught atomic.Int32
	go func() {
		for {
			conn, err := trap.Accept()
			if err != nil {
				return
			}
			caught.Add(1)
			conn.Close()
		}
	}()
	claims := blackbox.Object{"client_id": w.a, "redirect_uri": "https://evil.example/", "response_type": "code"}
	unsigned := blackbox.B64([]byte(`{"alg":"none"}`)) + "." + blackbox.B64([]byte(claims.JSON())) + "."
	f := w.flow()
	form := f.PushForm()
	for name, form := range map[string]blackbox.Form{
		"request":             form.Add("request", unsigned),
		"request_uri":         form.Add("request_uri", "https://evil.example/r"),
		"request_uri inside":  form.Add("request_uri", "http://169.254.169.254/latest"),
		"request_uri trapped": form.Add("request_uri", "http://"+trap.Addr().String()+"/r"),
	} {
		t.Run(name, func(t *testing.T) {
			w.pageOrRedirect(t, w.open(t, w.front(form)), f, "request_not_supported", "request_uri_not_supported", "invalid_request")
		})
	}
	if n := caught.Load(); n != 0 {
		t.Errorf("the server made %d connections", n)
	}
	w.asks(t, w.front(form))
}

// az16: what comes in does not come out as markup or as a header.
func az16(t *testing.T, w *world) {
	const evil = `"><img onerror=alert(1)>`
	const split = "x\r\nSet-Cookie: evil=1"
	f := w.flow()
	form := f.PushForm()
	for name, form := range map[string]blackbox.Form{
		"state": form.Set("state", evil), "scope": form.Set("scope", evil), "error_description": form.Add("error_description", evil),
		"state split": form.Set("state", split), "scope split": form.Set("scope", split), "client": form.Set("client_id", evil), "redirect": form.Set("redirect_uri", evil),
		"purpose": form.Set("authorization_details", strings.ReplaceAll(w.details("get_ticket"), "Triage this week's bugs", `<img onerror=alert(1)></title><script>alert(1)</script>`)),
	} {
		t.Run(name, func(t *testing.T) {
			at := w.open(t, w.front(form))
			if at.Header.Get("Set-Cookie") != "" && strings.Contains(at.Header.Get("Set-Cookie"), "evil") {
				t.Errorf("a header was injected: %v", at.Header)
			}
			if strings.Contains(string(at.Body), "<img onerror") || strings.Contains(string(at.Body), "<script>") { // the page has scripts of its own, by address
				t.Errorf("markup came through: %s", at.Body)
			}
			if strings.ContainsAny(at.Header.Get("Location"), "\r\n\"<>") {
				t.Errorf("Location %q", at.Header.Get("Location"))
			}
		})
	}
	w.asks(t, w.front(form))
}

// az17: odd paths are not cleaned by a redirect, and the Host header decides nothing.
func az17(t *testing.T, w *world) {
	form := w.flow().PushForm()
	for _, target := range []string{"//evil.example/", "/\\evil.example", "/authorize//", "//authorize", "/./authorize", "/x/../authorize", "/authorize/"} {
		t.Run(target, func(t *testing.T) {
			res, err := blackbox.Do(t.Context(), w.issuer, blackbox.Request{Method: "GET", Target: target + "?" + form.Encode()})
			if err != nil {
				t.Fatal(err)
			}
			sane(t, res)
			if res.Status != http.StatusNotFound && res.Status != http.StatusBadRequest || res.Header.Get("Location") != "" {
				t.Errorf("%s", res)
			}
		})
	}
	for _, host := range []string{"evil.example", "evil.example:80", ""} {
		t.Run("Host "+host, func(t *testing.T) {
			u, _ := url.Parse(w.front(form))
			res, err := blackbox.Do(t.Context(), w.issuer, blackbox.Request{Method: "GET", Target: u.RequestURI(), Headers: []blackbox.Header{{Name: "Host", Value: host}}})
			if err != nil {
				t.Fatal(err)
			}
			sane(t, res)
			if strings.Contains(res.Header.Get("Location"), "evil") || strings.Contains(string(res.Body), "evil.example") {
				t.Errorf("%s", res)
			}
		})
	}
	w.asks(t, w.front(form))
}

// az18: POST is served like GET; other methods tell nothing to other origins.
func az18(t *testing.T, w *world) {
	form := w.flow().PushForm()
	at, err := w.mara.Post(t.Context(), w.server.Authorize, form)
	if _, _, ok := blackbox.ConsentForm(at); err != nil || !ok {
		t.Errorf("POST: %v %s", err, at.Response)
	}
	u, _ := url.Parse(w.front(form))
	for _, method := range []string{"HEAD", "OPTIONS", "GET"} {
		res, err := blackbox.Do(t.Context(), w.issuer, blackbox.Request{Method: method, Target: u.RequestURI(), Headers: []blackbox.Header{
			{Name: "Origin", Value: "https://evil.example"}, {Name: "Cookie", Value: w.mara.Cookies()}, {Name: "Access-Control-Request-Method", Value: "GET"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		sane(t, res)
		for name := range res.Header {
			if strings.HasPrefix(name, "Access-Control-Allow") {
				t.Errorf("%s: %s: %q", method, name, res.Header.Get(name))
			}
		}
	}
}

// az19: the sign-in form is answered with 303, so that the password does not travel on.
func az19(t *testing.T, w *world) {
	b := &blackbox.Browser{Email: w.mara.Email, Password: w.mara.Password}
	at, err := b.Get(t.Context(), w.front(w.flow().PushForm()))
	form, ok := at.Page.With("password")
	if err != nil || !ok {
		t.Fatalf("no sign-in page: %v %s", err, at.Response)
	}
	u, err := url.Parse(at.URL)
	if err != nil {
		t.Fatal(err)
	}
	action, err := u.Parse(form.Action)
	if err != nil {
		t.Fatal(err)
	}
	res, err := blackbox.Post(t.Context(), action.String(), form.Filled().Set("email", b.Email).Set("password", b.Password),
		blackbox.Header{Name: "Cookie", Value: b.Cookies()}, blackbox.Header{Name: "Origin", Value: w.issuer}, blackbox.Header{Name: "Sec-Fetch-Site", Value: "same-origin"})
	if err != nil || res.Status != http.StatusSeeOther {
		t.Errorf("sign-in: %v %s", err, res)
	}
}

func az20(t *testing.T, w *world) {
	w.asks(t, w.front(w.flow().PushForm().Add("x_unknown", "1").Add("nonce", "n").Add("ui_locales", "de")))
	w.asks(t, w.front(w.flow().PushForm().Add("prompt", "consent")))
}

// az21: of the browser's parameters beside a request_uri nothing counts.
func az21(t *testing.T, w *world) {
	f := w.flow()
	f.Details = w.details("get_ticket")
	must(t, f, (*blackbox.Flow).Push)
	more := blackbox.Form{{Name: "authorization_details", Value: w.details("delete_ticket")}, {Name: "scope", Value: "tickets.write"}, {Name: "redirect_uri", Value: "https://evil.example/"}, {Name: "state", Value: "evil"}}
	at := w.open(t, f.AuthorizeURL()+"&"+more.Encode())
	if at.Left {
		t.Fatalf("the browser was sent to %s", at.URL)
	}
	if _, form, ok := blackbox.ConsentForm(at); ok {
		if all, _ := form.Values("tool"); len(all) != 1 || all[0] != "get_ticket" {
			t.Errorf("the page offers %v", all)
		}
	}
	good(t, f, (*blackbox.Flow).Consent) // state, iss and redirect are the pushed ones
	good(t, f, (*blackbox.Flow).Redeem)
	if details := blackbox.Object(f.Issued).JSON(); strings.Contains(details, "delete_ticket") {
		t.Errorf("granted: %s", details)
	}
}
