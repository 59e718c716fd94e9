package tokens

import (
	"errors"
	"strings"
	"unicode/utf8"
)

var errResourceURI = errors.New("the resource is an absolute http or https URI without user, query and fragment, in its one spelling (RFC 3986, section 6): scheme and host in lower case, no default port, no empty or dot segments, no needless escapes, none of slashes, backslashes, percent signs or control characters")

// CheckResourceURI refuses the URI of a resource (RFC 8707 §2) that somebody on the way could take for another one: who
// names it, who issues for it and who guards it compare bytes, but proxies and servers decode, fold and
// clean paths, each in its way. What is left has one spelling alone.
func CheckResourceURI(raw string) error {
	normal, err := NormalizeURI(raw)
	if err != nil || normal != raw && normal != raw+"/" {
		return errResourceURI
	}
	_, path, _ := strings.Cut(normal[len("https://"):], "/")
	text := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			c = byte(unhex(path[i+1])<<4 | unhex(path[i+2]))
			if i += 2; c < ' ' || c == 0x7f || c == '/' || c == '\\' || c == '%' {
				return errResourceURI
			}
		}
		text = append(text, c)
	}
	if !utf8.Valid(text) { // such as an overlong form of a dot or a slash
		return errResourceURI
	}
	segments := strings.Split(string(text), "/")
	for i, segment := range segments {
		name, _, _ := strings.Cut(segment, ";") // whoever cuts parameters off, and only then cleans
		if name == "." || name == ".." || segment == "" && i < len(segments)-1 {
			return errResourceURI
		}
	}
	return nil
}
