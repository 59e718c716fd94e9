package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// keyPair is a TLS certificate in two files that may be renewed while it is used.
type keyPair struct {
	cert, key string
	log       *slog.Logger

	mu   sync.Mutex
	now  *tls.Certificate
	seen [2]stamp
}

// over speaks TLS on what l accepts.
func (c *keyPair) over(l net.Listener) net.Listener {
	return tls.NewListener(promptListener{l}, &tls.Config{GetCertificate: c.current, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
}

// promptListener accepts connections that end with the first write that takes too long. TLS alone would then
// try for five more seconds to say goodbye (crypto/tls.Conn.Close), to somebody who reads nothing.
type promptListener struct{ net.Listener }

// Accept returns the next connection.
func (l promptListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return promptConn{c}, nil
}

type promptConn struct{ net.Conn }

// Write writes, or closes the connection when its time is over.
func (c promptConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.Close()
	}
	return n, err
}

// stamp is by which a file is known to have changed.
type stamp struct {
	at   time.Time
	size int64
}

// newKeyPair reads the files; without them nothing starts.
func newKeyPair(cert, key string, log *slog.Logger) (*keyPair, error) {
	c := &keyPair{cert: cert, key: key, log: log}
	c.seen = c.stamps()
	pair, err := loadKeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	c.now = &pair
	return c, nil
}

func (c *keyPair) stamps() (all [2]stamp) {
	for i, path := range []string{c.cert, c.key} {
		if info, err := os.Stat(path); err == nil {
			all[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return all
}

// current is the certificate for a new connection: that of the files, or, while they do not fit
// together, the one before.
func (c *keyPair) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamps := c.stamps() // before reading: what is written meanwhile is seen the next time
	if stamps == c.seen {
		return c.now, nil
	}
	c.seen = stamps
	pair, err := loadKeyPair(c.cert, c.key)
	if err != nil {
		c.log.Error("the new TLS certificate is not taken; the old one stays", "error", err)
		return c.now, nil
	}
	c.now = &pair
	c.log.Info("the TLS certificate was renewed", "ends", pair.Leaf.NotAfter)
	return c.now, nil
}
