package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// The scenarios of the article that Remit answers, each played against the running binary with a
// real MCP server behind its Guard: what is refused, and which ledger records tell the story.

// entry is a ledger record as `remit audit tail --json` prints it.
type entry struct {
	Seq, N                                                                       int64
	At                                                                           time.Time
	Instance, Kind, Task, User, Client, Agent, Resource, JTI, Execution, Request string
	Payload                                                                      map[string]any
}

func (e entry) text(name string) string { s, _ := e.Payload[name].(string); return s }

// story waits until the ledger tells the task's story up to a record that is wanted, and returns it.
func (w *world) story(t *testing.T, task string, wanted func(entry) bool) []entry {
	t.Helper()
	var told []entry
	eventually(t, 10*time.Second, "the ledger tells it", func() bool {
		told = told[:0]
		w.records(t, "task="+task, 0, func(e entry) { told = append(told, e) })
		return slices.ContainsFunc(told, wanted)
	})
	return told
}

// records reads the ledger's chain behind a record to its end, as far as a filter selects.
func (p *process) records(t *testing.T, filter string, after int64, each func(entry)) {
	t.Helper()
	for more := true; more; {
		more = false
		page := p.admin(t, fmt.Sprintf("/admin/api/audit/records?limit=1000&after=%d&%s", after, filter))
		for line := range bytes.Lines(page) {
			var e entry
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatalf("ledger: %v: %s", err, line)
			}
			each(e)
			more, after = true, e.Seq
		}
	}
}

// tells checks that the story has these kinds, in this order.
func tells(t *testing.T, story []entry, kinds ...string) {
	t.Helper()
	i := 0
	for _, e := range story {
		if i < len(kinds) && e.Kind == kinds[i] {
			i++
		}
	}
	if i < len(kinds) {
		var all []string
		for _, e := range story {
			all = append(all, e.Kind)
		}
		t.Errorf("the ledger tells %v, want %v in it in this order", all, kinds)
	}
}

// refusedCall matches the record of a call refused for this reason; a call that was refused before
// its message was read names no tool.
func refusedCall(tool, reason string) func(entry) bool {
	return func(e entry) bool {
		return e.Kind == "execution.decided" && e.text("decision") == "refused" && e.text("reason") == reason && (e.text("tool") == tool || e.text("tool") == "")
	}
}

// reader adds a user who holds only the role reader at the first resource.
func (w *world) reader(t *testing.T) *blackbox.Browser {
	t.Helper()
	b := &blackbox.Browser{Email: "rea@acme.example", Password: blackbox.Random(12)}
	w.remit(t, nil, b.Password+"\n", "user", "add", "--email", b.Email, "--name", "Rea", "--password-stdin")
	w.remit(t, nil, "", "user", "assign", "--email", b.Email, "--resource", w.r1.URL, "--role", "reader")
	return b
}

// call calls a tool of the first resource with the flow's token.
func (w *world) call(t *testing.T, f *blackbox.Flow, tool string, arguments blackbox.Object) blackbox.Response {
	t.Helper()
	res, err := w.r1.Call(t.Context(), f.Key, f.Access(), tool, arguments)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// denied checks a structured denial.
func denied(t *testing.T, res blackbox.Response, status int, code string) {
	t.Helper()
	if got, _ := blackbox.Denial(res)["code"].(string); res.Status != status || got != code {
		t.Errorf("got %d with denial %q: %s; want %d %q", res.Status, got, res, status, code)
	}
}

var comment = blackbox.Object{"project": "WEB", "id": "WEB-118", "text": "from a reader"}

// Scenario 1: the agent was meant to read, but the scope that it asks for reaches writing too.
func TestScenario1ScopeTooBroad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.flow()
	f.Person, f.Details, f.Scope, f.Choice = w.reader(t), "", "tickets.read tickets.write", blackbox.Choice{}
	must(t, f, (*blackbox.Flow).ToToken)

	granted := fmt.Sprint(f.Issued["authorization_details"])
	if strings.Contains(granted, "add_comment") || !strings.Contains(granted, "search_tickets") {
		t.Errorf("a reader's consent granted %s", granted)
	}
	if scope, _ := f.Issued["scope"].(string); !strings.Contains(scope, "tickets.write") {
		t.Errorf("scope %q: the broad scope is the point of this scenario", scope)
	}
	w.works(t, f)
	denied(t, w.call(t, f, "add_comment", comment), http.StatusForbidden, "role") // the second layer
	w.works(t, f)
	story := w.story(t, f.TaskID(), refusedCall("add_comment", "role"))
	tells(t, story, "consent.allowed", "task.created", "token.issued", "execution.decided", "execution.finished", "execution.decided")
}

