package onetime_test

import (
	"encoding/base32"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server/onetime"
)

// TestCheck plays the SHA-1 vectors of RFC 6238 appendix B, cut to six digits.
func TestCheck(t *testing.T) {
	secret := base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))
	for at, code := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		now := time.Unix(at, 0)
		if step, ok := onetime.Check(secret, code, now); !ok || step != at/30 {
			t.Errorf("Check at %d = %d, %v", at, step, ok)
		}
		if _, ok := onetime.Check(secret, code[:3]+" "+code[3:], now.Add(30*time.Second)); !ok {
			t.Errorf("at %d: a code typed in two groups, one step late, is refused", at)
		}
		for name, bad := range map[string]string{"none": "", "short": code[:5], "long": code + "0", "another": "000000"} {
			if _, ok := onetime.Check(secret, bad, now); ok {
				t.Errorf("at %d: %s code accepted", at, name)
			}
		}
		for _, late := range []time.Duration{-90 * time.Second, 90 * time.Second} {
			if _, ok := onetime.Check(secret, code, now.Add(late)); ok {
				t.Errorf("at %d: accepted %s away", at, late)
			}
		}
	}
}

func TestURI(t *testing.T) {
	u, err := url.Parse(onetime.URI("SECRET", "Acme ID", "mara+x@acme.example"))
	if err != nil || u.Scheme != "otpauth" || u.Path != "/Acme ID:mara+x@acme.example" || u.Query().Get("issuer") != "Acme ID" || strings.Contains(u.RawQuery, "+") {
		t.Errorf("URI = %v, %v", u, err)
	}
}

func TestRecoveryCodes(t *testing.T) {
	seen := make(map[string]bool)
	for _, code := range onetime.RecoveryCodes(100) {
		if len(code) != 19 || seen[code] {
			t.Errorf("code %q", code)
		}
		seen[code] = true
		if typed := " " + strings.ToUpper(strings.ReplaceAll(code, "-", " ")); onetime.Recovery(typed) != onetime.Recovery(code) {
			t.Errorf("%q is not %q", typed, code)
		}
	}
}
