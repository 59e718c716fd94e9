package tokens

import (
	"bytes"
	"encoding/binary"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id, secret := NewID("tsk_"), NewSecret("rr_")
		if !regexp.MustCompile(`^tsk_[a-z2-7]{26}$`).MatchString(id) || !regexp.MustCompile(`^rr_[A-Za-z0-9_-]{43}$`).MatchString(secret) {
			t.Fatal(id, secret)
		}
		if seen[id] || seen[secret] {
			t.Fatal("twice:", id, secret)
		}
		seen[id], seen[secret] = true, true
		made, err := idEncoding.DecodeString(id[4:])
		if err != nil || time.Since(time.Unix(int64(binary.BigEndian.Uint32(made)), 0)).Abs() > time.Minute {
			t.Fatalf("%s does not lie beside its like: %v", id, err)
		}
	}
	if got := HashBytes([]byte("abc")); got != "sha-256:ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0" { // FIPS 180-2 B.1
		t.Errorf("HashBytes = %s", got)
	}
}

func TestPKCE(t *testing.T) {
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636 appendix B
	if S256(verifier) != challenge || !VerifyPKCE(verifier, challenge) || !ValidVerifier(verifier) || !ValidChallenge(challenge) {
		t.Error("RFC 7636 appendix B fails")
	}
	long := strings.Repeat("a", 128)
	if !VerifyPKCE(long, S256(long)) {
		t.Error("128 characters fail")
	}
	for name, v := range map[string]string{
		"empty": "", "another": strings.ToUpper(verifier), "42 characters": verifier[:42], "129 characters": long + "a",
		"padded": verifier + "=", "a plus": verifier[:42] + "+", "the challenge itself": challenge, "beyond ASCII": verifier[:41] + "ü", "a zero byte": verifier[:42] + "\x00",
	} {
		if VerifyPKCE(v, challenge) {
			t.Errorf("%s verifies", name)
		}
		if short := v; len(short) < 43 && VerifyPKCE(short, S256(short)) {
			t.Errorf("%s verifies against its own challenge", name)
		}
	}
	for name, c := range map[string]string{
		"empty": "", "plain": verifier[:42], "padded": challenge + "=", "stray bits": challenge[:42] + "N", "44": challenge + "A", "a line break": challenge[:42] + "\n", "a plus": "+" + challenge[1:],
	} {
		if ValidChallenge(c) || VerifyPKCE(verifier, c) {
			t.Errorf("challenge %s is valid", name)
		}
	}
}

func TestNonces(t *testing.T) {
	n := NewNonces([]byte("key"), time.Minute)
	nonce := n.Issue("epoch", testNow)
	if len(nonce) != 24 || n.Issue("epoch", testNow.Add(time.Second)) != nonce {
		t.Errorf("Issue = %s", nonce)
	}
	for after, ok := range map[time.Duration]bool{0: true, 59 * time.Second: true, 60 * time.Second: true, 119 * time.Second: true, 120 * time.Second: false, -time.Second: false, time.Hour: false} {
		if n.Check(nonce, "epoch", testNow.Add(after)) != ok {
			t.Errorf("after %v: %v", after, !ok)
		}
	}
	if !NewNonces([]byte("key"), time.Minute).Check(nonce, "epoch", testNow) {
		t.Error("another instance with the same key does not know it")
	}
	for name, ok := range map[string]bool{ // DP18
		"another epoch": n.Check(nonce, "epoch2", testNow),
		"another key":   NewNonces([]byte("key2"), time.Minute).Check(nonce, "epoch", testNow),
		"another life":  NewNonces([]byte("key"), time.Hour).Check(nonce, "epoch", testNow),
		"forged":        n.Check(NewSecret("")[:24], "epoch", testNow),
		"empty":         n.Check("", "epoch", testNow),
		"cut":           n.Check(nonce[:23], "epoch", testNow),
		"longer":        n.Check(nonce+"A", "epoch", testNow),
	} {
		if ok {
			t.Errorf("%s is accepted", name)
		}
	}
	for _, bad := range []func(){func() { NewNonces(nil, time.Minute) }, func() { NewNonces([]byte("k"), 0) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			bad()
		}()
	}
}

func TestSealer(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	s := must[Sealer](t)(NewSealer(key))
	for _, plain := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("secret"), 1000)} {
		sealed := must[[]byte](t)(s.Seal(plain, "keys/1"))
		if got, err := s.Open(sealed, "keys/1"); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("Open = %q, %v", got, err)
		}
		if len(plain) > 1 && bytes.Contains(sealed, plain[:6]) {
			t.Error("the seal shows the text")
		}
		if again := must[[]byte](t)(s.Seal(plain, "keys/1")); bytes.Equal(again, sealed) {
			t.Error("the same seal twice")
		}
	}
	sealed := must[[]byte](t)(s.Seal([]byte("x"), "keys/1"))
	other := must[Sealer](t)(NewSealer(bytes.Repeat([]byte{8}, 32)))
	for i := range sealed {
		broken := bytes.Clone(sealed)
		broken[i] ^= 1
		if _, err := s.Open(broken, "keys/1"); !errors.Is(err, ErrSealed) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if _, err := s.Open(sealed[:i], "keys/1"); !errors.Is(err, ErrSealed) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	for name, open := range map[string]func() ([]byte, error){
		"another label": func() ([]byte, error) { return s.Open(sealed, "keys/2") },
		"another key":   func() ([]byte, error) { return other.Open(sealed, "keys/1") },
		"no key":        func() ([]byte, error) { return Sealer{}.Open(sealed, "keys/1") },
	} {
		if got, err := open(); !errors.Is(err, ErrSealed) || got != nil {
			t.Errorf("%s opens: %v", name, err)
		}
	}
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := NewSealer(make([]byte, n)); err == nil {
			t.Errorf("a master key of %d bytes", n)
		}
	}
	if _, err := (Sealer{}).Seal([]byte("x"), ""); err == nil {
		t.Error("no key seals")
	}
}

func TestSealFor(t *testing.T) {
	secret := NewSecret("rr_")
	sealed := must[[]byte](t)(SealFor(secret, []byte("successor")))
	if got, err := OpenFor(secret, sealed); err != nil || string(got) != "successor" {
		t.Errorf("OpenFor = %q, %v", got, err)
	}
	if _, err := OpenFor(NewSecret("rr_"), sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("another secret: %v", err)
	}
	if _, err := OpenFor(secret, nil); !errors.Is(err, ErrSealed) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := SealFor("password", []byte("x")); err == nil {
		t.Error("a guessable secret seals")
	}
}
