package server

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/remit-auth/remit/store"
)

// isLoopbackHost reports whether the host names this computer: a loopback address or localhost.
func isLoopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// CheckRedirectURI refuses redirect URIs that no client may register (OAuth 2.1 §2.3.1, RFC 8252):
// https anywhere, http on loopback, or a private-use scheme with a dot in its name.
func CheckRedirectURI(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || len(raw) > 2000:
		return errors.New("a redirect URI is not a URL")
	case strings.Contains(raw, "#") || u.User != nil || strings.ContainsAny(raw, "*\\ \"<>") || !isASCII(raw):
		return errors.New("a redirect URI has no fragment, no user, no wildcard, and plain ASCII")
	case u.Scheme == "https" && u.Hostname() != "":
	case u.Scheme == "http" && isLoopbackHost(u.Hostname()):
	case strings.Contains(u.Scheme, ".") && u.Host == "": // RFC 8252 §7.1: reverse domain name
	default:
		return errors.New("a redirect URI is https, http on loopback, or of a private-use scheme such as com.example.app:/callback")
	}
	return nil
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= 0x20 || r > 0x7e }) < 0
}

// redirectAllowed reports whether the URI is registered for the client: character by character,
// but for the port of a registered http loopback URI, which the program picks at run time
// (OAuth 2.1 §2.3.1, RFC 8252 §7.3).
func redirectAllowed(c store.Client, raw string) bool {
	if CheckRedirectURI(raw) != nil {
		return false
	}
	return slices.ContainsFunc(c.Metadata.RedirectURIs, func(registered string) bool {
		if raw == registered {
			return true
		}
		got, ok1 := withoutLoopbackPort(raw)
		want, ok2 := withoutLoopbackPort(registered)
		return ok1 && ok2 && got == want
	})
}

// withoutLoopbackPort removes the port, and nothing else, of an http loopback URI.
func withoutLoopbackPort(raw string) (string, bool) {
	const scheme = "http://"
	if !strings.HasPrefix(raw, scheme) {
		return "", false
	}
	authority, rest := raw[len(scheme):], ""
	if i := strings.IndexAny(authority, "/?"); i >= 0 {
		authority, rest = authority[:i], authority[i:]
	}
	host := authority
	if h, port, err := net.SplitHostPort(authority); err == nil {
		if port == "" || strings.TrimLeft(port, "0123456789") != "" || len(port) > 5 {
			return "", false
		}
		host = h
		if strings.HasPrefix(authority, "[") {
			host = "[" + h + "]"
		}
	}
	if !isLoopbackHost(strings.Trim(host, "[]")) {
		return "", false
	}
	return scheme + host + rest, true
}

// redirectTo appends the response's parameters to the redirect URI's own query (OAuth 2.1 §4.1.2).
func redirectTo(raw string, params url.Values) string {
	sep := "?"
	if strings.Contains(raw, "?") {
		sep = "&"
	}
	return raw + sep + params.Encode()
}
