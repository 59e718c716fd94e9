package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// Bounds of a conversation with a child.
const (
	maxWaiting = 1024
	writeTime  = 10 * time.Second
)

var (
	errGone = errors.New("gateway: the server that was started has ended")
	errBusy = errors.New("gateway: too many requests wait for the server")
)

// conversation is the one JSON-RPC session with a child, shared by all callers. Each request gets a
// number that is never used again, and an answer goes to whoever's number it bears: what agents call
// their requests never reaches the child.
type conversation struct {
	in       io.WriteCloser
	announce func() // says that the tools have changed
	log      *slog.Logger

	write sync.Mutex // one line at a time

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan wire
	over    bool
	done    chan struct{} // closed when over
	asked   chan wire     // by the child, and not refused yet
}

func converse(in io.WriteCloser, announce func(), log *slog.Logger) *conversation {
	c := &conversation{in: in, announce: announce, log: log, waiting: map[uint64]chan wire{}, done: make(chan struct{}), asked: make(chan wire, 64)}
	go c.refuse()
	return c
}

// ask sends a request and waits for the answer to it.
func (c *conversation) ask(ctx context.Context, method string, params json.RawMessage) (wire, error) {
	id, answered, err := c.enter()
	if err != nil {
		return wire{}, err
	}
	defer c.leave(id)
	number := strconv.AppendUint(nil, id, 10)
	if err := c.say(wire{ID: number, Method: method, Params: params}); err != nil {
		return wire{}, err
	}
	select {
	case w := <-answered:
		return w, nil
	case <-c.done:
		return wire{}, errGone
	case <-ctx.Done():
		reason := []byte(`{"requestId":` + string(number) + `,"reason":"nobody waits for the answer"}`)
		if method != methodInitialize { // which must not be cancelled
			_ = c.say(wire{Method: methodCancelled, Params: reason}) // a child that does not hear it answers in vain
		}
		return wire{}, ctx.Err()
	}
}

// enter takes a number.
func (c *conversation) enter() (uint64, <-chan wire, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.over:
		return 0, nil, errGone
	case len(c.waiting) >= maxWaiting:
		return 0, nil, errBusy
	}
	c.last++
	answered := make(chan wire, 1)
	c.waiting[c.last] = answered
	return c.last, answered, nil
}

func (c *conversation) leave(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

// say writes one message on one line. A child that does not read, or got half a line, is past help.
func (c *conversation) say(w wire) error {
	line, err := w.encode() // compact: a newline within would begin another message
	if err != nil {
		return err
	}
	c.write.Lock()
	defer c.write.Unlock()
	if d, ok := c.in.(interface{ SetWriteDeadline(time.Time) error }); ok {
		_ = d.SetWriteDeadline(time.Now().Add(writeTime)) // a pipe without deadlines ends with the child
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		c.end()
		return errors.Join(errGone, err)
	}
	return nil
}

// listen takes in what the child says, until it ends.
func (c *conversation) listen(out io.Reader) {
	defer c.end()
	lines := bufio.NewScanner(out)
	lines.Buffer(make([]byte, 0, 64<<10), maxMessage)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		w, err := readWire(bytes.Clone(line))
		switch {
		case err != nil:
			c.log.Warn("the server says on standard output what is no message", "text", string(line[:min(len(line), 200)]))
		case w.Method == "":
			c.answered(w)
		case has(w.ID):
			select {
			case c.asked <- w:
			default: // it asks faster than it reads
			}
		case w.Method == methodListChanged:
			c.announce()
		default: // a notification: whom it concerns, it does not say
			c.log.Debug("a notification of the server is dropped", "method", w.Method)
		}
	}
	if err := lines.Err(); err != nil {
		c.log.Error("the server cannot be heard any more", "error", err)
	}
}

// answered gives an answer to whoever waits for it.
func (c *conversation) answered(w wire) {
	id, err := strconv.ParseUint(string(w.ID), 10, 64)
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting, ok := c.waiting[id]
	if err != nil || !ok {
		c.log.Debug("an answer that nobody waits for is dropped", "id", string(w.ID[:min(len(w.ID), 40)]))
		return
	}
	delete(c.waiting, id) // a second answer finds nobody
	waiting <- w
}

// refuse answers what the child asks. Listening does not wait for it: a child may read again only
// when it has been heard.
func (c *conversation) refuse() {
	for {
		select {
		case w := <-c.asked:
			if err := c.sayRefusal(w); err != nil {
				c.log.Debug("the server's request could not be refused", "error", err)
			}
		case <-c.done:
			return
		}
	}
}

func (c *conversation) sayRefusal(w wire) error {
	raw, err := refusal(w)
	if err != nil {
		return err
	}
	no, err := readWire(raw)
	if err != nil {
		return err
	}
	return c.say(no)
}

// end releases everybody who waits.
func (c *conversation) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.over = true
		close(c.done)
	}
}
