package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// staff adds somebody with a console role and returns their browser, signed in without the time that
// a password takes.
func (w *world) staff(email string, role store.ConsoleRole) *browser {
	w.t.Helper()
	ctx, secret, now := context.Background(), tokens.NewSecret("sid_"), w.clock.Now()
	u := store.User{ID: tokens.NewID("usr_"), Email: email, Name: email, PasswordHash: w.user.PasswordHash, ConsoleRole: role, CreatedAt: now}
	must(w.t, w.store.AddUser(ctx, u))
	must(w.t, w.store.AddSession(ctx, store.Session{ID: store.HashOf(secret), UserID: u.ID, AuthTime: now, ExpiresAt: now.Add(8 * time.Hour)}))
	b := w.browser()
	at, err := url.Parse(w.issuer)
	must(w.t, err)
	b.http.Jar.SetCookies(at, []*http.Cookie{{Name: "remit_session", Value: secret}})
	return b
}

func (w *world) id(email string) string {
	w.t.Helper()
	u, err := w.store.UserByEmail(context.Background(), email)
	must(w.t, err)
	return u.ID
}

var csrfInput = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// fill posts a form as the browser would that has the page open: with its token.
func (b *browser) fill(path string, form url.Values) answer {
	b.w.t.Helper()
	page := b.get("/agents")
	found := csrfInput.FindStringSubmatch(page.Body)
	if found == nil {
		b.w.t.Fatalf("no form token on %s", page.words())
	}
	form.Set("csrf", found[1])
	return b.post(path, form)
}

// act fills a form with a reason and follows where it leads.
func (b *browser) act(path string, form url.Values) answer {
	b.w.t.Helper()
	form.Set("reason", "INC-2291 runaway agent")
	got := b.fill(path, form)
	if got.Status != http.StatusSeeOther {
		b.w.t.Fatalf("%s: %d %s", path, got.Status, got.words())
	}
	page := b.get(got.Header.Get("Location"))
	if page.Status != http.StatusOK {
		b.w.t.Fatalf("%s leads to %d %s", path, page.Status, page.words())
	}
	return page
}

// said is the newest record of the kind, with its payload.
func (w *world) said(kind string) (store.Record, map[string]any) {
	w.t.Helper()
	recs := w.records(kind)
	if len(recs) == 0 {
		w.t.Fatalf("no record of %s", kind)
	}
	rec := recs[len(recs)-1]
	var p map[string]any
	must(w.t, json.Unmarshal(rec.Payload, &p))
	return rec, p
}

