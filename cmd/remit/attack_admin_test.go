package main_test

import (
	"bytes"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackConsole plays the rows of section 4.15 that people of the console can play, and the races
// between them.
func TestAttackConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &staff{world: w}
	for role, b := range map[string]**blackbox.Browser{"viewer": &s.viewer, "revoker": &s.revoker, "admin": &s.admin} {
		*b = w.person(t, role, role)
	}
	rows := map[string]row{}
	for id, play := range map[string]func(*testing.T, *staff){"AD2": ad2, "AD4": ad4, "AD7": ad7, "AD8": ad8, "AD9": ad9, "AD10": ad10, "RC4": rc4, "RC7": rc7} {
		rows[id] = func(t *testing.T, _ *world) { play(t, s) }
	}
	playOn(t, w, rows)
}

// staff are people with a console role, of a world.
type staff struct {
	*world
	viewer, revoker, admin *blackbox.Browser
}

// posts submits a form to the console with the token of the person's own page.
func (w *world) posts(t *testing.T, b *blackbox.Browser, path string, form blackbox.Form) blackbox.Response {
	t.Helper()
	at, err := b.Get(t.Context(), w.issuer+"/admin/keys")
	if err != nil {
		t.Fatal(err)
	}
	own, ok := at.Page.With("csrf")
	if !ok {
		t.Fatalf("no form on the console: %s", at.Response)
	}
	res, err := blackbox.Post(t.Context(), w.issuer+path, form.Set("csrf", own.Filled().Get("csrf")), blackbox.Header{Name: "Cookie", Value: b.Cookies()},
		blackbox.Header{Name: "Origin", Value: w.issuer}, blackbox.Header{Name: "Sec-Fetch-Site", Value: "same-origin"}, blackbox.Header{Name: "Accept", Value: "text/html"})
	if err != nil {
		t.Fatal(err)
	}
	sane(t, res)
	return res
}

// sees opens a page of the console.
func (w *world) sees(t *testing.T, b *blackbox.Browser, path string) blackbox.Landing {
	t.Helper()
	at, err := b.Get(t.Context(), w.issuer+path)
	if err != nil {
		t.Fatal(err)
	}
	sane(t, at.Response)
	return at
}

func form(pairs ...string) (f blackbox.Form) {
	for i := 0; i < len(pairs); i += 2 {
		f = f.Add(pairs[i], pairs[i+1])
	}
	return f
}

// user is a user's id.
func (w *world) user(t *testing.T, b *blackbox.Browser) string {
	t.Helper()
	var out struct{ ID string }
	w.remit(t, &out, "", "user", "show", "--email", b.Email)
	return out.ID
}

// ad2: what is not there is not there, however it is asked for.
func ad2(t *testing.T, s *staff) {
	for _, id := range []string{"usr_aaaaaaaaaaaaaaaaaaaaaaaaaa", "x", "' OR 1=1 --", "../../etc/passwd", strings.Repeat("x", 3000), "\x00", "%"} {
		for _, path := range []string{"/admin/user?user=", "/admin/client?client=", "/admin/resource?resource=", "/admin/disable?user=", "/admin/tasks/"} {
			at := s.sees(t, s.admin, path+url.PathEscape(id))
			if at.Status != http.StatusNotFound && at.Status != http.StatusBadRequest {
				t.Errorf("%s%.20q: %s", path, id, at.Response)
			}
			seen(t, at.Response)
		}
	}
	if at := s.sees(t, s.admin, "/admin/user?user="+url.QueryEscape(s.user(t, s.mara))); at.Status != http.StatusOK {
		t.Errorf("one that is there: %s", at.Response)
	}
	jot(t, goodAfter)
}

