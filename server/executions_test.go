package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// decided is a Guard's record of an allowed call under these claims.
func decided(c tokens.Claims) map[string]any {
	return map[string]any{
		"kind": "execution.decided", "execution": tokens.NewID("exe_"), "at": c.IssuedAt.UnixMicro(),
		"task": c.Task.ID, "jti": c.ID, "client_id": c.ClientID, "user": c.Subject, "jkt": c.JKT,
		"tool": "search_tickets", "decision": "allowed", "checks": []any{map[string]any{"name": "scope", "ok": true}},
	}
}

// but returns the record with members replaced.
func but(rec map[string]any, changes map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range rec {
		out[k] = v
	}
	for k, v := range changes {
		out[k] = v
	}
	return out
}

func batch(first int, recs ...any) map[string]any {
	return map[string]any{"first": first, "records": recs}
}

func TestExecutions(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	one := decided(claims)
	finished := map[string]any{"kind": "execution.finished", "execution": one["execution"], "at": one["at"], "task": claims.Task.ID, "jti": claims.ID, "outcome": "ok", "duration_us": 1200}
	if got := g.call("POST", "/executions", batch(1, one, finished)); got.Status != http.StatusOK || got.JSON["next"] != 3.0 {
		t.Fatalf("batch: %d %s", got.Status, got.Body)
	}
	recs := w.records("execution.decided")
	if len(recs) != 1 {
		t.Fatalf("%d records of one decision", len(recs))
	}
	rec := recs[0]
	if rec.Resource != ticketsURI || rec.Task != claims.Task.ID || rec.User != w.user.ID || rec.Client != w.client || rec.Agent != claims.JKT || rec.JTI != claims.ID || rec.Execution != one["execution"] {
		t.Errorf("header: %+v", rec)
	}
	if p := payload(t, rec); p["guard"] != g.id || p["tool"] != "search_tickets" || p["decision"] != "allowed" {
		t.Errorf("payload: %v", p)
	}
	// Sent again, as after a lost answer, nothing is added; what is new in a batch is.
	if got := g.call("POST", "/executions", batch(1, one, finished, decided(claims))); got.JSON["next"] != 4.0 {
		t.Errorf("overlap: %d %s", got.Status, got.Body)
	}
	if n := len(w.records("execution.decided")); n != 2 {
		t.Errorf("%d decisions after the overlap", n)
	}
	if got := g.call("POST", "/executions", batch(9, decided(claims))); got.Status != http.StatusConflict || got.error() != "out_of_sequence" || got.JSON["next"] != 4.0 {
		t.Errorf("gap: %d %s", got.Status, got.Body)
	}
}

// TestDisputedExecutions: what the server cannot vouch for is kept, under its own kind (DESIGN §4).
func TestDisputedExecutions(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	tickets, other := w.guard(ticketsURI), w.guard(otherURI)
	_, mine := w.lend()
	_, another := w.lend()
	next := map[*guardian]int{}
	tests := map[string]struct {
		guard  *guardian
		change map[string]any
	}{
		"a token for another resource": {other, nil},
		"a jti that nobody issued":     {tickets, map[string]any{"jti": tokens.NewID("at_")}},
		"no jti, yet allowed":          {tickets, map[string]any{"jti": "", "task": ""}},
		"another task's token":         {tickets, map[string]any{"jti": another.ID}},
		"another user":                 {tickets, map[string]any{"user": tokens.NewID("usr_")}},
		"another client":               {tickets, map[string]any{"client_id": w.other}},
		"another key":                  {tickets, map[string]any{"jkt": another.JKT}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := len(w.records("execution.decided"))
			rec := but(decided(mine), tt.change)
			next[tt.guard]++
			if got := tt.guard.call("POST", "/executions", batch(next[tt.guard], rec)); got.Status != http.StatusOK {
				t.Fatalf("%d %s", got.Status, got.Body)
			}
			disputed := w.records("execution.disputed")
			last := disputed[len(disputed)-1]
			if last.Execution != rec["execution"] || payload(t, last)["dispute"] == "" {
				t.Errorf("disputed: %+v %s", last, last.Payload)
			}
			if n := len(w.records("execution.decided")); n != before {
				t.Errorf("%d decisions more", n-before)
			}
			if last.Resource == ticketsURI && tt.guard == other {
				t.Error("the resource is not the caller's")
			}
		})
	}
}

