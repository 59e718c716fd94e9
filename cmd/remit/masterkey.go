package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// masterKeyLen is the length of an AES-256 key.
const masterKeyLen = 32

// readMasterKey reads the key that seals the key ring, making the default file when it is missing.
func readMasterKey(cfg Config) ([]byte, error) {
	path, mayMake := cfg.masterKeyPath()
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && mayMake {
		return makeMasterKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("master key %s: anybody on this machine may read it; chmod 600 it", path)
	}
	key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(string(raw)), "="))
	if err != nil || len(key) != masterKeyLen {
		return nil, fmt.Errorf("master key %s: it must hold %d bytes in base64url", path, masterKeyLen)
	}
	return key, nil
}

// makeMasterKey writes a new key, durable before anything is sealed under it.
func makeMasterKey(path string) ([]byte, error) {
	key := make([]byte, masterKeyLen)
	rand.Read(key)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	_, err = f.WriteString(base64.RawURLEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("master key: %w", errors.Join(err, os.Remove(path)))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return key, errors.Join(dir.Sync(), dir.Close())
}
