package resource

import (
	"fmt"
	"testing"
	"time"
)

// TestReplayAfterTheClockIsSetBack: a proof that was used is not good again because its nonce is.
func TestReplayAfterTheClockIsSetBack(t *testing.T) {
	m, now := newReplay(), time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	use := func(nonce, key string, want Code) {
		t.Helper()
		if got := m.use(t.Context(), nonce, key, now); got != want {
			t.Errorf("%s at %s: %q, want %q", key, now.Format(time.TimeOnly), got, want)
		}
	}
	first, began := m.issue(t.Context(), now), now
	use(first, "stolen", "")
	for range 3 { // until it is forgotten
		now = now.Add(3 * nonceLife)
		use(m.issue(t.Context(), now), now.String(), "")
	}
	now = began.Add(time.Second)
	use(first, "stolen", UseNonce)
	use(m.issue(t.Context(), now), "fresh", "")
	use(m.issue(t.Context(), now), "fresh", ProofReplayed)
	now = now.Add(-time.Second) // requests that overtake each other end no nonce
	use(m.issue(t.Context(), now), "another", "")
	use(m.issue(t.Context(), now), "fresh", ProofReplayed)
}

func TestReplayMemoryFull(t *testing.T) {
	m := newReplay()
	m.limit = 3
	now := time.Unix(1000, 0)
	nonce := m.issue(t.Context(), now)
	for i := range 3 {
		if code := m.use(t.Context(), nonce, fmt.Sprint(i), now); code != "" {
			t.Fatal(code)
		}
	}
	if code := m.use(t.Context(), nonce, "3", now); code != UseNonce {
		t.Errorf("a full memory answered %q", code)
	}
	if code := m.use(t.Context(), nonce, "0", now); code != UseNonce {
		t.Errorf("after forgetting, a used proof was answered %q", code)
	}
	if code := m.use(t.Context(), m.issue(t.Context(), now), "4", now); code != "" {
		t.Errorf("with the new nonce: %q", code)
	}
}

func TestReplayMemoryOverTime(t *testing.T) {
	m := newReplay()
	now := time.Unix(1000, 0)
	for i := range 20 { // every proof is remembered while its nonce is good
		now = now.Add(20 * time.Second)
		nonce, key := m.issue(t.Context(), now), fmt.Sprint(i)
		if code := m.use(t.Context(), nonce, key, now); code != "" {
			t.Fatal(code)
		}
		for later := time.Duration(0); later <= 3*nonceLife; later += 10 * time.Second {
			future := replay{nonces: m.nonces, limit: m.limit, epoch: m.epoch, young: m.young, old: m.old, since: m.since}
			if m.nonces.Check(nonce, m.epoch, now.Add(later)) {
				if code := future.use(t.Context(), nonce, key, now.Add(later)); code != ProofReplayed {
					t.Fatalf("%v later: %q", later, code)
				}
			}
		}
	}
	if m.use(t.Context(), "", "x", now) != UseNonce || newReplay().use(t.Context(), m.issue(t.Context(), now), "x", now) != UseNonce {
		t.Error("a nonce of nobody or of another memory was taken")
	}
}
