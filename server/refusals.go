package server

import (
	"context"
	"sync"

	"github.com/remit-auth/remit/store"
)

// refusals counts the refusals of callers that nobody has authenticated: one ledger record per
// kind and minute, so that strangers cannot fill a disk.
type refusals struct {
	mu     sync.Mutex
	counts map[refusal]int
}

type refusal struct{ Path, Code string }

// maxRefusalKinds bounds the map: paths are the router's, but an unmatched one is the caller's.
const maxRefusalKinds = 500

func (c *refusals) count(path, code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[refusal]int{}
	}
	kind := refusal{path, code}
	if _, known := c.counts[kind]; !known && len(c.counts) >= maxRefusalKinds {
		kind = refusal{"other", "other"}
	}
	c.counts[kind]++
}

func (c *refusals) drain() map[refusal]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := c.counts
	c.counts = nil
	return counts
}

// flushRefusals writes the counts of the last minute to the ledger.
func (s *Server) flushRefusals(ctx context.Context) error {
	counts := s.refusals.drain()
	if len(counts) == 0 {
		return nil
	}
	recs := make([]store.Record, 0, len(counts))
	for kind, n := range counts {
		recs = append(recs, store.NewRecord("refusals.counted", map[string]any{"path": kind.Path, "code": kind.Code, "count": n}))
	}
	return s.store.Append(ctx, recs...)
}