func TestExecutionLimits(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	many := make([]any, 501)
	for i := range many {
		many[i] = decided(claims)
	}
	refused := map[string]struct {
		body   any
		status int
	}{
		"501 records":         {batch(1, many...), 400},
		"first below 1":       {batch(0, decided(claims)), 400},
		"another kind":        {batch(1, but(decided(claims), map[string]any{"kind": "task.ended"})), 400},
		"no execution id":     {batch(1, but(decided(claims), map[string]any{"execution": "exe_1"})), 400},
		"a task that is none": {batch(1, but(decided(claims), map[string]any{"task": "x"})), 400},
		"a jti that is none":  {batch(1, but(decided(claims), map[string]any{"jti": "at_"})), 400},
		"no decision":         {batch(1, but(decided(claims), map[string]any{"decision": ""})), 400},
		"no outcome":          {batch(1, but(decided(claims), map[string]any{"kind": "execution.finished"})), 400},
		"an unknown member":   {batch(1, but(decided(claims), map[string]any{"resource": otherURI})), 400},
		"more than 1 MiB":     {batch(1, but(decided(claims), map[string]any{"trace": strings.Repeat("x", 1<<20)})), 413},
	}
	for name, tt := range refused {
		if got := g.call("POST", "/executions", tt.body); got.Status != tt.status || got.error() != "invalid_request" {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	if n := len(w.records("execution.decided")); n != 0 {
		t.Fatalf("%d records of refused batches", n)
	}
	// Text is cut, never refused: a log that an attacker can silence is none (AU9).
	long := but(decided(claims), map[string]any{"tool": strings.Repeat("é", 500), "reason": strings.Repeat("r", 500)})
	if got := g.call("POST", "/executions", batch(1, long)); got.Status != http.StatusOK {
		t.Fatalf("long text: %d %s", got.Status, got.Body)
	}
	if tool := payload(t, w.records("execution.decided")[0])["tool"].(string); len(tool) > 128 || !strings.HasPrefix(tool, "é") || strings.ContainsRune(tool, '�') {
		t.Errorf("tool = %q", tool)
	}
}

// TestLogInjection: whatever a caller writes, a record is one line of JSON (AU5).
func TestLogInjection(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	hostile := "x\n{\"forged\":true}\r\n\x1b[2J\u2028\u202e"
	if got := g.call("POST", "/executions", batch(1, but(decided(claims), map[string]any{"tool": hostile}))); got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	got := w.operator("GET", "/admin/api/audit/records?kind=execution.decided", nil)
	if strings.Count(got.Body, "\n") != 1 || strings.ContainsAny(got.Body, "\x1b\r") {
		t.Errorf("%q", got.Body)
	}
	if tool := payload(t, w.records("execution.decided")[0])["tool"]; tool != hostile {
		t.Errorf("tool = %q", tool)
	}
}

func TestExecutionsKeepATaskAwake(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	w.clock.Add(store.IdleAfter - time.Minute)
	if got := g.call("POST", "/executions", batch(1, decided(claims))); got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	task, _, err := w.store.TaskByID(context.Background(), claims.Task.ID)
	must(t, err)
	if !task.SeenAt.Equal(w.clock.Now()) {
		t.Errorf("seen at %v, now %v", task.SeenAt, w.clock.Now())
	}
}

func TestReserve(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	g, other := w.guard(ticketsURI), w.guard(otherURI)
	_, claims := w.lend() // add_comment has 5 calls, the policy allows 20
	reserve := func(g *guardian, execution, tool string) answer {
		return g.call("POST", "/executions/reserve", map[string]string{"execution": execution, "task": claims.Task.ID, "jti": claims.ID, "tool": tool})
	}
	first := tokens.NewID("exe_")
	for range 3 { // the same execution counts once
		if got := reserve(g, first, "add_comment"); got.Status != http.StatusOK || got.JSON["tool_left"] != 4.0 || got.JSON["task_left"] != -1.0 {
			t.Fatalf("reserve: %d %s", got.Status, got.Body)
		}
	}
	for left := 3; left >= 0; left-- {
		if got := reserve(g, tokens.NewID("exe_"), "add_comment"); got.JSON["tool_left"] != float64(left) {
			t.Fatalf("reserve: %d %s", got.Status, got.Body)
		}
	}
	if got := reserve(g, tokens.NewID("exe_"), "add_comment"); got.Status != http.StatusConflict || got.error() != "tool_budget_spent" {
		t.Errorf("a sixth call: %d %s", got.Status, got.Body)
	}
	if got := reserve(g, tokens.NewID("exe_"), "search_tickets"); got.Status != http.StatusOK || got.JSON["tool_left"] != -1.0 {
		t.Errorf("another tool: %d %s", got.Status, got.Body)
	}
	if got := reserve(g, tokens.NewID("exe_"), "delete_ticket"); got.Status != http.StatusForbidden {
		t.Errorf("a tool that was not granted: %d %s", got.Status, got.Body)
	}
	if got := reserve(other, tokens.NewID("exe_"), "add_comment"); got.Status != http.StatusGone || got.error() != "task_not_active" {
		t.Errorf("another resource's Guard: %d %s", got.Status, got.Body)
	}
	if got := w.operator("POST", "/admin/api/tasks/suspend", map[string]string{"id": claims.Task.ID}); got.Status != http.StatusOK {
		t.Fatalf("suspend: %d %s", got.Status, got.Body)
	}
	if got := reserve(g, tokens.NewID("exe_"), "search_tickets"); got.Status != http.StatusGone {
		t.Errorf("a suspended task: %d %s", got.Status, got.Body)
	}
	for name, body := range map[string]any{"nothing": map[string]any{}, "no tool": map[string]string{"execution": first, "task": claims.Task.ID, "jti": claims.ID}, "a list": []int{1}} {
		if got := g.call("POST", "/executions/reserve", body); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
}

// TestReserveByPolicy: a policy that became stricter than the grant counts at once.
func TestReserveByPolicy(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	strict := strings.Replace(ticketsPolicy, "max_calls: 20", "max_calls: 2", 1)
	if got := g.call("PUT", "/manifest", map[string]any{"policy": strict, "tools": []any{}}); got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusConflict} {
		got := g.call("POST", "/executions/reserve", map[string]string{"execution": tokens.NewID("exe_"), "task": claims.Task.ID, "jti": claims.ID, "tool": "add_comment"})
		if got.Status != want {
			t.Errorf("call %d: %d %s", i+1, got.Status, got.Body)
		}
	}
}

func TestTaskBudget(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	a := w.agent(w.client)
	form := a.request()
	form.Set("authorization_details", strings.Replace(details, `"max_duration":1800`, `"max_duration":1800,"max_calls":2`, 1))
	b := w.browser()
	b.signIn()
	code := b.consent(a.push(form), "search_tickets").Query().Get("code")
	claims, err := w.keys().OpenAccessToken(a.post("/token", a.codeForm(code)).text("access_token"), w.issuer)
	must(t, err)
	var got answer
	for i := range 3 {
		got = g.call("POST", "/executions/reserve", map[string]string{"execution": tokens.NewID("exe_"), "task": claims.Task.ID, "jti": claims.ID, "tool": "search_tickets"})
		if i < 2 && (got.Status != http.StatusOK || got.JSON["task_left"] != float64(1-i)) {
			t.Fatalf("call %d: %d %s", i+1, got.Status, got.Body)
		}
	}
	if got.Status != http.StatusConflict || got.error() != "task_budget_spent" {
		t.Errorf("a third call: %d %s", got.Status, got.Body)
	}
	task, _, err := w.store.TaskByID(context.Background(), claims.Task.ID)
	must(t, err)
	if task.State != store.TaskExpired || task.Reason != "budget" {
		t.Errorf("task is %s (%s)", task.State, task.Reason)
	}
}

// tokenless is a store whose reads of tokens fail while it is down.
type tokenless struct {
	store.Store
	down atomic.Bool
}

func (f *tokenless) AccessByJTI(ctx context.Context, jti string) (store.AccessState, error) {
	if f.down.Load() {
		return store.AccessState{}, fmt.Errorf("the disk is gone")
	}
	return f.Store.AccessByJTI(ctx, jti)
}