// Scenario 2: the agent keeps its tokens after the task has ended.
func TestScenario2TokenKeptAfterTheTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.token(t)
	w.works(t, f)
	address := w.issuer + "/tasks/" + f.TaskID() + "/complete"
	done := func() blackbox.Response {
		for range 2 {
			res, err := blackbox.Do(t.Context(), w.issuer, blackbox.Request{Method: "POST", Target: strings.TrimPrefix(address, w.issuer), Headers: []blackbox.Header{
				{Name: "Authorization", Value: "DPoP " + f.Access()}, blackbox.DPoP(blackbox.NewProof(f.Key, "POST", address, w.server.Known(), f.Access())),
			}})
			if err != nil {
				t.Fatal(err)
			}
			if w.server.Note(res); res.Code() != "use_dpop_nonce" {
				return res
			}
		}
		return blackbox.Response{}
	}
	if res := done(); res.Status != http.StatusOK || res.Text("state") != "completed" {
		t.Fatalf("complete: %s", res)
	}
	ended := time.Now()
	w.refuses(t, E("invalid_grant"), func() (blackbox.Response, error) { // the server, at once
		return w.server.Send(t.Context(), f.Key, w.server.Token, f.RefreshForm())
	})
	eventually(t, 2*time.Second, "the Guard refuses the token of the ended task", func() bool {
		res := w.call(t, f, "get_ticket", readArguments)
		code, _ := blackbox.Denial(res)["code"].(string)
		return res.Status == http.StatusUnauthorized && code == "task_ended"
	})
	t.Logf("the Guard refused %v after the end", time.Since(ended).Round(time.Millisecond))
	story := w.story(t, f.TaskID(), refusedCall("get_ticket", "task_ended"))
	tells(t, story, "task.created", "token.issued", "task.ended", "execution.decided")
	tells(t, story, "token.issued", "execution.decided", "execution.finished") // sent by the Guard at its own pace
	w.works(t, w.token(t))                                                     // a new task works
}

// Scenario 5: being signed in, and holding a genuine token, is taken for permission.
func TestScenario5IdentityTakenForPermission(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nobody := &blackbox.Browser{Email: "noor@acme.example", Password: blackbox.Random(12)}
	w.remit(t, nil, nobody.Password+"\n", "user", "add", "--email", nobody.Email, "--name", "Noor", "--password-stdin")
	f := w.flow()
	f.Person = nobody
	must(t, f, (*blackbox.Flow).Push)
	at, err := nobody.Consent(t.Context(), f.AuthorizeURL(), blackbox.Choice{Deny: true})
	if err != nil || at.Query("error") != "access_denied" {
		t.Errorf("a user without any role could consent: %v %s", err, at.Response)
	}

	g := w.flow() // a user with a role, an identity proven, a genuine token: and still not this tool
	g.Person = w.reader(t)
	g.Details = w.details("get_ticket", "delete_ticket")
	must(t, g, (*blackbox.Flow).ToToken)
	w.works(t, g)
	res := w.call(t, g, "delete_ticket", blackbox.Object{"project": "WEB", "id": "WEB-090"})
	if code, _ := blackbox.Denial(res)["code"].(string); res.Status != http.StatusForbidden || code != "scope" && code != "role" && code != "tool_not_granted" {
		t.Errorf("delete by a reader: %s", res)
	}
	challenged := blackbox.Challenges(res)
	if len(challenged) == 0 || challenged[0].Params["error"] != "insufficient_scope" {
		t.Errorf("challenges: %v", challenged)
	}
	w.works(t, g)
	story := w.story(t, g.TaskID(), func(e entry) bool {
		return e.Kind == "execution.decided" && e.text("decision") == "refused" && e.text("tool") == "delete_ticket"
	})
	tells(t, story, "consent.allowed", "token.issued", "execution.decided", "execution.finished", "execution.decided")
}

// Scenario 6: the token leaks to somebody who has not the agent's key.
func TestScenario6LeakedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.token(t)
	w.works(t, f)
	thief := blackbox.NewKey()
	own, err := w.r1.Call(t.Context(), thief, f.Access(), "get_ticket", readArguments) // with a key of its own
	if err != nil || own.Status != http.StatusUnauthorized || !blackbox.Challenged(own, "invalid_dpop_proof") {
		t.Errorf("with another key: %v %s", err, own)
	}
	bearer, err := w.r1.Post(t.Context(), "tools/call", "get_ticket", blackbox.CallBody("get_ticket", readArguments), blackbox.Header{Name: "Authorization", Value: "Bearer " + f.Access()})
	if err != nil || bearer.Status != http.StatusUnauthorized {
		t.Errorf("as a bearer token: %v %s", err, bearer)
	}
	seen := w.r1.Proof(f.Key, f.Access()).String() // a proof that was overheard, too
	send := func() blackbox.Response {
		res, err := w.r1.Post(t.Context(), "tools/call", "get_ticket", blackbox.CallBody("get_ticket", readArguments),
			blackbox.Header{Name: "Authorization", Value: "DPoP " + f.Access()}, blackbox.Header{Name: "DPoP", Value: seen})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if first := send(); first.Status != http.StatusOK {
		t.Fatalf("the owner's own call: %s", first)
	}
	if second := send(); second.Status != http.StatusUnauthorized || !blackbox.Challenged(second, "invalid_dpop_proof") {
		t.Errorf("the overheard proof: %s", second)
	}
	w.refuses(t, E("invalid_grant"), func() (blackbox.Response, error) { // nor does the refresh token help
		return w.server.Send(t.Context(), thief, w.server.Token, f.RefreshForm())
	})
	w.works(t, f)
	good(t, f, (*blackbox.Flow).Refresh)
	story := w.story(t, f.TaskID(), func(e entry) bool { return e.Kind == "finding.refresh_with_another_key" })
	tells(t, story, "token.issued", "execution.decided")
	for _, reason := range []string{"wrong_key", "proof_replayed"} {
		w.story(t, f.TaskID(), func(e entry) bool { return e.Kind == "execution.decided" && e.text("reason") == reason })
	}
}
