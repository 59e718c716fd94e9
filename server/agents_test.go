package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// person adds a user and returns their browser, signed in.
func (w *world) person(email string) *browser {
	w.t.Helper()
	hash, err := server.HashPassword(password)
	must(w.t, err)
	must(w.t, w.store.AddUser(context.Background(), store.User{
		ID: tokens.NewID("usr_"), Email: email, Name: email, PasswordHash: hash, ConsoleRole: store.RoleUser, CreatedAt: w.clock.Now(),
	}))
	b := w.browser()
	got := b.post("/signin", url.Values{"email": {email}, "password": {password}, "return_to": {"/agents"}})
	if got.Status != http.StatusSeeOther {
		w.t.Fatalf("sign-in: %d %s", got.Status, got.Body)
	}
	return b
}

// caller is a Guard that reports calls under one token, with the numbers that it has used.
type caller struct {
	*guardian
	claims tokens.Claims
	next   int
}

// calls posts decisions: tools that were allowed, and "tool reason" for those that were not.
func (c *caller) calls(decisions ...string) {
	c.w.t.Helper()
	var recs []any
	for _, d := range decisions {
		name, reason, refused := strings.Cut(d, " ")
		rec := but(decided(c.claims), map[string]any{"tool": name, "at": c.w.clock.Now().UnixMicro()})
		if refused {
			rec = but(rec, map[string]any{"decision": "refused", "reason": reason})
		}
		recs = append(recs, rec)
	}
	if got := c.call("POST", "/executions", batch(c.next+1, recs...)); got.Status != http.StatusOK {
		c.w.t.Fatalf("executions: %d %s", got.Status, got.Body)
	}
	c.next += len(recs)
	must(c.w.t, c.w.server.Settle(context.Background()))
}

// tags are what stands between the words of a page.
var tags = regexp.MustCompile(`(?s)<(script|svg).*?</(script|svg)>|<[^>]*>`)

// words is the page as it reads.
func (a answer) words() string {
	text := tags.ReplaceAllString(a.Body, " ")
	text = strings.NewReplacer("&#39;", "'", "&amp;", "&", "&#34;", `"`).Replace(text)
	return strings.Join(strings.Fields(text), " ")
}

// shows checks that the page says these, in this order.
func shows(t *testing.T, page answer, texts ...string) {
	t.Helper()
	rest := page.words()
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			t.Errorf("%d: %q is not shown (in this place) in: %s", page.Status, text, page.words())
			return
		}
		rest = after
	}
}

func TestAgentsPageShowsCalls(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	c := &caller{guardian: g, claims: claims}
	b := w.mara()
	shows(t, b.get("/agents"), "1 task is running.", "Demo Agent", "in Tickets", "Running", "30 min of 30 min left", "Calls 0", "End now", "Pause")
	w.clock.Add(10 * time.Minute)
	c.calls("search_tickets", "get_ticket", "delete_ticket tool_not_granted", "get_ticket", "nuke unknown_tool")
	page := b.get("/agents")
	shows(t, page, "20 min of 30 min left", "Calls 5", "2 blocked",
		"nuke – the server has no such tool Blocked", "Title of get_ticket Allowed",
		"Title of delete_ticket – you did not allow this tool Allow this tool… delete_ticket Blocked", "All 5 calls")
	if strings.Contains(page.words(), "search_tickets") {
		t.Error("more than the newest three calls are shown")
	}
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self'; connect-src 'self'") || !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("policy: %s", csp)
	}
	all := b.get("/agents/" + claims.Task.ID)
	shows(t, all, "All calls of this task", "nuke", "Title of get_ticket", "Title of delete_ticket", "Title of search_tickets Allowed")

	// More than a page of them.
	for range 3 {
		c.calls(slices.Repeat([]string{"get_ticket"}, 40)...)
	}
	all = b.get("/agents/" + claims.Task.ID)
	if n := strings.Count(all.words(), "Allowed"); n != 100 {
		t.Errorf("%d calls on a page", n)
	}
	older := regexp.MustCompile(`/agents/tsk_\w+\?before=\d+`).FindString(all.Body)
	last := b.get(older)
	shows(t, last, "nuke", "Title of search_tickets Allowed", "Newest calls")
	if n := strings.Count(last.words(), "Allowed") + strings.Count(last.words(), "Blocked"); n != 25 {
		t.Errorf("%d calls on the last page, want 25", n)
	}
	shows(t, b.get("/agents/"+claims.Task.ID+"?before=nonsense"), "Title of get_ticket")
}

