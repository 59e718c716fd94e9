package web

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPlain(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"nothing to do":        {"Claude Code", "Claude Code"},
		"other scripts":        {"नमस्ते 日本語 עברית", "नमस्ते 日本語 עברית"},
		"bidi override":        {"evil\u202egnp.exe", "evilgnp.exe"},
		"bidi isolate":         {"\u2066a\u2069", "a"},
		"zero width":           {"cla\u200bude\ufeff", "claude"},
		"tag characters":       {"a\U000e0041\U000e0042", "a"},
		"control":              {"a\x00\x1b[31mb\x7f", "a[31mb"},
		"lines":                {" a\r\n\t b\u2028c\u00a0", "a b c"},
		"only invisible":       {"\u200b\u3164\u2800", ""},
		"a tower of marks":     {"e" + strings.Repeat("\u0301", 50), "e" + strings.Repeat("\u0301", maxMarks)},
		"too long":             {strings.Repeat("é", 65), strings.Repeat("é", 64) + "…"},
		"just long enough":     {strings.Repeat("é", 64), strings.Repeat("é", 64)},
		"invalid UTF-8":        {"a\xffb", "a\ufffdb"},
		"markup is not text's": {"<b>", "<b>"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := plain(tt.in, maxName); got != tt.want {
				t.Errorf("plain(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestExact(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"nothing to do":  {"Only project: WEB", "Only project: WEB"},
		"long is kept":   {strings.Repeat("W", 500), strings.Repeat("W", 500)},
		"hidden is seen": {"WEB\u200b\u202e\n", "WEB\ufffd\ufffd\ufffd"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := exact(tt.in); got != tt.want {
				t.Errorf("exact(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{"", "Claude Code", "a\u202eb\x00", strings.Repeat("e\u0301\u0302", 99), "\xff\xfe", " \u2028 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := plain(s, maxName)
		if n := utf8.RuneCountInString(got); n > maxName+1 || !utf8.ValidString(got) {
			t.Errorf("plain(%q) = %q, %d runes", s, got, n)
		}
		if again := plain(got, maxName+1); again != got {
			t.Errorf("plain(%q) = %q, and again %q", s, got, again)
		}
		for _, shown := range []string{got, exact(s)} {
			if strings.ContainsFunc(shown, invisible) {
				t.Errorf("%q shows as %q, which hides something", s, shown)
			}
		}
	})
}

func TestWords(t *testing.T) {
	tests := map[string]struct {
		sentence string
		args     []string
		want     string
	}{
		"in order":                        {"Let {0} work in your {1}?", []string{"a", "b"}, "Let a work in your b?"},
		"in another order":                {"{1} {0}", []string{"a", "b"}, "b a"},
		"no argument":                     {"Sign in", nil, "Sign in"},
		"argument is missing":             {"{0}-{1}", []string{"a"}, "a-"},
		"an argument is not filled again": {"{0}", []string{"{0}{1}"}, "{0}{1}"},
		"not a place":                     {"{a} {", nil, "{a} {"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := fill(tt.sentence, tt.args...); got != tt.want {
				t.Errorf("fill = %q, want %q", got, tt.want)
			}
		})
	}
}
