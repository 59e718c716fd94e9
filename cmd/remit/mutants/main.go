// Command mutants takes checks out of the program, one at a time, and sees that the tests notice. It
// changes no file: the go command is given another text for one of them.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// spared is how many mutants may live: the tests of a check can lie beside what guards it twice.
const spared = 1

func main() {
	only := flag.String("only", "", "the mutants whose name, file or package matches")
	whole := flag.Bool("whole", true, "when the narrow tests do not notice, run all tests of the package")
	baseline := flag.Bool("baseline", true, "first see that the tests pass as the program is")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *whole, *baseline); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, whole, baseline bool) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lab := laboratory{root, dir}
	var chosen []mutant
	for _, m := range mutants {
		if pattern.MatchString(m.name) || pattern.MatchString(m.file) || pattern.MatchString(m.pkg) {
			chosen = append(chosen, m)
		}
	}
	if baseline {
		if err := lab.passes(ctx, chosen); err != nil {
			return err
		}
	}
	fmt.Printf("%-9s %6s  %-58s %s\n", "", "s", "not checked", "where")
	var survivors []string
	for _, m := range chosen {
		began := time.Now()
		killed, err := lab.try(ctx, m, whole)
		word := "killed"
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil: // it tells nothing, so it counts as living
			word = "BROKEN"
			fmt.Fprintf(os.Stderr, "%s: %v\n", m.name, err)
		case !killed:
			word = "SURVIVED"
		}
		if !killed {
			survivors = append(survivors, m.name)
		}
		fmt.Printf("%-9s %6.1f  %-58s %s\n", word, time.Since(began).Seconds(), m.name, m.file)
	}
	fmt.Printf("\n%d of %d killed\n", len(chosen)-len(survivors), len(chosen))
	if len(survivors) > spared {
		return fmt.Errorf("%d checks can go without a test that notices: %s", len(survivors), strings.Join(survivors, "; "))
	}
	return nil
}

// moduleRoot is where go.mod lies.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// apply returns the text with the mutant's line in place of the old one, which must stand there once.
func (m mutant) apply(src []byte) ([]byte, error) {
	lines := bytes.SplitAfter(src, []byte("\n"))
	found := 0
	for i, line := range lines {
		text := bytes.TrimSpace(line)
		if string(text) == m.old {
			found++
			lines[i] = bytes.Replace(line, text, []byte(m.new), 1)
		}
	}
	if found != 1 {
		return nil, fmt.Errorf("the line stands %d times in %s: %s", found, m.file, m.old)
	}
	return bytes.Join(lines, nil), nil
}

// laboratory is the program as it is and a folder for what is not so.
type laboratory struct{ root, dir string }

// try reports whether the tests notice the mutant.
func (l laboratory) try(ctx context.Context, m mutant, whole bool) (killed bool, err error) {
	file := filepath.Join(l.root, m.file)
	src, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	if src, err = m.apply(src); err != nil {
		return false, err
	}
	changed, overlay := filepath.Join(l.dir, "changed.go"), filepath.Join(l.dir, "overlay.json")
	raw, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err == nil {
		err = errors.Join(os.WriteFile(changed, src, 0o600), os.WriteFile(overlay, raw, 0o600))
	}
	if err != nil {
		return false, err
	}
	if killed, err = l.test(ctx, overlay, m.pkg, m.run); killed || err != nil || !whole {
		return killed, err
	}
	return l.test(ctx, overlay, m.pkg, ".")
}

// passes sees that the tests pass where nothing was taken out; else a death would prove nothing.
func (l laboratory) passes(ctx context.Context, chosen []mutant) error {
	patterns := map[string][]string{}
	for _, m := range chosen {
		patterns[m.pkg] = append(patterns[m.pkg], m.run)
	}
	for pkg, all := range patterns {
		failed, err := l.test(ctx, "", pkg, strings.Join(all, "|"))
		if err != nil {
			return err
		}
		if failed {
			return fmt.Errorf("the tests of %s fail as the program is", pkg)
		}
	}
	return nil
}

// test runs tests of a package, and reports whether they failed. That they cannot be built or that
// there are none is an error.
func (l laboratory) test(ctx context.Context, overlay, pkg, pattern string) (failed bool, err error) {
	args := []string{"test", "-count=1", "-failfast", "-vet=off", "-timeout=3m", "-run=^(" + pattern + ")"}
	if pattern == "." {
		args[len(args)-2], args[len(args)-1] = "-timeout=15m", "-run=."
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = l.root
	if overlay != "" { // also for what the tests build themselves
		cmd.Env = append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
		return false, fmt.Errorf("it does not build:\n%s", out)
	case bytes.Contains(out, []byte("no tests to run")):
		return false, fmt.Errorf("%s has no test %s", pkg, pattern)
	case err == nil:
		return false, nil
	}
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		return false, err
	}
	if overlay == "" {
		os.Stderr.Write(out)
	}
	return true, nil
}
