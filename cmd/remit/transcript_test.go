package main_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// docs/clients.md shows what was seen of each client. Its transcripts are written by the tests that
// saw it: -update puts them there, and without it they are compared with what is there.
const clientsPage = "../../docs/clients.md"

var update = flag.Bool("update", false, "write the transcripts of docs/clients.md anew")

// transcript is what a client and the servers said to each other, line by line.
type transcript struct {
	mu    sync.Mutex
	text  bytes.Buffer
	known []string // old and new in turn: addresses and names that differ from run to run
}

// write adds a line.
func (s *transcript) write(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.text, format+"\n", args...)
}

// as gives what differs from run to run the name that it has on the page.
func (s *transcript) as(old, name string) { s.known = append(s.known, old, name) }

// What differs from run to run by itself, and what the page shows of it.
var passing = []struct {
	pattern *regexp.Regexp
	shown   string
}{
	{regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`), "eyJ…"},
	{regexp.MustCompile(`\b(rc|rr|rq|rs|cli|tsk|usr|exe|at)_[A-Za-z0-9_-]{20,}`), "${1}_…"},
	{regexp.MustCompile(`sha-256:[\w-]{43}`), "sha-256:…"},
	{regexp.MustCompile(`\b(state|code_challenge|code_verifier)=[\w.~%-]+`), "$1=…"},
	{regexp.MustCompile(`("(?:ends|calls_used)": )\d+`), "$1…"},
	{regexp.MustCompile(`(expires_in"?[=:] ?|"max_duration": )29\d\b`), "${1}300"},
	{regexp.MustCompile(`(expires_in"?[=:] ?)1[12]\d\b`), "${1}120"}, // whole seconds, of which some have passed
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.NewReplacer(s.known...).Replace(s.text.String())
	for _, p := range passing {
		text = p.pattern.ReplaceAllString(text, p.shown)
	}
	return text
}

// pageLock lets one test at a time change the page.
var pageLock sync.Mutex

// golden compares the transcript with the one of this name on the page, or puts it there.
func (s *transcript) golden(t *testing.T, name string) {
	t.Helper()
	s.goldenOn(t, clientsPage, name)
}

// goldenOn does so on another page.
func (s *transcript) goldenOn(t *testing.T, file, name string) {
	t.Helper()
	pageLock.Lock()
	defer pageLock.Unlock()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(page), "<!-- transcript: "+name+" -->\n```text\n")
	old, tail, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		t.Fatalf("%s has no transcript named %s", file, name)
	}
	text := s.String()
	if old == text {
		return
	}
	if !*update {
		t.Errorf("the transcript %s is not the one on %s (-update writes it):\n%s", name, file, text)
		return
	}
	changed := head + "<!-- transcript: " + name + " -->\n```text\n" + text + "```\n" + tail
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}
