package server_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// consoleMatrix is the least role for every route of the console, said a second time: a route that is
// not here fails TestConsoleMatrix.
var consoleMatrix = map[string]store.ConsoleRole{
	"GET /admin":            store.RoleViewer,
	"GET /admin/tasks/{id}": store.RoleViewer,
	"GET /admin/ended":      store.RoleViewer,
	"GET /admin/findings":   store.RoleViewer,
	"GET /admin/ledger":     store.RoleViewer,
	"GET /admin/users":      store.RoleViewer,
	"GET /admin/user":       store.RoleViewer,
	"GET /admin/clients":    store.RoleViewer,
	"GET /admin/client":     store.RoleViewer,
	"GET /admin/resources":  store.RoleViewer,
	"GET /admin/resource":   store.RoleViewer,
	"GET /admin/keys":       store.RoleViewer,
	"GET /admin/kill":       store.RoleViewer,
	"GET /admin/kill/{id}":  store.RoleViewer,
	"GET /admin/access":     store.RoleViewer,
	"GET /admin/openapi":    store.RoleViewer,

	"GET /admin/export/tasks":  store.RoleViewer,
	"GET /admin/export/ledger": store.RoleViewer,

	"GET /admin/end":                store.RoleRevoker,
	"POST /admin/end":               store.RoleRevoker,
	"GET /admin/findings/dismissed": store.RoleViewer,
	"GET /admin/findings/dismiss":   store.RoleRevoker,
	"POST /admin/findings/dismiss":  store.RoleRevoker,
	"GET /admin/block":              store.RoleRevoker,
	"POST /admin/block":             store.RoleRevoker,
	"GET /admin/reconsent":          store.RoleRevoker,
	"POST /admin/reconsent":         store.RoleRevoker,
	"POST /admin/suspend":           store.RoleRevoker,
	"POST /admin/resume":            store.RoleRevoker,
	"GET /admin/disable":            store.RoleRevoker,
	"POST /admin/disable":           store.RoleRevoker,
	"GET /admin/kill/review":        store.RoleRevoker,
	"POST /admin/kill":              store.RoleRevoker,
	"POST /admin/kill/lift":         store.RoleRevoker,
	"POST /admin/kill/confirm":      store.RoleAdmin,

	"POST /admin/enable":   store.RoleAdmin,
	"POST /admin/role":     store.RoleAdmin,
	"POST /admin/readargs": store.RoleAdmin,
	"POST /admin/approve":  store.RoleAdmin,
	"GET /admin/key":       store.RoleAdmin,
	"POST /admin/key/kill": store.RoleAdmin,
	"POST /admin/rotate":   store.RoleAdmin,
}

// targets is a query that makes each page of the console show something.
func (w *world) targets(task string) map[string]string {
	return map[string]string{
		"/admin/tasks/{id}":    "/admin/tasks/" + task,
		"/admin/ended":         "/admin/ended?task=" + task,
		"/admin/end":           "/admin/end?task=" + task,
		"/admin/block":         "/admin/block?task=" + task,
		"/admin/reconsent":     "/admin/reconsent?task=" + task,
		"/admin/user":          "/admin/user?user=" + w.user.ID,
		"/admin/client":        "/admin/client?client=" + w.client,
		"/admin/resource":      "/admin/resource?resource=" + url.QueryEscape(ticketsURI),
		"/admin/disable":       "/admin/disable?user=" + w.user.ID,
		"/admin/kill/review":   "/admin/kill/review?level=user&subject=" + w.user.ID,
		"/admin/kill/{id}":     "/admin/kill/" + w.kill("domain", "nobody.example", "", 0),
		"/admin/key":           "/admin/key?kid=" + w.signer(),
		"/admin/export/tasks":  "/admin/export/tasks?format=csv",
		"/admin/export/ledger": "/admin/export/ledger?format=jsonl",
		"/admin/access":        "/admin/access?resource=" + url.QueryEscape(ticketsURI),
	}
}

// signer is the id of the key that signs.
func (w *world) signer() string {
	w.t.Helper()
	keys, err := w.store.Keys(context.Background())
	must(w.t, err)
	for _, k := range keys {
		if k.Use == "sig" && k.State == store.KeyActive {
			return k.ID
		}
	}
	w.t.Fatal("nothing signs")
	return ""
}

// finding is the number of something that a person should look at.
func (w *world) finding() string {
	w.t.Helper()
	must(w.t, w.store.Append(context.Background(), store.NewRecord("finding.code_with_another_key", nil)))
	return strconv.FormatInt(w.records("finding.code_with_another_key")[0].Seq, 10)
}

