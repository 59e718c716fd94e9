package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// asking is a task whose user wants to be asked, with its Guard.
type asking struct {
	*world
	guard  *guardian
	agent  *agent
	token  string
	claims tokens.Claims
}

// asks lends a task with add_comment and delete_ticket, each call to be approved.
func asks(t *testing.T, changes ...func(*server.Config)) *asking {
	t.Helper()
	w := newWorldOn(t, func(s store.Store) store.Store { return s }, changes...)
	must(t, w.store.AssignRole(context.Background(), w.user.ID, ticketsURI, "admin"))
	x := &asking{world: w, guard: w.guard(ticketsURI), agent: w.agent(w.client)}
	r := x.agent.request()
	r.Del("scope")
	r.Set("authorization_details", `[{"type":"mcp_task","purpose":"Triage"},{"type":"mcp_tool","tool":"add_comment","locations":["`+ticketsURI+`"],"approval":"each_call"},{"type":"mcp_tool","tool":"delete_ticket","locations":["`+ticketsURI+`"]}]`)
	target := x.agent.push(r)
	page := w.mara().get(target)
	if !strings.Contains(page.Body, "Asks each time") || !strings.Contains(page.Body, "Ask me each time") {
		t.Error("the page is to say that each call is asked about, and to offer that")
	}
	form := hidden(page.Body)
	form["tool"], form["mode.delete_ticket"] = []string{"add_comment", "delete_ticket"}, []string{"each_call"}
	form.Set("duration", "1800")
	form.Set("decision", "allow")
	got := w.mara().post("/consent", form)
	to, err := url.Parse(got.Header.Get("Location"))
	must(t, err)
	issued := x.agent.post("/token", x.agent.codeForm(to.Query().Get("code")))
	if strings.Count(issued.Body, `"each_call"`) != 2 {
		t.Fatalf("granted: %d %s", issued.Status, issued.Body)
	}
	x.token = issued.text("access_token")
	x.claims, err = w.keys().OpenAccessToken(x.token, w.issuer)
	must(t, err)
	return x
}

// call is a Guard's question about a call.
func (x *asking) call(tool, arguments string) map[string]any {
	definition := ""
	for _, d := range x.claims.Details.Tools {
		if d.Tool == tool {
			definition = d.Definition
		}
	}
	return map[string]any{
		"execution": tokens.NewID("exe_"), "task": x.claims.Task.ID, "jti": x.claims.ID, "tool": tool,
		"definition": definition, "arguments": json.RawMessage(arguments),
	}
}

func (x *asking) ask(tool, arguments string) answer {
	x.t.Helper()
	return x.guard.call("POST", "/approvals", x.call(tool, arguments))
}

// waits asks about a call that is to wait, and returns the page's path.
func (x *asking) waits(tool, arguments string) string {
	x.t.Helper()
	got := x.ask(tool, arguments)
	if got.Status != http.StatusAccepted || got.text("state") != "asked" {
		x.t.Fatalf("asked: %d %s", got.Status, got.Body)
	}
	return strings.TrimPrefix(got.text("url"), x.issuer)
}

// decide answers on the page.
func (b *browser) decide(path, decision string) answer {
	b.w.t.Helper()
	page := b.get(path)
	form := url.Values{}
	for _, m := range hiddenInput.FindAllStringSubmatch(page.Body[max(0, strings.LastIndex(page.Body, "<form")):], -1) {
		form.Set(m[1], m[2])
	}
	form.Set("decision", decision)
	return b.post(path, form)
}

const hello = `{"project":"WEB","id":"WEB-1","text":"hello"}`

