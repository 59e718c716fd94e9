package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func openTestSpool(t *testing.T, dir string, limit int64) *spool {
	t.Helper()
	s, err := openSpool(dir, limit, func() int64 { return 42 }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close() })
	return s
}

func decide(id string) *execution {
	return &execution{Kind: kindDecided, Execution: id, Task: "tsk_1", Tool: "search", Decision: allowed, At: 7}
}

func finish(id string) *execution {
	return &execution{Kind: kindFinished, Execution: id, Outcome: outcomeOK, At: 8}
}

// put adds a record and waits until it is durable.
func put(s *spool, e *execution) error {
	c, err := s.add(e, e.Kind == kindFinished)
	if err != nil {
		return err
	}
	<-c.done
	return c.err
}

// all reads every record of the spool, from a number on.
func all(t *testing.T, s *spool, from int64) (records []execution) {
	t.Helper()
	at := cursor{}
	for {
		first, raw, err := s.read(from, 3, 1<<20, &at)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) == 0 {
			return records
		}
		for _, r := range raw {
			var e execution
			if err := json.Unmarshal(r, &e); err != nil {
				t.Fatal(err)
			}
			records = append(records, e)
		}
		from = first + int64(len(raw))
	}
}

func ids(records []execution) string {
	var b strings.Builder
	for _, e := range records {
		fmt.Fprintf(&b, "%s:%s%s ", e.Execution, e.Decision, e.Outcome)
	}
	return strings.TrimSpace(b.String())
}

func TestSpoolSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s := openTestSpool(t, dir, 1<<20)
	for _, e := range []*execution{decide("a"), finish("a"), decide("b"), decide("c"), finish("c")} {
		if err := put(s, e); err != nil {
			t.Fatal(err)
		}
	}
	s.close()
	if err := put(s, decide("d")); !errors.Is(err, errSpool) {
		t.Errorf("a closed spool took a record: %v", err)
	}
	s = openTestSpool(t, dir, 1<<20)
	want := "a:allowed a:ok b:allowed c:allowed c:ok b:unknown"
	if got := ids(all(t, s, 1)); got != want {
		t.Errorf("after the restart %q, want %q", got, want)
	}
	s.close()
	s = openTestSpool(t, dir, 1<<20)
	if got := ids(all(t, s, 1)); got != want {
		t.Errorf("after another restart %q, want %q", got, want)
	}
	if got := ids(all(t, s, 5)); got != "c:ok b:unknown" {
		t.Errorf("from the fifth on %q", got)
	}
}

// TestSpoolTornWrite cuts the file at every byte, as a crash may: what is left is whole records.
func TestSpoolTornWrite(t *testing.T) {
	dir := t.TempDir()
	s := openTestSpool(t, dir, 1<<20)
	for _, id := range []string{"a", "b", "c"} {
		if err := put(s, &execution{Kind: kindDecided, Execution: id, Decision: refused, At: 7}); err != nil {
			t.Fatal(err)
		}
	}
	path := s.segments[0].path
	s.close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		for name, left := range map[string][]byte{
			"cut":    whole[:cut],
			"zeroed": append(bytes.Clone(whole[:cut]), make([]byte, len(whole)-cut)...),
		} {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), left, 0o600); err != nil {
				t.Fatal(err)
			}
			s := openTestSpool(t, dir, 1<<20)
			if err := put(s, &execution{Kind: kindDecided, Execution: "next", Decision: refused}); err != nil {
				t.Fatal(err)
			}
			n := bytes.Count(whole[:cut], []byte("\n"))
			if got := all(t, s, 1); len(got) != n+1 || got[n].Execution != "next" {
				t.Fatalf("%s at %d: %q", name, cut, ids(got))
			}
			s.close()
		}
	}
}

