package tokens

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"testing"
)

// BenchmarkECDSAVerify is the ceiling: what no verifier of ES256 can avoid.
func BenchmarkECDSAVerify(b *testing.B) {
	k := newKey(b)
	digest := sha256.Sum256([]byte("x"))
	r, s, err := ecdsa.Sign(rand.Reader, k.key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	sig := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	b.ReportAllocs()
	for b.Loop() {
		if !ecdsa.Verify(&k.key.PublicKey, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
			b.Fatal("wrong")
		}
	}
}

// BenchmarkECDSASign is the ceiling of signing.
func BenchmarkECDSASign(b *testing.B) {
	k := newKey(b)
	digest := sha256.Sum256([]byte("x"))
	for b.Loop() {
		if _, _, err := ecdsa.Sign(rand.Reader, k.key, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyAccessToken(b *testing.B) {
	k := newKey(b)
	raw := must[string](b)(k.SignAccessToken(testClaims(b)))
	keys := NewKeySet(newKey(b), k)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keys.VerifyAccessToken(raw, wantAccess(testNow)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseProof(b *testing.B) {
	k := must[ProofKey](b)(NewProofKey())
	want := wantProof()
	want.AccessToken = must[string](b)(newKey(b).SignAccessToken(testClaims(b)))
	headers := []string{must[string](b)(k.Proof("POST", testToken, "nonce", want.AccessToken, testNow))}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseProof(headers, want); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignAccessToken(b *testing.B) {
	k, c := newKey(b), testClaims(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.SignAccessToken(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignProof(b *testing.B) {
	k := must[ProofKey](b)(NewProofKey())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Proof("POST", testToken, "nonce", "token", testNow); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckArguments(b *testing.B) {
	c := must[Constraints](b)(ParseConstraints([]byte(`{"project":{"const":"WEB"},"limit":{"maximum":50},"text":{"pattern":"[a-z ]+"}}`)))
	arguments := []byte(`{"project":"WEB","limit":20,"text":"the login page fails"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.CheckArguments(arguments, []byte(testSchema)); err != nil {
			b.Fatal(err)
		}
	}
}
