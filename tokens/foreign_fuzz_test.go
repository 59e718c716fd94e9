package tokens

import (
	"testing"
	"time"
)

// FuzzForeign: no text makes the parser of foreign JWTs do anything but refuse, for no key is known.
func FuzzForeign(f *testing.F) {
	for _, seed := range []string{"", "a.b.c", "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.AAAA", "eyJhbGciOiJub25lIn0.e30."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		PeekForeign(raw)
		if _, err := (ForeignKeys{}).Verify(raw, ForeignWant{Types: []string{"", "JWT"}, Issuer: "a", Audiences: []string{"b"}, Now: time.Unix(1e9, 0)}); err == nil {
			t.Fatalf("%q was verified by nobody's key", raw)
		}
	})
}
