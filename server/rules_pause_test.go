package server_test

import (
	"context"
	"net/http"
	"testing"
)

// TestRuleHoldsWhoPauses: an agent that pauses itself before a rule gets to its task does not go on by
// itself afterwards.
func TestRuleHoldsWhoPauses(t *testing.T) {
	w := newWorld(t)
	must(t, w.server.ApplyRules(context.Background())) // from here on, rules judge
	a := w.agent(w.client)
	got := a.tokens()
	task, token := got.text("task_id"), got.text("access_token")
	c := &caller{guardian: w.guard(ticketsURI), claims: w.claims(token)}
	c.calls("get_ticket wrong_key") // a copied token
	if got := a.call("POST", "/tasks/"+task+"/suspend", token); got.Status != http.StatusOK {
		t.Fatalf("pause: %d %s", got.Status, got.Body)
	}
	must(t, w.server.ApplyRules(context.Background()))
	if got := a.call("POST", "/tasks/"+task+"/resume", token); got.Status != http.StatusConflict {
		t.Errorf("the agent goes on: %d %s", got.Status, got.Body)
	}
	shows(t, w.mara().get("/agents"), "somebody used a copy of its token with another key")
	admin := w.staff("admin@example.com", "admin")
	shows(t, admin.act("/admin/resume", map[string][]string{"task": {task}, "reason": {"looked at"}}), "Running")
	if got := a.post("/token", a.refreshForm(got.text("refresh_token"))); got.Status != http.StatusOK {
		t.Errorf("after an admin's word: %d %s", got.Status, got.Body)
	}
}
