package server

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
)

// grant serves GET /grants/{hash}: the immutable details that were too large for a token, to the
// Guard of the resource that they are for, and to no other.
func (s *Server) grant(w http.ResponseWriter, r *http.Request) error {
	res, err := s.authenticateGuard(r)
	if err != nil {
		return err
	}
	hash, err := url.PathUnescape(r.PathValue("hash"))
	if err != nil {
		return oauth.Refuse(oauth.InvalidRequest, "the hash is not readable")
	}
	g, err := s.store.GrantByHash(r.Context(), res.URI, hash)
	if errors.Is(err, store.ErrGrantNotFound) {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "this resource has no such grant", HTTPStatus: http.StatusNotFound}
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "private, max-age=86400, immutable") // it is named by its hash
	_, err = w.Write(g.Details)
	return err
}
