package main

import (
	"sync"
	"time"
)

// leaving is how balancers learn that a server is about to end, before it turns anybody away: its
// readiness goes first, and while somebody is seen to ask for it, requests are served until he knows.
type leaving struct {
	mu    sync.Mutex
	asked time.Time     // when readiness was asked for last
	begun bool          // the server is about to end
	told  chan struct{} // closed when somebody has heard of it
}

// How long somebody who asked for readiness is taken to ask again, how long he has for it, and how
// long he may then take to act on it.
const (
	askedLately = 10 * time.Second
	tellTime    = 1500 * time.Millisecond
	actTime     = 300 * time.Millisecond
)

func newLeaving() *leaving { return &leaving{told: make(chan struct{})} }

// ask notes that somebody asks, and tells whether the server is about to end.
func (l *leaving) ask(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = now
	if l.begun {
		select {
		case <-l.told:
		default:
			close(l.told)
		}
	}
	return l.begun
}

// announce takes readiness away and returns when whoever looks for it has seen that.
func (l *leaving) announce(now time.Time) {
	l.mu.Lock()
	watched := !l.asked.IsZero() && now.Sub(l.asked) < askedLately
	l.begun = true
	l.mu.Unlock()
	if !watched {
		return
	}
	select {
	case <-l.told:
		<-time.After(actTime)
	case <-time.After(tellTime):
	}
}
