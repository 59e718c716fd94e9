package gateway

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/remit-auth/remit/tokens/resource"
)

// Bounds of the sessions of one upstream.
const (
	sessionIdle   = 30 * time.Minute // as long as an idle task stays active
	maxSessions   = 10_000
	sessionsOfOne = 32 // of one user and client
)

// sessions are those that agents have at a server which keeps sessions. An agent never learns the
// server's own id: the one that it gets is worth something for its task and key alone, because
// the server, which is not told who asks, cannot know whose a session is.
type sessions struct {
	now func() time.Time
	end func(upstream string) // tells the server that a session is over

	mu  sync.Mutex
	all map[string]*session
}

type session struct {
	owner, upstream string
	used            time.Time
	streams         int // open now
}

// ownerOf is whose a session is: one task's, and one key's.
func ownerOf(p resource.Principal) string {
	return p.Issuer + "|" + p.User + "|" + p.Client + "|" + p.Task + "|" + p.JKT
}

// find returns the server's id of a session of this owner's.
func (s *sessions) find(id, owner string) (upstream string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.all[id]
	if !ok || one.owner != owner || one.streams == 0 && s.now().Sub(one.used) > sessionIdle {
		return "", false
	}
	one.used = s.now()
	return one.upstream, true
}

// add keeps a new session. When the owner has too many, the one unused for longest ends.
func (s *sessions) add(upstream, owner string) (id string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var mine int
	var oldest string
	for id, one := range s.all {
		switch {
		case one.streams == 0 && s.now().Sub(one.used) > sessionIdle:
			s.drop(id)
		case one.owner == owner:
			mine++
			if oldest == "" || one.used.Before(s.all[oldest].used) {
				oldest = id
			}
		}
	}
	if mine >= sessionsOfOne {
		s.drop(oldest)
	}
	if len(s.all) >= maxSessions {
		return "", false
	}
	id = rand.Text()
	s.all[id] = &session{owner: owner, upstream: upstream, used: s.now()}
	return id, true
}

// hold counts a stream that opens (1) or ends (-1); false: there may be no more.
func (s *sessions) hold(id string, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.all[id]
	if !ok {
		return n < 0
	}
	if one.streams+n > streamsOfOne {
		return false
	}
	one.streams += n
	one.used = s.now()
	return true
}

// forget drops a session that the server no longer has.
func (s *sessions) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, id)
}

// drop ends a session; callers hold mu.
func (s *sessions) drop(id string) {
	upstream := s.all[id].upstream
	delete(s.all, id)
	go s.end(upstream)
}

// close ends all sessions.
func (s *sessions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ending sync.WaitGroup
	for id, one := range s.all {
		delete(s.all, id)
		if len(s.all) < sessionsOfOne { // a polite few; a server that keeps more must clean up itself
			ending.Go(func() { s.end(one.upstream) })
		}
	}
	ending.Wait()
}
