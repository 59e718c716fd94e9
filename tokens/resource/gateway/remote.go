package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"time"
)

// How long what the gateway does for itself may take, and the end of a session: a courtesy.
const (
	errandTime = 5 * time.Second
	endTime    = time.Second
)

// remote is a server on streamable HTTP.
type remote struct {
	url        string
	credential *Credential
	conns      *http.Transport
	sessions   *sessions
	log        *slog.Logger

	key      []byte // of the event ids that agents see
	announce func() // says that the tools have changed
	life     context.Context
	end      context.CancelFunc
	hearing  sync.WaitGroup

	mu  sync.Mutex // one errand at a time
	own *errand    // nil: not introduced
}

// newRemote checks where the server is. Nothing is sent yet.
func newRemote(u Upstream, announce func(), log *slog.Logger) (*remote, error) {
	at, err := url.Parse(u.URL)
	switch {
	case err != nil, at.Host == "", at.Scheme != "http" && at.Scheme != "https", at.User != nil, at.Fragment != "":
		return nil, fmt.Errorf("%q is no http or https URL without user and fragment", u.URL)
	case u.Credential == nil:
	case u.Credential.Header == "" || !plainValue.MatchString(u.Credential.Value):
		return nil, errors.New("the credential needs a header and a value of printable characters")
	case at.Scheme == "http" && !loopback(at.Hostname()):
		return nil, errors.New("a credential does not travel over http to another machine")
	}
	r := &remote{url: u.URL, credential: u.Credential, log: log, key: make([]byte, 32), announce: announce, conns: &http.Transport{ // no proxy: the URL is the configuration's
		DialContext:         (&net.Dialer{Timeout: errandTime}).DialContext,
		TLSHandshakeTimeout: errandTime, MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second,
		DisableCompression: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 32 << 10,
	}}
	rand.Read(r.key) // never fails
	r.life, r.end = context.WithCancel(context.Background())
	now := u.Guard.Now
	if now == nil {
		now = time.Now
	}
	r.sessions = &sessions{now: now, end: r.endSession, all: map[string]*session{}}
	return r, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// send makes one request. Redirects are answers like others: a Transport follows none.
func (r *remote) send(ctx context.Context, method string, h http.Header, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = h
	if r.credential != nil {
		h.Set(r.credential.Header, r.credential.Value)
	}
	return r.conns.RoundTrip(req)
}

// exchange implements backend.
func (r *remote) exchange(ctx context.Context, in *message, out *answer) error {
	h, failed := carry(in)
	if failed != nil {
		return failed
	}
	id, owner := in.header.Get(sessionHeader), ownerOf(in.permit.Principal())
	if id != "" {
		upstream, ok := r.sessions.find(id, owner)
		if !ok {
			return noSession
		}
		h.Set(sessionHeader, upstream)
		out.seal = r.seals(id)
	} else if in.notification() {
		out.accepted() // of nobody's session: a server that keeps none has no use for it
		return nil
	}
	resp, err := r.send(ctx, http.MethodPost, h, in.body)
	if err != nil {
		return unavailable(err)
	}
	defer resp.Body.Close()
	upstream := resp.Header.Get(sessionHeader)
	switch {
	case id != "" && resp.StatusCode == http.StatusNotFound:
		r.sessions.forget(id)
		return noSession
	case id == "" && upstream != "" && in.Method == methodInitialize && resp.StatusCode == http.StatusOK:
		if id, _ = r.sessions.add(upstream, owner); id == "" {
			go r.endSession(upstream)
			return tooMany
		}
		out.header().Set(sessionHeader, id)
		out.seal = r.seals(id)
	}
	return r.read(ctx, resp, h, in, out)
}

// noSession makes a client open another session; whose the old one is, it does not learn.
var (
	noSession = &failure{status: http.StatusNotFound, rpc: rpcError{Code: rpcDenied, Message: "there is no such session of yours"}}
	tooMany   = &failure{status: http.StatusServiceUnavailable, retryAfter: 10, rpc: rpcError{Code: rpcInternal, Message: "there are too many sessions"}}
)

// handed are the statuses that say something about the agent's own message. All others say something
// about us or the server: a challenge meant for us, a redirect, a fault.
var handed = map[int]bool{
	http.StatusOK: true, http.StatusBadRequest: true, http.StatusNotFound: true, http.StatusConflict: true,
	http.StatusRequestEntityTooLarge: true, http.StatusUnprocessableEntity: true, http.StatusTooManyRequests: true,
}

var seconds = regexp.MustCompile(`^\d{1,5}$`)

// read hands the server's answer on.
func (r *remote) read(ctx context.Context, resp *http.Response, sent http.Header, in *message, out *answer) error {
	if in.notification() {
		if resp.StatusCode/100 != 2 {
			return unavailable(fmt.Errorf("status %d", resp.StatusCode))
		}
		out.accepted()
		return nil
	}
	if !handed[resp.StatusCode] {
		return unavailable(fmt.Errorf("status %d", resp.StatusCode))
	}
	if wait := resp.Header.Get("Retry-After"); seconds.MatchString(wait) {
		out.header().Set("Retry-After", wait)
	}
	switch kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); {
	case kind == "text/event-stream" && resp.StatusCode == http.StatusOK:
		return r.stream(ctx, resp.Body, sent, out)
	case kind == "application/json":
		raw, err := readAll(resp.Body)
		if err != nil {
			return unavailable(err)
		}
		asked, err := out.relay(resp.StatusCode, event{data: raw}, false)
		if err == nil && asked != nil {
			err = errAnswer
		}
		return err
	case resp.StatusCode != http.StatusOK:
		return &failure{status: resp.StatusCode, rpc: rpcError{Code: rpcInternal, Message: "the server refused the message"}}
	default:
		return unavailable(fmt.Errorf("an answer of type %q", kind))
	}
}

