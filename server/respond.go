package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
)

// handler is one endpoint: it returns the refusal instead of writing it.
type handler func(w http.ResponseWriter, r *http.Request) error

// writeJSON writes v; nothing that an endpoint answers may be cached (OAuth 2.1 §3.2.3).
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
	return nil
}

// startStream begins an answer of server-sent events and returns what writes a frame of it, as long
// as the other side takes them.
func startStream(w http.ResponseWriter) (write func(frame []byte) bool) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // proxies that buffer would make every listener stale
	w.WriteHeader(http.StatusOK)
	conn := http.NewResponseController(w)
	// The server's read deadline is for requests with an end; a stream ends by its writes.
	able := conn.SetReadDeadline(time.Time{}) == nil
	return func(frame []byte) bool {
		// Deadlines are the machine's time, whatever the server's clock says.
		if !able || conn.SetWriteDeadline(time.Now().Add(frameDeadline)) != nil {
			return false
		}
		if _, err := w.Write(frame); err != nil {
			return false
		}
		return conn.Flush() == nil
	}
}

// protocol serves an endpoint whose refusals are RFC 6749 §5.2 JSON.
func (s *Server) protocol(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, oauth.MaxBody+1)
		if err := h(w, r); err != nil {
			s.refuse(w, r, wire(err))
		}
	}
}

// refuse writes a refusal as JSON.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, e *oauth.Error) {
	s.note(r, e)
	h := w.Header()
	switch status := e.Status(); {
	case status == http.StatusMethodNotAllowed && h.Get("Allow") == "":
		h.Set("Allow", http.MethodPost)
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		setRetryAfter(w, e)
	case status == http.StatusRequestEntityTooLarge:
		h.Set("Connection", "close")
	case e.Code == oauth.InvalidClient && r.Header.Get("Authorization") != "":
		scheme := "Basic" // RFC 6749 §5.2: the scheme that the caller used
		if used, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(used, "Bearer") {
			scheme = "Bearer"
		}
		h.Set("WWW-Authenticate", scheme+` realm="remit"`)
	}
	if err := writeJSON(w, e.Status(), e); err != nil {
		s.log.Error("refusal not written", "err", err)
	}
}

// note logs a refusal, loudly when it is the server's own fault, and counts it.
func (s *Server) note(r *http.Request, e *oauth.Error) {
	s.refusals.count(routeOf(r), string(e.Code))
	if e.Code == oauth.ServerError {
		s.log.Error("request failed", "request", store.RequestOf(r.Context()), "path", r.URL.Path, "err", e.Error())
		return
	}
	s.log.Debug("request refused", "request", store.RequestOf(r.Context()), "path", r.URL.Path, "err", e.Error())
}

// wire is the one place where an inner error becomes a protocol error; the unknown is server_error.
func wire(err error) *oauth.Error {
	if e, ok := errors.AsType[*oauth.Error](err); ok {
		return e
	}
	for _, m := range wireMap {
		if errors.Is(err, m.inner) {
			return &oauth.Error{Code: m.code, Description: m.text, Cause: err}
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "the request was given up", Cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "the server could not answer in time; try again", Cause: err}
	}
	return &oauth.Error{Code: oauth.ServerError, Description: "the server could not complete the request; try again", Cause: err}
}

// wireMap lists what a client is told of each sentinel of the store.
var wireMap = []struct {
	inner error
	code  oauth.Code
	text  string
}{
	{store.ErrCodeNotFound, oauth.InvalidGrant, "the authorization code is not valid; start again at the authorization endpoint"},
	{store.ErrCodeSpent, oauth.InvalidGrant, "the authorization code was used before; start again at the authorization endpoint"},
	{store.ErrCodeExpired, oauth.InvalidGrant, "the authorization code has expired; start again at the authorization endpoint"},
	{store.ErrRefreshNotFound, oauth.InvalidGrant, "the refresh token is not valid; ask the user again"},
	{store.ErrRefreshReused, oauth.InvalidGrant, "the refresh token was used before; ask the user again"},
	{store.ErrRefreshExpired, oauth.InvalidGrant, "the refresh token has expired; ask the user again"},
	{store.ErrTaskEnded, oauth.InvalidGrant, "the task has ended; ask the user again"},
	{store.ErrTokenNotFound, oauth.InvalidGrant, "the token is not valid, or no longer"},
	{store.ErrDeviceNotFound, oauth.InvalidGrant, "the device code is not valid; start again at the device endpoint"},
	{store.ErrSpent, oauth.InvalidGrant, "the assertion was used before; get a new one"},
	{store.ErrTaskNotFound, oauth.InvalidGrant, "there is no such task"},
	{store.ErrUserDisabled, oauth.InvalidGrant, "the user may no longer delegate"},
	{store.ErrClientDisabled, oauth.InvalidClient, "the client is disabled"},
	{store.ErrResourceNotFound, oauth.InvalidTarget, "the resource is not known here, or is switched off"},
	{store.ErrKeyStale, oauth.TemporarilyUnavailable, "the signing keys were just changed; try again"},
	{store.ErrSwitched, oauth.TemporarilyUnavailable, "an administrator has stopped this for now; keep the credentials and try again later"},
	{store.ErrTaskNotActive, oauth.TemporarilyUnavailable, "the task is suspended; keep the credentials and try again later"},
}

// unavailable answers that the task is suspended, so that clients keep their credentials.
func retryLater(w http.ResponseWriter, seconds int) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
}
