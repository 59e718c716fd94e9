package resource_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens/resource"
)

func TestNewRefuses(t *testing.T) {
	w := newWorld(t)
	tests := map[string]func(*resource.Config){
		"an issuer on http":               func(c *resource.Config) { c.Issuer = "http://auth.example" },
		"http on loopback, not asked for": func(c *resource.Config) { c.InsecureHTTP = false },
		"a resource on http":              func(c *resource.Config) { c.Resource = "http://tickets.example/mcp" },
		"a resource with a fragment":      func(c *resource.Config) { c.Resource += "#a" },
		"a resource with a query":         func(c *resource.Config) { c.Resource += "?a=b" },
		"a resource with a user":          func(c *resource.Config) { c.Resource = "https://u:p@tickets.example" },
		"no resource":                     func(c *resource.Config) { c.Resource = "" },
		"no state directory":              func(c *resource.Config) { c.StateDir = "" },
		"no tools":                        func(c *resource.Config) { c.Tools = nil },
		"no policy":                       func(c *resource.Config) { c.Policy = nil },
		"a policy with an error":          func(c *resource.Config) { c.Policy = []byte("version: 1\nroles: {r: {include: [x]}}") },
		"a policy with an unknown limit": func(c *resource.Config) {
			c.Policy = []byte("version: 1\nroles: {r: {tools: {t: {limits: {a: {maximal: 1}}}}}}")
		},
		"two policies":             func(c *resource.Config) { c.PolicyFile = "policy.yaml" },
		"a stale view forever":     func(c *resource.Config) { c.StaleAfter = time.Hour },
		"no enrolment code":        func(c *resource.Config) { c.EnrolmentCode = "" },
		"another enrolment code":   func(c *resource.Config) { c.EnrolmentCode = "enrol_x" },
		"a state directory in use": func(c *resource.Config) { c.StateDir = w.config.StateDir },
		"another resource's state": func(c *resource.Config) {
			c.StateDir, c.Resource = copyState(t, w.config.StateDir), "https://other.example/mcp"
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			c := w.issuer.Config(w.uri, ticketsPolicy, w.list)
			change(&c)
			if g, err := resource.New(context.Background(), c); err == nil {
				g.Close()
				t.Error("New accepted it")
			}
		})
	}
	w.good()
}

// copyState copies key and enrolment to another directory.
func copyState(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{"key.json", "guard.json"} {
		raw, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// TestEndpointsElsewhere: no assertion of the Guard goes to another origin than the issuer's.
func TestEndpointsElsewhere(t *testing.T) {
	w := newWorld(t)
	w.guard.Close()
	path := filepath.Join(w.config.StateDir, "guard.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	moved := strings.Replace(string(raw), w.issuer.URL()+"/feed\"", "https://evil.example/feed\"", 1)
	if err := os.WriteFile(path, []byte(moved), 0o600); err != nil || moved == string(raw) {
		t.Fatal("nothing was moved", err)
	}
	if g, err := resource.New(context.Background(), w.config); err == nil {
		g.Close()
		t.Error("a feed on another host was accepted")
	}
}

func TestStateIsPrivate(t *testing.T) {
	w := newWorld(t)
	w.good()
	err := filepath.Walk(w.config.StateDir, func(path string, info os.FileInfo, err error) error {
		if err == nil && path != w.config.StateDir && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestUnfinishedExecution: a Guard that dies while a tool runs says so after the next start.
func TestUnfinishedExecution(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	w.issuer.Down(true) // nothing is sent
	if a := w.call(token, "search_tickets", web); a.status != 200 {
		t.Fatal(a.body)
	}
	if err := w.guard.Close(); err != nil {
		t.Fatal(err)
	}
	dropLastRecord(t, w.config.StateDir) // as if the process had died before the outcome
	w.issuer.Down(false)
	w.restart()
	records := w.issuer.Executions(w.uri, 2)
	if records[0].Decision != "allowed" || records[1].Kind != "execution.finished" || records[1].Outcome != "unknown" ||
		records[1].Execution != records[0].Execution {
		t.Errorf("the ledger is told %+v", records)
	}
}

func dropLastRecord(t *testing.T, state string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(state, "spool", "*.records"))
	if err != nil || len(files) != 1 {
		t.Fatalf("segments %v, %v", files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(raw), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d records", len(lines))
	}
	if err := os.WriteFile(files[0], []byte(lines[0]), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLogFull: with the authorization server away for long, the spool fills and calls are refused.
func TestLogFull(t *testing.T) {
	w := newWorld(t, func(c *resource.Config) { c.MaxSpool = 6000 })
	w.issuer.Down(true)
	token := w.token(reader())
	w.eventually("the refusal", func() bool {
		a := w.call(token, "search_tickets", web)
		if a.status != 200 {
			w.wants(a, 503, resource.LogUnavailable)
		}
		return a.status != 200
	})
	ran := w.calls()
	w.wants(w.call(token, "search_tickets", web), 503, resource.LogUnavailable)
	if w.calls() != ran {
		t.Error("a tool ran without a record")
	}
}

// The one spelling of a resource is a matter of its own, before anybody is asked about it.
func TestNewRefusesSpellings(t *testing.T) {
	w := newWorld(t)
	for _, more := range []string{"/../mcp", "/./mcp", "/%2e%2e/mcp", "/..;/mcp", "/..%3B/mcp", "/%C0%AE%C0%AE/mcp", "%2f", "%2F", `\a`, "%5C", "/%252e", "//a", "%00", "%6D"} {
		c := w.issuer.Config(w.uri, ticketsPolicy, w.list)
		c.Resource += more
		if g, err := resource.New(context.Background(), c); err == nil || !strings.Contains(err.Error(), "one spelling") {
			t.Errorf("%s: %v", c.Resource, err)
			if err == nil {
				g.Close()
			}
		}
	}
}
