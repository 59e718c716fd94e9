package server

import (
	"errors"
	"net/http"
	"slices"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/provider"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// The last hop: a resource that was called with a token exchanges it for one to its own backend, so
// that the token of its caller is never passed on. An admin says which backends it may reach, and with
// which scopes; the user's roles there bound the rest.

// identifyGuard authenticates a resource by its Guard's key. It may do nothing here but exchange.
func (s *Server) identifyGuard(r *http.Request, p oauth.Params) (caller, error) {
	if p.Get("client_assertion_type") != oauth.AssertionTypeJWT || len(r.Header.Values("Authorization")) != 0 || p.Has("client_secret") {
		return caller{}, errClient
	}
	res, err := s.verifyGuard(r.Context(), p.Get("client_assertion"))
	if err != nil {
		return caller{}, err
	}
	if res.Disabled || p.Has("client_id") && p.Get("client_id") != res.GuardID {
		return caller{}, errClient
	}
	return caller{guard: &res, client: store.Client{ID: res.GuardID, Metadata: store.ClientMetadata{
		GrantTypes: []string{oauth.GrantTokenExchange}, TokenEndpointAuthMethod: oauth.AuthPrivateKeyJWT,
	}}}, nil
}

// exchangeBehind exchanges the token that a resource was called with for one to its backend.
func (s *Server) exchangeBehind(r *http.Request, g grantRequest, subject tokens.Claims, state store.AccessState) (provider.Response, error) {
	none := provider.Response{}
	if subject.Audience != g.guard.URI {
		return none, oauth.Refuse(oauth.InvalidTarget, "the token is for another resource")
	}
	named := slices.Compact(append(g.params.All("resource"), g.params.All("audience")...))
	if len(named) != 1 {
		return none, oauth.Refuse(oauth.InvalidTarget, "name the one backend that the token is for")
	}
	most, err := s.store.Backend(r.Context(), g.guard.URI, named[0])
	if errors.Is(err, store.ErrBackendNotFound) {
		return none, oauth.Refuse(oauth.InvalidTarget, "this resource may not reach that backend")
	}
	if err != nil {
		return none, err
	}
	scopes := most
	if g.scopes != nil {
		scopes = g.scopes
	}
	for _, scope := range scopes {
		if !slices.Contains(most, scope) {
			return none, oauth.Refuse(oauth.InvalidScope, "a scope is not open to this resource at that backend")
		}
	}
	asked, err := readDetails(g.params)
	if err != nil {
		return none, err
	}
	lent, roles, err := s.lend(r.Context(), g.client, consent.Ask{ClientID: g.client.ID, Resource: named[0], Scopes: scopes, Details: asked}, state.Task.UserID)
	if err != nil {
		return none, err
	}
	return s.provider.ExchangeBehind(r.Context(), provider.Behind{
		Guard: g.client, Resource: g.guard.URI, Subject: subject, State: state, Backend: named[0],
		Scopes: lent.Scopes, Details: lent.Details, Roles: roles, JKT: g.jkt,
	})
}
