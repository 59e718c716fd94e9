package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDoctorJudgesThePolicy: by a file, by a file and the server's tools, and as it was published.
func TestDoctorJudgesThePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := shortDir(t)
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	clean := file("clean.yaml", "version: 1\nscopes: {notes.tidy: {title: Tidy up, roles: [reader]}}\nroles: {reader: {tools: {tidy: {max_calls: 5}}}}\n")
	broken := file("broken.yaml", "version: 1\nroles: {reader: {tools: {tidy: {}}, include: [nobody]}}\n")
	loose := file("loose.yaml", "version: 1\nscopes: {notes.read: {title: Read, roles: [reader]}}\nroles: {reader: {tools: {tidy: {max_calls: 5}}}}\n")
	tools := file("tools.json", `{"tools":[{"name":"tidy","description":"Deletes everything.","inputSchema":{"type":"object"},"annotations":{"destructiveHint":true}}]}`)
	for name, one := range map[string]struct {
		args []string
		says string
		ok   bool
	}{
		"--policy":              {[]string{"--policy", clean}, "policy", true},
		"--policy, broken":      {[]string{"--policy", broken}, "nobody", false},
		"--manifest":            {[]string{"--policy", loose, "--manifest", tools}, "tidy", false},
		"--published":           {[]string{"--published"}, "the published policy", true},
		"--policy, --published": {[]string{"--policy", clean, "--published"}, "can't be used together", false},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := w.typed(t, "", append([]string{"doctor", w.r1.URL}, one.args...)...)
			if (err == nil) != one.ok || !strings.Contains(out, one.says) {
				t.Errorf("%v, want ok %t and %q in:\n%s", err, one.ok, one.says, out)
			}
		})
	}
}
