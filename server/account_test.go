package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
)

// field returns a hidden field of a page.
func field(page, name string) string {
	for _, m := range hiddenInput.FindAllStringSubmatch(page, -1) {
		if m[1] == name {
			return m[2]
		}
	}
	return ""
}

// withCodes is a browser of the user, with one-time codes set up; it returns the secret and the
// recovery codes.
func withCodes(t *testing.T, w *world) (b *browser, secret string, recovery []string) {
	t.Helper()
	b = w.browser()
	b.signIn()
	page := b.get("/account/codes")
	m := regexp.MustCompile(`<code>([A-Z2-7 ]+)</code>`).FindStringSubmatch(page.Body)
	if m == nil {
		t.Fatalf("no secret: %d %s", page.Status, page.Body)
	}
	secret = strings.ReplaceAll(m[1], " ", "")
	confirm := func(code string) answer {
		return b.post("/account/codes", url.Values{"csrf": {field(page.Body, "csrf")}, "sealed": {field(page.Body, "sealed")}, "code": {code}})
	}
	if got := confirm("000000"); got.Status != http.StatusBadRequest {
		t.Fatalf("a wrong code turned codes on: %d", got.Status)
	}
	got := confirm(codeAt(t, w, secret))
	for _, m := range regexp.MustCompile(`<li><code>([a-z2-7-]+)</code>`).FindAllStringSubmatch(got.Body, -1) {
		recovery = append(recovery, m[1])
	}
	if got.Status != http.StatusOK || len(recovery) != 10 {
		t.Fatalf("codes were not set up: %d, %d recovery codes", got.Status, len(recovery))
	}
	return b, secret, recovery
}

func codeAt(t *testing.T, w *world, secret string) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, w.clock.Now())
	must(t, err)
	return code
}

// afterPassword signs in up to the second step.
func afterPassword(t *testing.T, w *world) (b *browser, sealed string) {
	t.Helper()
	b = w.browser()
	got := b.post("/signin", url.Values{"email": {"mara@example.com"}, "password": {password}, "return_to": {"/account"}})
	if got.Status != http.StatusOK || len(b.http.Jar.Cookies(mustURL(t, w.issuer))) != 0 {
		t.Fatalf("the password alone: %d, cookies %v", got.Status, b.http.Jar.Cookies(mustURL(t, w.issuer)))
	}
	return b, field(got.Body, "sealed")
}

func TestSecondFactor(t *testing.T) {
	w := newWorld(t)
	_, secret, recovery := withCodes(t, w)
	b, sealed := afterPassword(t, w)
	step := func(b *browser, sealed, code string) answer {
		w.clock.Add(30 * time.Second) // so that attempts are not too many
		return b.post("/signin/code", url.Values{"sealed": {sealed}, "code": {code}})
	}
	if got := step(b, sealed, "123456"); got.Status != http.StatusUnauthorized {
		t.Errorf("wrong code: %d", got.Status)
	}
	if got := step(b, "forged", "123456"); got.Status != http.StatusForbidden {
		t.Errorf("forged step: %d", got.Status)
	}
	w.clock.Add(30 * time.Second)
	code := codeAt(t, w, secret)
	if got := b.post("/signin/code", url.Values{"sealed": {sealed}, "code": {code}}); got.Status != http.StatusSeeOther || got.Header.Get("Location") != "/account" {
		t.Fatalf("right code: %d %s", got.Status, got.Header.Get("Location"))
	}
	again, sealed := afterPassword(t, w)
	if got := again.post("/signin/code", url.Values{"sealed": {sealed}, "code": {code}}); got.Status != http.StatusUnauthorized {
		t.Errorf("a code used twice: %d", got.Status)
	}
	if got := step(again, sealed, strings.ToUpper(recovery[3])); got.Status != http.StatusSeeOther {
		t.Errorf("recovery code: %d", got.Status)
	}
	third, sealed := afterPassword(t, w)
	if got := step(third, sealed, recovery[3]); got.Status != http.StatusUnauthorized {
		t.Errorf("a recovery code used twice: %d", got.Status)
	}
	w.clock.Add(10 * time.Minute)
	if got := step(third, sealed, recovery[4]); got.Status != http.StatusForbidden {
		t.Errorf("a second step ten minutes later: %d", got.Status)
	}
}

