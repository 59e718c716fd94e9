package memory

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/storetest"
)

// A caller's words may be a key: 60 KiB of e-mail address, and another one each time.
func TestLimitsKeepNoKeys(t *testing.T) {
	e := New(Options{})
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range 2000 {
		if _, _, err := e.Take(t.Context(), fmt.Sprint(i)+strings.Repeat("x", 20_000), 1, 10); err != nil {
			t.Fatal(err)
		}
	}
	if after := heap(); after > before+4<<20 {
		t.Errorf("2,000 long keys are kept in %d KiB", (after-before)>>10)
	}
	runtime.KeepAlive(e)
}

func TestEphemeral(t *testing.T) {
	storetest.RunEphemeral(t, func(t *testing.T, now store.Clock) (store.Ephemeral, func(time.Duration)) {
		return New(Options{Now: now}), nil
	})
}

func TestEpochsDiffer(t *testing.T) {
	a, _ := New(Options{}).Epoch(t.Context())
	b, _ := New(Options{}).Epoch(t.Context())
	if a == b {
		t.Errorf("two memories share the epoch %q", a)
	}
}

func TestFullRemembers(t *testing.T) {
	clock := storetest.NewClock()
	e := New(Options{Now: clock.Now, MaxKeys: 3})
	use := func(key string) (bool, error) { return e.FirstUse(t.Context(), e.epoch, key, time.Minute) }
	for i := range 3 {
		if first, err := use(fmt.Sprint(i)); err != nil || !first {
			t.Fatalf("FirstUse = %v, %v", first, err)
		}
	}
	if first, err := use("one too many"); !errors.Is(err, ErrFull) || first {
		t.Errorf("FirstUse = %v, %v, want %v", first, err, ErrFull)
	}
	if first, err := use("0"); err != nil || first {
		t.Errorf("a full memory has forgotten: %v, %v", first, err)
	}
	clock.Advance(2 * time.Minute)
	if first, err := use("one too many"); err != nil || !first {
		t.Errorf("FirstUse = %v, %v after the others' time", first, err)
	}
	if len(e.seen) != 1 || len(e.expiry) != 1 {
		t.Errorf("left over: %d keys, %d seconds", len(e.seen), len(e.expiry))
	}
}

// TestClockSetBack sees that keys are not forgotten early, nor kept for ever, by a clock that jumps.
func TestClockSetBack(t *testing.T) {
	clock := storetest.NewClock()
	e := New(Options{Now: clock.Now})
	clock.Advance(time.Hour)
	e.FirstUse(t.Context(), e.epoch, "before", time.Minute)
	clock.Advance(-30 * time.Minute)
	e.FirstUse(t.Context(), e.epoch, "after", time.Minute)
	if first, err := e.FirstUse(t.Context(), e.epoch, "before", time.Minute); err != nil || first {
		t.Errorf("FirstUse = %v, %v", first, err)
	}
	clock.Advance(2 * time.Hour)
	e.FirstUse(t.Context(), e.epoch, "later", time.Minute)
	if len(e.seen) != 1 {
		t.Errorf("%d keys left", len(e.seen))
	}
}

// TestFlood sees that a flood of keys neither grows the memory nor loosens anybody's limit.
func TestFlood(t *testing.T) {
	clock := storetest.NewClock()
	e := New(Options{Now: clock.Now, MaxBuckets: 100})
	take := func(key string) bool {
		ok, _, err := e.Take(t.Context(), key, 0.001, 1)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !take("victim") || take("victim") {
		t.Fatal("the limit does not hold before the flood")
	}
	granted := 0
	for i := range 50_000 {
		if take(fmt.Sprint("flood", i)) {
			granted++
		}
	}
	if len(e.buckets) > 100 {
		t.Errorf("%d buckets", len(e.buckets))
	}
	if granted > 99+sharedBuckets {
		t.Errorf("%d draws granted to a flood", granted)
	}
	if take("victim") {
		t.Error("the flood has reset a limit")
	}
	clock.Advance(time.Hour)
	if !take("somebody new") {
		t.Error("buckets that are full again are kept")
	}
}

func BenchmarkFirstUse(b *testing.B) {
	e := New(Options{})
	for i := range b.N {
		if _, err := e.FirstUse(b.Context(), e.epoch, fmt.Sprint(i), 10*time.Second); err != nil {
			b.Fatal(err)
		}
	}
}
