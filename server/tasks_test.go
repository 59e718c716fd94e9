package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// call sends a request with the access token and a fresh proof for it.
func (a *agent) call(method, path, token string) answer {
	a.w.t.Helper()
	for {
		r, err := http.NewRequest(method, a.w.issuer+path, nil)
		must(a.w.t, err)
		r.Header.Set("Authorization", "DPoP "+token)
		r.Header.Set("DPoP", a.proof(method, path, token))
		resp, err := http.DefaultClient.Do(r)
		got := read(a.w.t, resp, err)
		if got.error() != "use_dpop_nonce" {
			return got
		}
		a.nonce = got.Header.Get("DPoP-Nonce")
	}
}

func TestCompletion(t *testing.T) { // RV6, RF8
	w := newWorld(t)
	a, b := w.agent(w.client), w.agent(w.client)
	got, sibling := a.tokens(), b.tokens()
	task, token := got.text("task_id"), got.text("access_token")

	if shown := a.call("GET", "/tasks/"+task, token); shown.Status != 200 || shown.text("state") != "active" || !strings.Contains(shown.Body, "search_tickets") {
		t.Errorf("task: %d %s", shown.Status, shown.Body)
	}
	for name, refused := range map[string]answer{
		"another task's token": b.call("POST", "/tasks/"+task+"/complete", sibling.text("access_token")),
		"a stolen token":       b.call("POST", "/tasks/"+task+"/complete", token),
		"an unknown task":      a.call("POST", "/tasks/tsk_none/complete", token),
		"no token":             a.send("/tasks/"+task+"/complete", nil),
	} {
		if refused.Status < 400 || refused.Status == 500 {
			t.Errorf("%s: %d %s", name, refused.Status, refused.Body)
		}
	}
	bearer, err := http.NewRequest("POST", w.issuer+"/tasks/"+task+"/complete", nil)
	must(t, err)
	bearer.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(bearer)
	want(t, read(t, resp, err), 401, "invalid_token")

	for range 2 { // idempotent
		if done := a.call("POST", "/tasks/"+task+"/complete", token); done.Status != 200 || done.text("state") != "completed" {
			t.Errorf("complete: %d %s", done.Status, done.Body)
		}
	}
	want(t, a.post("/token", a.refreshForm(got.text("refresh_token"))), 400, "invalid_grant")
	if alive := b.post("/token", b.refreshForm(sibling.text("refresh_token"))); alive.Status != 200 {
		t.Errorf("completing one task ended another: %d", alive.Status)
	}
}

func TestCompletionByRefreshToken(t *testing.T) {
	w := newWorld(t)
	a, thief := w.agent(w.client), w.agent(w.client)
	got := a.tokens()
	path := "/tasks/" + got.text("task_id") + "/complete"
	form := url.Values{"client_id": {w.client}, "refresh_token": {got.text("refresh_token")}}
	if refused := thief.post(path, form); refused.Status != 404 {
		t.Errorf("with another key: %d %s", refused.Status, refused.Body)
	}
	next := a.post("/token", a.refreshForm(form.Get("refresh_token")))
	want(t, a.post(path, form), 400, "invalid_grant") // spent: whoever copied it has the key's process, and no more
	if alive := a.call("GET", "/tasks/"+got.text("task_id"), next.text("access_token")); alive.text("state") != "active" {
		t.Errorf("a spent refresh token moved its task: %d %s", alive.Status, alive.Body)
	}
	form.Set("refresh_token", next.text("refresh_token"))
	if done := a.post(path, form); done.Status != 200 || done.text("state") != "completed" {
		t.Errorf("complete: %d %s", done.Status, done.Body)
	}
}

