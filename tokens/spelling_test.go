package tokens

import "testing"

func TestOneSpelling(t *testing.T) {
	const canonical = "eyJh.e30.AAAAAAA"
	tests := map[string]struct{ in, want string }{
		"as it is":             {canonical, canonical},
		"unused bits":          {"eyJh.e31.AAAAAAB", canonical},
		"line ends":            {"eyJh.\ne30.AAAA\r\nAAA\n", canonical},
		"bits that count":      {"eyJh.e30.AAAAAAQ", "eyJh.e30.AAAAAAQ"},
		"another alphabet":     {"eyJh.e30.AAAA+/A", "eyJh.e30.AAAA+/A"},
		"padding":              {canonical + "=", canonical + "="},
		"no JWS":               {"\x01", "\x01"},
		"a blank":              {" " + canonical, " " + canonical},
		"nothing":              {"", ""},
		"an opaque token":      {"ra_AAAAAAAB", "ra_AAAAAAAB"},
		"a segment cut in two": {"eyJh.e.AAAAAAA", "eyJh.e.AAAAAAA"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := OneSpelling(tt.in); got != tt.want {
				t.Errorf("OneSpelling(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}
