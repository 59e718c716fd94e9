package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// The tests of this file hold the server against what strangers, and clients that are known, could
// make it write, hash, keep or grant.

// stopped runs the housekeeping to its end, which writes what was only counted.
func (w *world) stopped() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	must(w.t, w.server.Run(ctx))
}

func TestRefusalsAreCountedByRoute(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("a", 2000)
	for i := range 40 {
		w.browser().get(fmt.Sprintf("/tasks/%d%s", i, long))
		w.browser().post(fmt.Sprintf("/tasks/%d%s/complete", i, long), nil)
		w.browser().get(fmt.Sprintf("/grants/%d%s", i, long))
		w.send("DELETE", fmt.Sprintf("/tasks/%d%s", i, long), "", nil)
	}
	w.stopped()
	recs := w.records("refusals.counted")
	size, paths := 0, []string{}
	for _, rec := range recs {
		size += len(rec.Payload)
		paths = append(paths, fmt.Sprint(payload(t, rec)["path"]))
	}
	if len(recs) > 6 || size > 2000 {
		t.Errorf("strangers made the ledger keep %d records of %d bytes", len(recs), size)
	}
	if !slices.Contains(paths, "/tasks/{id}") || !slices.Contains(paths, "/grants/{hash}") {
		t.Errorf("paths: %q", paths)
	}
}

// Two lines of the page for one tool have the same tick: nobody could say which of them was allowed.
func TestToolIsAskedForOnce(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	form := a.request()
	form.Set("authorization_details", `[{"type":"mcp_tool","locations":["`+ticketsURI+`"],"tool":"search_tickets","constraints":{"project":{"const":"WEB"}}},
		{"type":"mcp_tool","tool":"search_tickets"}]`)
	want(t, a.post("/par", form), 400, "invalid_authorization_details")
}

func TestRevokedTokenMovesNoTask(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	got := a.tokens()
	task, token := got.text("task_id"), got.text("access_token")
	if revoked := a.post("/revoke", url.Values{"client_id": {a.client}, "token": {token}}); revoked.Status != 200 {
		t.Fatalf("revoke: %d %s", revoked.Status, revoked.Body)
	}
	want(t, a.call("GET", "/tasks/"+task, token), 401, "invalid_token")
	for _, verb := range []string{"suspend", "resume", "complete"} {
		want(t, a.call("POST", "/tasks/"+task+"/"+verb, token), 401, "invalid_token")
	}
	if again := a.post("/token", a.refreshForm(got.text("refresh_token"))); again.Status != 200 {
		t.Errorf("the task did not survive: %d %s", again.Status, again.Body)
	}
}

func TestRevokingAgainWritesNothing(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	token := a.tokens().text("access_token")
	for range 3 {
		if got := a.send("/revoke", url.Values{"client_id": {a.client}, "token": {token}}); got.Status != 200 {
			t.Fatalf("revoke: %d %s", got.Status, got.Body)
		}
	}
	if n := len(w.records("token.revoked")); n != 1 {
		t.Errorf("%d records of one revocation", n)
	}
}

// A thief knows the client_id of every public client, and has a key of their own.
func TestFindingsOfOneTaskAreFew(t *testing.T) {
	w := newWorld(t)
	owner, thief, other := w.agent(w.client), w.agent(w.client), w.agent(w.other)
	got := owner.tokens()
	refresh := got.text("refresh_token")
	for range 15 {
		want(t, thief.post("/token", thief.refreshForm(refresh)), 400, "invalid_grant")
		want(t, other.post("/token", other.refreshForm(refresh)), 400, "invalid_grant")
		want(t, other.post("/revoke", url.Values{"client_id": {w.other}, "token": {refresh}}), 400, "unauthorized_client")
	}
	n := len(w.records("finding.refresh_with_another_key")) + len(w.records("finding.refresh_of_another_client")) + len(w.records("finding.revocation_by_another_client"))
	if n < 3 || n > 12 {
		t.Errorf("%d findings of 45 tries with one stolen token", n)
	}
	if again := owner.post("/token", owner.refreshForm(refresh)); again.Status != 200 {
		t.Errorf("the owner: %d %s", again.Status, again.Body)
	}
}

