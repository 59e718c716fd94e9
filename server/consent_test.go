package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/remit-auth/remit/tokens"
)

// consentForm opens the page and fills it in as a person would who allows one tool.
func (b *browser) consentForm(target string) url.Values {
	b.w.t.Helper()
	page := b.get(target)
	if page.Status != http.StatusOK {
		b.w.t.Fatalf("page: %d %s", page.Status, page.Body)
	}
	form := hidden(page.Body)
	form["tool"] = []string{"search_tickets"}
	form.Set("duration", "1800")
	form.Set("decision", "allow")
	return form
}

// noCode fails unless the answer is a refusal that leads nowhere.
func noCode(t *testing.T, got answer, status int) {
	t.Helper()
	if got.Status != status || got.Header.Get("Location") != "" {
		t.Errorf("got %d, Location %q; want %d and none", got.Status, got.Header.Get("Location"), status)
	}
}

func TestConsentShowsWhoWhatAndHowLong(t *testing.T) { // CS1, CS6, CS7
	w := newWorld(t)
	a := w.agent(w.client)
	b := w.browser()
	b.signIn()
	page := b.get(a.push(a.request()))
	for _, text := range []string{"Demo Agent", "http://127.0.0.1:7777", "Triage bugs", ticketsURI, "mara@example.com", "search_tickets", "Reads only", "Only project", "Changes data", "30 min"} {
		if !strings.Contains(page.Body, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	if !strings.Contains(page.Body, "delete_ticket") || strings.Contains(page.Body, `value="delete_ticket"`) {
		t.Error("a tool outside the user's role is to be named as left out, and not to be ticked")
	}
	csp := page.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "form-action 'self' http://127.0.0.1:7777") {
		t.Errorf("CSP: %s", csp)
	}
	for name, value := range map[string]string{"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
		if page.Header.Get(name) != value {
			t.Errorf("%s: %q", name, page.Header.Get(name))
		}
	}
}

func TestConsentFormBelongsToItsPage(t *testing.T) { // CS5, CS11
	w := newWorld(t)
	a := w.agent(w.client)
	b, c := w.browser(), w.browser()
	b.signIn()
	c.signIn()
	target := a.push(a.request())
	form := b.consentForm(target)
	second := b.consentForm(a.push(a.request()))

	for name, change := range map[string]func(url.Values){
		"no csrf token":               func(f url.Values) { f.Del("csrf") },
		"no mark of what was shown":   func(f url.Values) { f.Del("shown") },
		"mark of another interaction": func(f url.Values) { f.Set("shown", second.Get("shown")) },
		"another interaction":         func(f url.Values) { f.Set("request", second.Get("request")) },
		"another offer":               func(f url.Values) { f.Set("offer", second.Get("offer")+"0") },
	} {
		changed := url.Values{}
		for k, v := range form {
			changed[k] = v
		}
		change(changed)
		t.Run(name, func(t *testing.T) { noCode(t, b.post("/consent", changed), http.StatusForbidden) })
	}
	t.Run("another session's form", func(t *testing.T) { noCode(t, c.post("/consent", form), http.StatusForbidden) })
	t.Run("nobody signed in", func(t *testing.T) { noCode(t, w.browser().post("/consent", form), http.StatusForbidden) })
	t.Run("another session's page", func(t *testing.T) { noCode(t, c.get(target), http.StatusBadRequest) })
	t.Run("another origin", func(t *testing.T) {
		r, err := http.NewRequest("POST", w.issuer+"/consent", strings.NewReader(form.Encode()))
		must(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		resp, err := b.http.Do(r)
		noCode(t, read(t, resp, err), http.StatusForbidden)
	})
	if got := b.post("/consent", form); got.Status != http.StatusSeeOther {
		t.Errorf("after the refusals the form gives %d", got.Status)
	}
	noCode(t, b.post("/consent", form), http.StatusBadRequest) // it counts once
}

func TestConsentCountsOnce(t *testing.T) { // CS9, RC3
	w := newWorld(t)
	a := w.agent(w.client)
	b := w.browser()
	b.signIn()
	form := b.consentForm(a.push(a.request()))
	var codes sync.Map
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			got := b.post("/consent", form)
			if to, err := url.Parse(got.Header.Get("Location")); err == nil && to.Query().Get("code") != "" {
				codes.Store(to.Query().Get("code"), true)
			}
		})
	}
	all.Wait()
	n := 0
	codes.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("16 submissions made %d codes", n)
	}
}

func TestNothingIsGrantedThatWasNotShown(t *testing.T) { // P10
	w := newWorld(t)
	a := w.agent(w.client)
	b := w.browser()
	b.signIn()
	for name, change := range map[string]func(url.Values){
		"a tool outside the role": func(f url.Values) { f["tool"] = []string{"search_tickets", "delete_ticket"} },
		"a tool nobody asked for": func(f url.Values) { f["tool"] = []string{"get_ticket"} },
		"a tool twice":            func(f url.Values) { f["tool"] = []string{"search_tickets", "search_tickets"} },
		"longer than asked for":   func(f url.Values) { f.Set("duration", "7200") },
		"a duration of one's own": func(f url.Values) { f.Set("duration", "1801") },
		"a duration that is none": func(f url.Values) { f.Set("duration", "-1") },
	} {
		form := b.consentForm(a.push(a.request()))
		change(form)
		t.Run(name, func(t *testing.T) { noCode(t, b.post("/consent", form), http.StatusBadRequest) })
	}
}

