package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
)

// from sends a form to the server as if from this address.
func from(h http.Handler, address, method, target, form string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = address + ":4711"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestAddressesAreLimited: an address that floods an endpoint is told when to come again, others are
// served, and it is served again when it has waited.
func TestAddressesAreLimited(t *testing.T) {
	w := newWorldOn(t, func(s store.Store) store.Store { return s }, func(c *server.Config) { c.RateFactor = 0.01 })
	h := w.server.Handler()
	for name, tt := range map[string]struct{ method, path, form string }{
		"par":        {"POST", "/par", "client_id=x"},
		"token":      {"POST", "/token", "grant_type=refresh_token&client_id=x"},
		"revoke":     {"POST", "/revoke", "client_id=x&token=y"},
		"introspect": {"POST", "/introspect", "token=y"},
		"sign-in":    {"GET", "/authorize", ""},
		"register":   {"POST", "/register", "{}"},
		"enroll":     {"POST", "/enroll", "{}"},
		"tasks":      {"GET", "/tasks/tsk_1", ""},
		"executions": {"POST", "/executions", "{}"},
		"feed":       {"GET", "/feed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w.clock.Add(time.Hour)
			var last *httptest.ResponseRecorder
			for range 200 {
				if last = from(h, "192.0.2.1", tt.method, w.issuer+tt.path, tt.form); last.Code == http.StatusTooManyRequests {
					break
				}
			}
			wait, err := strconv.Atoi(last.Header().Get("Retry-After"))
			if last.Code != http.StatusTooManyRequests || err != nil || wait < 1 {
				t.Fatalf("a flood ends with %d, Retry-After %q", last.Code, last.Header().Get("Retry-After"))
			}
			if other := from(h, "192.0.2.2", tt.method, w.issuer+tt.path, tt.form); other.Code == http.StatusTooManyRequests {
				t.Error("another address is refused with it")
			}
			w.clock.Add(time.Duration(wait) * time.Second)
			if again := from(h, "192.0.2.1", tt.method, w.issuer+tt.path, tt.form); again.Code == http.StatusTooManyRequests {
				t.Error("refused after the wait that was asked for")
			}
		})
	}
	if static := from(h, "192.0.2.1", "GET", w.issuer+"/jwks", ""); static.Code != http.StatusOK {
		t.Errorf("jwks: %d", static.Code)
	}
}

// TestRefreshesAreLimited: one task's refreshes are, and nothing is spent by a refused one.
func TestRefreshesAreLimited(t *testing.T) {
	w := newWorldOn(t, func(s store.Store) store.Store { return s }, func(c *server.Config) { c.RateFactor = 0.05 }) // 3 at once
	a := w.agent(w.client)
	refresh := a.tokens().text("refresh_token")
	refreshed := 0
	for range 10 {
		res := a.post("/token", a.refreshForm(refresh))
		if res.Status == http.StatusTooManyRequests {
			break
		}
		refresh = res.text("refresh_token")
		refreshed++
	}
	if refreshed != 3 {
		t.Errorf("%d refreshes, want 3", refreshed)
	}
	w.clock.Add(time.Minute)
	if res := a.post("/token", a.refreshForm(refresh)); res.Status != http.StatusOK {
		t.Errorf("the good refresh after it: %d", res.Status)
	}
}

// stalled is a store whose reads of clients wait.
type stalled struct {
	store.Store
	mu   sync.Mutex
	gate chan struct{} // nil: open
}

func (s *stalled) ClientByID(ctx context.Context, id string) (store.Client, error) {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return store.Client{}, ctx.Err()
		}
	}
	return s.Store.ClientByID(ctx, id)
}

// TestSlowStoreIsShed: when the store answers nobody, requests end with 503 in bounded time, beyond a
// bounded number at once, other classes go on, and so does all when it answers again.
func TestSlowStoreIsShed(t *testing.T) {
	db := &stalled{}
	w := newWorldOn(t, func(s store.Store) store.Store { db.Store = s; return db })
	h := w.server.Handler()
	db.mu.Lock()
	db.gate = make(chan struct{})
	db.mu.Unlock()
	const many = 800
	codes := make(chan *httptest.ResponseRecorder, many)
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			codes <- from(h, "192.0.2.1", "POST", w.issuer+"/par", url.Values{"client_id": {"cli_1"}}.Encode())
		})
	}
	if jwks := from(h, "192.0.2.2", "GET", w.issuer+"/jwks", ""); jwks.Code != http.StatusOK {
		t.Errorf("jwks: %d", jwks.Code)
	}
	if guard := from(h, "192.0.2.2", "POST", w.issuer+"/introspect", "token=x"); guard.Code != http.StatusUnauthorized {
		t.Errorf("Guards: %d", guard.Code)
	}
	all.Wait()
	close(codes)
	for res := range codes {
		if res.Code != http.StatusServiceUnavailable || res.Header().Get("Retry-After") == "" {
			t.Fatalf("%d, Retry-After %q: %s", res.Code, res.Header().Get("Retry-After"), res.Body)
		}
	}
	db.mu.Lock()
	db.gate = nil
	db.mu.Unlock()
	if res := from(h, "192.0.2.1", "POST", w.issuer+"/par", "client_id=cli_1"); res.Code != http.StatusUnauthorized {
		t.Errorf("afterwards: %d %s", res.Code, res.Body)
	}
}