func TestSpoolDamage(t *testing.T) {
	dir := t.TempDir()
	s := openTestSpool(t, dir, 64<<20)
	for i := range 2000 { // two segments
		if err := put(s, &execution{Kind: kindDecided, Execution: fmt.Sprint(i), Decision: refused, Tool: strings.Repeat("t", 700)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.segments) < 2 {
		t.Fatalf("%d segments", len(s.segments))
	}
	first := s.segments[0].path
	s.close()
	raw, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(first, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSpool(dir, 64<<20, func() int64 { return 0 }, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a spool with a damaged record in its middle was opened")
	}
}

// failing is a file that fails when it is told to.
type failing struct {
	spoolFile
	mode *string
	mu   *sync.Mutex
}

var errDisk = errors.New("no space left on device")

func (f failing) now() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return *f.mode
}

func (f failing) WriteAt(p []byte, at int64) (int, error) {
	if f.now() == "write" {
		n, _ := f.spoolFile.WriteAt(p[:len(p)/2], at)
		return n, errDisk
	}
	return f.spoolFile.WriteAt(p, at)
}

func (f failing) Sync() error {
	if f.now() == "sync" {
		return errDisk
	}
	return f.spoolFile.Sync()
}

func TestSpoolDiskError(t *testing.T) {
	for _, mode := range []string{"write", "sync", "create"} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			s := openTestSpool(t, dir, 1<<20)
			var mu sync.Mutex
			broken := ""
			set := func(to string) {
				mu.Lock()
				defer mu.Unlock()
				broken = to
			}
			s.create = func(path string) (spoolFile, error) {
				f, err := createSegment(path)
				if err != nil {
					return nil, err
				}
				file := failing{f, &broken, &mu}
				if file.now() == "create" {
					f.Close()
					return nil, errDisk
				}
				return file, nil
			}
			if mode == "create" {
				set(mode)
			} else if err := put(s, decide("before")); err != nil {
				t.Fatal(err)
			}
			set(mode)
			for range 2 {
				if err := put(s, decide("lost")); !errors.Is(err, errSpool) || !errors.Is(err, errDisk) {
					t.Fatalf("a record on a broken disk: %v", err)
				}
			}
			set("")
			if err := put(s, decide("after")); err != nil {
				t.Fatalf("the disk is well again: %v", err)
			}
			s.close()
			s = openTestSpool(t, dir, 1<<20)
			got := ids(all(t, s, 1))
			if strings.Contains(got, "lost") || !strings.Contains(got, "after:allowed") || (mode != "create") != strings.Contains(got, "before:allowed") {
				t.Errorf("after a failed %s: %q", mode, got)
			}
		})
	}
}

func TestSpoolFull(t *testing.T) {
	s := openTestSpool(t, t.TempDir(), 4000)
	var last error
	n := 0
	for ; n < 100 && last == nil; n++ {
		last = put(s, decide(fmt.Sprint(n)))
	}
	if !errors.Is(last, errSpool) {
		t.Fatalf("%d records, and no end: %v", n, last)
	}
	if err := put(s, finish("0")); err != nil {
		t.Errorf("what was begun cannot be finished: %v", err)
	}
}