// consoleRoutes are the console's lines on the public map.
func (w *world) consoleRoutes() (all [][2]string) {
	for _, rt := range w.server.PublicRoutes() {
		if strings.HasPrefix(rt[1], "/admin") {
			all = append(all, rt)
		}
	}
	return all
}

var ranks = []store.ConsoleRole{store.RoleUser, store.RoleViewer, store.RoleRevoker, store.RoleAdmin}

// TestConsoleMatrix: every route × every role, and people and agents without one (AD1, AD3, AD8).
func TestConsoleMatrix(t *testing.T) {
	w := newWorld(t)
	token, claims := w.lend()
	g := w.guard(ticketsURI)
	targets := w.targets(claims.Task.ID)
	targets["/admin/findings/dismiss"] = "/admin/findings/dismiss?finding=" + w.finding()
	people := map[store.ConsoleRole]*browser{store.RoleUser: w.mara()}
	for _, role := range ranks[1:] {
		people[role] = w.staff(string(role)+"@example.com", role)
	}
	unknown := people[store.RoleUser].get("/admins")
	seen := map[string]bool{}
	for _, rt := range w.consoleRoutes() {
		name := rt[0] + " " + rt[1]
		need, listed := consoleMatrix[name]
		if !listed {
			t.Errorf("%s has no entry in the matrix", name)
			continue
		}
		seen[name] = true
		path := rt[1]
		if target := targets[path]; target != "" && rt[0] == "GET" {
			path = target
		}
		ask := func(b *browser) answer {
			if rt[0] == "GET" {
				return b.get(path)
			}
			return b.fill(path, url.Values{"task": {claims.Task.ID}}) // without a reason, nothing happens
		}
		for role, b := range people {
			got := ask(b)
			switch {
			case role == store.RoleUser: // as if there were no console
				if got.Status != http.StatusNotFound || !got.like(unknown) {
					t.Errorf("%s by a user: %d %v %s", name, got.Status, got.Header, got.Body)
				}
			case slices.Index(ranks, role) < slices.Index(ranks, need):
				if got.Status != http.StatusForbidden || !strings.Contains(got.words(), "does not allow this") {
					t.Errorf("%s by %s: %d %s", name, role, got.Status, got.words())
				}
			case rt[0] == "GET" && got.Status != http.StatusOK, rt[0] == "POST" && (got.Status != http.StatusBadRequest || !strings.Contains(got.words(), "Say why")):
				t.Errorf("%s by %s: %d %s", name, role, got.Status, got.words())
			}
		}
		for caller, dress := range map[string]func(r *http.Request){
			"nobody":   func(*http.Request) {},
			"an agent": func(r *http.Request) { r.Header.Set("Authorization", "DPoP "+token) },
			"a bearer": func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) },
			"a Guard":  func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+g.assertion()) },
			"a made session": func(r *http.Request) {
				r.AddCookie(&http.Cookie{Name: "remit_session", Value: tokens.NewSecret("sid_")})
			},
		} {
			r, err := http.NewRequest(rt[0], w.issuer+path, strings.NewReader("task="+claims.Task.ID+"&reason=x"))
			must(t, err)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			dress(r)
			resp, err := http.DefaultTransport.RoundTrip(r)
			if got := read(t, resp, err); got.Status != http.StatusUnauthorized && got.Status != http.StatusForbidden || strings.Contains(got.Body, "Triage") {
				t.Errorf("%s by %s: %d", name, caller, got.Status)
			}
		}
	}
	for name := range consoleMatrix {
		if !seen[name] {
			t.Errorf("%s is in the matrix alone", name)
		}
	}
	if task, _, err := w.store.TaskByID(context.Background(), claims.Task.ID); err != nil || task.State != store.TaskActive {
		t.Errorf("the task is %s, %v", task.State, err)
	}
}

