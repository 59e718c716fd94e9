package server

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// maxClientName and maxRedirects bound what a client says of itself.
const (
	maxClientName = 100 // runes
	maxRedirects  = 20
)

// members are the members of a JSON object by their exact names; null counts as absent.
type members map[string]json.RawMessage

// readMembers reads an object without duplicates.
func readMembers(raw []byte) (members, error) {
	if err := tokens.CheckJSON(raw); err != nil {
		return nil, err
	}
	var m members
	if err := json.Unmarshal(raw, &m); err != nil || m == nil {
		return nil, errors.New("it is not a JSON object")
	}
	for name, value := range m {
		if string(value) == "null" {
			delete(m, name)
		}
	}
	return m, nil
}

func (m members) has(name string) bool {
	_, ok := m[name]
	return ok
}

// read decodes a member if it is there.
func (m members) read(name string, into any) error {
	value, ok := m[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(value, into); err != nil {
		return invalidMetadata(name + " has the wrong type")
	}
	return nil
}

// metadata reads the members that this server keeps; others are ignored (RFC 7591 §2).
func (m members) metadata() (store.ClientMetadata, error) {
	var c store.ClientMetadata
	var errs []error
	for _, member := range []struct {
		name string
		into any
	}{
		{"client_name", &c.ClientName},
		{"client_uri", &c.ClientURI},
		{"redirect_uris", &c.RedirectURIs},
		{"post_logout_redirect_uris", &c.PostLogoutRedirectURIs},
		{"grant_types", &c.GrantTypes},
		{"response_types", &c.ResponseTypes},
		{"scope", &c.Scope},
		{"token_endpoint_auth_method", &c.TokenEndpointAuthMethod},
		{"jwks", &c.JWKS},
		{"jwks_uri", &c.JWKSURI},
		{"application_type", &c.ApplicationType},
		{"dpop_bound_access_tokens", &c.DPoPBoundAccessTokens},
	} {
		errs = append(errs, m.read(member.name, member.into))
	}
	for _, err := range errs {
		if err != nil {
			return c, err
		}
	}
	if len(c.PostLogoutRedirectURIs) > maxRedirects || slices.ContainsFunc(c.PostLogoutRedirectURIs, func(uri string) bool { return CheckRedirectURI(uri) != nil }) {
		return c, invalidMetadata("post_logout_redirect_uris are held to what redirect_uris are")
	}
	return c, nil
}

// invalidMetadata is RFC 7591 §3.2.2's refusal of all but redirect URIs.
func invalidMetadata(description string) error {
	return oauth.Refuse(oauth.InvalidClientMetadata, oauth.Printable(description))
}

// checkStrangerName refuses names that are drawn otherwise than they are spelled.
func checkStrangerName(name string) error {
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxClientName || name != strings.TrimSpace(name) ||
		strings.ContainsFunc(name, func(r rune) bool {
			return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp) || r != ' ' && unicode.IsSpace(r)
		}) {
		return invalidMetadata("client_name has at most 100 characters, all of them visible, and no space around them")
	}
	return nil
}

// checkStrangerKeys refuses key sets that could not authenticate the client (RFC 7591 §2).
func (s *Server) checkStrangerKeys(c store.ClientMetadata) error {
	switch {
	case len(c.JWKS) > 0 && c.JWKSURI != "":
		return invalidMetadata("give jwks or jwks_uri, not both")
	case c.JWKSURI != "":
		if _, err := s.strangers.known.Check(c.JWKSURI); err != nil {
			return invalidMetadata("jwks_uri is an https URL of a DNS name")
		}
	case len(c.JWKS) > 0:
		if _, err := tokens.ParseKeySet(c.JWKS); err != nil {
			return invalidMetadata("jwks: " + err.Error())
		}
	case c.TokenEndpointAuthMethod == oauth.AuthPrivateKeyJWT:
		return invalidMetadata("private_key_jwt needs jwks or jwks_uri")
	}
	return nil
}

// checkApplicationType fills in what the redirect URIs say: a program on the user's own device, or a
// web server (OpenID Connect Registration §2).
func checkApplicationType(c *store.ClientMetadata) error {
	switch c.ApplicationType {
	case "web", "native":
	case "":
		c.ApplicationType = "native"
		if slices.ContainsFunc(c.RedirectURIs, func(raw string) bool { return strings.HasPrefix(raw, "https:") }) {
			c.ApplicationType = "web"
		}
	default:
		return invalidMetadata("application_type is web or native")
	}
	return nil
}

// metadataDigest names what was known of a client.
func metadataDigest(c store.Client) string {
	raw, err := json.Marshal(c.Metadata)
	if err != nil {
		return "" // it came out of the store: it encodes
	}
	return tokens.HashBytes(raw)
}

// isWebAddress reports whether raw is an https URL that a person may be shown.
func isWebAddress(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && isASCII(raw) && len(raw) <= 2000
}