func TestConsoleFilter(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	_, running := w.lend()
	_, paused := w.lend()
	_, over := w.lend()
	w.move("suspend", paused.Task.ID)
	w.move("end", over.Task.ID)
	b := w.staff("viewer@example.com", store.RoleViewer)
	all := []string{running.Task.ID, paused.Task.ID, over.Task.ID}
	for query, want := range map[string][]string{
		"":                              all[:2],
		"state=any":                     all,
		"state=active":                  all[:1],
		"state=suspended":               all[1:2],
		"state=revoked":                 all[2:],
		"user=MARA@example.com":         all[:2],
		"user=" + w.user.ID:             all[:2],
		"user=viewer@example.com":       nil,
		"user=nobody@example.com":       nil,
		"client=" + w.client:            all[:2],
		"client=" + w.other:             nil,
		"client=nonsense":               nil,
		"resource=" + ticketsURI:        all[:2],
		"resource=" + otherURI:          nil,
		"tool=search_tickets":           all[:2],
		"tool=search":                   nil,
		"tool=search_tickets&state=any": nil, // would read every task there ever was
		"tool=search_tickets&state=any&client=" + w.client: all,
		"tool=delete_ticket&user=mara@example.com":         nil,
		"key=bound":                      all[:2],
		"key=unbound":                    nil,
		"key=bound&state=revoked":        all[2:],
		"state=any&client=" + w.client:   all,
		"state=any&resource=" + otherURI: nil,
	} {
		page := b.get("/admin?" + query)
		for _, id := range all {
			if shown := strings.Contains(page.Body, `href="/admin/tasks/`+id+`"`); shown != slices.Contains(want, id) {
				t.Errorf("%q shows %s: %v", query, id, shown)
			}
		}
		if page.Status != http.StatusOK || strings.Contains(page.Body, `type="checkbox"`) || strings.Contains(page.Body, "/admin/end") {
			t.Errorf("%q for a viewer: %d %s", query, page.Status, page.words())
		}
	}
	shows(t, b.get("/admin?user=nobody@example.com"), "There is no such user.", "There are no such tasks.")
	shows(t, b.get("/admin?user=mara@example.com&resource="+url.QueryEscape(ticketsURI)), "2 tasks", "mara@example.com", "Demo Agent", "Tickets", "Triage bugs",
		"remit task list --user=mara@example.com --resource=https://tickets.example/mcp --live")
	shows(t, b.get("/admin?client="+url.QueryEscape(`x'; rm -rf "$HOME"`)), `--client='x'\''; rm -rf "$HOME"' --live`)
	for _, query := range []string{"state=x", "key=x"} {
		if got := b.get("/admin?" + query); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d", query, got.Status)
		}
	}
	shows(t, b.get("/admin?tool=search_tickets&state=any"), "A tool is looked for among live tasks", "There are no such tasks.")
	page := b.get("/admin?user=mara@example.com&tool=" + url.QueryEscape(`<x>"`) + "&key=unbound")
	shows(t, page, "Without User (e-mail or id): mara@example.com", `Without Tool: &lt;x&gt;"`, "Without Key: Not key-bound", `remit task list --user=mara@example.com --tool='&lt;x&gt;"' --unbound --live`)
	for _, without := range []string{"/admin?key=unbound&amp;tool=%3Cx%3E%22", "/admin?key=unbound&amp;user=mara%40example.com", "/admin?tool=%3Cx%3E%22&amp;user=mara%40example.com"} {
		if !strings.Contains(page.Body, `href="`+without+`"`) {
			t.Errorf("no way to %s", without)
		}
	}
	if strings.Contains(b.get("/admin").Body, "Without") {
		t.Error("nothing narrows the list, and can be taken away")
	}
}

func TestConsoleTimeline(t *testing.T) {
	w := newWorld(t)
	_, claims := w.lend()
	c := &caller{guardian: w.guard(ticketsURI), claims: claims}
	c.calls("search_tickets", "delete_ticket tool_not_granted")
	w.move("suspend", claims.Task.ID)
	b := w.staff("viewer@example.com", store.RoleViewer)
	page := b.get("/admin/tasks/" + claims.Task.ID)
	shows(t, page, claims.Task.ID, "Suspended by an admin", "“ Triage bugs ”", "User mara@example.com", "Agent Demo Agent", "May use Tickets search_tickets, add_comment",
		"Calls 2 1 of 2 calls blocked", "Timeline",
		"Suspended by an admin – “ admin ” suspended", "delete_ticket at Tickets – the user did not allow this tool blocked", "search_tickets at Tickets allowed",
		"A token was issued for Tickets", "The task was made", "mara@example.com allowed search_tickets, add_comment, for 30 min – “ Triage bugs ” consent",
		"remit task show "+claims.Task.ID, "remit audit tail --task="+claims.Task.ID)
	for range 3 {
		c.calls(slices.Repeat([]string{"get_ticket"}, 50)...)
	}
	older := regexp.MustCompile(`/admin/tasks/tsk_\w+\?before=\d+`).FindString(b.get("/admin/tasks/" + claims.Task.ID).Body)
	shows(t, b.get(older), "get_ticket at Tickets", "The task was made", "Newest")
	for _, id := range []string{tokens.NewID("tsk_"), "x", strings.Repeat("x", 5000)} {
		if got := b.get("/admin/tasks/" + id); got.Status != http.StatusNotFound {
			t.Errorf("an unknown task: %d", got.Status)
		}
	}
}

