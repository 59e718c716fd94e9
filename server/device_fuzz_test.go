package server_test

import (
	"testing"

	"github.com/remit-auth/remit/server"
)

// FuzzUserCode: whatever is read as a code is spelled in the one form, which reads as itself.
func FuzzUserCode(f *testing.F) {
	for _, seed := range []string{"BCDF-GHJK", "bcdfghjk", "BCDF GHJK", "", "BCDF-GHJA", "----", "bcdf.ghjk "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := server.ReadUserCode(typed)
		if !ok {
			return
		}
		if again, ok := server.ReadUserCode(code); !ok || again != code || len(code) != 9 || code[4] != '-' {
			t.Fatalf("%q: %q, then %q", typed, code, again)
		}
	})
}
