package tokens

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Canonical returns the RFC 8785 form of raw. It refuses what CheckJSON refuses, and numbers
// that a double cannot hold.
func Canonical(raw []byte) ([]byte, error) {
	return canonical(raw, false)
}

// canonicalExact is Canonical for values that someone will act on: it also refuses whole numbers
// that a double would silently change (RFC 7493 §2.2).
func canonicalExact(raw []byte) ([]byte, error) {
	return canonical(raw, true)
}

func canonical(raw []byte, exact bool) ([]byte, error) {
	r := newReader(raw)
	out := r.canonical(make([]byte, 0, len(raw)), exact)
	if err := r.end(); err != nil {
		return nil, err
	}
	return out, nil
}

// canonical appends the RFC 8785 form of the next value.
func (r *reader) canonical(out []byte, exact bool) []byte {
	switch r.kind() {
	case '{':
		return appendObject(out, r.canonicalMembers(exact))
	case '[':
		out = append(out, '[')
		for i := range r.items() {
			if i > 0 {
				out = append(out, ',')
			}
			out = r.canonical(out, exact)
		}
		return append(out, ']')
	case '"':
		return appendString(out, r.text())
	case '0':
		return r.canonicalNumber(out, exact)
	}
	return append(out, r.value()...) // true, false, null
}

// canonicalMembers returns the members of an object in their canonical form and order: by the
// UTF-16 units of their names (RFC 8785 §3.2.3).
func (r *reader) canonicalMembers(exact bool) []Member {
	var all []Member
	for name := range r.members() {
		all = append(all, Member{name, r.canonical(nil, exact)})
	}
	slices.SortFunc(all, func(a, b Member) int { return compareUTF16(a.Name, b.Name) })
	return all
}

func appendObject(out []byte, all []Member) []byte {
	out = append(out, '{')
	for i, m := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendString(out, m.Name), ':')
		out = append(out, m.Value...)
	}
	return append(out, '}')
}

// canonicalNumber writes a number as ECMAScript does (RFC 8785 §3.2.2.3).
func (r *reader) canonicalNumber(out []byte, exact bool) []byte {
	literal := r.number()
	if r.err != nil {
		return out
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		r.fail("a number that no double holds")
		return out
	}
	start := len(out)
	out = appendNumber(out, f)
	if exact && math.Abs(f) >= 1<<53 && isInteger(literal) && string(out[start:]) != literal {
		r.fail("a whole number beyond 2^53, which would change; send it as a string")
	}
	return out
}

func isInteger(literal string) bool {
	for _, c := range literal {
		if c == '.' || c == 'e' || c == 'E' {
			return false
		}
	}
	return true
}

func appendNumber(out []byte, f float64) []byte {
	if f == 0 { // -0 is written 0
		return append(out, '0')
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(out, f, 'f', -1, 64)
	}
	out = strconv.AppendFloat(out, f, 'e', -1, 64)
	if n := len(out); out[n-4] == 'e' && out[n-2] == '0' { // e-07 is written e-7
		out[n-2] = out[n-1]
		out = out[:n-1]
	}
	return out
}

func appendString(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for i := range len(s) {
		switch b := s[i]; b {
		case '"', '\\':
			out = append(out, '\\', b)
		case '\b':
			out = append(out, '\\', 'b')
		case '\t':
			out = append(out, '\\', 't')
		case '\n':
			out = append(out, '\\', 'n')
		case '\f':
			out = append(out, '\\', 'f')
		case '\r':
			out = append(out, '\\', 'r')
		default:
			if b < ' ' {
				out = append(out, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
			} else {
				out = append(out, b)
			}
		}
	}
	return append(out, '"')
}

// compareUTF16 orders strings by UTF-16 units: runes beyond the first plane, which are surrogates
// there, come before U+E000.
func compareUTF16(a, b string) int {
	for a != "" && b != "" {
		ra, na := utf8.DecodeRuneInString(a)
		rb, nb := utf8.DecodeRuneInString(b)
		if ra != rb {
			if (ra > 0xffff) != (rb > 0xffff) {
				return cmp.Compare(firstUnit(ra), firstUnit(rb))
			}
			return cmp.Compare(ra, rb)
		}
		a, b = a[na:], b[nb:]
	}
	return cmp.Compare(len(a), len(b))
}

func firstUnit(r rune) rune {
	if r > 0xffff {
		return 0xd800 + (r-0x10000)>>10
	}
	return r
}