func TestAgentPausesWithinLimits(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	got := a.tokens()
	task, token := got.text("task_id"), got.text("access_token")
	limited := false
	for range 30 {
		paused := a.call("POST", "/tasks/"+task+"/suspend", token)
		a.call("POST", "/tasks/"+task+"/resume", token)
		limited = limited || paused.Status == http.StatusTooManyRequests
	}
	if !limited || len(w.records("task.suspended")) > 25 {
		t.Errorf("an agent left %d suspensions in the ledger at once", len(w.records("task.suspended")))
	}
	if done := a.call("POST", "/tasks/"+task+"/complete", token); done.Status != 200 {
		t.Errorf("ending is never limited: %d %s", done.Status, done.Body)
	}
}

// Reading a policy costs more than a stranger may have for nothing.
func TestEnrolmentCodeIsJudgedBeforeTheManifest(t *testing.T) {
	w := newWorld(t)
	key, err := tokens.NewSigningKey()
	must(t, err)
	in := map[string]any{"enrolment_code": tokens.NewSecret("enrol_"), "key": key.PublicJWK(), "policy": "no policy"}
	want(t, w.send("POST", "/enroll", "", in), 400, "invalid_grant")
	in["enrolment_code"] = w.enrolCode(ticketsURI)
	want(t, w.send("POST", "/enroll", "", in), 400, "invalid_request")
	in["policy"] = ""
	if got := w.send("POST", "/enroll", "", in); got.Status != 201 {
		t.Errorf("the refused manifest spent the code: %d %s", got.Status, got.Body)
	}
	if recs := w.records("guard.enrolled"); len(recs) != 1 || recs[0].Resource != ticketsURI {
		t.Errorf("the ledger does not say where the Guard enrolled: %+v", recs)
	}
}

// Guessing counts against who guesses: a browser that has signed in here before is not locked out.
func TestStrangersLockNobodyOut(t *testing.T) {
	w := newWorld(t)
	known := w.browser()
	known.signIn()
	for range 12 {
		w.browser().post("/signin", url.Values{"email": {"mara@example.com"}, "password": {"guess"}})
	}
	if got := w.browser().post("/signin", url.Values{"email": {"mara@example.com"}, "password": {password}}); got.Status != http.StatusTooManyRequests {
		t.Errorf("a stranger's guesses are not slowed down: %d", got.Status)
	}
	known.signIn()
	stolen := w.browser() // the mark of one account is none for another
	stolen.http.Jar.SetCookies(mustURL(t, w.issuer), known.http.Jar.Cookies(mustURL(t, w.issuer)))
	limited := false
	for range 12 {
		got := stolen.post("/signin", url.Values{"email": {"someone@example.com"}, "password": {"guess"}})
		limited = limited || got.Status == http.StatusTooManyRequests
	}
	for range 12 { // and it is no licence to guess
		got := known.post("/signin", url.Values{"email": {"mara@example.com"}, "password": {"guess"}})
		limited = limited && (got.Status == http.StatusUnauthorized || got.Status == http.StatusTooManyRequests)
	}
	if got := known.post("/signin", url.Values{"email": {"mara@example.com"}, "password": {"guess"}}); !limited || got.Status != http.StatusTooManyRequests {
		t.Errorf("guessing with a known browser is not slowed down: %d", got.Status)
	}
}

// One customer's line has 2^64 addresses of IPv6.
func TestSignInLimitHoldsForAnIPv6Network(t *testing.T) {
	w := newWorldOn(t, func(s store.Store) store.Store { return s }, func(c *server.Config) { c.TrustedProxies = []string{"127.0.0.1", "::1"} })
	for i := range 80 {
		r, err := http.NewRequest("POST", w.issuer+"/signin", strings.NewReader(url.Values{"email": {fmt.Sprintf("u%d@example.com", i)}, "password": {strings.Repeat("x", 2000)}}.Encode()))
		must(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Forwarded-For", fmt.Sprintf("2001:db8::%x", i))
		resp, err := http.DefaultTransport.RoundTrip(r)
		if got := read(t, resp, err); got.Status == http.StatusTooManyRequests {
			return
		}
	}
	t.Error("80 sign-ins from one /64 were not slowed down")
}

// A refresh that names a tool twice, with its location and without, asks for a token that no Guard reads.
func TestRefreshNamesAToolOnce(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	form := a.refreshForm(a.tokens().text("refresh_token"))
	form.Set("authorization_details", `[{"type":"mcp_tool","tool":"search_tickets"},{"type":"mcp_tool","tool":"search_tickets","locations":["`+ticketsURI+`"]}]`)
	want(t, a.post("/token", form), 400, "invalid_authorization_details")
	form.Del("authorization_details")
	if got := a.post("/token", form); got.Status != 200 {
		t.Errorf("the refused refresh spent the token: %d %s", got.Status, got.Body)
	}
}