func TestCodesAreTriedSlowly(t *testing.T) { // LG6
	w := newWorld(t)
	withCodes(t, w)
	b, sealed := afterPassword(t, w)
	var last int
	for range 10 {
		last = b.post("/signin/code", url.Values{"sealed": {sealed}, "code": {"000000"}}).Status
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the tenth guess: %d", last)
	}
}

// TestChangesNeedAFreshSignIn: who finds a browser open does not take over the account.
func TestChangesNeedAFreshSignIn(t *testing.T) {
	w := newWorld(t)
	b, _, _ := withCodes(t, w)
	page := b.get("/account")
	w.clock.Add(11 * time.Minute)
	for action, form := range map[string]url.Values{
		"codes_remove": {}, "recovery": {}, "passkey_add": {}, "passkey_remove": {},
		"password": {"password": {password}, "new_password": {"another password"}},
	} {
		form.Set("csrf", field(page.Body, "csrf"))
		form.Set("action", action)
		if got := b.post("/account", form); got.Status != http.StatusForbidden {
			t.Errorf("%s: %d", action, got.Status)
		}
	}
	if got := b.get("/account/codes"); got.Status != http.StatusForbidden {
		t.Errorf("setting up codes: %d", got.Status)
	}
	if _, err := w.store.SecondFactorOf(context.Background(), w.user.ID); err != nil {
		t.Error("the second factor is gone")
	}
}

func TestPasswordChange(t *testing.T) {
	w := newWorld(t)
	b, other := w.browser(), w.browser()
	b.signIn()
	other.signIn()
	change := func(current, fresh string) answer {
		return b.post("/account", url.Values{
			"csrf": {field(b.get("/account").Body, "csrf")}, "action": {"password"}, "password": {current}, "new_password": {fresh},
		})
	}
	if got := change("wrong", "a longer password"); got.Status != http.StatusBadRequest {
		t.Errorf("with a wrong password: %d", got.Status)
	}
	if got := change(password, "short"); got.Status != http.StatusBadRequest {
		t.Errorf("to a short one: %d", got.Status)
	}
	if got := change(password, "a longer password"); got.Status != http.StatusOK {
		t.Fatalf("password: %d %s", got.Status, got.Body)
	}
	if got := b.get("/account"); !strings.Contains(got.Body, "this browser") {
		t.Error("the browser that changed it is signed out")
	}
	if got := other.get("/account"); strings.Contains(got.Body, "mara@example.com") {
		t.Error("another browser is still signed in")
	}
	old := w.browser()
	if got := old.post("/signin", url.Values{"email": {"mara@example.com"}, "password": {password}}); got.Status != http.StatusUnauthorized {
		t.Errorf("the old password: %d", got.Status)
	}
}

func TestSessionsAreTheirUsersOwn(t *testing.T) {
	w := newWorld(t)
	mallory := store.User{ID: "usr_mallory", Email: "mallory@example.com", PasswordHash: w.user.PasswordHash, ConsoleRole: store.RoleUser}
	must(t, w.store.AddUser(t.Context(), mallory))
	b, other, foreign := w.browser(), w.browser(), w.browser()
	b.signIn()
	other.signIn()
	if got := foreign.post("/signin", url.Values{"email": {mallory.Email}, "password": {password}}); got.Status != http.StatusSeeOther {
		t.Fatal("mallory cannot sign in")
	}
	end := func(b *browser, id string) answer {
		return b.post("/account", url.Values{"csrf": {field(b.get("/account").Body, "csrf")}, "action": {"session_end"}, "id": {id}})
	}
	sessions, err := w.store.SessionsOf(t.Context(), w.user.ID)
	must(t, err)
	for _, s := range sessions {
		end(foreign, s.ID.String())
	}
	for _, bad := range []string{"", "zz", strings.Repeat("0", 63), strings.Repeat("0", 200)} {
		end(b, bad)
	}
	if got := other.get("/account"); strings.Count(got.Body, "signed in") == 0 || !strings.Contains(got.Body, "mara@example.com") {
		t.Fatal("somebody else signed the user out")
	}
	if got := b.post("/account", url.Values{"csrf": {field(b.get("/account").Body, "csrf")}, "action": {"sessions_end"}}); got.Status != http.StatusOK {
		t.Fatalf("sign out the others: %d", got.Status)
	}
	if got := other.get("/account"); strings.Contains(got.Body, "mara@example.com") {
		t.Error("the other browser is still signed in")
	}
}

