package server

import (
	"errors"
	"net/http"
	"strings"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// revoke serves POST /revoke (RFC 7009 §2): any generation of a refresh token ends the task, an
// access token dies alone. 200 is answered only when the end is durable, or when there is nothing
// of this client's to end.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) error {
	p, refused := oauth.ParseBody(r)
	if refused != nil {
		return refused
	}
	client, err := s.authenticateClient(r, p)
	if err != nil {
		return err
	}
	if r.Header.Get(proofHeader) != "" { // not required here (RFC 7009), but never ignored
		if _, err := s.proveKey(w, r, "/revoke", "", true); err != nil {
			return err
		}
	}
	token := p.Get("token")
	if token == "" {
		return oauth.Refuse(oauth.InvalidRequest, "token is missing")
	}
	if _, opaque := tokens.OpaqueID(token); opaque || strings.Count(token, ".") == 2 {
		err = s.revokeAccess(r, client, token)
	} else {
		err = s.revokeRefresh(r, client, token)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}

// revokeRefresh ends the task of the client's refresh token, whichever generation it is.
func (s *Server) revokeRefresh(r *http.Request, client store.Client, token string) error {
	st, err := s.store.RefreshByID(r.Context(), store.HashOf(token))
	if errors.Is(err, store.ErrRefreshNotFound) {
		return nil // RFC 7009 §2.2: an invalid token is no error
	}
	if err != nil {
		return err
	}
	if st.Token.ClientID != client.ID {
		return s.foreignRevocation(r, client, st.Task)
	}
	_, err = s.store.EndTask(r.Context(), store.End{TaskID: st.Task.ID, State: store.TaskRevoked, By: store.ByAgent, Reason: "refresh token revoked"})
	if errors.Is(err, store.ErrTaskEnded) {
		return nil
	}
	return err
}

// revokeAccess kills one access token by its jti, however it is spelt: nobody is told that a token is dead
// of which another spelling lives on.
func (s *Server) revokeAccess(r *http.Request, client store.Client, token string) error {
	claims, st, err := s.readAccess(r.Context(), tokens.OneSpelling(token))
	if errors.Is(err, store.ErrTokenNotFound) {
		return nil // RFC 7009 §2.2
	}
	if err != nil {
		return err
	}
	if st.Token.ClientID != client.ID {
		return s.foreignRevocation(r, client, st.Task)
	}
	rec := store.NewRecord("token.revoked", map[string]string{"by": "client"})
	rec.Task, rec.User, rec.Client, rec.Agent, rec.Resource, rec.JTI = st.Task.ID, st.Task.UserID, client.ID, st.Token.JKT, st.Token.Resource, claims.ID
	return s.store.RevokeAccess(r.Context(), claims.ID, rec)
}

// foreignRevocation leaves another client's token alone, and a finding in the ledger (RFC 7009 §2.1).
func (s *Server) foreignRevocation(r *http.Request, client store.Client, t store.Task) error {
	refusal := oauth.Refuse(oauth.UnauthorizedClient, "the token was not issued to this client")
	if !s.worthRecording(r.Context(), t.ID) {
		return refusal
	}
	rec := store.NewRecord("finding.revocation_by_another_client", map[string]string{"presented_by": client.ID})
	rec.Task, rec.User, rec.Client, rec.Agent = t.ID, t.UserID, t.ClientID, t.JKT
	if err := s.store.Append(r.Context(), rec); err != nil {
		return err
	}
	return refusal
}
