package resource

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestSpoolStartsOverItsBound: what an earlier process left may be more than a spool takes now, for the bound
// was lowered or the last group went over it. It starts, finishes what was begun, takes nothing
// new, loses nothing, and takes calls again once it has been sent.
func TestSpoolStartsOverItsBound(t *testing.T) {
	dir := t.TempDir()
	s := openTestSpool(t, dir, 64<<20)
	long := strings.Repeat("t", 2000)
	for i := range 1500 { // three segments
		if err := put(s, &execution{Kind: kindDecided, Execution: fmt.Sprint("r", i), Decision: refused, Tool: long}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 40 {
		if err := put(s, decide(fmt.Sprint("open", i))); err != nil {
			t.Fatal(err)
		}
	}
	s.close()
	const limit = 1 << 20
	s, err := openSpool(dir, limit, func() int64 { return 42 }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("it does not start: %v", err)
	}
	t.Cleanup(func() { s.close() })
	if s.size < limit+limit/4 {
		t.Fatalf("only %d bytes", s.size)
	}
	if err := put(s, decide("new")); !errors.Is(err, errSpool) {
		t.Errorf("a new call while it is over its bound: %v", err)
	}
	records := all(t, s, 1)
	unknown := 0
	for _, e := range records {
		if e.Outcome == outcomeUnknown {
			unknown++
		}
	}
	if len(records) != 1580 || unknown != 40 {
		t.Errorf("%d records, %d of them unknown outcomes", len(records), unknown)
	}
	s.ship(1581)
	if err := put(s, decide("after")); err != nil {
		t.Errorf("after it was sent, with %d bytes left: %v", s.size, err)
	}
}

// TestSpoolBoundBelowASegment: a bound that is less than a segment holds back what waits, not what has been sent
// and stands in the segment that is still written to.
func TestSpoolBoundBelowASegment(t *testing.T) {
	s := openTestSpool(t, t.TempDir(), 4000)
	n := int64(0)
	for range 3 {
		for {
			err := put(s, &execution{Kind: kindDecided, Execution: fmt.Sprint(n), Decision: refused})
			if errors.Is(err, errSpool) {
				break
			}
			if n++; err != nil || n > 1000 {
				t.Fatalf("%d records, and no end: %v", n, err)
			}
		}
		s.ship(n)
		if err := put(s, decide("early")); !errors.Is(err, errSpool) {
			t.Fatalf("one record of many waits: %v", err)
		}
		s.ship(n + 1)
	}
	if n < 140 {
		t.Errorf("%d records", n)
	}
}
