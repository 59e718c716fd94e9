package gateway

import (
	"context"
	"net/http"
	"time"
)

// How long an agent may take to read what it is sent, and what it gets when its task has ended.
const (
	readTime = 30 * time.Second
	lastWord = 250 * time.Millisecond
)

// answer is what the agent gets: one message, or events and then the message.
type answer struct {
	w    http.ResponseWriter
	ctx  context.Context // of the exchange
	in   *message
	open bool // events have been sent
	done bool
}

func (a *answer) header() http.Header { return a.w.Header() }

// relay hands one message of the server on. It reports whether that was the answer, and returns a
// request of the server's, which the agent never sees.
func (a *answer) relay(status int, raw []byte, stream bool) (asked *wire, err error) {
	w, err := readWire(raw)
	switch {
	case err != nil:
		return nil, err
	case w.Method != "" && has(w.ID):
		return &w, nil
	case w.Method != "":
		if stream && forAgent(w.Method) {
			return nil, a.event(w)
		}
		return nil, nil
	case !sameID(w.ID, a.in.ID) && (has(w.ID) || has(w.Result)): // an error may lack the id
		return nil, errAnswer
	}
	if w, err = a.revise(w); err != nil {
		return nil, err
	}
	if stream {
		a.done = true
		return nil, a.event(w)
	}
	return nil, a.whole(status, w)
}

// revise makes the server's answer the agent's.
func (a *answer) revise(w wire) (wire, error) {
	w.ID = a.in.ID
	if has(w.Error) {
		w.Result = nil
		return w, nil
	}
	w.Error = nil
	var err error
	switch a.in.Method {
	case methodCall:
		a.in.permit.SetOutcome(succeeded(w))
	case methodList:
		w.Result, err = filter(w.Result, func(tool string) bool { return a.in.permit.May(a.ctx, tool) })
	case methodInitialize, methodDiscover:
		w.Result, err = narrow(w.Result)
	}
	return w, err
}

// whole sends the answer as JSON.
func (a *answer) whole(status int, w wire) error {
	raw, err := w.encode()
	if err != nil {
		return err
	}
	return a.json(status, raw)
}

func (a *answer) json(status int, raw []byte) error {
	a.done = true
	a.private("application/json")
	a.deadline(readTime)
	a.w.WriteHeader(status)
	_, err := a.w.Write(raw)
	return err
}

// event sends a message as an event, at once.
func (a *answer) event(w wire) error {
	raw, err := w.encode()
	if err != nil {
		return err
	}
	return a.send(raw, readTime)
}

func (a *answer) send(raw []byte, limit time.Duration) error {
	if !a.open {
		a.open = true
		a.private("text/event-stream")
		a.w.WriteHeader(http.StatusOK)
	}
	a.deadline(limit)
	if err := a.ctx.Err(); err != nil && limit != lastWord {
		return err
	}
	if _, err := a.w.Write([]byte("event: message\ndata: " + string(raw) + "\n\n")); err != nil {
		return err
	}
	return http.NewResponseController(a.w).Flush()
}

// accepted answers a notification.
func (a *answer) accepted() {
	a.done = true
	a.w.WriteHeader(http.StatusAccepted)
}

// fail ends the exchange with an error of the gateway's own.
func (a *answer) fail(status int, e rpcError) {
	switch {
	case a.done:
	case a.open:
		a.done = true
		_ = a.send(e.to(a.in.ID), lastWord) // nobody is left to tell
	default:
		_ = a.json(status, e.to(a.in.ID)) // nobody is left to tell
	}
}

// private says that the answer is for this caller alone.
func (a *answer) private(contentType string) {
	h := a.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // proxies before us should not wait either
}

// deadline bounds the next write; servers that know no deadlines bound it themselves.
func (a *answer) deadline(limit time.Duration) {
	_ = http.NewResponseController(a.w).SetWriteDeadline(time.Now().Add(limit)) // see above
}
