package tokens

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TestEdDSA signs and verifies everything with a key of Ed25519, beside one of P-256.
func TestEdDSA(t *testing.T) {
	ec, ed := newKey(t), must[SigningKey](t)(NewSigningKeyFor("EdDSA"))
	if ec.Algorithm() != "ES256" || ed.Algorithm() != "EdDSA" {
		t.Fatalf("algorithms %s and %s", ec.Algorithm(), ed.Algorithm())
	}
	kept := must[SigningKey](t)(ParseSigningKey(must[[]byte](t)(ed.Marshal())))
	set := must[KeySet](t)(ParseKeySet(must[[]byte](t)(NewKeySet(ec, ed).JWKS())))
	want := AccessWant{Issuer: testClaims(t).Issuer, Audience: testClaims(t).Audience, Now: testNow}
	for name, k := range map[string]SigningKey{"ES256": ec, "EdDSA": ed, "EdDSA kept": kept} {
		raw := must[string](t)(k.SignAccessToken(testClaims(t)))
		got, err := set.VerifyAccessToken(raw, want)
		if err != nil || got.KeyID != k.ID() {
			t.Errorf("%s: kid %s, %v", name, got.KeyID, err)
		}
	}
	raw := must[string](t)(ed.Sign("JWT", map[string]string{"a": "b"}))
	oracle, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := oracle.Verify(ed.public()); err != nil {
		t.Errorf("go-jose: %v", err)
	}
	proving := proofKey(ed)
	proof := must[string](t)(proving.Proof("POST", "https://as.example/token", "", "", testNow))
	if p, err := ParseProof([]string{proof}, ProofWant{Method: "POST", URL: "https://as.example/token", Now: testNow, MaxAge: time.Minute, MaxAhead: time.Minute}); err != nil || p.JKT != ed.ID() {
		t.Errorf("proof of %s: %v", p.JKT, err)
	}
	if _, err := NewSigningKeyFor("RS256"); !errors.Is(err, ErrKey) {
		t.Errorf("RS256: %v", err)
	}
}

// TestAlgorithmConfusion presents a key's kid with the other key's algorithm, in every way.
func TestAlgorithmConfusion(t *testing.T) {
	ec, ed := newKey(t), must[SigningKey](t)(NewSigningKeyFor("EdDSA"))
	set := NewKeySet(ec, ed)
	payload := must[[]byte](t)(json.Marshal(testClaims(t)))
	forge := func(by SigningKey, alg, kid string) string {
		return must[string](t)(by.compact(fmt.Appendf(nil, `{"alg":%q,"typ":"at+jwt","kid":%q}`, alg, kid), payload))
	}
	for name, raw := range map[string]string{
		"the EC key's kid, EdDSA, signed by the EC key": forge(ec, "EdDSA", ec.ID()),
		"the EC key's kid, EdDSA, signed by the Ed key": forge(ed, "EdDSA", ec.ID()),
		"the EC key's kid, ES256, signed by the Ed key": forge(ed, "ES256", ec.ID()),
		"the Ed key's kid, ES256, signed by the Ed key": forge(ed, "ES256", ed.ID()),
		"the Ed key's kid, ES256, signed by the EC key": forge(ec, "ES256", ed.ID()),
		"the Ed key's kid, EdDSA, signed by the EC key": forge(ec, "EdDSA", ed.ID()),
		"the Ed key's kid, Ed25519 (RFC 9864)":          forge(ed, "Ed25519", ed.ID()),
		"the Ed key's kid, none":                        forge(ed, "none", ed.ID()),
		"the Ed key's kid, HS256":                       hs256(t, ec, fmt.Sprintf(`{"alg":"HS256","typ":"at+jwt","kid":%q}`, ed.ID()), string(payload)),
	} {
		if _, err := set.OpenAccessToken(raw, testClaims(t).Issuer); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := forge(ed, "EdDSA", ed.ID())
	if _, err := set.OpenAccessToken(good, testClaims(t).Issuer); err != nil {
		t.Errorf("the good one: %v", err)
	}
	if _, err := set.Without(ed.ID()).OpenAccessToken(good, testClaims(t).Issuer); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("without its key: %v", err)
	}
}

// TestParseEdDSAKeyRefuses holds private keys of Ed25519 to one form.
func TestParseEdDSAKeyRefuses(t *testing.T) {
	good := string(must[[]byte](t)(must[SigningKey](t)(NewSigningKeyFor("EdDSA")).Marshal()))
	other := must[SigningKey](t)(NewSigningKeyFor("EdDSA"))
	for name, raw := range map[string]string{
		"crv X25519":           strings.Replace(good, "Ed25519", "X25519", 1),
		"kty EC":               strings.Replace(good, `"OKP"`, `"EC"`, 1),
		"a y":                  edit(good, "y", `"AA"`),
		"x of another":         edit(good, "x", `"`+other.jwk().x+`"`),
		"kid of another":       edit(good, "kid", `"`+other.ID()+`"`),
		"d short":              edit(good, "d", `"AAAA"`),
		"d with the public":    edit(good, "d", `"`+b64.EncodeToString(make([]byte, ed25519.PrivateKeySize))+`"`),
		"a member of no place": edit(good, "z", `1`),
	} {
		if _, err := ParseSigningKey([]byte(raw)); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseSigningKey([]byte(good)); err != nil {
		t.Errorf("the good one: %v", err)
	}
}
