package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/remit-auth/remit/server/fetch"
	"github.com/remit-auth/remit/server/oauth"
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

// clientKeys returns the keys that a client authenticates with: its own, or those at its jwks_uri.
func (s *Server) clientKeys(ctx context.Context, c store.Client) (tokens.KeySet, error) {
	if c.Metadata.JWKSURI == "" {
		keys, err := tokens.ParseKeySet(c.Metadata.JWKS)
		if err != nil {
			return keys, &oauth.Error{Code: oauth.InvalidClient, Description: errClient.Description, Cause: err}
		}
		return keys, nil
	}
	uri := c.Metadata.JWKSURI
	if keys, ok := s.strangers.keys.get(uri, s.now()); ok {
		return keys, nil
	}
	return s.strangers.keys.load(ctx, uri, s.now, func(ctx context.Context) (tokens.KeySet, fetch.Document, error) {
		return s.readKeys(ctx, uri)
	})
}

func (s *Server) readKeys(ctx context.Context, uri string) (tokens.KeySet, fetch.Document, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return tokens.KeySet{}, fetch.Document{}, err
	}
	if err := s.limit(ctx, limit{"jwks:host:" + u.Host, 1, 20}); err != nil {
		return tokens.KeySet{}, fetch.Document{}, err
	}
	doc, err := s.strangers.known.Keys(ctx, uri)
	switch {
	case errors.Is(err, fetch.ErrBusy), errors.Is(err, fetch.ErrUnreachable):
		return tokens.KeySet{}, doc, &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "the client's keys cannot be read now; try again", Cause: err}
	case err != nil:
		return tokens.KeySet{}, doc, invalidDocument("the client's keys could not be read", err)
	}
	keys, err := tokens.ParseKeySet(doc.Body)
	if err != nil {
		return keys, doc, invalidDocument("the client's jwks_uri is not a set of public keys: "+err.Error(), err)
	}
	return keys, doc, nil
}

// memo keeps what was read, until it may have changed. Failures are never kept (CIMD §4.4), and one
// reading at a time serves all who wait for it.
type memo[V any] struct {
	flights singleflight.Group
	mu      sync.Mutex
	kept    map[string]entry[V]
}

type entry[V any] struct {
	value V
	until time.Time
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

// load reads, or waits for the reading that is under way; whoever gives up leaves it to the others.
func (m *memo[V]) load(ctx context.Context, key string, now func() time.Time, read func(context.Context) (V, fetch.Document, error)) (V, error) {
	flight := m.flights.DoChan(key, func() (any, error) {
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
	m.kept[key] = entry[V]{v, until}
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
