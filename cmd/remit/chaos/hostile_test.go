//go:build chaos

package chaos

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	hostileFor  = flag.Duration("hostile.for", 10*time.Second, "how long good clients work alone, and as long under hostile load")
	hostileRate = flag.Int("hostile.rate", 300, "hostile requests a second, at most")
	hostileP99  = flag.Float64("hostile.p99", 0, "by what good clients' p99 may grow; 0: it is printed and not judged")
)

// most is the memory that an instance may have under hostile load: what it is given in deploy.
const most = 512 << 20

// TestHostile holds the server to P5: hostile load is refused, good clients go on, memory is bounded.
func TestHostile(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	w := build(t, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	wait := w.Work(ctx)
	pause(ctx, breath)
	from := time.Now()
	pause(ctx, *hostileFor)
	n, failed, p50, p99 := w.History.Latency(from, time.Now())
	fmt.Printf("good clients alone: %d probes, %d failed, p50 %v, p99 %v\n", n, failed, p50, p99)
	within, cancel := context.WithTimeout(ctx, *hostileFor)
	from = time.Now()
	granted := len(w.History.Keys("granted"))
	hostile := attack(within, w, *hostileRate)
	largest := watch(t, within, w)
	cancel()
	h, err := hostile()
	if err != nil {
		t.Fatal(err)
	}
	m, failed, q50, q99 := w.History.Latency(from, time.Now())
	granted = len(w.History.Keys("granted")) - granted
	fmt.Printf("under hostile load: %d probes, %d failed, p50 %v, p99 %v (%.1f ×); %d tasks granted; RSS at most %d MiB\n", m, failed, q50, q99, float64(q99)/float64(p99), granted, largest>>20)
	for _, what := range slices.Sorted(maps.Keys(h.Refused)) {
		fmt.Printf("  %s: %d\n", what, h.Refused[what])
	}
	for _, answer := range h.Served {
		t.Errorf("a hostile request was answered with %s", answer)
	}
	if failed > m/100 || granted == 0 {
		t.Errorf("%d of %d good calls failed under hostile load, %d tasks were granted", failed, m, granted)
	}
	if largest > most {
		t.Errorf("an instance grew to %d MiB", largest>>20)
	}
	if *hostileP99 > 0 && float64(q99) > *hostileP99*float64(p99) {
		t.Errorf("p99 %v, %v alone", q99, p99)
	}
	stop()
	wait()
	judge(t, w)
	if log := w.Instances[0].Log.String() + w.Instances[1].Log.String(); strings.Contains(log, "panic") {
		t.Error("an instance panicked")
	}
}

// attack lets a stranger send until the context ends; what it returns waits for what became of it.
func attack(ctx context.Context, w *World, perSecond int) (wait func() (*Hostile, error)) {
	var h *Hostile
	var err error
	var sent sync.WaitGroup
	sent.Go(func() { h, err = w.Attack(ctx, perSecond) })
	return func() (*Hostile, error) { sent.Wait(); return h, err }
}

// watch looks at the instances until the context ends, and returns the largest RSS.
func watch(t *testing.T, ctx context.Context, w *World) (largest int64) {
	for ctx.Err() == nil {
		for _, in := range w.Instances {
			s, err := in.Size(context.WithoutCancel(ctx))
			if err != nil {
				t.Error(err)
				return largest
			}
			largest = max(largest, s.RSS)
		}
		pause(ctx, time.Second)
	}
	return largest
}
