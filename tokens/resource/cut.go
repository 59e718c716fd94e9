package resource

import (
	"context"
	"errors"
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
	TokenRevoked:  "its token is no longer active",
	SwitchedOff:   "an administrator has stopped it for now",
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

// errOver is what a server is told that writes on.
var errOver = errors.New("resource: the answer is over: the call has ended, or was cut off")

// answering is the writer of one answer, which ends with its permit: what is written after the end goes
// nowhere, and an answer that has begun is seen to be broken off. It is not to be unwrapped: who writes
// past it could go on.
type answering struct {
	http.ResponseWriter
	status int // of the answer; 0: it has not begun

	writing sync.Mutex // held while the writer is used, which a slow reader may hold up

	mu   sync.Mutex
	over bool // it has been answered: the connection may be another request's by now
	cut  bool
}

// serve serves the request until its permit ends. Then its context ends too, and the agent waits no more.
func (a *answering) serve(p *Permit, next http.Handler, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	// Not the request's context: that ends as well when the agent says that it sends no more, and an agent
	// that has said so can read on.
	waiting, stop := context.WithCancel(context.WithoutCancel(r.Context()))
	defer stop()
	watch := time.AfterFunc(watchAfter, func() { a.await(waiting, p, cancel) })
	defer watch.Stop()
	defer a.end()
	next.ServeHTTP(a, r.WithContext(ctx))
	if a.end() {
		panic(http.ErrAbortHandler)
	}
}

// await cuts the answer when the permit has ended.
func (a *answering) await(ctx context.Context, p *Permit, cancel context.CancelFunc) {
	if p.Wait(ctx) == "" {
		return
	}
	select {
	case <-time.After(lastWord):
	case <-ctx.Done():
		return
	}
	if a.stop() {
		cancel()
		a.hangUp()
	}
}

// stop lets nothing more through. It reports whether there was something to stop.
func (a *answering) stop() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return false
	}
	a.cut = true
	_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now()) // it ends what is being written, and HTTP/2's stream
	return true
}

// hangUp closes the connection, so that the agent need not wait until a server that heeds nothing returns.
func (a *answering) hangUp() {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return
	}
	if conn, _, err := http.NewResponseController(a.ResponseWriter).Hijack(); err == nil { // not that of HTTP/2: it carries others too
		_ = conn.Close() // nobody is left to tell
	}
}

// end says that the request has been answered, and returns whether it was cut before.
func (a *answering) end() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	return a.cut
}

// closed returns why nothing can be written any more, or nil. a.mu is held.
func (a *answering) closed() error {
	if a.cut || a.over {
		return errOver
	}
	return nil
}

// use takes the writer, if something can still be written.
func (a *answering) use() (free func(), err error) {
	a.writing.Lock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.closed(); err != nil {
		a.writing.Unlock()
		return nil, err
	}
	return a.writing.Unlock, nil
}

func (a *answering) Header() http.Header {
	a.writing.Lock()
	defer a.writing.Unlock()
	return a.ResponseWriter.Header()
}

func (a *answering) Write(b []byte) (int, error) {
	free, err := a.use()
	if err != nil {
		return 0, err
	}
	defer free()
	return a.ResponseWriter.Write(b)
}

func (a *answering) WriteHeader(status int) {
	free, err := a.use()
	if err != nil {
		return
	}
	defer free()
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// FlushError serves http.ResponseController. An answer that cannot stream is sent whole.
func (a *answering) FlushError() error {
	free, err := a.use()
	if err != nil {
		return err
	}
	defer free()
	if err = http.NewResponseController(a.ResponseWriter).Flush(); errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// Flush serves writers that know no http.ResponseController.
func (a *answering) Flush() { _ = a.FlushError() } // the next write fails too

// SetWriteDeadline serves http.ResponseController, as long as the answer lasts.
func (a *answering) SetWriteDeadline(t time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.closed(); err != nil {
		return err
	}
	return http.NewResponseController(a.ResponseWriter).SetWriteDeadline(t)
}
