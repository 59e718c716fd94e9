package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
)

// protocols are the revisions that the gateway itself speaks, with servers and for those that it
// starts; the newest first.
var protocols = []string{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}

// introduction is what the gateway says of itself.
var introduction = map[string]any{
	"protocolVersion": protocols[0],
	"capabilities":    map[string]any{}, // nothing may be asked of it
	"clientInfo":      map[string]any{"name": "remit-gateway", "version": "1"},
}

// errand is the gateway's own conversation with a server, by which it reads the live tools. It is
// no agent's.
type errand struct {
	session, version string
	announces        bool // it tells when its tools change
	next             int64
}

// errLost is what a server says of a session that it no longer has.
var errLost = errors.New("gateway: the server no longer knows the session")

// call implements backend.
func (r *remote) call(ctx context.Context, method string, params any) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for try := 0; ; try++ {
		known := r.own != nil
		if !known {
			if err := r.introduce(ctx); err != nil {
				return nil, err
			}
		}
		result, err := r.ask(ctx, r.own, method, params)
		if err == nil {
			return result, nil
		}
		r.own = nil
		if !known || try > 0 || !errors.Is(err, errLost) {
			return nil, err
		}
	}
}

// introduce begins the gateway's own conversation; callers hold mu.
func (r *remote) introduce(ctx context.Context) error {
	e := &errand{}
	raw, err := r.ask(ctx, e, methodInitialize, introduction)
	if err != nil {
		return err
	}
	var result struct {
		Version      string          `json:"protocolVersion"`
		Capabilities json.RawMessage `json:"capabilities"`
	}
	if err := json.Unmarshal(raw, &result); err != nil || !carried[versionHeader].MatchString(result.Version) {
		return fmt.Errorf("%w: initialize: no protocol version", errAnswer)
	}
	e.version, e.announces = result.Version, announces(result.Capabilities)
	resp, err := r.send(ctx, http.MethodPost, e.header(), []byte(`{"jsonrpc":"2.0","method":"`+methodInitialized+`"}`))
	if err != nil {
		return err
	}
	r.own = e
	if e.announces && e.session != "" {
		r.hearing.Go(func() { r.hear(e) })
	}
	return resp.Body.Close()
}

// hear waits in the gateway's own session for the news that tools have changed. A server that will
// not tell is asked from time to time.
func (r *remote) hear(e *errand) {
	h := e.header()
	h.Set("Accept", "text/event-stream")
	resp, err := r.send(r.life, http.MethodGet, h, nil)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return
	}
	for event, err := range events(resp.Body) {
		if err != nil {
			return
		}
		if w, err := readWire(event.data); err == nil && w.Method == methodListChanged {
			r.announce()
		} else if err == nil && w.Method != "" && has(w.ID) {
			if err := r.refuse(r.life, w, e.header()); err != nil {
				return
			}
		}
	}
}

func (e *errand) header() http.Header {
	h := baseHeader()
	if e.session != "" {
		h.Set(sessionHeader, e.session)
	}
	if e.version != "" {
		h.Set(versionHeader, e.version)
	}
	return h
}

// ask sends a request and reads its result.
func (r *remote) ask(ctx context.Context, e *errand, method string, params any) (json.RawMessage, error) {
	args, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	e.next++
	id := json.RawMessage(strconv.FormatInt(e.next, 10))
	body, err := wire{ID: id, Method: method, Params: args}.encode()
	if err != nil {
		return nil, err
	}
	resp, err := r.send(ctx, http.MethodPost, e.header(), body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch {
	case e.session != "" && (resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusBadRequest):
		return nil, errLost
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("gateway: %s: the server answers with status %d", method, resp.StatusCode)
	}
	if method == methodInitialize {
		e.session = resp.Header.Get(sessionHeader)
	}
	return r.result(ctx, resp, e, id)
}

// result finds the answer to a request of the gateway's own.
func (r *remote) result(ctx context.Context, resp *http.Response, e *errand, id json.RawMessage) (json.RawMessage, error) {
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/event-stream" {
		raw, err := readAll(resp.Body)
		if err != nil {
			return nil, err
		}
		w, err := readWire(raw)
		if err != nil {
			return nil, err
		}
		return outcome(w, id)
	}
	for event, err := range events(resp.Body) {
		if err != nil {
			return nil, err
		}
		if len(event.data) == 0 {
			continue
		}
		w, err := readWire(event.data)
		switch {
		case err != nil:
			return nil, err
		case w.Method == "":
			return outcome(w, id)
		case has(w.ID):
			if err := r.refuse(ctx, w, e.header()); err != nil {
				return nil, err
			}
		}
	}
	return nil, errAnswer
}

// outcome is the result of an answer, or its error.
func outcome(w wire, id json.RawMessage) (json.RawMessage, error) {
	switch {
	case has(w.Error):
		return nil, fmt.Errorf("gateway: the server answers with an error: %.200s", w.Error)
	case w.Method != "" || !sameID(w.ID, id):
		return nil, errAnswer
	}
	return w.Result, nil
}
