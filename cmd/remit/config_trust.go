package main

import (
	"fmt"
	"os"

	"github.com/remit-auth/remit/server"
)

// trust tells the server whose assertions are believed.
func (c Config) trust(into *server.Config) error {
	if c.TrustFile == "" {
		return nil
	}
	raw, err := os.ReadFile(c.TrustFile)
	if err != nil {
		return fmt.Errorf("REMIT_TRUST_FILE: %w", err)
	}
	if into.Trust, err = server.ParseTrust(raw); err != nil {
		return fmt.Errorf("REMIT_TRUST_FILE: %s: %w", c.TrustFile, err)
	}
	return nil
}
