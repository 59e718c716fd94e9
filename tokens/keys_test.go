package tokens

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

const (
	// RFC 9449 §4.1 and §6.1.
	rfc9449JWK = `{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}`
	rfc9449JKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	// RFC 8037 appendix A.2 and A.3.
	rfc8037JWK = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	rfc8037JKT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
	// RFC 7638 §3.1: the one example there, of a kind of key that is refused here.
	rfc7638JWK = `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`
)

func TestThumbprint(t *testing.T) {
	for name, tt := range map[string]struct{ jwk, want string }{
		"RFC 9449":                     {rfc9449JWK, rfc9449JKT},
		"RFC 8037":                     {rfc8037JWK, rfc8037JKT},
		"RFC 9449 with further words":  {edit(edit(edit(rfc9449JWK, "kid", `"x"`), "use", `"sig"`), "alg", `"ES256"`), rfc9449JKT}, // DP20
		"RFC 9449 in another spelling": {strings.Replace(rfc9449JWK, `"kty"`, `"\u006bty"`, 1), rfc9449JKT},
		"RFC 8037 with a stray y":      {edit(rfc8037JWK, "y", `"abc"`), rfc8037JKT},
	} {
		t.Run(name, func(t *testing.T) {
			key, jkt, err := ParsePublicJWK([]byte(tt.jwk))
			if err != nil || jkt != tt.want {
				t.Fatalf("ParsePublicJWK = %s, %v", jkt, err)
			}
			if again, err := Thumbprint(key); err != nil || again != tt.want {
				t.Errorf("Thumbprint = %s, %v", again, err)
			}
		})
	}
	if _, _, err := ParsePublicJWK([]byte(rfc7638JWK)); !errors.Is(err, ErrKey) {
		t.Errorf("RSA: %v", err)
	}
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	for _, key := range []any{&p384.PublicKey, &rsa.PublicKey{}, "key", nil, ed25519.PublicKey(make([]byte, 31)), ed25519.PublicKey(make([]byte, 32))} {
		if jkt, err := Thumbprint(key); !errors.Is(err, ErrKey) {
			t.Errorf("Thumbprint(%T) = %s, %v", key, jkt, err)
		}
	}
}

// badJWKs are DP6 and DP7.
func badJWKs(t testing.TB) map[string]string {
	x, y := make([]byte, 32), make([]byte, 32)
	x[31], y[31] = 1, 1
	p256 := elliptic.P256().Params().P
	big33 := b64.EncodeToString(append([]byte{0}, must[[]byte](t)(decode64("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"))...))
	bad := map[string]string{
		"no object":                    `"key"`,
		"null":                         `null`,
		"empty":                        `{}`,
		"no kty":                       edit(rfc9449JWK, "kty", ""),
		"no crv":                       edit(rfc9449JWK, "crv", ""),
		"no x":                         edit(rfc9449JWK, "x", ""),
		"no y":                         edit(rfc9449JWK, "y", ""),
		"KTY":                          strings.Replace(rfc9449JWK, `"kty"`, `"KTY"`, 1),
		"kty in lower case":            edit(rfc9449JWK, "kty", `"ec"`),
		"kty RSA on a curve":           edit(rfc9449JWK, "kty", `"RSA"`),
		"kty OKP on P-256":             edit(rfc9449JWK, "kty", `"OKP"`),
		"kty EC on Ed25519":            edit(rfc8037JWK, "kty", `"EC"`),
		"crv P-384":                    edit(rfc9449JWK, "crv", `"P-384"`),
		"crv secp256k1":                edit(rfc9449JWK, "crv", `"secp256k1"`),
		"crv X25519":                   edit(rfc8037JWK, "crv", `"X25519"`),
		"x twice":                      rfc9449JWK[:len(rfc9449JWK)-1] + `,"x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"}`,
		"x as number":                  edit(rfc9449JWK, "x", `1`),
		"x of 31 bytes":                edit(rfc9449JWK, "x", `"`+b64.EncodeToString(x[1:])+`"`),
		"x of 33 bytes":                edit(rfc9449JWK, "x", `"`+big33+`"`),
		"x padded":                     edit(rfc9449JWK, "x", `"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs="`),
		"x with a line break":          edit(rfc9449JWK, "x", `"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42\nUQUfWVAWBFs"`),
		"x with stray bits":            edit(rfc9449JWK, "x", `"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFt"`),
		"x in standard base64":         edit(rfc9449JWK, "x", `"l8tFrhx+34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"`),
		"the point zero":               edit(edit(rfc9449JWK, "x", `"`+strings.Repeat("A", 43)+`"`), "y", `"`+strings.Repeat("A", 43)+`"`),
		"a point off the curve":        edit(edit(rfc9449JWK, "x", `"`+b64.EncodeToString(x)+`"`), "y", `"`+b64.EncodeToString(y)+`"`),
		"x of the field's size":        edit(rfc9449JWK, "x", `"`+b64.EncodeToString(p256.Bytes())+`"`),
		"oct":                          `{"kty":"oct","k":"c2VjcmV0"}`,
		"RSA":                          rfc7638JWK,
		"RSA of 16384 bits":            edit(edit(rfc7638JWK, "n", `"`+strings.Repeat("_", 2730)+`"`), "e", `"AQ"`),
		"Ed25519 of 31 bytes":          edit(rfc8037JWK, "x", `"`+b64.EncodeToString(x[1:])+`"`),
		"Ed25519 beyond p":             edit(rfc8037JWK, "x", `"`+b64.EncodeToString(beyondP(0x02))+`"`),
		"Ed25519 of order 1 in beyond": edit(rfc8037JWK, "x", `"`+b64.EncodeToString(beyondP(0xee))+`"`),
		"Ed25519 of order 4 in beyond": edit(rfc8037JWK, "x", `"`+b64.EncodeToString(beyondP(0xed))+`"`),
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		bad["private "+private] = edit(rfc9449JWK, private, `"AQ"`)
		bad["private null "+private] = edit(rfc9449JWK, private, `null`)
	}
	for i, y := range smallOrder {
		bad[fmt.Sprintf("Ed25519 of small order %d", i)] = edit(rfc8037JWK, "x", `"`+b64.EncodeToString(y[:])+`"`)
		y[31] |= 0x80
		bad[fmt.Sprintf("Ed25519 of small order %d, signed", i)] = edit(rfc8037JWK, "x", `"`+b64.EncodeToString(y[:])+`"`)
	}
	return bad
}

