package server

import (
	"errors"
	"net/http"
	"slices"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/provider"
	"github.com/remit-auth/remit/store"
)

// grantRequest is a token request whose client is authenticated and whose key is proven.
type grantRequest struct {
	client store.Client
	params oauth.Params
	jkt    string
}

// grants are the grant types served. Every one of them passes the skeleton of token, so that none
// can forget a check.
func (s *Server) grants() map[string]func(*http.Request, grantRequest) (provider.Response, error) {
	return map[string]func(*http.Request, grantRequest) (provider.Response, error){
		oauth.GrantAuthorizationCode: s.redeemCode,
		oauth.GrantRefreshToken:      s.refresh,
	}
}

// token serves POST /token (OAuth 2.1 §3.2): parse, client, proof, and then the grant.
func (s *Server) token(w http.ResponseWriter, r *http.Request) error {
	p, refused := oauth.ParseBody(r)
	if refused != nil {
		return refused
	}
	grantType := p.Get("grant_type")
	if grantType == "" {
		return oauth.Refuse(oauth.InvalidRequest, "grant_type is missing")
	}
	grant, served := s.grants()[grantType]
	if !served {
		return oauth.Refuse(oauth.UnsupportedGrantType, "the grant types are authorization_code and refresh_token")
	}
	client, err := s.authenticateClient(r, p)
	if err != nil {
		return err
	}
	if !slices.Contains(provider.GrantTypes(client), grantType) {
		return oauth.Refuse(oauth.UnauthorizedClient, "the client is not registered for this grant type")
	}
	jkt, err := s.proveKey(w, r, "/token", "", s.mayBearer(client))
	if err != nil {
		return err
	}
	response, err := grant(r, grantRequest{client, p, jkt})
	if errors.Is(err, store.ErrTaskNotActive) {
		retryLater(w, 30) // suspended: clients must keep their credentials
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, response)
}

// redeemCode serves grant_type=authorization_code (OAuth 2.1 §4.1.3).
func (s *Server) redeemCode(r *http.Request, g grantRequest) (provider.Response, error) {
	if !g.params.Has("code") {
		return provider.Response{}, oauth.Refuse(oauth.InvalidRequest, "code is missing")
	}
	if !g.params.Has("code_verifier") {
		return provider.Response{}, oauth.Refuse(oauth.InvalidGrant, "code_verifier is missing")
	}
	return s.provider.RedeemCode(r.Context(), provider.CodeExchange{
		Client: g.client, Code: g.params.Get("code"), Verifier: g.params.Get("code_verifier"),
		RedirectURI: g.params.Get("redirect_uri"), Resources: g.params.All("resource"), JKT: g.jkt,
	})
}

// refresh serves grant_type=refresh_token (OAuth 2.1 §4.3).
func (s *Server) refresh(r *http.Request, g grantRequest) (provider.Response, error) {
	if !g.params.Has("refresh_token") {
		return provider.Response{}, oauth.Refuse(oauth.InvalidRequest, "refresh_token is missing")
	}
	scopes, err := oauth.Scopes(g.params.Get("scope"))
	if err != nil {
		return provider.Response{}, oauth.Refuse(oauth.InvalidScope, err.Error())
	}
	in := provider.RefreshExchange{
		Client: g.client, Token: g.params.Get("refresh_token"), Scopes: scopes,
		Resources: g.params.All("resource"), JKT: g.jkt,
	}
	if raw := g.params.Get("authorization_details"); raw != "" {
		in.Details = []byte(raw)
	}
	return s.provider.Refresh(r.Context(), in)
}
