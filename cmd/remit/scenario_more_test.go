package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// Scenario 3: afterwards nobody can say what the agent did. Here every call has two records, what was
// decided and how it went, joined by execution, task and token with what the server issued; and
// whoever edits the database afterwards is found, offline.
func TestScenario3MissingAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.token(t)
	w.works(t, f)
	denied(t, w.call(t, f, "get_ticket", blackbox.Object{"project": "OPS", "id": "OPS-1"}), http.StatusForbidden, "argument_limit")
	story := w.story(t, f.TaskID(), refusedCall("get_ticket", "argument_limit"))
	tells(t, story, "consent.allowed", "task.created", "token.issued", "execution.decided")

	_, claims, err := blackbox.Decode(f.Access())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range story {
		switch e.Kind {
		case "execution.decided", "execution.finished":
			if e.User != claims["sub"] || e.Client != w.a || e.Agent != f.Key.JKT() || e.JTI != claims["jti"] || e.Resource != w.r1.URL {
				t.Errorf("%s does not say who, by which client, key and token, and where: %+v", e.Kind, e)
			}
		}
		if e.Kind == "execution.decided" && (e.text("tool") != "get_ticket" || e.text("definition") == "" || len(e.Payload["checks"].([]any)) == 0) {
			t.Errorf("the decision does not say what was checked: %+v", e.Payload)
		}
		if raw, _ := json.Marshal(e); strings.Contains(string(raw), f.Access()) || strings.Contains(string(raw), f.RefreshToken()) {
			t.Errorf("a record holds a usable token: %s", raw)
		}
	}
	w.tampering(t)
}

// tampering stops the server, verifies its ledger, changes one byte of one record, and verifies again.
func (w *world) tampering(t *testing.T) {
	t.Helper()
	w.r1.guard.Close()
	w.r2.guard.Close()
	w.stop(t)
	var good struct{ OK bool }
	w.remit(t, &good, "", "audit", "verify")
	if !good.OK {
		t.Fatal("the ledger does not verify before anybody touched it")
	}
	w.falsify(t, `"reason":"argument_limit"`, `"reason":"argument_limix"`)
	verify := exec.CommandContext(t.Context(), binary, "audit", "verify")
	verify.Env = w.environ()
	if out, err := verify.CombinedOutput(); err == nil {
		t.Errorf("the falsified ledger verifies: %s", out)
	}
}

// Scenario 4: the server's roles are broader than the scopes that lead to them. The consent is the
// second lock: whatever the role may do, the agent gets what the user ticked, as it was defined then.
func TestScenario4RoleTooBroad(t *testing.T) {
	t.Parallel()
	w := newWorld(t) // Mara holds the role admin, which may delete
	f := w.flow()
	f.Details, f.Scope = "", "tickets.read tool:delete_ticket" // a scope of that name leads to the broad role
	f.Choice = blackbox.Choice{Tools: []string{"get_ticket"}}
	must(t, f, (*blackbox.Flow).ToToken)
	if roles := fmt.Sprint(claim(t, f, "roles")); !strings.Contains(roles, "admin") {
		t.Fatalf("roles %s: the broad role is the point of this scenario", roles)
	}
	w.works(t, f)
	res := w.call(t, f, "delete_ticket", blackbox.Object{"project": "WEB", "id": "WEB-090"})
	if code, _ := blackbox.Denial(res)["code"].(string); res.Status != http.StatusForbidden || code != "scope" && code != "tool_not_granted" {
		t.Errorf("the role reaches delete, the user did not allow it: %s", res)
	}
	denied(t, w.call(t, f, "search_tickets", blackbox.Object{"project": "WEB"}), http.StatusForbidden, "tool_not_granted") // in scope, in role, not ticked
	w.works(t, f)
	story := w.story(t, f.TaskID(), refusedCall("search_tickets", "tool_not_granted"))
	tells(t, story, "consent.allowed", "token.issued", "execution.decided")
}

// claim reads a claim of the flow's access token.
func claim(t *testing.T, f *blackbox.Flow, name string) any {
	t.Helper()
	_, claims, err := blackbox.Decode(f.Access())
	if err != nil {
		t.Fatal(err)
	}
	return claims[name]
}

// A rule stops a task before a person looks: a copy of its token was used with another key.
func TestRuleSuspendsTheTaskOfACopiedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "REMIT_RULES=on")
	f := w.token(t)
	w.works(t, f)
	res, err := w.r1.Call(t.Context(), blackbox.NewKey(), f.Access(), "get_ticket", readArguments)
	if err != nil || res.Status != http.StatusUnauthorized {
		t.Fatalf("the copy: %v %s", err, res)
	}
	eventually(t, 10*time.Second, "the task is suspended at the resource", func() bool {
		res := w.call(t, f, "get_ticket", readArguments)
		code, _ := blackbox.Denial(res)["code"].(string)
		return res.Status == http.StatusForbidden && code == "task_suspended"
	})
	kept, err := w.server.Send(t.Context(), f.Key, w.server.Token, f.RefreshForm())
	if err != nil || kept.Status != http.StatusServiceUnavailable || kept.Header.Get("Retry-After") == "" {
		t.Errorf("refresh while suspended: %v %s", err, kept)
	}
	at, err := w.mara.Get(t.Context(), w.issuer+"/agents")
	if err != nil || !strings.Contains(string(at.Body), "another key") {
		t.Errorf("the user is not told why: %v", err)
	}
	w.remit(t, nil, "", "task", "resume", f.TaskID())
	eventually(t, 10*time.Second, "the task goes on", func() bool { return w.call(t, f, "get_ticket", readArguments).Status == http.StatusOK })
	tells(t, w.story(t, f.TaskID(), func(e entry) bool { return e.Kind == "task.resumed" }), "token.issued", "rule.fired", "task.resumed")
}
