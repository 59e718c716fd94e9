package web

import (
	"strings"
	"unicode"
)

// How much of a stranger's text is shown.
const (
	maxName        = 64
	maxPurpose     = 140
	maxDescription = 200
	maxMarks       = 4 // combining marks on one letter
)

// plain is what is shown of text that a stranger wrote freely: one line, without characters that
// cannot be seen or that turn the direction of what follows, at most limit runes.
func plain(s string, limit int) string {
	var b strings.Builder
	marks, space := 0, false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space, marks = true, 0
			continue
		case invisible(r):
			continue
		case unicode.IsMark(r):
			if marks++; marks > maxMarks {
				continue
			}
		default:
			marks = 0
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
	}
	return capped(b.String(), limit)
}

// exact is what is shown of text that is compared or enforced, such as tool names, hosts and
// limits: nothing is dropped or cut, and what cannot be seen becomes visible as U+FFFD.
func exact(s string) string {
	return strings.Map(func(r rune) rune {
		if invisible(r) || r != ' ' && unicode.IsSpace(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// technical is exact with its line breaks and tabs kept.
func technical(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && invisible(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

func capped(s string, limit int) string {
	n := 0
	for i := range s {
		if n++; n > limit {
			return strings.TrimRight(s[:i], " ") + "…"
		}
	}
	return s
}

// invisible reports whether r draws nothing or changes how its neighbours are drawn: controls,
// format characters (bidi overrides, zero widths, tags), separators and letters without a shape.
func invisible(r rune) bool {
	switch r {
	case '\u115F', '\u1160', '\u3164', '\uFFA0', '\u2800', '\u034F':
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Variation_Selector)
}
