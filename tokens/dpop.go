package tokens

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// TypeProof is the typ of a DPoP proof (RFC 9449 §4.2), in this one spelling.
const TypeProof = "dpop+jwt"

// What is wrong with a DPoP proof; ParseProof wraps one of them.
var (
	ErrProofMissing   = errors.New("no DPoP proof")
	ErrProofMany      = errors.New("more than one DPoP header")
	ErrProofMalformed = errors.New("the DPoP proof is no compact JWS with strict JSON")
	ErrProofType      = errors.New("the typ of a DPoP proof must be dpop+jwt")
	ErrProofAlgorithm = errors.New("the alg of a DPoP proof must be ES256 or EdDSA")
	ErrProofKey       = errors.New("the jwk of a DPoP proof must be a public key of its alg")
	ErrProofSignature = errors.New("the signature of the DPoP proof is wrong")
	ErrProofMethod    = errors.New("the htm of the DPoP proof is not the method of the request")
	ErrProofURI       = errors.New("the htu of the DPoP proof is not the URI of the request")
	ErrProofTime      = errors.New("the DPoP proof is not of this time")
	ErrProofID        = errors.New("the jti of a DPoP proof must be 1 to 255 bytes")
	ErrProofToken     = errors.New("the ath of the DPoP proof is not the hash of the access token")
	ErrProofNonce     = errors.New("the nonce of the DPoP proof is not one of ours, or there is none")
)

// The window around the verifier's clock when none is asked for.
const (
	DefaultProofAge   = time.Minute
	DefaultProofAhead = 10 * time.Second
)

// A Proof is a DPoP proof whose signature, method, URI, time and access token were found right.
// Whether it is new and its nonce is good is for the replay memory to say.
type Proof struct {
	JKT      string // thumbprint of the key that signed it
	ID       string
	Method   string
	URI      string // normalised
	Nonce    string // empty: none
	ATH      string // empty: none
	Delegate string // thumbprint of the key that the signer hands its access token on to (RFC 8693); empty: to none
	IssuedAt time.Time
}

// ProofWant is the request that a proof must be about.
type ProofWant struct {
	Method      string
	URL         string // as configured, never as the request or a proxy says it
	AccessToken string // empty: ath is not judged (RFC 9449 §4.2 wants it with an access token alone)
	TokenHash   string // what ath must be, where the caller has it; else it is AccessToken's
	Now         time.Time
	MaxAge      time.Duration // of iat; zero: DefaultProofAge
	MaxAhead    time.Duration // of iat and nbf; zero: DefaultProofAhead
	// Nonce reports whether a nonce is good. It is asked after everything else but the signature, so
	// that a proof without a good one costs no curve arithmetic. Nil: the caller judges Proof.Nonce.
	Nonce func(nonce string) bool
}

// ParseProof verifies the DPoP header of a request, given as all its values. The checks are those
// of RFC 9449 §4.3 but for replay; the signature, which costs most, comes last.
func ParseProof(headers []string, want ProofWant) (Proof, error) {
	switch len(headers) {
	case 0:
		return Proof{}, ErrProofMissing
	case 1:
	default:
		return Proof{}, ErrProofMany
	}
	c, err := splitCompact(headers[0], maxProof)
	if err != nil {
		return Proof{}, fmt.Errorf("%w: %v", ErrProofMalformed, err)
	}
	signer, known := provers.get(c.head)
	if !known {
		if err := c.checkProofHeader(); err != nil {
			return Proof{}, err
		}
	}
	claims, err := parseProofClaims(c.payload)
	if err != nil {
		return Proof{}, err
	}
	if err := claims.judge(want); err != nil {
		return Proof{}, err
	}
	if want.Nonce != nil && !want.Nonce(claims.Nonce) {
		return Proof{}, ErrProofNonce
	}
	if !known {
		if signer, err = c.prover(); err != nil {
			return Proof{}, err
		}
	}
	if !signer.verify(c) {
		return Proof{}, ErrProofSignature
	}
	if !known {
		provers.put(c.head, signer)
	}
	claims.JKT = signer.jkt
	return claims.Proof, nil
}

// proofClaims are the claims as they were read; nothing in them is verified.
type proofClaims struct {
	Proof
	notBefore, expires time.Time
}

func parseProofClaims(raw []byte) (proofClaims, error) {
	var c proofClaims
	r := newReader(raw)
	for name := range r.members() {
		wrong := ErrProofMalformed
		switch name {
		case "jti":
			c.ID, wrong = r.text(), ErrProofID
		case "htm":
			c.Method, wrong = r.text(), ErrProofMethod
		case "htu":
			c.URI, wrong = r.text(), ErrProofURI
		case "iat":
			c.IssuedAt, wrong = r.time(), ErrProofTime
		case "exp":
			c.expires, wrong = r.time(), ErrProofTime
		case "nbf":
			c.notBefore, wrong = r.time(), ErrProofTime
		case "nonce":
			c.Nonce = r.text()
		case "delegate_jkt":
			c.Delegate = r.text()
		case "ath":
			c.ATH, wrong = r.text(), ErrProofToken
		default:
			r.value()
		}
		if r.err != nil {
			return c, fmt.Errorf("%w: %v", wrong, r.err)
		}
	}
	if err := r.end(); err != nil {
		return c, fmt.Errorf("%w: %v", ErrProofMalformed, err)
	}
	return c, nil
}

// judge compares the claims with the request, and leaves the normal form of the URI in them.
func (c *proofClaims) judge(want ProofWant) error {
	switch {
	case c.ID == "" || len(c.ID) > maxJTI: // RFC 9449 §11.1
		return ErrProofID
	case c.Method == "" || c.Method != want.Method:
		return ErrProofMethod
	}
	uri, err := NormalizeURI(want.URL)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrProofURI, err)
	}
	if c.URI != want.URL {
		if c.URI, err = NormalizeURI(c.URI); err != nil || c.URI != uri {
			return ErrProofURI
		}
	}
	c.URI = uri
	age, ahead := want.MaxAge, want.MaxAhead
	if age == 0 {
		age = DefaultProofAge
	}
	if ahead == 0 {
		ahead = DefaultProofAhead
	}
	latest := want.Now.Add(ahead)
	switch {
	case c.IssuedAt.IsZero(), c.IssuedAt.Before(want.Now.Add(-age)), c.IssuedAt.After(latest), c.notBefore.After(latest):
		return ErrProofTime
	case !c.expires.IsZero() && !want.Now.Before(c.expires):
		return ErrProofTime
	case want.TokenHash != "":
		if c.ATH != want.TokenHash {
			return ErrProofToken
		}
	case want.AccessToken != "" && c.ATH != tokenHash(want.AccessToken):
		return ErrProofToken
	}
	return nil
}

// tokenHash is ath (RFC 9449 §4.2).
func tokenHash(accessToken string) string {
	sum := sha256.Sum256([]byte(accessToken))
	return b64.EncodeToString(sum[:])
}

// ReplayKey names the proof in a replay memory: a jti is spent for one key and one URI
// (RFC 9449 §11.1). The text of the proof would not do, for others with the same meaning exist.
func (p Proof) ReplayKey() string {
	text := make([]byte, 0, len(p.JKT)+len(p.ID)+len(p.URI)+8)
	for _, s := range [...]string{p.JKT, p.ID, p.URI} {
		text = strconv.AppendInt(text, int64(len(s)), 10)
		text = append(append(text, ':'), s...)
	}
	sum := sha256.Sum256(text)
	return b64.EncodeToString(sum[:])
}
