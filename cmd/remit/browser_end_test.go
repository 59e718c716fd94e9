//go:build browser

package main_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/web/webtest"
)

// deadIn is how the pages tell that a Guard has acknowledged an end, and how fast (DESIGN §6, P1).
var deadIn = regexp.MustCompile(`(?:dead everywhere in|in force after) (?:[01]\.\d|2\.0) s`)

// isDead waits until the page says so. It may be the answer already, or one that is asked for again.
func (j *journey) isDead() {
	j.Helper()
	eventually(j.T, 20*time.Second, "the page says that the Guard knows", func() bool {
		if deadIn.MatchString(j.Text()) {
			return true
		}
		j.Open(j.Address())
		return deadIn.MatchString(j.Text())
	})
}

// ended checks that nothing works any more with what the flow's client holds.
func (j *journey) ended(f *blackbox.Flow) {
	j.Helper()
	if res := j.s.call(j.T, f, "get_ticket", readArguments); res.Status != http.StatusUnauthorized {
		j.Errorf("dead, yet %s", res)
	}
	if err := f.Refresh(j.Context()); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		j.Errorf("dead, yet refreshing gives %v", err)
	}
}

// TestBrowserEndNow: a person watches an agent at work, and ends it.
func TestBrowserEndNow(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, look := range webtest.Looks {
		t.Run(look.String(), func(t *testing.T) { endNow(s.journey(t, look)) })
	}
}

func endNow(j *journey) {
	j.Open(j.s.issuer + "/agents")
	j.signsIn()
	j.Shows("No agent is working for you right now.")
	j.Accessible()
	other := j.also(j.Tab)
	for _, f := range []*blackbox.Flow{j.f, other.f} {
		must(j.T, f, (*blackbox.Flow).ToToken)
		j.s.works(j.T, f)
	}
	denied(j.T, j.s.call(j.T, j.f, "email_customer", readArguments), http.StatusForbidden, "tool_not_granted")
	j.catchesUp("2 tasks are running.", "All 2 calls", "1 blocked", "you did not allow this tool")
	j.Accessible()

	button := "#" + j.f.TaskID() + " [value=end]"
	j.Press(button)
	j.Shows("is ended", "1 task is running.", "Ended by you")
	j.isDead()
	j.Accessible()
	j.ended(j.f)
	j.s.works(j.T, other.f)
	j.Press("[value=end_all]")
	j.Shows("Everything is stopped", "No agent is working for you right now.")
	j.ended(other.f)
}

// catchesUp waits until the page shows the texts: by itself where scripts run, else when reloaded.
func (j *journey) catchesUp(texts ...string) {
	j.Helper()
	if !j.Look.NoScript {
		j.Waits(texts...)
		return
	}
	eventually(j.T, 10*time.Second, strings.Join(texts, ", "), func() bool {
		j.Press(".bar a")
		page := j.Text()
		for _, text := range texts {
			if !strings.Contains(page, text) {
				return false
			}
		}
		return true
	})
}

// TestBrowserAdminEnd: somebody on duty finds one user's task in the console, and ends it.
func TestBrowserAdminEnd(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, look := range webtest.Looks {
		t.Run(look.String(), func(t *testing.T) { adminEnd(s.journey(t, look)) })
	}
}

// endThere ends what is on a page of the console.
const endThere = `button[formaction$="/admin/end"]`

func adminEnd(j *journey) {
	bystander := j.s.journey(j.T, j.Look)
	duty := j.s.journey(j.T, j.Look)
	j.s.remit(j.T, nil, "", "user", "role", "--email", duty.f.Person.Email, "--console-role", "revoker", "--reason", "on duty")
	for _, f := range []*blackbox.Flow{j.f, bystander.f} {
		must(j.T, f, (*blackbox.Flow).ToToken)
		j.s.works(j.T, f)
	}
	duty.Open(j.s.issuer + "/admin")
	duty.signsIn()
	duty.Shows("Triage this week's bugs", bystander.f.Person.Email)
	duty.Accessible()
	duty.Type("#filter-user", j.f.Person.Email)
	duty.Press(".filter button")
	duty.Shows(j.f.Person.Email)
	if strings.Contains(duty.Text(), bystander.f.Person.Email) {
		j.Errorf("the filter lets others through: %s", duty.Text())
	}
	duty.Click(`input[name=task]`)
	duty.Press(`.ticked button`) // what would end
	duty.Shows(j.f.Person.Email)
	duty.Accessible()
	j.s.works(j.T, j.f)
	duty.Open(j.s.issuer + "/admin/tasks/" + j.f.TaskID())
	duty.Shows(j.f.TaskID(), "search_tickets")
	duty.Accessible()
	duty.Type("#act-reason", "INC-2291 runaway agent")
	duty.Press(endThere)
	duty.Shows("INC-2291 runaway agent", j.f.TaskID())
	duty.isDead()
	duty.Accessible()
	j.ended(j.f)
	j.s.works(j.T, bystander.f)

	j.Open(j.s.issuer + "/agents")
	j.signsIn()
	j.Shows("INC-2291 runaway agent", "No agent is working for you right now.")
	j.Open(j.s.issuer + "/admin") // which is not for everybody
	if text := j.Text(); strings.Contains(text, "Tasks") || !strings.Contains(text, "there is nothing here") {
		j.Errorf("a user without a console role sees %s", text)
	}
	if j.Look.NoScript { // the console has no script, and the samples of package web are looked at so
		return
	}
	for _, area := range []string{"/admin?state=any", "/admin/findings", "/admin/users", "/admin/clients", "/admin/resources", "/admin/keys", "/admin/resource?resource=" + j.s.r1.URL} {
		if got := duty.Open(j.s.issuer + area); got.Status != http.StatusOK {
			j.Errorf("%s: %d %s", area, got.Status, duty.Text())
		}
		duty.Accessible()
	}
}