// TestConsoleEndTask: one task, with a reason, and how fast its end was in force.
func TestConsoleEndTask(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	feed := g.listen(t)
	feed.next()
	token, claims := w.lend()
	b := w.staff("revoker@example.com", store.RoleRevoker)
	form := func() url.Values { return url.Values{"task": {claims.Task.ID}} }
	if got := b.fill("/admin/end", form()); got.Status != http.StatusBadRequest || !strings.Contains(got.words(), "Say why") {
		t.Errorf("without a reason: %d %s", got.Status, got.words())
	}
	acked := make(chan struct{})
	go func() {
		defer close(acked)
		e := feed.next()
		w.clock.Add(270 * time.Millisecond)
		g.call("POST", "/feed/ack", map[string]int64{"seq": e.seq()})
	}()
	b.act("/admin/end", form())
	<-acked
	shows(t, b.get("/admin/tasks/"+claims.Task.ID), "Revoked", "Ended", "INC-2291 runaway agent", "Where the end is in force", ticketsURI, "1 in force after 0.3 s")
	if got := g.introspect(token); got.JSON["active"] != false {
		t.Errorf("introspect: %s", got.Body)
	}
	rec, said := w.said("console.ended")
	if said["person"] != w.id("revoker@example.com") || said["by"] != "revoker" || said["reason"] != "INC-2291 runaway agent" || rec.Task != claims.Task.ID || rec.User != w.user.ID {
		t.Errorf("recorded: %v %+v", said, rec)
	}
	if _, said := w.said("task.ended"); said["by"] != "revoker" || said["reason"] != "INC-2291 runaway agent" {
		t.Errorf("recorded: %v", said)
	}
	shows(t, b.get("/admin/tasks/"+claims.Task.ID), "revoker@example.com ended the task – “ INC-2291 runaway agent ” console", "Ended by a revoker")
	// Again: nothing changes.
	before := len(w.records("console.ended"))
	shows(t, b.act("/admin/end", form()), "in force after 0.3 s")
	if after := len(w.records("console.ended")); after != before {
		t.Errorf("%d records more", after-before)
	}
	shows(t, w.mara().get("/agents"), "INC-2291 runaway agent")
}

// TestConsoleEndTicked: several tasks, counted before and typed.
func TestConsoleEndTicked(t *testing.T) {
	w := newWorld(t)
	var ids []string
	for range 3 {
		_, claims := w.lend()
		ids = append(ids, claims.Task.ID)
	}
	b := w.staff("revoker@example.com", store.RoleRevoker)
	review := b.get("/admin/end?" + url.Values{"task": ids[:2]}.Encode())
	shows(t, review, "End the tasks listed here?", "2 tasks", "End 2 tasks", "Type 2 to go on", "These tasks end", "remit task end "+ids[0], "remit task end "+ids[1])
	live := func() int {
		tasks, err := w.store.TaskList(context.Background(), store.TaskFilter{Live: true})
		must(t, err)
		return len(tasks)
	}
	why := "cleaning up"
	for name, form := range map[string]url.Values{
		"not counted":    {"task": ids[:2], "reason": {why}},
		"nothing typed":  {"task": ids[:2], "reason": {why}, "shown": {"2"}},
		"typed wrongly":  {"task": ids[:2], "reason": {why}, "shown": {"2"}, "count": {"3"}},
		"counted none":   {"task": ids[:2], "reason": {why}, "shown": {"0"}, "count": {"0"}},
		"no reason":      {"task": ids[:2], "reason": {"  "}, "shown": {"2"}, "count": {"2"}},
		"a long reason":  {"task": ids[:2], "reason": {strings.Repeat("x", 201)}, "shown": {"2"}, "count": {"2"}},
		"nothing ticked": {"reason": {why}, "shown": {"2"}, "count": {"2"}},
		"an unknown one": {"task": {tokens.NewID("tsk_")}, "reason": {why}},
		"too many": {"task": slices.Collect(func(yield func(string) bool) {
			for range 101 {
				if !yield(tokens.NewID("tsk_")) {
					return
				}
			}
		}), "reason": {why}},
	} {
		if got := b.fill("/admin/end", form); got.Status < 400 || got.Status >= 500 || live() != 3 {
			t.Errorf("%s: %d %s, %d live", name, got.Status, got.words(), live())
		}
	}
	page := b.act("/admin/end", url.Values{"task": ids[:2], "shown": {"2"}, "count": {" 2 "}})
	shows(t, page, "2 of 2 tasks have ended", "Where the end is in force", "2 not reached yet – a token there lives for another")
	if live() != 1 {
		t.Errorf("%d live", live())
	}
	w.clock.Add(5*time.Minute + time.Second)
	shows(t, b.get("/admin/ended?"+url.Values{"task": ids[:2]}.Encode()), "not reached, but its tokens have expired")
	shows(t, b.get("/admin/end?task="+ids[0]), "None of these tasks is live.")
	for _, query := range []string{"", "task=", "task=" + strings.Join(make([]string, 1), "") + strings.Repeat("&task=x", 2), strings.Repeat("task=a&", 3) + "task=b"} {
		if got := b.get("/admin/ended?" + query); got.Status != http.StatusBadRequest && got.Status != http.StatusNotFound {
			t.Errorf("ended?%s: %d", query, got.Status)
		}
	}
}

