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

// replay remembers the proofs that were used, as long as their nonces are good. Its nonces name it:
// those of another memory (a replica, an earlier process) are not taken. When it is full it takes
// another name, which ends every nonce given so far, and may then forget.
type replay struct {
	nonces *tokens.Nonces
	limit  int

	mu         sync.Mutex
	epoch      string
	young, old map[string]struct{}
	since      time.Time // when young began

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
	if current := nonce != "" && nonce == m.newest && now.Before(m.until); !current && !m.nonces.Check(nonce, m.epoch, now) {
		return UseNonce
	}
	if _, used := m.young[key]; used {
		return ProofReplayed
	}
	if _, used := m.old[key]; used {
		return ProofReplayed
	}
	switch {
	case len(m.young) >= m.limit: // the nonce of this proof ends with the others
		m.epoch, m.until = tokens.NewID(""), time.Time{}
		m.old, m.young, m.since = nil, nil, now
		return UseNonce
	case m.young == nil || now.Sub(m.since) > 2*nonceLife: // no nonce lives longer
		m.old, m.young, m.since = m.young, map[string]struct{}{}, now
	}
	m.young[key] = struct{}{}
	return ""
}