func TestSuspension(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	a := w.agent(w.client)
	got := a.tokens()
	task := got.text("task_id")
	_, err := w.store.SuspendTask(ctx, task, store.ByAdmin, "looking into it")
	must(t, err)
	refused := a.post("/token", a.refreshForm(got.text("refresh_token")))
	want(t, refused, 503, "temporarily_unavailable")
	if refused.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After: clients would drop their credentials")
	}
	want(t, a.call("POST", "/tasks/"+task+"/resume", got.text("access_token")), 409, "invalid_request") // only the suspender, or an admin
	_, err = w.store.ResumeTask(ctx, task, store.ByAdmin)
	must(t, err)
	if again := a.post("/token", a.refreshForm(got.text("refresh_token"))); again.Status != 200 {
		t.Errorf("after resuming: %d %s", again.Status, again.Body)
	}
	if paused := a.call("POST", "/tasks/"+task+"/suspend", got.text("access_token")); paused.text("state") != "suspended" {
		t.Errorf("suspend: %d %s", paused.Status, paused.Body)
	}
	if woken := a.call("POST", "/tasks/"+task+"/resume", got.text("access_token")); woken.text("state") != "active" {
		t.Errorf("resume: %d %s", woken.Status, woken.Body)
	}
}

func TestIdlenessAndDeadline(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	a := w.agent(w.client)
	request := a.request()
	request.Set("authorization_details", strings.Replace(details, `"max_duration":1800`, `"max_duration":7200`, 1))
	b := w.browser()
	b.signIn()
	form := b.consentForm(a.push(request))
	form.Set("duration", "7200")
	to, err := url.Parse(b.post("/consent", form).Header.Get("Location"))
	must(t, err)
	got := a.post("/token", a.codeForm(to.Query().Get("code")))
	task := got.text("task_id")

	w.clock.Add(31 * time.Minute)
	_, err = w.store.SweepTasks(ctx)
	must(t, err)
	if idle, _, err := w.store.TaskByID(ctx, task); err != nil || idle.State != store.TaskSuspended || idle.SuspendedBy != store.ByIdle {
		t.Errorf("after 31 idle minutes: %s by %s, %v", idle.State, idle.SuspendedBy, err)
	}
	woken := a.post("/token", a.refreshForm(got.text("refresh_token"))) // the same key wakes it
	if woken.Status != 200 {
		t.Fatalf("refresh of an idle task: %d %s", woken.Status, woken.Body)
	}
	w.clock.Add(90 * time.Minute)
	want(t, a.post("/token", a.refreshForm(woken.text("refresh_token"))), 400, "invalid_grant")
	_, err = w.store.SweepTasks(ctx)
	must(t, err)
	if over, _, err := w.store.TaskByID(ctx, task); err != nil || over.State != store.TaskExpired {
		t.Errorf("past its deadline: %s, %v", over.State, err)
	}
}

func TestAgentsPage(t *testing.T) { // U7
	w := newWorld(t)
	a := w.agent(w.client)
	got := a.tokens()
	b := w.browser()
	if anonymous := b.get("/agents"); strings.Contains(anonymous.Body, "Triage") || !strings.Contains(anonymous.Body, `name="password"`) {
		t.Error("the page is not for strangers")
	}
	b.signIn()
	page := b.get("/agents")
	if !strings.Contains(page.Body, "Triage bugs") || !strings.Contains(page.Body, got.text("task_id")) {
		t.Fatalf("the running task is not shown: %s", page.Body)
	}
	form := url.Values{"csrf": {hidden(page.Body).Get("csrf")}, "task": {"tsk_somebody_elses"}, "action": {"end"}}
	noCode(t, b.post("/agents", form), http.StatusNotFound)
	form.Set("task", got.text("task_id"))
	noCode(t, w.browser().post("/agents", form), http.StatusForbidden)
	if ended := b.post("/agents", form); ended.Status != http.StatusSeeOther {
		t.Fatalf("end now: %d %s", ended.Status, ended.Body)
	}
	want(t, a.post("/token", a.refreshForm(got.text("refresh_token"))), 400, "invalid_grant")
	if again := b.get("/agents"); !strings.Contains(again.Body, "Ended by you") {
		t.Error("the finished task does not say how it ended")
	}
}