// TestConsoleRoleIsLive: a role that is taken away, and a session of a disabled user, are gone at once.
func TestConsoleRoleIsLive(t *testing.T) {
	w := newWorld(t)
	w.staff("first@example.com", store.RoleAdmin)
	b := w.staff("ops@example.com", store.RoleAdmin)
	must(t, w.store.SetConsoleRights(context.Background(), w.id("ops@example.com"), store.ConsoleRights{Role: store.RoleViewer}))
	if got := b.fill("/admin/rotate", url.Values{"reason": {"x"}}); got.Status != http.StatusForbidden {
		t.Errorf("a former admin: %d", got.Status)
	}
	must(t, w.store.SetConsoleRights(context.Background(), w.id("ops@example.com"), store.ConsoleRights{Role: store.RoleUser}))
	if got := b.get("/admin"); got.Status != http.StatusNotFound {
		t.Errorf("a former viewer: %d", got.Status)
	}
	must(t, w.store.SetConsoleRights(context.Background(), w.id("ops@example.com"), store.ConsoleRights{Role: "root"}))
	if got := b.get("/admin"); got.Status != http.StatusNotFound {
		t.Errorf("a role that is none: %d", got.Status)
	}
	must(t, w.store.SetConsoleRights(context.Background(), w.id("ops@example.com"), store.ConsoleRights{Role: store.RoleAdmin}))
	_, err := w.store.DisableUser(context.Background(), w.id("ops@example.com"), true)
	must(t, err)
	if got := b.get("/admin"); got.Status != http.StatusUnauthorized {
		t.Errorf("a disabled admin: %d", got.Status)
	}
}

// TestConsoleUnknownIDs: what is not there is 404, however it is asked for (AD2).
func TestConsoleUnknownIDs(t *testing.T) {
	w := newWorld(t)
	b := w.staff("admin@example.com", store.RoleAdmin)
	nobody := []string{tokens.NewID("usr_"), "", "x", "' OR 1=1 --", "../../etc/passwd", strings.Repeat("x", 3000), "\u0000"}
	for _, id := range nobody {
		for _, path := range []string{"/admin/user?user=", "/admin/client?client=", "/admin/resource?resource=", "/admin/disable?user=", "/admin/disable?client=", "/admin/disable?resource="} {
			if got := b.get(path + url.QueryEscape(id)); got.Status != http.StatusNotFound && (id != "" || got.Status != http.StatusBadRequest) {
				t.Errorf("%s%.20s: %d", path, id, got.Status)
			}
		}
		for _, field := range []string{"user", "client", "resource"} {
			for _, path := range []string{"/admin/disable", "/admin/enable"} {
				form := url.Values{field: {id}, "reason": {"x"}}
				if got := b.fill(path, form); got.Status != http.StatusNotFound && got.Status != http.StatusBadRequest {
					t.Errorf("%s of %s %.20s: %d", path, field, id, got.Status)
				}
			}
		}
	}
	two := url.Values{"user": {w.user.ID}, "client": {w.client}, "reason": {"x"}}
	if got := b.fill("/admin/disable", two); got.Status != http.StatusBadRequest {
		t.Errorf("two switches at once: %d", got.Status)
	}
	if got := b.get("/admin/disable?user=" + w.user.ID + "&client=" + w.client); got.Status != http.StatusBadRequest {
		t.Errorf("two switches at once: %d", got.Status)
	}
}

// halting is a store that cannot end tasks after so many.
type halting struct {
	store.Store
	ends int
}

func (f *halting) EndTask(ctx context.Context, e store.End, recs ...store.Record) ([]store.Task, error) {
	if f.ends--; f.ends < 0 {
		return nil, errors.New("disk on fire")
	}
	return f.Store.EndTask(ctx, e, recs...)
}

// TestConsoleHalfDone: an end that stops half way is a 503 that says how far, and the same form again
// finishes it (AD5).
func TestConsoleHalfDone(t *testing.T) {
	var broken *halting
	w := newWorldOn(t, func(s store.Store) store.Store { broken = &halting{s, 1 << 30}; return broken })
	_, first := w.lend()
	_, second := w.lend()
	b := w.staff("revoker@example.com", store.RoleRevoker)
	form := url.Values{"task": {first.Task.ID, second.Task.ID}, "reason": {"x"}, "shown": {"2"}, "count": {"2"}}
	broken.ends = 1
	got := b.fill("/admin/end", form)
	if got.Status != http.StatusServiceUnavailable || !strings.Contains(got.words(), "1 of 2 tasks have ended") || strings.Contains(got.Body, "fire") {
		t.Errorf("%d %s", got.Status, got.words())
	}
	broken.ends = 1 << 30
	shows(t, b.act("/admin/end", form), "2 of 2 tasks have ended")
	if n := len(w.records("task.ended")); n != 2 {
		t.Errorf("%d ends recorded", n)
	}
}

