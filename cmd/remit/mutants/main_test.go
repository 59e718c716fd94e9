package main

import (
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestMutantsApply: every line that a mutant changes still stands where it says, and the tests that
// should notice exist.
func TestMutantsApply(t *testing.T) {
	if len(mutants) < 30 {
		t.Errorf("%d mutants", len(mutants))
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			src, err := os.ReadFile(filepath.Join(root, m.file))
			if err != nil {
				t.Fatal(err)
			}
			changed, err := m.apply(src)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := format.Source(changed); err != nil {
				t.Errorf("it is no Go any more: %v", err)
			}
			tests, err := filepath.Glob(filepath.Join(root, m.pkg, "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			want := regexp.MustCompile(`(?m)^func (` + m.run + `)\w*\(t`)
			for _, file := range tests {
				if text, err := os.ReadFile(file); err == nil && want.Match(text) {
					return
				}
			}
			t.Errorf("%s has no test %s", m.pkg, m.run)
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	m := mutant{file: "x.go", old: "if a {", new: "if false {"}
	for name, src := range map[string]string{"gone": "if b {\n", "twice": "if a {\n\tif a {\n", "part of a line": "} else if a {\n"} {
		if _, err := m.apply([]byte(src)); err == nil {
			t.Errorf("%s: applied", name)
		}
	}
	if got, err := m.apply([]byte("x\n\tif a {\n")); err != nil || string(got) != "x\n\tif false {\n" {
		t.Errorf("%q, %v", got, err)
	}
}
