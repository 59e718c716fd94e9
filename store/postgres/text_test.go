package postgres

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", "a\x00b", "\xff\xfe", "\uE000", "\uE00000", "näh \u202e 🐈", "\xee\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		stored := encodeText(s)
		if !utf8.ValidString(stored) || strings.ContainsRune(stored, 0) {
			t.Errorf("%q is stored as %q", s, stored)
		}
		if back := decodeText(stored); back != s {
			t.Errorf("%q comes back as %q", s, back)
		}
	})
}
