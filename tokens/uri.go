package tokens

import (
	"errors"
	"strings"
)

var errURI = errors.New("tokens: no http or https URI without userinfo")

// NormalizeURI returns an http or https URI without query and fragment in its normal form
// (RFC 3986 §6.2.2 and §6.2.3): two that differ in nothing but spelling become equal.
func NormalizeURI(raw string) (string, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if scheme = lower(scheme); !ok || scheme != "https" && scheme != "http" {
		return "", errURI
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	host, port, ok := splitHost(lower(authority))
	if !ok {
		return "", errURI
	}
	if path, ok = normalizePath(path); !ok {
		return "", errURI
	}
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return scheme + "://" + host + path, nil
	}
	return scheme + "://" + host + ":" + port + path, nil
}

// lower is ASCII only: a host beyond ASCII must come in its A-label form.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return strings.ToLower(s)
		}
	}
	return s
}

func splitHost(authority string) (host, port string, ok bool) {
	end := strings.LastIndexByte(authority, ':')
	if strings.HasPrefix(authority, "[") { // an IPv6 address
		shut := strings.IndexByte(authority, ']')
		if shut < 2 || !only(authority[1:shut], "0123456789abcdef:.") {
			return "", "", false
		}
		host, port = authority[:shut+1], authority[shut+1:]
		if port != "" && port[0] != ':' {
			return "", "", false
		}
		port = strings.TrimPrefix(port, ":")
	} else {
		if host = authority; end >= 0 {
			host, port = authority[:end], authority[end+1:]
		}
		if host == "" || !only(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_") {
			return "", "", false
		}
	}
	return host, port, len(port) <= 5 && only(port, "0123456789")
}

func only(s, allowed string) bool {
	for i := range len(s) {
		if strings.IndexByte(allowed, s[i]) < 0 {
			return false
		}
	}
	return true
}

// normalizePath decodes what needs no encoding, writes the other escapes in upper case and
// removes dot segments (RFC 3986 §5.2.4).
func normalizePath(path string) (string, bool) {
	out := make([]byte, 0, len(path)+1)
	for i := 0; i < len(path); i++ {
		b := path[i]
		switch {
		case unreserved(b) || b == '/' || strings.IndexByte("!$&'()*+,;=:@", b) >= 0:
			out = append(out, b)
		case b == '%' && i+2 < len(path) && unhex(path[i+1]) >= 0 && unhex(path[i+2]) >= 0:
			if c := byte(unhex(path[i+1])<<4 | unhex(path[i+2])); unreserved(c) {
				out = append(out, c)
			} else {
				out = append(out, '%', upperHex[c>>4], upperHex[c&15])
			}
			i += 2
		default:
			return "", false
		}
	}
	if len(out) == 0 {
		return "/", true
	}
	return removeDots(string(out)), true
}

const upperHex = "0123456789ABCDEF"

func unreserved(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '.' || b == '_' || b == '~'
}

func unhex(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10
	case 'A' <= b && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

// removeDots takes a path that begins with a slash.
func removeDots(path string) string {
	if !strings.Contains(path, "/.") {
		return path
	}
	segments := strings.Split(path[1:], "/")
	var kept []string
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == ".." && len(kept) > 0:
			kept = kept[:len(kept)-1]
		case s != "." && s != "..":
			kept = append(kept, s)
			continue
		}
		if last { // what ends in a dot segment names a directory
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}
