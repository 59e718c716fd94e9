package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
)

// live tells open pages that something of their user's has moved, and nothing more: the page then
// asks for itself again. The ledger's new records are read once, however many pages are open, and
// only the pages of the users whom they name are woken.
type live struct {
	telling sync.Mutex // one reading at a time; nobody joins meanwhile
	told    int64      // place in the ledger up to which pages were told
	started bool       // told is known

	mu    sync.Mutex
	pages map[string]map[*livePage]struct{} // by user
	open  int
}

// livePage is one open page, or whoever else waits for news of a user's tasks.
type livePage struct {
	live    *live
	user    string
	changed chan struct{} // one pending signal says all there is to say
}

// How many pages may listen at once. A browser's tabs that are out of sight do not.
const (
	maxPages     = 10000
	maxUserPages = 20
)

var errTooManyPages = &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "too many pages are open; close some, or reload this one by hand"}

// join adds a page. Whatever is chained later will wake it.
func (l *live) join(ctx context.Context, s store.Ledger, user string) (*livePage, error) {
	l.telling.Lock()
	defer l.telling.Unlock()
	if !l.started {
		size, _, err := s.Head(ctx)
		if err != nil {
			return nil, err
		}
		l.told, l.started = size, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= maxPages || len(l.pages[user]) >= maxUserPages {
		return nil, errTooManyPages
	}
	if l.pages == nil {
		l.pages = map[string]map[*livePage]struct{}{}
	}
	if l.pages[user] == nil {
		l.pages[user] = map[*livePage]struct{}{}
	}
	p := &livePage{live: l, user: user, changed: make(chan struct{}, 1)}
	l.pages[user][p] = struct{}{}
	l.open++
	return p, nil
}

func (p *livePage) leave() {
	l := p.live
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pages[p.user], p)
	if len(l.pages[p.user]) == 0 {
		delete(l.pages, p.user)
	}
	l.open--
}

func (l *live) watched() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open > 0
}

func (l *live) wake(users map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for user := range users {
		for p := range l.pages[user] {
			select {
			case p.changed <- struct{}{}:
			default:
			}
		}
	}
}

// wakeAll is for news too many to be read.
func (l *live) wakeAll() {
	l.mu.Lock()
	users := make(map[string]bool, len(l.pages))
	for user := range l.pages {
		users[user] = true
	}
	l.mu.Unlock()
	l.wake(users)
}

// tell wakes the pages of the users whose tasks the newly chained records are about.
func (l *live) tell(ctx context.Context, s store.Ledger) error {
	const page = 500
	l.telling.Lock()
	defer l.telling.Unlock()
	if !l.watched() {
		l.started = false // nobody to tell, so nothing to read
		return nil
	}
	for {
		recs, err := s.Records(ctx, store.RecordFilter{AfterSeq: l.told, Limit: page})
		if err != nil {
			return err
		}
		users := map[string]bool{}
		for _, rec := range recs {
			l.told = rec.Seq
			if rec.Task != "" && rec.User != "" {
				users[rec.User] = true
			}
		}
		l.wake(users)
		if len(recs) < page {
			return nil
		}
	}
}

// tellAcked wakes the pages of the users of whose tasks a Guard has just said that it knows.
func (s *Server) tellAcked(ctx context.Context, resource string, after, seq int64) {
	const page = 500
	if seq <= after || !s.live.watched() {
		return
	}
	events, err := s.store.FeedSince(ctx, resource, after, page)
	if err != nil || len(events) == page {
		s.live.wakeAll()
		return
	}
	users, known := map[string]bool{}, map[string]bool{}
	for _, e := range events {
		if e.Seq > seq || known[e.TaskID] {
			continue
		}
		known[e.TaskID] = true
		if t, _, err := s.store.TaskByID(ctx, e.TaskID); err == nil {
			users[t.UserID] = true
		}
	}
	s.live.wake(users)
}

// How long a page listens on one connection, and how often it hears that there is nothing new. At
// each of these its session is looked up again.
const (
	liveLife = 15 * time.Minute
	liveBeat = 20 * time.Second
)

// errSignedOut ends the listening of a browser that is not, or no longer, signed in.
var errSignedOut = &oauth.Error{Code: oauth.AccessDenied, Description: "sign in again", HTTPStatus: http.StatusForbidden}

// agentsLive serves GET /agents/live: server-sent events that say "changed" and nothing else. The
// first one comes at once, for what moved while the page was on its way.
func (s *Server) agentsLive(w http.ResponseWriter, r *http.Request) error {
	// A cross-site request carries no cookie (SameSite); one from a sibling host would.
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return errSignedOut
	}
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if v == nil {
		return errSignedOut
	}
	select {
	case <-s.closing:
		return errFeedClosing
	default:
	}
	s.feeds.Add(1)
	defer s.feeds.Done()
	page, err := s.live.join(r.Context(), s.store, v.User.ID)
	if err != nil {
		return err
	}
	defer page.leave()
	s.streamChanges(r, page, startStream(w))
	return nil
}

// streamChanges writes until either side goes, or the browser is signed out.
func (s *Server) streamChanges(r *http.Request, page *livePage, write func(frame []byte) bool) {
	changed := []byte("event: changed\ndata: 1\n\n")
	life, beat := time.NewTimer(liveLife), time.NewTicker(liveBeat)
	defer life.Stop()
	defer beat.Stop()
	ok := write(changed)
	for ok {
		select {
		case <-page.changed:
			ok = write(changed)
		case <-beat.C:
			v, err := s.visitor(r)
			ok = err == nil && v != nil && write([]byte(":\n\n"))
		case <-life.C:
			return
		case <-s.closing:
			return
		case <-r.Context().Done():
			return
		}
	}
}