// beyondP is a little-endian number of p or a little more.
func beyondP(low byte) []byte {
	y := slices.Repeat([]byte{0xff}, 32)
	y[0], y[31] = max(low, 0xed), 0x7f
	return y
}

func TestParsePublicJWKRefuses(t *testing.T) {
	for name, raw := range badJWKs(t) {
		t.Run(name, func(t *testing.T) {
			if _, jkt, err := ParsePublicJWK([]byte(raw)); !errors.Is(err, ErrKey) {
				t.Errorf("ParsePublicJWK = %s, %v", jkt, err)
			}
			if _, err := ParseKeySet([]byte(`{"keys":[` + raw + `]}`)); !errors.Is(err, ErrKey) {
				t.Errorf("ParseKeySet = %v", err)
			}
		})
	}
}

// TestSmallOrder shows why: with each of these keys a signature that nobody made verifies.
func TestSmallOrder(t *testing.T) {
	seed := make([]byte, 32)
	pub := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey) // R = [s]B
	h := sha512.Sum512(seed)
	h[0], h[31] = h[0]&248, h[31]&127|64
	slices.Reverse(h[:32])
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := new(big.Int).Mod(new(big.Int).SetBytes(h[:32]), order).FillBytes(make([]byte, 32))
	slices.Reverse(s)
	forged := append(slices.Clone(pub), s...)
	for i, y := range smallOrder {
		verifies := slices.ContainsFunc(make([]int, 400), func(int) bool {
			return ed25519.Verify(y[:], []byte(NewID("")), forged)
		})
		if !verifies {
			t.Errorf("point %d is not of small order", i)
		}
	}
}

