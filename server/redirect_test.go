package server

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/remit-auth/remit/store"
)

func registered(uris ...string) store.Client {
	return store.Client{Metadata: store.ClientMetadata{RedirectURIs: uris}}
}

func TestRedirectAllowed(t *testing.T) {
	c := registered("https://app.example/cb", "http://127.0.0.1/callback", "http://localhost:33418/", "http://[::1]/callback", "com.example.app:/cb")
	for uri, want := range map[string]bool{
		"https://app.example/cb":           true,
		"https://app.example/cb?x=1":       false,
		"https://app.example:443/cb":       false,
		"https://APP.example/cb":           false,
		"https://app.example/cb/":          false,
		"http://app.example/cb":            false,
		"http://127.0.0.1/callback":        true,
		"http://127.0.0.1:53121/callback":  true,
		"http://127.0.0.1:53121/callback2": false,
		"http://localhost:1/":              true,
		"http://localhost/":                true,
		"http://localhost:1/x":             false,
		"http://[::1]:9/callback":          true,
		"com.example.app:/cb":              true,
		"com.example.app:/cb2":             false,
		"":                                 false,
	} {
		if got := redirectAllowed(c, uri); got != want {
			t.Errorf("redirectAllowed(%q) = %t", uri, got)
		}
	}
}

// FuzzRedirectMatch: what is accepted equals a registered URI, but for the port of a loopback one.
func FuzzRedirectMatch(f *testing.F) {
	for _, seed := range []string{"http://127.0.0.1:80/callback", "http://127.0.0.1@evil/callback", "https://app.example/cb", "http://127.0.0.1:/callback", "http://127.0.0.1:8\x00/callback"} {
		f.Add(seed)
	}
	c := registered("https://app.example/cb", "http://127.0.0.1/callback")
	f.Fuzz(func(t *testing.T, uri string) {
		if !redirectAllowed(c, uri) || uri == c.Metadata.RedirectURIs[0] {
			return
		}
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatalf("accepted %q, which does not parse", uri)
		}
		if addr, err := netip.ParseAddr(u.Hostname()); err != nil || addr != netip.MustParseAddr("127.0.0.1") || u.User != nil {
			t.Fatalf("accepted %q, which leads to %q", uri, u.Host)
		}
		if rest := strings.TrimPrefix(uri, "http://"+u.Host); rest != "/callback" {
			t.Fatalf("accepted %q", uri)
		}
	})
}

func TestCheckIssuer(t *testing.T) {
	for raw, ok := range map[string]bool{
		"https://id.example": true, "https://id.example/t1": true, "http://localhost:8080": true, "http://127.0.0.1:1": true,
		"https://id.example/": false, "http://id.example": false, "https://id.example?x": false, "https://id.example#x": false,
		"https://u@id.example": false, "id.example": false, "": false,
	} {
		if _, err := checkIssuer(raw, true); (err == nil) != ok {
			t.Errorf("checkIssuer(%q) = %v", raw, err)
		}
	}
	if _, err := checkIssuer("http://localhost:8080", false); err == nil {
		t.Error("http is for development alone")
	}
}
