package tokens

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep arrays and objects nest.
const maxDepth = 64

// errJSON is what every refusal of a reader wraps.
var errJSON = errors.New("not strict JSON")

// A reader walks one JSON text and takes it literally: member names are compared byte by byte
// and may not repeat, strings are valid UTF-8 without lone surrogates (RFC 7493 §2), nesting is
// bounded and nothing follows the value. encoding/json holds none of this: it lets JTI overwrite
// jti. The first error sticks, stops every loop and is what end returns.
type reader struct {
	raw   []byte
	str   string // the same text: what is read out of it costs no copy
	pos   int
	depth int
	steps int // of all patterns in the text
	err   error
}

func newReader(raw []byte) *reader {
	r := &reader{raw: raw, str: string(raw)}
	if !utf8.Valid(raw) {
		r.fail("the text is not UTF-8")
	}
	return r
}

// fail keeps the first error and makes everything after it find nothing.
func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s at byte %d", errJSON, fmt.Sprintf(format, args...), r.pos)
	}
	r.pos = len(r.raw)
}

// end reports the first error; text behind the value is one.
func (r *reader) end() error {
	if r.space(); r.err == nil && r.pos < len(r.raw) {
		r.fail("text after the value")
	}
	return r.err
}

func (r *reader) space() {
	for r.pos < len(r.raw) {
		switch r.raw[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

// kind tells what comes next by its first byte: { [ " t f n, 0 for a number, ? for none of them.
func (r *reader) kind() byte {
	r.space()
	if r.err != nil || r.pos == len(r.raw) {
		return '?'
	}
	switch b := r.raw[r.pos]; b {
	case '{', '[', '"', 't', 'f', 'n':
		return b
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return '0'
	}
	return '?'
}

// take consumes the byte b, which must come next.
func (r *reader) take(b byte) bool {
	r.space()
	if r.err != nil {
		return false
	}
	if r.pos == len(r.raw) || r.raw[r.pos] != b {
		r.fail("%c expected", b)
		return false
	}
	r.pos++
	return true
}

// members ranges over the names of an object; the body reads or skips each value.
func (r *reader) members() iter.Seq[string] {
	return func(yield func(string) bool) {
		seen := names{few: make([]string, 0, 8)}
		r.list('{', '}', func() bool {
			name := r.text()
			if r.err == nil && !seen.add(name) {
				r.fail("the member %s is there twice", shown(name))
			}
			return r.take(':') && yield(name)
		})
	}
}

// items ranges over an array; the body reads or skips each item.
func (r *reader) items() iter.Seq[int] {
	return func(yield func(int) bool) {
		i := -1
		r.list('[', ']', func() bool {
			i++
			return yield(i)
		})
	}
}

func (r *reader) list(open, shut byte, each func() bool) {
	if !r.take(open) {
		return
	}
	if r.depth++; r.depth > maxDepth {
		r.fail("more than %d levels", maxDepth)
		return
	}
	defer func() { r.depth-- }()
	if r.space(); r.pos < len(r.raw) && r.raw[r.pos] == shut {
		r.pos++
		return
	}
	for {
		if !each() || r.err != nil {
			return
		}
		if r.space(); r.pos < len(r.raw) && r.raw[r.pos] == shut {
			r.pos++
			return
		}
		if !r.take(',') {
			return
		}
	}
}

// value skips one value of any kind and returns its text.
func (r *reader) value() []byte {
	r.space()
	start := r.pos
	switch r.kind() {
	case '{':
		for range r.members() {
			r.value()
		}
	case '[':
		for range r.items() {
			r.value()
		}
	case '"':
		r.text()
	case '0':
		r.number()
	case 't', 'f':
		r.boolean()
	case 'n':
		r.word("null")
	default:
		r.fail("a value expected")
	}
	if r.err != nil {
		return nil
	}
	return r.raw[start:r.pos]
}

// null consumes a null if one comes next.
func (r *reader) null() bool {
	return r.kind() == 'n' && r.word("null")
}

func (r *reader) boolean() bool {
	if r.kind() == 't' {
		return r.word("true")
	}
	r.word("false")
	return false
}

func (r *reader) word(w string) bool {
	r.space()
	if len(r.raw)-r.pos < len(w) || string(r.raw[r.pos:r.pos+len(w)]) != w {
		r.fail("%s expected", w)
		return false
	}
	r.pos += len(w)
	return true
}

// number returns the literal of a number (RFC 8259 §6).
func (r *reader) number() string {
	if r.kind() != '0' {
		r.fail("a number expected")
		return ""
	}
	start := r.pos
	r.skipByte('-')
	if !r.skipByte('0') && r.digits() == 0 {
		r.fail("a digit expected")
	}
	if r.skipByte('.') && r.digits() == 0 {
		r.fail("a digit expected")
	}
	if r.skipByte('e') || r.skipByte('E') {
		if !r.skipByte('+') {
			r.skipByte('-')
		}
		if r.digits() == 0 {
			r.fail("a digit expected")
		}
	}
	if r.err != nil {
		return ""
	}
	return r.str[start:r.pos]
}

func (r *reader) skipByte(b byte) bool {
	if r.pos < len(r.raw) && r.raw[r.pos] == b {
		r.pos++
		return true
	}
	return false
}

func (r *reader) digits() int {
	start := r.pos
	for r.pos < len(r.raw) && '0' <= r.raw[r.pos] && r.raw[r.pos] <= '9' {
		r.pos++
	}
	return r.pos - start
}

// integer reads a number without fraction or exponent that lies in [low, high].
func (r *reader) integer(low, high int64) int64 {
	n, err := strconv.ParseInt(r.number(), 10, 64)
	if r.err == nil && (err != nil || n < low || n > high) {
		r.fail("a whole number from %d to %d expected", low, high)
	}
	if r.err != nil {
		return 0
	}
	return n
}

// text reads a string.
func (r *reader) text() string {
	if r.kind() != '"' {
		r.fail("a string expected")
		return ""
	}
	r.pos++
	start := r.pos
	for r.pos < len(r.raw) {
		switch b := r.raw[r.pos]; {
		case b == '"':
			r.pos++
			return r.str[start : r.pos-1]
		case b == '\\':
			return r.escaped(slices.Clone(r.raw[start:r.pos]))
		case b < ' ':
			r.fail("a control character in a string")
		default:
			r.pos++
		}
	}
	r.fail("a string without end")
	return ""
}

// escaped reads the rest of a string that holds escapes.
func (r *reader) escaped(s []byte) string {
	for r.pos < len(r.raw) {
		b := r.raw[r.pos]
		switch {
		case b == '"':
			r.pos++
			return string(s)
		case b < ' ':
			r.fail("a control character in a string")
		case b != '\\':
			s = append(s, b)
			r.pos++
		default:
			s = r.escape(s)
		}
	}
	r.fail("a string without end")
	return ""
}

func (r *reader) escape(s []byte) []byte {
	if r.pos+1 >= len(r.raw) {
		r.fail("a string without end")
		return s
	}
	b := r.raw[r.pos+1]
	switch b {
	case '"', '\\', '/':
	case 'b':
		b = '\b'
	case 'f':
		b = '\f'
	case 'n':
		b = '\n'
	case 'r':
		b = '\r'
	case 't':
		b = '\t'
	case 'u':
		return utf8.AppendRune(s, r.unicode())
	default:
		r.fail("an unknown escape")
		return s
	}
	r.pos += 2
	return append(s, b)
}

// unicode reads \uXXXX, or two of them when they are a surrogate pair.
func (r *reader) unicode() rune {
	first := r.unit()
	if !utf16.IsSurrogate(first) {
		return first
	}
	pair := utf16.DecodeRune(first, r.unit())
	if pair == utf8.RuneError {
		r.fail("half of a surrogate pair")
	}
	return pair
}

func (r *reader) unit() rune {
	if len(r.raw)-r.pos < 6 || r.raw[r.pos] != '\\' || r.raw[r.pos+1] != 'u' {
		r.fail("half of a surrogate pair or a broken escape")
		return utf8.RuneError
	}
	n := rune(0)
	for _, b := range r.raw[r.pos+2 : r.pos+6] {
		switch {
		case '0' <= b && b <= '9':
			n = n<<4 | rune(b-'0')
		case 'a' <= b && b <= 'f':
			n = n<<4 | rune(b-'a'+10)
		case 'A' <= b && b <= 'F':
			n = n<<4 | rune(b-'A'+10)
		default:
			r.fail("a broken escape")
			return utf8.RuneError
		}
	}
	r.pos += 6
	return n
}
