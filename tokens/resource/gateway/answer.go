package gateway

import (
	"context"
	"encoding/json"
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

	seal        func(id string) string // makes event ids the agent's; nil: it can resume nothing
	marked      bool                   // an event with an id was sent, after which the agent can resume
	resumed     bool                   // what the agent missed of another stream comes too
	listChanged bool                   // the server said so
}

func (a *answer) header() http.Header { return a.w.Header() }

// relay hands one message of the server on. It reports whether that was the answer, and returns a
// request of the server's, which the agent never sees.
func (a *answer) relay(status int, e event, stream bool) (asked *wire, err error) {
	if len(e.data) == 0 {
		if a.seal == nil { // it marks a place to which this agent cannot come back
			return nil, nil
		}
		return nil, a.send(e, readTime)
	}
	w, err := readWire(e.data)
	switch {
	case err != nil:
		return nil, err
	case w.Method != "" && has(w.ID):
		return &w, nil
	case w.Method != "":
		a.listChanged = a.listChanged || w.Method == methodListChanged
		if stream && forAgent(w.Method) {
			return nil, a.event(w, e)
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
		return nil, a.event(w, e)
	}
	return nil, a.whole(status, w)
}

// tell hands one message of a stream on that answers no request. Answers come on one that an agent
// resumes; they are screened for what lists and greetings must not show.
func (a *answer) tell(e event) (asked *wire, err error) {
	if len(e.data) == 0 {
		return nil, a.send(e, readTime)
	}
	w, err := readWire(e.data)
	switch {
	case err != nil:
		return nil, err
	case w.Method != "" && has(w.ID):
		return &w, nil
	case w.Method != "":
		a.listChanged = a.listChanged || w.Method == methodListChanged
		if news[w.Method] {
			return nil, a.event(w, e)
		}
		return nil, nil
	case !a.resumed:
		return nil, nil
	}
	var members map[string]json.RawMessage
	if has(w.Result) {
		if err := json.Unmarshal(w.Result, &members); err != nil {
			return nil, errAnswer
		}
	}
	if has(members["tools"]) {
		w.Result, err = leave(w.Result, "tools", "name", func(tool string) bool { return a.in.permit.May(a.ctx, tool) })
	}
	for _, list := range readLists {
		if err == nil && has(members[list.member]) {
			w.Result, err = leave(w.Result, list.member, list.key, func(name string) bool { return list.may(a.in.permit, name) })
		}
	}
	if err == nil && has(members["capabilities"]) {
		w.Result, err = narrow(w.Result, a.in.permit, true)
	}
	if err != nil {
		return nil, err
	}
	return nil, a.event(w, e)
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
		w.Result, err = leave(w.Result, "tools", "name", func(tool string) bool { return a.in.permit.May(a.ctx, tool) })
	case methodInitialize, methodDiscover:
		w.Result, err = narrow(w.Result, a.in.permit, a.seal != nil)
	default:
		if list, is := readLists[a.in.Method]; is {
			w.Result, err = leave(w.Result, list.member, list.key, func(name string) bool { return list.may(a.in.permit, name) })
		}
		if a.in.permit.Target() != "" {
			a.in.permit.SetOutcome(err == nil)
		}
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
func (a *answer) event(w wire, e event) (err error) {
	if e.data, err = w.encode(); err != nil {
		return err
	}
	return a.send(e, readTime)
}

// begin opens a stream before there is anything to say.
func (a *answer) begin() error {
	a.open = true
	a.private("text/event-stream")
	a.deadline(readTime)
	a.w.WriteHeader(http.StatusOK)
	return http.NewResponseController(a.w).Flush()
}

func (a *answer) send(e event, limit time.Duration) error {
	if !a.open {
		a.open = true
		a.private("text/event-stream")
		a.w.WriteHeader(http.StatusOK)
	}
	a.deadline(limit)
	if err := a.ctx.Err(); err != nil && limit != lastWord {
		return err
	}
	if _, err := a.w.Write(a.lines(e)); err != nil {
		return err
	}
	return http.NewResponseController(a.w).Flush()
}

// lines is an event as it is sent. One without data marks where an agent may resume.
func (a *answer) lines(e event) []byte {
	var b []byte
	if e.comment {
		b = append(b, ":\n"...)
	}
	if e.id != "" && a.seal != nil {
		a.marked = true
		b = append(append(append(b, "id: "...), a.seal(e.id)...), '\n')
		if len(e.data) == 0 {
			b = append(b, "data:\n"...)
		}
	}
	if e.retry != "" {
		b = append(append(append(b, "retry: "...), e.retry...), '\n')
	}
	if len(e.data) > 0 {
		b = append(append(append(b, "event: message\ndata: "...), e.data...), '\n')
	}
	return append(b, '\n')
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
		_ = a.send(event{data: e.to(a.in.ID)}, lastWord) // nobody is left to tell
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
