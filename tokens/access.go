package tokens

import (
	"fmt"
	"time"
)

// TypeAccess is the typ of an access token (RFC 9068 §2.1), in this one spelling.
const TypeAccess = "at+jwt"

// DefaultLeeway is how far ahead of the verifier's clock iat and nbf may lie.
const DefaultLeeway = 30 * time.Second

// SignAccessToken returns the access token that says c. It signs nothing that a verifier would
// find incomplete.
func (k SigningKey) SignAccessToken(c Claims) (string, error) {
	if err := c.check(); err != nil {
		return "", fmt.Errorf("tokens: sign access token: %w", err)
	}
	switch {
	case c.Audience == "":
		return "", fmt.Errorf("tokens: sign access token: aud missing")
	case c.KeyID != "" && c.KeyID != k.id:
		return "", fmt.Errorf("tokens: sign access token: %w: it is meant for another", ErrKey)
	}
	return k.Sign(TypeAccess, c)
}

// AccessWant is what a verifier asks of an access token. Issuer and Audience are compared byte
// by byte.
type AccessWant struct {
	Issuer   string
	Audience string
	Now      time.Time
	Leeway   time.Duration // of iat and nbf; zero: DefaultLeeway. exp has none.
}

// VerifyAccessToken returns what a valid access token says (RFC 9068 §4). That the caller holds
// the key it is bound to is for ParseProof to say, that it is not revoked for the feed.
func (s KeySet) VerifyAccessToken(raw string, want AccessWant) (Claims, error) {
	c, err := s.openAccess(raw, want.Issuer)
	if err != nil {
		return Claims{}, err
	}
	leeway := want.Leeway
	if leeway == 0 {
		leeway = DefaultLeeway
	}
	switch latest := want.Now.Add(leeway); {
	case want.Audience == "" || c.Audience != want.Audience:
		return Claims{}, fmt.Errorf("%w: %s", ErrWrongAudience, shown(c.Audience))
	case !want.Now.Before(c.Expires):
		return Claims{}, ErrExpired
	case c.IssuedAt.After(latest), c.notBefore.After(latest):
		return Claims{}, ErrNotYetValid
	}
	return c.Claims, nil
}

// OpenAccessToken checks the signature and the issuer and nothing more: a token that has expired
// or is for another resource can still be revoked or asked about.
func (s KeySet) OpenAccessToken(raw, issuer string) (Claims, error) {
	c, err := s.openAccess(raw, issuer)
	return c.Claims, err
}

func (s KeySet) openAccess(raw, issuer string) (accessPayload, error) {
	payload, kid, err := s.Verify(raw, TypeAccess)
	if err != nil {
		return accessPayload{}, err
	}
	c, err := parseAccess(payload)
	if err != nil {
		return accessPayload{}, err
	}
	if issuer == "" || c.Issuer != issuer {
		return accessPayload{}, fmt.Errorf("%w: %s", ErrWrongIssuer, shown(c.Issuer))
	}
	c.KeyID = kid
	return c, nil
}
