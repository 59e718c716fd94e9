package server

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/remit-auth/remit/server/oauth"
)

// class is what requests share: places, a short queue, and time. When the store is slow, a class
// fills up and refuses, and the others go on.
type class struct {
	name    string
	address allowance     // what one address may ask
	within  time.Duration // a request's whole time; 0: a stream, which ends otherwise
	slots   chan struct{} // requests under way
	queue   int64         // requests that may wait for a place

	waiting atomic.Int64
}

// How long a request waits for a place, and how long it may take when it has one.
const (
	queueTime = 500 * time.Millisecond
	agentTime = 4 * time.Second // a document or keys may have to be fetched
	guardTime = 2 * time.Second
	pageTime  = 8 * time.Second // a password may have to wait for its turn
)

// classes are the server's classes.
type classes struct{ agents, guards, pages, rare, streams class }

func newClasses() *classes {
	make := func(name string, address allowance, within time.Duration, slots, queue int) class {
		return class{name: name, address: address, within: within, slots: make(chan struct{}, slots), queue: int64(queue)}
	}
	return &classes{
		agents:  make("agents", addressAgents, agentTime, 128, 512),
		guards:  make("guards", addressGuards, guardTime, 128, 512),
		pages:   make("pages", addressPages, pageTime, 64, 256),
		rare:    make("rare", addressRegister, agentTime, 8, 32),
		streams: class{name: "streams", address: addressPages},
	}
}

// classOf tells the class of a request by where it goes, and whether a person sees the answer. What
// is answered from memory has none.
func (s *Server) classOf(r *http.Request) (c *class, page bool) {
	path, ours := strings.CutPrefix(r.URL.Path, s.base)
	if !ours {
		return nil, false
	}
	switch first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); first {
	case "jwks", "static", ".well-known":
		return nil, false
	case "par", "token", "revoke", "tasks", "device", "userinfo":
		return &s.classes.agents, false
	case "executions", "introspect", "grants", "manifest":
		return &s.classes.guards, false
	case "approvals":
		if path == "/approvals" { // below it are the pages
			return &s.classes.guards, false
		}
	case "feed":
		if r.Method == http.MethodGet {
			return &s.classes.streams, false
		}
		return &s.classes.guards, false
	case "register", "enroll":
		return &s.classes.rare, false
	case "agents":
		if strings.HasSuffix(path, "/live") {
			return &s.classes.streams, true
		}
	}
	return &s.classes.pages, true
}

var errBusy = &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "the server is busy; try again in a moment", RetryAfter: time.Second}

// admission lets a request in when its address may ask and its class has room, and gives it its time. It
// comes before everything else, so that what is shed costs next to nothing.
func (s *Server) admission(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, page := s.classOf(r)
		if c == nil {
			next.ServeHTTP(w, r)
			return
		}
		err := s.limit(r.Context(), c.address.of("address:"+c.name+":"+s.clientAddress(r)))
		if err == nil {
			err = c.enter(r.Context())
		}
		if err != nil {
			s.shed(w, r, wire(err), page)
			return
		}
		defer c.leave()
		if c.within > 0 {
			ctx, cancel := context.WithTimeout(r.Context(), c.within)
			defer cancel()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// enter waits a moment for a place.
func (c *class) enter(ctx context.Context) error {
	if c.slots == nil {
		return nil
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	if c.waiting.Add(1) > c.queue {
		c.waiting.Add(-1)
		return errBusy
	}
	defer c.waiting.Add(-1)
	timer := time.NewTimer(queueTime)
	defer timer.Stop()
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return errBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *class) leave() {
	if c.slots != nil {
		<-c.slots
	}
}

// shed refuses without another look at the store. A person gets a plain line: the page that explains
// would need one.
func (s *Server) shed(w http.ResponseWriter, r *http.Request, e *oauth.Error, page bool) {
	if !page {
		s.refuse(w, r, e)
		return
	}
	s.note(r, e)
	setRetryAfter(w, e)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	w.WriteHeader(e.Status())
	_, _ = w.Write([]byte(e.Description + "\n"))
}
