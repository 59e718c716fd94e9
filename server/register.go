package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// Registration says who may register clients at POST /register. The zero value: nobody, which is
// right where clients publish their metadata (CIMD) or an admin adds them.
type Registration struct {
	// Open lets anybody register, within rate limits. Clients that nobody then uses are forgotten.
	Open bool
	// Token is an initial access token (RFC 7591 §3): whoever holds it may register. Empty: none.
	Token string
}

// minRegistrationToken is how short an initial access token may be.
const minRegistrationToken = 16

func (r Registration) check() error {
	if r.Token != "" && len(r.Token) < minRegistrationToken {
		return fmt.Errorf("server: the initial access token has at least %d characters", minRegistrationToken)
	}
	return nil
}

// unusedAfter is how long a client that no admin added is remembered without use.
const unusedAfter = 24 * time.Hour

// registrationAnswer is the answer to a registration (RFC 7591 §3.2.1).
type registrationAnswer struct {
	ID       string `json:"client_id"`
	IssuedAt int64  `json:"client_id_issued_at"`
	Secret   string `json:"client_secret,omitempty"`
	Expires  *int64 `json:"client_secret_expires_at,omitempty"`
	store.ClientMetadata
}

// register serves POST /register (RFC 7591 §3). It hands out no registration access token: what is
// registered is never changed, and a client_id that a request brings along is ignored.
func (s *Server) register(w http.ResponseWriter, r *http.Request) error {
	invited, err := s.mayRegister(w, r)
	if err != nil {
		return err
	}
	body, refused := oauth.ReadBody(r, "application/json")
	if refused != nil {
		return refused
	}
	metadata, err := s.readRegistration(r.Context(), body)
	if err != nil {
		return err
	}
	if !invited {
		if err := s.limitRegistration(r); err != nil {
			return err
		}
	}
	client := store.Client{ID: tokens.NewID("cli_"), Metadata: metadata, Origin: store.ByRegistration, CreatedAt: s.now().UTC()}
	answer := registrationAnswer{}
	if m := metadata.TokenEndpointAuthMethod; m == oauth.AuthClientSecretBasic || m == oauth.AuthClientSecretPost {
		answer.Secret, answer.Expires = tokens.NewSecret("rs_"), new(int64) // 0: never (RFC 7591 §3.2.1)
		client.SecretHash = store.HashOf(answer.Secret)
	}
	if metadata.TokenEndpointAuthMethod == oauth.AuthNone {
		// RFC 7591 §3.2.1 lets instances share a client_id. A public client has no credential that one
		// could take from another, so the same words are the same client.
		client.Digest = store.HashOf("remit/registration\n" + string(body))
	}
	if client, err = s.store.RegisterClient(r.Context(), client, registrationRecord(client, invited)); err != nil {
		return err
	}
	if client.Disabled {
		return invalidMetadata("this very client was registered before, and an admin has disabled it")
	}
	answer.ID, answer.IssuedAt, answer.ClientMetadata = client.ID, client.CreatedAt.Unix(), client.Metadata
	return writeJSON(w, http.StatusCreated, answer)
}

func registrationRecord(c store.Client, invited bool) store.Record {
	rec := store.NewRecord("client.registered", map[string]any{
		"client_name": c.Metadata.ClientName, "auth": c.Metadata.TokenEndpointAuthMethod,
		"redirect_uris": c.Metadata.RedirectURIs, "with_token": invited,
	})
	rec.Client = c.ID
	return rec
}

// mayRegister tells whether the caller holds the initial access token, and refuses who needs it.
func (s *Server) mayRegister(w http.ResponseWriter, r *http.Request) (invited bool, err error) {
	if s.registration.Token != "" {
		token, bears := bearerToken(r)
		got, want := store.HashOf(token), store.HashOf(s.registration.Token)
		if bears && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			return true, nil
		}
		if !s.registration.Open || r.Header.Get("Authorization") != "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="remit"`) // RFC 6750 §3
			return false, oauth.Refuse(oauth.InvalidToken, "registration needs the initial access token")
		}
	}
	if !s.registration.Open {
		return false, &oauth.Error{
			Code: oauth.AccessDenied, HTTPStatus: http.StatusForbidden,
			Description: "registration is closed; use a client metadata document (CIMD), or ask the admin to add the client",
		}
	}
	return false, nil
}

// limitRegistration bounds what strangers may store: by address, and in all.
func (s *Server) limitRegistration(r *http.Request) error {
	return s.limit(r.Context(),
		limit{"register:address:" + s.clientAddress(r), 10.0 / 3600, 10},
		limit{"register", 1.0 / 6, 60})
}

