package main_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/agent"
)

// helper is an agent made of package agent, with Mara in front of it.
type helper struct {
	w       *world
	t       *testing.T
	client  *agent.Client
	session *agent.Session
	http    *http.Client

	mu       sync.Mutex
	stepped  int // step-ups that it asked for
	approved int // calls that it asked about
	choose   func(page blackbox.Page, form blackbox.PageForm) blackbox.Form
	answer   string // to calls that wait
}

// assist lends a helper a task to search and read in WEB.
func (w *world) assist(t *testing.T) *helper {
	t.Helper()
	details, err := tokens.ParseDetails([]byte(w.details("search_tickets", "get_ticket")))
	if err != nil {
		t.Fatal(err)
	}
	return w.assistWith(t, agent.Ask{Details: details}, blackbox.Choice{Duration: 1800})
}

// assistWith lends a helper the task that it asks for, as far as Mara chooses.
func (w *world) assistWith(t *testing.T, ask agent.Ask, choice blackbox.Choice) *helper {
	t.Helper()
	h := &helper{w: w, t: t, answer: "allow"}
	found, err := agent.Discover(t.Context(), nil, w.r1.URL)
	if err != nil {
		t.Fatal(err)
	}
	key, err := tokens.NewProofKey()
	if err != nil {
		t.Fatal(err)
	}
	if h.client, err = agent.NewClient(agent.Config{ClientID: w.a, RedirectURI: redirectA, Server: found.Server, Resource: found.Resource, Key: key}); err != nil {
		t.Fatal(err)
	}
	r, err := h.client.Push(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	at, err := w.mara.Consent(t.Context(), h.client.AuthorizeURL(r), choice)
	if err != nil {
		t.Fatal(err)
	}
	back, _ := url.Parse(at.URL)
	code, err := h.client.Callback(r, back.Query())
	if err != nil {
		t.Fatal(err)
	}
	token, err := h.client.Redeem(t.Context(), r, code)
	if err != nil {
		t.Fatal(err)
	}
	h.session = h.client.Session(token)
	h.http = &http.Client{Transport: &agent.Transport{Session: h.session, StepUp: h.stepUp, Approve: h.approve, PollEvery: 10 * time.Millisecond}}
	return h
}

// stepUp is Mara at the page that asks for more.
func (h *helper) stepUp(ctx context.Context, page string) (url.Values, error) {
	h.mu.Lock()
	h.stepped++
	h.mu.Unlock()
	at, err := h.w.mara.Get(ctx, page)
	if err != nil {
		return nil, err
	}
	p, form, ok := blackbox.ConsentForm(at)
	if !ok {
		h.t.Errorf("no step-up page: %s", at.Response)
		return url.Values{}, nil
	}
	at, err = h.w.mara.Submit(ctx, p, form, h.choose(p, form))
	if err != nil {
		return nil, err
	}
	back, err := url.Parse(at.URL)
	return back.Query(), err
}

// approve is Mara at the page of a waiting call.
func (h *helper) approve(ctx context.Context, a agent.Approval) error {
	h.mu.Lock()
	h.approved++
	h.mu.Unlock()
	_, err := h.w.decideCall(ctx, h.w.mara, a.URL, h.answer)
	return err
}

// decideCall answers on the page of a waiting call.
func (w *world) decideCall(ctx context.Context, who *blackbox.Browser, page, answer string) (blackbox.Landing, error) {
	at, err := who.Get(ctx, page)
	if err != nil {
		return at, err
	}
	form, ok := at.Page.With("decision")
	if !ok {
		return at, nil
	}
	return who.Submit(ctx, at.Page, form, form.Filled().Set("decision", answer))
}

// ticking ticks tools, each to be used in this way.
func ticking(mode string, tools ...string) func(blackbox.Page, blackbox.PageForm) blackbox.Form {
	return func(_ blackbox.Page, form blackbox.PageForm) blackbox.Form {
		out := form.Filled().Without("tool")
		for _, tool := range tools {
			out = out.Add("tool", tool).Set("mode."+tool, mode)
		}
		return out.Set("decision", "allow")
	}
}

func denying(_ blackbox.Page, form blackbox.PageForm) blackbox.Form {
	return form.Filled().Set("decision", "deny")
}

// call calls a tool and returns the status and the code of its denial.
func (h *helper) call(tool string, arguments blackbox.Object) (int, string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), "POST", h.w.r1.URL, strings.NewReader(blackbox.CallBody(tool, arguments)))
	if err != nil {
		h.t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool} {
		req.Header.Set(name, value)
	}
	res, err := h.http.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	var told struct {
		Error struct{ Data struct{ Code string } }
	}
	_ = json.Unmarshal(body, &told)
	return res.StatusCode, told.Error.Data.Code
}

