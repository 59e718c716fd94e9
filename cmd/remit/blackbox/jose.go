package blackbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// B64 is base64url without padding.
func B64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Unb64 decodes base64url without padding; nil when it is none.
func Unb64(s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// Random returns n random bytes in base64url.
func Random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return B64(b)
}

// Digest is the base64url SHA-256 of s: an ath, a code_challenge.
func Digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return B64(sum[:])
}

// Object is a JSON object under construction.
type Object map[string]any

// With returns a copy with the member set.
func (o Object) With(name string, value any) Object {
	c := o.clone()
	c[name] = value
	return c
}

// Without returns a copy that lacks the member.
func (o Object) Without(name string) Object {
	c := o.clone()
	delete(c, name)
	return c
}

func (o Object) clone() Object {
	c := make(Object, len(o)+1)
	for k, v := range o {
		c[k] = v
	}
	return c
}

// JSON is the object's text.
func (o Object) JSON() string {
	b, err := json.Marshal(o)
	if err != nil {
		panic(fmt.Sprintf("blackbox: %v", err)) // an attack that cannot be written down is a bug of the attack
	}
	return string(b)
}

// Key is an ES256 key.
type Key struct{ priv *ecdsa.PrivateKey }

// NewKey makes a key.
func NewKey() Key {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return Key{k}
}

// ParseKey reads a private EC JWK, so that a witness can act with an agent's key.
func ParseKey(jwk []byte) (Key, error) {
	var m struct{ Kty, Crv, D string }
	if err := json.Unmarshal(jwk, &m); err != nil {
		return Key{}, err
	}
	d := Unb64(m.D)
	if m.Kty != "EC" || m.Crv != "P-256" || len(d) != 32 {
		return Key{}, errors.New("blackbox: not a private P-256 JWK")
	}
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	if err != nil {
		return Key{}, err
	}
	return Key{k}, nil
}

// JWK is the public key.
func (k Key) JWK() Object {
	x, y := k.point()
	return Object{"kty": "EC", "crv": "P-256", "x": B64(x), "y": B64(y)}
}

// PrivateJWK is the key with its secret, for attacks that send one.
func (k Key) PrivateJWK() Object {
	d, err := k.priv.Bytes()
	if err != nil {
		panic(err)
	}
	return k.JWK().With("d", B64(d))
}

func (k Key) point() (x, y []byte) {
	b, err := k.priv.PublicKey.Bytes() // 4 ‖ x ‖ y
	if err != nil {
		panic(err)
	}
	return b[1:33], b[33:65]
}

// JKT is the RFC 7638 thumbprint.
func (k Key) JKT() string {
	x, y := k.point()
	return Digest(fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, B64(x), B64(y)))
}

// Signature signs as ES256 does: r ‖ s, 64 bytes.
func (k Key) Signature(input string) []byte {
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, k.priv, sum[:])
	if err != nil {
		panic(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return sig
}

// JWS is a compact JWS over these texts, whatever they say, signed as ES256 signs.
func (k Key) JWS(header, payload string) string {
	input := B64([]byte(header)) + "." + B64([]byte(payload))
	return input + "." + B64(k.Signature(input))
}

// Decode returns header and claims of a compact JWS without judging it.
func Decode(jws string) (header, claims Object, err error) {
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return nil, nil, fmt.Errorf("blackbox: %d parts in a compact JWS", len(parts))
	}
	if err := json.Unmarshal(Unb64(parts[0]), &header); err != nil {
		return nil, nil, fmt.Errorf("blackbox: header: %w", err)
	}
	if err := json.Unmarshal(Unb64(parts[1]), &claims); err != nil {
		return nil, nil, fmt.Errorf("blackbox: claims: %w", err)
	}
	return header, claims, nil
}

// Verify checks an ES256 compact JWS against the key of a JWKS that its kid names.
func Verify(jws string, jwks []byte) error {
	header, _, err := Decode(jws)
	if err != nil {
		return err
	}
	var set struct {
		Keys []struct{ Kty, Crv, Kid, X, Y string }
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return err
	}
	cut := strings.LastIndexByte(jws, '.')
	sig := Unb64(jws[cut+1:])
	if header["alg"] != "ES256" || len(sig) != 64 {
		return errors.New("blackbox: not an ES256 signature")
	}
	sum := sha256.Sum256([]byte(jws[:cut]))
	for _, j := range set.Keys {
		if j.Kid != header["kid"] || j.Kty != "EC" || j.Crv != "P-256" {
			continue
		}
		pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, Unb64(j.X)...), Unb64(j.Y)...))
		if err != nil {
			return err
		}
		if !ecdsa.Verify(pub, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
			return errors.New("blackbox: signature does not verify")
		}
		return nil
	}
	return fmt.Errorf("blackbox: no key %v in the key set", header["kid"])
}
