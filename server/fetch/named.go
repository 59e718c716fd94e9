package fetch

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"time"
)

// Bounds of an answer of a server that an admin named.
const (
	namedBody    = 1 << 20
	namedTimeout = 10 * time.Second
)

// Named returns a client for servers that an admin named in the configuration, such as upstream
// OpenID providers: they may be at private addresses, but their answers are bounded, no redirect is
// followed and no proxy setting obeyed. It is not for a URL that a stranger can choose.
func Named(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: namedTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("fetch: redirects are not followed")
		},
		Transport: bounded{&http.Transport{
			Proxy: nil, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: maxHeaders, MaxConnsPerHost: slots, IdleConnTimeout: time.Minute,
		}},
	}
}

// bounded ends an answer with an error where it becomes too long.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, namedBody)
	}
	return resp, err
}