// TestConsoleEndTree: a task's own page ends what is under it too, and says so.
func TestConsoleEndTree(t *testing.T) {
	w := newWorld(t)
	_, root := w.lend()
	wrapped := w.staff("revoker@example.com", store.RoleRevoker)
	page := wrapped.get("/admin/tasks/" + root.Task.ID)
	shows(t, page, "Act on this task", "Suspend", "End this task")
	if i, j := strings.Index(page.Body, `formaction="/admin/suspend"`), strings.Index(page.Body, `formaction="/admin/end"`); i < 0 || j < i {
		t.Error("Enter would press what cannot be undone")
	}
}

// TestConsoleSuspend: a revoker pauses and resumes; what a rule or an admin paused, an admin resumes.
func TestConsoleSuspend(t *testing.T) {
	w := newWorld(t)
	_, claims := w.lend()
	revoker, admin := w.staff("revoker@example.com", store.RoleRevoker), w.staff("admin@example.com", store.RoleAdmin)
	form := func() url.Values { return url.Values{"task": {claims.Task.ID}, "reason": {"looking"}} }
	shows(t, revoker.act("/admin/suspend", form()), "Suspended by a revoker", "Resume", "suspended the task")
	shows(t, w.mara().get("/agents"), "Paused by your admin")
	shows(t, revoker.act("/admin/resume", form()), "Running", "resumed the task")
	for _, by := range []store.Actor{store.ByRule, store.ByAdmin, store.ByUser, store.ByAgent} {
		_, err := w.store.SuspendTask(context.Background(), claims.Task.ID, by, "x")
		must(t, err)
		if page := revoker.get("/admin/tasks/" + claims.Task.ID); strings.Contains(page.Body, "/admin/resume") {
			t.Errorf("%s: a revoker is offered to resume", by)
		}
		if got := revoker.fill("/admin/resume", form()); got.Status != http.StatusForbidden || !strings.Contains(got.words(), "only an admin") {
			t.Errorf("%s: a revoker resumes: %d %s", by, got.Status, got.words())
		}
		shows(t, admin.act("/admin/resume", form()), "Running")
	}
	_, said := w.said("console.resumed")
	if said["person"] != w.id("admin@example.com") || said["reason"] != "INC-2291 runaway agent" {
		t.Errorf("recorded: %v", said)
	}
	if got := admin.fill("/admin/resume", form()); got.Status != http.StatusConflict {
		t.Errorf("a running task: %d", got.Status)
	}
	for _, verb := range []string{"suspend", "resume"} {
		if got := admin.fill("/admin/"+verb, url.Values{"reason": {"x"}}); got.Status != http.StatusNotFound {
			t.Errorf("%s of no task: %d", verb, got.Status)
		}
	}
}

