package server

import (
	"context"
	"errors"
	"slices"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/provider"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

// maxState bounds state, which is echoed exactly or refused, never cut.
const maxState = 4 << 10

// readAsk validates the parameters of an authorization request, from PAR and front channel alike
// (OAuth 2.1 §4.1.1). The redirect URI must have been vetted before: refusals may travel to it.
func (s *Server) readAsk(ctx context.Context, client store.Client, p oauth.Params) (consent.Ask, []store.Resource, error) {
	ask := consent.Ask{ClientID: client.ID, State: p.Get("state"), Challenge: p.Get("code_challenge"), JKT: p.Get("dpop_jkt")}
	if err := checkShape(client, p); err != nil {
		return ask, nil, err
	}
	if err := s.readPrompt(p, &ask); err != nil {
		return ask, nil, err
	}
	ask, err := readWanted(p, ask)
	if err != nil {
		return ask, nil, err
	}
	uris, err := targets(p.All("resource"), ask.Details)
	if err != nil {
		return ask, nil, err
	}
	if uris = s.withIdentity(uris, &ask); len(uris) > 1 {
		return s.readParts(ctx, client, ask, uris)
	}
	ask, resource, err := s.aim(ctx, client, ask, uris)
	return ask, []store.Resource{resource}, err
}

// readTargets validates what a device asks for: of one resource, and of who the user is besides.
func (s *Server) readTargets(ctx context.Context, client store.Client, p oauth.Params, ask consent.Ask) (consent.Ask, []store.Resource, error) {
	if ask.Nonce = p.Get("nonce"); len(ask.Nonce) > maxNonce {
		return ask, nil, oauth.Refuse(oauth.InvalidRequest, "nonce is too long")
	}
	ask, err := readWanted(p, ask)
	if err != nil {
		return ask, nil, err
	}
	uris, err := targets(p.All("resource"), ask.Details)
	if err != nil {
		return ask, nil, err
	}
	if besides := slices.DeleteFunc(slices.Clone(uris), s.isIdentity); len(besides) <= 1 {
		if uris = s.withIdentity(uris, &ask); len(uris) > 1 {
			return s.readParts(ctx, client, ask, uris)
		}
	}
	ask, resource, err := s.aim(ctx, client, ask, uris)
	return ask, []store.Resource{resource}, err
}

// readWanted reads scope and authorization_details.
func readWanted(p oauth.Params, ask consent.Ask) (consent.Ask, error) {
	scopes, err := oauth.Scopes(p.Get("scope"))
	if err != nil {
		return ask, oauth.Refuse(oauth.InvalidScope, err.Error())
	}
	ask.Scopes = scopes
	if raw := p.Get("authorization_details"); raw != "" {
		if ask.Details, err = tokens.ParseDetails([]byte(raw)); err != nil {
			return ask, &oauth.Error{Code: oauth.InvalidAuthorizationDetails, Description: "authorization_details: " + oauth.Printable(err.Error()), Cause: err}
		}
	}
	return ask, nil
}

// aim validates what is asked for, of the one resource that is named.
func (s *Server) aim(ctx context.Context, client store.Client, ask consent.Ask, uris []string) (consent.Ask, store.Resource, error) {
	var none store.Resource
	resource, err := s.oneResource(ctx, client, uris)
	if err != nil {
		return ask, none, err
	}
	ask.Resource = resource.URI
	scopes := ask.Scopes
	pol, err := policyOf(resource)
	if err != nil {
		return ask, none, err
	}
	if err := checkScopes(client, pol, scopes); err != nil {
		return ask, none, err
	}
	return ask, resource, checkTools(ask.Details, resource)
}

// checkShape refuses what is wrong in the request's form alone.
func checkShape(client store.Client, p oauth.Params) error {
	switch {
	case p.Has("request"):
		return oauth.Refuse(oauth.RequestNotSupported, "request objects are not supported; push the request to the PAR endpoint")
	case p.Get("response_type") == "":
		return oauth.Refuse(oauth.InvalidRequest, "response_type is missing; use code")
	case p.Get("response_type") != "code":
		return oauth.Refuse(oauth.UnsupportedResponseType, "the only response_type is code")
	case p.Has("response_mode") && p.Get("response_mode") != "query":
		return oauth.Refuse(oauth.InvalidRequest, "the only response_mode is query")
	case !provider.MayUse(client, oauth.GrantAuthorizationCode):
		return oauth.Refuse(oauth.UnauthorizedClient, "the client is not registered for the authorization code grant, or its policy does not allow it")
	case !tokens.ValidChallenge(p.Get("code_challenge")):
		return oauth.Refuse(oauth.InvalidRequest, "code_challenge is missing or not a base64url SHA-256 (RFC 7636)")
	case p.Get("code_challenge_method") != "S256":
		return oauth.Refuse(oauth.InvalidRequest, "the only code_challenge_method is S256")
	case len(p.Get("state")) > maxState:
		return oauth.Refuse(oauth.InvalidRequest, "state is longer than 4 KiB")
	case p.Has("dpop_jkt") && !tokens.ValidChallenge(p.Get("dpop_jkt")): // the same form: base64url of a SHA-256
		return oauth.Refuse(oauth.InvalidRequest, "dpop_jkt is not a SHA-256 JWK thumbprint (RFC 9449 §10)")
	}
	return nil
}

// readResource finds the one resource that a request is about where there can be no other.
func (s *Server) readResource(ctx context.Context, client store.Client, named []string, details tokens.Details) (store.Resource, error) {
	uris, err := targets(named, details)
	if err == nil && slices.ContainsFunc(uris, s.isIdentity) {
		err = oauth.Refuse(oauth.InvalidTarget, "who a user is, only the user can say")
	}
	if err != nil {
		return store.Resource{}, err
	}
	return s.oneResource(ctx, client, uris)
}

// targets are the resources that a request is about, named by resource, by the details' locations, or
// by both alike (RFC 8707 §2, RFC 9396 §3), each once.
func targets(named []string, details tokens.Details) (all []string, err error) {
	all = slices.Clone(named)
	for _, t := range details.Tools {
		all = append(all, t.Locations...)
	}
	for _, uri := range all {
		if err := tokens.CheckResourceURI(uri); err != nil {
			return nil, oauth.Refuse(oauth.InvalidTarget, err.Error())
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// oneResource finds the resource that is named, alone.
func (s *Server) oneResource(ctx context.Context, client store.Client, uris []string) (store.Resource, error) {
	switch {
	case len(uris) == 0:
		return store.Resource{}, oauth.Refuse(oauth.InvalidTarget, "name the resource (RFC 8707) that the token is for")
	case len(uris) > 1:
		return store.Resource{}, oauth.Refuse(oauth.InvalidTarget, "ask for one resource per request")
	}
	return s.findResource(ctx, client, uris[0])
}

// findResource finds a resource that is open to the client.
func (s *Server) findResource(ctx context.Context, client store.Client, uri string) (store.Resource, error) {
	resource, err := s.resourceOrIdentity(ctx, uri)
	if errors.Is(err, store.ErrResourceNotFound) || err == nil && (resource.Disabled || !mayAsk(client, resource)) {
		return store.Resource{}, oauth.Refuse(oauth.InvalidTarget, "the resource is not known here, or not open to this client")
	}
	return resource, err
}

func mayAsk(c store.Client, r store.Resource) bool {
	return len(c.Policy.Resources) == 0 || slices.Contains(c.Policy.Resources, r.URI)
}

// checkScopes refuses scopes that the policy does not know, or that the client may not ask for.
func checkScopes(client store.Client, pol *policy.Policy, scopes []string) error {
	for _, scope := range scopes {
		if scope == "offline_access" {
			continue // every task may be refreshed until it ends
		}
		if !pol.ScopeKnown(scope) || !mayHave(client, scope) {
			return oauth.Refuse(oauth.InvalidScope, "a scope is not known at this resource, or not open to this client")
		}
	}
	return nil
}

// checkTools refuses details that no consent could grant: tools that the manifest does not know,
// and definitions that are not the approved ones.
func checkTools(details tokens.Details, resource store.Resource) error {
	for n, t := range details.Tools {
		if slices.ContainsFunc(details.Tools[:n], func(u tokens.ToolDetail) bool { return u.Tool == t.Tool }) {
			return oauth.Refuse(oauth.InvalidAuthorizationDetails, "a tool is listed twice: "+oauth.Printable(t.Tool)) // once with its location, once without
		}
		i := slices.IndexFunc(resource.Tools, func(listed store.Tool) bool { return listed.Name == t.Tool })
		if i < 0 {
			return oauth.Refuse(oauth.InvalidAuthorizationDetails, "the resource has no such tool: "+oauth.Printable(t.Tool))
		}
		if t.Definition != "" && t.Definition != resource.Tools[i].Hash {
			return oauth.Refuse(oauth.InvalidAuthorizationDetails, "definition is not the approved one of "+oauth.Printable(t.Tool)+"; leave it out")
		}
	}
	return nil
}
