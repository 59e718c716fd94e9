package server_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestStandardsNameTests: each row of docs/standards.md names tests that exist.
func TestStandardsNameTests(t *testing.T) {
	page, err := os.ReadFile("../docs/standards.md")
	must(t, err)
	have := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	must(t, fs.WalkDir(os.DirFS(".."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "." {
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return err
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		raw, err := os.ReadFile("../" + path)
		for _, m := range declared.FindAllSubmatch(raw, -1) {
			have[string(m[1])] = true
		}
		return err
	}))
	rows := 0
	for line := range strings.SplitSeq(string(page), "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| Standard ") {
			continue
		}
		rows++
		named := regexp.MustCompile(`\bTest\w+`).FindAllString(cells[len(cells)-1], -1)
		if len(cells) != 4 || len(named) == 0 {
			t.Errorf("a row without a test: %s", line)
		}
		for _, name := range named {
			if !have[name] {
				t.Errorf("%s does not exist: %s", name, line)
			}
		}
	}
	if rows < 25 {
		t.Errorf("%d rows", rows)
	}
}