// ad4: one form ends all of a user, a client, a resource or a task, and says how many.
func ad4(t *testing.T, s *staff) {
	client := s.client(t, "Runaway", map[string]any{"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"}, "redirect_uris": []string{redirectA}})
	b := s.person(t, "victim", "user")
	s.remit(t, nil, "", "user", "assign", "--email", b.Email, "--resource", s.r1.URL, "--role", "admin")
	by := func(change func(*blackbox.Flow)) *blackbox.Flow {
		f := s.flow()
		change(f)
		return must(t, f, (*blackbox.Flow).ToToken)
	}
	r3 := s.protect(t, "Third")
	for noun, tt := range map[string]struct {
		id   string
		flow func(*blackbox.Flow)
		at   *protected
	}{
		"user":   {s.user(t, b), func(f *blackbox.Flow) { f.Person = b }, s.r1},
		"client": {client, func(f *blackbox.Flow) { f.ClientID = client }, s.r1},
		"resource": {r3.URL, func(f *blackbox.Flow) {
			f.Resource, f.Details = r3.URL, s.detailsAt(r3.URL, "get_ticket")
		}, r3},
	} {
		t.Run("all of a "+noun, func(t *testing.T) {
			first, second, bystander := by(tt.flow), by(tt.flow), s.token(t)
			if res := s.posts(t, s.revoker, "/admin/disable", form(noun, tt.id, "reason", "INC-1", "shown", "2", "count", "1")); res.Status != http.StatusConflict {
				t.Errorf("with another count: %s", res)
			}
			res := s.posts(t, s.revoker, "/admin/disable", form(noun, tt.id, "reason", "INC-1", "shown", "2", "count", "2"))
			if res.Status >= 400 {
				t.Fatalf("%s", res)
			}
			told := s.sees(t, s.revoker, strings.TrimPrefix(res.Header.Get("Location"), s.issuer))
			if !strings.Contains(told.Page.Text, "2") {
				t.Errorf("no count: %s", told.Page.Text)
			}
			for _, f := range []*blackbox.Flow{first, second} {
				s.refuses(t, want{statuses: []int{400, 401}}, func() (blackbox.Response, error) {
					return s.server.Send(t.Context(), f.Key, s.server.Token, f.RefreshForm())
				})
				eventually(t, 2*time.Second, "the resource refuses it", func() bool {
					res, err := tt.at.Call(t.Context(), f.Key, f.Access(), "get_ticket", readArguments)
					return err == nil && res.Status == http.StatusUnauthorized && blackbox.Challenged(res, "invalid_token")
				})
			}
			s.works(t, bystander)
		})
	}
	t.Run("a task", func(t *testing.T) {
		f := s.token(t)
		if res := s.posts(t, s.revoker, "/admin/end", form("task", f.TaskID(), "reason", "INC-1", "shown", "1", "count", "1")); res.Status >= 400 {
			t.Fatalf("%s", res)
		}
		s.dead(t, f)
	})
}

// ad7: no page and no list tells what would let somebody in.
func ad7(t *testing.T, s *staff) {
	f := s.token(t)
	s.works(t, f)
	id, secret := s.secretClient(t, "Confidant", "authorization_code")
	pages := map[string][]byte{}
	for _, path := range []string{
		"/admin", "/admin/users", "/admin/clients", "/admin/resources", "/admin/keys", "/admin/findings", "/admin/tasks/" + f.TaskID(), "/admin/user?user=" + s.user(t, s.mara), "/admin/client?client=" + id, "/admin/resource?resource=" + url.QueryEscape(s.r1.URL),
	} {
		at := s.sees(t, s.admin, path)
		if at.Status != http.StatusOK {
			t.Errorf("%s: %s", path, at.Response)
		}
		pages[path] = at.Body
	}
	for _, path := range []string{"/admin/api/users", "/admin/api/clients", "/admin/api/resources", "/admin/api/tasks", "/admin/api/keys", "/admin/api/audit/records?limit=10000"} {
		pages[path] = s.world.admin(t, path)
	}
	secrets := []string{f.Access(), f.RefreshToken(), f.Code, secret, s.mara.Password, s.admin.Password, "argon2"}
	for _, cookie := range strings.Split(s.admin.Cookies(), "; ") {
		_, value, _ := strings.Cut(cookie, "=")
		secrets = append(secrets, value)
	}
	for path, body := range pages {
		for _, secret := range secrets {
			if secret == "" || bytes.Contains(body, []byte(secret)) {
				t.Errorf("%s tells %.10q…", path, secret)
			}
		}
		if found := regexp.MustCompile(`\b(?:rc|rr|rs|sid|enrol|rq)_[A-Za-z0-9_-]{43}`).Find(body); found != nil {
			t.Errorf("%s tells %.12s…", path, found)
		}
	}
	jot(t, "no secret on any page or list")
}