func TestApproval(t *testing.T) {
	x := asks(t)
	path := x.waits("add_comment", hello)
	if again := x.waits("add_comment", ` {"text":"hello", "id":"WEB-1","project":"WEB"}`); again != path {
		t.Error("the same call in another spelling is another question")
	}
	page := x.mara().get(path)
	for _, text := range []string{"May", "Demo Agent", "Title of add_comment", "WEB-1", "hello", "exactly this call", "10 min left", "Triage"} {
		if !strings.Contains(page.Body, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	if list := x.mara().get("/agents"); !strings.Contains(list.Body, path) || !strings.Contains(list.Body, "1 call waits for your answer") {
		t.Error("the agents page does not lead there")
	}
	if got := x.mara().decide(path, "allow"); got.Status != http.StatusSeeOther {
		t.Fatalf("allow: %d %s", got.Status, got.Body)
	}
	if page := x.mara().get(path); !strings.Contains(page.Body, "You allowed this call") || strings.Contains(page.Body, "hello") {
		t.Error("after the decision the arguments are forgotten")
	}
	if got := x.ask("add_comment", hello); got.Status != http.StatusOK || got.text("state") != "spent" {
		t.Errorf("the call: %d %s", got.Status, got.Body)
	}
	if next := x.waits("add_comment", hello); next == path {
		t.Error("a spent approval is asked for again")
	}
	for _, kind := range []string{"approval.asked", "approval.allowed", "approval.spent"} {
		if len(x.records(kind)) == 0 {
			t.Errorf("no record %s", kind)
		}
	}
}

func TestApprovalDenied(t *testing.T) {
	x := asks(t)
	path := x.waits("add_comment", hello)
	x.mara().decide(path, "deny")
	want(t, x.ask("add_comment", hello), http.StatusForbidden, "approval_denied")
	x.mara().decide(path, "allow") // too late
	want(t, x.ask("add_comment", hello), http.StatusForbidden, "approval_denied")
	x.waits("add_comment", `{"text":"another"}`)
}

// TestApprovalIsExact: a yes is for one call, and for nothing that is nearly it.
func TestApprovalIsExact(t *testing.T) {
	x := asks(t)
	x.mara().decide(x.waits("add_comment", hello), "allow")
	x.waits("add_comment", `{"project":"WEB","id":"WEB-1","text":"hello "}`)
	x.waits("delete_ticket", hello)
	in := x.call("add_comment", hello)
	in["definition"] = x.call("delete_ticket", hello)["definition"]
	want(t, x.guard.call("POST", "/approvals", in), http.StatusConflict, "definition_changed")
	for name, change := range map[string]struct {
		member string
		value  any
		status int
		code   string
	}{
		"no arguments object":    {"arguments", []int{1}, 400, "invalid_request"},
		"a tool not granted":     {"tool", "get_ticket", 403, "insufficient_scope"},
		"an unknown token":       {"jti", tokens.NewID("at_"), 410, "task_not_active"},
		"another task":           {"task", tokens.NewID("tsk_"), 410, "task_not_active"},
		"no execution":           {"execution", "", 400, "invalid_request"},
		"arguments nobody reads": {"arguments", map[string]string{"text": strings.Repeat("x", 64<<10)}, 413, "arguments_too_large"},
	} {
		in := x.call("add_comment", hello)
		in[change.member] = change.value
		if got := x.guard.call("POST", "/approvals", in); got.Status != change.status || got.error() != change.code {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	want(t, x.send("POST", "/approvals", "Bearer "+x.token, x.call("add_comment", hello)), http.StatusUnauthorized, "invalid_client") // the agent itself
	x.addOther()
	want(t, x.world.guard(otherURI).call("POST", "/approvals", x.call("add_comment", hello)), http.StatusGone, "task_not_active") // another resource's Guard
	if got := x.ask("add_comment", hello); got.Status != http.StatusOK {
		t.Errorf("the call itself: %d %s", got.Status, got.Body)
	}
}

func TestApprovalChangedTool(t *testing.T) {
	x := asks(t)
	x.mara().decide(x.waits("add_comment", hello), "allow")
	changed, err := tokens.ParseDefinition([]byte(`{"name":"add_comment","description":"now it mails","inputSchema":{"type":"object"}}`))
	must(t, err)
	canonical, err := changed.Canonical()
	must(t, err)
	_, err = x.store.PublishManifest(context.Background(), ticketsURI, []byte(ticketsPolicy), tokens.HashBytes([]byte(ticketsPolicy)),
		[]store.Tool{{Name: "add_comment", Live: canonical, LiveHash: tokens.HashBytes(canonical)}})
	must(t, err)
	want(t, x.ask("add_comment", hello), http.StatusConflict, "definition_changed")
}

// TestApprovalOnlyByItsUser: for anybody else there is no such call, and no form counts but the one
// that this session was shown.
func TestApprovalOnlyByItsUser(t *testing.T) {
	x := asks(t)
	path := x.waits("add_comment", hello)
	noor := x.noor()
	if got := noor.get(path); got.Status != http.StatusNotFound || strings.Contains(got.Body, "hello") {
		t.Errorf("another user reads: %d", got.Status)
	}
	maras := url.Values{}
	for _, m := range hiddenInput.FindAllStringSubmatch(x.mara().get(path).Body, -1) {
		maras.Set(m[1], m[2])
	}
	maras.Set("decision", "allow")
	if got := noor.post(path, maras); got.Status != http.StatusForbidden {
		t.Errorf("another user with her form: %d", got.Status)
	}
	own := url.Values{"decision": {"allow"}}
	for _, m := range hiddenInput.FindAllStringSubmatch(noor.get("/agents").Body, -1) {
		own.Set(m[1], m[2])
	}
	if got := noor.post(path, own); got.Status != http.StatusNotFound && got.Status != http.StatusForbidden {
		t.Errorf("another user with an own form: %d", got.Status)
	}
	if got := x.mara().get("/approvals/" + tokens.NewID("apv_")); got.Status != http.StatusNotFound {
		t.Errorf("a guessed id: %d", got.Status)
	}
	other := x.waits("add_comment", `{"text":"other"}`)
	if got := x.mara().post(other, maras); got.Status != http.StatusForbidden {
		t.Errorf("the form of another call: %d", got.Status)
	}
	r, err := http.NewRequest("POST", x.issuer+path, strings.NewReader(maras.Encode()))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://evil.example")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := x.mara().http.Do(r)
	if got := read(t, resp, err); got.Status != http.StatusForbidden {
		t.Errorf("from another site: %d", got.Status)
	}
	out := x.browser()
	if got := out.get(path); !strings.Contains(got.Body, `name="password"`) || strings.Contains(got.Body, "hello") {
		t.Errorf("signed out: %d %s", got.Status, got.Body)
	}
	if got := x.ask("add_comment", hello); got.Status != http.StatusAccepted {
		t.Errorf("somebody has decided: %d %s", got.Status, got.Body)
	}
	x.mara().decide(path, "allow")
	if got := x.ask("add_comment", hello); got.Status != http.StatusOK {
		t.Errorf("her own yes: %d %s", got.Status, got.Body)
	}
}

// TestApprovalSignInAgain: what can destroy something is allowed only by who has just signed in.
func TestApprovalSignInAgain(t *testing.T) {
	x := asks(t)
	x.clock.Add(4 * time.Minute)
	path := x.waits("delete_ticket", `{"id":"WEB-9"}`)
	x.clock.Add(2 * time.Minute)
	if page := x.mara().get(path); !strings.Contains(page.Body, "Sign in again to allow it") || strings.Contains(page.Body, "Allow this call once") {
		t.Error("the page is to ask for a fresh sign-in")
	}
	if got := x.mara().decide(path, "allow"); got.Status != http.StatusForbidden {
		t.Errorf("without: %d", got.Status)
	}
	form := x.mara().decide(path, "again")
	if !strings.Contains(form.Body, `value="`+path+`"`) {
		t.Fatalf("sign-in does not lead back: %s", form.Body)
	}
	got := x.mara().post("/signin", url.Values{"email": {"mara@example.com"}, "password": {password}, "return_to": {path}})
	if got.Status != http.StatusSeeOther || got.Header.Get("Location") != path {
		t.Fatalf("sign-in: %d to %q", got.Status, got.Header.Get("Location"))
	}
	if got := x.mara().decide(path, "allow"); got.Status != http.StatusSeeOther {
		t.Errorf("after it: %d %s", got.Status, got.Body)
	}
}

// TestApprovalEndsWithTask: an ended or paused task waits for nothing and spends nothing.
func TestApprovalEndsWithTask(t *testing.T) {
	x := asks(t)
	asked := x.waits("add_comment", `{"text":"asked"}`)
	x.mara().decide(x.waits("add_comment", hello), "allow")
	_, err := x.store.EndTask(context.Background(), store.End{TaskID: x.claims.Task.ID, State: store.TaskRevoked, By: store.ByUser, Reason: "test"})
	must(t, err)
	want(t, x.ask("add_comment", hello), http.StatusGone, "task_not_active")
	if page := x.mara().get(asked); !strings.Contains(page.Body, "does not wait any more") || strings.Contains(page.Body, `value="allow"`) {
		t.Error("the page is to say that it is over")
	}
	if len(x.records("approval.void")) != 2 {
		t.Errorf("%d records of what was voided", len(x.records("approval.void")))
	}
}

// TestApprovalRace: however often the allowed call comes at the same time, one of them runs.
func TestApprovalRace(t *testing.T) {
	x := asks(t)
	x.mara().decide(x.waits("add_comment", hello), "allow")
	var mu sync.Mutex
	ran := 0
	var wg sync.WaitGroup
	for range 32 {
		assertion, in := x.guard.assertion(), x.call("add_comment", hello)
		wg.Go(func() {
			got := x.send("POST", "/approvals", "Bearer "+assertion, in)
			mu.Lock()
			defer mu.Unlock()
			switch got.Status {
			case http.StatusOK:
				ran++
			case http.StatusAccepted:
			default:
				t.Errorf("%d %s", got.Status, got.Body)
			}
		})
	}
	wg.Wait()
	if ran != 1 {
		t.Errorf("%d calls ran", ran)
	}
}

// TestApprovalLimits: an agent cannot bury its user in questions.
func TestApprovalLimits(t *testing.T) {
	x := asks(t)
	for _, text := range []string{"1", "2", "3", "4", "5"} {
		x.waits("add_comment", `{"text":"`+text+`"}`)
	}
	want(t, x.ask("add_comment", `{"text":"6"}`), http.StatusTooManyRequests, "too_many_approvals")
	x.waits("add_comment", `{"text":"5"}`)
}

// TestApprovalHostile: what the arguments say is shown to the letter, and does nothing.
func TestApprovalHostile(t *testing.T) {
	x := asks(t)
	raw, err := json.Marshal(map[string]any{
		"text": "pay 1\u202e00$ \u200bnow<script>alert(1)</script>", "id": strings.Repeat("long ", 200), "a": map[string]any{"b": []int{1, 2}}, "n": 12.50, "yes": true, "none": nil,
	})
	must(t, err)
	page := x.mara().get(x.waits("add_comment", string(raw)))
	for _, text := range []string{"⟨U+202E⟩", "⟨U+200B⟩", "2 characters in it cannot be seen", "&lt;script&gt;", "Show all of it", "1000 characters", "yes or no", "number", "12.5", "nothing"} {
		if !strings.Contains(page.Body, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	if strings.Contains(page.Body, "<script>alert") || strings.Contains(page.Body, "\u202e") {
		t.Error("the arguments reach the page as they are")
	}
}

// TestApprovalToldToAgent: the task's own agent may ask how its question stands.
func TestApprovalToldToAgent(t *testing.T) {
	x := asks(t)
	path := x.waits("add_comment", hello)
	id := strings.TrimPrefix(path, "/approvals/")
	state := func(task string, a *agent) answer {
		here := "/tasks/" + task + "/approvals/" + id
		var got answer
		for range 2 {
			r, err := http.NewRequest("GET", x.issuer+here, nil)
			must(t, err)
			proof, err := a.key.Proof("GET", x.issuer+here, a.nonce, x.token, x.clock.Now())
			must(t, err)
			r.Header.Set("Authorization", "DPoP "+x.token)
			r.Header.Set("DPoP", proof)
			resp, err := http.DefaultTransport.RoundTrip(r)
			if got = read(t, resp, err); got.Header.Get("DPoP-Nonce") == "" {
				break
			}
			a.nonce = got.Header.Get("DPoP-Nonce")
		}
		return got
	}
	if got := state(x.claims.Task.ID, x.agent); got.text("state") != "asked" || strings.Contains(got.Body, "hello") {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	x.mara().decide(path, "allow")
	if got := state(x.claims.Task.ID, x.agent); got.text("state") != "allowed" {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if got := state(x.claims.Task.ID, x.world.agent(x.client)); got.Status == http.StatusOK {
		t.Error("another key is told")
	}
	if got := state(tokens.NewID("tsk_"), x.agent); got.Status == http.StatusOK {
		t.Error("another task's agent is told")
	}
}
