package store

import "testing"

func TestEmailKey(t *testing.T) {
	for email, want := range map[string]string{
		"Mara@Demo.Example":      "mara@demo.example",
		"JÜRGEN@demo.example":    "jürgen@demo.example",
		"\u212aim@demo.example":  "\u212aim@demo.example", // a Kelvin sign
		"\u0130vo@demo.example":  "\u0130vo@demo.example", // an I with a dot
		"kim+tickets@a.example ": "kim+tickets@a.example ",
	} {
		if got := EmailKey(email); got != want {
			t.Errorf("%q: %q, want %q", email, got, want)
		}
	}
}