func TestConsoleFindings(t *testing.T) {
	w := newWorld(t)
	viewer, revoker := w.staff("viewer@example.com", store.RoleViewer), w.staff("revoker@example.com", store.RoleRevoker)
	shows(t, viewer.get("/admin/findings"), "Nothing unusual was found.")
	must(t, w.server.ApplyRules(context.Background())) // from here on, rules judge
	_, claims := w.lend()
	g := w.guard(ticketsURI)
	c := &caller{guardian: g, claims: claims}
	c.calls("get_ticket wrong_key") // a copied token
	must(t, w.server.ApplyRules(context.Background()))
	thief := w.agent(w.other)
	thief.post("/token", thief.codeForm(w.agent(w.client).code()))
	forged := but(decided(claims), map[string]any{"jti": tokens.NewID("at_"), "task": tokens.NewID("tsk_")})
	g.call("POST", "/executions", batch(c.next+1, forged))
	must(t, w.server.Settle(context.Background()))
	page := revoker.get("/admin/findings")
	shows(t, page, "A Guard told what the server cannot vouch for", "no token with this jti was issued.", "A stolen authorization code?", "Demo Agent for mara@example.com", "End this task", "Timeline",
		"A rule suspended a task", "Demo Agent for mara@example.com", "Somebody used a copy of its token with another key.", "End this task", "Timeline")
	if n := strings.Count(page.Body, "/admin/end?task="+claims.Task.ID); n != 1 {
		t.Errorf("%d actions on the task, want 1", n)
	}
	if strings.Contains(viewer.get("/admin/findings").Body, "/admin/end") {
		t.Error("a viewer is offered an action")
	}
	shows(t, viewer.get("/admin"), "Unusual", "A rule suspended a task", "2 tasks")
	shows(t, viewer.get("/admin/tasks/"+claims.Task.ID), "Suspended by a rule", "A rule suspended a task: Somebody used a copy of its token with another key. finding")
	w.clock.Add(25 * time.Hour)
	viewer.signInAs("viewer@example.com")
	if page := viewer.get("/admin"); strings.Contains(page.words(), "Unusual") {
		t.Error("old findings stand above the tasks")
	}
	shows(t, viewer.get("/admin/findings"), "A rule suspended a task")
}

func (b *browser) signInAs(email string) {
	b.w.t.Helper()
	if got := b.post("/signin", url.Values{"email": {email}, "password": {password}}); got.Status != http.StatusSeeOther {
		b.w.t.Fatalf("sign-in: %d", got.Status)
	}
}

// TestFindingsHaveWords: whatever the server records as a finding is explained.
func TestFindingsHaveWords(t *testing.T) {
	for _, kind := range server.FindingKinds(t, "provider/code.go", "provider/refresh.go", "provider/exchange.go", "provider/device.go", "revoke.go") {
		if title, why := server.FindingText(kind); strings.HasPrefix(title, "A finding:") || why == "" {
			t.Errorf("%s has no words", kind)
		}
	}
}

// TestConsoleSignIn: who is not signed in signs in, and is led back to the page that was asked for.
func TestConsoleSignIn(t *testing.T) {
	w := newWorld(t)
	_, claims := w.lend()
	w.staff("viewer@example.com", store.RoleViewer)
	for _, path := range []string{"/admin", "/admin?state=any", "/admin/tasks/" + claims.Task.ID, "/admin/user?user=" + w.user.ID} {
		b := w.browser()
		page := b.get(path)
		if page.Status != http.StatusUnauthorized || !strings.Contains(page.Body, `name="password"`) {
			t.Fatalf("%s: %d %s", path, page.Status, page.words())
		}
		form := hidden(page.Body)
		form.Set("email", "viewer@example.com")
		form.Set("password", password)
		if got := b.post("/signin", form); got.Header.Get("Location") != path {
			t.Errorf("%s: led to %s", path, got.Header.Get("Location"))
		}
	}
	for _, to := range []string{"/admin/../authorize", "/admin//evil.example", "/admin/\\evil.example", "/administrator", "https://evil.example/admin", "//admin", "/admin/tasks/x\r\nx: y"} {
		w.clock.Add(time.Minute) // sign-in is slowed down
		got := w.browser().post("/signin", url.Values{"email": {"viewer@example.com"}, "password": {password}, "return_to": {to}})
		if got.Header.Get("Location") != "/agents" {
			t.Errorf("%q: led to %s", to, got.Header.Get("Location"))
		}
	}
	b := w.browser()
	b.signInAs("viewer@example.com")
	if page := b.get("/agents"); !strings.Contains(page.Body, `<a href="/admin">Console</a>`) {
		t.Error("the agents page of a viewer does not lead to the console")
	}
	if page := w.mara().get("/agents"); strings.Contains(page.Body, "/admin") {
		t.Error("the agents page of a user leads to the console")
	}
}
