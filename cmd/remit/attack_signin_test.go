package main_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackSignIn plays section 4.14 of the catalogue, and the rows that need no more than its world.
func TestAttackSignIn(t *testing.T) {
	play(t, map[string]row{"LG2": lg2, "LG5": lg5, "LG7": lg7, "LG8": lg8, "LG6": lg6, "LG9": lg9, "RG1": rg1})
}

// person adds a user, who signs in.
func (w *world) person(t *testing.T, name, consoleRole string) *blackbox.Browser {
	t.Helper()
	b := &blackbox.Browser{Email: name + "@acme.example", Password: blackbox.Random(12)}
	w.remit(t, nil, b.Password+"\n", "user", "add", "--email", b.Email, "--name", name, "--console-role", consoleRole, "--password-stdin")
	w.enters(t, b)
	return b
}

// enters signs a browser in.
func (w *world) enters(t *testing.T, b *blackbox.Browser) {
	t.Helper()
	at, err := b.Get(t.Context(), w.issuer+"/agents")
	if err == nil {
		at, err = b.SignIn(t.Context(), at)
	}
	if err != nil || at.Status != http.StatusOK {
		t.Fatalf("%s signs in: %v %s", b.Email, err, at.Response)
	}
}

// inside reports whether these cookies are a session's.
func (w *world) inside(t *testing.T, cookies string) bool {
	t.Helper()
	res, err := blackbox.Get(t.Context(), w.issuer+"/agents", blackbox.Header{Name: "Accept", Value: "text/html"}, blackbox.Header{Name: "Cookie", Value: cookies})
	if err != nil {
		t.Fatal(err)
	}
	sane(t, res)
	_, asked := blackbox.ParsePage(w.issuer, res.Body).With("password")
	return res.Status == http.StatusOK && !asked
}

// tries submits a sign-in as somebody at an address of the machine would.
func (w *world) tries(t *testing.T, from, email, password string, more ...blackbox.Param) blackbox.Response {
	t.Helper()
	ctx := blackbox.From(t.Context(), net.ParseIP(from))
	form := append(blackbox.Form{{Name: "email", Value: email}, {Name: "password", Value: password}}, more...)
	res, err := blackbox.Post(ctx, w.direct(w.issuer+"/signin"), form, blackbox.Header{Name: "Accept", Value: "text/html"})
	if err != nil {
		t.Fatal(err)
	}
	sane(t, res)
	return res
}

// lg2: a cookie from before the sign-in is no session after it, and a former session ends with the next.
func lg2(t *testing.T, w *world) {
	b := w.person(t, "fixed", "user")
	first := b.Cookies()
	again := &blackbox.Browser{Email: b.Email, Password: b.Password}
	made := blackbox.Header{Name: "Cookie", Value: "remit_session=" + blackbox.Random(32)}
	res, err := blackbox.Post(t.Context(), w.issuer+"/signin", blackbox.Form{{Name: "email", Value: b.Email}, {Name: "password", Value: b.Password}}, made)
	if err != nil || res.Status != http.StatusSeeOther {
		t.Fatalf("with a cookie that somebody set: %v %s", err, res)
	}
	if w.inside(t, made.Value) {
		t.Error("the cookie from before the sign-in is a session")
	}
	jot(t, "a cookie set before: no session")
	at, err := b.Post(t.Context(), w.issuer+"/signin", blackbox.Form{{Name: "email", Value: b.Email}, {Name: "password", Value: b.Password}})
	if err != nil || at.Status != http.StatusOK || b.Cookies() == first || !w.inside(t, b.Cookies()) {
		t.Errorf("a second sign-in: %v %s", err, at.Response)
	}
	if w.inside(t, first) {
		t.Error("the session before the second sign-in lives on")
	}
	jot(t, "a session from before: over")
	w.enters(t, again)
	jot(t, goodAfter)
}

// lg5: nobody is sent elsewhere after signing in.
func lg5(t *testing.T, w *world) {
	var b *blackbox.Browser
	for i, to := range []string{"//evil.example", "https:evil.example", `\\evil.example`, `/\evil.example`, "https://evil.example/authorize?", "/authorize?\r\nX: y", "/tokens", "/%2f%2fevil.example", "/agents/../../evil", "javascript:alert(1)"} {
		if i%5 == 0 { // nobody may sign in as often as that at once
			b = w.person(t, fmt.Sprint("wanderer", i), "user")
		}
		res := mustPost(t, w.issuer+"/signin", blackbox.Form{{Name: "email", Value: b.Email}, {Name: "password", Value: b.Password}, {Name: "return_to", Value: to}})
		sane(t, res)
		location := res.Header.Get("Location")
		jot(t, fmt.Sprint(res.Status, " to ", location))
		if res.Status != http.StatusSeeOther || location != "/agents" || res.Header.Get("X") != "" {
			t.Errorf("return_to %q led to %d %q", to, res.Status, location)
		}
	}
}

