package server

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"github.com/remit-auth/remit/server/fetch"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// clientAssertion checks and spends a client's assertion. A key that the client's jwks_uri did not have
// when it was read may be there now.
func (s *Server) clientAssertion(ctx context.Context, c store.Client, raw string) error {
	keys, err := s.clientKeys(ctx, c)
	if err != nil {
		return err
	}
	err = s.useAssertion(ctx, keys, raw, c.ID)
	if uri := c.Metadata.JWKSURI; uri != "" && errors.Is(err, tokens.ErrUnknownKey) && s.strangers.keys.aged(uri, s.now()) {
		if keys, err = s.loadKeys(ctx, uri); err != nil {
			return err
		}
		return s.useAssertion(ctx, keys, raw, c.ID)
	}
	return err
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
	if keys, ok := s.strangers.keys.get(c.Metadata.JWKSURI, s.now()); ok {
		return keys, nil
	}
	return s.loadKeys(ctx, c.Metadata.JWKSURI)
}

func (s *Server) loadKeys(ctx context.Context, uri string) (tokens.KeySet, error) {
	return s.strangers.keys.load(ctx, uri, s.now, func(ctx context.Context) (tokens.KeySet, fetch.Document, error) {
		if err := s.strangers.unread.of(uri, s.now()); err != nil {
			return tokens.KeySet{}, fetch.Document{}, err
		}
		return s.readKeys(ctx, uri)
	})
}

// readKeys reads a key set. One that was never read here is a newcomer's.
func (s *Server) readKeys(ctx context.Context, uri string) (tokens.KeySet, fetch.Document, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return tokens.KeySet{}, fetch.Document{}, err
	}
	if err := s.limit(ctx, limit{"jwks:host:" + u.Host, 1, 20}); err != nil {
		return tokens.KeySet{}, fetch.Document{}, err
	}
	out := s.strangers.new
	if s.strangers.keys.holds(uri) {
		out = s.strangers.known
	}
	doc, err := out.Keys(ctx, uri)
	if errors.Is(err, fetch.ErrBusy) { // which is nothing that its server did
		return tokens.KeySet{}, doc, keysUnread(err)
	}
	keys, err := judgeKeys(doc, err)
	s.strangers.unread.note(uri, s.now(), err)
	return keys, doc, err
}

func judgeKeys(doc fetch.Document, err error) (tokens.KeySet, error) {
	switch {
	case errors.Is(err, fetch.ErrUnreachable):
		return tokens.KeySet{}, keysUnread(err)
	case err != nil:
		return tokens.KeySet{}, invalidDocument("the client's keys could not be read", err)
	}
	keys, err := tokens.ParseKeySet(doc.Body)
	if err != nil {
		return keys, invalidDocument("the client's jwks_uri is not a set of public keys: "+err.Error(), err)
	}
	return keys, nil
}

func keysUnread(cause error) error {
	return &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "the client's keys cannot be read now; try again", Cause: cause}
}

// unread remembers which key sets could not be read. One failure may be chance; after a second one nobody
// is asked for keepAtLeast, however many requests name the client: a server that is down or slow costs
// what one that answers does.
type unread struct {
	mu   sync.Mutex
	last map[string]failure
}

type failure struct {
	err   error
	times int
	until time.Time
}

// of is why a key set is not asked for now.
func (u *unread) of(uri string, now time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	f, failed := u.last[uri]
	wait := f.until.Sub(now)
	if !failed || f.times < 2 || wait <= 0 || wait > keepAtLeast { // longer: the clock was set back
		return nil
	}
	if refused, ok := errors.AsType[*oauth.Error](f.err); ok && refused.Code == oauth.TemporarilyUnavailable {
		again := *refused
		again.RetryAfter = wait
		return &again
	}
	return f.err
}

// note remembers how a reading ended.
func (u *unread) note(uri string, now time.Time, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil {
		delete(u.last, uri)
		return
	}
	f := u.last[uri]
	if now.After(f.until.Add(keepAtLeast)) { // long ago
		f.times = 0
	}
	if u.last == nil || len(u.last) >= maxKept {
		u.last = map[string]failure{} // what is forgotten is asked for again
	}
	u.last[uri] = failure{err, f.times + 1, now.Add(keepAtLeast)}
}
