package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxURI is the longest URI of an MCP resource that a policy reads, and the longest pattern.
const maxURI = 2048

var (
	schemeOf = regexp.MustCompile(`^([a-z][a-z0-9+.-]*):(.+)$`)
	// What RFC 3986 lets stand in a URI, without the fragment's mark.
	uriText = regexp.MustCompile(`^(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-F]{2})+$`)
	// An octet that must not be encoded, because it needs none, or because a server that decodes twice,
	// or before it splits, would see another path: / \ ? # % and what is not printed.
	badEscape = regexp.MustCompile(`%(?:2F|5C|3F|23|25|[01][0-9A-F]|7F|2D|2E|5F|7E|3[0-9]|4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A])`)
)

// networkSchemes name hosts, which have no case and no wildcard.
var networkSchemes = []string{"http", "https", "ws", "wss", "ftp", "ftps", "sftp", "ssh", "file"}

// CheckURI refuses the URI of an MCP resource that is not in the one form in which it can be held
// against a policy (RFC 3986 §6.2.2): servers differ in what they make of dot segments, of encoded
// slashes, of user information and of the case of a host, so none of them is let through.
func CheckURI(uri string) error {
	m := schemeOf.FindStringSubmatch(uri)
	switch {
	case len(uri) > maxURI:
		return fmt.Errorf("the URI has more than %d bytes", maxURI)
	case m == nil:
		return errors.New("the URI has no scheme in lower case")
	case !uriText.MatchString(m[2]):
		return errors.New("the URI has a character that must be percent-encoded, in upper case, or a fragment")
	case badEscape.MatchString(m[2]):
		return errors.New("the URI encodes a character that must stand for itself, or must not be there")
	}
	path, _, _ := strings.Cut(m[2], "?")
	if rest, has := strings.CutPrefix(path, "//"); has {
		authority, below, _ := strings.Cut(rest, "/")
		if strings.Contains(authority, "@") {
			return errors.New("the URI names a user")
		}
		if slices.Contains(networkSchemes, m[1]) && authority != strings.ToLower(authority) {
			return errors.New("the URI's host is not in lower case")
		}
		if authority == "." || authority == ".." {
			return errors.New("the URI has a dot segment")
		}
		path = below
	} else {
		path = strings.TrimPrefix(path, "/")
	}
	path = strings.TrimSuffix(path, "/")
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." || segment == "" && path != "" {
			return errors.New("the URI has a dot segment or an empty one")
		}
	}
	return nil
}

// pattern is the URIs that a role may read: literal, but for * within a segment and ** at the end.
type pattern struct {
	text     string
	segments []string // split at /
	rest     bool     // ** follows
}

// parsePattern reads a pattern. Its wildcards are bounded: the scheme and the host of a network are
// literal, a segment has at most one *, and ** is the last segment.
func parsePattern(text string) (pattern, error) {
	p := pattern{text: text}
	plain := strings.ReplaceAll(strings.ReplaceAll(text, "**", "x"), "*", "x")
	if err := CheckURI(plain); err != nil {
		return p, fmt.Errorf("resource %q: %w", text, err)
	}
	p.segments = strings.Split(text, "/")
	if last := len(p.segments) - 1; p.segments[last] == "**" {
		p.segments, p.rest = p.segments[:last], true
	}
	scheme, _, _ := strings.Cut(text, ":")
	for i, s := range p.segments {
		host := i == 2 && p.segments[1] == "" && strings.HasSuffix(p.segments[0], ":")
		switch {
		case strings.Count(s, "*") > 1:
			return p, fmt.Errorf("resource %q: one * in a segment, and ** alone at the end", text)
		case i == 0 && strings.Contains(scheme, "*"), host && strings.Contains(s, "*") && (s != "*" || slices.Contains(networkSchemes, scheme)):
			return p, fmt.Errorf("resource %q: no wildcard in the scheme or in a host", text)
		}
	}
	if p.rest && len(p.segments) <= 2 && slices.Contains(networkSchemes, scheme) {
		return p, fmt.Errorf("resource %q: name the host", text)
	}
	return p, nil
}

// matches reports whether the URI, which CheckURI has passed, is one of the pattern's.
func (p pattern) matches(uri string) bool {
	segments := strings.Split(uri, "/")
	if len(segments) < len(p.segments) || p.rest == (len(segments) == len(p.segments)) {
		return false
	}
	for i, want := range p.segments {
		if !matchSegment(want, segments[i]) {
			return false
		}
	}
	below := strings.Join(segments[len(p.segments):], "/")
	return !p.rest || below != "" && !strings.Contains(below, "?")
}

func matchSegment(want, given string) bool {
	before, after, wild := strings.Cut(want, "*")
	if !wild {
		return want == given
	}
	middle, ok := strings.CutPrefix(given, before)
	if !ok || len(middle) <= len(after) || !strings.HasSuffix(middle, after) {
		return false
	}
	return !strings.Contains(middle[:len(middle)-len(after)], "?")
}

// bounded reports whether a directory, at least, stands before the pattern's first wildcard.
func (p pattern) bounded() bool {
	first := slices.IndexFunc(p.segments, func(s string) bool { return strings.Contains(s, "*") })
	switch {
	case first < 0 && !p.rest:
		return true
	case first < 0:
		first = len(p.segments)
	}
	literal := strings.Join(p.segments[:first], "/")
	_, below, _ := strings.Cut(literal, ":")
	return strings.Trim(below, "/") != "" || first == 0
}

// templatePart is an expression of a URI template (RFC 6570).
var templatePart = regexp.MustCompile(`\{([+#./;?&]?)[A-Za-z0-9_.,:*%]*\}`)

// sample is a URI that the template may expand to.
func sample(template string) string {
	return templatePart.ReplaceAllStringFunc(template, func(part string) string {
		switch part[1] {
		case '?', '&', '#', ';':
			return ""
		case '/':
			return "/x"
		case '.':
			return ".x"
		}
		return "x"
	})
}
