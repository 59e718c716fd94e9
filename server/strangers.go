package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/remit-auth/remit/server/fetch"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// How long documents and keys of strangers count before they are read again, whatever their servers
// say: a key that was taken back is refused after keepAtMost.
const (
	keepAtLeast = time.Minute
	keepAtMost  = 5 * time.Minute
	maxKept     = 2_000
)

// strangers is what the server knows of clients that publish something themselves. Newcomers have
// fetches of their own: a flood of them does not delay clients that are known.
type strangers struct {
	new, known *fetch.Client
	named      *fetch.Client // what an admin named: trusted issuers
	documents  memo[store.Client]
	keys       memo[tokens.KeySet]
	unread     unread // of clients
	unreadOf   unread // of trusted issuers
}

func newStrangers(c fetch.Config) *strangers {
	named := c
	named.Named = true
	return &strangers{new: fetch.New(c), known: fetch.New(c), named: fetch.New(named)}
}

// findClient returns the client with this client_id, disabled or not. Every endpoint that is told a
// client_id asks here.
func (s *Server) findClient(r *http.Request, id string) (store.Client, error) {
	if isDocumentID(id) {
		return s.documentClient(r, id)
	}
	return s.store.ClientByID(r.Context(), id)
}

// memo keeps what was read, until it may have changed. Failures are never kept (CIMD §4.4), and one
// reading at a time serves all who wait for it.
type memo[V any] struct {
	flights singleflight.Group
	mu      sync.Mutex
	kept    map[string]entry[V]
}

type entry[V any] struct {
	value       V
	read, until time.Time
}

func (m *memo[V]) get(key string, now time.Time) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.kept[key]
	return e.value, now.Before(e.until)
}

// fresh reports whether what was read need not be read again.
func (m *memo[V]) fresh(key string, now time.Time) bool {
	_, ok := m.get(key, now)
	return ok
}

// aged reports whether what was read may be read again before its time.
func (m *memo[V]) aged(key string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !now.Before(m.kept[key].read.Add(keepAtLeast))
}

// holds reports whether this was read before, though it may be stale.
func (m *memo[V]) holds(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, held := m.kept[key]
	return held
}

// load reads, or waits for the reading that is under way; whoever gives up leaves it to the others.
func (m *memo[V]) load(ctx context.Context, key string, now func() time.Time, read func(context.Context) (V, fetch.Document, error)) (V, error) {
	flight := m.flights.DoChan(key, func() (any, error) {
		if v, ok := m.get(key, now()); ok && !m.aged(key, now()) { // another flight has just landed
			return v, nil
		}
		v, doc, err := read(context.WithoutCancel(ctx))
		if err == nil {
			m.keep(key, v, now(), doc.Fresh)
		}
		return v, err
	})
	var none V
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case done := <-flight:
		if done.Err != nil {
			return none, done.Err
		}
		return done.Val.(V), nil
	}
}

func (m *memo[V]) keep(key string, v V, now time.Time, fresh time.Duration) {
	if fresh == fetch.Unsaid {
		fresh = keepAtMost
	}
	until := now.Add(min(max(fresh, keepAtLeast), keepAtMost))
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = map[string]entry[V]{}
	}
	if _, known := m.kept[key]; !known && len(m.kept) >= maxKept {
		m.makeRoom(now)
	}
	m.kept[key] = entry[V]{v, now, until}
}

// makeRoom drops what is stale, and something else where that is not enough.
func (m *memo[V]) makeRoom(now time.Time) {
	for key, e := range m.kept {
		if !now.Before(e.until) {
			delete(m.kept, key)
		}
	}
	for key := range m.kept {
		if len(m.kept) < maxKept {
			return
		}
		delete(m.kept, key)
	}
}
