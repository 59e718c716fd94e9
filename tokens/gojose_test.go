package tokens

import (
	"crypto/ed25519"
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// TestGoJose: what another library signs, as other people's agents and clients do, verifies here,
// and what is signed here verifies there.
func TestGoJose(t *testing.T) {
	ec := newKey(t)
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		alg jose.SignatureAlgorithm
		key any
	}{"ES256": {jose.ES256, ec.key}, "EdDSA": {jose.EdDSA, ed}} {
		t.Run(name, func(t *testing.T) {
			key := jose.SigningKey{Algorithm: tt.alg, Key: tt.key}
			proof := joseSign(t, key, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"), proofPayload())
			if _, err := ParseProof([]string{proof}, wantProof()); err != nil {
				t.Errorf("ParseProof = %v", err)
			}
			jwk := jose.JSONWebKey{Key: tt.key, KeyID: "k1", Algorithm: string(tt.alg), Use: "sig"}
			set := must[[]byte](t)(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk.Public()}}))
			keys := must[KeySet](t)(ParseKeySet(set))
			assertion := joseSign(t, jose.SigningKey{Algorithm: tt.alg, Key: jwk}, (&jose.SignerOptions{}).WithType("JWT"), assertionPayload())
			if _, err := keys.VerifyAssertion(assertion, testClient, testIssuer, testNow); err != nil {
				t.Errorf("VerifyAssertion = %v", err)
			}
		})
	}
	raw := must[string](t)(ec.SignAccessToken(testClaims(t)))
	josePayload(t, raw, func(*jose.JSONWebSignature) any { return &ec.key.PublicKey })
	k := must[ProofKey](t)(NewProofKey())
	raw = must[string](t)(k.Proof("POST", testToken, "n", "t", testNow))
	josePayload(t, raw, func(jws *jose.JSONWebSignature) any { return jws.Signatures[0].Header.JSONWebKey })
}

func joseSign(t *testing.T, key jose.SigningKey, options *jose.SignerOptions, payload string) string {
	t.Helper()
	signer := must[jose.Signer](t)(jose.NewSigner(key, options))
	jws := must[*jose.JSONWebSignature](t)(signer.Sign([]byte(payload)))
	return must[string](t)(jws.CompactSerialize())
}
