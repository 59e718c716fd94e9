package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/store"
)

// meanwhile lets something happen once, just after a code was read or just before an approval is stored.
type meanwhile struct {
	store.Store
	read, approve func()
}

func once(f *func()) {
	if do := *f; do != nil {
		*f = nil
		do()
	}
}

func (s *meanwhile) CodeByID(ctx context.Context, id store.Hash) (store.CodeState, error) {
	st, err := s.Store.CodeByID(ctx, id)
	once(&s.read)
	return st, err
}

func (s *meanwhile) Approve(ctx context.Context, a store.Approval, recs ...store.Record) error {
	once(&s.approve)
	return s.Store.Approve(ctx, a, recs...)
}

func meanwhileWorld(t *testing.T) (*world, *meanwhile) {
	t.Helper()
	m := &meanwhile{}
	w := newWorldOn(t, func(s store.Store) store.Store { m.Store = s; return m })
	return w, m
}

// TestNarrowReads: what a user no longer lets be read, no sub-task reads either.
func TestNarrowReads(t *testing.T) { // U3
	w := newWorld(t)
	w.approve(offeringPolicy)
	a := w.grantClient("Agent")
	_, got := a.lendScopes("docs tickets", []string{"add_comment"}, []string{"docs"})
	sub := w.sibling(a)
	handed := sub.post("/token", a.handOn(sub, got.text("access_token")))
	below := w.sibling(a)
	last := below.post("/token", sub.handOn(below, handed.text("access_token")))
	for _, one := range []answer{got, handed, last} {
		if c := w.claims(one.text("access_token")); !slices.Contains(c.Scope, "docs") {
			t.Fatalf("before: %q", c.Scope)
		}
	}
	narrowed(t, w.mara().narrow(got.text("task_id"), ticketsURI, []string{"add_comment"}))
	for name, one := range map[string]answer{
		"the agent":      a.post("/token", a.refreshForm(got.text("refresh_token"))),
		"its sub-agent":  sub.post("/token", sub.refreshForm(handed.text("refresh_token"))),
		"the one below":  below.post("/token", below.refreshForm(last.text("refresh_token"))),
		"asking for it ": sub.post("/token", sub.with2(sub.refreshForm(handed.text("refresh_token")), "scope", "docs")),
	} {
		if one.Status != http.StatusOK {
			if !strings.HasPrefix(name, "asking") {
				t.Errorf("%s: %d %s", name, one.Status, one.Body)
			}
			continue
		}
		if c := w.claims(one.text("access_token")); slices.Contains(c.Scope, "docs") || len(c.Details.Tools) != 1 {
			t.Errorf("%s: %q, %+v", name, c.Scope, c.Details.Tools)
		}
	}
}

func (a *agent) with2(form url.Values, name, value string) url.Values {
	form.Set(name, value)
	return form
}

// TestNarrowWhileADeviceAsks: a device whose task is narrowed while its token is made gets what is left.
func TestNarrowWhileADeviceAsks(t *testing.T) { // U3
	w, m := meanwhileWorld(t)
	a, b := w.grantClient("Television"), w.mara()
	asked := a.device()
	page := b.typeCode(asked.text("user_code"))
	if got := b.answerDevice(page, "allow", "search_tickets", "add_comment"); got.Status != http.StatusOK {
		t.Fatalf("allow: %d %s", got.Status, got.Body)
	}
	tasks, err := w.store.TaskList(context.Background(), store.TaskFilter{UserID: w.user.ID, Live: true, Limit: 2})
	must(t, err)
	m.read = func() { narrowed(t, b.narrow(tasks[0].ID, ticketsURI, []string{"search_tickets"})) }
	got := a.poll(asked.text("device_code"))
	if got.Status != http.StatusOK || strings.Contains(got.Body, "add_comment") || !strings.Contains(got.Body, "search_tickets") {
		t.Errorf("poll: %d %s", got.Status, got.Body)
	}
}

// TestNarrowWhileAStepUpIsAllowed: an answer to a page of before the narrowing does not come after it.
func TestNarrowWhileAStepUpIsAllowed(t *testing.T) { // U3
	w, m := meanwhileWorld(t)
	a, b := w.agent(w.client), w.mara()
	task := a.tokens().text("task_id")
	more := a.request()
	more.Set("authorization_details", fmt.Sprintf(`[{"type":"mcp_task","task":%q},{"type":"mcp_tool","locations":[%q],"tool":"get_ticket"}]`, task, ticketsURI))
	form := b.stepUpForm(a.push(more), "get_ticket")
	m.approve = func() { narrowed(t, b.narrow(task, ticketsURI, []string{"search_tickets"})) }
	got := b.post("/consent", form)
	noCode(t, got, http.StatusConflict)
	again := hidden(got.Body)
	again["tool"] = []string{"get_ticket"}
	again.Set("decision", "allow")
	leads(t, b.post("/consent", again)) // read anew, it counts
}

// TestNarrowingForgets: who takes something from an agent, or pauses it, is asked before the agent has it
// again; so it is with one that a rule has paused.
func TestNarrowingForgets(t *testing.T) { // C22, U3
	for name, take := range map[string]func(w *world, b *browser, task string){
		"narrowed": func(w *world, b *browser, task string) {
			narrowed(w.t, b.narrow(task, ticketsURI, []string{"search_tickets"}))
		},
		"paused": func(w *world, b *browser, task string) {
			form := b.agentsForm()
			form.Set("action", "suspend")
			form.Set("task", task)
			if got := b.post("/agents", form); got.Status != http.StatusSeeOther {
				w.t.Fatalf("pause: %d %s", got.Status, got.Body)
			}
		},
		"a rule": func(w *world, b *browser, task string) {
			_, err := w.store.SuspendTask(context.Background(), task, store.ByRule, "burst")
			must(w.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := rememberWorld(t)
			must(t, w.store.SetClientPolicy(context.Background(), w.client, store.ClientPolicy{RememberSilently: true}))
			a, b := w.agent(w.client), w.mara()
			ask := func() string { return a.push(a.reads("redirect_uri", webCallback)) }
			leads(t, b.remembers(ask(), "search_tickets", "get_ticket"))
			silently := b.get(ask())
			leads(t, silently)
			code := a.codeForm(mustURL(t, silently.Header.Get("Location")).Query().Get("code"))
			code.Set("redirect_uri", webCallback)
			got := a.post("/token", code)
			if got.Status != http.StatusOK {
				t.Fatalf("token: %d %s", got.Status, got.Body)
			}
			take(w, b, got.text("task_id"))
			a = w.agent(w.client) // another instance, with another key
			asksAnew(t, b.get(ask()))
		})
	}
}