// lg6: guessing is slowed down, tells nothing, and locks nobody out who is known here.
func lg6(t *testing.T, w *world) {
	lin := w.person(t, "lin", "user")
	const thief, crowd = "127.0.0.66", "127.0.0.67"
	wrong, unknown := w.tries(t, crowd, lin.Email, "guess"), w.tries(t, crowd, "nobody@acme.example", "guess")
	if wrong.Status != unknown.Status || strings.ReplaceAll(string(wrong.Body), lin.Email, "") != strings.ReplaceAll(string(unknown.Body), "nobody@acme.example", "") {
		t.Errorf("the answer tells whether the user is known:\n%s\n%s", wrong, unknown)
	}
	seen(t, wrong)
	counts := map[int]int{}
	for range 1000 {
		res := w.tries(t, thief, lin.Email, blackbox.Random(6))
		if counts[res.Status]++; res.Status == http.StatusTooManyRequests && res.Header.Get("Retry-After") == "" {
			t.Fatal("429 without Retry-After")
		}
	}
	if counts[http.StatusUnauthorized] > 20 || counts[http.StatusUnauthorized]+counts[http.StatusTooManyRequests] != 1000 {
		t.Errorf("1 000 wrong passwords of one user: %v", counts)
	}
	jot(t, "1 000 wrong passwords of one user: at most 20 are looked at, then 429")
	counts = map[int]int{}
	for i := range 1000 {
		counts[w.tries(t, thief, fmt.Sprintf("user%d@acme.example", i), "Password1!").Status]++
	}
	if counts[http.StatusUnauthorized] > 70 || counts[http.StatusUnauthorized]+counts[http.StatusTooManyRequests] != 1000 {
		t.Errorf("one password for 1 000 users: %v", counts)
	}
	jot(t, "one password for 1 000 users: at most 70 are looked at, then 429")
	for range 20 { // what has come back meanwhile is used up
		if w.tries(t, crowd, lin.Email, "guess").Status == http.StatusTooManyRequests {
			break
		}
	}
	if res := w.tries(t, crowd, lin.Email, lin.Password); res.Status != http.StatusTooManyRequests {
		t.Errorf("a stranger's browser while the account is guessed at: %s", res)
	}
	at, err := lin.Post(t.Context(), w.issuer+"/signin", blackbox.Form{{Name: "email", Value: lin.Email}, {Name: "password", Value: lin.Password}})
	if err != nil || at.Status != http.StatusOK {
		t.Errorf("the user's own browser is locked out by a stranger: %v %s", err, at.Response)
	}
	jot(t, "the user's own browser: served")
	if took := w.answerTimes(t, lin.Email, "nobody@acme.example"); took[1] < took[0]/4 || took[0] < took[1]/4 {
		t.Errorf("a known and an unknown user take %v", took)
	}
}

// answerTimes are the shortest of some refusals for each e-mail, at addresses that are not limited.
func (w *world) answerTimes(t *testing.T, emails ...string) []time.Duration {
	t.Helper()
	took := make([]time.Duration, len(emails))
	for i := range 5 {
		for j, email := range emails {
			fresh := fmt.Sprintf("%d.%s", i, email) // a bucket of its own; the first one's user exists
			if j == 0 {
				w.remit(t, nil, blackbox.Random(12)+"\n", "user", "add", "--email", fresh, "--name", "x", "--password-stdin")
			}
			began := time.Now()
			if res := w.tries(t, fmt.Sprintf("127.0.1.%d", i+1), fresh, "guess"); res.Status != http.StatusUnauthorized {
				t.Fatalf("a wrong password: %s", res)
			}
			if d := time.Since(began); took[j] == 0 || d < took[j] {
				took[j] = d
			}
		}
	}
	return took
}

// lg7: who was disabled gets no code, from no page and no code that was there before.
func lg7(t *testing.T, w *world) {
	b := w.person(t, "gone", "user")
	w.remit(t, nil, "", "user", "assign", "--email", b.Email, "--resource", w.r1.URL, "--role", "admin")
	f, code, shown := w.flow(), w.flow(), w.flow()
	f.Person, code.Person = b, b
	must(t, f, (*blackbox.Flow).ToToken)
	must(t, code, (*blackbox.Flow).ToCode)
	must(t, shown, (*blackbox.Flow).Push)
	at, err := b.Get(t.Context(), shown.AuthorizeURL())
	if err != nil {
		t.Fatal(err)
	}
	page, form, ok := blackbox.ConsentForm(at)
	if !ok {
		t.Fatalf("no page: %s", at.Response)
	}
	cookies := b.Cookies()
	w.remit(t, nil, "", "user", "disable", "--email", b.Email)
	for _, res := range w.submit(t, page, form, cookies, blackbox.Choice{}.Fill(form)) {
		if sane(t, res); res.Status == http.StatusSeeOther || strings.Contains(res.Header.Get("Location"), "code=") {
			t.Errorf("the page of a disabled user gave: %s", res)
		}
		seen(t, res)
	}
	if w.inside(t, cookies) {
		t.Error("the session of a disabled user lives on")
	}
	w.refusesToken(t, E("invalid_grant"), code.Key, map[string]blackbox.Form{"the code": code.RedeemForm()})
	w.dead(t, f)
	if res := mustPost(t, w.issuer+"/signin", blackbox.Form{{Name: "email", Value: b.Email}, {Name: "password", Value: b.Password}}); res.Status != http.StatusUnauthorized {
		t.Errorf("a disabled user signs in: %s", res)
	}
	good(t, w.flow(), (*blackbox.Flow).ToToken)
}