// stream hands events on as they come, until the answer or the end of the task.
func (r *remote) stream(ctx context.Context, body io.Reader, sent http.Header, out *answer) error {
	for e, err := range events(body) {
		if err != nil {
			return r.broken(out, err)
		}
		asked, err := out.relay(http.StatusOK, e, true)
		if err == nil && asked != nil {
			err = r.refuse(ctx, *asked, sent)
		}
		if err != nil || out.done {
			return err
		}
	}
	return r.broken(out, io.ErrUnexpectedEOF)
}

// broken is the end of a stream before its answer. An agent that can resume it is left to do so.
func (r *remote) broken(out *answer, err error) error {
	if out.marked && !errors.Is(err, errLong) {
		out.done = true
		return nil
	}
	return unavailable(err)
}

// refuse answers what a server asks an agent in the stream of its request.
func (r *remote) refuse(ctx context.Context, asked wire, sent http.Header) error {
	no, err := refusal(asked)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, errandTime)
	defer cancel()
	h := baseHeader()
	for _, name := range []string{sessionHeader, versionHeader} {
		if v := sent.Get(name); v != "" {
			h.Set(name, v)
		}
	}
	resp, err := r.send(ctx, http.MethodPost, h, no)
	if err != nil {
		return unavailable(err)
	}
	return resp.Body.Close()
}

// endSession tells the server that a session is over. Some servers do not want to know.
func (r *remote) endSession(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	h := baseHeader()
	h.Set(sessionHeader, id)
	resp, err := r.send(ctx, http.MethodDelete, h, nil)
	if err != nil {
		r.log.Debug("a session could not be ended", "error", err)
		return
	}
	resp.Body.Close()
}

func (r *remote) close() error {
	r.end()
	r.hearing.Wait()
	r.sessions.close()
	r.mu.Lock()
	own := r.own
	r.own = nil
	r.mu.Unlock()
	if own != nil && own.session != "" {
		r.endSession(own.session)
	}
	r.conns.CloseIdleConnections()
	return nil
}