// readRegistration reads and judges what a client registers.
func (s *Server) readRegistration(ctx context.Context, body []byte) (store.ClientMetadata, error) {
	m, err := readMembers(body)
	if err != nil {
		return store.ClientMetadata{}, invalidMetadata("the body is not a JSON object: " + err.Error())
	}
	if m.has("software_statement") {
		return store.ClientMetadata{}, oauth.Refuse(oauth.InvalidSoftwareStatement, "software statements are not accepted here")
	}
	c, err := m.metadata()
	if err != nil {
		return c, err
	}
	for _, check := range []func() error{
		func() error { return checkRegisteredRedirects(c.RedirectURIs) },
		func() error { return checkStrangerName(c.ClientName) },
		func() error { return checkWebAddresses(m) },
		func() error { return checkRegisteredGrants(&c) },
		func() error { return checkApplicationType(&c) },
		func() error { return checkRegisteredMethod(&c) },
		func() error { return s.checkStrangerKeys(c) },
		func() error { return s.checkRegisteredScope(ctx, c.Scope) },
	} {
		if err := check(); err != nil {
			return c, err
		}
	}
	return c, nil
}

// checkRegisteredRedirects takes https, and http on loopback: a stranger's private-use scheme proves
// nothing at all (MCP: "all redirect URIs MUST be either localhost or https").
func checkRegisteredRedirects(uris []string) error {
	if len(uris) == 0 || len(uris) > maxRedirects {
		return oauth.Refuse(oauth.InvalidRedirectURI, "redirect_uris names 1 to 20 redirect URIs")
	}
	for _, uri := range uris {
		err := CheckRedirectURI(uri)
		if err == nil && !strings.HasPrefix(uri, "https://") && !strings.HasPrefix(uri, "http://") {
			err = errors.New("a redirect URI is https, or http on loopback")
		}
		if err != nil {
			return oauth.Refuse(oauth.InvalidRedirectURI, oauth.Printable(strconv.Quote(uri)+": "+err.Error()))
		}
	}
	return nil
}

// checkWebAddresses refuses addresses that no page should ever link to or load. None is kept but
// client_uri, and none is fetched.
func checkWebAddresses(m members) error {
	for _, name := range []string{"client_uri", "logo_uri", "tos_uri", "policy_uri"} {
		var raw string
		if err := m.read(name, &raw); err != nil {
			return err
		}
		if raw != "" && !isWebAddress(raw) {
			return invalidMetadata(name + " is an https URL")
		}
	}
	return nil
}

// checkRegisteredGrants refuses grants and response types that OAuth 2.1 has done away with, and
// leaves out others that are not served: the answer says what was registered (RFC 7591 §3.2.1).
func checkRegisteredGrants(c *store.ClientMetadata) error {
	for _, grant := range c.GrantTypes {
		switch grant {
		case "implicit", "password", "client_credentials":
			return invalidMetadata("grant_types: " + grant + " is not granted to clients that register themselves")
		}
	}
	if slices.ContainsFunc(c.ResponseTypes, func(t string) bool { return t != "code" }) {
		return invalidMetadata("the only response_type is code")
	}
	return keepServedGrants(c)
}

// keepServedGrants keeps of the client's grants and response types those that are served.
func keepServedGrants(c *store.ClientMetadata) error {
	if len(c.GrantTypes) == 0 {
		c.GrantTypes = []string{oauth.GrantAuthorizationCode} // RFC 7591 §2
	}
	c.GrantTypes = slices.DeleteFunc(c.GrantTypes, func(t string) bool {
		return t != oauth.GrantAuthorizationCode && t != oauth.GrantRefreshToken
	})
	if !slices.Contains(c.GrantTypes, oauth.GrantAuthorizationCode) {
		return invalidMetadata("grant_types must have authorization_code")
	}
	if len(c.ResponseTypes) > 0 && !slices.Contains(c.ResponseTypes, "code") {
		return invalidMetadata("response_types must have code")
	}
	c.ResponseTypes = []string{"code"}
	return nil
}

func checkRegisteredMethod(c *store.ClientMetadata) error {
	switch c.TokenEndpointAuthMethod {
	case oauth.AuthNone, oauth.AuthClientSecretBasic, oauth.AuthClientSecretPost, oauth.AuthPrivateKeyJWT:
	case "":
		c.TokenEndpointAuthMethod = oauth.AuthClientSecretBasic // RFC 7591 §2
	default:
		return invalidMetadata("token_endpoint_auth_method is none, client_secret_basic, client_secret_post or private_key_jwt")
	}
	return nil
}

// checkRegisteredScope refuses scopes that no resource here has.
func (s *Server) checkRegisteredScope(ctx context.Context, raw string) error {
	scopes, err := oauth.Scopes(raw)
	if err != nil {
		return invalidMetadata("scope: " + err.Error())
	}
	if len(scopes) == 0 {
		return nil
	}
	resources, err := s.store.Resources(ctx)
	if err != nil {
		return err
	}
	known := func(scope string) bool {
		return slices.ContainsFunc(resources, func(r store.Resource) bool {
			pol, err := policyOf(r)
			return err == nil && !r.Disabled && pol.ScopeKnown(scope)
		})
	}
	for _, scope := range scopes {
		if scope != "offline_access" && !known(scope) {
			return invalidMetadata("scope: no resource here has " + scope)
		}
	}
	return nil
}

// forgetClients forgets strangers that nobody has used for a day.
func (s *Server) forgetClients(ctx context.Context) error {
	for {
		n, err := s.store.ForgetClients(ctx, s.now().Add(-unusedAfter))
		if err != nil || n == 0 {
			return err
		}
	}
}
