package onetime_test

import (
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server/onetime"
)

// FuzzCheck: only six digits can be right, only in three steps of time, and no secret opens with
// nothing.
func FuzzCheck(f *testing.F) {
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // RFC 6238, appendix B
	f.Add(secret, "287082", int64(59))
	f.Add(secret, " 287 082 ", int64(89))
	f.Add(secret, "", int64(0))
	f.Add("", "", int64(0))
	f.Add("not base32!", "000000", int64(-1))
	f.Fuzz(func(t *testing.T, secret, code string, at int64) {
		step, ok := onetime.Check(secret, code, time.Unix(at, 0))
		digits := strings.Join(strings.Fields(code), "")
		if ok && (len(digits) != 6 || strings.Trim(digits, "0123456789") != "") {
			t.Errorf("Check(%q, %q, %d) is right", secret, code, at)
		}
		if ok && (step < at/30-1 || step > at/30+1) {
			t.Errorf("Check(%q, %q, %d) stands for step %d", secret, code, at, step)
		}
	})
}

// FuzzRecovery: a code that was read once reads the same again.
func FuzzRecovery(f *testing.F) {
	for _, code := range append(onetime.RecoveryCodes(2), "", " A-B 01 ", "\xff-") {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code string) {
		once := onetime.Recovery(code)
		if twice := onetime.Recovery(once); twice != once && strings.TrimSpace(once) == once {
			t.Errorf("Recovery(%q) = %q, and of that %q", code, once, twice)
		}
		if strings.ContainsAny(once, "- 01") {
			t.Errorf("Recovery(%q) = %q", code, once)
		}
	})
}
