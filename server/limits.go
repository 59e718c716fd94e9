package server

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
)

// allowance is a limit without its key: so many per second in the long run, so many at once.
type allowance struct {
	rate  float64
	burst int
}

// What one address, client, task, user or Guard may ask of all instances together. An address may be
// a whole office, or the servers of an AI application with tens of thousands of tasks; so these stop
// floods, and nobody who does what Remit is for comes near them.
var (
	addressAgents   = allowance{100, 1000}  // PAR, token, revocation, tasks: what agents do
	addressGuards   = allowance{1000, 5000} // executions, reservations, introspection: what Guards do
	addressPages    = allowance{50, 2000}   // pages and forms
	addressRegister = allowance{1, 60}      // registration, enrolment: each asked for once in a life
	byClient        = allowance{500, 5000}  // by a client that has proven that it is that client
	byGuard         = allowance{1000, 5000} // by a resource's Guard
	byStandIn       = allowance{0.2, 100}   // records that a Guard could not bring: each is a finding that somebody must read
	byDefect        = allowance{0.1, 10}    // findings of panics at one route; the log tells of all
	byUser          = allowance{5, 100}     // forms sent by one user
	byTask          = allowance{0.5, 60}    // refreshes of one task: a token lives for minutes
)

// limit is a bucket that a request draws from.
type limit struct {
	key   string
	rate  float64 // per second
	burst int
}

func (b allowance) of(key string) limit { return limit{key, b.rate, b.burst} }

// limit draws from each bucket in turn, and refuses with 429 at the first that is empty. One that was
// found empty is not asked for again until it can have something.
func (s *Server) limit(ctx context.Context, limits ...limit) error {
	for _, l := range limits {
		now := s.now()
		if wait := s.empty.wait(l.key, now); wait > 0 {
			return tooMany(wait)
		}
		ok, wait, err := s.ephemeral.Take(ctx, l.key, l.rate*s.rateFactor, max(1, int(float64(l.burst)*s.rateFactor)))
		if err != nil {
			return replayUnknown(err)
		}
		if !ok {
			s.empty.put(l.key, now, wait)
			return tooMany(wait)
		}
	}
	return nil
}

// tooMany says when to come again.
func tooMany(wait time.Duration) error {
	return &oauth.Error{
		Code: oauth.TemporarilyUnavailable, HTTPStatus: http.StatusTooManyRequests, RetryAfter: max(wait, time.Second),
		Description: "too many requests of this kind; wait a little and try again",
	}
}

// setRetryAfter says when to come again, in whole seconds (RFC 9110 §10.2.3).
func setRetryAfter(w http.ResponseWriter, e *oauth.Error) {
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	} else if w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "2")
	}
}

// empties remembers for a moment which buckets are empty, so that a flood costs the shared memory
// nothing. It is this instance's own.
type empties struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// How many empty buckets are remembered, and for how long at most: one that is refilled meanwhile (by
// another clock, a flush) is not to be refused for long.
const (
	maxEmpties = 10_000
	emptyFor   = time.Second
)

func (e *empties) wait(key string, now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	until, known := e.until[key]
	if !known {
		return 0
	}
	if wait := until.Sub(now); wait > 0 && wait <= emptyFor { // longer: the clock was set back
		return wait
	}
	delete(e.until, key)
	return 0
}

func (e *empties) put(key string, now time.Time, wait time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.until == nil || len(e.until) >= maxEmpties {
		e.until = map[string]time.Time{} // what is forgotten is asked for again
	}
	e.until[key] = now.Add(min(wait, emptyFor))
}

// limitClient bounds what is done in the name of a client that has proven to be it. Anybody may use the
// name of one that proves nothing: a limit on it would let strangers lock its users out, so that it has
// the limits of addresses and tasks alone.
func (s *Server) limitClient(ctx context.Context, c store.Client) error {
	if authMethod(c) == oauth.AuthNone {
		return nil
	}
	return s.limit(ctx, byClient.of("client:"+c.ID))
}

// mayRefresh bounds how often one task is refreshed.
func (s *Server) mayRefresh(ctx context.Context, task string) error {
	return s.limit(ctx, byTask.of("refresh:"+task))
}
