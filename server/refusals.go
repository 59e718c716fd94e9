package server

import (
	"context"
	"net/http"
	"sync"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/store"
)

// refusals counts the refusals of callers that nobody has authenticated: one ledger record per
// kind and minute, so that strangers cannot fill a disk.
type refusals struct {
	mu     sync.Mutex
	counts map[refusal]int
}

type refusal struct{ Path, Code string }

// maxRefusalKinds bounds the map.
const maxRefusalKinds = 500

// routeOf is the path as routes.go has it: what the caller wrote into it is nobody's to keep.
func routeOf(r *http.Request) string {
	if c := chi.RouteContext(r.Context()); c != nil {
		if pattern := c.RoutePattern(); pattern != "" {
			return pattern
		}
	}
	return "other"
}

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

// restore counts again what could not be written.
func (c *refusals) restore(counts map[refusal]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for kind, n := range c.counts {
		counts[kind] += n
	}
	c.counts = counts
}

// worthRecording lets the ledger keep a few findings about one task, and one a minute after that.
// All of them are counted as refusals.
func (s *Server) worthRecording(ctx context.Context, task string) bool {
	ok, _, err := s.ephemeral.Take(ctx, "finding:"+task, 1.0/60, 10)
	return ok || err != nil
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
	err := s.store.Append(ctx, recs...)
	if err != nil {
		s.refusals.restore(counts)
	}
	return err
}
