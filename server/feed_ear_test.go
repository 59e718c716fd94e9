package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// between runs something once, between the authentication of a Guard and what follows it.
type between struct {
	store.Store
	mu  sync.Mutex
	run func()
}

func (b *between) ResourceByGuard(ctx context.Context, id string) (store.Resource, error) {
	res, err := b.Store.ResourceByGuard(ctx, id)
	b.mu.Lock()
	run := b.run
	b.run = nil
	b.mu.Unlock()
	if run != nil {
		run()
	}
	return res, err
}

// A Guard that authenticated just before another was enrolled in its place hears nothing.
func TestReplacedGuardHearsNothing(t *testing.T) {
	var b *between
	w := newWorldOn(t, func(s store.Store) store.Store { b = &between{Store: s}; return b })
	old := w.guard(ticketsURI)
	b.run = func() {
		key, err := tokens.NewSigningKey()
		must(t, err)
		_, err = b.EnrolGuard(context.Background(), store.HashOf(w.enrolCode(ticketsURI)), "grd_new", key.PublicJWK())
		must(t, err)
	}
	if got := old.call("GET", "/feed", nil); got.Status != http.StatusUnauthorized || got.error() != "invalid_client" {
		t.Errorf("the old Guard: %d %s", got.Status, got.Body)
	}
	g := w.guard(ticketsURI)
	if f := g.listen(t); f.next().kind != "snapshot" {
		t.Error("the new Guard hears no snapshot")
	}
}

// Where another instance enrolled the new Guard, the next beat ends the old one's feed.
func TestReplacedElsewhere(t *testing.T) {
	w := newWorld(t)
	old := w.guard(ticketsURI)
	f := old.listen(t)
	f.next()
	key, err := tokens.NewSigningKey()
	must(t, err)
	_, err = w.store.EnrolGuard(context.Background(), store.HashOf(w.enrolCode(ticketsURI)), "grd_elsewhere", json.RawMessage(key.PublicJWK()))
	must(t, err)
	f.ended()
}

// An end is in force when every replica that listens has said so.
func TestSlowestReplicaCounts(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	a, b := tokens.NewID("rpl_"), tokens.NewID("rpl_")
	for _, replica := range []string{a, b} {
		f := g.listenAs(t, "?stale=10&replica="+replica)
		f.next()
	}
	_, claims := w.lend()
	w.move("end", claims.Task.ID)
	ack := func(replica string) int64 {
		t.Helper()
		if got := g.call("POST", "/feed/ack", map[string]any{"seq": 1, "replica": replica}); got.Status != http.StatusNoContent {
			t.Fatalf("ack: %d %s", got.Status, got.Body)
		}
		res, err := w.store.ResourceByURI(context.Background(), ticketsURI)
		must(t, err)
		return res.AckSeq
	}
	if n := ack(a); n != 0 {
		t.Errorf("after one of two: %d", n)
	}
	if n := ack(b); n != 1 {
		t.Errorf("after both: %d", n)
	}
	w.clock.Add(time.Minute)
	for name, query := range map[string]string{"stale": "?stale=61", "no time": "?stale=0", "a name": "?replica=x"} {
		if got := g.call("GET", "/feed"+query, nil); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	for _, path := range []string{"/feed/ack", "/executions"} {
		if got := g.call("POST", path, map[string]any{"replica": "../x"}); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
}

// Two replicas number their records each for itself.
func TestExecutionsOfReplicas(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, claims := w.lend()
	for _, replica := range []string{"", tokens.NewID("rpl_"), tokens.NewID("rpl_")} {
		one := batch(1, decided(claims))
		one["replica"] = replica
		if got := g.call("POST", "/executions", one); got.Status != http.StatusOK || got.JSON["next"] != 2.0 {
			t.Errorf("replica %q: %d %s", replica, got.Status, got.Body)
		}
	}
	if n := len(w.records("execution.decided")); n != 3 {
		t.Errorf("%d decisions", n)
	}
}
