package fetch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/server/fetch"
	"github.com/remit-auth/remit/server/fetch/fetchtest"
)

// site is the outside world.
type site struct{ *fetchtest.Site }

func newSite(t *testing.T, h http.HandlerFunc) *site {
	t.Helper()
	return &site{fetchtest.NewSite(t, h)}
}

// client reaches the site; change makes it differ.
func (s *site) client(change func(*fetch.Config)) *fetch.Client {
	c := fetch.Config{Ports: []uint16{s.Port()}, InsecureLoopback: true, Roots: s.Roots(), Resolver: s.DNS.Resolver()}
	if change != nil {
		change(&c)
	}
	return fetch.New(c)
}

func serve(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, body)
	}
}

func TestFetch(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" || r.Header.Get("Cookie") != "" || r.Header.Get("Referer") != "" || !r.Close {
			t.Errorf("the request says too much: %v", r.Header)
		}
		w.Header().Set("Cache-Control", "max-age=120")
		serve(`{"a":1}`)(w, r)
	})
	c := s.client(nil)
	for range 2 {
		doc, err := c.JSON(context.Background(), s.At("agent.example.com", "/c.json"))
		if err != nil || string(doc.Body) != `{"a":1}` || doc.Fresh != 2*time.Minute {
			t.Fatalf("JSON = %q, %v, %v", doc.Body, doc.Fresh, err)
		}
	}
	if n := s.Connections(); n != 2 {
		t.Errorf("%d connections for two fetches: one was kept", n)
	}
}

func TestNothingConnectsToSpecialAddresses(t *testing.T) { // CM3: a listener counts
	s := newSite(t, serve(`{}`))
	c := s.client(func(c *fetch.Config) { c.InsecureLoopback = false })
	for name, addrs := range map[string][]string{
		"loopback":          {"127.0.0.1"},
		"loopback 6":        {"::1"},
		"mapped":            {"::ffff:127.0.0.1"},
		"unspecified":       {"0.0.0.0"},
		"private":           {"10.0.0.1"},
		"metadata":          {"169.254.169.254"},
		"unique local":      {"fd00::1"},
		"shared":            {"100.64.0.1"},
		"NAT64":             {"64:ff9b::7f00:1"},
		"6to4":              {"2002:7f00:1::1"},
		"Teredo":            {"2001:0:7f00:1::1"},
		"several, all bad":  {"10.0.0.1", "127.0.0.1", "::1"},
		"both families bad": {"127.0.0.1", "fe80::1"},
	} {
		t.Run(name, func(t *testing.T) {
			host := strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(name), " ", "-"), ",", "") + ".example.com"
			s.DNS.Set(host, addrs...)
			if _, err := c.JSON(context.Background(), s.At(host, "/c.json")); !errors.Is(err, fetch.ErrAddress) {
				t.Errorf("JSON = %v", err)
			}
		})
	}
	if n := s.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestRebindingDoesNotHelp(t *testing.T) { // CM3: the address judged is the address dialled
	s := newSite(t, serve(`{}`))
	s.DNS.Turn("agent.example.com", []string{"192.0.2.1"}, []string{"127.0.0.1"})
	c := s.client(func(c *fetch.Config) { c.InsecureLoopback = false; c.Timeout = 300 * time.Millisecond })
	for range 3 {
		if _, err := c.JSON(context.Background(), s.At("agent.example.com", "/c.json")); !errors.Is(err, fetch.ErrAddress) {
			t.Errorf("JSON = %v", err)
		}
	}
	if s.Connections() != 0 || s.DNS.Asked() == 0 {
		t.Errorf("%d connections after %d queries", s.Connections(), s.DNS.Asked())
	}
}

func TestNoProxyIsAsked(t *testing.T) {
	s := newSite(t, serve(`{}`))
	t.Setenv("HTTPS_PROXY", s.URL)
	t.Setenv("ALL_PROXY", s.URL)
	s.DNS.Set("far.example.com", "10.1.2.3")
	c := s.client(func(c *fetch.Config) { c.InsecureLoopback = false })
	if _, err := c.JSON(context.Background(), s.At("far.example.com", "/")); !errors.Is(err, fetch.ErrAddress) {
		t.Errorf("JSON = %v", err)
	}
	if s.Connections() != 0 {
		t.Error("the proxy was asked")
	}
}