// TestStepUpFromThe403: the agent lacks a tool, asks for it by itself, and goes on within the same
// task; what the user wants to be asked about each time is asked each time.
func TestStepUpFromThe403(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.assist(t)
	task := h.session.Held().TaskID
	h.choose = ticking("each_call", "add_comment")
	if status, code := h.call("add_comment", comment); status != http.StatusOK {
		t.Fatalf("after step-up and approval: %d %s", status, code)
	}
	if h.stepped != 1 || h.approved != 1 || h.session.Held().TaskID != task {
		t.Errorf("%d step-ups, %d approvals, task %s", h.stepped, h.approved, h.session.Held().TaskID)
	}
	if status, code := h.call("get_ticket", readArguments); status != http.StatusOK { // what it had, it has
		t.Errorf("an older tool: %d %s", status, code)
	}
	h.answer = "deny"
	other := blackbox.Object{"project": "WEB", "id": "WEB-118", "text": "another text"}
	if status, code := h.call("add_comment", other); status != http.StatusForbidden || code != "approval_required" {
		t.Errorf("not allowed: %d %s", status, code)
	}
	if status, code := h.call("add_comment", other); status != http.StatusForbidden || code != "approval_denied" || h.approved != 2 {
		t.Errorf("asked again at once: %d %s, %d approvals", status, code, h.approved)
	}
	h.choose = denying
	for range 2 { // what was refused is not asked for again
		if status, code := h.call("delete_ticket", readArguments); status != http.StatusForbidden || code == "" {
			t.Errorf("refused: %d %s", status, code)
		}
	}
	if h.stepped != 2 {
		t.Errorf("%d step-ups, want 2", h.stepped)
	}
	if status, code := h.call("get_ticket", blackbox.Object{"project": "WEB", "id": "WEB-118", "more": "x"}); status != http.StatusForbidden || h.stepped != 2 {
		t.Errorf("arguments that no consent can help: %d %s, %d step-ups", status, code, h.stepped)
	}
	story := w.story(t, task, func(e entry) bool { return e.Kind == "approval.denied" })
	tells(t, story, "task.created", "consent.allowed", "task.widened", "approval.asked", "approval.allowed", "approval.spent", "approval.asked", "approval.denied")
}