// TestSpoolShip: shipped segments go, but for the last one; what is open in them is kept beside.
func TestSpoolShip(t *testing.T) {
	s := openTestSpool(t, t.TempDir(), 64<<20)
	filler := func(n int) {
		for i := range n {
			e := &execution{Kind: kindDecided, Execution: fmt.Sprint("f", i), Decision: refused, Tool: strings.Repeat("t", 2000)}
			if err := put(s, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := put(s, decide("open")); err != nil {
		t.Fatal(err)
	}
	filler(1600)
	segments := len(s.segments)
	if segments < 3 {
		t.Fatalf("%d segments", segments)
	}
	s.ship(1602)
	if len(s.segments) != 1 || s.segments[0].first == 1 {
		t.Errorf("%d segments are left, from %d on", len(s.segments), s.segments[0].first)
	}
	if err := put(s, finish("open")); err != nil {
		t.Fatal(err)
	}
	s.ship(1603)
	if len(s.segments) != 1 || s.conflict {
		t.Errorf("%d segments are left", len(s.segments))
	}
	files, err := os.ReadDir(s.dir)
	if err != nil || len(files) != 1 {
		t.Errorf("%d files are left, %v", len(files), err)
	}
	if first, records, err := s.read(1, 10, 1<<20, &cursor{}); err != nil || first <= 1 || len(records) == 0 {
		t.Errorf("read from %d: %d records, %v", first, len(records), err)
	}
	s.ship(5000) // the authorization server knows records that were never written here
	if err := put(s, decide("x")); !errors.Is(err, errSpool) {
		t.Errorf("a spool that was put back took a record: %v", err)
	}
}

func TestSpoolConcurrent(t *testing.T) {
	s := openTestSpool(t, t.TempDir(), 64<<20)
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			for n := range 25 {
				id := fmt.Sprintf("%d-%d", i, n)
				if err := put(s, decide(id)); err != nil {
					t.Error(err)
				}
				if _, err := s.add(finish(id), true); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	s.close()
	seen := map[string]string{}
	for _, e := range all(t, s, 1) {
		if e.Kind == kindFinished && seen[e.Execution] != kindDecided {
			t.Errorf("%s ended before it was decided", e.Execution)
		}
		seen[e.Execution] = e.Kind
	}
	if len(seen) != 800 {
		t.Errorf("%d executions, want 800", len(seen))
	}
	if len(s.open) != 0 {
		t.Errorf("%d executions are still open", len(s.open))
	}
}

func TestExecutionJSON(t *testing.T) {
	tests := map[string]execution{
		"empty":   {Kind: kindFinished},
		"refused": {Kind: kindDecided, Execution: "exe_1", Decision: refused, Reason: NoScope, Checks: []check{{"token", true, ""}, {"scope", false, `no "x" <é>` + "\n\x7f"}}},
		"full": {
			Kind: kindFinished, Execution: "exe_1", At: 1700000000000000, Task: "tsk_1", JTI: "at_1", Client: "https://a.example/c?x=1&y=2",
			User: "usr_1", JKT: "jkt", Tool: "search\u2028", Reason: "x", Definition: "sha-256:a", Policy: "sha-256:b", Arguments: "sha-256:c",
			Outcome: outcomeOK, Duration: 12, Trace: "00-1-2-01",
		},
	}
	for name, e := range tests {
		t.Run(name, func(t *testing.T) {
			want, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			if got := e.append(nil); !bytes.Equal(got, want) {
				t.Errorf("append:\n%s\nencoding/json:\n%s", got, want)
			}
		})
	}
	e := *decide("exe_1")
	e.JKT = "jkt"
	var got execution
	if err := json.Unmarshal(e.append(nil), &got); err != nil || !slices.Equal(got.Checks, passed) {
		t.Errorf("an allowed call records %v, %v", got.Checks, err)
	}
}

func TestLimiter(t *testing.T) {
	var l limiter
	now := time.Unix(1000, 0)
	for i := range refusalBurst {
		if ok, _ := l.allow("a", now); !ok {
			t.Fatalf("refusal %d was not recorded", i)
		}
	}
	for range 7 {
		if ok, _ := l.allow("a", now); ok {
			t.Error("one too many was recorded")
		}
	}
	if ok, _ := l.allow("b", now); !ok {
		t.Error("another task has nothing to do with it")
	}
	if ok, suppressed := l.allow("a", now.Add(time.Second)); !ok || suppressed != 7 {
		t.Errorf("a second later: %t, %d suppressed", ok, suppressed)
	}
	for i := range refusalTasks + 5 {
		l.allow(fmt.Sprint(i), now)
	}
	if len(l.tasks) > refusalTasks {
		t.Errorf("%d tasks are remembered", len(l.tasks))
	}
}
