package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
)

const maxKeys = 32 // of one set

// A SigningKey is an ES256 or EdDSA key; its id is its RFC 7638 thumbprint. The zero value signs
// nothing.
type SigningKey struct {
	key *ecdsa.PrivateKey // one of the two
	ed  ed25519.PrivateKey
	id  string
}

// NewSigningKey makes a fresh ES256 key.
func NewSigningKey() (SigningKey, error) { return NewSigningKeyFor(algES256) }

// NewSigningKeyFor makes a fresh key for an algorithm: ES256, or EdDSA with Ed25519 (RFC 8037).
func NewSigningKeyFor(alg string) (SigningKey, error) {
	switch alg {
	case algES256:
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return SigningKey{}, fmt.Errorf("tokens: make a key: %w", err)
		}
		return signingKey(SigningKey{key: key})
	case algEdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return SigningKey{}, fmt.Errorf("tokens: make a key: %w", err)
		}
		return signingKey(SigningKey{ed: key})
	}
	return SigningKey{}, fmt.Errorf("%w: keys are for ES256 or EdDSA, not for %s", ErrKey, shown(alg))
}

// signingKey names the key.
func signingKey(k SigningKey) (SigningKey, error) {
	id, err := Thumbprint(k.public())
	k.id = id
	return k, err
}

func (k SigningKey) public() crypto.PublicKey {
	if k.ed != nil {
		return k.ed.Public()
	}
	return &k.key.PublicKey
}

// Algorithm returns the one algorithm that the key signs with.
func (k SigningKey) Algorithm() string {
	if k.ed != nil {
		return algEdDSA
	}
	return algES256
}

// ID returns the kid.
func (k SigningKey) ID() string { return k.id }

// PublicJWK returns the public half as a JWK.
func (k SigningKey) PublicJWK() json.RawMessage {
	return k.jwk().public()
}

func (k SigningKey) jwk() jwk {
	j, err := jwkOf(k.public())
	if err != nil {
		panic(err) // a SigningKey holds P-256 or Ed25519
	}
	j.kid = k.id
	return j
}

// privateJWK is the form in which private keys are kept, always encrypted or in a file of its owner.
type privateJWK struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y,omitempty"`
	D   string `json:"d"`
	Kid string `json:"kid"`
}

// Marshal returns the private JWK: a secret.
func (k SigningKey) Marshal() ([]byte, error) {
	j := k.jwkOrNone()
	switch {
	case k.ed != nil:
		return json.Marshal(privateJWK{"OKP", j.crv, j.x, "", b64.EncodeToString(k.ed.Seed()), k.id})
	case k.key != nil:
		d, err := k.key.Bytes()
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrKey, err)
		}
		return json.Marshal(privateJWK{"EC", j.crv, j.x, j.y, b64.EncodeToString(d), k.id})
	}
	return nil, fmt.Errorf("%w: none", ErrKey)
}

func (k SigningKey) jwkOrNone() jwk {
	if k.key == nil && k.ed == nil {
		return jwk{}
	}
	return k.jwk()
}

// ParseSigningKey reads what Marshal wrote. The public half must be that of the private one.
func ParseSigningKey(raw []byte) (SigningKey, error) {
	var j privateJWK
	if err := StrictUnmarshal(raw, &j); err != nil {
		return SigningKey{}, fmt.Errorf("%w: not a private JWK", ErrKey) // never a part of it
	}
	d, err := decode64(j.D)
	if err != nil || len(d) != 32 {
		return SigningKey{}, fmt.Errorf("%w: not a private JWK of 32 bytes", ErrKey)
	}
	var k SigningKey
	switch {
	case j.Kty == "EC" && j.Crv == "P-256":
		if k.key, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), d); err != nil {
			return SigningKey{}, fmt.Errorf("%w: not a private key of P-256", ErrKey)
		}
	case j.Kty == "OKP" && j.Crv == "Ed25519": // RFC 8037 §2
		k.ed = ed25519.NewKeyFromSeed(d)
	default:
		return SigningKey{}, fmt.Errorf("%w: not a private JWK of P-256 or Ed25519", ErrKey)
	}
	if k, err = signingKey(k); err != nil {
		return SigningKey{}, err
	}
	if p := k.jwk(); p.x != j.X || p.y != j.Y || k.id != j.Kid {
		return SigningKey{}, fmt.Errorf("%w: the public half belongs to another key", ErrKey)
	}
	return k, nil
}

// A KeySet holds the public keys of one party, by kid. The zero value knows no key.
type KeySet struct {
	keys []jwk
}

// Without returns the set but for the keys with these ids.
func (s KeySet) Without(kids ...string) KeySet {
	var rest KeySet
	for _, k := range s.keys {
		if !slices.Contains(kids, k.kid) {
			rest.keys = append(rest.keys, k)
		}
	}
	return rest
}

// NewKeySet returns the public halves of keys, in their order.
func NewKeySet(keys ...SigningKey) KeySet {
	var s KeySet
	for _, k := range keys {
		if !s.Has(k.id) {
			s.keys = append(s.keys, k.jwk())
		}
	}
	return s
}

// ParseKeySet reads a JWK set (RFC 7517 §5) in which every key is a public one for signatures, of
// P-256 or Ed25519, with a kid of its own; a key without kid goes by its thumbprint.
func ParseKeySet(jwks []byte) (KeySet, error) {
	var s KeySet
	r := newReader(jwks)
	for name := range r.members() {
		if name != "keys" {
			r.value()
			continue
		}
		for i := range r.items() {
			if i == maxKeys {
				r.fail("more than %d keys", maxKeys)
			}
			k, err := parseJWK(r.value())
			if err == nil {
				err = s.add(k)
			}
			if err != nil {
				r.fail("key %d: %v", i, err)
			}
		}
	}
	if err := r.end(); err != nil {
		return KeySet{}, fmt.Errorf("%w: %v", ErrKey, err)
	}
	if len(s.keys) == 0 {
		return KeySet{}, fmt.Errorf("%w: the set is empty", ErrKey)
	}
	return s, nil
}

func (s *KeySet) add(k jwk) error {
	switch {
	case k.use != "" && k.use != "sig":
		return fmt.Errorf("%w: not for signatures", ErrKey)
	case k.alg != "" && k.alg != k.publicKey.alg():
		return fmt.Errorf("%w: alg %s is not what this key is for", ErrKey, shown(k.alg))
	}
	if k.kid == "" {
		k.kid = k.thumbprint()
	}
	if s.Has(k.kid) {
		return fmt.Errorf("%w: kid %s is there twice", ErrKey, shown(k.kid))
	}
	s.keys = append(s.keys, k)
	return nil
}

func (s KeySet) find(kid string) (jwk, bool) {
	i := slices.IndexFunc(s.keys, func(k jwk) bool { return k.kid == kid })
	if i < 0 {
		return jwk{}, false
	}
	return s.keys[i], true
}

// Has reports whether the set has a key of that id.
func (s KeySet) Has(kid string) bool {
	_, ok := s.find(kid)
	return ok
}

// JWKS returns the set as it is published.
func (s KeySet) JWKS() ([]byte, error) {
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, k := range s.keys {
		set.Keys = append(set.Keys, k.public())
	}
	return json.Marshal(set)
}
