package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/cmd/remit/demo"
)

// TestPolicyAndDoctorOnTheDemo looks at the demo's servers from outside, and at its policy by the
// calls that its agent has made.
func TestPolicyAndDoctorOnTheDemo(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	words := strings.Fields(d.until(t, "MCP server"))
	var mcpURL string
	for _, w := range words {
		if strings.HasPrefix(w, "http") {
			mcpURL = w
		}
	}
	page, b := d.invitation(t)
	d.decide(t, b, page, blackbox.Choice{Tools: []string{"search_tickets", "delete_ticket"}})
	d.until(t, "Ctrl-C")
	data, err := filepath.Glob(filepath.Join(d.tmp, "remit-demo-*"))
	if err != nil || len(data) != 1 {
		t.Fatalf("the demo's data: %v %v", data, err)
	}
	remit := func(args ...string) (out string, status int) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = append(os.Environ(), "REMIT_DEV=true", "REMIT_DATA_DIR="+data[0])
		raw, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(raw), cmd.ProcessState.ExitCode()
	}

	out, status := remit("doctor", mcpURL, "--json")
	var report struct {
		OK    bool
		Links []struct{ Name, State, Detail string }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || status != 0 || !report.OK {
		t.Errorf("doctor: %v, status %d\n%s", err, status, out)
	}
	for _, l := range report.Links {
		if l.State != "ok" {
			t.Errorf("doctor: %s is %s: %s", l.Name, l.State, l.Detail)
		}
	}
	if out, status := remit("doctor", strings.Replace(mcpURL, "localhost", "127.0.0.1", 1)); status != 1 || !strings.Contains(out, "broken at: resource metadata") || !strings.Contains(out, "the host differs") {
		t.Errorf("doctor by another name: status %d\n%s", status, out)
	}
	if out, status := remit("doctor", strings.TrimSuffix(mcpURL, "mcp")+"elsewhere"); status != 1 || !strings.Contains(out, "broken at: challenge") {
		t.Errorf("doctor elsewhere: status %d\n%s", status, out)
	}

	_, now := demo.NewTickets()
	file := func(name, text string) string {
		at := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return at
	}
	same := file("same.yaml", string(now))
	if out, status := remit("policy", "simulate", same, "--resource", mcpURL); status != 0 || !strings.Contains(out, "0 of ") || strings.Contains(out, "0 of 0 ") {
		t.Errorf("the policy in force: status %d\n%s", status, out)
	}
	changed := file("changed.yaml", strings.Replace(string(now), "delete_ticket: {}", "drop_ticket: {}", 1))
	if out, status := remit("policy", "simulate", changed, "--resource", mcpURL); status != 1 || !strings.Contains(out, "delete_ticket: allowed → refused (unknown_tool)") {
		t.Errorf("a policy without delete_ticket: status %d\n%s", status, out)
	}
	if out, status := remit("policy", "suggest", "--resource", mcpURL); status != 0 || !strings.Contains(out, "nobody called add_comment") || strings.Contains(out, "nobody called delete_ticket") {
		t.Errorf("suggest: status %d\n%s", status, out)
	}
	if out, status := remit("policy", "lint", same, "--resource", mcpURL); status != 1 || !strings.Contains(out, "[unlimited-destructive]") || strings.Contains(out, ": error: ") {
		t.Errorf("lint: status %d\n%s", status, out)
	}
	d.interrupt(t)
}
