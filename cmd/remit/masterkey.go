package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/tokens"
)

// masterKeyLen is the length of an AES-256 key.
const masterKeyLen = 32

// openMaster returns what wraps the data keys, by the one setting that is given: a key management
// service, the key itself, or a file of keys, whose default is made when it is missing.
func openMaster(ctx context.Context, cfg Config) (server.Master, error) {
	switch {
	case len(cfg.MasterKeyURL) > 0:
		return openKMS(ctx, cfg.MasterKeyURL)
	case cfg.MasterKey != "":
		return parseMasterKeys("REMIT_MASTER_KEY", cfg.MasterKey)
	}
	path, mayMake := cfg.masterKeyPath()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && mayMake {
		if err := makeMasterKey(path); err != nil {
			return nil, err
		}
	}
	file := masterFile(path)
	if _, err := file.keys(); err != nil {
		return nil, err
	}
	return file, nil
}

// parseMasterKeys reads master keys in base64url, the newest first.
func parseMasterKeys(source, text string) (m tokens.MasterKeys, err error) {
	var keys [][]byte
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,", r) }) {
		key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(word, "="))
		if err != nil || len(key) != masterKeyLen {
			return m, fmt.Errorf("master key %s: it must hold %d bytes in base64url, and after a rotation the former key behind it", source, masterKeyLen)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return m, fmt.Errorf("master key %s: it is empty", source)
	}
	return tokens.NewMasterKeys(keys[0], keys[1:]...)
}

// masterFile is a file of master keys, one a line, the newest first. It is read whenever it is used,
// which is seldom, so that a rotation needs no restart.
type masterFile string

func (f masterFile) keys() (tokens.MasterKeys, error) {
	raw, err := readSecret(string(f))
	if err != nil {
		return tokens.MasterKeys{}, fmt.Errorf("master key: %w", err)
	}
	return parseMasterKeys(string(f), string(raw))
}

// Wrap seals under the newest key of the file.
func (f masterFile) Wrap(ctx context.Context, key []byte, label string) ([]byte, error) {
	keys, err := f.keys()
	if err != nil {
		return nil, err
	}
	return keys.Wrap(ctx, key, label)
}

// Unwrap opens with any key of the file.
func (f masterFile) Unwrap(ctx context.Context, wrapped []byte, label string) ([]byte, error) {
	keys, err := f.keys()
	if err != nil {
		return nil, err
	}
	return keys.Unwrap(ctx, wrapped, label)
}

// newMasterKey is a fresh key in base64url.
func newMasterKey() string {
	key := make([]byte, masterKeyLen)
	rand.Read(key)
	return base64.RawURLEncoding.EncodeToString(key)
}

// makeMasterKey writes a new key, durable before anything is sealed under it.
func makeMasterKey(path string) error {
	return writeDurably(path, []byte(newMasterKey()+"\n"), os.O_EXCL)
}

// writeDurably writes a file of the owner's alone and syncs it with its directory.
func writeDurably(path string, content []byte, mode int) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|mode, 0o600)
	if err != nil {
		return fmt.Errorf("master key: %w", err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("master key: %w", errors.Join(err, os.Remove(path)))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
