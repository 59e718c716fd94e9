package resource

import (
	"sync"
	"time"
)

// remembered is how long an end is kept: longer than any access token lives (300 s).
const remembered = 330 * time.Second

// view is what this Guard knows to have ended. It is filled by the feed alone.
type view struct {
	now        func() time.Time
	staleAfter time.Duration

	mu       sync.RWMutex
	tasks    map[string]taskEnd
	tokens   map[string]time.Time
	killed   map[string]bool       // keys, by kid: for ever
	switches map[string]killSwitch // by id
	before   int64                 // tokens issued up to this second are of an earlier epoch; 0: none
	heard    time.Time             // receipt of the newest frame
	issued   time.Time             // its iat
	waiters  chan struct{}
}

// taskEnd is why a task's tokens are refused.
type taskEnd struct {
	state string
	at    time.Time
}

const suspended = "suspended"

func newView(now func() time.Time, staleAfter time.Duration) *view {
	return &view{
		now: now, staleAfter: staleAfter,
		tasks: map[string]taskEnd{}, tokens: map[string]time.Time{}, killed: map[string]bool{}, switches: map[string]killSwitch{}, waiters: make(chan struct{}),
	}
}

// check returns the refusal's code for a token, or "". A stale view refuses all.
func (v *view) check(b *bearer) Code {
	now := v.now()
	v.mu.RLock()
	defer v.mu.RUnlock()
	if !v.fresh(now) {
		return StaleView
	}
	if v.killed[b.KeyID] {
		return BadToken
	}
	if v.before != 0 && b.IssuedAt.Unix() <= v.before {
		return TaskEnded
	}
	if end, ok := v.tasks[b.Task.ID]; ok {
		if end.state == suspended {
			return TaskSuspended
		}
		return TaskEnded
	}
	if _, ok := v.tokens[b.ID]; ok {
		return TokenRevoked
	}
	if v.switchedOff(b, now) {
		return SwitchedOff
	}
	return ""
}

// fresh holds when the newest frame was both received and signed within staleAfter.
func (v *view) fresh(now time.Time) bool {
	return !v.heard.IsZero() && now.Sub(v.heard) <= v.staleAfter && now.Sub(v.issued) <= v.staleAfter
}

// hear notes a verified frame.
func (v *view) hear(issued time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.heard = v.now()
	if issued.After(v.issued) {
		v.issued = issued
	}
	close(v.waiters)
	v.waiters = make(chan struct{})
}

// waiting returns whether the view is fresh, and a channel that closes at the next frame.
func (v *view) waiting() (fresh bool, next <-chan struct{}) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.fresh(v.now()), v.waiters
}

// apply takes one event in.
func (v *view) apply(kind string, e event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch kind {
	case eventEnded:
		v.tasks[e.Task] = taskEnd{e.State, v.now()}
	case eventSuspended:
		if end, ok := v.tasks[e.Task]; !ok || end.state == suspended {
			v.tasks[e.Task] = taskEnd{suspended, v.now()}
		}
	case eventResumed:
		if v.tasks[e.Task].state == suspended {
			delete(v.tasks, e.Task)
		}
	case eventRevoked:
		v.tokens[e.JTI] = v.now()
	case eventKilled:
		v.killed[e.KID] = true
	case eventThrown:
		v.throw(e.Switch)
	case eventLifted:
		delete(v.switches, e.ID)
	case eventEpoch:
		v.raise(e.NotBefore)
	}
}

// raise takes a later epoch in, which is known by when it began: the same backup may be restored
// twice. v.mu is held.
func (v *view) raise(before int64) { v.before = max(v.before, before) }

// isKilled reports whether the key was killed.
func (v *view) isKilled(kid string) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.killed[kid]
}

// standing returns the killed keys and the epoch.
func (v *view) standing() (killed []string, epoch int64) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for kid := range v.killed {
		killed = append(killed, kid)
	}
	return killed, v.before
}

// reset takes a snapshot in: it replaces what can change back (suspensions, switches) and adds to what cannot.
func (v *view) reset(s snapshot) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	for task, end := range v.tasks {
		if end.state == suspended || now.Sub(end.at) > remembered {
			delete(v.tasks, task)
		}
	}
	for jti, at := range v.tokens {
		if now.Sub(at) > remembered {
			delete(v.tokens, jti)
		}
	}
	for _, t := range s.Tasks {
		if _, ended := v.tasks[t.Task]; !ended {
			v.tasks[t.Task] = taskEnd{t.State, now}
		}
	}
	for _, jti := range s.Tokens {
		v.tokens[jti] = now
	}
	for _, kid := range s.Keys {
		v.killed[kid] = true
	}
	v.raise(s.NotBefore)
	clear(v.switches)
	for _, k := range s.Switches {
		v.throw(&k)
	}
}

// forget drops ends that no living token can concern. A suspension is dropped too: while it lasts,
// no token is issued.
func (v *view) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	for task, end := range v.tasks {
		if now.Sub(end.at) > remembered {
			delete(v.tasks, task)
		}
	}
	for jti, at := range v.tokens {
		if now.Sub(at) > remembered {
			delete(v.tokens, jti)
		}
	}
}
