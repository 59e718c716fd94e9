package resource

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	rememberedTokens = 1 << 18          // verified tokens at most
	tokenShards      = 64               // each swept by itself, so that no call waits for a long sweep
	sweepEvery       = 15 * time.Second // of each shard, while tokens arrive
)

// recent remembers verified tokens by the hash of their text until they expire. What is remembered
// spares a signature's check and decides nothing, so when there are too many, some are forgotten.
type recent struct {
	limit  int // of each shard; 0: the usual
	shards [tokenShards]shard
}

type shard struct {
	mu    sync.RWMutex
	known map[[sha256.Size]byte]*bearer
	swept time.Time
}

func (m *recent) get(id [sha256.Size]byte) *bearer {
	s := &m.shards[id[0]%tokenShards]
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.known[id]
}

func (m *recent) put(id [sha256.Size]byte, b *bearer, now time.Time) {
	limit := m.limit
	if limit == 0 {
		limit = rememberedTokens / tokenShards
	}
	s := &m.shards[id[0]%tokenShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[[sha256.Size]byte]*bearer{}
	}
	if now.Sub(s.swept) >= sweepEvery || now.Before(s.swept) || len(s.known) >= limit {
		s.sweep(now, limit)
	}
	s.known[id] = b
}

// sweep forgets expired tokens and, while there are too many, any.
func (s *shard) sweep(now time.Time, limit int) {
	s.swept = now
	for id, b := range s.known {
		if !now.Before(b.Expires) {
			delete(s.known, id)
		}
	}
	for id := range s.known {
		if len(s.known) < limit-limit/8 {
			return
		}
		delete(s.known, id)
	}
}

// size is how many tokens are remembered.
func (m *recent) size() (n int) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		n += len(s.known)
		s.mu.RUnlock()
	}
	return n
}
