//go:build browser

package main_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/web/webtest"
)

// twoLooks stand for all where a look decides nothing but whether scripts run.
var twoLooks = []webtest.Look{{}, {Dark: true, Narrow: true, NoScript: true}}

// TestBrowserApart: browsers, users and tabs never see or finish each other's consent (CS11).
func TestBrowserApart(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, look := range twoLooks {
		t.Run(look.String(), func(t *testing.T) {
			for name, play := range map[string]func(*journey){
				"another browser": anotherBrowser, "another user": anotherUser, "another user signs in": anotherSignsIn,
				"two tabs, two clients": twoClients, "two tabs, one request": twoTabs, "back": back,
			} {
				t.Run(name, func(t *testing.T) { play(s.journey(t, look)) })
			}
		})
	}
}

// openedElsewhere is what somebody reads who opens a request that is open in another browser.
const openedElsewhere = "This request was opened in another browser or account."

// anotherBrowser: the same person's other browser, which saw the link first.
func anotherBrowser(j *journey) {
	other := &journey{T: j.T, Tab: j.s.Person(j.T, j.Look), s: j.s, f: j.f}
	other.opens()
	j.Open(j.f.AuthorizeURL())
	j.signsIn()
	other.signsInTo(http.StatusBadRequest)
	other.stays(http.StatusBadRequest, openedElsewhere)
	if strings.Contains(other.Text(), "Triage") {
		j.Errorf("the other browser shows what is asked: %s", other.Text())
	}
	j.allows(preset...)
}

// anotherUser is sent somebody's link, and sends somebody's form as their own.
func anotherUser(j *journey) {
	j.asks()
	other := j.s.journey(j.T, j.Look)
	other.asks()
	theirs := other.Address()
	for _, fields := range [][]string{{"request", "client_id", "offer", "shown"}, {"request", "client_id", "offer", "shown", "csrf"}} {
		other.Open(theirs)
		for _, name := range fields {
			other.fills(name, j.hidden(name))
		}
		other.Press(allowButton)
		other.stays(http.StatusForbidden, "this form was made for another session")
	}
	other.Open(j.f.AuthorizeURL())
	other.stays(http.StatusBadRequest, openedElsewhere)
	j.allows(preset...)
	other.Open(theirs)
	other.allows(preset...)
}

// anotherSignsIn: while a request is open in one tab, another person takes over the browser in another.
func anotherSignsIn(j *journey) {
	j.asks()
	other := j.also(j.Another())
	other.f.Person = j.s.person(j.T)
	other.Open(j.s.issuer + "/agents")
	other.Press(".account button")
	other.signsIn()
	other.Shows(other.f.Person.Email)
	j.Press(allowButton)
	j.stays(http.StatusForbidden, "this form was made for another session")
	other.Open(j.f.AuthorizeURL())
	other.stays(http.StatusBadRequest, openedElsewhere)
	other.opens()
	other.allows(preset...)
}

// twoClients ask the same person in two tabs; the answers are given crosswise.
func twoClients(j *journey) {
	other := j.also(j.Another())
	other.f.ClientID, other.f.Redirect = j.s.b, redirectB
	other.f.Details = j.s.details("get_ticket", "delete_ticket")
	j.asks()
	other.opens()
	other.Shows("Agent B", "https://other.example")
	if strings.Contains(other.Text(), "search_tickets") {
		j.Errorf("one request shows the other's tools: %s", other.Text())
	}
	j.Shows("Agent A", "https://agent.example")
	j.Click(tick("get_ticket"))
	other.Click(tick("delete_ticket"))
	other.allows("get_ticket", "delete_ticket")
	j.allows("search_tickets", "add_comment")
	for _, f := range []*blackbox.Flow{j.f, other.f} {
		if _, claims, err := blackbox.Decode(f.Access()); err != nil || claims["client_id"] != f.ClientID {
			j.Errorf("a token of %v for %s: %v", claims["client_id"], f.ClientID, err)
		}
	}
}

// twoTabs show one request, and both allow it: it counts once.
func twoTabs(j *journey) {
	j.asks()
	second := j.Another()
	second.Open(j.f.AuthorizeURL())
	second.Click(tick("delete_ticket"))
	j.allows(preset...)
	again := &journey{T: j.T, Tab: second, s: j.s, f: j.f}
	again.Press(allowButton)
	again.stays(http.StatusBadRequest, "This request has been answered already.")
	j.s.works(j.T, j.f)
}

// back: whether the browser kept the page or asks for it again, it can no longer be answered; what
// was answered stands.
func back(j *journey) {
	j.asks()
	j.allows(preset...)
	j.Read(`history.back(), ""`)
	j.Waits(j.s.issuer + "/authorize: ")
	if left := j.Values(allowButton, "value"); len(left) > 0 {
		j.Read(fmt.Sprintf(`document.querySelector(%q).click(), document.querySelector(%q).click(), ""`, tick("delete_ticket"), allowButton))
	}
	j.Waits("This request has been answered already.")
	j.stays(http.StatusBadRequest, "This request has been answered already.")
	j.s.works(j.T, j.f)
}

// hidden is the value of a hidden field of the form that the journey stands on.
func (j *journey) hidden(name string) string {
	j.Helper()
	all := j.Values(`form.consent [name=`+name+`]`, "value")
	if len(all) != 1 || all[0] == "" {
		j.Fatalf("hidden %s: %q", name, all)
	}
	return all[0]
}

// fills puts a value into a hidden field.
func (j *journey) fills(name, value string) {
	j.Helper()
	j.Read(fmt.Sprintf(`document.querySelector("form.consent [name=%s]").value = %q`, name, value))
}