// TestEveryRefusalHasWords: a user is told in plain words, whatever a Guard refuses for.
func TestEveryRefusalHasWords(t *testing.T) {
	src, err := os.ReadFile("../tokens/resource/refusal.go")
	must(t, err)
	var decisions []string
	for _, m := range regexp.MustCompile(`Code = "([a-z_]+)"`).FindAllStringSubmatch(string(src), -1) {
		decisions = append(decisions, "get_ticket "+m[1])
	}
	if len(decisions) < 25 {
		t.Fatalf("%d codes found", len(decisions))
	}
	w := newWorld(t)
	_, claims := w.lend()
	c := &caller{guardian: w.guard(ticketsURI), claims: claims}
	c.calls(append(decisions, "get_ticket brand_new_code")...)
	page := w.mara().get("/agents/" + claims.Task.ID)
	shows(t, page, "the server refused it (brand_new_code)")
	if n := strings.Count(page.words(), "the server refused it"); n != 1 {
		t.Errorf("%d codes without words: %s", n-1, page.words())
	}
	shows(t, w.mara().get("/agents"), fmt.Sprint(len(decisions)+1, " blocked"))
}

func TestEndNow(t *testing.T) { // U2
	w := newWorld(t)
	g := w.guard(ticketsURI)
	feed := g.listen(t)
	feed.next()
	_, first := w.lend()
	_, second := w.lend()
	b := w.mara()
	csrf := hidden(b.get("/agents").Body).Get("csrf")
	end := func(action, task string) answer {
		t.Helper()
		form := url.Values{"csrf": {csrf}, "action": {action}}
		if task != "" {
			form.Set("task", task)
		}
		got := b.post("/agents", form)
		if got.Status != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", action, got.Status, got.Body)
		}
		return b.get(got.Header.Get("Location"))
	}

	// The Guard takes 0.3 s; the page that follows the click already tells.
	acked := make(chan struct{})
	go func() {
		defer close(acked)
		e := feed.next()
		w.clock.Add(270 * time.Millisecond)
		g.call("POST", "/feed/ack", map[string]int64{"seq": e.seq()})
	}()
	page := end("end", first.Task.ID)
	<-acked
	shows(t, page, "“Triage bugs” is ended: dead everywhere in 0.3 s.", "1 task is running.", "Finished", "Ended by you", "dead everywhere in 0.3 s")

	// The Guard is away: nobody claims what is not known.
	w.clock.Add(252*time.Second - 270*time.Millisecond)
	began := time.Now()
	page = end("end_all", "")
	if time.Since(began) < 900*time.Millisecond {
		t.Error("the answer did not wait for a Guard that listens")
	}
	shows(t, page, "Everything is stopped: Tickets not reached – its token expires in 48 s.", "No agent is working for you")
	if !strings.Contains(page.Body, `data-again="5"`) {
		t.Error("the page does not look again while a token lives")
	}
	w.clock.Add(8 * time.Second)
	shows(t, b.get("/agents"), "Tickets not reached – its token expires in 40 s", "dead everywhere in 0.3 s")
	w.clock.Add(41 * time.Second)
	shows(t, b.get("/agents"), "Tickets was not reached, but its token has expired", "dead everywhere in 0.3 s")
	// A word that comes too late does not make it quick.
	g.call("POST", "/feed/ack", map[string]int64{"seq": 2})
	shows(t, b.get("/agents/"+second.Task.ID), "Ended by you", "Tickets was not reached, but its token has expired")
	// Ending again changes nothing and says the same.
	shows(t, end("end", first.Task.ID), "Triage bugs” is ended: dead everywhere in 0.3 s.")
}

