package tokens

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// TypeAssertion is the typ of the client assertions that Remit makes (RFC 7523bis).
const TypeAssertion = "client-authentication+jwt"

// ErrTooLong means that a client assertion lives longer than five minutes.
var ErrTooLong = errors.New("tokens: the assertion must expire within 5 minutes")

const (
	assertionLife = time.Minute
	maxAssertion  = 5 * time.Minute
	// FAPI 2.0 §5.3.2.1 wants 10 s ahead accepted and 60 s refused.
	assertionAhead = 30 * time.Second
)

// An Assertion is a client assertion (RFC 7523 §3) that was verified. ID is to be spent once, and
// remembered until Expires.
type Assertion struct {
	ClientID string
	ID       string
	Expires  time.Time
}

// PeekAssertionClient returns the client that an assertion claims to come from, unverified: it
// says whose keys to verify it with and nothing else.
func PeekAssertionClient(raw string) (clientID string, err error) {
	c, err := parseCompact(raw, maxToken)
	if err != nil {
		return "", err
	}
	claims, err := parseAssertion(c.payload)
	if err != nil {
		return "", err
	}
	if claims.subject == "" || claims.issuer != claims.subject {
		return "", fmt.Errorf("%w: iss and sub must both be the client_id", ErrWrongIssuer)
	}
	return claims.subject, nil
}

// VerifyAssertion verifies a client assertion with the keys of the client. Its audience is one
// string, the issuer identifier (FAPI 2.0; RFC 7523bis), never an endpoint and never a list.
func (s KeySet) VerifyAssertion(raw, clientID, issuer string, now time.Time) (Assertion, error) {
	c, err := parseCompact(raw, maxToken)
	if err != nil {
		return Assertion{}, err
	}
	switch typ := c.header.typ; {
	case typ == "", typ == TypeAssertion, strings.EqualFold(typ, "JWT"): // RFC 7519 §5.1
	default: // RFC 8725 §3.11
		return Assertion{}, fmt.Errorf("%w: %s", ErrWrongType, shown(typ))
	}
	claims, err := parseAssertion(c.payload)
	if err != nil {
		return Assertion{}, err
	}
	if err := claims.judge(clientID, issuer, now); err != nil {
		return Assertion{}, err
	}
	if err := s.verifyAny(c); err != nil {
		return Assertion{}, err
	}
	return Assertion{clientID, claims.id, claims.expires}, nil
}

// verifyAny verifies with the key that kid names or, without kid, with the keys of that alg, of
// which it tries four.
func (s KeySet) verifyAny(c compact) error {
	if c.header.kid != "" {
		key, ok := s.find(c.header.kid)
		if !ok {
			return fmt.Errorf("%w: %s", ErrUnknownKey, shown(c.header.kid))
		}
		if !c.verify(key.publicKey) {
			return ErrSignature
		}
		return nil
	}
	tried := 0
	for _, key := range s.keys {
		if key.publicKey.alg() != c.header.alg {
			continue
		}
		if c.verify(key.publicKey) {
			return nil
		}
		if tried++; tried == 4 {
			break
		}
	}
	return ErrSignature
}

// assertionClaims are the claims as they were read; nothing in them is verified.
type assertionClaims struct {
	issuer, subject, audience, id string
	issuedAt, expires, notBefore  time.Time
}

func parseAssertion(raw []byte) (assertionClaims, error) {
	var c assertionClaims
	r := newReader(raw)
	for name := range r.members() {
		switch name {
		case "iss":
			c.issuer = r.text()
		case "sub":
			c.subject = r.text()
		case "aud":
			c.audience = r.audience()
		case "jti":
			c.id = r.text()
		case "iat":
			c.issuedAt = r.time()
		case "exp":
			c.expires = r.time()
		case "nbf":
			c.notBefore = r.time()
		default:
			r.value()
		}
	}
	if err := r.end(); err != nil {
		return c, fmt.Errorf("%w: claims: %v", ErrMalformed, err)
	}
	return c, nil
}

func (c assertionClaims) judge(clientID, issuer string, now time.Time) error {
	latest := now.Add(assertionAhead)
	switch {
	case clientID == "" || c.issuer != clientID || c.subject != clientID:
		return fmt.Errorf("%w: iss and sub must both be the client_id", ErrWrongIssuer)
	case issuer == "" || c.audience != issuer:
		return fmt.Errorf("%w: aud must be one string, %s", ErrWrongAudience, issuer)
	case c.id == "" || len(c.id) > maxJTI:
		return fmt.Errorf("%w: jti must be 1 to %d bytes", ErrMalformed, maxJTI)
	case c.expires.IsZero():
		return fmt.Errorf("%w: exp missing", ErrMalformed)
	case !now.Before(c.expires):
		return ErrExpired
	case c.expires.After(latest.Add(maxAssertion)): // from the clock of a client that is ahead
		return ErrTooLong
	case c.issuedAt.After(latest), c.notBefore.After(latest):
		return ErrNotYetValid
	}
	return nil
}

// Assertion returns a fresh client assertion for one request; a Guard authenticates with it.
func (k SigningKey) Assertion(clientID, issuer string, now time.Time) (string, error) {
	return k.Sign(TypeAssertion, struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		ID       string `json:"jti"`
		IssuedAt int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}{clientID, clientID, issuer, NewID("as_"), now.Unix(), now.Add(assertionLife).Unix()})
}
