package resource_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
)

// TestApproval: a call that is asked about each time runs once for each yes, and for that call alone.
func TestApproval(t *testing.T) {
	w := newWorld(t)
	token := w.token(agent(tokens.ToolDetail{Tool: "email_customer", Approval: tokens.ApprovalEachCall}))
	asked := w.call(token, "email_customer", web)
	w.wants(asked, http.StatusForbidden, resource.ApprovalRequired)
	waiting := w.issuer.Approvals()
	if len(waiting) != 1 {
		t.Fatalf("%d calls wait", len(waiting))
	}
	for _, part := range []string{`"code":-32042`, `"url":"` + w.issuer.URL() + "/approvals/" + waiting[0].ID, `"mode":"url"`, `"remediation":"available"`} {
		if !strings.Contains(string(asked.body), part) {
			t.Errorf("the denial lacks %s: %s", part, asked.body)
		}
	}
	w.wants(w.call(token, "email_customer", web), http.StatusForbidden, resource.ApprovalRequired)
	if again := w.issuer.Approvals(); len(again) != 1 {
		t.Errorf("the same call waits %d times", len(again))
	}
	w.issuer.Decide(waiting[0], true)
	var mu sync.Mutex
	ran := 0
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if a := w.call(token, "email_customer", web); a.status == http.StatusOK {
				mu.Lock()
				ran++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if ran != 1 {
		t.Errorf("%d calls ran on one yes", ran)
	}
	for _, a := range w.issuer.Approvals() {
		w.issuer.Decide(a, false)
	}
	w.wants(w.call(token, "email_customer", web), http.StatusForbidden, resource.ApprovalDenied)
}

// TestApprovalByPolicy: the policy wants it, whatever the consent says.
func TestApprovalByPolicy(t *testing.T) {
	w := newWorld(t)
	if err := w.guard.ReloadPolicy([]byte(strings.Replace(ticketsPolicy, "email_customer: {}", "email_customer: {approval: each_call}", 1))); err != nil {
		t.Fatal(err)
	}
	token := w.token(agent(tokens.ToolDetail{Tool: "email_customer"}))
	w.wants(w.call(token, "email_customer", web), http.StatusForbidden, resource.ApprovalRequired)
	w.issuer.Decide(w.issuer.Approvals()[0], true)
	if a := w.call(token, "email_customer", web); a.status != http.StatusOK {
		t.Errorf("allowed: %d %s", a.status, a.body)
	}
}

// TestApprovalUnavailable: no answer, no call.
func TestApprovalUnavailable(t *testing.T) {
	w := newWorld(t)
	token := w.token(agent(tokens.ToolDetail{Tool: "email_customer", Approval: tokens.ApprovalEachCall}))
	w.issuer.Down(true)
	w.wants(w.call(token, "email_customer", web), http.StatusServiceUnavailable, resource.ApprovalUnavailable)
	w.issuer.Down(false)
	w.wants(w.call(token, "email_customer", web), http.StatusForbidden, resource.ApprovalRequired)
}
