package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
)

const (
	// longestStale is how long a Guard may act on what it has heard.
	longestStale = time.Minute
	// hearsEvery is how often a replica that listens is noted anew.
	hearsEvery = 5 * time.Second
)

// ear is one replica of a Guard that listens to the feed.
type ear struct {
	replica string        // its name; empty: the only one
	stale   time.Duration // how long it acts on what it has heard
}

// earOf reads who listens. A Guard that does not say for how long it acts on what it has heard is
// taken for one that does so as long as any may.
func earOf(r *http.Request) (ear, error) {
	q := r.URL.Query()
	e := ear{replica: q.Get("replica"), stale: longestStale}
	if s := q.Get("stale"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > int(longestStale/time.Second) {
			return e, oauth.Refuse(oauth.InvalidRequest, "stale is 1 to 60 seconds")
		}
		e.stale = time.Duration(n) * time.Second
	}
	if !validReplica(e.replica) {
		return e, oauth.Refuse(oauth.InvalidRequest, "replica is no name of one")
	}
	return e, nil
}

// validReplica reports whether a replica of a Guard can have this name. The only one has none.
func validReplica(name string) bool { return name == "" || validID(name, "rpl_") }

// hears notes that a replica listens, until it may no longer act on what it will have heard when it
// is noted next. An event is in force when all of these have said so, however they got lost.
func (s *Server) hears(ctx context.Context, resource string, e ear) error {
	return s.store.ListenFeed(ctx, resource, e.replica, s.now().Add(hearsEvery+beatEvery+e.stale))
}

// stillGuard refuses a Guard in whose place another was enrolled since it authenticated.
func (s *Server) stillGuard(ctx context.Context, authenticated store.Resource) error {
	now, err := s.store.ResourceByURI(ctx, authenticated.URI)
	if errors.Is(err, store.ErrResourceNotFound) || err == nil && now.GuardID != authenticated.GuardID {
		return errClient
	}
	return err
}

// checkGuard ends the feeds of a Guard in whose place another instance has enrolled another one.
func (h *hub) checkGuard(ctx context.Context) {
	r, err := h.server.store.ResourceByURI(ctx, h.resource)
	if err != nil {
		return // the next beat asks again
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		if l.guard != r.GuardID {
			h.dropLocked(l)
		}
	}
}