// ad8: nobody gives themselves more, whoever they are.
func ad8(t *testing.T, s *staff) {
	role := func(who *blackbox.Browser, role string) blackbox.Form {
		return form("user", s.user(t, who), "console_role", role, "reason", "x")
	}
	for name, tt := range map[string]struct {
		b    *blackbox.Browser
		form blackbox.Form
	}{
		"a viewer": {s.viewer, role(s.viewer, "admin")}, "a revoker": {s.revoker, role(s.revoker, "admin")}, "a revoker for another": {s.revoker, role(s.mara, "admin")}, "an admin for themselves": {s.admin, role(s.admin, "user")},
	} {
		t.Run(name, func(t *testing.T) {
			res := s.refuses(t, want{statuses: []int{403}, page: true}, func() (blackbox.Response, error) { return s.posts(t, tt.b, "/admin/role", tt.form), nil })
			if res.Header.Get("Location") != "" {
				t.Errorf("%s", res)
			}
		})
	}
	f := s.token(t)
	for _, path := range []string{"/admin/role", "/admin/approve", "/admin/enable"} {
		for _, scheme := range []string{"Bearer", "DPoP"} {
			res := mustPost(t, s.issuer+path, role(s.mara, "admin"), authorization(scheme, f.Access()), blackbox.DPoP(blackbox.NewProof(f.Key, "POST", s.issuer+path, s.server.Known(), f.Access())))
			if sane(t, res); res.Status != http.StatusForbidden && res.Status != http.StatusUnauthorized {
				t.Errorf("an agent at %s: %s", path, res)
			}
		}
	}
	jot(t, "an agent: refused everywhere")
	s.works(t, f)
}

// ad9: what strangers call themselves does nothing in the console.
func ad9(t *testing.T, s *staff) {
	id := s.client(t, hostile, map[string]any{"token_endpoint_auth_method": "none", "redirect_uris": []string{redirectA}, "grant_types": []string{"authorization_code", "refresh_token"}})
	f := s.flow()
	f.ClientID, f.Details = id, strings.Replace(f.Details, "Triage this week's bugs", strings.ReplaceAll(hostile, `"`, `\"`), 1)
	must(t, f, (*blackbox.Flow).ToToken)
	s.call(t, f, "<img src=x onerror=alert(1)>", readArguments)
	shown := 0
	for _, path := range []string{"/admin", "/admin/clients", "/admin/client?client=" + id, "/admin/tasks/" + f.TaskID(), "/admin/disable?client=" + id, "/admin?client=" + url.QueryEscape(hostile), "/admin/users?user=" + url.QueryEscape(hostile)} {
		at := s.sees(t, s.admin, path)
		if bytes.Contains(at.Body, []byte("<script>alert")) || bytes.Contains(at.Body, []byte("<img src=x")) {
			t.Errorf("%s: %s", path, at.Body)
		}
		if csp := at.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", path, csp)
		}
		elements(t, at.Body)
		shown += btoi(bytes.Contains(at.Body, []byte("&lt;script&gt;")))
	}
	if shown < 3 {
		t.Errorf("only %d pages show it", shown)
	}
	jot(t, "inert")
}

// ad10: the last admin stays.
func ad10(t *testing.T, s *staff) {
	self := form("user", s.user(t, s.admin), "reason", "x")
	s.refuses(t, want{statuses: []int{403, 409}, page: true}, func() (blackbox.Response, error) { return s.posts(t, s.admin, "/admin/disable", self), nil })
	s.refuses(t, want{statuses: []int{403}, page: true}, func() (blackbox.Response, error) { return s.posts(t, s.revoker, "/admin/disable", self), nil })
	if out, err := s.typed(t, "", "user", "disable", "--email", s.admin.Email); err == nil {
		t.Errorf("by the command line: %s", out)
	}
	if out, err := s.typed(t, "", "user", "role", "--email", s.admin.Email, "--console-role", "user"); err == nil {
		t.Errorf("by the command line: %s", out)
	}
	if at := s.sees(t, s.admin, "/admin/users"); at.Status != http.StatusOK {
		t.Errorf("the last admin: %s", at.Response)
	}
	jot(t, goodAfter)
}

// rc4: a client that is disabled while it works gets nothing after that was answered.
func rc4(t *testing.T, s *staff) {
	id := s.client(t, "Racing", map[string]any{"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"}, "redirect_uris": []string{redirectA}})
	flows := make([]*blackbox.Flow, 6)
	for i := range flows {
		flows[i] = s.flow()
		flows[i].ClientID = id
		must(t, flows[i], (*blackbox.Flow).ToToken)
	}
	done, stopped := make(chan struct{}), make(chan int, len(flows))
	for _, f := range flows {
		go func() {
			late := 0
			for off := false; !off; {
				select {
				case <-done:
					off = true
				default:
				}
				if err := f.Refresh(t.Context()); err == nil && off {
					late++
				}
			}
			stopped <- late
		}()
	}
	s.remit(t, nil, "", "client", "disable", id)
	close(done)
	for range flows {
		if late := <-stopped; late > 0 {
			t.Errorf("%d refreshes after the client was disabled", late)
		}
	}
	for _, f := range flows {
		s.refusesToken(t, E401(), f.Key, map[string]blackbox.Form{"afterwards": f.RefreshForm()})
		s.refusedBy(t, s.r1, f)
	}
}
