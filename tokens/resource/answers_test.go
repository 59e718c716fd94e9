package resource_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
)

// TestLimitsHoldForAnswers: a tool that asks for more meanwhile (MCP 2026-07-28) is answered in a new call, with
// the same arguments. The limits of user and policy hold for both: the arguments, and what is called as they are.
func TestLimitsHoldForAnswers(t *testing.T) {
	w := newWorld(t)
	grant := reader()
	limits, err := tokens.ParseConstraints([]byte(`{"project":{"const":"WEB"}}`))
	if err != nil {
		t.Fatal(err)
	}
	grant.Tools[0].Constraints = limits
	token := w.token(grant)
	call := func(arguments map[string]any, more string) answer {
		raw, err := json.Marshal(arguments)
		if err != nil {
			t.Fatal(err)
		}
		return w.send(token, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search_tickets","arguments":`+string(raw)+more+`}}`))
	}
	const fine = `,"inputResponses":{"q":{"action":"accept","content":{"sure":true,"project":"WEB","limit":3}}},"requestState":"s"`
	before := w.calls()
	for name, a := range map[string]answer{
		"other arguments this time": call(map[string]any{"project": "SECRET"}, fine),
		"no arguments this time":    call(map[string]any{}, fine),
		"past the consent":          call(web, `,"inputResponses":{"q":{"action":"accept","content":{"project":"SECRET"}}}`),
		"past the policy":           call(web, `,"inputResponses":{"q":{"action":"accept","content":{"limit":5000}}}`),
		"in another case":           call(web, `,"inputResponses":{"q":{"action":"accept","content":{"PROJECT":"SECRET"}}}`),
		"beside the arguments":      call(web, `,"project":"SECRET"`),
	} {
		w.wants(a, http.StatusForbidden, resource.ArgumentLimit)
		if !strings.Contains(a.body, "project") && !strings.Contains(a.body, "limit") {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	if n := w.calls() - before; n != 0 {
		t.Fatalf("%d of them ran: %s", n, w.sent)
	}
	if a := call(web, fine); a.status != http.StatusOK {
		t.Errorf("the good answer: %d %s", a.status, a.body)
	}
	if !strings.Contains(w.sent[len(w.sent)-1], `"requestState":"s"`) {
		t.Errorf("the server got %s", w.sent[len(w.sent)-1])
	}
}
