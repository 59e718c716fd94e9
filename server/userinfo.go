package server

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/provider"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// userinfo serves GET and POST /userinfo (OpenID Connect Core 1.0 §5.3). It takes a token for itself,
// or, from whoever proves the key, any token of a task in which the user allowed openid: a server that
// was called with such a token has not got the key. A token without a key must be for this endpoint.
func (s *Server) userinfo(w http.ResponseWriter, r *http.Request) error {
	raw, dpop, err := userinfoToken(r)
	if err != nil {
		return s.challenge(w, err)
	}
	claims, state, err := s.readAccess(r.Context(), raw)
	if err != nil && !errors.Is(err, store.ErrTokenNotFound) {
		return err
	}
	if err != nil || !state.Live(s.now()) || dpop != (claims.JKT != "") {
		return s.challenge(w, oauth.Refuse(oauth.InvalidToken, "the access token is not valid here, or has expired"))
	}
	if dpop {
		jkt, err := s.proveKey(w, r, "/userinfo", raw, false)
		if err != nil {
			return s.challenge(w, err)
		}
		if jkt != claims.JKT {
			return s.challenge(w, oauth.Refuse(oauth.InvalidToken, "the access token is bound to another key"))
		}
	}
	scopes, err := s.identityScopes(r, claims, state)
	if err != nil {
		return s.challenge(w, err)
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, http.StatusOK, provider.PersonClaims(state.User, scopes))
}

// identityScopes are what the user allowed to be told in this token's task.
func (s *Server) identityScopes(r *http.Request, claims tokens.Claims, state store.AccessState) ([]string, error) {
	scopes := claims.Scope
	if claims.Audience != s.identityURI() {
		scopes = nil
		if claims.JKT == "" {
			return nil, oauth.Refuse(oauth.InvalidToken, "the access token is for another resource")
		}
		_, grants, err := s.store.TaskByID(r.Context(), state.Task.ID)
		if err != nil {
			return nil, err
		}
		for _, g := range grants {
			if g.Resource == s.identityURI() && g.EndedAt.IsZero() {
				scopes = g.Scopes
			}
		}
	}
	if !slices.Contains(scopes, scopeOpenID) {
		return nil, oauth.Refuse(oauth.InsufficientScope, "the user did not allow openid in this task")
	}
	resource, err := s.store.ResourceByURI(r.Context(), s.identityURI())
	if err == nil && resource.Disabled {
		err = oauth.Refuse(oauth.InvalidToken, "this server does not say who users are")
	}
	return scopes, err
}

// userinfoToken takes the token from the one Authorization header (RFC 6750 §2.1, RFC 9449 §7.1), and
// never from anywhere else.
func userinfoToken(r *http.Request) (raw string, dpop bool, err error) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false, oauth.Refuse(oauth.InvalidToken, "send the access token in one Authorization header")
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	dpop = strings.EqualFold(scheme, "DPoP")
	if raw == "" || !dpop && !strings.EqualFold(scheme, "Bearer") {
		return "", false, oauth.Refuse(oauth.InvalidToken, "send the access token in one Authorization header")
	}
	if !dpop && r.Header.Get(proofHeader) != "" { // RFC 9449 §7.2
		return "", false, oauth.Refuse(oauth.InvalidToken, "a proof goes with the DPoP scheme")
	}
	return raw, dpop, nil
}

// challenge says how a token is presented (RFC 6750 §3, RFC 9449 §7.1).
func (s *Server) challenge(w http.ResponseWriter, err error) error {
	e := wire(err)
	if status := e.Status(); status == http.StatusServiceUnavailable || status == http.StatusInternalServerError {
		return err
	}
	h := w.Header()
	h.Add("WWW-Authenticate", `Bearer error="`+string(e.Code)+`"`)
	h.Add("WWW-Authenticate", `DPoP error="`+string(e.Code)+`", algs="ES256 EdDSA"`)
	if e.Code == oauth.InvalidDPoPProof || e.Code == oauth.UseDPoPNonce {
		again := *e
		again.HTTPStatus = http.StatusUnauthorized
		return &again
	}
	return e
}