// TestConsoleForgery: no form from another origin, of another session, or without its token (AD6).
func TestConsoleForgery(t *testing.T) {
	w := newWorld(t)
	_, claims := w.lend()
	b, other := w.staff("admin@example.com", store.RoleAdmin), w.staff("other@example.com", store.RoleAdmin)
	token := csrfInput.FindStringSubmatch(b.get("/admin/keys").Body)[1]
	stolen := csrfInput.FindStringSubmatch(other.get("/admin/keys").Body)[1]
	before := len(w.records(""))
	for _, rt := range w.consoleRoutes() {
		if rt[0] != "POST" {
			continue
		}
		for name, dress := range map[string]func(header http.Header, form url.Values){
			"another site":    func(header http.Header, _ url.Values) { header.Set("Sec-Fetch-Site", "cross-site") },
			"a sibling":       func(header http.Header, _ url.Values) { header.Set("Sec-Fetch-Site", "same-site") },
			"another origin":  func(header http.Header, _ url.Values) { header.Set("Origin", "https://evil.example") },
			"no token":        func(_ http.Header, form url.Values) { form.Del("csrf") },
			"another's token": func(_ http.Header, form url.Values) { form.Set("csrf", stolen) },
			"two tokens":      func(_ http.Header, form url.Values) { form["csrf"] = []string{token, token} },
		} {
			form := url.Values{"csrf": {token}, "task": {claims.Task.ID}, "reason": {"x"}, "user": {w.user.ID}, "console_role": {"admin"}, "resource": {ticketsURI}}
			header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
			dress(header, form)
			r, err := http.NewRequest("POST", w.issuer+rt[1], strings.NewReader(form.Encode()))
			must(t, err)
			r.Header = header
			resp, err := b.http.Do(r)
			got := read(t, resp, err)
			if got.Status != http.StatusForbidden && (name != "two tokens" || got.Status != http.StatusBadRequest) {
				t.Errorf("%s from %s: %d %s", rt[1], name, got.Status, got.words())
			}
		}
	}
	if after := len(w.records("")); after != before {
		t.Errorf("%d records of forged forms", after-before)
	}
}

// TestConsoleTellsNoSecret: no page and no list tells what would let somebody in (AD7).
func TestConsoleTellsNoSecret(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	a := w.agent(w.client)
	lent := a.tokens()
	claims, err := w.keys().OpenAccessToken(lent.text("access_token"), w.issuer)
	must(t, err)
	added := w.operator("POST", "/admin/api/clients", map[string]any{"client_name": "Secret", "redirect_uris": []string{"https://c.example/cb"}})
	c := &caller{guardian: g, claims: claims}
	c.calls("get_ticket")
	admin := w.staff("admin@example.com", store.RoleAdmin)
	cookies := admin.http.Jar.Cookies(must1(t, w.issuer))
	secrets := []string{lent.text("access_token"), lent.text("refresh_token"), added.text("client_secret"), cookies[0].Value, "argon2", w.user.PasswordHash, w.enrolCode(ticketsURI)}
	keys, err := w.store.Keys(context.Background())
	must(t, err)
	for _, k := range keys {
		secrets = append(secrets, string(k.Sealed))
	}
	targets := w.targets(claims.Task.ID)
	targets["/admin/findings/dismiss"] = "/admin/findings/dismiss?finding=" + w.finding()
	pages := map[string]string{}
	for _, rt := range w.consoleRoutes() {
		if path := rt[1]; rt[0] == "GET" {
			if targets[path] != "" {
				path = targets[path]
			}
			pages[path] = admin.get(path).Body
		}
	}
	pages["secret client"] = admin.get("/admin/client?client=" + added.text("client_id")).Body
	for _, rt := range w.server.AdminRoutes() {
		if rt[0] == "GET" {
			pages[rt[1]] = w.operator("GET", rt[1]+"?id="+claims.Task.ID+"&user="+w.user.ID+"&uri="+url.QueryEscape(ticketsURI), nil).Body
		}
	}
	if len(pages) < 20 {
		t.Fatalf("%d pages", len(pages))
	}
	for path, body := range pages {
		for _, secret := range secrets {
			if secret == "" || strings.Contains(body, secret) {
				t.Errorf("%s tells %.12s…", path, secret)
			}
		}
		body = regexp.MustCompile(`"signature":"[^"]*"`).ReplaceAllString(body, "") // what a Guard signed of its executions: good for nothing else
		for _, m := range regexp.MustCompile(`\b(?:rc|rr|rs|sid|enrol|rq)_[A-Za-z0-9_-]{43}|eyJ[A-Za-z0-9_-]{10,}\.`).FindAllString(body, -1) {
			// What a Guard signed of its batches proves something and lets nobody in: it names no key
			// that any endpoint takes it for, and its typ is that of no token.
			if !strings.Contains(path, "checkpoints") && !strings.Contains(path, "jwks") && !evidence(body, m) {
				t.Errorf("%s tells %.12s…", path, m)
			}
		}
	}
}

