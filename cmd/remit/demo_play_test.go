package main_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestDemoScript plays the demo as CI does: every step is judged by the demo's own witness.
func TestDemoScript(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "--script")
	out, err := io.ReadAll(d.out)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s%s", err, out, d.errors.String())
	}
	for _, line := range []string{"allowed 3 of 5 tools", "403 insufficient_scope", "401 invalid_dpop_proof", "401 invalid_token (task ended)", "400 invalid_grant", "audit verify", "all as told"} {
		if !strings.Contains(string(out), line) {
			t.Errorf("the narration lacks %q", line)
		}
	}
	if strings.Contains(string(out), "\x1b") {
		t.Error("colours without a terminal")
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
	d.cleanedUp(t)
}

// TestDemoWithAPerson plays the scene with somebody at a browser, while the usual ports are taken:
// it goes to its end, stays up to be looked at, and Ctrl-C leaves nothing behind.
func TestDemoWithAPerson(t *testing.T) {
	t.Parallel()
	for _, taken := range []string{"127.0.0.1:8080", "127.0.0.1:8090"} {
		if l, err := net.Listen("tcp", taken); err == nil { // else somebody else has it, which does as well
			defer l.Close()
		}
	}
	d := startDemo(t)
	page, b := d.invitation(t)
	if strings.Contains(page, "localhost:8080") {
		t.Errorf("the demo took a port that was taken: %s", page)
	}
	if !d.decide(t, b, page, blackbox.Choice{Tools: []string{"search_tickets", "delete_ticket"}}) {
		t.Fatal("the agent was not reached")
	}
	d.until(t, "allowed 2 of 5 tools")
	d.until(t, "✕ get_ticket") // not ticked
	d.until(t, "✓ delete_ticket")
	d.until(t, "audit verify")
	agents := strings.Fields(d.until(t, "/agents"))
	d.until(t, "Ctrl-C")
	at, err := b.Get(t.Context(), agents[2])
	if err != nil || !strings.Contains(at.Page.Text, "Triage this week") {
		t.Errorf("the agents page afterwards: %v %s", err, at.Response)
	}
	d.interrupt(t)
}

// TestDemoDenied: a person who does not allow it is told so, and nothing else happens.
func TestDemoDenied(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	page, b := d.invitation(t)
	d.decide(t, b, page, blackbox.Choice{Deny: true})
	d.until(t, "access_denied")
	d.until(t, "nothing was granted")
	d.until(t, "Ctrl-C")
	d.interrupt(t)
}

// TestDemoInterrupted: Ctrl-C while it waits for a person leaves nothing behind either.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	d.invitation(t)
	d.interrupt(t)
}

// demoRun is a running `remit demo`.
type demoRun struct {
	cmd    *exec.Cmd
	out    io.ReadCloser
	lines  *bufio.Scanner
	seen   strings.Builder
	errors journal
	tmp    string
}

func startDemo(t *testing.T, args ...string) *demoRun {
	t.Helper()
	d := &demoRun{tmp: shortDir(t)}
	d.cmd = exec.Command(binary, append([]string{"demo"}, args...)...)
	d.cmd.Stderr = &d.errors
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "REMIT_") && !strings.HasPrefix(pair, "TMPDIR=") {
			d.cmd.Env = append(d.cmd.Env, pair)
		}
	}
	d.cmd.Env = append(d.cmd.Env, "TMPDIR="+d.tmp)
	var err error
	if d.out, err = d.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.lines = bufio.NewScanner(d.out)
	watchdog := time.AfterFunc(time.Minute, func() { d.cmd.Process.Kill() })
	t.Cleanup(func() {
		watchdog.Stop()
		d.cmd.Process.Kill() // which fails when it has ended, as it should have
	})
	return d
}

// until reads the narration up to a line that contains text.
func (d *demoRun) until(t *testing.T, text string) string {
	t.Helper()
	for d.lines.Scan() {
		d.seen.WriteString(d.lines.Text() + "\n")
		if strings.Contains(d.lines.Text(), text) {
			return d.lines.Text()
		}
	}
	t.Fatalf("the narration ended without %q:\n%s%s", text, d.seen.String(), d.errors.String())
	return ""
}

// invitation reads the page's address, and who signs in there.
func (d *demoRun) invitation(t *testing.T) (page string, b *blackbox.Browser) {
	t.Helper()
	page = strings.TrimSpace(d.until(t, "/authorize?"))
	email := strings.Fields(d.until(t, "e-mail"))
	password := strings.Fields(d.until(t, "password"))
	return page, &blackbox.Browser{Email: email[1], Password: password[1]}
}

// decide plays the person, and follows the redirect to the agent.
func (d *demoRun) decide(t *testing.T, b *blackbox.Browser, page string, c blackbox.Choice) bool {
	t.Helper()
	at, err := b.Consent(t.Context(), page, c)
	if err != nil || !at.Left {
		t.Fatalf("consent: %v %s", err, at.Response)
	}
	res, err := blackbox.Get(t.Context(), at.URL)
	if err != nil {
		t.Fatal(err)
	}
	return res.Status == 200
}

// interrupt is Ctrl-C.
func (d *demoRun) interrupt(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, d.out)
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("the demo ended with %v\n%s", err, d.errors.String())
	}
	d.cleanedUp(t)
}

// cleanedUp checks that the demo's files are gone.
func (d *demoRun) cleanedUp(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(d.tmp)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