// TestStopAll signs out everywhere and ends every task (ux.md, C14).
func TestStopAll(t *testing.T) {
	w := newWorld(t)
	w.lend()
	b := w.browser()
	b.signIn()
	got := b.post("/account", url.Values{"csrf": {field(b.get("/account").Body, "csrf")}, "action": {"stop_all"}})
	if got.Status != http.StatusSeeOther {
		t.Fatalf("stop all: %d %s", got.Status, got.Body)
	}
	if page := b.get("/account"); strings.Contains(page.Body, "mara@example.com") {
		t.Error("the browser is still signed in")
	}
	live, err := w.store.TaskList(t.Context(), store.TaskFilter{UserID: w.user.ID, Live: true})
	must(t, err)
	if len(live) != 0 {
		t.Errorf("%d tasks live on", len(live))
	}
}

func TestExport(t *testing.T) {
	w := newWorld(t)
	w.lend()
	b, secret, recovery := withCodes(t, w)
	got := b.get("/account/export")
	var out struct {
		User  struct{ Email string }
		Tasks []struct{ Purpose string }
		Codes bool `json:"one_time_codes"`
	}
	must(t, json.Unmarshal([]byte(got.Body), &out))
	if out.User.Email != "mara@example.com" || len(out.Tasks) != 1 || out.Tasks[0].Purpose != "Triage bugs" || !out.Codes {
		t.Errorf("export: %+v", out)
	}
	for _, hidden := range append(recovery, secret, w.user.PasswordHash) {
		if strings.Contains(got.Body, hidden) {
			t.Errorf("the export tells a secret: %s", hidden)
		}
	}
	if got := w.browser().get("/account/export"); got.Status != http.StatusUnauthorized || strings.Contains(got.Body, "mara") {
		t.Errorf("export for strangers: %d", got.Status)
	}
}

func TestFirstAdmin(t *testing.T) {
	w := newWorldOn(t, func(s store.Store) store.Store { return s })
	if at, err := w.server.SetUpURL(t.Context()); err != nil || at != "" {
		t.Fatalf("a server with users can be set up: %q, %v", at, err)
	}
	if got := w.browser().get("/setup?code=x"); got.Status != http.StatusNotFound {
		t.Errorf("set-up of a server with users: %d", got.Status)
	}
	empty := emptyServer(t)
	at, err := empty.server.SetUpURL(t.Context())
	must(t, err)
	b := empty.browser()
	if got := b.get("/setup?code=guess"); got.Status != http.StatusNotFound {
		t.Errorf("a guessed code: %d", got.Status)
	}
	page := b.get(at)
	form := url.Values{"code": {field(page.Body, "code")}, "email": {"root@example.com"}, "name": {"Root"}, "password": {password}}
	for name, value := range map[string]string{"email": "not an address", "name": "", "password": "short", "code": "guess"} {
		bad := url.Values{}
		for k, v := range form {
			bad[k] = v
		}
		bad.Set(name, value)
		if got := b.post("/setup", bad); got.Status < 400 {
			t.Errorf("%s %q: %d", name, value, got.Status)
		}
	}
	if got := b.post("/setup", form); got.Status != http.StatusSeeOther {
		t.Fatalf("set-up: %d %s", got.Status, got.Body)
	}
	if got := b.get("/admin"); got.Status != http.StatusOK {
		t.Errorf("the first admin at the console: %d", got.Status)
	}
	form.Set("email", "second@example.com")
	if got := empty.browser().post("/setup", form); got.Status != http.StatusNotFound {
		t.Errorf("a second set-up: %d", got.Status)
	}
}

// emptyServer is a server without any user.
func emptyServer(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Now().Truncate(time.Second)}}
	w.serve(t.Context(), func(s store.Store) store.Store { return s }, func(*server.Config) {})
	return w
}
