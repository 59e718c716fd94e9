package resource

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestQuarantineBounds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "quarantine")
	q, err := openQuarantine(dir)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	keep := func(n int64, record string) error {
		path, digest, err := q.keep(n, []byte(record), now)
		if err != nil {
			return err
		}
		if _, again, err := q.keep(n, []byte(record), now); err != nil || again != digest {
			t.Errorf("kept again: %s, %s, %v", again, digest, err)
		}
		if raw, err := os.ReadFile(path); err != nil || !strings.Contains(string(raw), record) {
			t.Errorf("%s: %v", raw, err)
		}
		return nil
	}
	for n := range int64(asideBurst) {
		if err := keep(n+1, "{}"); err != nil {
			t.Fatalf("number %d: %v", n+1, err)
		}
	}
	if err := keep(90, "{}"); !errors.Is(err, errQuarantine) {
		t.Errorf("one too many at once: %v", err)
	}
	now = now.Add(time.Minute)
	if err := keep(91, "{}"); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	if err := keep(92, "{}"); !errors.Is(err, errQuarantine) {
		t.Errorf("a second one in that minute: %v", err)
	}
	for n := q.files; n < quarantineFiles; n++ {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%016d-x.json", n+1000)), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if q, err = openQuarantine(dir); err != nil || q.files != quarantineFiles {
		t.Fatalf("%d files, %v", q.files, err)
	}
	if err := keep(93, "{}"); !errors.Is(err, errQuarantine) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a full quarantine: %v", err)
	}
	if err := os.Rename(filepath.Join(dir, fmt.Sprintf("%016d-x.json", quarantineFiles+999)), filepath.Join(t.TempDir(), "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if err := keep(93, "{}"); err != nil {
		t.Errorf("after one was moved elsewhere: %v", err)
	}
	if err := keep(95, "{}"); !errors.Is(err, errQuarantine) {
		t.Errorf("full again: %v", err)
	}
	if q, err = openQuarantine(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Fatal(err)
	}
	if err := keep(94, `{"x":"`+strings.Repeat("x", quarantineBytes)+`"}`); !errors.Is(err, errQuarantine) {
		t.Errorf("a record of 16 MiB: %v", err)
	}
}

// Only what is said can be wrong with a record: who says it, when, and how much, are not its fault.
func TestRefusedForContent(t *testing.T) {
	for _, e := range []answerError{
		{Status: 400, Code: "invalid_request"}, {Status: 413, Code: "invalid_request"}, {Status: 422, Code: "invalid_request"},
	} {
		if !e.ofContent() {
			t.Errorf("%v", &e)
		}
	}
	for _, e := range []answerError{
		{Status: 401, Code: "invalid_client"},
		{Status: 401, Code: "invalid_request"},
		{Status: 403, Code: "access_denied"},
		{Status: 404, Code: "invalid_request"},
		{Status: 405, Code: "invalid_request"},
		{Status: 408, Code: "invalid_request"},
		{Status: 409, Code: "out_of_sequence"},
		{Status: 410, Code: "task_not_active"},
		{Status: 415, Code: "invalid_request"},
		{Status: 421, Code: "invalid_request"},
		{Status: 425, Code: "invalid_request"},
		{Status: 429, Code: "slow_down"},
		{Status: 500, Code: "server_error"},
		{Status: 502},
		{Status: 503, Code: "temporarily_unavailable"},
		{Status: 302},
		{Status: 400},
		{Status: 413},
		{Status: 400, Code: "invalid_client"},
		{Status: 400, Code: "invalid_grant"},
	} {
		if e.ofContent() {
			t.Errorf("%v", &e)
		}
	}
}

// What the server names is sent next, or half of what it refused.
func TestBeforeTheRefused(t *testing.T) {
	at := func(n int) *int { return &n }
	for _, tt := range []struct {
		record  *int
		n, want int
	}{{nil, 500, 250}, {nil, 1, 1}, {at(7), 500, 7}, {at(0), 500, 1}, {at(499), 500, 499}, {at(500), 500, 250}, {at(-1), 500, 250}} {
		if got := (&answerError{Record: tt.record}).before(tt.n); got != tt.want {
			t.Errorf("%d of %d: %d, want %d", tt.record, tt.n, got, tt.want)
		}
	}
}