func TestChangeBetweenShowingAndAllowing(t *testing.T) { // CS10
	w := newWorld(t)
	ctx := context.Background()
	a := w.agent(w.client)
	b := w.browser()
	b.signIn()
	form := b.consentForm(a.push(a.request()))
	changed, err := tokens.ParseDefinition([]byte(`{"name":"search_tickets","description":"now it also mails them out","inputSchema":{"type":"object"}}`))
	must(t, err)
	canonical, err := changed.Canonical()
	must(t, err)
	res, err := w.store.ResourceByURI(ctx, ticketsURI)
	must(t, err)
	for i, tool := range res.Tools { // the others stay: a tool that is not published is gone
		res.Tools[i].Live, res.Tools[i].LiveHash = tool.Definition, tool.Hash
		if tool.Name == "search_tickets" {
			res.Tools[i].Live, res.Tools[i].LiveHash = canonical, tokens.HashBytes(canonical)
		}
	}
	_, err = w.store.PublishManifest(ctx, ticketsURI, []byte(ticketsPolicy), tokens.HashBytes([]byte(ticketsPolicy)), res.Tools)
	must(t, err)
	got := b.post("/consent", form)
	noCode(t, got, http.StatusConflict)
	if !strings.Contains(got.Body, "Something changed") || strings.Contains(got.Body, `value="search_tickets"`) {
		t.Error("the page is to say that something changed, and no longer to offer the tool")
	}
	again := hidden(got.Body)
	again["tool"], again["duration"], again["decision"] = []string{"add_comment"}, []string{"1800"}, []string{"allow"}
	if got := b.post("/consent", again); got.Status != http.StatusSeeOther {
		t.Errorf("what is still offered: %d", got.Status)
	}
}

func TestDeny(t *testing.T) { // CS8
	w := newWorld(t)
	a := w.agent(w.client)
	b := w.browser()
	b.signIn()
	for name, change := range map[string]func(url.Values){
		"don't allow":  func(f url.Values) { f.Set("decision", "deny") },
		"no tool":      func(f url.Values) { f.Del("tool") },
		"no decision":  func(f url.Values) { f.Del("decision") },
		"both decided": func(f url.Values) { f.Set("decision", "ALLOW") },
	} {
		t.Run(name, func(t *testing.T) {
			target := a.push(a.request())
			form := b.consentForm(target)
			change(form)
			to, err := url.Parse(b.post("/consent", form).Header.Get("Location"))
			must(t, err)
			q := to.Query()
			if q.Get("error") != "access_denied" || q.Get("state") != "xyz" || q.Get("iss") != w.issuer || q.Has("code") {
				t.Errorf("redirect: %s", to)
			}
			noCode(t, b.get(target), http.StatusBadRequest) // the request is spent
		})
	}
}

func TestSignIn(t *testing.T) { // LG2, LG5, LG6, AZ19
	w := newWorld(t)
	b := w.browser()
	b.signIn()
	first := b.http.Jar.Cookies(mustURL(t, w.issuer))[0].Value
	b.signIn()
	if second := b.http.Jar.Cookies(mustURL(t, w.issuer))[0].Value; second == first {
		t.Error("signing in kept the cookie that was there before")
	}
	old := w.browser()
	old.http.Jar.SetCookies(mustURL(t, w.issuer), []*http.Cookie{{Name: "remit_session", Value: first}})
	if got := old.get("/agents"); strings.Contains(got.Body, "mara@example.com") {
		t.Error("the former session lives on")
	}
	for _, to := range []string{"//evil.example", "https:evil.example", "\\\\evil.example", "/\\evil.example", "https://evil.example/authorize?", "/authorize?\r\nX: y", "/tokens"} {
		got := w.browser().post("/signin", url.Values{"email": {"mara@example.com"}, "password": {password}, "return_to": {to}})
		if got.Status != http.StatusSeeOther || got.Header.Get("Location") != "/agents" {
			t.Errorf("return_to %q led to %d %q", to, got.Status, got.Header.Get("Location"))
		}
	}
	unknown := w.browser().post("/signin", url.Values{"email": {"nobody@example.com"}, "password": {password}})
	wrong := w.browser().post("/signin", url.Values{"email": {"mara@example.com"}, "password": {"not the password"}})
	if unknown.Status != wrong.Status || strings.ReplaceAll(unknown.Body, "nobody@example.com", "") != strings.ReplaceAll(wrong.Body, "mara@example.com", "") {
		t.Error("the answer tells whether the user exists")
	}
	limited := false
	for range 20 {
		got := w.browser().post("/signin", url.Values{"email": {"someone@example.com"}, "password": {"guess"}})
		limited = limited || got.Status == http.StatusTooManyRequests && got.Header.Get("Retry-After") != ""
	}
	if !limited {
		t.Error("guessing is not slowed down")
	}
}

func mustURL(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	must(t, err)
	return u
}

func TestDisabledUserGetsNothing(t *testing.T) { // LG7
	w := newWorld(t)
	a := w.agent(w.client)
	b := w.browser()
	b.signIn()
	form := b.consentForm(a.push(a.request()))
	got := a.tokens()
	code := a.code()
	_, err := w.store.DisableUser(context.Background(), w.user.ID, true)
	must(t, err)
	noCode(t, b.post("/consent", form), http.StatusForbidden)
	want(t, a.post("/token", a.codeForm(code)), 400, "invalid_grant")
	want(t, a.post("/token", a.refreshForm(got.text("refresh_token"))), 400, "invalid_grant")
}
