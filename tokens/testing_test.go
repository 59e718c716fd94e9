package tokens

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	testIssuer   = "https://as.example"
	testResource = "https://tickets.example/mcp"
	testToken    = "https://as.example/token"
)

var testNow = time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC)

// must stops the test when a step that is not under test fails.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newKey(t testing.TB) SigningKey { t.Helper(); return must[SigningKey](t)(NewSigningKey()) }

// edit returns the JSON object with one member set to a raw value, or without it for "".
func edit(object, name, value string) string {
	members, err := Members([]byte(object))
	if err != nil {
		panic(err)
	}
	var out []string
	for _, m := range members {
		if m.Name != name {
			out = append(out, fmt.Sprintf("%q:%s", m.Name, m.Value))
		}
	}
	if value != "" {
		out = append(out, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(out, ",") + "}"
}

// mint is the raw writer of the attack cases: any header, any payload, a true signature.
func mint(t testing.TB, key *ecdsa.PrivateKey, header, payload string) string {
	t.Helper()
	return must[string](t)(SigningKey{key: key}.compact([]byte(header), []byte(payload)))
}

func mintEd(key ed25519.PrivateKey, header, payload string) string {
	text := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	return text + "." + b64.EncodeToString(ed25519.Sign(key, []byte(text)))
}

// twin returns the other ES256 signature of the same text: (r, n-s).
func twin(raw string) string {
	i := strings.LastIndexByte(raw, '.')
	sig, _ := b64.DecodeString(raw[i+1:])
	n, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	n.Sub(n, new(big.Int).SetBytes(sig[32:])).FillBytes(sig[32:])
	return raw[:i+1] + b64.EncodeToString(sig)
}

// header and payload as JSON, for go-cmp.
func jsonEqual(t testing.TB, got, want []byte) {
	t.Helper()
	var g, w any
	if err := json.NewDecoder(bytes.NewReader(got)).Decode(&g); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(want, &w); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(w, g); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
