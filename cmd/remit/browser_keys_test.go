//go:build browser

package main_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/web/webtest"
)

// TestBrowserKeys: a person without a mouse signs in, allows, watches, answers, ends, and looks after
// others; each stop of the keyboard on the way is plain to see and in the page's order.
func TestBrowserKeys(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, look := range twoLooks {
		t.Run(look.String(), func(t *testing.T) { keysAlone(s.journey(t, look)) })
	}
}

// uses goes to a control by keyboard, presses it, and waits for the page that it leads to.
func (j *journey) uses(selector, key string, shows ...string) {
	j.Helper()
	j.TabTo(selector)
	j.Key(key)
	j.Waits(shows...)
}

// types goes to a field by keyboard and fills it in.
func (j *journey) types(selector, text string) {
	j.Helper()
	j.TabTo(selector)
	j.Key(text)
}

func keysAlone(j *journey) {
	must(j.T, j.f, (*blackbox.Flow).Push)
	j.f.Redirect = redirectA
	j.Open(j.f.AuthorizeURL())
	j.types("#email", j.f.Person.Email)
	j.types("#password", j.f.Person.Password)
	j.Key(kb.Enter)
	j.Waits("What it may do")

	// Deny comes first; a tick takes a space, and allowing a press of its own.
	j.TabTo(tick("add_comment"))
	j.Key(" ")
	j.TabTo(denyButton)
	j.uses(allowButton, " ", "Back at the agent")
	at, err := url.Parse(j.Address())
	if err != nil {
		j.Fatal(err)
	}
	if j.f.Code = at.Query().Get("code"); j.f.Code == "" {
		j.Fatalf("led to %s", at)
	}
	must(j.T, j.f, (*blackbox.Flow).Redeem)
	denied(j.T, j.s.call(j.T, j.f, "add_comment", comment), http.StatusForbidden, "scope") // unticked
	task := j.f.TaskID()

	// A call that waits is found, read and refused; the task is ended.
	asked := j.also(j.Tab)
	asked.f.Details = strings.Replace(j.s.details("email_customer"), `"tool":"email_customer"`, `"tool":"email_customer","approval":"each_call"`, 1)
	must(j.T, asked.f, (*blackbox.Flow).Push)
	j.Open(asked.f.AuthorizeURL())
	j.TabTo(tick("email_customer"))
	j.Key(" ")
	j.uses(allowButton, " ", "Back at the agent")
	at, err = url.Parse(j.Address())
	if err != nil {
		j.Fatal(err)
	}
	asked.f.Code = at.Query().Get("code")
	must(j.T, asked.f, (*blackbox.Flow).Redeem)
	mail := blackbox.Object{"project": "WEB", "id": "WEB-118", "subject": "Fixed", "body": "It works again."}
	denied(j.T, j.s.call(j.T, asked.f, "email_customer", mail), http.StatusForbidden, "approval_required")
	j.Open(j.s.issuer + "/agents")
	j.uses(".waiting a.btn", kb.Enter, "exactly this call")
	j.uses(denyButton, " ", "You did not allow this call.")
	j.Open(j.s.issuer + "/agents")
	j.uses("#"+task+" [value=end]", kb.Enter, "is ended")
	j.ended(j.f)

	// Whoever is on duty finds the other task and ends it with a reason.
	j.s.remit(j.T, nil, "", "user", "role", "--email", j.f.Person.Email, "--console-role", "revoker", "--reason", "on duty")
	j.Open(j.s.issuer + "/admin")
	j.types("#filter-user", j.f.Person.Email)
	j.Key(kb.Enter)
	j.Waits("1 task", "remit task list --user="+j.f.Person.Email)
	j.Open(j.s.issuer + "/admin/tasks/" + asked.f.TaskID())
	j.types("#act-reason", "INC-2291")
	j.uses(endThere, " ", "INC-2291", "Revoked")
	j.ended(asked.f)
}

// maxPage is what a page may take to load, with all that belongs to it and nothing in the cache.
const maxPage = 50 << 10

// TestBrowserWeight: every page is light, and asks nobody but this server for anything.
func TestBrowserWeight(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	j := s.journey(t, webtest.Look{})
	s.remit(t, nil, "", "user", "role", "--email", j.f.Person.Email, "--console-role", "admin", "--reason", "looks at everything")
	host := strings.TrimPrefix(s.issuer, "http://")
	light := func(page string) {
		t.Helper()
		bytes, hosts := j.Weight()
		if bytes > maxPage || len(hosts) != 1 || !hosts[host] {
			t.Errorf("%s: %d bytes, from %v", page, bytes, hosts)
		}
		t.Logf("%6d bytes  %s", bytes, page)
	}
	must(t, j.f, (*blackbox.Flow).Push)
	j.Open(j.f.AuthorizeURL())
	light("sign-in")
	j.Type("#email", j.f.Person.Email)
	j.Type("#password", "wrong")
	j.Press(signInButton)
	light("sign-in refused")
	j.signsIn()
	light("consent")
	j.Click(tick("email_customer"))
	j.Read(`document.querySelector("select[name='mode.email_customer']").value = "each_call"`)
	j.allows(append([]string{"email_customer"}, preset...)...)
	denied(t, s.call(t, j.f, "email_customer", blackbox.Object{"project": "WEB", "id": "WEB-118", "subject": "x", "body": strings.Repeat("y", 2000)}), http.StatusForbidden, "approval_required")
	must(t, j.also(j.Tab).f, (*blackbox.Flow).ToToken)
	s.works(t, j.f)
	task := j.f.TaskID()
	step := j.also(j.Tab)
	step.f.Details, step.f.Scope, step.f.Key = `[{"type":"mcp_task","task":"`+task+`"}]`, "tool:delete_ticket", j.f.Key
	must(t, step.f, (*blackbox.Flow).Push)
	for _, page := range []string{
		strings.TrimPrefix(step.f.AuthorizeURL(), s.issuer), "/agents", "/agents/" + task, "/account", "/account/codes", "/activate", "/authorize?client_id=nobody", "/logout", "/nowhere",
		"/admin", "/admin?state=any", "/admin/tasks/" + task, "/admin/findings", "/admin/users", "/admin/user?user=" + url.QueryEscape(j.f.Person.Email),
		"/admin/clients", "/admin/resources", "/admin/resource?resource=" + url.QueryEscape(s.r1.URL), "/admin/keys",
	} {
		j.Open(s.issuer + page)
		light(page)
	}
	j.Open(s.issuer + "/agents")
	j.Press(".waiting a.btn")
	light("approval")
}
