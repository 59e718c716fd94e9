package store

import (
	"strings"
	"unicode"
)

// EmailKey is what two addresses share that are the same user's: letters count alike in both cases. A letter from
// beyond ASCII whose other case is in it, as the Kelvin sign's, stays itself: to those who verify addresses it is
// another one.
func EmailKey(email string) string {
	return strings.Map(func(r rune) rune {
		if low := unicode.ToLower(r); r <= unicode.MaxASCII || low > unicode.MaxASCII {
			return low
		}
		return r
	}, email)
}
