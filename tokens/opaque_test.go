package tokens_test

import (
	"strings"
	"testing"

	"github.com/remit-auth/remit/tokens"
)

func TestOpaque(t *testing.T) {
	token, jti := tokens.NewOpaque()
	if got, ok := tokens.OpaqueID(token); !ok || got != jti {
		t.Fatalf("OpaqueID = %q, %v; want %q", got, ok, jti)
	}
	if strings.Contains(token, strings.TrimPrefix(jti, "at_")) {
		t.Error("the jti tells of the token")
	}
	for name, text := range map[string]string{
		"nothing": "", "another prefix": "rr_" + token[3:], "cut": token[:len(token)-1], "longer": token + "A",
		"a line end": token + "\n", "padding": token + "=", "no base64url": "ra_" + strings.Repeat("*", 43),
	} {
		if got, ok := tokens.OpaqueID(text); ok {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzOpaqueID(f *testing.F) {
	token, _ := tokens.NewOpaque()
	f.Add(token)
	f.Add("ra_")
	f.Fuzz(func(t *testing.T, text string) {
		if jti, ok := tokens.OpaqueID(text); ok != (jti != "") || ok && len(text) != len(token) {
			t.Errorf("OpaqueID(%q) = %q, %v", text, jti, ok)
		}
	})
}

func FuzzParseClaims(f *testing.F) {
	f.Add([]byte(`{"iss":"i","sub":"s","aud":"a","client_id":"c","jti":"j","iat":1,"exp":2,"task":{"id":"t","exp":3}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := tokens.ParseClaims(raw)
		if err != nil {
			return
		}
		again, err := c.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tokens.ParseClaims(again); err != nil && c.Audience != "" {
			t.Errorf("%s: %v", again, err)
		}
	})
}
