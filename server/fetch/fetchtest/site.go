package fetchtest

import (
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
)

// Site is a TLS server on loopback that counts its connections. Its certificate is for example.com
// and all names below it; its DNS knows those that a test sets.
type Site struct {
	*httptest.Server
	DNS         *DNS
	connections atomic.Int64
}

// NewSite starts a site that agent.example.com resolves to; it ends with the test.
func NewSite(t testing.TB, h http.Handler) *Site {
	t.Helper()
	s := &Site{DNS: New(t), Server: httptest.NewUnstartedServer(h)}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	s.DNS.Set("agent.example.com", "127.0.0.1")
	return s
}

// Connections is how many there were so far.
func (s *Site) Connections() int { return int(s.connections.Load()) }

// Port is where the site listens.
func (s *Site) Port() uint16 {
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		panic(err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		panic(err)
	}
	return uint16(n)
}

// Roots trust the site's certificate.
func (s *Site) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

// At is the URL of a path of the site under this name.
func (s *Site) At(host, path string) string {
	return fmt.Sprintf("https://%s:%d%s", host, s.Port(), path)
}
