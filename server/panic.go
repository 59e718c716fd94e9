package server

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
)

// kindPanicked is a request that met a defect of the server.
const kindPanicked = "finding.server_panicked"

const sayPanicked = "something is wrong with this server"

// recovered lets refuse answer for a handler that panics, and makes a finding of it; the process lives on.
// Where the answer has begun the connection breaks: half an answer must not look like a whole one.
func (s *Server) recovered(next http.Handler, refuse http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if chi.RouteContext(r.Context()) == nil { // which tells afterwards what the request was for
			r = r.WithContext(context.WithValue(r.Context(), chi.RouteCtxKey, chi.NewRouteContext()))
		}
		answer := &begun{ResponseWriter: w}
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.log.Error("panic", "request", store.RequestOf(r.Context()), "path", routeOf(r), "panic", p, "stack", string(debug.Stack()))
			if err := s.recordPanic(r); err != nil {
				s.log.Error("panic not recorded", "request", store.RequestOf(r.Context()), "err", err)
			}
			if answer.yes {
				panic(http.ErrAbortHandler)
			}
			refuse(w, r)
		}()
		next.ServeHTTP(answer, r)
	})
}

// refusePanicked answers an agent or a browser, telling nothing of what went wrong.
func (s *Server) refusePanicked(w http.ResponseWriter, r *http.Request) {
	_, page := s.classOf(r)
	s.shed(w, r, &oauth.Error{Code: oauth.ServerError, Description: sayPanicked, HTTPStatus: http.StatusInternalServerError}, page)
}

// recordPanic records that a request met a defect, and where; what it was stands in the log alone, as it
// may hold anything. Who knows how to bring it about fills no ledger with it; a store that panics too is
// not asked twice.
func (s *Server) recordPanic(r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the store: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 2*time.Second)
	defer cancel()
	if err := s.limit(ctx, byDefect.of("panic:"+routeOf(r))); err != nil {
		return err
	}
	return s.store.Append(ctx, store.NewRecord(kindPanicked, map[string]string{"method": r.Method, "path": routeOf(r)}))
}

// begun knows whether anything has been answered yet.
type begun struct {
	http.ResponseWriter
	yes bool
}

// WriteHeader begins the answer, unless it only informs (1xx).
func (b *begun) WriteHeader(status int) {
	b.yes = b.yes || status >= 200
	b.ResponseWriter.WriteHeader(status)
}

// Write begins the answer.
func (b *begun) Write(p []byte) (int, error) {
	b.yes = true
	return b.ResponseWriter.Write(p)
}

// Unwrap lets streams flush and set deadlines (http.ResponseController).
func (b *begun) Unwrap() http.ResponseWriter { return b.ResponseWriter }
