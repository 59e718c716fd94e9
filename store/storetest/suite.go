// Package storetest holds every backend of the store to the comments of package store. A backend's
// own test is one call:
//
//	storetest.Run(t, func(t *testing.T, now store.Clock) store.Store { return open(t, now) })
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/remit-auth/remit/store"
)

// Opener returns an empty store that tells the time by now; it closes the store by t.Cleanup.
type Opener func(t *testing.T, now store.Clock) store.Store

// Option tells Run more about the backend.
type Option func(*suite)

// Tables lets the suite see that a refused verb changed nothing: it returns, by table, something
// that differs whenever a row differs.
func Tables(tables func(t *testing.T, s store.Store) map[string]string) Option {
	return func(s *suite) { s.tables = tables }
}

// Only runs these groups alone.
func Only(groups ...string) Option {
	return func(s *suite) { s.only = groups }
}

type suite struct {
	open   Opener
	only   []string // empty: all
	tables func(t *testing.T, s store.Store) map[string]string
}

// Run runs the suite, each test on a store of its own.
func Run(t *testing.T, open Opener, opts ...Option) {
	s := &suite{open: open}
	for _, o := range opts {
		o(s)
	}
	for _, group := range []struct {
		name  string
		tests map[string]func(*world)
	}{
		{"people", people},
		{"sign-ins", signIns},
		{"clients", clients},
		{"strangers", strangers},
		{"resources", resources},
		{"switching", switching},
		{"kill switches", switches},
		{"keys", keys},
		{"epochs", epochs},
		{"pruning", pruning},
		{"requests", requests},
		{"approval", approval},
		{"widening", widening},
		{"approvals", approvals},
		{"codes", codes},
		{"starting", starting},
		{"devices", devices},
		{"backends", backends},
		{"tasks", tasks},
		{"clock", clock},
		{"ending", ending},
		{"suspending", suspending},
		{"budget", budget},
		{"tokens", tokens},
		{"rotation", rotation},
		{"sub-tasks", subtasks},
		{"feed", feed},
		{"replicas", replicas},
		{"ledger", ledger},
		{"narrowing", narrowing},
		{"roles lost", rolesLost},
		{"remembering", remembers},
		{"races", races},
		{"races of remembering", rememberRaces},
		{"store", whole},
	} {
		if len(s.only) > 0 && !slices.Contains(s.only, group.name) {
			continue
		}
		t.Run(group.name, func(t *testing.T) {
			for name, test := range group.tests {
				t.Run(name, func(t *testing.T) { test(s.world(t)) })
			}
		})
	}
}

// Clock is a clock that tests move.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// NewClock returns a clock that stands at a moment with microseconds.
func NewClock() *Clock { return &Clock{t: time.Date(2026, 11, 22, 9, 30, 0, 123456000, time.UTC)} }

// Now tells the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// must fails the test on an error.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// want fails the test unless err is the wanted one.
func (w *world) want(err, want error) {
	w.t.Helper()
	if !errors.Is(err, want) {
		w.t.Fatalf("err = %v, want %v", err, want)
	}
}

// same compares; empty and missing lists are the same.
func (w *world) same(what string, got, want any) {
	w.t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		w.t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// refused checks that the verb answers with the sentinel and changes nothing.
func (w *world) refused(want error, verb func() error) {
	w.t.Helper()
	w.unchanged(func() {
		w.t.Helper()
		w.want(verb(), want)
	})
}

// unchanged checks that f changes nothing.
func (w *world) unchanged(f func()) {
	w.t.Helper()
	before := w.rows()
	f()
	w.same("rows", w.rows(), before)
}

func (w *world) rows() map[string]string {
	if w.tables == nil {
		return nil
	}
	return w.tables(w.t, w.s)
}

// whole tests what concerns no noun alone.
var whole = map[string]func(*world){
	"ping": func(w *world) { w.must(w.s.Ping(w.ctx)) },
	"cancelled before it began": func(w *world) {
		ctx, cancel := context.WithCancel(w.ctx)
		cancel()
		w.refused(context.Canceled, func() error { return w.s.Append(ctx, store.NewRecord("test", nil)) })
		_, err := w.s.UserByID(ctx, w.user.ID)
		w.want(err, context.Canceled)
	},
	"closed": func(w *world) {
		w.must(w.s.Close())
		if err := w.s.Append(w.ctx, store.NewRecord("test", nil)); err == nil {
			w.t.Error("a closed store appends")
		}
		if _, err := w.s.Users(w.ctx); err == nil {
			w.t.Error("a closed store reads")
		}
	},
	"closing waits for the verbs under way": func(w *world) {
		errs := make(chan error)
		const n = 50
		for i := range n {
			go func() { errs <- w.s.Append(w.ctx, store.NewRecord(fmt.Sprint("test", i), nil)) }()
		}
		w.must(<-errs)
		w.must(w.s.Close())
		for range n - 1 {
			<-errs // each is answered, one way or the other
		}
	},
}
