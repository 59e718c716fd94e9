//go:build browser

package main_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/web/webtest"
)

// TestBrowserStepUpAndApproval: a task gets one more tool, to be asked about each time; and the person
// is asked.
func TestBrowserStepUpAndApproval(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, look := range webtest.Looks {
		t.Run(look.String(), func(t *testing.T) { stepUpAndApprove(s.journey(t, look)) })
	}
}

func stepUpAndApprove(j *journey) {
	j.asks()
	j.allows(preset...)
	task := j.f.TaskID()

	j.f.Details = `[{"type":"mcp_task","task":"` + task + `"}]`
	j.f.Scope = "tool:email_customer"
	if err := j.f.Push(j.Context()); err != nil {
		j.Fatal(err)
	}
	j.Open(j.f.AuthorizeURL())
	j.Shows("asks for 1 more tool", "Same task", "does not last longer", "Already allowed for this task (3)")
	j.Accessible()
	j.Click(tick("email_customer"))
	j.Read(`document.querySelector("select[name='mode.email_customer']").value = "each_call"`)
	code := j.comesBack(allowButton).Get("code")
	if j.f.Code = code; code == "" {
		j.Fatal("no code came back")
	}
	if err := j.f.Redeem(j.Context()); err != nil {
		j.Fatal(err)
	}
	if j.f.TaskID() != task {
		j.Errorf("another task: %s", j.f.TaskID())
	}
	mail := blackbox.Object{"project": "WEB", "id": "WEB-118", "subject": "Fixed", "body": "It works again.\u202e " + strings.Repeat("So sorry. ", 60)}
	res := j.s.call(j.T, j.f, "email_customer", mail)
	denied(j.T, res, http.StatusForbidden, "approval_required")
	page, _ := blackbox.Denial(res)["url"].(string)
	j.Open(j.s.issuer + "/agents")
	j.Shows("1 call waits for your answer.")
	j.Accessible()
	j.Press(".waiting a.btn")
	if got := j.Address(); got != page {
		j.Errorf("the list leads to %s, the denial to %s", got, page)
	}
	j.Shows("WEB-118", "Fixed", "one character in it cannot be seen", "Show all of it", "exactly this call")
	j.Accessible()
	j.Press("[name=decision][value=allow]")
	j.Shows("You allowed this call")
	j.Accessible()
	if res := j.s.call(j.T, j.f, "email_customer", mail); res.Status != http.StatusOK {
		j.Errorf("the allowed call: %s", res)
	}
	denied(j.T, j.s.call(j.T, j.f, "email_customer", mail), http.StatusForbidden, "approval_required") // once
}
