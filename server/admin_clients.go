package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// clientRegistration is RFC 7591 §2 metadata with a "remit" member for the admin's policy. Members
// that only describe are taken and not kept; anything else unknown is refused by its name.
type clientRegistration struct {
	store.ClientMetadata
	Remit store.ClientPolicy `json:"remit,omitzero"`

	JWKSURI         json.RawMessage `json:"jwks_uri,omitempty"`
	LogoURI         json.RawMessage `json:"logo_uri,omitempty"`
	PolicyURI       json.RawMessage `json:"policy_uri,omitempty"`
	TermsURI        json.RawMessage `json:"tos_uri,omitempty"`
	Contacts        json.RawMessage `json:"contacts,omitempty"`
	SoftwareID      json.RawMessage `json:"software_id,omitempty"`
	SoftwareVersion json.RawMessage `json:"software_version,omitempty"`
}

// clientView is a client as administrators see one.
type clientView struct {
	ID string `json:"client_id"`
	store.ClientMetadata
	Remit     store.ClientPolicy `json:"remit"`
	Disabled  bool               `json:"disabled"`
	Origin    store.ClientOrigin `json:"origin,omitempty"` // cimd or dcr: no admin added it
	CreatedAt time.Time          `json:"created_at"`
	Secret    string             `json:"client_secret,omitempty"` // once, in the answer to its making
}

func viewClient(c store.Client) clientView {
	return clientView{ID: c.ID, ClientMetadata: c.Metadata, Remit: c.Policy, Disabled: c.Disabled, Origin: c.Origin, CreatedAt: c.CreatedAt}
}

// listClients serves GET /admin/api/clients.
func (s *Server) listClients(w http.ResponseWriter, r *http.Request) error {
	clients, err := s.store.Clients(r.Context())
	if err != nil {
		return err
	}
	views := []clientView{}
	for _, c := range clients {
		views = append(views, viewClient(c))
	}
	return writeJSON(w, http.StatusOK, map[string]any{"clients": views})
}

// addClient serves POST /admin/api/clients.
func (s *Server) addClient(w http.ResponseWriter, r *http.Request) error {
	var in clientRegistration
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	if len(in.JWKSURI) > 0 {
		return bad("jwks_uri is not fetched by this version; give the keys themselves as jwks")
	}
	c := store.Client{ID: tokens.NewID("cli_"), Metadata: in.ClientMetadata, Policy: in.Remit, CreatedAt: s.now().UTC()}
	defaultMetadata(&c.Metadata)
	if err := checkMetadata(c.Metadata, s.grantNames()); err != nil {
		return err
	}
	if err := checkClientPolicy(c.Policy); err != nil {
		return err
	}
	secret := ""
	if m := c.Metadata.TokenEndpointAuthMethod; m == oauth.AuthClientSecretBasic || m == oauth.AuthClientSecretPost {
		secret = tokens.NewSecret("rs_")
		c.SecretHash = store.HashOf(secret)
	}
	rec := store.NewRecord("client.added", map[string]any{
		"by": store.ByAdmin, "client_name": c.Metadata.ClientName, "auth": c.Metadata.TokenEndpointAuthMethod,
		"redirect_uris": c.Metadata.RedirectURIs, "remit": c.Policy,
	})
	rec.Client = c.ID
	if err := s.store.AddClient(r.Context(), c, rec); err != nil {
		return err
	}
	view := viewClient(c)
	view.Secret = secret
	return writeJSON(w, http.StatusCreated, view)
}

// defaultMetadata fills in what RFC 7591 §2 says of omitted members.
func defaultMetadata(m *store.ClientMetadata) {
	if m.TokenEndpointAuthMethod == "" {
		m.TokenEndpointAuthMethod = oauth.AuthClientSecretBasic
	}
	if len(m.GrantTypes) == 0 {
		m.GrantTypes = []string{oauth.GrantAuthorizationCode}
	}
	if len(m.ResponseTypes) == 0 && slices.Contains(m.GrantTypes, oauth.GrantAuthorizationCode) {
		m.ResponseTypes = []string{"code"}
	}
	if m.ApplicationType == "" {
		m.ApplicationType = "web"
	}
}

