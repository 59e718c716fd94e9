package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// EphemeralOpener returns an empty memory that tells the time by now. One that keeps its own time
// (a server's, say) advances when advance is called.
type EphemeralOpener func(t *testing.T, now store.Clock) (e store.Ephemeral, advance func(time.Duration))

// RunEphemeral holds a replay memory to the comments of store.Ephemeral. A nil advance means that
// the memory follows now.
func RunEphemeral(t *testing.T, open EphemeralOpener) {
	for name, test := range ephemeral {
		t.Run(name, func(t *testing.T) {
			clock := NewClock()
			e, advance := open(t, clock.Now)
			if advance == nil {
				advance = clock.Advance
			}
			epoch, err := e.Epoch(t.Context())
			if err != nil || epoch == "" {
				t.Fatalf("Epoch = %q, %v", epoch, err)
			}
			test(&moment{t, e, epoch, advance})
		})
	}
}

// moment is a replay memory under test.
type moment struct {
	*testing.T
	e       store.Ephemeral
	epoch   string
	advance func(time.Duration)
}

func (m *moment) first(key string, ttl time.Duration, want bool) {
	m.Helper()
	got, err := m.e.FirstUse(m.Context(), m.epoch, key, ttl)
	if err != nil || got != want {
		m.Fatalf("FirstUse(%q) = %v, %v, want %v", key, got, err, want)
	}
}

// take draws one from a bucket of 3 that refills at 2 per second.
func (m *moment) take(key string, want bool) (wait time.Duration) {
	m.Helper()
	got, wait, err := m.e.Take(m.Context(), key, 2, 3)
	if err != nil || got != want || want != (wait == 0) {
		m.Fatalf("Take(%q) = %v, %v, %v, want %v", key, got, wait, err, want)
	}
	return wait
}

var ephemeral = map[string]func(*moment){
	"a key is first once": func(m *moment) {
		m.first("a", time.Minute, true)
		m.first("a", time.Minute, false)
		m.first("b", time.Minute, true)
	},
	"a key is remembered for its time": func(m *moment) {
		m.first("a", time.Minute, true)
		m.first("b", time.Hour, true)
		m.advance(59 * time.Second)
		m.first("a", time.Minute, false)
		m.advance(3 * time.Second) // a backend may remember a little longer
		m.first("a", time.Minute, true)
		m.first("b", time.Hour, false)
	},
	"a long rest": func(m *moment) {
		m.first("a", time.Minute, true)
		m.first("b", 48*time.Hour, true)
		m.advance(24 * time.Hour)
		m.first("a", time.Minute, true)
		m.first("b", time.Minute, false)
	},
	"another epoch is unknown": func(m *moment) {
		if first, err := m.e.FirstUse(m.Context(), "another", "a", time.Minute); !errors.Is(err, store.ErrEpochOver) || first {
			m.Errorf("FirstUse = %v, %v", first, err)
		}
		m.first("a", time.Minute, true)
	},
	"no time at all": func(m *moment) {
		for _, ttl := range []time.Duration{0, -time.Second} {
			if first, err := m.e.FirstUse(m.Context(), m.epoch, "a", ttl); err == nil || first {
				m.Errorf("FirstUse(%v) = %v, %v", ttl, first, err)
			}
		}
	},
	"a cancelled context": func(m *moment) {
		ctx, cancel := context.WithCancel(m.Context())
		cancel()
		if first, err := m.e.FirstUse(ctx, m.epoch, "a", time.Minute); err == nil || first {
			m.Errorf("FirstUse = %v, %v", first, err)
		}
		if ok, _, err := m.e.Take(ctx, "a", 1, 1); err == nil || ok {
			m.Errorf("Take = %v, %v", ok, err)
		}
	},
	"a race for one key": func(m *moment) {
		for round := range rounds {
			var firsts atomic.Int64
			var wg sync.WaitGroup
			for range runners {
				wg.Go(func() {
					first, err := m.e.FirstUse(m.Context(), m.epoch, fmt.Sprint("key", round), time.Minute)
					if err != nil {
						m.Error(err)
					}
					if first {
						firsts.Add(1)
					}
				})
			}
			wg.Wait()
			if n := firsts.Load(); n != 1 {
				m.Fatalf("%d were first", n)
			}
		}
	},
	"a bucket": func(m *moment) {
		for range 3 {
			m.take("a", true)
		}
		wait := m.take("a", false)
		if wait > time.Second/2 {
			m.Errorf("wait = %v", wait)
		}
		m.take("b", true)
		m.advance(wait)
		m.take("a", true)
		m.take("a", false)
		m.advance(time.Hour)
		for range 3 {
			m.take("a", true)
		}
		m.take("a", false)
	},
	"refused draws cost nothing": func(m *moment) {
		for range 3 {
			m.take("a", true)
		}
		for range 100 {
			m.take("a", false)
		}
		m.advance(time.Second / 2)
		m.take("a", true)
	},
	"no rate, no burst": func(m *moment) {
		if ok, _, err := m.e.Take(m.Context(), "a", 0, 1); err == nil || ok {
			m.Errorf("Take = %v, %v", ok, err)
		}
		if ok, _, err := m.e.Take(m.Context(), "a", 1, 0); err == nil || ok {
			m.Errorf("Take = %v, %v", ok, err)
		}
	},
}
