package resource

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// Replay is a memory of used proofs that the replicas of one Guard share, see redisreplay. What it
// cannot answer is refused.
type Replay interface {
	// Epoch names the memory as it is now. The name is a secret, from which nonces are made; a memory
	// that may have forgotten a proof has another one.
	Epoch(ctx context.Context) (string, error)
	// Use notes a proof in the memory of that name, for as long as a nonce of it can be good
	// (2 minutes), and reports whether it was fresh. If the memory has another name now, nothing is
	// fresh. It always says the present name.
	Use(ctx context.Context, epoch, proof string) (fresh bool, now string, err error)
}

// proofs is where used proofs are remembered.
type proofs interface {
	// issue returns the nonce that clients should use from now on; empty: none can be given.
	issue(ctx context.Context, now time.Time) string
	// use spends a proof: its nonce must be one of this memory and not too old (else UseNonce), and
	// it must never have been used before (else ProofReplayed).
	use(ctx context.Context, nonce, key string, now time.Time) Code
}

// epochFresh is how long the memory's name is believed when nonces are given.
const epochFresh = 10 * time.Second

// shared gives nonces for a memory that other replicas use too.
type shared struct {
	memory Replay
	log    *slog.Logger

	mu     sync.Mutex
	epoch  string
	nonces *tokens.Nonces
	asked  time.Time // by the machine's clock
}

// take notes the memory's name.
func (m *shared) take(epoch string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = time.Now()
	if epoch != m.epoch && epoch != "" {
		m.epoch, m.nonces = epoch, tokens.NewNonces([]byte(epoch), nonceLife)
	}
}

// known returns what is known of the memory, and how old that is.
func (m *shared) known() (epoch string, n *tokens.Nonces, age time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch, m.nonces, time.Since(m.asked)
}

// renew asks for the memory's name.
func (m *shared) renew(ctx context.Context) error {
	epoch, err := m.memory.Epoch(ctx)
	if err != nil {
		m.log.Error("the shared memory of proofs does not answer", "error", err)
		return err
	}
	m.take(epoch)
	return nil
}

func (m *shared) issue(ctx context.Context, now time.Time) string {
	if _, n, age := m.known(); n == nil || age > epochFresh {
		_ = m.renew(ctx) // an old nonce does no harm: it will not be taken
	}
	_, n, _ := m.known()
	if n == nil {
		return ""
	}
	return n.Issue("", now)
}

func (m *shared) use(ctx context.Context, nonce, key string, now time.Time) Code {
	epoch, n, _ := m.known()
	if n == nil || !n.Check(nonce, "", now) {
		if m.renew(ctx) != nil { // another replica may know a newer name
			return ReplayUnavailable
		}
		if epoch, n, _ = m.known(); !n.Check(nonce, "", now) {
			return UseNonce
		}
	}
	fresh, present, err := m.memory.Use(ctx, epoch, key)
	switch {
	case err != nil:
		m.log.Error("the shared memory of proofs does not answer", "error", err)
		return ReplayUnavailable
	case present != epoch:
		m.take(present)
		return UseNonce
	case !fresh:
		return ProofReplayed
	}
	return ""
}