func TestBadAnswers(t *testing.T) { // CM4, CM6
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write(make([]byte, 10<<20))
	z.Close()
	redirect := func(status int, to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", to)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, `{}`)
		}
	}
	status := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
		}
	}
	typed := func(contentType string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = []string{contentType}
			fmt.Fprint(w, `{}`)
		}
	}
	tests := map[string]struct {
		serve http.HandlerFunc
		want  error
	}{
		"301":                       {redirect(301, "https://other.example.com/"), fetch.ErrAnswer},
		"302 to the inside":         {redirect(302, "http://127.0.0.1:1/"), fetch.ErrAnswer},
		"307":                       {redirect(307, "/other"), fetch.ErrAnswer},
		"308":                       {redirect(308, "/other"), fetch.ErrAnswer},
		"201":                       {status(201), fetch.ErrAnswer},
		"204":                       {status(204), fetch.ErrAnswer},
		"206":                       {status(206), fetch.ErrAnswer},
		"304":                       {status(304), fetch.ErrAnswer},
		"404":                       {status(404), fetch.ErrAnswer},
		"500":                       {status(500), fetch.ErrUnreachable},
		"503":                       {status(503), fetch.ErrUnreachable},
		"no content type":           {typed(""), fetch.ErrAnswer},
		"HTML":                      {typed("text/html"), fetch.ErrAnswer},
		"plain text":                {typed("text/plain; charset=utf-8"), fetch.ErrAnswer},
		"5 KB and a byte":           {serve(strings.Repeat("a", fetch.MaxBody+1)), fetch.ErrAnswer},
		"longer than it says":       {chunks("0123456789", time.Nanosecond), fetch.ErrAnswer},
		"gzip that was not asked":   {gzipped(bomb.Bytes()), fetch.ErrAnswer},
		"huge, announced":           {huge, fetch.ErrAnswer},
		"headers of 64 KB":          {manyHeaders, fetch.ErrUnreachable},
		"a byte at a time":          {chunks("a", 20*time.Millisecond), fetch.ErrUnreachable},
		"headers that never come":   {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, fetch.ErrUnreachable},
		"a body that never comes":   {stalled, fetch.ErrUnreachable},
		"informational without end": {informational, fetch.ErrUnreachable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var paths sync.Map
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				paths.Store(r.URL.Path, true)
				tt.serve(w, r)
			})
			s.DNS.Set("other.example.com", "127.0.0.1")
			c := s.client(func(c *fetch.Config) {
				if tt.want == fetch.ErrUnreachable { // else the answer, not the time, has to end it
					c.Timeout = 400 * time.Millisecond
				}
			})
			start := time.Now()
			_, err := c.JSON(context.Background(), s.At("agent.example.com", "/c.json"))
			if !errors.Is(err, tt.want) {
				t.Errorf("JSON = %v, want %v", err, tt.want)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if n := s.Connections(); n > 1 {
				t.Errorf("%d connections", n)
			}
			paths.Range(func(path, _ any) bool {
				if path != "/c.json" {
					t.Errorf("%s was fetched", path)
				}
				return true
			})
		})
	}
}

// chunks sends text again and again.
func chunks(text string, pause time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
				if _, err := fmt.Fprint(w, text); err != nil {
					return
				}
				w.(http.Flusher).Flush()
			}
		}
	}
}

func gzipped(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(body)
	}
}

func huge(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "104857600")
	w.Write(make([]byte, 1<<20))
}

func manyHeaders(w http.ResponseWriter, r *http.Request) {
	for i := range 64 {
		w.Header().Set("X-Long-"+strconv.Itoa(i), strings.Repeat("a", 1000))
	}
	serve(`{}`)(w, r)
}

