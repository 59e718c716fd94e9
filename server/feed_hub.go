package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
)

// feedHubs holds one hub per resource that somebody listens to, so that the store is read and a
// SET signed once per event and beat, however many Guards of the resource listen.
type feedHubs struct {
	mu   sync.Mutex
	hubs map[string]*hub
}

// hub follows one resource's feed.
type hub struct {
	server   *Server
	hubs     *feedHubs
	resource string
	stop     context.CancelFunc
	ready    chan struct{} // closed when seq is known, or err
	err      error
	seq      int64 // newest that listeners were told; run's own

	mu        sync.Mutex
	listeners map[*listener]struct{}
}

// listener is one open feed connection.
type listener struct {
	hub    *hub
	guard  string // that authenticated
	frames chan frame
}

type frame struct {
	event bool // an event of the feed; else a beat
	seq   int64
	bytes []byte
}

// backlog is how many frames a slow listener may be behind before it is dropped; it then connects
// again and gets a snapshot.
const backlog = 256

var errFeedClosing = &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "the server is stopping; connect again"}

// join adds a listener. When it returns, whatever is committed later will reach the listener.
func (f *feedHubs) join(ctx context.Context, s *Server, resource, guard string) (*listener, error) {
	select {
	case <-s.closing:
		return nil, errFeedClosing
	default:
	}
	f.mu.Lock()
	h := f.hubs[resource]
	if h == nil {
		h = f.open(s, resource)
	}
	l := &listener{hub: h, guard: guard, frames: make(chan frame, backlog)}
	h.mu.Lock()
	h.listeners[l] = struct{}{}
	h.mu.Unlock()
	f.mu.Unlock()
	select {
	case <-h.ready:
	case <-ctx.Done():
		l.leave()
		return nil, ctx.Err()
	}
	if h.err != nil {
		l.leave()
		return nil, h.err
	}
	return l, nil
}

// open starts the resource's hub; f.mu is held, and a feed is open that the server waits for.
func (f *feedHubs) open(s *Server, resource string) *hub {
	ctx, stop := context.WithCancel(context.Background())
	h := &hub{
		server: s, hubs: f, resource: resource, stop: stop,
		ready: make(chan struct{}), listeners: map[*listener]struct{}{},
	}
	if f.hubs == nil {
		f.hubs = map[string]*hub{}
	}
	f.hubs[resource] = h
	s.feeds.Go(func() {
		defer h.retire()
		h.run(ctx)
	})
	return h
}

// leave removes the listener; the last one stops the hub.
func (l *listener) leave() {
	h := l.hub
	h.hubs.mu.Lock()
	defer h.hubs.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners, l)
	if len(h.listeners) == 0 {
		h.forgetLocked()
	}
}

// forgetLocked stops the hub and lets the next listener open another; hubs.mu is held.
func (h *hub) forgetLocked() {
	h.stop()
	if h.hubs.hubs[h.resource] == h {
		delete(h.hubs.hubs, h.resource)
	}
}

// retire ends a hub that follows nothing any more, and with it every feed that listens to it.
func (h *hub) retire() {
	h.hubs.mu.Lock()
	h.forgetLocked()
	h.hubs.mu.Unlock()
	h.dropAll()
}

// drop ends every feed of the resource that is open here.
func (f *feedHubs) drop(resource string) {
	f.mu.Lock()
	h := f.hubs[resource]
	f.mu.Unlock()
	if h != nil {
		h.dropAll()
	}
}

// listens reports whether a feed of the resource is open here.
func (f *feedHubs) listens(resource string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hubs[resource] != nil
}

// listening counts the open feeds.
func (f *feedHubs) listening() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, h := range f.hubs {
		h.mu.Lock()
		n += len(h.listeners)
		h.mu.Unlock()
	}
	return n
}

// run follows the feed until the last listener leaves or the server closes.
func (h *hub) run(ctx context.Context) {
	changed, stop := h.server.store.WatchFeed(h.resource)
	defer stop()
	// Nothing before this sequence needs telling: every listener takes its snapshot later.
	h.seq, _, h.err = h.server.store.FeedSnapshot(ctx, h.resource, h.server.now())
	close(h.ready)
	if h.err != nil {
		return
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-changed:
			err = h.tell(ctx)
		case <-beat.C:
			// A beat says that nothing is newer, so it is sent only after a read that proves it.
			if err = h.tell(ctx); err == nil {
				err = h.beat()
			}
			h.checkGuard(ctx)
		case <-h.server.closing:
			return
		case <-ctx.Done():
			return
		}
		if errors.Is(err, errFeedGap) {
			h.server.log.Error("feed has a gap", "resource", h.resource, "after", h.seq)
			return
		}
		if err != nil && ctx.Err() == nil {
			h.server.log.Error("feed not read", "resource", h.resource, "err", err)
		}
	}
}

var errFeedGap = errors.New("server: feed sequence has a gap")

// tell sends what is newer than the last event told.
func (h *hub) tell(ctx context.Context) error {
	const page = 200
	for {
		events, err := h.server.store.FeedSince(ctx, h.resource, h.seq, page)
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Seq != h.seq+1 {
				return errFeedGap
			}
			if err := h.tellEvent(ctx, e); err != nil {
				return err
			}
		}
		if len(events) < page {
			return nil
		}
	}
}

func (h *hub) tellEvent(ctx context.Context, e store.Event) error {
	body := feedEvent{Seq: e.Seq, Task: e.TaskID, JTI: e.JTI, State: e.State, Reason: e.Reason, At: e.At.UnixMilli()}
	if e.Kind == store.EventKeyKilled || e.Kind == store.EventEpochRaised {
		// What no longer counts must not sign the news of it.
		if err := h.server.ring.Reload(ctx); err != nil {
			return err
		}
		body.JTI = ""
		if e.Kind == store.EventKeyKilled {
			body.KID = e.JTI
		} else {
			epoch := h.server.Epoch()
			body.Epoch, body.NotBefore = epoch.N, notBefore(epoch)
		}
	}
	switch e.Kind {
	case store.EventSwitchThrown:
		sw, err := h.server.store.SwitchByID(ctx, e.JTI)
		if err != nil {
			return err
		}
		told := eventOf(sw)
		body.Task, body.JTI, body.Switch = "", "", &told
	case store.EventSwitchLifted:
		body.Task, body.JTI, body.SwitchID = "", "", e.JTI
	}
	bytes, err := h.server.setFrame("set", h.resource, e.Kind, e.Seq, body)
	if err != nil {
		return err
	}
	h.seq = e.Seq
	h.send(frame{event: true, seq: e.Seq, bytes: bytes})
	return nil
}

func (h *hub) beat() error {
	bytes, err := h.server.setFrame("beat", h.resource, "beat", h.seq, beatEvent{
		Seq: h.seq, Checkpoint: h.server.seal.newest().Signed, At: h.server.now().UnixMilli(),
	})
	if err != nil {
		return err
	}
	h.send(frame{seq: h.seq, bytes: bytes})
	return nil
}

// send hands the frame to every listener and drops those that are too far behind.
func (h *hub) send(f frame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		select {
		case l.frames <- f:
		default:
			h.dropLocked(l)
		}
	}
}

func (h *hub) dropAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		h.dropLocked(l)
	}
}

// dropLocked closes the listener's channel once; its connection ends, and the Guard comes again.
func (h *hub) dropLocked(l *listener) {
	delete(h.listeners, l)
	close(l.frames)
}
