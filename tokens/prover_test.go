package tokens

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRememberedProver: that a header is known spares none of the checks on the rest of the proof.
func TestRememberedProver(t *testing.T) {
	key, err := NewProofKey()
	if err != nil {
		t.Fatal(err)
	}
	const url = "https://tickets.example/mcp"
	now := time.Unix(1_800_000_000, 0)
	prove := func(method string, at time.Time) string {
		raw, err := key.Proof(method, url, "", "", at)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	want := ProofWant{Method: "POST", URL: url, Now: now}
	good := prove("POST", now)
	for range 2 {
		p, err := ParseProof([]string{good}, want)
		if err != nil || p.JKT != key.JKT() {
			t.Fatalf("ParseProof = %+v, %v", p, err)
		}
	}
	parts, other := strings.Split(good, "."), strings.Split(prove("POST", now.Add(time.Second)), ".")
	if _, known := provers.get(parts[0]); !known {
		t.Fatal("the header of a good proof was not remembered")
	}
	tests := map[string]struct {
		proof string
		want  error
	}{
		"another proof's signature": {parts[0] + "." + parts[1] + "." + other[2], ErrProofSignature},
		"another proof's claims":    {parts[0] + "." + other[1] + "." + parts[2], ErrProofSignature},
		"a short signature":         {parts[0] + "." + parts[1] + "." + parts[2][:84], ErrProofSignature},
		"another method":            {prove("GET", now), ErrProofMethod},
		"another time":              {prove("POST", now.Add(-time.Hour)), ErrProofTime},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseProof([]string{tt.proof}, want); !errors.Is(err, tt.want) {
				t.Errorf("ParseProof = %v, want %v", err, tt.want)
			}
		})
	}
}

// TestProversForget: only headers of good signatures are remembered, and not without end.
func TestProversForget(t *testing.T) {
	stranger, err := NewProofKey()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := stranger.Proof("POST", "https://a.example/", "", "", time.Unix(1_800_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(raw, ".")
	claims, _, _ := strings.Cut(rest, ".")
	forged := head + "." + claims + "." + strings.Repeat("A", 86)
	if _, err := ParseProof([]string{forged}, ProofWant{Method: "POST", URL: "https://a.example/", Now: time.Unix(1_800_000_000, 0)}); !errors.Is(err, ErrProofSignature) {
		t.Fatal(err)
	}
	if _, known := provers.get(head); known {
		t.Error("the header of a forged proof was remembered")
	}
	var m proverMemory
	for i := range 3 * maxProvers {
		m.put(fmt.Sprint(i), prover{})
	}
	m.put(strings.Repeat("h", maxProverText+1), prover{})
	if n := len(m.young) + len(m.old); n > 2*maxProvers {
		t.Errorf("%d headers are remembered", n)
	}
}
