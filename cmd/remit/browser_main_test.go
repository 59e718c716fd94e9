//go:build browser

package main_test

// Journeys of people in Debian's Chromium, against the running binary and MCP servers behind real
// Guards. What a journey led to is checked as the client sees it: by raw requests with the code.

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/web/webtest"
)

// stage is a world with a browser that reaches it, the clients' sites and one site that means harm.
type stage struct {
	*world
	webtest.Browser
	loopback string // where a program on this computer waits for client A's users
	evil     *http.ServeMux
}

// evilSite serves the stage's evil pages.
const evilSite = "http://evil.example"

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{world: newWorld(t), evil: http.NewServeMux()}
	secure, plain, evil := httptest.NewTLSServer(http.HandlerFunc(callback)), httptest.NewServer(http.HandlerFunc(callback)), httptest.NewServer(s.evil)
	for _, server := range []*httptest.Server{secure, plain, evil} {
		t.Cleanup(server.Close)
	}
	s.loopback = plain.URL + "/callback"
	s.Browser = webtest.Start(t, map[string]string{
		"agent.example:443": secure.Listener.Addr().String(),
		"other.example:443": secure.Listener.Addr().String(),
		"evil.example:80":   evil.Listener.Addr().String(),
	})
	return s
}

// callback is where clients' users come back to; the page says what the browser told about where from.
func callback(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/callback" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!DOCTYPE html><title>Agent</title><p>Back at the agent, sent from “%s”.</p>`, html.EscapeString(r.Referer()))
}

// person adds a user who may do everything at the first MCP server.
func (s *stage) person(t *testing.T) *blackbox.Browser {
	t.Helper()
	b := &blackbox.Browser{Email: "p" + strings.ToLower(blackbox.B64([]byte(blackbox.Random(6)))) + "@acme.example", Password: blackbox.Random(12)}
	s.remit(t, nil, b.Password+"\n", "user", "add", "--email", b.Email, "--name", "Pat", "--password-stdin")
	s.remit(t, nil, "", "user", "assign", "--email", b.Email, "--resource", s.r1.URL, "--role", "admin")
	return b
}

// journey is one person's way through the pages, for one request of client A.
type journey struct {
	*testing.T
	*webtest.Tab
	s *stage
	f *blackbox.Flow
}

// The tools that journeys ask for, and those that the page ticks before anybody has.
var (
	allTools = []string{"search_tickets", "get_ticket", "add_comment", "email_customer", "delete_ticket"}
	preset   = []string{"search_tickets", "get_ticket", "add_comment"}
)

// What journeys press.
const (
	signInButton = ".signin .btn"
	allowButton  = "[value=allow]"
	denyButton   = "[value=deny]"
)

func tick(tool string) string { return `input[name=tool][value="` + tool + `"]` }

// journey starts one for somebody new, who is not signed in.
func (s *stage) journey(t *testing.T, as webtest.Look) *journey {
	t.Helper()
	f := s.flow()
	f.Person, f.Details = s.person(t), s.details(allTools...)
	return &journey{T: t, Tab: s.Person(t, as), s: s, f: f}
}

// also is one more request of client A to the same person, in a tab of their own or this one.
func (j *journey) also(tab *webtest.Tab) *journey {
	f := j.s.flow()
	f.Person, f.Details = j.f.Person, j.f.Details
	return &journey{T: j.T, Tab: tab, s: j.s, f: f}
}

// opens pushes the request and opens it.
func (j *journey) opens() {
	j.Helper()
	must(j.T, j.f, (*blackbox.Flow).Push)
	j.Open(j.f.AuthorizeURL())
}

// signsIn fills in the sign-in form.
func (j *journey) signsIn() {
	j.Helper()
	j.signsInTo(http.StatusOK)
}

// signsInTo is signsIn where the page that comes then has another status.
func (j *journey) signsInTo(status int64) {
	j.Helper()
	j.Type("#email", j.f.Person.Email)
	j.Type("#password", j.f.Person.Password)
	if got := j.Press(signInButton); got.Status != status {
		j.Fatalf("signing in led to %d, want %d: %s", got.Status, status, j.Text())
	}
}

// asks opens the request and signs in: the consent page is there.
func (j *journey) asks() {
	j.Helper()
	j.opens()
	j.signsIn()
	j.Shows("What it may do", j.f.Person.Email)
}

// comesBack presses a button that leads to the client, and returns what the client is told. The
// client learns who answers (RFC 9207 §2.4) and nothing of the page that the answer was given on.
func (j *journey) comesBack(button string) url.Values {
	j.Helper()
	j.Press(button)
	return j.back()
}

// back is what the client is told, whose page this must be.
func (j *journey) back() url.Values {
	j.Helper()
	at, err := url.Parse(j.Address())
	if err != nil || !strings.HasPrefix(at.String(), j.f.Redirect+"?") {
		j.Fatalf("led to %v", j.Text())
	}
	j.Shows("sent from “”")
	q := at.Query()
	if q.Get("iss") != j.s.issuer || q.Get("state") != j.f.State {
		j.Errorf("iss %q, state %q; want %q, %q", q.Get("iss"), q.Get("state"), j.s.issuer, j.f.State)
	}
	return q
}

// allows presses Allow and checks that the code gives a token for exactly these tools.
func (j *journey) allows(tools ...string) {
	j.Helper()
	j.redeems(j.comesBack(allowButton), tools...)
}

// redeems checks that what the client is told is a code for these tools.
func (j *journey) redeems(q url.Values, tools ...string) {
	j.Helper()
	if j.f.Code = q.Get("code"); j.f.Code == "" || q.Has("error") {
		j.Fatalf("the client is told %v", q)
	}
	must(j.T, j.f, (*blackbox.Flow).Redeem)
	_, claims, err := blackbox.Decode(j.f.Access())
	if err != nil {
		j.Fatal(err)
	}
	var granted []string
	entries, _ := claims["authorization_details"].([]any)
	for _, e := range entries {
		if e, _ := e.(map[string]any); e["type"] == "mcp_tool" {
			granted = append(granted, fmt.Sprint(e["tool"]))
		}
	}
	slices.Sort(granted)
	if want := slices.Sorted(slices.Values(tools)); !slices.Equal(granted, want) {
		j.Errorf("the token is for %v, want %v", granted, want)
	}
}

// refuses presses a button that says no, and checks that this is what the client is told.
func (j *journey) refuses(button string) {
	j.Helper()
	if q := j.comesBack(button); q.Get("error") != "access_denied" || q.Has("code") {
		j.Errorf("the client is told %v", q)
	}
}

// stays checks that an answer is a refusal on a page of ours, with nothing for the client.
func (j *journey) stays(status int64, texts ...string) {
	j.Helper()
	if at := j.Address(); !strings.HasPrefix(at, j.s.issuer+"/") || strings.Contains(at, "code=") {
		j.Errorf("led to %s", at)
	}
	if got := j.Read(`String(performance.getEntriesByType("navigation")[0].responseStatus)`); got != fmt.Sprint(status) {
		j.Errorf("answered with %s, want %d: %s", got, status, j.Text())
	}
	j.Shows(texts...)
}
