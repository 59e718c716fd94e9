package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/pkce"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// engine returns fosite over this recorder: code, PKCE and refresh, nothing else.
func (p *Provider) engine(rec *recorder) *fosite.Fosite {
	config := &fosite.Config{
		EnforcePKCE:                   true,                      // T18
		ScopeStrategy:                 fosite.ExactScopeStrategy, // T6
		AudienceMatchingStrategy:      fosite.ExactAudienceMatchingStrategy,
		OmitRedirectScopeParam:        true, // T11
		RefreshTokenScopes:            []string{},
		AuthorizeCodeLifespan:         CodeLife, // T32
		AccessTokenLifespan:           p.accessLife,
		RefreshTokenLifespan:          -1, // the task's deadline decides
		AccessTokenIssuer:             p.issuer,
		DisableRefreshTokenValidation: true,
		// The edge has authenticated the client and vetted the redirect URI (T9, T10, T33).
		RedirectSecureChecker: func(_ context.Context, u *url.URL) bool { return u.String() == rec.redirectURI },
		ClientAuthenticationStrategy: func(context.Context, *http.Request, url.Values) (fosite.Client, error) {
			return rec.client, nil
		},
	}
	code := &oauth2.AuthorizeExplicitGrantHandler{
		AccessTokenStrategy: rec, RefreshTokenStrategy: rec, AuthorizeCodeStrategy: rec,
		CoreStorage: rec, TokenRevocationStorage: rec, Config: config,
	}
	proof := &pkce.Handler{AuthorizeCodeStrategy: rec, Storage: rec, Config: config}
	refresh := &oauth2.RefreshTokenGrantHandler{
		AccessTokenStrategy: rec, RefreshTokenStrategy: rec, TokenRevocationStorage: rec, Config: config,
	}
	config.AuthorizeEndpointHandlers = fosite.AuthorizeEndpointHandlers{code, proof}
	config.TokenEndpointHandlers = fosite.TokenEndpointHandlers{code, proof, refresh}
	return fosite.NewOAuth2Provider(rec, config)
}

// runToken drives fosite's token endpoint with a clean request (T1–T3) and returns its refusal in
// our words.
func (p *Provider) runToken(ctx context.Context, rec *recorder, form url.Values) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	f := p.engine(rec)
	access, err := f.NewAccessRequest(ctx, r, rec.session)
	if err != nil {
		return engineError(err)
	}
	if _, err := f.NewAccessResponse(ctx, access); err != nil {
		return engineError(err)
	}
	if rec.access == "" {
		return errors.New("provider: fosite issued no access token")
	}
	return nil
}

// engineError keeps fosite's RFC codes and nothing else of it (T29): no hint, no debug text.
func engineError(err error) error {
	switch e := fosite.ErrorToRFC6749Error(err); oauth.Code(e.ErrorField) {
	case oauth.InvalidGrant, oauth.InvalidScope, oauth.UnauthorizedClient, oauth.InvalidRequest:
		return &oauth.Error{Code: oauth.Code(e.ErrorField), Description: "the grant could not be used", Cause: err}
	}
	return err
}

// client shows fosite what it needs of one of ours, narrowed to this one request.
type client struct {
	store.Client
	redirect string
	scopes   []string
	resource string
}

func (c *client) GetID() string                      { return c.ID }
func (c *client) GetHashedSecret() []byte            { return nil }
func (c *client) GetRedirectURIs() []string          { return []string{c.redirect} }
func (c *client) GetResponseTypes() fosite.Arguments { return fosite.Arguments{"code"} }
func (c *client) GetScopes() fosite.Arguments        { return c.scopes }
func (c *client) GetAudience() fosite.Arguments      { return fosite.Arguments{c.resource} }
func (c *client) IsPublic() bool                     { return c.SecretHash.IsZero() }
func (c *client) GetGrantTypes() fosite.Arguments    { return GrantTypes(c.Client) }

// GrantTypes are the grants that the client registered for; RFC 7591 §2 names the default.
func GrantTypes(c store.Client) []string {
	if len(c.Metadata.GrantTypes) == 0 {
		return []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}
	}
	return c.Metadata.GrantTypes
}

// MayUse reports whether the client may use the grant type: it registered for it, and the admin's
// policy names it. Without such a policy, clients that an admin added may use what they registered for,
// and others only what asks a user each time.
func MayUse(c store.Client, grantType string) bool {
	switch {
	case !slices.Contains(GrantTypes(c), grantType):
		return false
	case len(c.Policy.Grants) > 0:
		return slices.Contains(c.Policy.Grants, grantType)
	case c.Origin == store.ByAdmins:
		return true
	}
	return grantType == oauth.GrantAuthorizationCode || grantType == oauth.GrantRefreshToken
}

// session carries the claims of the token to be minted through fosite.
type session struct {
	claims  tokens.Claims
	expires map[fosite.TokenType]time.Time
}

func (s *session) SetExpiresAt(k fosite.TokenType, t time.Time) {
	if s.expires == nil {
		s.expires = map[fosite.TokenType]time.Time{}
	}
	s.expires[k] = t
}
func (s *session) GetExpiresAt(k fosite.TokenType) time.Time { return s.expires[k] }
func (s *session) GetUsername() string                       { return "" }
func (s *session) GetSubject() string                        { return s.claims.Subject }

// Clone returns the session itself: a recorder serves one request, and its claims are not changed.
func (s *session) Clone() fosite.Session { return s }
