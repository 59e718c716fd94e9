package tokens

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// What is wrong with a JWT; every verifier of this package wraps one of them.
var (
	ErrMalformed     = errors.New("tokens: malformed")
	ErrSignature     = errors.New("tokens: the signature is wrong")
	ErrUnknownKey    = errors.New("tokens: signed with an unknown key")
	ErrWrongType     = errors.New("tokens: wrong typ")
	ErrExpired       = errors.New("tokens: expired")
	ErrNotYetValid   = errors.New("tokens: not valid yet")
	ErrWrongIssuer   = errors.New("tokens: wrong issuer")
	ErrWrongAudience = errors.New("tokens: wrong audience")
)

// The only algorithms (RFC 8725 §3.1): a key decides for one of them, a header never does.
const (
	algES256 = "ES256"
	algEdDSA = "EdDSA"
)

const (
	maxToken = 16 << 10 // bytes of a token, an assertion or a checkpoint
	maxSET   = 3 << 20  // a snapshot tells of every task that ended in minutes
	maxProof = 8 << 10
	maxJTI   = 255
)

// A compact is a compact JWS (RFC 7515 §7.1) taken apart; nothing in it is verified. Its text is
// not its identity: an ES256 signature (r, s) has the twin (r, -s). What must be unique is the jti.
type compact struct {
	head      string // the header's text
	header    header
	payload   []byte
	signature []byte
	signed    string
}

type header struct {
	alg, typ, kid string
	jwk           []byte
	more          string // a member that is none of these
}

// parseCompact is strict where JOSE libraries are not: no JSON serialization, no line breaks, no
// padding, no stray last bits, no crit or b64, no member twice.
func parseCompact(raw string, limit int) (compact, error) {
	c, err := splitCompact(raw, limit)
	if err == nil {
		err = c.readHeader()
	}
	if err != nil {
		return compact{}, err
	}
	return c, nil
}

// splitCompact is parseCompact but for the header, which stays unread.
func splitCompact(raw string, limit int) (compact, error) {
	if len(raw) > limit {
		return compact{}, fmt.Errorf("%w: more than %d bytes", ErrMalformed, limit)
	}
	head, rest, _ := strings.Cut(raw, ".")
	body, sig, ok := strings.Cut(rest, ".")
	if !ok || head == "" || body == "" || sig == "" {
		return compact{}, fmt.Errorf("%w: no compact JWS", ErrMalformed)
	}
	c := compact{head: head, signed: raw[:len(head)+1+len(body)]}
	var err error
	if c.payload, err = decode64(body); err == nil {
		c.signature, err = decode64(sig)
	}
	if err != nil {
		return compact{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return c, nil
}

// readHeader reads the header, which splitCompact leaves as it came.
func (c *compact) readHeader() error {
	raw, err := decode64(c.head)
	if err == nil {
		c.header, err = parseHeader(raw)
	}
	if err != nil {
		return fmt.Errorf("%w: header: %v", ErrMalformed, err)
	}
	return nil
}

var errBase64 = errors.New("not base64url")

// decode64 decodes base64url without padding; two texts never decode to the same bytes.
func decode64(s string) ([]byte, error) {
	if strings.IndexByte(s, '\r') >= 0 || strings.IndexByte(s, '\n') >= 0 { // the decoder would skip them
		return nil, errBase64
	}
	b, err := b64.DecodeString(s)
	if err != nil {
		return nil, errBase64
	}
	return b, nil
}

func parseHeader(raw []byte) (h header, err error) {
	r := newReader(raw)
	for name := range r.members() {
		switch name {
		case "alg":
			h.alg = r.text()
		case "typ":
			h.typ = r.text()
		case "kid":
			h.kid = r.text()
		case "jwk":
			h.jwk = r.value()
		case "crit", "b64": // RFC 7515 §4.1.11: nothing critical is understood here; RFC 7797
			r.fail("%s is not supported", name)
		default:
			h.more = name
			r.value()
		}
	}
	return h, r.end()
}

// verify checks a signature with the one algorithm that the key is for.
func (c compact) verify(k publicKey) bool {
	if c.header.alg != k.alg() || len(c.signature) != 64 {
		return false
	}
	if k.ec == nil {
		return ed25519.Verify(k.ed, []byte(c.signed), c.signature)
	}
	digest := sha256.Sum256([]byte(c.signed))
	r := new(big.Int).SetBytes(c.signature[:32])
	s := new(big.Int).SetBytes(c.signature[32:])
	return ecdsa.Verify(k.ec, digest[:], r, s)
}

// compact signs header and payload: with ES256 (RFC 7518 §3.4: r and s, 32 bytes each), or EdDSA
// (RFC 8037 §3.1).
func (k SigningKey) compact(header, payload []byte) (string, error) {
	if k.key == nil && k.ed == nil {
		return "", errors.New("tokens: no key to sign with")
	}
	text := make([]byte, 0, b64.EncodedLen(len(header))+b64.EncodedLen(len(payload))+88)
	text = b64.AppendEncode(text, header)
	text = append(text, '.')
	text = b64.AppendEncode(text, payload)
	if k.ed != nil {
		sig := ed25519.Sign(k.ed, text)
		return string(b64.AppendEncode(append(text, '.'), sig)), nil
	}
	digest := sha256.Sum256(text)
	r, s, err := ecdsa.Sign(rand.Reader, k.key, digest[:])
	if err != nil {
		return "", fmt.Errorf("tokens: sign: %w", err)
	}
	var sig [64]byte
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return string(b64.AppendEncode(append(text, '.'), sig[:])), nil
}

// Sign returns claims as a compact JWT of the type typ.
func (k SigningKey) Sign(typ string, claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("tokens: sign: %w", err)
	}
	header, err := json.Marshal(struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
		Typ string `json:"typ"`
	}{k.Algorithm(), k.id, typ})
	if err != nil {
		return "", fmt.Errorf("tokens: sign: %w", err)
	}
	raw, err := k.compact(header, payload)
	if err == nil && len(raw) > limit(typ) {
		return "", fmt.Errorf("tokens: sign: %s of more than %d bytes", typ, limit(typ))
	}
	return raw, err
}

// Verify checks type and signature of a JWT that a key of s signed and returns its claims, about
// which it says nothing else. The header holds alg, kid and typ alone, as Sign writes it: jku,
// x5u and the like have no business there.
func (s KeySet) Verify(raw, typ string) (payload []byte, kid string, err error) {
	c, err := parseCompact(raw, limit(typ))
	if err != nil {
		return nil, "", err
	}
	if c.header.typ != typ { // RFC 8725 §3.11
		return nil, "", fmt.Errorf("%w: %s is not %s", ErrWrongType, shown(c.header.typ), typ)
	}
	if c.header.kid == "" || c.header.jwk != nil || c.header.more != "" {
		return nil, "", fmt.Errorf("%w: the header must hold alg, kid and typ alone", ErrMalformed)
	}
	key, ok := s.find(c.header.kid)
	if !ok {
		return nil, "", fmt.Errorf("%w: %s", ErrUnknownKey, shown(c.header.kid))
	}
	if !c.verify(key.publicKey) {
		return nil, "", ErrSignature
	}
	return c.payload, c.header.kid, nil
}

// limit is how many bytes a JWT of this type may have.
func limit(typ string) int {
	if typ == TypeSET {
		return maxSET
	}
	return maxToken
}