// evidence reports whether what was found in the body is part of a Guard's signature over a batch.
func evidence(body, found string) bool {
	for _, whole := range regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`).FindAllString(body, -1) {
		head, _, _ := strings.Cut(whole, ".")
		raw, err := base64.RawURLEncoding.DecodeString(head)
		if err == nil && strings.Contains(whole, found) && strings.Contains(string(raw), `"typ":"`+tokens.TypeBatch+`"`) {
			return true
		}
	}
	return false
}

func must1(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	must(t, err)
	return u
}

// TestConsoleStrangersText: names and purposes that strangers chose do nothing (AD9).
func TestConsoleStrangersText(t *testing.T) {
	w := newWorld(t)
	const evil = `<script>alert(1)</script>"><img src=x onerror=alert(1)>'-->`
	ctx := context.Background()
	for _, origin := range []store.ClientOrigin{store.ByRegistration, store.ByDocument, store.ByAdmins} {
		id := "https://evil.example/" + url.PathEscape(evil) + string(origin)
		must(t, w.store.AddClient(ctx, store.Client{ID: id, Origin: origin, CreatedAt: w.clock.Now(), Metadata: store.ClientMetadata{ClientName: evil, RedirectURIs: []string{"https://x/?" + evil}}}))
	}
	must(t, w.store.AddUser(ctx, store.User{ID: tokens.NewID("usr_"), Email: `"` + evil + `"@example.com`, Name: evil}))
	must(t, w.store.AddResource(ctx, store.Resource{URI: otherURI, Name: evil, Tools: []store.Tool{{Name: evil, Live: []byte(`{"name":"` + strings.ReplaceAll(evil, `"`, "'") + `"}`), LiveHash: "h"}}}))
	a := w.agent(w.client)
	asked := a.request()
	asked.Set("authorization_details", strings.Replace(details, "Triage bugs", "<script>alert(1)</script>", 1))
	got := a.post("/token", a.codeForm(w.mara().consent(a.push(asked), "search_tickets").Query().Get("code")))
	claims, err := w.keys().OpenAccessToken(got.text("access_token"), w.issuer)
	must(t, err)
	c := &caller{guardian: w.guard(ticketsURI), claims: claims}
	c.calls("<script>alert(1)</script> tool_not_granted")
	b := w.staff("admin@example.com", store.RoleAdmin)
	pages := []string{
		"/admin", "/admin?user=" + url.QueryEscape(evil), "/admin?client=" + url.QueryEscape(evil), "/admin/users", "/admin/users?user=" + url.QueryEscape(evil), "/admin/clients",
		"/admin/resources", "/admin/resource?resource=" + url.QueryEscape(otherURI), "/admin/disable?resource=" + url.QueryEscape(otherURI), "/admin/tasks/" + claims.Task.ID, "/admin/end?task=" + claims.Task.ID, "/admin/tasks/" + url.PathEscape(evil),
	}
	clients, err := w.store.Clients(ctx)
	must(t, err)
	for _, c := range clients {
		pages = append(pages, "/admin/client?client="+url.QueryEscape(c.ID), "/admin/disable?client="+url.QueryEscape(c.ID))
	}
	users, err := w.store.Users(ctx)
	must(t, err)
	for _, u := range users {
		pages = append(pages, "/admin/user?user="+u.ID)
	}
	shown := 0
	for _, path := range pages {
		page := b.get(path)
		if strings.Contains(page.Body, "<script") || strings.Contains(page.Body, "<img") || page.Status >= 500 {
			t.Errorf("%.60s: %d: %s", path, page.Status, page.Body)
		}
		if csp := page.Header.Get("Content-Security-Policy"); page.Status == http.StatusOK && (csp != "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'") {
			t.Errorf("%.60s: policy %s", path, csp)
		}
		if strings.Contains(page.Body, "&lt;script&gt;") {
			shown++
		}
	}
	if shown < 10 {
		t.Errorf("only %d pages show a stranger's text", shown)
	}
}
