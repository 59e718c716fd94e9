package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// drainer is an HTTP server that drops no request when it ends. http.Server.Shutdown alone throws
// away what was accepted but not yet read, and what arrives on a connection that it finds idle; so
// first the listener is closed and every answer asks its client to go, for a moment, and only then
// the rest is shut down.
type drainer struct {
	http     *http.Server
	listener net.Listener
	leaving  atomic.Bool

	mu    sync.Mutex
	conns map[net.Conn]http.ConnState // new and active ones
}

// How long clients are given to notice: everybody a moment, connections without a request longer.
const (
	leaveTime = 200 * time.Millisecond
	newTime   = time.Second
)

// newDrainer makes a server of hs on l.
func newDrainer(hs *http.Server, l net.Listener) *drainer {
	d := &drainer{http: hs, listener: l, conns: map[net.Conn]http.ConnState{}}
	next := hs.Handler
	hs.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.leaving.Load() {
			w.Header().Set("Connection", "close") // HTTP/2 turns it into GOAWAY
		}
		next.ServeHTTP(w, r)
	})
	hs.ConnState = func(c net.Conn, state http.ConnState) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if state == http.StateNew || state == http.StateActive {
			d.conns[c] = state
		} else {
			delete(d.conns, c)
		}
	}
	return d
}

// serve answers until the listener is closed.
func (d *drainer) serve() error {
	err := d.http.Serve(d.listener)
	if d.leaving.Load() || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// drain ends the server: it returns when every request is answered, or with ctx.
func (d *drainer) drain(ctx context.Context) error {
	d.leaving.Store(true)
	d.listener.Close()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !d.quiet(time.Since(began)) {
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), d.http.Close())
		case <-tick.C:
		}
	}
	if err := d.http.Shutdown(ctx); err != nil {
		return errors.Join(err, d.http.Close())
	}
	return nil
}

// quiet reports whether nobody waits for an answer, so long after the listener was closed.
func (d *drainer) quiet(since time.Duration) bool {
	if since < leaveTime {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, state := range d.conns {
		if state == http.StateActive || since < newTime {
			return false
		}
	}
	return true
}