func TestSigningKey(t *testing.T) {
	k := newKey(t)
	raw := must[[]byte](t)(k.Marshal())
	again, err := ParseSigningKey(raw)
	if err != nil || again.ID() != k.ID() || !again.key.Equal(k.key) {
		t.Fatalf("ParseSigningKey = %v", err)
	}
	var oracle jose.JSONWebKey
	if err := json.Unmarshal(raw, &oracle); err != nil || !oracle.Valid() || oracle.IsPublic() {
		t.Errorf("go-jose does not read the key: %v", err)
	}
	if err := json.Unmarshal(k.PublicJWK(), &oracle); err != nil || !oracle.Valid() || !oracle.IsPublic() || oracle.KeyID != k.ID() || oracle.Use != "sig" {
		t.Errorf("go-jose does not read the public key: %v", err)
	}
	if strings.Contains(string(k.PublicJWK()), `"d"`) {
		t.Error("the public key is private")
	}
	other := newKey(t)
	o := other.jwk()
	for name, bad := range map[string]string{
		"nothing":                ``,
		"a public key":           string(k.PublicJWK()),
		"another public half":    edit(edit(string(raw), "x", `"`+o.x+`"`), "y", `"`+o.y+`"`),
		"another kid":            edit(string(raw), "kid", `"x"`),
		"d is zero":              edit(string(raw), "d", `"`+strings.Repeat("A", 43)+`"`),
		"d is beyond the order":  edit(string(raw), "d", `"`+b64.EncodeToString(slices.Repeat([]byte{0xff}, 32))+`"`),
		"d is short":             edit(string(raw), "d", `"AQ"`),
		"another curve":          edit(string(raw), "crv", `"P-384"`),
		"D":                      strings.Replace(string(raw), `"d"`, `"D"`, 1),
		"a member twice":         string(raw[:len(raw)-1]) + `,"kty":"EC"}`,
		"something behind it":    string(raw) + "x",
		"a member nobody knows":  edit(string(raw), "exp", `1`),
		"of a kind nobody knows": edit(string(raw), "kty", `"RSA"`),
	} {
		_, err := ParseSigningKey([]byte(bad))
		if !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), b64.EncodeToString(must[[]byte](t)(k.key.Bytes()))) {
			t.Errorf("%s: the error tells the key", name)
		}
	}
	var none SigningKey
	if _, err := none.Marshal(); err == nil {
		t.Error("no key marshals")
	}
	if _, err := none.Sign("x", 1); err == nil {
		t.Error("no key signs")
	}
}

func TestKeySet(t *testing.T) {
	a, b := newKey(t), newKey(t)
	set := NewKeySet(a, b, a)
	raw := must[[]byte](t)(set.JWKS())
	again := must[KeySet](t)(ParseKeySet(raw))
	if !again.Has(a.ID()) || !again.Has(b.ID()) || again.Has("") || len(again.keys) != 2 {
		t.Errorf("ParseKeySet(JWKS) = %+v", again)
	}
	var oracle jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &oracle); err != nil || len(oracle.Keys) != 2 || !oracle.Keys[0].IsPublic() {
		t.Errorf("go-jose does not read the set: %v", err)
	}
	if none := must[[]byte](t)(KeySet{}.JWKS()); string(none) != `{"keys":[]}` {
		t.Errorf("no keys are %s", none)
	}
	mixed := must[KeySet](t)(ParseKeySet([]byte(`{"keys":[` + rfc8037JWK + `,` + rfc9449JWK + `],"more":1}`)))
	if !mixed.Has(rfc8037JKT) || !mixed.Has(rfc9449JKT) {
		t.Error("a key without kid does not go by its thumbprint")
	}
	for name, bad := range map[string]string{
		"no object":         `[]`,
		"no keys":           `{}`,
		"an empty list":     `{"keys":[]}`,
		"Keys":              `{"Keys":[` + rfc8037JWK + `]}`,
		"keys twice":        `{"keys":[` + rfc8037JWK + `],"keys":[` + rfc9449JWK + `]}`,
		"one bad among two": `{"keys":[` + rfc8037JWK + `,{"kty":"oct","k":"AQ"}]}`,
		"a kid twice":       `{"keys":[` + edit(rfc8037JWK, "kid", `"k"`) + `,` + edit(rfc9449JWK, "kid", `"k"`) + `]}`,
		"the same key":      `{"keys":[` + rfc8037JWK + `,` + rfc8037JWK + `]}`,
		"for encryption":    `{"keys":[` + edit(rfc9449JWK, "use", `"enc"`) + `]}`,
		"of another alg":    `{"keys":[` + edit(rfc9449JWK, "alg", `"ES384"`) + `]}`,
		"33 keys":           `{"keys":[` + strings.Join(manyJWKs(33), ",") + `]}`,
	} {
		if _, err := ParseKeySet([]byte(bad)); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseKeySet([]byte(`{"keys":[` + strings.Join(manyJWKs(32), ",") + `]}`)); err != nil {
		t.Errorf("32 keys: %v", err)
	}
}

func manyJWKs(n int) (all []string) {
	for i := range n {
		all = append(all, edit(rfc9449JWK, "kid", fmt.Sprintf(`"k%d"`, i)))
	}
	return all
}
