package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

// devConfig is a server on free loopback ports with its data in a short directory.
func devConfig(t testing.TB) Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "remit-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return Config{Issuer: "http://localhost:1", Listen: "127.0.0.1:0", DataDir: dir, Dev: true}
}

// startService starts a server in this process.
func startService(t testing.TB, cfg Config) *service {
	t.Helper()
	must(t, cfg.check())
	s, err := start(context.Background(), cfg, quiet, nil)
	must(t, err)
	return s
}

func visit(t testing.TB, c *http.Client, url string) (int, string, *http.Response) {
	t.Helper()
	resp, err := c.Get(url)
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(body), resp
}

const metadataPath = "/.well-known/oauth-authorization-server"

func TestOps(t *testing.T) {
	cfg := devConfig(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	cfg.OpsListen = l.Addr().String()
	must(t, l.Close())
	s := startService(t, cfg)
	ops, public := "http://"+cfg.OpsListen, "http://"+s.address()
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if status, body, _ := visit(t, http.DefaultClient, ops+path); status != http.StatusOK || body != want {
			t.Errorf("%s: %d %q", path, status, body)
		}
		if status, _, _ := visit(t, http.DefaultClient, public+path); status != http.StatusNotFound {
			t.Errorf("%s is public: %d", path, status)
		}
	}
	visit(t, http.DefaultClient, public+metadataPath)
	for _, stray := range []string{"/nothing", "/other", "/tasks/tsk_1", "/tasks/tsk_2"} {
		visit(t, http.DefaultClient, public+stray)
	}
	status, metrics, resp := visit(t, http.DefaultClient, ops+"/metrics")
	if status != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("metrics: %d %s", status, resp.Header.Get("Content-Type"))
	}
	for _, line := range []string{
		`remit_http_requests_total{method="GET",route="` + metadataPath + `",status="200"} 1`,
		`remit_http_requests_total{method="GET",route="/tasks/{id}",status="401"} 2`,
		"remit_feeds_open 0", "remit_ledger_sealed_records ", "process_resident_memory_bytes ", "go_goroutines ",
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
	if strings.Contains(metrics, "nothing") || strings.Contains(metrics, "tsk_") {
		t.Error("a caller's path became a label")
	}
	must(t, s.stop())
}

// certificate writes a self-signed certificate for localhost and returns its files and pool.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	raw, err := x509.MarshalECPrivateKey(key)
	must(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), 0o600))
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return certFile, keyFile, pool
}

func TestTLS(t *testing.T) {
	cfg := devConfig(t)
	cfg.Dev, cfg.Issuer = false, "https://localhost"
	var pool *x509.CertPool
	cfg.TLSCert, cfg.TLSKey, pool = certificate(t)
	s := startService(t, cfg)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	status, _, resp := visit(t, client, "https://"+s.address()+metadataPath)
	if status != http.StatusOK || resp.ProtoMajor != 2 {
		t.Errorf("%d over %s", status, resp.Proto)
	}
	old := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11}}}
	if _, err := old.Get("https://" + s.address() + metadataPath); err == nil {
		t.Error("TLS 1.1 was spoken")
	}

	newCert, newKey, newPool := certificate(t)
	later := time.Now().Add(time.Second) // coarse clocks of file systems
	for from, to := range map[string]string{newCert: cfg.TLSCert, newKey: cfg.TLSKey} {
		raw, err := os.ReadFile(from)
		must(t, err)
		must(t, os.WriteFile(to, raw, 0o600))
		must(t, os.Chtimes(to, later, later))
	}
	renewed := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: newPool}}}
	defer renewed.CloseIdleConnections()
	if status, _, _ := visit(t, renewed, "https://"+s.address()+metadataPath); status != http.StatusOK {
		t.Errorf("with the new certificate: %d", status)
	}
	must(t, s.stop())
}

func TestStartRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	running := devConfig(t)
	s := startService(t, running)
	defer s.stop()
	for name, tt := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"an address that is taken":     {func(c *Config) { c.Listen = taken.Addr().String() }, "REMIT_LISTEN"},
		"an ops address that is taken": {func(c *Config) { c.OpsListen = taken.Addr().String() }, "REMIT_OPS_LISTEN"},
		"a running server's data":      {func(c *Config) { c.DataDir = running.DataDir }, "in use by another process"},
		"a certificate that is none":   {func(c *Config) { c.TLSCert, c.TLSKey = "/none", "/none" }, "REMIT_TLS_CERT"},
		"a socket name too long":       {func(c *Config) { c.DataDir += "/" + strings.Repeat("x", 120) }, "admin socket"},
		"a database that is none": {func(c *Config) {
			c.DatabaseURL = filepath.Join(c.DataDir, "text.db")
			must(t, os.WriteFile(c.DatabaseURL, []byte(strings.Repeat("not a database ", 100)), 0o600))
		}, "sqlite"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := devConfig(t)
			tt.change(&cfg)
			s, err := start(context.Background(), cfg, quiet, nil)
			if err == nil {
				s.stop()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want %q in it", err, tt.want)
			}
			cfg = devConfig(t)
			must(t, startService(t, cfg).stop()) // and nothing of it is left behind
		})
	}
}

// TestStopDropsNothing: whoever was accepted is answered (P4).
func TestStopDropsNothing(t *testing.T) {
	s := startService(t, devConfig(t))
	target := "http://" + s.address() + metadataPath
	var answered, dropped atomic.Int64
	var callers sync.WaitGroup
	busy := make(chan struct{}, 8)
	for range 8 {
		callers.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for first := true; ; first = false {
				resp, err := client.Get(target)
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				switch {
				case errors.Is(err, syscall.ECONNREFUSED):
					return
				case errors.Is(err, syscall.ECONNRESET): // in the kernel's queue when the listener closed
					return
				case err != nil:
					dropped.Add(1)
					t.Log(err)
					return
				}
				if answered.Add(1); first {
					busy <- struct{}{}
				}
			}
		})
	}
	for range 8 {
		<-busy
	}
	must(t, s.stop())
	callers.Wait()
	if dropped.Load() > 0 {
		t.Errorf("%d of %d requests were dropped", dropped.Load(), answered.Load())
	}
}

// TestSocketIsPrivate: who may open the socket administers the server.
func TestSocketIsPrivate(t *testing.T) {
	cfg := devConfig(t)
	s := startService(t, cfg)
	info, err := os.Stat(cfg.socket())
	must(t, err)
	if info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
		t.Errorf("mode %v", info.Mode())
	}
	must(t, s.stop())
	if _, err := os.Stat(cfg.socket()); err == nil {
		t.Error("the socket outlives its server")
	}
}
