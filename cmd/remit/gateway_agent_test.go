//go:build clients

package main_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/tokens/agent"
)

// sdkAgent is an agent as its authors write it: the Go SDK's client on the transport of package agent,
// with Mara in front of it.
type sdkAgent struct {
	*helper
	task     string
	tools    *mcp.ClientSession
	progress chan string
}

// employ lends an agent the task that it asks for, and connects it.
func (w *world) employ(t *testing.T, ask agent.Ask, choice blackbox.Choice) *sdkAgent {
	t.Helper()
	a := &sdkAgent{helper: w.assistWith(t, ask, choice), progress: make(chan string, 100)}
	a.task = a.session.Held().TaskID
	client := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { a.progress <- r.Params.Message },
	})
	eventually(t, 20*time.Second, "the agent is connected", func() (connected bool) {
		var err error
		a.tools, err = client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: w.r1.URL, HTTPClient: a.http, DisableStandaloneSSE: true, MaxRetries: -1}, nil)
		return err == nil
	})
	t.Cleanup(func() { a.tools.Close() })
	return a
}

// runs calls a tool and wants this in its answer.
func (a *sdkAgent) runs(tool string, arguments map[string]any, want string) {
	a.t.Helper()
	params := &mcp.CallToolParams{Name: tool, Arguments: arguments}
	params.SetProgressToken(tool)
	res, err := a.tools.CallTool(a.t.Context(), params)
	if err != nil {
		a.t.Errorf("%s: %v", tool, err)
		return
	}
	var said strings.Builder
	for _, c := range res.Content {
		if text, ok := c.(*mcp.TextContent); ok {
			said.WriteString(text.Text)
		}
	}
	if res.IsError || !strings.Contains(said.String(), want) {
		a.t.Errorf("%s answers (error: %t) %q, want %q in it", tool, res.IsError, said.String(), want)
	}
}

// refused calls a tool, which must not run, and waits for the ledger to say why.
func (a *sdkAgent) refused(tool string, arguments map[string]any, code string) {
	a.t.Helper()
	res, err := a.tools.CallTool(a.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err == nil {
		a.t.Errorf("%s ran: %v, want %s", tool, res, code)
		return
	}
	a.t.Logf("%s, which must be %s: %v", tool, code, err)
	a.w.story(a.t, a.task, refusedCall(tool, code))
}

// ends completes the task, and checks that the agent is dead at once and that the ledger holds.
func (a *sdkAgent) ends(tool string, arguments map[string]any) {
	a.t.Helper()
	if err := a.session.CompleteTask(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
	eventually(a.t, 2*time.Second, "the Guard refuses the ended task", func() bool {
		status, _ := a.call(tool, arguments)
		return status == http.StatusUnauthorized
	})
	if res, err := a.tools.CallTool(a.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments}); err == nil {
		a.t.Errorf("%s ran after the end: %v", tool, res)
	}
	a.w.story(a.t, a.task, refusedCall(tool, "task_ended"))
	if out, err := a.w.typed(a.t, "", "audit", "verify"); err != nil || !strings.HasPrefix(out, "OK") {
		a.t.Errorf("audit verify: %v %s", err, out)
	}
}

// offered are the tools that the agent is shown.
func (a *sdkAgent) offered() (names []string) {
	a.t.Helper()
	for tool, err := range a.tools.Tools(a.t.Context(), nil) {
		if err != nil {
			a.t.Fatal(err)
		}
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	return names
}

// theirs is the command of somebody else's server, from a variable that .ci/clients sets.
func theirs(t *testing.T, variable string, args ...string) []string {
	t.Helper()
	command := strings.Fields(os.Getenv(variable))
	if len(command) == 0 {
		t.Fatalf("%s is not set: run .ci/clients, which installs the server", variable)
	}
	return append(command, args...)
}

// background runs a command until the test ends.
func background(t *testing.T, env []string, command ...string) *journal {
	t.Helper()
	log := &journal{}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // with the signal
		if t.Failed() {
			t.Logf("%s:\n%s", command, log.String())
		}
	})
	return log
}
