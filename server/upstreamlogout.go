package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/upstream"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// logoutSlack is how much later than a logout token, by our clock, a session or task may have begun that
// it still ends: the provider's clock may be behind.
const logoutSlack = time.Minute

// logoutFrom serves POST /logout/from/{provider}: the provider tells that somebody signed out there
// (OpenID Connect Back-Channel Logout 1.0 §2.5). The token is spent after what it ends has ended, so that
// one that met a failure can be sent again; what began after it was made, it does not end.
func (s *Server) logoutFrom(w http.ResponseWriter, r *http.Request) error {
	p := s.upstreams[chi.URLParam(r, "provider")]
	if p == nil {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: textNoProvider, HTTPStatus: http.StatusNotFound}
	}
	form, refused := oauth.ParseForm(r)
	if refused != nil {
		return refused
	}
	if err := s.limit(r.Context(), limit{"logout:address:" + s.clientAddress(r), 5, 100}); err != nil {
		return err
	}
	out, err := p.Logout(r.Context(), form.Get("logout_token"))
	if errors.Is(err, upstream.ErrRefused) {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "this logout token is not accepted", Cause: err}
	}
	if err != nil {
		return upstreamError(r.Context(), err)
	}
	if err := s.endUpstream(r.Context(), p, out); err != nil {
		return err
	}
	epoch, err := s.ephemeral.Epoch(r.Context())
	if err != nil {
		return replayUnknown(err)
	}
	first, err := s.ephemeral.FirstUse(r.Context(), epoch, "logout:"+tokens.HashBytes([]byte(out.Issuer+"\x00"+out.ID)), 2*upstream.LogoutLife)
	if err != nil {
		return replayUnknown(err)
	}
	if !first {
		return oauth.Refuse(oauth.InvalidRequest, "this logout token was used already")
	}
	w.Header().Set("Cache-Control", "no-store") // §2.8
	w.WriteHeader(http.StatusOK)
	return nil
}

// endUpstream ends the sessions that the provider means, and the tasks where the operator wants that:
// tasks first, so that no agent goes on while nobody is there to see it.
func (s *Server) endUpstream(ctx context.Context, p *upstream.Provider, out upstream.Logout) error {
	sessions, users, err := s.meantBy(ctx, out)
	if err != nil {
		return err
	}
	until := out.IssuedAt.Add(logoutSlack)
	if p.LogoutEndsTasks {
		for id := range users {
			if err := s.endBegunBy(ctx, id, until); err != nil {
				return err
			}
		}
	}
	for _, session := range sessions {
		if session.AuthTime.After(until) {
			continue
		}
		rec := about(store.NewRecord("session.ended", map[string]any{"by": "provider", "provider": p.Name}), store.User{ID: session.UserID})
		err := s.store.EndSession(ctx, session.UserID, session.ID, rec)
		if err != nil && !errors.Is(err, store.ErrSessionNotFound) {
			return err
		}
	}
	return nil
}

// meantBy are the sessions that the provider means, and whose they are. A session that the provider named
// is ended by that name; one that it never named, with its user.
func (s *Server) meantBy(ctx context.Context, out upstream.Logout) (sessions []store.Session, users map[string]bool, err error) {
	users = map[string]bool{}
	if out.Subject != "" {
		user, err := s.store.UserByUpstream(ctx, out.Issuer, out.Subject)
		if errors.Is(err, store.ErrUserNotFound) {
			return nil, nil, nil // nobody was here with it
		}
		if err != nil {
			return nil, nil, err
		}
		users[user.ID] = true
		all, err := s.store.SessionsOf(ctx, user.ID)
		if err != nil {
			return nil, nil, err
		}
		for _, session := range all {
			if session.Upstream == out.Issuer && (out.SID == "" || session.SID == "" || session.SID == out.SID) {
				sessions = append(sessions, session)
			}
		}
		return sessions, users, nil
	}
	sessions, err = s.store.SessionsOfUpstream(ctx, out.Issuer, out.SID)
	for _, session := range sessions {
		users[session.UserID] = true
	}
	return sessions, users, err
}

// endBegunBy ends the user's live tasks that had begun by then, whatever has begun since.
func (s *Server) endBegunBy(ctx context.Context, userID string, then time.Time) error {
	live, err := s.store.WouldEnd(ctx, store.Target{UserID: userID})
	if err != nil {
		return err
	}
	for _, t := range live {
		if t.CreatedAt.After(then) {
			continue
		}
		if _, err := s.endOne(ctx, t.ID, reasonSignedOut); err != nil {
			return err
		}
	}
	return nil
}
