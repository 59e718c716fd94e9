package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// standIn is what a Guard sends for a record of these claims that was refused.
func standIn(c tokens.Claims) map[string]any {
	return map[string]any{
		"kind": "execution.unrecorded", "execution": tokens.NewID("exe_"), "at": c.IssuedAt.UnixMicro(), "task": c.Task.ID, "jti": c.ID,
		"of": "execution.decided", "unrecorded": tokens.HashBytes([]byte("what was refused")), "size": 777, "reason": "records[0]: too <odd>",
	}
}

// A refused record is named, and its stand-in takes its place: the records behind it arrive, and nobody
// can overlook that one is missing.
func TestStandIn(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	bad := but(decided(claims), map[string]any{"jti": "at_odd"})
	got := g.call("POST", "/executions", batch(1, decided(claims), bad, decided(claims)))
	if got.Status != http.StatusBadRequest || got.error() != "invalid_request" || got.JSON["record"] != 1.0 || got.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s %v", got.Status, got.Body, got.Header)
	}
	w.stopped()
	if counted := w.records("refusals.counted"); !slices.ContainsFunc(counted, func(rec store.Record) bool { return payload(t, rec)["path"] == "/executions" }) {
		t.Errorf("the refusal is not counted: %d", len(counted))
	}
	stands := standIn(claims)
	if got := g.call("POST", "/executions", batch(1, decided(claims), stands, decided(claims))); got.Status != http.StatusOK || got.JSON["next"] != 4.0 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if got := g.call("POST", "/executions", batch(2, stands)); got.Status != http.StatusOK || got.JSON["next"] != 4.0 {
		t.Fatalf("sent again: %d %s", got.Status, got.Body)
	}
	recs := w.records("finding.execution_unrecorded")
	if len(recs) != 1 || len(w.records("execution.decided")) != 2 {
		t.Fatalf("%d findings", len(recs))
	}
	rec := recs[0]
	if rec.Task != claims.Task.ID || rec.User != claims.Subject || rec.Client != claims.ClientID || rec.Execution != stands["execution"] || rec.Resource != ticketsURI {
		t.Errorf("%+v", rec)
	}
	if n := w.server.Unrecorded(); n != 1 {
		t.Errorf("it is counted %d times", n)
	}
	page := w.staff("sam@example.org", store.RoleViewer).get("/admin/findings")
	for _, text := range []string{"A call that is not recorded", stands["unrecorded"].(string), "records[0]: too &lt;odd&gt;"} {
		if !strings.Contains(page.Body, text) {
			t.Errorf("the console does not say %q: %s", text, page.Body)
		}
	}
	shows(t, w.mara().get("/agents"), "Calls 2 1 missing")
	shows(t, w.mara().get("/agents/"+claims.Task.ID), "Calls 2 1 missing", "could not be kept: 1.")
	_, _, digests, err := server.SignedBatch(w.records("execution.batch")[0], g.key.PublicJWK())
	must(t, err)
	if where, n, digest, ok := server.Said(rec); !ok || where != g.id+"/" || n != 2 || digest != digests[1] {
		t.Errorf("it is not proven: %q %d", where, n)
	}
	for member, value := range map[string]any{"unrecorded": tokens.HashBytes([]byte("something else")), "reason": "nothing", "kind": "execution.finished", "guard_at": 1, "size": 1} {
		var p map[string]any
		must(t, json.Unmarshal(rec.Payload, &p))
		p[member] = value
		turned := rec
		turned.Payload, err = json.Marshal(p)
		must(t, err)
		if _, _, digest, _ := server.Said(turned); digest == digests[1] {
			t.Errorf("it is proven though its %s was turned", member)
		}
	}
}

// A Guard blames no task of others, and what is no stand-in is refused.
func TestStandInRefused(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	g, other := w.guard(ticketsURI), w.guard(otherURI)
	_, claims := w.lend()
	if got := other.call("POST", "/executions", batch(1, standIn(claims), but(standIn(claims), map[string]any{"task": "", "jti": "", "execution": ""}))); got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	for _, rec := range w.records("finding.execution_unrecorded") {
		if rec.Task != "" || rec.User != "" || rec.Client != "" || rec.JTI != "" || rec.Resource != otherURI {
			t.Errorf("%+v", rec)
		}
		if _, _, digest, ok := server.Said(rec); !ok || digest == "" {
			t.Error("it is not proven")
		}
	}
	for name, change := range map[string]map[string]any{
		"no digest":        {"unrecorded": nil},
		"a short digest":   {"unrecorded": "sha-256:abc"},
		"another's digest": {"unrecorded": "sha-512:" + strings.Repeat("a", 43)},
		"an odd execution": {"execution": "exe_1"},
		"an odd task":      {"task": "tsk_1"},
		"an odd token":     {"jti": "at_1"},
		"another member":   {"tool_": "x"},
	} {
		bad := standIn(claims)
		maps.Copy(bad, change)
		if got := g.call("POST", "/executions", batch(1, bad)); got.Status != http.StatusBadRequest || got.JSON["record"] != 0.0 {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	if got := g.call("POST", "/executions", batch(1, standIn(claims))); got.Status != http.StatusOK {
		t.Errorf("the good one: %d %s", got.Status, got.Body)
	}
}

// A stolen key of a Guard fills neither the console nor the ledger with stand-ins, nor with what else they say.
func TestStandInsAreFew(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	long := standIn(claims)
	long["reason"] = strings.Repeat("x", 8<<10)
	if got := g.call("POST", "/executions", batch(1, long)); got.Status != http.StatusBadRequest {
		t.Errorf("a long one: %d %s", got.Status, got.Body)
	}
	many := make([]any, 500)
	for i := range many {
		many[i] = standIn(claims)
	}
	if got := g.call("POST", "/executions", batch(1, many...)); got.Status != http.StatusTooManyRequests {
		t.Errorf("500 at once: %d %s", got.Status, got.Body)
	}
	w.clock.Add(time.Hour)
	odd := standIn(claims)
	odd["reason"] = "call \u202eevil\u202c\nnow"
	if got := g.call("POST", "/executions", batch(1, odd, decided(claims))); got.Status != http.StatusOK { // a Guard of ours goes on
		t.Errorf("one later: %d %s", got.Status, got.Body)
	}
	if page := w.staff("sam@example.org", store.RoleViewer).get("/admin/findings"); strings.Contains(page.Body, "\u202e") || !strings.Contains(page.Body, "call ?evil") {
		t.Errorf("the console shows what turns its text around: %s", page.words())
	}
}

// Where no call of a running task could be recorded at all, its user still gets to the page that says so.
func TestNothingButStandIns(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	if got := g.call("POST", "/executions", batch(1, standIn(claims))); got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	w.records("execution.batch") // settles
	mara := w.mara()
	if page := mara.get("/agents"); !strings.Contains(page.Body, `href="/agents/`+claims.Task.ID+`"`) {
		t.Errorf("no way leads there: %s", page.Body)
	}
	shows(t, mara.get("/agents/"+claims.Task.ID), "Calls 0 1 missing", "could not be kept: 1.")
}
