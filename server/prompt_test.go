package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// with returns the good request with these parameters besides.
func (a *agent) with(pairs ...string) url.Values {
	form := a.request()
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

// errorAt is the error that a redirect carries, with all that must stand beside it.
func (b *browser) errorAt(got answer) string {
	b.w.t.Helper()
	to := mustURL(b.w.t, got.Header.Get("Location"))
	if got.Status != http.StatusSeeOther || !strings.HasPrefix(to.String(), callback+"?") || to.Query().Get("iss") != b.w.issuer || to.Query().Get("state") != "xyz" {
		b.w.t.Fatalf("no answer to the client: %d %s %s", got.Status, to, got.Body)
	}
	return to.Query().Get("error")
}

func TestPrompt(t *testing.T) {
	tests := map[string]struct {
		params []string
		signed time.Duration // ago; negative: nobody has signed in
		want   string        // "page", "again", "signin", or an error that the client gets
	}{
		"nothing said":                {nil, time.Hour, "page"},
		"consent":                     {[]string{"prompt", "consent"}, time.Hour, "page"},
		"login":                       {[]string{"prompt", "login"}, time.Hour, "again"},
		"login and consent":           {[]string{"prompt", "login consent"}, time.Hour, "again"},
		"select_account":              {[]string{"prompt", "select_account"}, time.Hour, "again"},
		"none":                        {[]string{"prompt", "none"}, time.Hour, "consent_required"},
		"none, and the session old":   {[]string{"prompt", "none", "max_age", "60"}, time.Hour, "login_required"},
		"none, and nobody":            {[]string{"prompt", "none"}, -1, "login_required"},
		"none with another":           {[]string{"prompt", "none login"}, time.Hour, "invalid_request"},
		"unknown":                     {[]string{"prompt", "create"}, time.Hour, "invalid_request"},
		"young enough":                {[]string{"max_age", "3602"}, time.Hour, "page"},
		"too old":                     {[]string{"max_age", "3600"}, time.Hour, "again"},
		"max_age of nothing":          {[]string{"max_age", "0"}, time.Second, "again"},
		"max_age is no number":        {[]string{"max_age", "soon"}, time.Hour, "invalid_request"},
		"max_age below nothing":       {[]string{"max_age", "-1"}, time.Hour, "invalid_request"},
		"a hint and languages":        {[]string{"login_hint", `"><b>x`, "ui_locales", "de-CH fr"}, time.Hour, "page"},
		"a hint without end":          {[]string{"login_hint", strings.Repeat("x", 321)}, time.Hour, "invalid_request"},
		"languages without end":       {[]string{"ui_locales", strings.Repeat("x", 321)}, time.Hour, "invalid_request"},
		"a nonce without end":         {[]string{"nonce", strings.Repeat("x", 1025)}, time.Hour, "invalid_request"},
		"nobody, who then signs in":   {[]string{"prompt", "login"}, -1, "signin"},
		"nobody, and max_age nothing": {[]string{"max_age", "0"}, -1, "signin"},
	}
	for name, tt := range tests {
		for _, pushed := range []bool{true, false} {
			t.Run(name+map[bool]string{true: ", pushed", false: ""}[pushed], func(t *testing.T) {
				w := newWorld(t)
				a, b := w.agent(w.client), w.browser()
				if tt.signed >= 0 {
					b.signIn()
					w.clock.Add(tt.signed)
				}
				form := a.with(tt.params...)
				form.Set("dpop_jkt", a.key.JKT())
				target := "/authorize?" + form.Encode()
				if pushed {
					got := a.post("/par", form)
					if tt.want == "invalid_request" {
						if got.Status != http.StatusBadRequest || got.error() != tt.want {
							t.Fatalf("par: %d %s", got.Status, got.Body)
						}
						return
					}
					target = "/authorize?" + url.Values{"client_id": {a.client}, "request_uri": {got.text("request_uri")}}.Encode()
				}
				w.clock.Add(time.Second)
				got := b.get(target)
				switch tt.want {
				case "page":
					if got.Status != http.StatusOK || !strings.Contains(got.Body, `class="consent"`) {
						t.Errorf("%d %s", got.Status, got.Body)
					}
				case "again":
					b.signsInAgain(got)
				case "signin":
					if got.Status != http.StatusOK || !strings.Contains(got.Body, `name="password"`) {
						t.Fatalf("no sign-in: %d %s", got.Status, got.Body)
					}
					w.clock.Add(time.Minute)
					b.signsIn(signInReturn(got.Body)) // once, not twice
				default:
					if code := b.errorAt(got); code != tt.want {
						t.Errorf("error %q, want %q", code, tt.want)
					}
				}
			})
		}
	}
}

func signInReturn(page string) string {
	i := strings.Index(page, `name="return_to" value="`)
	rest := page[i+len(`name="return_to" value="`):]
	return strings.ReplaceAll(rest[:strings.Index(rest, `"`)], "&amp;", "&")
}

// signsIn signs in, follows to the page that it leads to, and allows what it asks.
func (b *browser) signsIn(returnTo string) {
	b.w.t.Helper()
	got := b.post("/signin", url.Values{"email": {"mara@example.com"}, "password": {password}, "return_to": {returnTo}})
	if got.Status != http.StatusSeeOther || got.Header.Get("Location") != returnTo {
		b.w.t.Fatalf("sign-in: %d to %q, want %q", got.Status, got.Header.Get("Location"), returnTo)
	}
	b.w.clock.Add(time.Second)
	if code := b.consent(returnTo, "search_tickets").Query().Get("code"); code == "" {
		b.w.t.Error("no code after the sign-in")
	}
}

// signsInAgain is sent to sign in although somebody has, and may go on afterwards.
func (b *browser) signsInAgain(got answer) {
	b.w.t.Helper()
	to := mustURL(b.w.t, got.Header.Get("Location"))
	if got.Status != http.StatusSeeOther || to.Path != "/signin" {
		b.w.t.Fatalf("not asked to sign in again: %d %s", got.Status, got.Body)
	}
	back := to.Query().Get("return_to")
	if again := b.get(back); again.Status != http.StatusSeeOther { // going back does not help
		b.w.t.Errorf("the page without a sign-in: %d", again.Status)
	}
	page := b.get(to.String())
	if page.Status != http.StatusOK {
		b.w.t.Fatalf("sign-in page: %d %s", page.Status, page.Body)
	}
	b.w.clock.Add(time.Minute)
	b.signsIn(signInReturn(page.Body))
}

// TestPromptNoneOfAStranger: who merely registered does not get browsers bounced off this server.
func TestPromptNoneOfAStranger(t *testing.T) { // AZ14, OAuth 2.1 §7.12.2
	w := newWorld(t)
	c := store.Client{ID: tokens.NewID("cli_"), CreatedAt: w.clock.Now(), Origin: store.ByRegistration, Metadata: store.ClientMetadata{
		ClientName: "Stranger", RedirectURIs: []string{"https://evil.example/cb"}, TokenEndpointAuthMethod: "none", DPoPBoundAccessTokens: true,
	}}
	must(t, w.store.AddClient(context.Background(), c))
	a, b := w.agent(c.ID), w.browser()
	form := a.with("prompt", "none", "redirect_uri", "https://evil.example/cb", "dpop_jkt", a.key.JKT())
	if got := b.get("/authorize?" + form.Encode()); got.Status != http.StatusBadRequest || got.Header.Get("Location") != "" {
		t.Errorf("nobody has signed in: %d to %q", got.Status, got.Header.Get("Location"))
	}
	b.signIn()
	got := b.get("/authorize?" + form.Encode())
	if to := mustURL(t, got.Header.Get("Location")); to.Host != "evil.example" || to.Query().Get("error") != "consent_required" {
		t.Errorf("somebody has: %d to %q", got.Status, to)
	}
}

// TestMaxAgeWhileThePageIsOpen: the sign-in is judged again when the user decides.
func TestMaxAgeWhileThePageIsOpen(t *testing.T) {
	w := newWorld(t)
	a, b := w.agent(w.client), w.browser()
	b.signIn()
	w.clock.Add(time.Minute)
	target := a.push(a.with("max_age", "120"))
	form := b.consentForm(target)
	w.clock.Add(2 * time.Minute)
	if code := b.errorAt(b.post("/consent", form)); code != "login_required" {
		t.Errorf("error %q", code)
	}
	noCode(t, b.get(target), http.StatusBadRequest) // it has been answered
	w.signedIn = nil
	if a.code() == "" {
		t.Error("the good request after it")
	}
}

// TestAskedMark: a mark counts for its own request, and only for a while.
func TestAskedMark(t *testing.T) {
	w := newWorld(t)
	a, b := w.agent(w.client), w.browser()
	form := a.with("prompt", "login", "dpop_jkt", a.key.JKT())
	back := signInReturn(b.get("/authorize?" + form.Encode()).Body)
	w.clock.Add(time.Second)
	b.signIn()
	w.clock.Add(time.Second)
	another := strings.Replace(back, "state=xyz", "state=abc", 1)
	if got := b.get(another); got.Status != http.StatusSeeOther || mustURL(t, got.Header.Get("Location")).Path != "/signin" {
		t.Errorf("the mark of another request: %d", got.Status)
	}
	if got := b.get(back); got.Status != http.StatusOK {
		t.Errorf("its own: %d %s", got.Status, got.Body)
	}
	w.clock.Add(10 * time.Minute)
	if got := b.get(back); got.Status != http.StatusSeeOther {
		t.Errorf("an old mark: %d", got.Status)
	}
}
