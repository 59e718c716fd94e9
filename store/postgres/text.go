package postgres

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// PostgreSQL takes no text with a zero byte, or that is not UTF-8. Somebody else's words must neither
// make a verb fail nor come back changed: such bytes stand in the database as an escape, the first
// private character, and so does that character itself.
const escape = "\uE000"

func encodeText(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 && !strings.Contains(s, escape) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == 0 || r == '\uE000' || r == utf8.RuneError && n == 1 {
			for _, c := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, escape+"%02x", c)
			}
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

func decodeText(s string) string {
	if !strings.Contains(s, escape) {
		return s
	}
	var b strings.Builder
	for {
		before, after, more := strings.Cut(s, escape)
		b.WriteString(before)
		if !more {
			return b.String()
		}
		if s = after; len(s) >= 2 {
			if c, err := strconv.ParseUint(s[:2], 16, 8); err == nil {
				b.WriteByte(byte(c))
				s = s[2:]
			}
		}
	}
}

// encoded makes the strings among the arguments fit to be stored.
func encoded(args []any) []any {
	for i, a := range args {
		switch v := a.(type) {
		case string:
			args[i] = encodeText(v)
		case []string:
			var own []string
			for j := range v {
				if text := encodeText(v[j]); text != v[j] {
					if own == nil {
						own = append([]string(nil), v...)
						args[i] = own
					}
					own[j] = text
				}
			}
		}
	}
	return args
}

// decoding is scan, giving back strings as they were.
func decoding(scan func(...any) error) func(...any) error {
	return func(dest ...any) error {
		err := scan(dest...)
		for _, d := range dest {
			switch v := d.(type) {
			case *string:
				*v = decodeText(*v)
			case **string:
				if *v != nil {
					**v = decodeText(**v)
				}
			}
		}
		return err
	}
}
