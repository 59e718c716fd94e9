//go:build clients

package main_test

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/tokens/agent"
)

// everythingCommand starts the MCP project's reference server; .ci/clients installs it and says so.
const everythingCommand = "REMIT_TEST_EVERYTHING"

const everythingPolicy = `
version: 1
scopes:
  everything: {title: "Try things", roles: [admin]}
  docs: {title: "Read its documents", roles: [guest]}
roles:
  guest: {resources: ["demo://resource/static/document/*.md"], prompts: [simple-prompt]}
  tester:
    include: [guest]
    tools:
      echo: {limits: {message: {maxLength: 20}}}
      get-sum: {max_calls: 2}
      get-env: {approval: each_call}
      trigger-long-running-operation: {limits: {duration: {maximum: 1}}}
  admin: {include: [tester], tools: {get-tiny-image: {}}}
`

// everythingTools are those that a tester may use.
var everythingTools = []string{"echo", "get-sum", "get-env", "trigger-long-running-operation"}

// TestGatewayBeforeEverything puts the gateway before a server of others, in another language, as
// released: one that it starts, and one that is reached over HTTP and keeps sessions.
func TestGatewayBeforeEverything(t *testing.T) {
	t.Parallel()
	t.Run("stdio", func(t *testing.T) {
		t.Parallel()
		command, err := json.Marshal(theirs(t, everythingCommand, "stdio"))
		if err != nil {
			t.Fatal(err)
		}
		w, a, log := beforeEverything(t, "command: "+string(command)+"\n    env: {GREETING: hello}")
		a.runs("get-env", nil, "GREETING")
		if a.approved != 1 {
			t.Errorf("Mara was asked %d times", a.approved)
		}
		for _, secret := range []string{"EVERYTHING_CODE", everythingCommand} {
			res, err := a.tools.CallTool(t.Context(), &mcp.CallToolParams{Name: "get-env"})
			if err != nil || strings.Contains(fmt.Sprint(res.Content), secret) {
				t.Errorf("the server sees %s: %v", secret, err)
			}
		}
		if !strings.Contains(log.String(), "Starting default (STDIO) server") {
			t.Error("what the server writes to standard error is not in the log")
		}
		everything(w, a)
	})
	t.Run("streamable HTTP", func(t *testing.T) {
		t.Parallel()
		host, port, err := net.SplitHostPort(freeAddress(t))
		if err != nil {
			t.Fatal(err)
		}
		log := background(t, []string{"PORT=" + port}, theirs(t, everythingCommand, "streamableHttp")...)
		eventually(t, 20*time.Second, "their server listens", func() bool { return strings.Contains(log.String(), "listening on port") })
		w, a, _ := beforeEverything(t, "url: http://"+net.JoinHostPort(host, port)+"/mcp")
		a.runs("trigger-long-running-operation", map[string]any{"duration": 0.2, "steps": 2}, "Long running operation completed")
		select { // what the server says meanwhile arrives
		case <-a.progress:
		case <-time.After(20 * time.Second):
			t.Error("no progress arrived")
		}
		everything(w, a)
	})
}

// beforeEverything is a gateway before the server, and an agent that may use a tester's tools.
func beforeEverything(t *testing.T, upstream string) (*world, *sdkAgent, *journal) {
	t.Helper()
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
    `+upstream+`
`, []byte(everythingPolicy), "EVERYTHING_CODE="+code)
	for _, tool := range append([]string{"get-tiny-image"}, everythingTools...) { // what the Guard found waits for an admin
		w.approve(t, w.r1.URL, tool)
	}
	a := w.employ(t, agent.Ask{Scopes: []string{"everything", "docs"}}, blackbox.Choice{Duration: 1800, Tools: []string{"get-sum", "get-env", "trigger-long-running-operation"}})
	return w, a, &g.log
}

// everything is what an agent is let do, and what not, however the server is reached.
func everything(w *world, a *sdkAgent) {
	a.t.Helper()
	if got, want := a.offered(), []string{"get-env", "get-sum", "trigger-long-running-operation"}; !slices.Equal(got, want) {
		a.t.Errorf("the agent is shown %v, want %v", got, want)
	}
	hello := map[string]any{"message": "Grüße aus Go"}
	a.choose = denying
	a.refused("echo", hello, "tool_not_granted")
	if a.stepped != 1 {
		a.t.Errorf("%d step-ups", a.stepped)
	}
	a.refused("get-tiny-image", nil, "role")
	a.refused("trigger-long-running-operation", map[string]any{"duration": 60}, "argument_limit")
	a.refused("get-sum", map[string]any{"a": 1, "b": 2, "c": 3}, "argument_limit")
	a.refused("toggle-simulated-logging", nil, "unknown_tool")
	for range 2 {
		a.runs("get-sum", map[string]any{"a": 2, "b": 40}, "42")
	}
	a.refused("get-sum", map[string]any{"a": 2, "b": 40}, "tool_budget")
	a.answer = "deny"
	a.refused("get-env", nil, "approval_required")
	a.refused("get-env", nil, "approval_denied")

	// Documents and prompts, as far as the policy lets them be read.
	read, err := a.tools.ReadResource(a.t.Context(), &mcp.ReadResourceParams{URI: "demo://resource/static/document/architecture.md"})
	if err != nil || len(read.Contents) == 0 || !strings.Contains(read.Contents[0].Text, "Everything Server") {
		a.t.Errorf("a document: %v", err)
	}
	if _, err := a.tools.ReadResource(a.t.Context(), &mcp.ReadResourceParams{URI: "demo://resource/dynamic/text/1"}); err == nil {
		a.t.Error("a document that nobody lends was read")
	}
	prompt, err := a.tools.GetPrompt(a.t.Context(), &mcp.GetPromptParams{Name: "simple-prompt"})
	if err != nil || len(prompt.Messages) != 1 {
		a.t.Errorf("a prompt: %v", err)
	}
	if _, err := a.tools.GetPrompt(a.t.Context(), &mcp.GetPromptParams{Name: "args-prompt", Arguments: map[string]string{"city": "Bonn"}}); err == nil {
		a.t.Error("a prompt that nobody lends was got")
	}

	// Another agent of Mara's is given more when it asks, within its task.
	b := w.employ(a.t, agent.Ask{Scopes: []string{"everything"}}, blackbox.Choice{Duration: 1800, Tools: []string{"get-sum"}})
	b.choose = ticking("task", "echo")
	b.runs("echo", hello, "Echo: Grüße aus Go")
	if b.stepped != 1 || b.session.Held().TaskID != b.task {
		a.t.Errorf("%d step-ups, task %s", b.stepped, b.session.Held().TaskID)
	}
	b.refused("echo", map[string]any{"message": "longer than twenty letters"}, "argument_limit")
	a.ends("get-sum", map[string]any{"a": 2, "b": 40})
	b.runs("echo", hello, "Echo: Grüße aus Go") // whose task is another
	b.ends("echo", hello)
}
