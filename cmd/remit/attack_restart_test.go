package main_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// TestAttackRS15: without the server a Guard goes on with the keys that it has, until what it knows of
// ended tasks is too old; then it refuses all, and says when to come again.
func TestAttackRS15(t *testing.T) {
	t.Parallel()
	plays(t)
	w := newWorld(t)
	f := w.token(t)
	w.works(t, f)
	for _, p := range w.all() {
		p.stop(t)
	}
	stopped := time.Now()
	res := w.call(t, f, "get_ticket", readArguments)
	if res.Status != http.StatusOK {
		t.Errorf("at once: %s", res)
	}
	eventually(t, blackbox.Timeout, "the view is too old", func() bool {
		res = w.call(t, f, "get_ticket", readArguments)
		return res.Status != http.StatusOK
	})
	if seen(t, res); res.Status != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || res.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("too old: %s", res)
	}
	if took := time.Since(stopped); took > 15*time.Second {
		t.Errorf("refused after %v", took)
	}
	for _, p := range w.all() {
		p.start(t)
	}
	eventually(t, blackbox.Timeout, "the Guard hears the server again", func() bool {
		return w.call(t, f, "get_ticket", readArguments).Status == http.StatusOK
	})
	jot(t, goodAfter)
}
