package resource

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// replayLimit is how many proofs one generation remembers.
const replayLimit = 1 << 20

// stepBack is how far back the clock is set when it is not just requests that overtake each other.
const stepBack = 5 * time.Second

// replay remembers the proofs that were used, as long as their nonces are good. Its nonces name it:
// those of another memory (a replica, an earlier process) are not taken. When it is full it takes
// another name, which ends every nonce given so far, and may then forget. So it does when the clock is set
// back, by which nonces would live again whose proofs are forgotten.
type replay struct {
	nonces *tokens.Nonces
	limit  int

	mu         sync.Mutex
	epoch      string
	young, old map[string]struct{}
	since      time.Time // when young began
	latest     time.Time // by the wall clock, which nonces go by, too

	newest string // the nonce to hand out, and until when
	until  time.Time
}

func newReplay() *replay {
	key := make([]byte, 32)
	rand.Read(key)
	return &replay{nonces: tokens.NewNonces(key, nonceLife), limit: replayLimit, epoch: tokens.NewID("")}
}

func (m *replay) issue(_ context.Context, now time.Time) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !now.Before(m.until) || m.until.Sub(now) > nonceLife {
		m.newest, m.until = m.nonces.Issue(m.epoch, now), now.Add(nonceLife/2)
	}
	return m.newest
}

func (m *replay) use(_ context.Context, nonce, key string, now time.Time) Code {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch wall := now.Round(0); {
	case wall.After(m.latest):
		m.latest = wall
	case m.latest.Sub(wall) > stepBack: // what was good then and is good again may be forgotten
		m.rename(now)
		m.latest = wall
	}
	if current := nonce != "" && nonce == m.newest && now.Before(m.until); !current && !m.nonces.Check(nonce, m.epoch, now) {
		return UseNonce
	}
	if _, used := m.young[key]; used {
		return ProofReplayed
	}
	if _, used := m.old[key]; used {
		return ProofReplayed
	}
	if len(m.young) >= m.limit { // the nonce of this proof ends with the others
		m.rename(now)
		return UseNonce
	}
	if m.young == nil || now.Sub(m.since) > 2*nonceLife { // no nonce lives longer
		m.old, m.young, m.since = m.young, map[string]struct{}{}, now
	}
	m.young[key] = struct{}{}
	return ""
}

// rename ends every nonce given so far, and forgets.
func (m *replay) rename(now time.Time) {
	m.epoch, m.until = tokens.NewID(""), time.Time{}
	m.old, m.young, m.since = nil, nil, now
}
