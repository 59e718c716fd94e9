package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writePair writes a self-signed certificate of this name and its key.
func writePair(t *testing.T, cert, key, name string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if path != "" {
			if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestCertificateIsRenewed(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, key, "one.example")
	c, err := newKeyPair(cert, key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	later := time.Now()
	serves := func(name string) {
		t.Helper()
		later = later.Add(time.Second) // coarse clocks of file systems
		for _, path := range []string{cert, key} {
			if err := os.Chtimes(path, later, later); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		got, err := c.current(nil)
		if err != nil || got.Leaf.Subject.CommonName != name {
			t.Errorf("serves %v %v, want %s", got.Leaf.Subject, err, name)
		}
	}
	serves("one.example")
	writePair(t, cert, key, "two.example")
	serves("two.example")
	writePair(t, cert, "", "half.example") // whose key has not been written yet
	serves("two.example")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	serves("two.example")
	writePair(t, cert, key, "three.example")
	serves("three.example")
	if _, err := newKeyPair(cert, filepath.Join(dir, "nowhere"), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("starts without a key")
	}
}

// TestSlowReaderIsClosed: a write that takes too long closes the connection, so that there is no goodbye to wait for.
func TestSlowReaderIsClosed(t *testing.T) { // RX7
	near, far := net.Pipe()
	defer far.Close()
	c := promptConn{near}
	if err := c.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a late write: %v", err)
	}
	if err := c.SetWriteDeadline(time.Time{}); err == nil {
		t.Error("the connection is open")
	}
}
