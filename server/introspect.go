package server

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// inactive is all that is said of a token that is not live here (RFC 7662 §2.2).
var inactive = map[string]bool{"active": false}

// introspection is what a Guard learns of a live token (RFC 7662 §2.2, RFC 9449 §6.2, RFC 9396 §9.2).
type introspection struct {
	Active    bool            `json:"active"`
	Issuer    string          `json:"iss"`
	Subject   string          `json:"sub"`
	Audience  string          `json:"aud"`
	ClientID  string          `json:"client_id"`
	TokenType string          `json:"token_type"`
	Scope     string          `json:"scope"`
	Expires   int64           `json:"exp"`
	IssuedAt  int64           `json:"iat"`
	ID        string          `json:"jti"`
	Roles     []string        `json:"roles"`
	Grade     string          `json:"client_grade,omitempty"`
	Confirm   *confirmation   `json:"cnf,omitempty"`
	Task      introspectTask  `json:"task"`
	Details   json.RawMessage `json:"authorization_details"`
	GrantHash string          `json:"grant_hash,omitempty"`
	Act       *tokens.Actor   `json:"act,omitempty"`          // RFC 8693 §4.1
	Off       []string        `json:"switched_off,omitempty"` // tools that an admin has stopped
}

type confirmation struct {
	JKT string `json:"jkt"`
}

type introspectTask struct {
	ID      string `json:"id"`
	Expires int64  `json:"exp"`
}

// introspect serves POST /introspect (RFC 7662) for Guards, each about tokens for its own resource.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) error {
	p, refused := oauth.ParseBody(r)
	if refused != nil {
		return refused
	}
	if p.Get("client_assertion_type") != oauth.AssertionTypeJWT || len(r.Header.Values("Authorization")) != 0 {
		return errClient // §2.1: the Guard's assertion, by RFC 7523 §2.2, and nothing else
	}
	res, err := s.verifyGuard(r.Context(), p.Get("client_assertion"))
	if err != nil {
		return err
	}
	if !p.Has("token") {
		return oauth.Refuse(oauth.InvalidRequest, "token is missing")
	}
	claims, state, err := s.readAccess(r.Context(), p.Get("token"))
	switch {
	case errors.Is(err, store.ErrTokenNotFound): // a refresh token, too, is none
		return writeJSON(w, http.StatusOK, inactive)
	case err != nil:
		return err // unknown is never inactive
	case claims.Audience != res.URI, state.Token.Resource != res.URI, !state.Live(s.now()):
		return writeJSON(w, http.StatusOK, inactive)
	}
	off, err := s.toolsOff(r.Context(), res.URI)
	if err != nil {
		return err
	}
	return s.writeActive(w, claims, state, off)
}

// writeActive tells what the token carries, with the user's roles as they are now.
func (s *Server) writeActive(w http.ResponseWriter, claims tokens.Claims, state store.AccessState, off map[string]bool) error {
	details, err := claims.Details.Canonical()
	if err != nil {
		return err
	}
	for _, g := range state.Grants {
		if claims.GrantHash != "" && g.Hash == claims.GrantHash {
			details = g.Details
		}
	}
	out := introspection{
		Active: true, Issuer: claims.Issuer, Subject: claims.Subject, Audience: claims.Audience,
		ClientID: claims.ClientID, TokenType: "Bearer", Scope: strings.Join(claims.Scope, " "),
		Expires: claims.Expires.Unix(), IssuedAt: claims.IssuedAt.Unix(), ID: claims.ID,
		Roles: append([]string{}, state.Task.RolesAt(claims.Audience)...), Grade: claims.Grade,
		Task: introspectTask{ID: state.Task.ID, Expires: state.Task.EndsAt.Unix()}, Details: details, GrantHash: claims.GrantHash, Act: claims.Act, Off: slices.Sorted(maps.Keys(off)),
	}
	if claims.JKT != "" {
		out.TokenType, out.Confirm = "DPoP", &confirmation{JKT: claims.JKT}
	}
	return writeJSON(w, http.StatusOK, out)
}
