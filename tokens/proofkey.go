package tokens

import (
	"encoding/json"
	"fmt"
	"time"
)

// A ProofKey is the key that an agent proves to hold. The zero value proves nothing.
type ProofKey struct {
	key    SigningKey
	header []byte
}

// NewProofKey makes a fresh key.
func NewProofKey() (ProofKey, error) {
	key, err := NewSigningKey()
	if err != nil {
		return ProofKey{}, err
	}
	return proofKey(key), nil
}

// ParseProofKey reads what Marshal wrote.
func ParseProofKey(raw []byte) (ProofKey, error) {
	key, err := ParseSigningKey(raw)
	if err != nil {
		return ProofKey{}, err
	}
	return proofKey(key), nil
}

func proofKey(key SigningKey) ProofKey {
	j := key.jwk()
	header := fmt.Sprintf(`{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"%s","y":"%s"}}`, j.x, j.y)
	if key.ed != nil {
		header = fmt.Sprintf(`{"typ":"dpop+jwt","alg":"EdDSA","jwk":{"kty":"OKP","crv":"Ed25519","x":"%s"}}`, j.x)
	}
	return ProofKey{key, []byte(header)}
}

// Marshal returns the private JWK: a secret.
func (k ProofKey) Marshal() ([]byte, error) { return k.key.Marshal() }

// JKT returns the thumbprint that tokens are bound by (RFC 9449 §6.1).
func (k ProofKey) JKT() string { return k.key.id }

// proofWire is the payload of a proof (RFC 9449 §4.2).
type proofWire struct {
	ID       string `json:"jti"`
	Method   string `json:"htm"`
	URI      string `json:"htu"`
	IssuedAt int64  `json:"iat"`
	Nonce    string `json:"nonce,omitempty"`
	ATH      string `json:"ath,omitempty"`
	Delegate string `json:"delegate_jkt,omitempty"`
}

// Proof returns a fresh proof for one request; nonce and accessToken may be empty.
func (k ProofKey) Proof(method, url, nonce, accessToken string, now time.Time) (string, error) {
	return k.prove(proofWire{Method: method, URI: url, Nonce: nonce}, accessToken, now)
}

// Delegation returns a proof by which the holder of delegate, and nobody else, may exchange the access
// token at the token endpoint once (RFC 8693): the subject_token_proof of that request.
func (k ProofKey) Delegation(tokenEndpoint, nonce, accessToken, delegate string, now time.Time) (string, error) {
	return k.prove(proofWire{Method: "POST", URI: tokenEndpoint, Nonce: nonce, Delegate: delegate}, accessToken, now)
}

func (k ProofKey) prove(p proofWire, accessToken string, now time.Time) (string, error) {
	uri, err := NormalizeURI(p.URI)
	if err != nil {
		return "", err
	}
	p.ID, p.URI, p.IssuedAt = NewID(""), uri, now.Unix()
	if accessToken != "" {
		p.ATH = tokenHash(accessToken)
	}
	payload, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("tokens: sign proof: %w", err)
	}
	return k.key.compact(k.header, payload)
}
