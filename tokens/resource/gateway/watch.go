package gateway

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os/exec"
	"time"

	"github.com/remit-auth/remit/tokens/resource"
)

// How often servers are asked for their tools when nobody calls, and how long the first enrolment
// waits before it is tried again: twice as long each time.
const (
	pollEvery  = 30 * time.Second
	enrolLeast = 500 * time.Millisecond
	enrolMost  = 30 * time.Second
)

// start puts the Guard before the server: at once, or as soon as it can enrol.
func (g *Gateway) start(ctx, life context.Context, r *route, u Upstream) error {
	config := u.Guard
	config.Tools, config.Streams = r.tools.read, u.URL != ""
	if config.Log == nil {
		config.Log = r.log
	}
	err := r.protect(ctx, config)
	if err != nil && !mayPass(err) {
		return err
	}
	if err != nil {
		r.log.Warn("the guard cannot enrol yet; requests are answered with 503 until it can", "error", err)
	}
	g.running.Go(func() {
		if err != nil && !r.retry(life, config) {
			return
		}
		r.watch(life)
	})
	return nil
}

// protect starts the Guard.
func (r *route) protect(ctx context.Context, config resource.Config) error {
	guard, err := resource.New(ctx, config)
	if err != nil {
		return err
	}
	r.behind.Store(&guarded{guard, guard.Protect(http.HandlerFunc(r.serve))})
	close(r.up)
	return nil
}

// mayPass tells what time can mend from what a person must.
func mayPass(err error) bool {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, exec.ErrNotFound) {
		return false // a command that is not there
	}
	return errors.Is(err, resource.ErrNotNow) || errors.Is(err, errUpstream)
}

// retry starts the Guard until it runs, or life ends. What no time can mend is said, and tried again
// too: whoever mends it should not have to start the gateway anew.
func (r *route) retry(life context.Context, config resource.Config) bool {
	for pause := enrolLeast; ; pause = min(2*pause, enrolMost) {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-life.Done():
			timer.Stop()
			return false
		}
		err := r.protect(life, config)
		if err == nil {
			r.log.Info("the guard is enrolled")
			return true
		}
		if life.Err() == nil {
			r.log.Warn("the guard cannot enrol yet", "error", err, "pause", min(2*pause, enrolMost))
		}
	}
}

// announce notes that the server says that its tools have changed.
func (r *route) announce() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// watch reads the definitions when the server says that they have changed, and now and then: a change
// should reach the administrator before the next call.
func (r *route) watch(life context.Context) {
	tick := time.NewTicker(r.poll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-r.news:
		case <-life.Done():
			return
		}
		if err := r.behind.Load().RefreshTools(life); err != nil && life.Err() == nil {
			r.log.Warn("the server's tools cannot be read", "error", err)
		}
	}
}

// serveGuarded serves by the Guard, once there is one.
func (r *route) serveGuarded(w http.ResponseWriter, req *http.Request, by func(*guarded) http.Handler) {
	if b := r.behind.Load(); b != nil {
		by(b).ServeHTTP(w, req)
		return
	}
	w.Header().Set("Retry-After", "5")
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "this server is not enrolled at its authorization server yet", http.StatusServiceUnavailable)
}
