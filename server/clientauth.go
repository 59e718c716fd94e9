package server

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// errClient is what every failed client authentication is told: nothing about which part failed.
var errClient = oauth.Refuse(oauth.InvalidClient, "client authentication failed")

// credentials are what a request says of its client, by exactly one method (OAuth 2.1 §2.4).
type credentials struct {
	method    string
	clientID  string
	secret    string
	assertion string
}

// authenticateClient tells which client sent the request (OAuth 2.1 §2.4, RFC 7523 §3).
func (s *Server) authenticateClient(r *http.Request, p oauth.Params) (store.Client, error) {
	cred, err := readCredentials(r, p)
	if err != nil {
		return store.Client{}, err
	}
	client, err := s.findClient(r, cred.clientID)
	if errors.Is(err, store.ErrClientNotFound) {
		return store.Client{}, errClient
	}
	if err != nil {
		return store.Client{}, err
	}
	if client.Disabled || !sameMethod(cred.method, authMethod(client)) {
		return store.Client{}, errClient
	}
	switch cred.method {
	case oauth.AuthClientSecretBasic, oauth.AuthClientSecretPost:
		// Secrets are 256 random bits, so one hash is enough (fosite.md T34).
		got := store.HashOf(cred.secret)
		if client.SecretHash.IsZero() || subtle.ConstantTimeCompare(got[:], client.SecretHash[:]) != 1 {
			return store.Client{}, errClient
		}
	case oauth.AuthPrivateKeyJWT:
		if err := s.clientAssertion(r.Context(), client, cred.assertion); err != nil {
			return store.Client{}, err
		}
	}
	return client, s.limitClient(r.Context(), client)
}

// authMethod is the one method that the client registered; RFC 7591 §2 leaves basic as the default
// for a client that has a secret.
func authMethod(c store.Client) string {
	switch {
	case c.Metadata.TokenEndpointAuthMethod != "":
		return c.Metadata.TokenEndpointAuthMethod
	case !c.SecretHash.IsZero():
		return oauth.AuthClientSecretBasic
	}
	return oauth.AuthNone
}

// sameMethod reports whether the method in use is the registered one. A secret may come in the header
// or in the form, whatever was registered: it proves the same, and clients that were given a secret
// choose by our metadata (the MCP Go SDK: the form).
func sameMethod(used, registered string) bool {
	secret := func(m string) bool { return m == oauth.AuthClientSecretBasic || m == oauth.AuthClientSecretPost }
	return used == registered || secret(used) && secret(registered)
}

// useAssertion verifies a client's or a Guard's assertion and spends its jti, last of all (RFC 7523 §3
// item 7). An assertion carries no nonce, so that only a memory that outlives everything may say that
// it is new. It costs each request of a Guard one small write, which shares its commit with others.
func (s *Server) useAssertion(ctx context.Context, keys tokens.KeySet, raw, clientID string) error {
	a, err := s.verifyAssertion(keys, raw, clientID)
	if err != nil {
		return err
	}
	err = s.store.Spend(ctx, store.Once{ID: store.HashOf("client assertion\x00" + clientID + "\x00" + a.ID), Until: a.Expires.Add(assertionSpare)})
	if errors.Is(err, store.ErrSpent) {
		return errReplayed
	}
	return err
}

// assertionSpare is how much longer than it lives an assertion is remembered, clocks being apart.
const assertionSpare = 2 * time.Minute

var errReplayed = &oauth.Error{Code: oauth.InvalidClient, Description: errClient.Description, Cause: errors.New("assertion replayed")}

func (s *Server) verifyAssertion(keys tokens.KeySet, raw, clientID string) (tokens.Assertion, error) {
	a, err := keys.VerifyAssertion(raw, clientID, s.issuer, s.now())
	if err != nil {
		return a, &oauth.Error{Code: oauth.InvalidClient, Description: errClient.Description, Cause: err}
	}
	return a, nil
}

func replayUnknown(err error) error {
	return &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "single use cannot be checked now; try again", Cause: err}
}

// readCredentials finds the one method in use; two at once are refused.
func readCredentials(r *http.Request, p oauth.Params) (credentials, error) {
	var found []credentials
	switch values := r.Header.Values("Authorization"); {
	case len(values) > 1:
		return credentials{}, oauth.Refuse(oauth.InvalidRequest, "send one Authorization header")
	case len(values) == 1:
		id, secret, err := basicCredentials(values[0])
		if err != nil {
			return credentials{}, errClient
		}
		found = append(found, credentials{method: oauth.AuthClientSecretBasic, clientID: id, secret: secret})
	}
	if p.Has("client_secret") {
		found = append(found, credentials{method: oauth.AuthClientSecretPost, clientID: p.Get("client_id"), secret: p.Get("client_secret")})
	}
	if p.Has("client_assertion") || p.Has("client_assertion_type") {
		id, err := assertionClient(p)
		if err != nil {
			return credentials{}, err
		}
		found = append(found, credentials{method: oauth.AuthPrivateKeyJWT, clientID: id, assertion: p.Get("client_assertion")})
	}
	if len(found) > 1 {
		return credentials{}, oauth.Refuse(oauth.InvalidRequest, "authenticate by one method alone")
	}
	if len(found) == 0 {
		found = append(found, credentials{method: oauth.AuthNone, clientID: p.Get("client_id")})
	}
	cred := found[0]
	if cred.clientID == "" || p.Has("client_id") && p.Get("client_id") != cred.clientID {
		return credentials{}, errClient
	}
	return cred, nil
}

// assertionClient reads whom an assertion names, unverified: it only selects the key to verify with.
func assertionClient(p oauth.Params) (string, error) {
	if p.Get("client_assertion_type") != oauth.AssertionTypeJWT {
		return "", errClient
	}
	id, err := tokens.PeekAssertionClient(p.Get("client_assertion"))
	if err != nil {
		return "", &oauth.Error{Code: oauth.InvalidClient, Description: errClient.Description, Cause: err}
	}
	return id, nil
}

// basicCredentials decodes HTTP Basic as OAuth 2.1 §2.4.1 has it: both parts form-encoded first.
func basicCredentials(header string) (id, secret string, err error) {
	scheme, rest, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", errors.New("not Basic")
	}
	raw, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		return "", "", err
	}
	user, pass, ok := strings.Cut(string(raw), ":")
	if !ok {
		return "", "", errors.New("no colon")
	}
	if id, err = url.QueryUnescape(user); err != nil {
		return "", "", err
	}
	secret, err = url.QueryUnescape(pass)
	return id, secret, err
}
