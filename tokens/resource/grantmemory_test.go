package resource

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// The grants' memory is bounded, and what is not used leaves it.
func TestGrantMemory(t *testing.T) {
	now, fetches := time.Unix(1e9, 0), 0
	m := &grants{limit: 1000, now: func() time.Time { return now }, fetch: func(_ context.Context, hash string) (*granted, int, error) {
		fetches++
		if hash == "broken" {
			return nil, 0, errors.New("it is")
		}
		return &granted{}, 100, nil
	}}
	get := func(hash string) {
		t.Helper()
		if _, err := m.get(t.Context(), hash); (err != nil) != (hash == "broken") {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		now = now.Add(time.Second)
		get("first")
		get(fmt.Sprint(i))
	}
	if m.size != 1000 || len(m.known) != 10 || fetches != 51 {
		t.Errorf("%d grants of %d bytes after %d fetches", len(m.known), m.size, fetches)
	}
	get("broken")
	get("broken")
	if fetches != 53 || len(m.known) != 10 {
		t.Errorf("a failure was remembered: %d fetches, %d known", fetches, len(m.known))
	}
	now = now.Add(grantsUnused + time.Second)
	get("last")
	if m.size != 100 || len(m.known) != 1 {
		t.Errorf("after a long time %d grants of %d bytes are left", len(m.known), m.size)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wait := make(chan struct{})
	m.fetch = func(context.Context, string) (*granted, int, error) { <-wait; return &granted{}, 1, nil }
	if _, err := m.get(ctx, "slow"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left waits: %v", err)
	}
	close(wait)
	get("slow")
}

// TestGrantMemoryRace: what is fetched at the same time is counted once, and forgotten once.
func TestGrantMemoryRace(t *testing.T) {
	m := &grants{limit: 500, now: time.Now, fetch: func(context.Context, string) (*granted, int, error) { return &granted{}, 100, nil }}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 100 {
				if _, err := m.get(t.Context(), fmt.Sprint(i, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.size != 100*len(m.known) || m.size > m.limit {
		t.Errorf("%d grants are said to take %d bytes", len(m.known), m.size)
	}
}