// TestApprovalAttacks: nobody but the user, and nothing but the very call.
func TestApprovalAttacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.flow()
	f.Details = strings.Replace(w.details("get_ticket", "add_comment"), `"tool":"add_comment"`, `"approval":"each_call","tool":"add_comment"`, 1)
	must(t, f, (*blackbox.Flow).ToToken)
	res := w.call(t, f, "add_comment", comment)
	denied(t, res, http.StatusForbidden, "approval_required")
	d := blackbox.Denial(res)
	page, _ := d["url"].(string)
	if !strings.HasPrefix(page, w.issuer+"/approvals/apv_") || d["remediation"] != "available" || len(d["elicitations"].([]any)) != 1 {
		t.Fatalf("the denial leads nowhere: %s", res)
	}
	rea := w.reader(t)
	at, err := rea.Get(t.Context(), w.issuer+"/agents")
	if err == nil {
		_, err = rea.SignIn(t.Context(), at)
	}
	if err != nil {
		t.Fatal(err)
	}
	if at, err := rea.Get(t.Context(), page); err != nil || at.Status != http.StatusNotFound || strings.Contains(at.Page.Text, "from a reader") {
		t.Errorf("another user sees it: %v %d", err, at.Status)
	}
	mine, err := w.mara.Get(t.Context(), page)
	if err != nil || !strings.Contains(mine.Page.Text, "from a reader") {
		t.Fatalf("the user does not see the arguments: %v %s", err, mine.Response)
	}
	form, _ := mine.Page.With("decision")
	stolen := form.Filled().Set("decision", "allow")
	if at, err := rea.Post(t.Context(), page, stolen); err != nil || at.Status != http.StatusForbidden {
		t.Errorf("another user with the user's form: %v %d", err, at.Status)
	}
	assertion, err := tokens.NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	forged, err := assertion.Assertion("grd_aaaaaaaaaaaaaaaaaaaaaaaaaa", w.issuer, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, credential := range map[string]string{"a forged Guard": "Bearer " + forged, "the agent": "DPoP " + f.Access(), "nobody": ""} {
		r := blackbox.Request{Method: "POST", Target: "/approvals", Headers: []blackbox.Header{{Name: "Content-Type", Value: "application/json"}}, Body: []byte(`{}`)}
		if credential != "" {
			r.Headers = append(r.Headers, blackbox.Header{Name: "Authorization", Value: credential})
		}
		if got, err := blackbox.Do(t.Context(), w.issuer, r); err != nil || got.Status != http.StatusUnauthorized {
			t.Errorf("%s: %v %s", name, err, got)
		}
	}
	denied(t, w.call(t, f, "add_comment", comment), http.StatusForbidden, "approval_required") // still nobody has
	if _, err := w.decideCall(t.Context(), w.mara, page, "allow"); err != nil {
		t.Fatal(err)
	}
	changed := blackbox.Object{"project": "WEB", "id": "WEB-118", "text": "from a Reader"}
	denied(t, w.call(t, f, "add_comment", changed), http.StatusForbidden, "approval_required")
	good, bad := 0, 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 16 { // replayed as often and as fast as can be: once
		wg.Go(func() {
			res, err := w.r1.Call(t.Context(), f.Key, f.Access(), "add_comment", comment)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && res.Status == http.StatusOK {
				good++
			} else {
				bad++
			}
		})
	}
	wg.Wait()
	if good != 1 {
		t.Errorf("%d calls ran, %d were refused; want one run", good, bad)
	}
	w.works(t, f)
}

// TestApprovalOfEndedTask: what was allowed is worth nothing once the task has ended.
func TestApprovalOfEndedTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.assist(t)
	h.choose, h.answer = ticking("each_call", "add_comment"), "allow"
	h.http.Transport.(*agent.Transport).Approve = nil // the agent does not wait
	if status, code := h.call("add_comment", comment); status != http.StatusForbidden || code != "approval_required" {
		t.Fatalf("asked: %d %s", status, code)
	}
	at, err := w.mara.Get(t.Context(), w.issuer+"/agents")
	if err != nil {
		t.Fatal(err)
	}
	i := strings.Index(string(at.Body), "/approvals/apv_")
	if i < 0 || !strings.Contains(at.Page.Text, "Waiting for you") {
		t.Fatalf("the agents page does not lead there: %s", at.Page.Text)
	}
	page := w.issuer + string(at.Body)[i:i+len("/approvals/apv_")+26]
	if _, err := w.decideCall(t.Context(), w.mara, page, "allow"); err != nil {
		t.Fatal(err)
	}
	if err := h.session.CompleteTask(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, code := h.call("add_comment", comment); status == http.StatusOK {
		t.Errorf("a call of an ended task ran: %s", code)
	}
	if at, err := w.mara.Get(t.Context(), page); err != nil || !strings.Contains(at.Page.Text, "does not wait any more") {
		t.Errorf("the page: %v %s", err, at.Page.Text)
	}
}
