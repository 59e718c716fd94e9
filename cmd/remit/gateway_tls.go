package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
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