func TestHowTasksEnded(t *testing.T) {
	tests := map[string]struct {
		end  func(w *world, task string)
		want []string
	}{
		"by the agent": {func(w *world, task string) {
			w.end(task, store.TaskCompleted, store.ByAgent, "completed")
		}, []string{"Finished by the agent", "Tickets not reached"}},
		"by an admin": {func(w *world, task string) {
			w.end(task, store.TaskRevoked, store.ByAdmin, "looking into it")
		}, []string{"Ended (looking into it)"}},
		"by the clock": {func(w *world, _ string) {
			for range 2 { // an idle task first falls asleep
				w.clock.Add(29 * time.Minute)
			}
			_, err := w.store.SweepTasks(context.Background())
			must(w.t, err)
		}, []string{"Time ran out"}},
		"by its budget": {func(w *world, task string) {
			w.end(task, store.TaskExpired, store.ByServer, "budget")
		}, []string{"Its calls were used up"}},
		"by reuse": {func(w *world, task string) {
			w.end(task, store.TaskRevoked, store.ByServer, "refresh_reuse")
		}, []string{"Ended for safety"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			_, claims := w.lend()
			tt.end(w, claims.Task.ID)
			shows(t, w.mara().get("/agents"), append([]string{"No agent is working for you", "Finished"}, tt.want...)...)
		})
	}
}

func (w *world) end(task string, state store.TaskState, by store.Actor, reason string) {
	w.t.Helper()
	_, err := w.store.EndTask(context.Background(), store.End{TaskID: task, State: state, By: by, Reason: reason})
	must(w.t, err)
}

func TestWhoPausedATask(t *testing.T) {
	for by, want := range map[store.Actor]string{
		store.ByUser: "Paused by you", store.ByAdmin: "Paused by your admin", store.ByRule: "Paused by a safety rule",
		store.ByAgent: "Paused by the agent", store.ByIdle: "Asleep until the agent goes on",
	} {
		w := newWorld(t)
		_, claims := w.lend()
		_, err := w.store.SuspendTask(context.Background(), claims.Task.ID, by, "x")
		must(t, err)
		page := w.mara().get("/agents")
		shows(t, page, want)
		if resumable := strings.Contains(page.Body, `value="resume"`); resumable != (by == store.ByUser) {
			t.Errorf("%s: Resume offered: %v", by, resumable)
		}
		// What the agent could end by itself, the user may take over.
		if pausable := strings.Contains(page.Body, `value="suspend"`); pausable != (by == store.ByAgent || by == store.ByIdle) {
			t.Errorf("%s: Pause offered: %v", by, pausable)
		}
	}
}

// TestSomebodyElsesTask: to everybody else a task does not exist (U7).
func TestSomebodyElsesTask(t *testing.T) {
	w := newWorld(t)
	_, claims := w.lend()
	other := w.person("otto@example.com")
	page := other.get("/agents")
	if strings.Contains(page.Body, claims.Task.ID) || strings.Contains(page.words(), "Triage") {
		t.Error("somebody else's task is shown")
	}
	csrf := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page.Body)[1]
	for _, id := range []string{claims.Task.ID, tokens.NewID("tsk_"), "x"} {
		for _, path := range []string{"/agents/" + id, "/agents?ended=" + id} {
			if got := other.get(path); got.Status != http.StatusNotFound || !strings.Contains(got.words(), "There is no such task.") {
				t.Errorf("GET %s: %d %s", path, got.Status, got.words())
			}
		}
		for _, action := range []string{"end", "suspend", "resume"} {
			if got := other.post("/agents", url.Values{"csrf": {csrf}, "task": {id}, "action": {action}}); got.Status != http.StatusNotFound {
				t.Errorf("%s %s: %d", action, id, got.Status)
			}
		}
	}
	if got := other.post("/agents", url.Values{"csrf": {csrf}, "action": {"end_all"}}); got.Status != http.StatusSeeOther {
		t.Errorf("stop everything: %d", got.Status)
	}
	if task, _, err := w.store.TaskByID(context.Background(), claims.Task.ID); err != nil || task.State != store.TaskActive {
		t.Errorf("somebody else's task is %s, %v", task.State, err)
	}
	if got := w.browser().get("/agents/" + claims.Task.ID); strings.Contains(got.words(), "Triage") || !strings.Contains(got.Body, `name="password"`) {
		t.Errorf("without a session: %d %s", got.Status, got.words())
	}
}
