package server

import (
	"context"
	"errors"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// lend cuts a request that no user is asked about to what may be lent: the tools that its scopes and
// the subject's roles both reach, that an admin approved and that have not changed since.
func (s *Server) lend(ctx context.Context, client store.Client, ask consent.Ask, subject string, refuse ...func(consent.Tool) bool) (consent.Lent, []string, error) {
	resource, err := s.store.ResourceByURI(ctx, ask.Resource)
	if errors.Is(err, store.ErrResourceNotFound) || err == nil && resource.Disabled {
		return consent.Lent{}, nil, oauth.Refuse(oauth.InvalidTarget, "the resource is not known here, or not open to this client")
	}
	if err != nil {
		return consent.Lent{}, nil, err
	}
	pol, err := policyOf(resource)
	if err != nil {
		return consent.Lent{}, nil, err
	}
	for _, scope := range ask.Scopes {
		if !pol.ScopeKnown(scope) {
			return consent.Lent{}, nil, oauth.Refuse(oauth.InvalidScope, "a scope is not known at this resource")
		}
	}
	if err := checkTools(ask.Details, resource); err != nil {
		return consent.Lent{}, nil, err
	}
	roles, err := s.store.RolesOf(ctx, subject, resource.URI)
	if err != nil {
		return consent.Lent{}, nil, err
	}
	rights := newRights(pol, ask, client, roles)
	if rights.off, err = s.toolsOff(ctx, resource.URI); err != nil {
		return consent.Lent{}, nil, err
	}
	lent := consent.NewOffer(ask, resource, rights, 0).Lend(refuse...)
	if len(lent.Details.Tools) == 0 && len(rights.off) > 0 {
		return lent, nil, store.ErrSwitched
	}
	if len(lent.Details.Tools) == 0 {
		return lent, nil, oauth.Refuse(oauth.InvalidScope, "the scopes and roles reach no tool at this resource; an admin assigns roles")
	}
	return lent, roles, nil
}

// readDetails reads the authorization_details of a token request; there need be none.
func readDetails(p oauth.Params) (tokens.Details, error) {
	raw := p.Get("authorization_details")
	if raw == "" {
		return tokens.Details{}, nil
	}
	d, err := tokens.ParseDetails([]byte(raw))
	if err != nil {
		return d, &oauth.Error{Code: oauth.InvalidAuthorizationDetails, Description: "authorization_details: " + oauth.Printable(err.Error()), Cause: err}
	}
	return d, nil
}
