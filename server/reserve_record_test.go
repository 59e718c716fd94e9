package server_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/remit-auth/remit/tokens"
)

// AU1: a counted call and a sign-out leave one record each; repeating the call leaves none.
func TestReservationAndSignOutAreRecorded(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	body := map[string]string{"execution": tokens.NewID("exe_"), "task": claims.Task.ID, "jti": claims.ID, "tool": "add_comment"}
	for range 2 {
		if got := g.call("POST", "/executions/reserve", body); got.Status != http.StatusOK {
			t.Fatalf("reserve: %d %s", got.Status, got.Body)
		}
	}
	recs := w.records("call.reserved")
	if len(recs) != 1 {
		t.Fatalf("%d records of one call", len(recs))
	}
	if r := recs[0]; r.Task != claims.Task.ID || r.User != w.user.ID || r.JTI != claims.ID || r.Resource != ticketsURI || r.Execution != body["execution"] || payload(t, r)["tool"] != "add_comment" {
		t.Errorf("the record says %+v", r)
	}
	refused := map[string]string{"execution": tokens.NewID("exe_"), "task": claims.Task.ID, "jti": claims.ID, "tool": "get_ticket"}
	if got := g.call("POST", "/executions/reserve", refused); got.Status == http.StatusOK {
		t.Error("a tool that was not granted is counted")
	}
	b := w.browser()
	b.signIn()
	before := len(w.records("session.ended"))
	page := b.get("/agents")
	for range 2 {
		b.post("/signout", url.Values{"csrf": {hidden(page.Body).Get("csrf")}})
	}
	if n := len(w.records("session.ended")) - before; n != 1 {
		t.Errorf("%d records of one sign-out", n)
	}
	if n := len(w.records("call.reserved")); n != 1 {
		t.Errorf("%d records of calls in the end", n)
	}
}
