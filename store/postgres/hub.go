package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/remit-auth/remit/store"
)

// hub tells watchers of a resource in this process that something was committed.
type hub struct {
	mu       sync.Mutex
	watchers map[string]map[chan struct{}]bool
}

func newHub() *hub { return &hub{watchers: make(map[string]map[chan struct{}]bool)} }

func (h *hub) watch(resource string) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1) // one pending signal says all there is to say
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers[resource] == nil {
		h.watchers[resource] = make(map[chan struct{}]bool)
	}
	h.watchers[resource][ch] = true
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.watchers[resource], ch)
		if len(h.watchers[resource]) == 0 {
			delete(h.watchers, resource)
		}
	}
}

// watched are the resources that somebody watches.
func (h *hub) watched() (resources []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for r := range h.watchers {
		resources = append(resources, r)
	}
	return resources
}

// notify wakes the watchers of the resource; "" is all of them.
func (h *hub) notify(resource string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for r, watchers := range h.watchers {
		if resource != "" && r != resource {
			continue
		}
		for ch := range watchers {
			select {
			case ch <- struct{}{}:
			default:
			}
		}
	}
}

// WatchFeed returns a channel that receives after each commit that may have added events, or
// acknowledgements, of the resource, here or at another instance.
func (s *Store) WatchFeed(resource string) (changed <-chan struct{}, stop func()) {
	return s.hub.watch(resource)
}

// How hints that feeds have grown travel: the channel's name; how often everybody looks for
// themselves, since a hint may be lost; how long to wait before listening again.
const (
	channel     = "remit_feed"
	lookEvery   = 500 * time.Millisecond
	listenAgain = 100 * time.Millisecond
	maxPayload  = 7000 // bytes; NOTIFY takes less than 8000
)

// ringer carries hints that feeds have grown to and from the other instances.
//
// A verb does not notify within its transaction: notifying transactions commit one after the other in
// the whole database. It leaves the resources here, and they are announced together, by a transaction
// that writes nothing.
type ringer struct {
	s       *Store
	fanout  store.Fanout // nil: LISTEN and NOTIFY
	ctx     context.Context
	end     context.CancelFunc
	working sync.WaitGroup

	mu      sync.Mutex
	pending map[string]bool
	wake    chan struct{}
}

func startRinger(s *Store, config *pgx.ConnConfig) (*ringer, error) {
	r := &ringer{s: s, fanout: s.opts.Fanout, pending: make(map[string]bool), wake: make(chan struct{}, 1)}
	r.ctx, r.end = context.WithCancel(context.Background())
	if r.fanout != nil {
		deaf := r.fanout.Listen(s.hub.notify)
		context.AfterFunc(r.ctx, deaf)
	} else {
		c, err := r.connect(config)
		if err != nil {
			r.end()
			return nil, err
		}
		r.working.Go(func() { r.listen(config, c) })
		r.working.Go(r.ring)
	}
	r.working.Go(r.look)
	return r, nil
}

func (r *ringer) stop() {
	r.end()
	r.working.Wait()
}

// announce wakes the watchers here and leaves word for the other instances.
func (r *ringer) announce(resources []string) {
	if r == nil || len(resources) == 0 {
		return
	}
	for _, resource := range resources {
		r.s.hub.notify(resource)
	}
	if r.fanout != nil {
		r.fanout.Announce(resources...)
		return
	}
	r.mu.Lock()
	for _, resource := range resources {
		r.pending[resource] = true
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

const notifySQL = `SELECT pg_notify('` + channel + `', resource) FROM unnest($1::text[]) AS resource`

// ring sends what was left here, all at once.
func (r *ringer) ring() {
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-r.wake:
		}
		r.mu.Lock()
		resources := make([]string, 0, len(r.pending))
		for resource := range r.pending {
			if len(resource) > maxPayload {
				resource = ""
			}
			resources = append(resources, resource)
		}
		clear(r.pending)
		r.mu.Unlock()
		ctx, cancel := context.WithTimeout(r.ctx, verbTimeout)
		r.s.pool.Exec(ctx, notifySQL, resources) // a hint: whoever misses it looks within lookEvery
		cancel()
	}
}

// connect opens the connection that listens.
func (r *ringer) connect(config *pgx.ConnConfig) (*pgx.Conn, error) {
	config = config.Copy()
	ctx, cancel := context.WithTimeout(r.ctx, verbTimeout)
	defer cancel()
	c, err := pgx.ConnectConfig(ctx, config)
	if err == nil {
		if _, err = c.Exec(ctx, `LISTEN `+channel); err != nil {
			c.Close(ctx)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("postgres: cannot listen: %w", unsecret(err))
	}
	return c, nil
}

// listen hears the other instances. After it was deaf it wakes everybody.
func (r *ringer) listen(config *pgx.ConnConfig, c *pgx.Conn) {
	for {
		for c != nil {
			n, err := c.WaitForNotification(r.ctx)
			if err != nil {
				c.Close(context.Background())
				c = nil
				break
			}
			r.s.hub.notify(n.Payload)
		}
		select {
		case <-r.ctx.Done():
			return
		case <-time.After(listenAgain):
		}
		if again, err := r.connect(config); err == nil {
			c = again
			r.s.hub.notify("")
		}
	}
}

const lookSQL = `SELECT h.resource, h.seq, g.ack_seq FROM feed_heads h JOIN guards g ON g.resource = h.resource WHERE h.resource = ANY($1)`

// look compares what is watched with what was there a moment ago.
func (r *ringer) look() {
	type mark struct{ seq, ack int64 }
	seen := make(map[string]mark)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-tick.C:
		}
		resources := r.s.hub.watched()
		if len(resources) == 0 {
			clear(seen)
			continue
		}
		now := make(map[string]mark)
		r.s.read(r.ctx, func(c *conn) error { // an error is that of the next look too, until it is over
			c.ask(lookSQL, []any{resources}, func(scan func(...any) error) error {
				var resource string
				var m mark
				err := scan(&resource, &m.seq, &m.ack)
				now[resource] = m
				return err
			})
			return c.flush()
		})
		for resource, m := range now {
			if seen[resource] != m {
				r.s.hub.notify(resource)
			}
			seen[resource] = m
		}
	}
}