func stalled(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "10")
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func informational(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Link", strings.Repeat("a", 500))
	for r.Context().Err() == nil {
		w.WriteHeader(http.StatusEarlyHints)
	}
}

func TestCertificates(t *testing.T) { // CM12
	s := newSite(t, serve(`{}`))
	s.DNS.Set("agent.example.net", "127.0.0.1")
	for name, tt := range map[string]struct {
		host   string
		change func(*fetch.Config)
	}{
		"wrong host":  {"agent.example.net", nil},
		"self-signed": {"agent.example.com", func(c *fetch.Config) { c.Roots = x509.NewCertPool() }},
	} {
		if _, err := s.client(tt.change).JSON(context.Background(), s.At(tt.host, "/c.json")); !errors.Is(err, fetch.ErrUnreachable) {
			t.Errorf("%s: JSON = %v", name, err)
		}
	}
	expired, roots := expiredCertificate(t)
	s.TLS.Certificates = []tls.Certificate{expired}
	_, err := s.client(func(c *fetch.Config) { c.Roots = roots }).JSON(context.Background(), s.At("agent.example.com", "/c.json"))
	if !errors.Is(err, fetch.ErrUnreachable) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("expired: JSON = %v", err)
	}
}

// expiredCertificate is for example.com and below, trusted, and over since an hour.
func expiredCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"*.example.com"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err2 := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	cert, err3 := x509.ParseCertificate(der)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestBoundedConcurrency(t *testing.T) { // CM11
	release := make(chan struct{})
	arrived := make(chan struct{}, 8)
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		serve(`{}`)(w, r)
	})
	c := s.client(func(c *fetch.Config) { c.Slots = 2 })
	var fetches sync.WaitGroup
	for range 2 {
		fetches.Go(func() {
			if _, err := c.JSON(context.Background(), s.At("agent.example.com", "/c.json")); err != nil {
				t.Error(err)
			}
		})
		<-arrived
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // whoever has no time to wait
	if _, err := c.JSON(ctx, s.At("agent.example.com", "/c.json")); !errors.Is(err, fetch.ErrBusy) {
		t.Errorf("a third fetch = %v", err)
	}
	close(release)
	fetches.Wait()
	if n := s.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestFresh(t *testing.T) { // RFC 9111
	tests := map[string]struct {
		header map[string]string
		want   time.Duration
	}{
		"unsaid":             {nil, fetch.Unsaid},
		"max-age":            {map[string]string{"Cache-Control": "public, max-age=90"}, 90 * time.Second},
		"aged":               {map[string]string{"Cache-Control": "max-age=90", "Age": "30"}, time.Minute},
		"older than max-age": {map[string]string{"Cache-Control": "max-age=90", "Age": "300"}, 0},
		"no-store":           {map[string]string{"Cache-Control": "max-age=90, No-Store"}, 0},
		"no-cache":           {map[string]string{"Cache-Control": "no-cache"}, 0},
		"not a number":       {map[string]string{"Cache-Control": "max-age=soon"}, 0},
		"a century":          {map[string]string{"Cache-Control": "max-age=2000000000"}, 24 * time.Hour},
		"expires":            {map[string]string{"Date": "Mon, 02 Nov 2026 10:00:00 GMT", "Expires": "Mon, 02 Nov 2026 10:02:00 GMT"}, 2 * time.Minute},
		"expired":            {map[string]string{"Date": "Mon, 02 Nov 2026 10:00:00 GMT", "Expires": "0"}, 0},
		"max-age before":     {map[string]string{"Cache-Control": "max-age=5", "Expires": "0"}, 5 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				for k, v := range tt.header {
					w.Header().Set(k, v)
				}
				serve(`{}`)(w, r)
			})
			doc, err := s.client(nil).JSON(context.Background(), s.At("agent.example.com", "/c.json"))
			if err != nil || doc.Fresh != tt.want {
				t.Errorf("Fresh = %v, %v; want %v", doc.Fresh, err, tt.want)
			}
		})
	}
}
