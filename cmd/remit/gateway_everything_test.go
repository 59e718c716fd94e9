//go:build clients

package main_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// everythingCommand starts the MCP project's reference server on standard input and output;
// .ci/clients installs it and says so.
const everythingCommand = "REMIT_TEST_EVERYTHING"

const everythingPolicy = `
version: 1
scopes: {everything: {title: "Try things", roles: [tester]}}
roles:
  tester: {tools: {echo: {limits: {message: {maxLength: 20}}}, get-sum: {}, get-env: {}}}
  admin: {include: [tester], tools: {get-tiny-image: {}}}
`

// TestGatewayBeforeEverything puts the gateway before a server of others, in another language, as
// released.
func TestGatewayBeforeEverything(t *testing.T) {
	t.Parallel()
	command := strings.Fields(os.Getenv(everythingCommand))
	if len(command) == 0 {
		t.Fatalf("%s is not set: run .ci/clients, which installs the server", everythingCommand)
	}
	listed, err := json.Marshal(command)
	if err != nil {
		t.Fatal(err)
	}
	listen := freeAddress(t)
	w := newGatewayWorld(t, "http://"+listen+"/everything")
	code := w.register(t, []byte(everythingPolicy), []any{}, "tester")
	g := w.gateway(t, `
listen: `+listen+`
dev: true
upstreams:
  - resource: `+w.r1.URL+`
    issuer: `+w.issuer+`
    policy: policy.yaml
    state_dir: state
    enrolment_code_env: EVERYTHING_CODE
    command: `+string(listed)+`
    env: {GREETING: hello}
`, []byte(everythingPolicy), "EVERYTHING_CODE="+code)
	for _, tool := range []string{"echo", "get-sum", "get-env"} { // what the Guard found waits for an admin
		w.approve(t, w.r1.URL, tool)
	}
	f := w.flow()
	f.Details = blackboxDetails(t, w.r1.URL)
	f = must(t, f, (*blackbox.Flow).ToToken)

	echo := blackbox.Object{"message": "Grüße aus Go"}
	if res := w.called(t, f, "echo", echo); res.Status != http.StatusOK || !strings.Contains(string(res.Body), "Echo: Grüße aus Go") {
		t.Errorf("echo: %s", res)
	}
	if res := w.called(t, f, "get-sum", blackbox.Object{"a": 2, "b": 40}); !strings.Contains(string(res.Body), "42") {
		t.Errorf("get-sum: %s", res)
	}
	res := w.called(t, f, "get-env", blackbox.Object{})
	if env := string(res.Body); !strings.Contains(env, "GREETING") || strings.Contains(env, "EVERYTHING_CODE") || strings.Contains(env, everythingCommand) {
		t.Errorf("get-env: %s", res)
	}
	for tool, arguments := range map[string]blackbox.Object{
		"echo":           {"message": "longer than twenty letters"},
		"get-tiny-image": {},
		"get-sum":        {"a": 1, "b": 2, "c": 3},
	} {
		if res := w.called(t, f, tool, arguments); res.Status != http.StatusForbidden {
			t.Errorf("%s: %s", tool, res)
		}
	}
	list, err := w.r1.Post(t.Context(), "tools/list", "", blackbox.ListBody(), blackbox.Header{Name: "Authorization", Value: "DPoP " + f.Access()}, blackbox.DPoP(w.r1.Proof(f.Key, f.Access())))
	if names := string(list.Body); err != nil || strings.Count(names, `"inputSchema"`) != 3 || strings.Contains(names, "get-tiny-image") {
		t.Errorf("tools/list: %v %s", err, list)
	}
	if !strings.Contains(g.log.String(), "Starting default (STDIO) server") {
		t.Error("what the server writes to standard error is not in the log")
	}
	w.ends(t, f, "echo", echo)
}

func blackboxDetails(t *testing.T, uri string) string {
	t.Helper()
	all := []any{blackbox.Object{"type": "mcp_task", "purpose": "Try everything", "max_duration": 1800}}
	for _, tool := range []string{"echo", "get-sum", "get-env"} {
		all = append(all, blackbox.Object{"type": "mcp_tool", "locations": []string{uri}, "tool": tool})
	}
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
