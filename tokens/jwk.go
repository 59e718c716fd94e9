package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// ErrKey is what every refusal of a key wraps.
var ErrKey = errors.New("tokens: bad key")

// A publicKey is one of the two kinds of keys that are accepted: P-256 or Ed25519.
type publicKey struct {
	ec *ecdsa.PublicKey
	ed ed25519.PublicKey
}

func (k publicKey) alg() string {
	if k.ec != nil {
		return algES256
	}
	return algEdDSA
}

func (k publicKey) crypto() crypto.PublicKey {
	if k.ec != nil {
		return k.ec
	}
	return k.ed
}

// A jwk is a public JWK that has been checked. Its coordinates are in their one encoding.
type jwk struct {
	publicKey
	crv, x, y     string
	kid, use, alg string
}

// thumbprint is RFC 7638: the required members in lexicographic order.
func (k jwk) thumbprint() string {
	text := make([]byte, 0, 160)
	text = append(text, `{"crv":"`...)
	text = append(text, k.crv...)
	if k.ec != nil {
		text = append(text, `","kty":"EC","x":"`...)
		text = append(text, k.x...)
		text = append(text, `","y":"`...)
		text = append(text, k.y...)
	} else {
		text = append(text, `","kty":"OKP","x":"`...)
		text = append(text, k.x...)
	}
	sum := sha256.Sum256(append(text, `"}`...))
	return b64.EncodeToString(sum[:])
}

// public returns the JWK as it is published.
func (k jwk) public() json.RawMessage {
	kty := "OKP"
	if k.ec != nil {
		kty = "EC"
	}
	raw, err := json.Marshal(struct {
		Kty string `json:"kty"`
		Crv string `json:"crv"`
		X   string `json:"x"`
		Y   string `json:"y,omitempty"`
		Kid string `json:"kid"`
		Use string `json:"use"`
		Alg string `json:"alg"`
	}{kty, k.crv, k.x, k.y, k.kid, "sig", k.publicKey.alg()})
	if err != nil {
		panic(err) // strings always marshal
	}
	return raw
}

// ParsePublicJWK reads one public JWK (P-256 or Ed25519) and returns it with its thumbprint.
func ParsePublicJWK(raw []byte) (key crypto.PublicKey, jkt string, err error) {
	k, err := parseJWK(raw)
	if err != nil {
		return nil, "", err
	}
	return k.crypto(), k.thumbprint(), nil
}

// parseJWK reads a public JWK; private members refuse it, other members are no concern.
func parseJWK(raw []byte) (jwk, error) {
	var k jwk
	var kty string
	r := newReader(raw)
	for name := range r.members() {
		switch name {
		case "kty":
			kty = r.text()
		case "crv":
			k.crv = r.text()
		case "x":
			k.x = r.text()
		case "y":
			k.y = r.text()
		case "kid":
			k.kid = r.text()
		case "use":
			k.use = r.text()
		case "alg":
			k.alg = r.text()
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k": // RFC 7518 §6
			r.fail("a private or symmetric key")
		default:
			r.value()
		}
	}
	if err := r.end(); err != nil {
		return jwk{}, fmt.Errorf("%w: %v", ErrKey, err)
	}
	if err := k.load(kty); err != nil {
		return jwk{}, err
	}
	return k, nil
}

// load makes the key of the members that were read.
func (k *jwk) load(kty string) error {
	x, err := decode64(k.x)
	if err != nil || len(x) != 32 {
		return fmt.Errorf("%w: x must be 32 bytes of base64url", ErrKey)
	}
	switch {
	case kty == "EC" && k.crv == "P-256":
		y, err := decode64(k.y)
		if err != nil || len(y) != 32 {
			return fmt.Errorf("%w: y must be 32 bytes of base64url", ErrKey)
		}
		point := slices.Concat([]byte{4}, x, y)
		if k.ec, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point); err != nil {
			return fmt.Errorf("%w: no point of P-256", ErrKey)
		}
	case kty == "OKP" && k.crv == "Ed25519":
		if !goodEd25519(x) {
			return fmt.Errorf("%w: no good point of Ed25519", ErrKey)
		}
		k.ed, k.y = x, ""
	default:
		return fmt.Errorf("%w: kty and crv must be EC P-256 or OKP Ed25519", ErrKey)
	}
	return nil
}

// smallOrder are the y coordinates of the points of order 1, 2, 4 and 8, little-endian. For such
// a key there are signatures that hold for any message.
var smallOrder = [][32]byte{
	{1},
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	{},
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
}

// goodEd25519 refuses points of small order and coordinates of p or more, which would give one
// point two encodings. (That the point is on the curve shows when a signature is verified.)
func goodEd25519(x []byte) bool {
	y := [32]byte(x)
	y[31] &= 0x7f // without the sign
	if slices.Contains(smallOrder, y) {
		return false
	}
	for i := 31; i > 0; i-- {
		top := byte(0xff)
		if i == 31 {
			top = 0x7f
		}
		if y[i] != top {
			return true
		}
	}
	return y[0] < 0xed
}

// Thumbprint returns the RFC 7638 thumbprint of a P-256 or Ed25519 key.
func Thumbprint(pub crypto.PublicKey) (string, error) {
	k, err := jwkOf(pub)
	if err != nil {
		return "", err
	}
	return k.thumbprint(), nil
}

func jwkOf(pub crypto.PublicKey) (jwk, error) {
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P256() {
			break
		}
		point, err := pub.Bytes()
		if err != nil {
			return jwk{}, fmt.Errorf("%w: %v", ErrKey, err)
		}
		return jwk{publicKey: publicKey{ec: pub}, crv: "P-256", x: b64.EncodeToString(point[1:33]), y: b64.EncodeToString(point[33:])}, nil
	case ed25519.PublicKey:
		if len(pub) != ed25519.PublicKeySize || !goodEd25519(pub) {
			break
		}
		return jwk{publicKey: publicKey{ed: pub}, crv: "Ed25519", x: b64.EncodeToString(pub)}, nil
	}
	return jwk{}, fmt.Errorf("%w: only P-256 and Ed25519", ErrKey)
}
