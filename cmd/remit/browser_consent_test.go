//go:build browser

package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/web/webtest"
)

// TestBrowserConsent: whatever a person answers, the client gets that and no more.
func TestBrowserConsent(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, look := range webtest.Looks {
		t.Run(look.String(), func(t *testing.T) {
			for name, play := range map[string]func(*journey){
				"allow": allowAsTicked, "allow less": allowLess, "deny": deny, "allow nothing": allowNothing, "without PAR": allowUnpushed,
				"nobody there": allowNobody,
			} {
				t.Run(name, func(t *testing.T) { play(s.journey(t, look)) })
			}
		})
	}
}

// allowAsTicked: a wrong password, the right one, and the page is right as it is.
func allowAsTicked(j *journey) {
	j.opens()
	j.Accessible()
	j.Type("#email", j.f.Person.Email)
	j.Type("#password", "not the password")
	j.Press(signInButton)
	j.stays(http.StatusUnauthorized, "That did not work.", "The e-mail or the password is not right.")
	j.Accessible()
	if kept := j.Values("#email, #password", "value"); !slices.Equal(kept, []string{j.f.Person.Email, ""}) {
		j.Errorf("the form kept %q", kept)
	}
	j.signsIn()
	j.Shows("Agent A", "https://agent.example", "Triage this week's bugs", "Tickets", j.s.r1.URL, "30 min", j.f.Person.Email, "Only project: WEB", "Deletes data")
	j.Accessible()
	if ticked := j.Values("input[name=tool]:checked", "value"); !slices.Equal(ticked, preset) {
		j.Errorf("ticked before anybody has: %v", ticked)
	}
	j.allows(preset...)
	j.s.works(j.T, j.f)
	denied(j.T, j.s.call(j.T, j.f, "delete_ticket", readArguments), http.StatusForbidden, "scope")
}

// TestBrowserDoublePress: who presses Allow twice has allowed once, and the client gets its code (CS9).
func TestBrowserDoublePress(t *testing.T) {
	t.Parallel()
	j := newStage(t).journey(t, webtest.Look{})
	j.asks()
	j.Read(fmt.Sprintf(`(b => { b.click(); setTimeout(() => b.click(), 20); return "" })(document.querySelector(%q))`, allowButton))
	j.Until("the client's page", func() bool { return strings.HasPrefix(j.Address(), j.f.Redirect) })
	j.redeems(j.back(), preset...)
	j.s.works(j.T, j.f)
}

// allowLess: one tool fewer and half the time, for a program on this computer.
func allowLess(j *journey) {
	j.f.Redirect = j.s.loopback
	j.asks()
	j.Shows("A program on this computer", "Did you just start this yourself?")
	j.Accessible()
	j.Click(tick("add_comment"))
	j.Click("input[name=duration][value='900']")
	j.allows("search_tickets", "get_ticket")
	j.s.works(j.T, j.f)
	denied(j.T, j.s.call(j.T, j.f, "add_comment", comment), http.StatusForbidden, "scope")
	_, claims, err := blackbox.Decode(j.f.Access())
	if err != nil {
		j.Fatal(err)
	}
	task, _ := claims["task"].(map[string]any)
	ends, _ := task["exp"].(float64)
	if issued, _ := claims["iat"].(float64); ends <= issued || ends > issued+900 {
		j.Errorf("allowed for 15 minutes, the task ends %v s after the token was made", ends-issued)
	}
}

// allowNobody: the program on this computer has stopped. The page has said beforehand what that means;
// the answer counts once, and nothing works for the person.
func allowNobody(j *journey) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	j.f.Redirect = gone.URL + "/callback"
	j.asks()
	j.Shows("If the browser then cannot connect", "Never copy an address or a code from this browser into a program.")
	j.Accessible()
	j.Click(allowButton)
	j.Until("the browser's own page", func() bool { // without scripts it has no words
		return strings.HasPrefix(j.Text(), "null/: ")
	})
	j.Open(j.f.AuthorizeURL())
	j.stays(http.StatusBadRequest, "This request has been answered already.")
	j.Open(j.s.issuer + "/agents")
	j.Shows("Starting")
	again := j.also(j.Tab) // as the page says: from the beginning
	again.opens()
	again.allows(preset...)
}

// deny: the client is told so, and the request is spent (CS8).
func deny(j *journey) {
	j.asks()
	j.refuses(denyButton)
	j.Open(j.f.AuthorizeURL())
	j.stays(http.StatusBadRequest, "This request has been answered already.")
	j.Accessible()
}

// allowNothing: all ticks taken away is a no, even by the button that allows.
func allowNothing(j *journey) {
	j.f.Redirect = j.s.loopback
	j.asks()
	for _, tool := range preset {
		j.Click(tick(tool))
	}
	j.Accessible()
	j.refuses(allowButton)
}

// allowUnpushed: the request comes with the browser.
func allowUnpushed(j *journey) {
	j.f.Redirect = j.s.loopback
	j.Open(j.s.front(j.f.PushForm()))
	j.signsIn()
	j.Click(tick("email_customer"))
	j.allows(append(slices.Clone(preset), "email_customer")...)
	j.s.works(j.T, j.f)
}
