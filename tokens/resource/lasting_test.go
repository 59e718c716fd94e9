package resource

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSpoolLongCalls: calls that last long, each with much traffic after it, do not fill the spool with what
// has long been sent; and a crash still tells that nobody knows how they ended.
func TestSpoolLongCalls(t *testing.T) {
	dir := t.TempDir()
	s := openTestSpool(t, dir, 3<<20)
	var written int64
	var first []byte // what the first segment held
	write := func(e *execution) {
		t.Helper()
		if err := put(s, e); err != nil {
			t.Fatalf("after %d records, nearly all sent: %v", written, err)
		}
		written++
	}
	for i := range 6 {
		write(decide(fmt.Sprint("long", i)))
		for range 600 {
			write(&execution{Kind: kindDecided, Execution: "f", Decision: refused, Tool: strings.Repeat("t", 2000)})
		}
		if i == 0 {
			raw, err := os.ReadFile(segmentPath(dir, 1))
			if err != nil {
				t.Fatal(err)
			}
			first = raw
		}
		s.ship(written + 1)
	}
	write(finish("long1"))
	for range 1200 {
		write(&execution{Kind: kindDecided, Execution: "f", Decision: refused, Tool: strings.Repeat("t", 2000)})
	}
	s.ship(written + 1) // what tells of the end of long1 goes too
	write(finish("long2"))
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 2 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
	s.close()
	for range 2 { // once more: what is told is told once
		s = openTestSpool(t, dir, 3<<20)
		var ends []string
		for _, e := range all(t, s, 1) {
			if e.Kind == kindFinished {
				ends = append(ends, e.Execution+":"+e.Outcome)
			}
		}
		slices.Sort(ends)
		if want := []string{"long0:unknown", "long2:ok", "long3:unknown", "long4:unknown", "long5:unknown"}; !slices.Equal(ends, want) {
			t.Errorf("after a restart: %q, want %q", ends, want)
		}
		s.close()
		if err := os.WriteFile(segmentPath(dir, 1), first[:bytes.LastIndexByte(first, '\n')+1], 0o600); err != nil { // a crash came before it was removed
			t.Fatal(err)
		}
	}
}
