package resource

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	// watchAfter is from when on a request is watched. Most are answered long before.
	watchAfter = time.Second
	// lastWord is how long who serves a request may take to say that its permit has ended ([Permit.Wait]
	// tells it, [Permit.CutOff] says it).
	lastWord = 250 * time.Millisecond
)

// CutOff is what an agent is told of a call that had begun when its permit ended: the data of a JSON-RPC
// error with the code -32001, and its message.
type CutOff struct {
	Message string `json:"-"`
	Reason  string `json:"reason"` // insufficient_authorization or temporarily_unavailable
	Code    Code   `json:"code"`
	Task    string `json:"task"`
}

// cutOffs says why a permit ended, for what Wait returns.
var cutOffs = map[Code]string{
	TaskEnded:     "its task has ended",
	TaskSuspended: "its task is suspended",
	TokenRevoked:  "its token was revoked",
	SwitchedOff:   "its tool was switched off",
	StaleView:     "this server has not heard from its authorization server",
}

// CutOff tells what became of a call whose permit ended for the reason that [Permit.Wait] returned.
func (p *Permit) CutOff(code Code) CutOff {
	why, ok := cutOffs[code]
	if !ok {
		why = "it is no longer allowed"
	}
	c := CutOff{Message: "the call was cut off: " + why, Reason: "insufficient_authorization", Code: code, Task: p.Principal().Task}
	if code == StaleView {
		c.Reason = "temporarily_unavailable"
	}
	return c
}

// answering is a request while it is answered.
type answering struct {
	w      http.ResponseWriter
	watch  *time.Timer
	cancel context.CancelFunc

	mu   sync.Mutex
	over bool // it has been answered
	cut  bool
}

// whilePermitted serves the request until its permit ends. Then its context ends, and what is still
// written goes nowhere: an answer that has begun is seen to be broken off.
func whilePermitted(p *Permit, next http.Handler, w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	a := &answering{w: w, cancel: cancel}
	a.watch = time.AfterFunc(watchAfter, func() { a.await(ctx, p) })
	defer a.end()
	next.ServeHTTP(w, r.WithContext(ctx))
	if a.end() {
		panic(http.ErrAbortHandler)
	}
}

// await cuts the answer when the permit has ended.
func (a *answering) await(ctx context.Context, p *Permit) {
	if p.Wait(ctx) == "" {
		return
	}
	select {
	case <-time.After(lastWord):
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return // the connection may be another request's by now
	}
	a.cut = true
	a.cancel()
	_ = http.NewResponseController(a.w).SetWriteDeadline(time.Now()) // where it cannot be set, abort ends it
}

// end says that the request has been answered, and returns whether it was cut before.
func (a *answering) end() bool {
	a.watch.Stop()
	a.cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	return a.cut
}
