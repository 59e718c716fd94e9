package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

const (
	lastEventHeader = "Last-Event-Id"
	// streamsOfOne is how many streams one session may hold open at a time.
	streamsOfOne = 8
)

// news are the notifications of a server that concern a session and no request of it.
var news = map[string]bool{
	"notifications/tools/list_changed":     true,
	"notifications/prompts/list_changed":   true,
	"notifications/resources/list_changed": true,
	"notifications/message":                true,
	"notifications/progress":               true,
}

// listen serves GET: what the server says in a session by itself, or what an agent missed of a stream
// that broke (MCP 2025-11-25, resumability). A server without sessions could not tell whom it tells.
func (r *remote) listen(ctx context.Context, in *message, out *answer) error {
	id, owner := in.header.Get(sessionHeader), ownerOf(in.permit.Principal())
	if id == "" {
		return noStream
	}
	upstream, ok := r.sessions.find(id, owner)
	if !ok {
		return noSession
	}
	h := baseHeader()
	h.Set("Accept", "text/event-stream")
	h.Set(sessionHeader, upstream)
	if v := in.header.Values(versionHeader); len(v) == 1 && carried[versionHeader].MatchString(v[0]) {
		h.Set(versionHeader, v[0])
	}
	out.seal = r.seals(id)
	if last := in.header.Get(lastEventHeader); last != "" {
		if last, ok = r.unseal(id, last); !ok {
			return &failure{status: http.StatusBadRequest, rpc: rpcError{Code: rpcInternal, Message: "Last-Event-ID names no event of this session"}}
		}
		h.Set(lastEventHeader, last)
		out.resumed = true
	}
	if !r.sessions.hold(id, 1) {
		return tooManyStreams
	}
	defer r.sessions.hold(id, -1)
	resp, err := r.send(ctx, http.MethodGet, h, nil)
	if err != nil {
		return unavailable(err)
	}
	defer resp.Body.Close()
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusNotFound:
		r.sessions.forget(id)
		return noSession
	case resp.StatusCode == http.StatusMethodNotAllowed:
		return noStream
	case resp.StatusCode == http.StatusConflict:
		return tooManyStreams
	case resp.StatusCode != http.StatusOK || kind != "text/event-stream":
		return unavailable(fmt.Errorf("a stream with status %d of type %q", resp.StatusCode, kind))
	}
	return r.overhear(ctx, resp.Body, h, out)
}

// The answers to agents that cannot have a stream.
var (
	noStream       = &failure{status: http.StatusMethodNotAllowed, allow: http.MethodPost, rpc: rpcError{Code: rpcInternal, Message: "this server opens no streams"}}
	tooManyStreams = &failure{status: http.StatusConflict, rpc: rpcError{Code: rpcInternal, Message: "this session has its streams open already"}}
)

// overhear hands on what a server says by itself, until it or the permit ends.
func (r *remote) overhear(ctx context.Context, body io.Reader, sent http.Header, out *answer) error {
	if err := out.begin(); err != nil {
		return err
	}
	for e, err := range events(body) {
		if err != nil {
			if errors.Is(err, errLong) {
				r.log.Warn("a stream of the server is cut", "error", err)
			}
			break
		}
		asked, err := out.tell(e)
		if err == nil && asked != nil {
			err = r.refuse(ctx, *asked, sent)
		}
		if err != nil {
			return err
		}
		if out.listChanged {
			out.listChanged = false
			r.announce()
		}
	}
	out.done = true
	return nil
}

// forget serves DELETE: the agent ends its session.
func (r *remote) forget(_ context.Context, in *message, out *answer) error {
	id := in.header.Get(sessionHeader)
	if id == "" {
		return noStream
	}
	upstream, ok := r.sessions.find(id, ownerOf(in.permit.Principal()))
	if !ok {
		return noSession
	}
	r.sessions.forget(id)
	r.endSession(upstream)
	out.done = true
	out.w.WriteHeader(http.StatusNoContent)
	return nil
}

// seals makes of a server's event ids those that agents see: each is good in one session alone. A
// server that keeps events of all sessions in one place would else hand out those of another.
func (r *remote) seals(session string) func(string) string {
	return func(id string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(id)) + "." + base64.RawURLEncoding.EncodeToString(r.seal(session, id))
	}
}

func (r *remote) seal(session, id string) []byte {
	mac := hmac.New(sha256.New, r.key)
	mac.Write([]byte(session + "\x00" + id))
	return mac.Sum(nil)[:16]
}

// unseal returns the server's own id.
func (r *remote) unseal(session, sealed string) (string, bool) {
	id, mac, _ := strings.Cut(sealed, ".")
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || !eventID.Match(raw) {
		return "", false
	}
	want, err := base64.RawURLEncoding.DecodeString(mac)
	return string(raw), err == nil && hmac.Equal(want, r.seal(session, string(raw)))
}
