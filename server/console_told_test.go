package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// TestConsoleTellsTruly: a call that ran because the policy is only watched is not told like one that was
// allowed, a counted call has words, and a grant that a step-up replaced has not "ended".
func TestConsoleTellsTruly(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	a := w.agent(w.client)
	first := a.lendReading()
	task := first.text("task_id")
	claims := w.claims(first.text("access_token"))
	watched := but(decided(claims), map[string]any{"observed": "role"})
	read := but(decided(claims), map[string]any{"execution": tokens.NewID("exe_"), "tool": "", "method": "resources/read", "target": "docs://handbook/1"})
	if got := g.call("POST", "/executions", batch(1, watched, read)); got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if got := g.call("POST", "/executions/reserve", map[string]any{"execution": tokens.NewID("exe_"), "task": task, "jti": claims.ID, "tool": "search_tickets"}); got.Status != http.StatusOK {
		t.Fatalf("reserve: %d %s", got.Status, got.Body)
	}
	code := w.mara().consent(a.push(a.stepUp(task, "tool:add_comment")), "add_comment").Query().Get("code")
	if got := a.post("/token", a.codeForm(code)); got.Status != http.StatusOK {
		t.Fatalf("token: %d %s", got.Status, got.Body)
	}
	page := w.staff("viewer@example.com", store.RoleViewer).get("/admin/tasks/" + task).words()
	for _, text := range []string{"would have been blocked", "observed", "resources/read at", "A call was counted", "The task got more", "replaced "} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q: %s", text, page)
		}
	}
	for _, text := range []string{"call.reserved", "task.widened", "docs://handbook/1"} {
		if strings.Contains(page, text) {
			t.Errorf("the page says %q", text)
		}
	}
	if page := w.may("reader@example.com", store.RoleViewer).get("/admin/tasks/" + task).words(); !strings.Contains(page, "docs://handbook/1 at") {
		t.Errorf("what was read is hidden from who may read arguments: %s", page)
	}
	_, err := w.store.EndTask(context.Background(), store.End{TaskID: task, State: store.TaskRevoked, By: store.ByUser, Reason: "test"})
	must(t, err)
	if page := w.staff("other@example.com", store.RoleViewer).get("/admin/tasks/" + task).words(); strings.Count(page, "replaced ") != 1 {
		t.Errorf("after the end: %s", page)
	}
}