// submit posts a page's form under these cookies, and returns the one answer.
func (w *world) submit(t *testing.T, page blackbox.Page, form blackbox.PageForm, cookies string, answers ...blackbox.Form) (all []blackbox.Response) {
	t.Helper()
	send := w.submitsAs(t, page, form, cookies)
	for _, answer := range answers {
		res, err := send(answer)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, res)
	}
	return all
}

// lg8: nobody is signed out by another's form; who signs out is out at every instance.
func lg8(t *testing.T, w *world) {
	b, other := w.person(t, "leaver", "user"), w.person(t, "other", "user")
	at, err := b.Get(t.Context(), w.issuer+"/agents")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(at.Page.Forms, func(f blackbox.PageForm) bool { return strings.HasPrefix(f.Action, "/signout") })
	if i < 0 {
		t.Fatalf("no way out: %s", at.Response)
	}
	out, cookies := at.Page.Forms[i].Filled(), b.Cookies()
	theirs, err := other.Get(t.Context(), w.issuer+"/agents")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		form   blackbox.Form
		origin string
	}{
		"no token": {nil, w.issuer}, "a guess": {out.Set("csrf", "guess"), w.issuer}, "another's token": {theirs.Page.Forms[i].Filled(), w.issuer}, "another site": {out, "https://evil.example"},
	} {
		site := map[bool]string{true: "same-origin", false: "cross-site"}[tt.origin == w.issuer]
		res := mustPost(t, w.issuer+"/signout", tt.form, blackbox.Header{Name: "Cookie", Value: cookies}, blackbox.Header{Name: "Origin", Value: tt.origin}, blackbox.Header{Name: "Sec-Fetch-Site", Value: site})
		if sane(t, res); res.Status != http.StatusForbidden || !w.inside(t, cookies) {
			t.Errorf("%s: %s", name, res)
		}
		seen(t, res)
	}
	if at, err := b.Get(t.Context(), w.issuer+"/logout"); err != nil || at.Left || !w.inside(t, cookies) { // RP-initiated: asks first
		t.Errorf("a link signed the user out: %v %s", err, at.Response)
	}
	if _, err := b.Submit(t.Context(), at.Page, at.Page.Forms[i], out); err != nil {
		t.Fatal(err)
	}
	for range 4 { // each instance, twice
		if w.inside(t, cookies) {
			t.Fatal("the session lives on after signing out")
		}
	}
	jot(t, "signed out: over at every instance")
}

// lg9: what a stranger says about where they are changes nothing.
func lg9(t *testing.T, w *world) {
	limited := 0
	for i := range 200 {
		res, err := blackbox.Post(blackbox.From(t.Context(), net.ParseIP("127.0.0.61")), w.direct(w.issuer+"/signin"),
			blackbox.Form{{Name: "email", Value: fmt.Sprintf("x%d@acme.example", i%5)}, {Name: "password", Value: "x"}},
			blackbox.Header{Name: "X-Forwarded-For", Value: fmt.Sprintf("203.0.113.%d", i)}, blackbox.Header{Name: "X-Real-IP", Value: fmt.Sprintf("203.0.113.%d", i)}, blackbox.Header{Name: "Forwarded", Value: fmt.Sprintf("for=203.0.113.%d", i)})
		if err != nil {
			t.Fatal(err)
		}
		if res.Status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited < 100 {
		t.Errorf("%d of 200 were limited", limited)
	}
	jot(t, "429, whatever the headers say")
	w.enters(t, w.mara)
}

// rg1: nobody registers where it was not opened.
func rg1(t *testing.T, w *world) {
	for name, headers := range map[string][]blackbox.Header{"nothing": nil, "a token": {authorization("Bearer", blackbox.Random(32))}, "an empty one": {authorization("Bearer", "")}} {
		t.Run(name, func(t *testing.T) {
			w.refuses(t, want{statuses: []int{401, 403}}, func() (blackbox.Response, error) { return w.registers(t.Context(), registration(nil), headers...) })
		})
	}
	if w.server.Metadata["registration_endpoint"] != nil {
		t.Error("a closed endpoint is promised")
	}
}

// registers sends a registration (RFC 7591 §3.1).
func (w *world) registers(ctx context.Context, body string, headers ...blackbox.Header) (blackbox.Response, error) {
	headers = append([]blackbox.Header{{Name: "Content-Type", Value: "application/json"}}, headers...)
	return blackbox.Do(ctx, w.issuer, blackbox.Request{Method: "POST", Target: "/register", Headers: headers, Body: []byte(body)})
}
