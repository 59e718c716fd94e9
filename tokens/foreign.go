package tokens

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Foreign algorithms: what identity providers and platforms sign with. Nothing that Remit issues itself
// is verified here.
var foreignAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.ES384, jose.EdDSA}

const (
	maxForeignKeys = 64 << 10 // bytes
	maxForeign     = 16 << 10
)

// ForeignKeys are the public keys of somebody else's issuer.
type ForeignKeys struct{ keys []jose.JSONWebKey }

// ParseForeignKeys reads a JWK set (RFC 7517 §5). Keys that are private, symmetric, weak or of an
// unknown kind refuse the whole set.
func ParseForeignKeys(raw []byte) (ForeignKeys, error) {
	if len(raw) > maxForeignKeys {
		return ForeignKeys{}, errors.New("tokens: key set is too large")
	}
	if err := CheckJSON(raw); err != nil {
		return ForeignKeys{}, err
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &set); err != nil {
		return ForeignKeys{}, fmt.Errorf("tokens: key set: %w", err)
	}
	for _, k := range set.Keys {
		switch key := k.Key.(type) {
		case *ecdsa.PublicKey, ed25519.PublicKey:
		case *rsa.PublicKey:
			if bits := key.N.BitLen(); bits < 2048 || bits > 4096 {
				return ForeignKeys{}, fmt.Errorf("tokens: key set: RSA key of %d bits", bits)
			}
		default:
			return ForeignKeys{}, fmt.Errorf("tokens: key set: %T is no public key", k.Key)
		}
		if !k.IsPublic() || !k.Valid() {
			return ForeignKeys{}, errors.New("tokens: key set: a key is not public, or not valid")
		}
	}
	if len(set.Keys) == 0 || len(set.Keys) > 32 {
		return ForeignKeys{}, errors.New("tokens: a key set has 1 to 32 keys")
	}
	return ForeignKeys{set.Keys}, nil
}

// ForeignAssertion is a verified JWT of a trusted issuer (RFC 7523 §3). Raw holds all of its claims.
type ForeignAssertion struct {
	Issuer, Subject, ID string
	Expires             time.Time
	Raw                 []byte
}

// ForeignWant is what a foreign JWT must be.
type ForeignWant struct {
	Types     []string // of the header, in this spelling; "" stands for none
	Issuer    string
	Audiences []string // one of these must be among its own
	Sole      bool     // and must be the only one
	Now       time.Time
	MaxAge    time.Duration // between iat and now; 0: not judged
	MaxLife   time.Duration // between now and exp
}

// PeekForeign returns type and issuer of a JWT, unverified: they say whose keys to verify it with, and
// nothing else.
func PeekForeign(raw string) (typ, issuer string, err error) {
	c, err := splitForeign(raw)
	if err != nil {
		return "", "", err
	}
	claims, err := readForeign(c.payload)
	return c.typ, claims.issuer, err
}

type foreign struct {
	jws     *jose.JSONWebSignature
	typ     string
	payload []byte
}

func splitForeign(raw string) (foreign, error) {
	if len(raw) > maxForeign {
		return foreign{}, fmt.Errorf("%w: too long", ErrMalformed)
	}
	jws, err := jose.ParseSignedCompact(raw, foreignAlgorithms)
	if err != nil {
		return foreign{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	header := jws.Signatures[0].Protected
	if _, critical := header.ExtraHeaders["crit"]; critical {
		return foreign{}, fmt.Errorf("%w: crit", ErrMalformed)
	}
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	return foreign{jws, typ, jws.UnsafePayloadWithoutVerification()}, nil
}

type foreignClaims struct {
	issuer, subject, id          string
	audiences                    []string
	issuedAt, expires, notBefore time.Time
}

func readForeign(raw []byte) (foreignClaims, error) {
	var c foreignClaims
	r := newReader(raw)
	for name := range r.members() {
		switch name {
		case "iss":
			c.issuer = r.text()
		case "sub":
			c.subject = r.text()
		case "jti":
			c.id = r.text()
		case "aud":
			if r.kind() == '[' {
				c.audiences = r.texts()
			} else {
				c.audiences = []string{r.text()}
			}
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

// Verify verifies a foreign JWT: type, issuer, audience and time before the signature, which costs most.
func (s ForeignKeys) Verify(raw string, want ForeignWant) (ForeignAssertion, error) {
	f, err := splitForeign(raw)
	if err != nil {
		return ForeignAssertion{}, err
	}
	known := false
	for _, typ := range want.Types {
		known = known || f.typ == typ
	}
	if !known { // RFC 8725 §3.11
		return ForeignAssertion{}, fmt.Errorf("%w: %s", ErrWrongType, shown(f.typ))
	}
	c, err := readForeign(f.payload)
	if err != nil {
		return ForeignAssertion{}, err
	}
	if err := c.judge(want); err != nil {
		return ForeignAssertion{}, err
	}
	header := f.jws.Signatures[0].Protected
	tried := 0
	for _, k := range s.keys {
		if header.KeyID != "" && k.KeyID != header.KeyID || k.Algorithm != "" && k.Algorithm != header.Algorithm || k.Use != "" && k.Use != "sig" {
			continue
		}
		if tried++; tried > 4 {
			break
		}
		if _, err := f.jws.Verify(k.Key); err == nil {
			return ForeignAssertion{Issuer: c.issuer, Subject: c.subject, ID: c.id, Expires: c.expires, Raw: f.payload}, nil
		}
	}
	if tried == 0 {
		return ForeignAssertion{}, ErrUnknownKey
	}
	return ForeignAssertion{}, ErrSignature
}

func (c foreignClaims) judge(want ForeignWant) error {
	latest := want.Now.Add(assertionAhead)
	heard := false
	for _, a := range c.audiences {
		for _, b := range want.Audiences {
			heard = heard || a == b
		}
	}
	switch {
	case want.Issuer == "" || c.issuer != want.Issuer:
		return fmt.Errorf("%w: %s", ErrWrongIssuer, shown(c.issuer))
	case !heard, want.Sole && len(c.audiences) != 1:
		return ErrWrongAudience
	case c.subject == "":
		return fmt.Errorf("%w: sub missing", ErrMalformed)
	case c.expires.IsZero():
		return fmt.Errorf("%w: exp missing", ErrMalformed)
	case !want.Now.Before(c.expires):
		return ErrExpired
	case want.MaxLife > 0 && c.expires.After(latest.Add(want.MaxLife)):
		return ErrTooLong
	case c.issuedAt.After(latest), c.notBefore.After(latest):
		return ErrNotYetValid
	case want.MaxAge > 0 && (c.issuedAt.IsZero() || c.issuedAt.Before(want.Now.Add(-want.MaxAge))):
		return ErrExpired
	}
	return nil
}