// checkMetadata refuses what this server does not do.
func checkMetadata(m store.ClientMetadata, grants []string) error {
	if strings.TrimSpace(m.ClientName) == "" || utf8.RuneCountInString(m.ClientName) > 100 || strings.ContainsFunc(m.ClientName, isControl) {
		return bad("client_name has 1 to 100 characters, none of them a control character")
	}
	if slices.Contains(m.GrantTypes, oauth.GrantAuthorizationCode) && len(m.RedirectURIs) == 0 || len(m.RedirectURIs) > 20 {
		return bad("redirect_uris names 1 to 20 redirect URIs")
	}
	for _, uri := range m.RedirectURIs {
		if err := CheckRedirectURI(uri); err != nil {
			return bad(fmt.Sprintf("redirect_uris: %q: %s", uri, err))
		}
	}
	if m.ClientURI != "" {
		if u, err := url.Parse(m.ClientURI); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return bad("client_uri is a web address")
		}
	}
	for _, set := range []struct {
		name    string
		got     []string
		allowed []string
	}{
		{"grant_types", m.GrantTypes, grants},
		{"response_types", m.ResponseTypes, []string{"code"}},
		{"application_type", []string{m.ApplicationType}, []string{"web", "native"}},
		{"token_endpoint_auth_method", []string{m.TokenEndpointAuthMethod}, []string{oauth.AuthNone, oauth.AuthClientSecretBasic, oauth.AuthClientSecretPost, oauth.AuthPrivateKeyJWT}},
	} {
		for _, v := range set.got {
			if !slices.Contains(set.allowed, v) {
				return bad(fmt.Sprintf("%s: %q is not one of %s", set.name, v, strings.Join(set.allowed, ", ")))
			}
		}
	}
	if !slices.ContainsFunc(m.GrantTypes, func(g string) bool { return g != oauth.GrantRefreshToken }) {
		return bad("grant_types must have more than refresh_token")
	}
	if slices.Contains(m.GrantTypes, oauth.GrantClientCredentials) && m.TokenEndpointAuthMethod == oauth.AuthNone {
		return bad("client_credentials is for clients that authenticate: token_endpoint_auth_method cannot be none")
	}
	return checkClientKeys(m)
}

func checkClientKeys(m store.ClientMetadata) error {
	if m.TokenEndpointAuthMethod != oauth.AuthPrivateKeyJWT && len(m.JWKS) == 0 {
		return nil
	}
	if len(m.JWKS) == 0 {
		return bad("private_key_jwt needs the client's public keys as jwks")
	}
	if _, err := tokens.ParseKeySet(m.JWKS); err != nil {
		return bad("jwks: " + err.Error())
	}
	return nil
}

func checkClientPolicy(p store.ClientPolicy) error {
	switch {
	case p.MaxDuration < 0 || p.RefreshGrace != nil && (*p.RefreshGrace < 0 || *p.RefreshGrace > 60):
		return bad("remit: max_duration is seconds, and refresh_grace at most 60 of them")
	case len(p.Resources) > 1000 || len(p.Scopes) > 1000 || len(p.ExchangeFrom) > 1000:
		return bad("remit: more than 1000 resources, scopes or clients")
	case p.AccessLife < 0 || p.AccessLife > int(maxAccessLife.Seconds()):
		return bad("remit: access_life is seconds, at most 300")
	case p.RememberDays != nil && (*p.RememberDays < 0 || *p.RememberDays > 30):
		return bad("remit: remember_days is at most 30; 0 remembers nothing")
	}
	return nil
}

// disableClient serves POST /admin/api/clients/disable: the client's tasks end with it.
func (s *Server) disableClient(w http.ResponseWriter, r *http.Request) error {
	return s.setClientDisabled(w, r, true)
}

// enableClient serves POST /admin/api/clients/enable; what has ended stays ended.
func (s *Server) enableClient(w http.ResponseWriter, r *http.Request) error {
	return s.setClientDisabled(w, r, false)
}

func (s *Server) setClientDisabled(w http.ResponseWriter, r *http.Request, disabled bool) error {
	var in struct {
		ClientID string `json:"client_id"`
		Reason   string `json:"reason"`
	}
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	if err := checkReason(in.Reason); err != nil {
		return err
	}
	c, err := s.store.ClientByID(r.Context(), in.ClientID)
	if err != nil {
		return err
	}
	ended, err := s.switchClient(r.Context(), atSocket, c.ID, disabled, in.Reason)
	if err != nil {
		return err
	}
	c.Disabled = disabled
	return writeJSON(w, http.StatusOK, map[string]any{"client": viewClient(c), "ended_tasks": taskIDs(ended)})
}
