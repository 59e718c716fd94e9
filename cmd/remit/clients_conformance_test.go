//go:build clients

package main_test

import (
	"bufio"
	"encoding/json"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// suiteCommand starts the conformance suite; .ci/clients installs it and says so.
const suiteCommand = "REMIT_TEST_CONFORMANCE"

// finding is one check of the suite, as it writes them to checks.json.
type finding struct {
	ID, Status, Description, ErrorMessage string
}

// authorizeLine is how the suite prints the address for the browser.
var authorizeLine = regexp.MustCompile(`https?://\S+/authorize\?\S+`)

// conformance runs the released suite in its authorization mode against the server. Mara answers
// whatever address it prints.
func conformance(t *testing.T, w *world, args ...string) []finding {
	t.Helper()
	suite := strings.Fields(os.Getenv(suiteCommand))
	if len(suite) == 0 {
		t.Fatalf("%s is not set: run .ci/clients, which installs the suite", suiteCommand)
	}
	out := t.TempDir()
	args = slices.Concat(suite[1:], []string{"authorization", "--url", w.issuer, "-o", out}, args)
	cmd := exec.CommandContext(t.Context(), suite[0], args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if address := authorizeLine.FindString(lines.Text()); address != "" {
			if err := answer(t, w, address); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the suite ended with %v:\n%s", err, said.String())
	}
	return findings(t, out)
}

// answer lets Mara consent, and brings the code back to the suite.
func answer(t *testing.T, w *world, address string) error {
	at, err := w.mara.Consent(t.Context(), address, blackbox.Choice{})
	if err != nil {
		return err
	}
	u, err := url.Parse(at.URL)
	if err != nil {
		return err
	}
	eventually(t, 20*time.Second, "the suite listens", func() bool { // it prints the address first
		conn, err := net.Dial("tcp", u.Host)
		return err == nil && conn.Close() == nil
	})
	_, err = blackbox.Get(t.Context(), at.URL)
	return err
}

// findings reads what the suite found.
func findings(t *testing.T, dir string) []finding {
	t.Helper()
	var all []finding
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "checks.json" {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var some []finding
		if err := json.Unmarshal(raw, &some); err != nil {
			return err
		}
		all = append(all, some...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestConformanceSuite(t *testing.T) {
	t.Parallel()
	w, s := newClientWorld(t, nil)
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	// Public: where a server allows none, the suite authenticates by none, secret or not.
	id := w.bearerClient(t, "Conformance suite", "http://127.0.0.1/callback")
	runs := []struct {
		name string
		args []string
	}{
		{"authorization", []string{"--client-id", id, "--resource", w.r1.URL, "-p", port}},
		{"authorization --scenario authorization-server-metadata-endpoint --spec-version 2026-07-28", []string{"--scenario", "authorization-server-metadata-endpoint", "--spec-version", "2026-07-28"}},
	}
	for i, run := range runs {
		all := conformance(t, w, run.args...)
		s.write("%s", run.name)
		seen := map[string]bool{}
		for _, f := range all {
			seen[f.ID] = true
			s.write("  %-8s %s", f.Status, f.ID)
			if f.Status != "SUCCESS" && f.Status != "INFO" {
				t.Errorf("%s: %s %s: %s %s", run.name, f.Status, f.ID, f.Description, f.ErrorMessage)
			}
		}
		if len(all) == 0 || i == 0 && !seen["authorization-code-grant"] {
			t.Errorf("%s: the suite checked %v", run.name, seen)
		}
		s.write("")
	}
	s.golden(t, "conformance")
}
