package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

// How long to wait before a child that has ended is started again: twice as long each time, until
// it has run for a while.
const (
	restartLeast = 100 * time.Millisecond
	restartMost  = 30 * time.Second
	restartCalm  = time.Minute
	introTime    = 30 * time.Second
)

// child is a server that the gateway starts, and starts again. Agents see of it a server without
// sessions: the gateway has introduced itself to it and answers initialize and ping for it.
type child struct {
	upstream Upstream
	announce func() // says that the tools have changed
	log      *slog.Logger
	stop     context.CancelFunc
	stopped  chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed and replaced with current
	current *introduced   // nil: none runs
	failed  error         // why
}

// introduced is a child that has said who it is.
type introduced struct {
	*conversation
	version string
	info    json.RawMessage // serverInfo
	advice  json.RawMessage // instructions
	can     json.RawMessage // capabilities
}

func newChild(u Upstream, announce func(), log *slog.Logger) *child {
	ctx, stop := context.WithCancel(context.Background())
	c := &child{upstream: u, announce: announce, log: log, stop: stop, stopped: make(chan struct{}), changed: make(chan struct{})}
	go c.supervise(ctx)
	return c
}

// supervise runs the child until ctx ends.
func (c *child) supervise(ctx context.Context) {
	defer close(c.stopped)
	pause := restartLeast
	for ctx.Err() == nil {
		began := time.Now()
		err := c.run(ctx)
		c.set(nil, err)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) >= restartCalm {
			pause = restartLeast
		}
		c.log.Error("the server has ended and is started again", "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, restartMost)
	}
}

// run is one life of the child.
func (c *child) run(ctx context.Context) error {
	p, err := launch(c.upstream)
	if err != nil {
		return err
	}
	talk := converse(p.in, c.announce, c.log)
	var readers sync.WaitGroup
	readers.Go(func() { talk.listen(p.out) })
	readers.Go(func() { p.logErrors(c.log) })
	who, err := introduce(ctx, talk)
	if err == nil {
		c.log.Info("the server runs", "pid", p.cmd.Process.Pid, "server", string(who.info))
		c.set(who, nil)
		select {
		case <-talk.done:
			err = errGone
		case <-p.exited:
			err = errGone
		case <-ctx.Done():
		}
	}
	p.stop()
	readers.Wait()
	return errors.Join(err, p.err, p.out.Close(), p.stderr.Close())
}

// introduce begins the conversation.
func introduce(ctx context.Context, talk *conversation) (*introduced, error) {
	ctx, cancel := context.WithTimeout(ctx, introTime)
	defer cancel()
	params, err := json.Marshal(introduction)
	if err != nil {
		return nil, err
	}
	w, err := talk.ask(ctx, methodInitialize, params)
	if err != nil {
		return nil, fmt.Errorf("initialize: %w", err)
	}
	var result struct {
		Version string          `json:"protocolVersion"`
		Info    json.RawMessage `json:"serverInfo"`
		Advice  json.RawMessage `json:"instructions"`
		Can     json.RawMessage `json:"capabilities"`
	}
	if has(w.Error) || json.Unmarshal(w.Result, &result) != nil || !slices.Contains(protocols, result.Version) {
		return nil, fmt.Errorf("initialize: %w: %.200s%.200s", errAnswer, w.Result, w.Error)
	}
	return &introduced{talk, result.Version, result.Info, result.Advice, result.Can}, talk.say(wire{Method: methodInitialized})
}

func (c *child) set(who *introduced, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.failed = who, err
	close(c.changed)
	c.changed = make(chan struct{})
}

// running returns the child, if it runs. When not, why, and a channel that closes when that changes.
func (c *child) running() (who *introduced, next <-chan struct{}, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current, c.changed, c.failed
}

// call implements backend. It waits for a child that is started for the first time.
func (c *child) call(ctx context.Context, method string, params any) ([]byte, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	who, next, why := c.running()
	for who == nil {
		if why != nil {
			return nil, errors.Join(errGone, why)
		}
		select {
		case <-next:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		who, next, why = c.running()
	}
	w, err := who.ask(ctx, method, raw)
	if err != nil {
		return nil, err
	}
	return outcome(w, w.ID) // whose answer it is, ask has seen to
}

// exchange implements backend.
func (c *child) exchange(ctx context.Context, in *message, out *answer) error {
	if _, failed := carry(in); failed != nil { // headers that contradict the message
		return failed
	}
	if in.notification() { // of one among many; the child has been told what it must know
		out.accepted()
		return nil
	}
	who, _, why := c.running()
	if who == nil {
		return unavailable(errors.Join(errGone, why))
	}
	if !forServer(in) {
		return out.whole(http.StatusOK, who.front(in))
	}
	w, err := who.ask(ctx, in.Method, in.Params)
	if errors.Is(err, errBusy) {
		return &failure{status: http.StatusServiceUnavailable, retryAfter: 1, cause: err, rpc: rpcError{Code: rpcInternal, Message: "the server behind this gateway is busy"}}
	} else if err != nil {
		return unavailable(err)
	}
	w.ID = in.ID
	if w, err = out.revise(w); err != nil {
		return err
	}
	return out.whole(http.StatusOK, w)
}

// listen and forget implement backend: there are no sessions to have streams in.
func (c *child) listen(context.Context, *message, *answer) error { return noStream }
func (c *child) forget(context.Context, *message, *answer) error { return noStream }

// front answers for the child what must not concern it again.
func (i *introduced) front(in *message) wire {
	switch in.Method {
	case methodPing:
		return wire{ID: in.ID, Result: json.RawMessage("{}")}
	case methodInitialize:
		var params struct {
			Version string `json:"protocolVersion"`
		}
		_ = json.Unmarshal(in.Params, &params) // what says no version gets the child's
		version := i.version
		if slices.Contains(protocols, params.Version) && params.Version < version {
			version = params.Version
		}
		members := map[string]json.RawMessage{
			"protocolVersion": quote(version), "capabilities": usable(i.can, in.permit, false), "serverInfo": i.info,
		}
		if has(i.advice) {
			members["instructions"] = i.advice
		}
		if !has(i.info) {
			members["serverInfo"] = json.RawMessage(`{"name":"server","version":"unknown"}`)
		}
		if raw, err := json.Marshal(members); err == nil {
			return wire{ID: in.ID, Result: raw}
		}
	}
	no, _ := json.Marshal(rpcError{Code: rpcNotFound, Message: "this server does not know the method " + in.Method}) // numbers and text
	return wire{ID: in.ID, Error: no}
}

func (c *child) close() error {
	c.stop()
	<-c.stopped
	return nil
}
