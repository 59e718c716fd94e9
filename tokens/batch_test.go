package tokens

import (
	"errors"
	"testing"
	"time"
)

func TestBatch(t *testing.T) {
	key, other := must[SigningKey](t)(NewSigningKey()), must[SigningKey](t)(NewSigningKey())
	good := BatchClaims{
		Guard: "grd_1", Issuer: "https://id.example", Replica: "rpl_1", First: 7, Count: 2,
		Digest: BatchDigest([]string{HashBytes([]byte("a")), HashBytes([]byte("b"))}), At: time.Unix(1e9, 0).UTC(),
	}
	raw := must[string](t)(key.SignBatch(good))
	if got, err := NewKeySet(key).VerifyBatch(raw); err != nil || got != good {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := NewKeySet(other).VerifyBatch(raw); err == nil {
		t.Error("another key's signature is good")
	}
	if BatchDigest([]string{HashBytes([]byte("b")), HashBytes([]byte("a"))}) == good.Digest {
		t.Error("the order does not count")
	}
	for name, change := range map[string]func(*BatchClaims){
		"no Guard": func(c *BatchClaims) { c.Guard = "" }, "no issuer": func(c *BatchClaims) { c.Issuer = "" },
		"no first": func(c *BatchClaims) { c.First = 0 }, "no digest": func(c *BatchClaims) { c.Digest = "x" },
	} {
		bad := good
		change(&bad)
		if _, err := key.SignBatch(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	checkpoint := must[string](t)(key.Sign("JWT", map[string]any{"iss": "grd_1"}))
	if _, err := NewKeySet(key).VerifyBatch(checkpoint); !errors.Is(err, ErrWrongType) {
		t.Errorf("another type: %v", err)
	}
}

func FuzzVerifyBatch(f *testing.F) {
	f.Add([]byte(`{"iss":"grd_1","aud":"https://id.example","iat":1,"first":1,"count":1,"digest":"x"}`))
	key, err := NewSigningKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		raw, err := key.Sign(TypeBatch, rawJSON(payload))
		if err != nil {
			return
		}
		if c, err := NewKeySet(key).VerifyBatch(raw); err == nil && c.check() != nil {
			t.Fatalf("%s is taken as %+v", payload, c)
		}
	})
}

// rawJSON is written as it is.
type rawJSON []byte

func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }
