package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// stepUp is a request for more tools of a task.
func (a *agent) stepUp(task, scope string) url.Values {
	r := a.request()
	r.Set("scope", scope)
	if r.Del("authorization_details"); task != "" {
		r.Set("authorization_details", `[{"type":"mcp_task","task":"`+task+`"}]`)
	}
	return r
}

// toolsOf lists what an answer of the token endpoint grants.
func toolsOf(t *testing.T, got answer) (names []string) {
	t.Helper()
	if got.Status != http.StatusOK {
		t.Fatalf("token: %d %s", got.Status, got.Body)
	}
	var all []any
	all, _ = got.JSON["authorization_details"].([]any)
	for _, d := range all {
		if name, ok := d.(map[string]any)["tool"].(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// lendReading lends the agent a task with search_tickets alone.
func (a *agent) lendReading() answer {
	a.w.t.Helper()
	r := a.request()
	r.Set("scope", "tickets.read")
	r.Del("authorization_details")
	got := a.post("/token", a.codeForm(a.w.mara().consent(a.push(r), "search_tickets").Query().Get("code")))
	if got.Status != http.StatusOK {
		a.w.t.Fatalf("token: %d %s", got.Status, got.Body)
	}
	return got
}

func TestStepUp(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	first := a.lendReading()
	task := first.text("task_id")

	target := a.push(a.stepUp(task, "tool:add_comment"))
	page := w.mara().get(target)
	for _, text := range []string{"asks for 1 more tool", "Same task", "30 min left", "0 calls so far", "does not last longer", "Already allowed for this task (1)", "No, keep going without it", "End the whole task now", `value="add_comment"`} {
		if !strings.Contains(page.Body, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	for _, text := range []string{`value="search_tickets"`, `name="duration"`} {
		if strings.Contains(page.Body, text) {
			t.Errorf("the page asks again: %s", text)
		}
	}
	w.clock.Add(5 * time.Minute)
	code := w.mara().consent(target, "add_comment").Query().Get("code")
	before := w.task(task)
	second := a.post("/token", a.codeForm(code))
	if got := toolsOf(t, second); fmt.Sprint(got) != "[search_tickets add_comment]" || second.text("task_id") != task {
		t.Errorf("granted %v of %s, want both of %s", got, second.text("task_id"), task)
	}
	after := w.task(task)
	if !after.EndsAt.Equal(before.EndsAt) || after.Purpose != before.Purpose || after.MaxCalls != before.MaxCalls {
		t.Errorf("the task is another: %+v, was %+v", after, before)
	}
	if scope := second.text("scope"); !strings.Contains(scope, "tickets.read") || !strings.Contains(scope, "tool:add_comment") {
		t.Errorf("scope %q", scope)
	}
	// The older refresh token names the same task, and so serves what the user has allowed since.
	older := a.post("/token", a.refreshForm(first.text("refresh_token")))
	if got := toolsOf(t, older); fmt.Sprint(got) != "[search_tickets add_comment]" {
		t.Errorf("the older refresh token: %v", got)
	}
	if n := len(w.records("task.widened")); n != 1 {
		t.Errorf("%d records of the widening", n)
	}
	if n := len(w.records("task.created")); n != 1 {
		t.Errorf("%d tasks were created", n)
	}
}

func (w *world) task(id string) store.Task {
	w.t.Helper()
	task, _, err := w.store.TaskByID(context.Background(), id)
	must(w.t, err)
	return task
}

// TestStepUpUnnamed: clients that know nothing of tasks ask for all their scopes again, by the same key.
func TestStepUpUnnamed(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	task := a.lendReading().text("task_id")
	target := a.push(a.stepUp("", "tickets.read tickets.write"))
	page := w.mara().get(target)
	if !strings.Contains(page.Body, "more tool") || strings.Contains(page.Body, `value="search_tickets"`) || !strings.Contains(page.Body, `value="add_comment"`) {
		t.Error("the page is to show what is new, and nothing else")
	}
	got := a.post("/token", a.codeForm(w.mara().consent(target, "add_comment").Query().Get("code")))
	if got.text("task_id") != task {
		t.Errorf("another task: %s", got.Body)
	}
	// Nothing new: an agent that has lost its tokens begins again, with a task of its own.
	again := w.mara().get(a.push(a.stepUp("", "tool:search_tickets")))
	if !strings.Contains(again.Body, `name="duration"`) || strings.Contains(again.Body, "Same task") {
		t.Error("with nothing new, it is a new task")
	}
	// Another purpose is another task, and so is another key.
	r := a.request()
	r.Set("authorization_details", `[{"type":"mcp_task","purpose":"Something else"},{"type":"mcp_tool","tool":"get_ticket","locations":["`+ticketsURI+`"]}]`)
	for name, body := range map[string]string{"another purpose": w.mara().get(a.push(r)).Body, "another key": w.mara().get(w.agent(w.client).push(a.stepUp("", "tool:get_ticket"))).Body} {
		if strings.Contains(body, "Same task") {
			t.Errorf("%s: taken for a step-up", name)
		}
	}
}

// TestStepUpRefused: whoever is not the task's own agent cannot ask to extend it, nor redeem what
// was allowed, and learns nothing about the task.
func TestStepUpRefused(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	task := a.lendReading().text("task_id")
	bad := map[string]func() answer{
		"another key": func() answer { return w.agent(w.client).push2(a.stepUp(task, "tool:add_comment")) },
		"another client": func() answer {
			b := w.agent(w.other)
			b.key = a.key
			return b.push2(b.stepUp(task, "tool:add_comment"))
		},
		"unknown": func() answer {
			return a.push2(a.stepUp("tsk_aaaaaaaaaaaaaaaaaaaaaaaaaa", "tool:add_comment"))
		},
		"ended": func() answer {
			ended := a.lendReadingFor("Other").text("task_id")
			_, err := w.store.EndTask(context.Background(), store.End{TaskID: ended, State: store.TaskRevoked, By: store.ByUser, Reason: "test"})
			must(t, err)
			return a.push2(a.stepUp(ended, "tool:add_comment"))
		},
		"suspended": func() answer {
			paused := a.lendReadingFor("Paused").text("task_id")
			_, err := w.store.SuspendTask(context.Background(), paused, store.ByUser, "test")
			must(t, err)
			return a.push2(a.stepUp(paused, "tool:add_comment"))
		},
	}
	bad["another resource"] = func() answer {
		other, err := w.store.ResourceByURI(context.Background(), ticketsURI)
		must(t, err)
		other.URI, other.GuardID = otherURI, ""
		must(t, w.store.AddResource(context.Background(), other))
		must(t, w.store.AssignRole(context.Background(), w.user.ID, otherURI, "agent"))
		r := a.stepUp(task, "tool:add_comment")
		r.Set("resource", otherURI)
		return a.push2(r)
	}
	bad["a sub-task"] = func() answer {
		parent := w.grantClient("Orchestrator")
		got := parent.tokens()
		sub := w.sibling(parent)
		form := parent.handOn(sub, got.text("access_token"))
		form.Set("authorization_details", `[{"type":"mcp_tool","tool":"search_tickets"}]`)
		child := sub.post("/token", form)
		if child.Status != http.StatusOK {
			t.Fatalf("exchange: %d %s", child.Status, child.Body)
		}
		if page := w.mara().get(sub.push(sub.stepUp("", "tool:add_comment"))); strings.Contains(page.Body, "Same task") {
			t.Error("a sub-task is found and extended though it was not named")
		}
		return sub.push2(sub.stepUp(child.text("task_id"), "tool:add_comment"))
	}
	texts := map[string]bool{}
	for name, try := range bad {
		got := try()
		if got.Status != http.StatusBadRequest || got.error() != "invalid_authorization_details" {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
		texts[got.text("error_description")] = true
	}
	if len(texts) != 1 {
		t.Errorf("the refusals differ, and so tell of tasks: %v", texts)
	}
	t.Run("another user", func(t *testing.T) {
		noor := w.noor()
		got := noor.get(a.push(a.stepUp(task, "tool:add_comment")))
		if got.Status != http.StatusForbidden || strings.Contains(got.Body, "add_comment") {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	})
	t.Run("ended while the page was open", func(t *testing.T) {
		b := w.agent(w.client)
		task := b.lendReading().text("task_id")
		form := w.mara().stepUpForm(b.push(b.stepUp(task, "tool:add_comment")), "add_comment")
		_, err := w.store.EndTask(context.Background(), store.End{TaskID: task, State: store.TaskRevoked, By: store.ByUser, Reason: "test"})
		must(t, err)
		got := w.mara().post("/consent", form)
		to, err := url.Parse(got.Header.Get("Location"))
		must(t, err)
		if got.Status != http.StatusSeeOther || to.Query().Get("error") != "invalid_authorization_details" || to.Query().Has("code") {
			t.Errorf("%d %s", got.Status, got.Header.Get("Location"))
		}
	})
	t.Run("ended before the code was redeemed", func(t *testing.T) {
		b := w.agent(w.client)
		task := b.lendReading().text("task_id")
		code := w.mara().consent(b.push(b.stepUp(task, "tool:add_comment")), "add_comment").Query().Get("code")
		_, err := w.store.EndTask(context.Background(), store.End{TaskID: task, State: store.TaskRevoked, By: store.ByUser, Reason: "test"})
		must(t, err)
		want(t, b.post("/token", b.codeForm(code)), http.StatusBadRequest, "invalid_grant")
	})
	t.Run("redeemed with another key", func(t *testing.T) {
		code := w.mara().consent(a.push(a.stepUp(task, "tool:add_comment")), "add_comment").Query().Get("code")
		thief := w.agent(w.client)
		want(t, thief.post("/token", thief.codeForm(code)), http.StatusBadRequest, "invalid_grant")
		if got := toolsOf(t, a.post("/token", a.codeForm(code))); len(got) != 2 {
			t.Errorf("then the agent itself: %v", got)
		}
	})
}

// TestStepUpUnbound: a task whose tokens are bound to no key cannot be extended: nobody could tell its
// agent from whoever has copied a token.
func TestStepUpUnbound(t *testing.T) {
	w := newWorld(t)
	must(t, w.store.AddClient(context.Background(), store.Client{ID: "cli_bearer", CreatedAt: w.clock.Now(), Policy: store.ClientPolicy{Bearer: true}, Metadata: store.ClientMetadata{
		ClientName: "Old Client", RedirectURIs: []string{"http://127.0.0.1/callback"}, TokenEndpointAuthMethod: "none", GrantTypes: []string{"authorization_code", "refresh_token"},
	}}))
	w.setPolicy("bearer: read_only" + ticketsPolicy)
	a := w.agent("cli_bearer")
	pushed := a.send("/par", a.request())
	to := w.mara().consent("/authorize?"+url.Values{"client_id": {a.client}, "request_uri": {pushed.text("request_uri")}}.Encode(), "search_tickets")
	got := a.send("/token", a.codeForm(to.Query().Get("code")))
	if got.text("token_type") != "Bearer" {
		t.Fatalf("bearer: %d %s", got.Status, got.Body)
	}
	want(t, a.send("/par", a.stepUp(got.text("task_id"), "tool:get_ticket")), http.StatusBadRequest, "invalid_authorization_details")
	want(t, a.push2(a.stepUp(got.text("task_id"), "tool:get_ticket")), http.StatusBadRequest, "invalid_authorization_details") // by a key all of a sudden
	page := w.mara().get("/authorize?" + a.stepUp("", "tool:get_ticket").Encode())
	if page.Status != http.StatusOK || strings.Contains(page.Body, "Same task") {
		t.Errorf("%d: taken for a step-up", page.Status)
	}
}

func (a *agent) push2(form url.Values) answer { return a.post("/par", form) }

func (a *agent) lendReadingFor(purpose string) answer {
	a.w.t.Helper()
	r := a.request()
	r.Set("scope", "tickets.read")
	r.Set("authorization_details", `[{"type":"mcp_task","purpose":"`+purpose+`"}]`)
	got := a.post("/token", a.codeForm(a.w.mara().consent(a.push(r), "search_tickets").Query().Get("code")))
	if got.Status != http.StatusOK {
		a.w.t.Fatalf("token: %d %s", got.Status, got.Body)
	}
	return got
}

// noor is another user, signed in, with the same role.
func (w *world) noor() *browser {
	w.t.Helper()
	noor := w.user
	noor.ID, noor.Email, noor.Name = tokens.NewID("usr_"), "noor@example.com", "Noor"
	must(w.t, w.store.AddUser(context.Background(), noor))
	must(w.t, w.store.AssignRole(context.Background(), noor.ID, ticketsURI, "agent"))
	b := w.browser()
	b.signInAs(noor.Email)
	return b
}

func (b *browser) stepUpForm(target string, tools ...string) url.Values {
	b.w.t.Helper()
	page := b.get(target)
	if page.Status != http.StatusOK {
		b.w.t.Fatalf("page: %d %s", page.Status, page.Body)
	}
	form := hidden(page.Body)
	form["tool"] = tools
	form.Set("decision", "allow")
	return form
}

// TestStepUpLimits: other limits of a tool that the task has already are shown beside the old ones,
// never ticked, and take their place whole. Without a yes the old ones stay.
func TestStepUpLimits(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	r := a.request()
	r.Set("authorization_details", `[{"type":"mcp_tool","tool":"search_tickets","locations":["`+ticketsURI+`"],"constraints":{"project":{"const":"WEB"}}}]`)
	r.Del("scope")
	first := a.post("/token", a.codeForm(w.mara().consent(a.push(r), "search_tickets").Query().Get("code")))
	task := first.text("task_id")
	wider := a.request()
	wider.Del("scope")
	wider.Set("authorization_details", `[{"type":"mcp_task","task":"`+task+`"},{"type":"mcp_tool","tool":"search_tickets","locations":["`+ticketsURI+`"],"constraints":{"project":{"enum":["WEB","OPS"]}}}]`)
	page := w.mara().get(a.push(wider))
	if !strings.Contains(page.Body, "You allowed this before: Only project: WEB") || strings.Contains(page.Body, "checked") {
		t.Errorf("the page is to show both limits, and tick nothing: %s", page.Body)
	}
	if strings.Contains(page.Body, "Already allowed for this task") {
		t.Error("the one tool that the task has stands there as unchanged, and is asked about")
	}
	got := a.post("/token", a.codeForm(w.mara().consent(a.push(wider), "search_tickets").Query().Get("code")))
	if toolsOf(t, got); !strings.Contains(got.Body, `"OPS"`) || strings.Count(got.Body, `"search_tickets"`) != 1 {
		t.Errorf("granted: %s", got.Body)
	}
	// A client that merely repeats its scopes does not ask for the limits to go.
	all := w.mara().get(a.push(a.stepUp("", "tickets.read")))
	if !strings.Contains(all.Body, `value="get_ticket"`) || strings.Contains(all.Body, `value="search_tickets"`) {
		t.Error("repeating a scope is no wish for other limits")
	}
}

// TestStepUpRace: step-ups of one task that are redeemed at the same time all count.
func TestStepUpRace(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	task := a.lendReading().text("task_id")
	var codes []string
	for _, tool := range []string{"get_ticket", "add_comment"} {
		codes = append(codes, w.mara().consent(a.push(a.stepUp(task, "tool:"+tool)), tool).Query().Get("code"))
	}
	var wg sync.WaitGroup
	for _, code := range codes {
		b := &agent{w: w, client: a.client, key: a.key, nonce: a.nonce}
		wg.Go(func() {
			if got := b.post("/token", b.codeForm(code)); got.Status != http.StatusOK {
				t.Errorf("token: %d %s", got.Status, got.Body)
			}
		})
	}
	wg.Wait()
	_, grants, err := w.store.TaskByID(context.Background(), task)
	must(t, err)
	var live []store.Grant
	for _, g := range grants {
		if g.EndedAt.IsZero() {
			live = append(live, g)
		}
	}
	if len(live) != 1 || strings.Count(string(live[0].Details), `"mcp_tool"`) != 3 {
		t.Errorf("in force: %d grants, %s", len(live), live[0].Details)
	}
}

// TestKeyBoundStays: what the page said of the key holds, also when the policy allows more by the time
// the code is redeemed.
func TestKeyBoundStays(t *testing.T) {
	w := newWorld(t)
	must(t, w.store.AddClient(context.Background(), store.Client{ID: "cli_bearer", CreatedAt: w.clock.Now(), Policy: store.ClientPolicy{Bearer: true}, Metadata: store.ClientMetadata{
		ClientName: "Old Client", RedirectURIs: []string{"http://127.0.0.1/callback"}, TokenEndpointAuthMethod: "none", GrantTypes: []string{"authorization_code", "refresh_token"},
	}}))
	a := w.agent("cli_bearer")
	target := "/authorize?" + a.request().Encode() // no key named: fixed by the redeemer
	if page := w.mara().get(target); !strings.Contains(page.Body, "Bound to this agent") {
		t.Fatal("the page is to promise a key")
	}
	code := w.mara().consent(target, "search_tickets").Query().Get("code")
	resource, err := w.store.ResourceByURI(context.Background(), ticketsURI)
	must(t, err)
	widened := "bearer: all" + ticketsPolicy
	_, err = w.store.PublishManifest(context.Background(), ticketsURI, []byte(widened), tokens.HashBytes([]byte(widened)), resource.Tools)
	must(t, err)
	want(t, a.send("/token", a.codeForm(code)), http.StatusBadRequest, "invalid_dpop_proof")
	got := a.post("/token", a.codeForm(code))
	if got.Status != http.StatusOK || got.text("token_type") != "DPoP" {
		t.Errorf("with a key: %d %s", got.Status, got.Body)
	}
}
