package tokens

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"time"
)

var (
	idEncoding = base32.NewEncoding("234567abcdefghijklmnopqrstuvwxyz").WithPadding(base32.NoPadding)
	// b64 is base64url without padding whose unused last bits must be zero; it still skips line
	// breaks, so that whoever decodes with it looks for them first (see decode64).
	b64 = base64.RawURLEncoding.Strict()
)

// NewID returns a fresh public name: the prefix, the second, and 96 random bits, in a lower-case base32
// that sorts like its bytes. What is made together lies together in an index, so that the living stay
// close however many have ended; two of one second are in no order.
func NewID(prefix string) string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	binary.BigEndian.PutUint32(b[:], uint32(time.Now().Unix()))
	return prefix + idEncoding.EncodeToString(b[:])
}

// NewSecret returns a fresh bearer secret: the prefix and 256 random bits in base64url.
func NewSecret(prefix string) string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return prefix + b64.EncodeToString(b[:])
}

// HashBytes returns the SHA-256 of b in the form that definitions, grants and policies are named by.
func HashBytes(b []byte) string {
	sum := sha256.Sum256(b)
	return hashPrefix + b64.EncodeToString(sum[:])
}

const hashPrefix = "sha-256:"

// validHash reports whether s has the form of HashBytes.
func validHash(s string) bool {
	return len(s) > len(hashPrefix) && s[:len(hashPrefix)] == hashPrefix && validDigest(s[len(hashPrefix):])
}

// validDigest reports whether s is the base64url of 32 bytes, as thumbprints and challenges are.
func validDigest(s string) bool {
	b, err := decode64(s)
	return err == nil && len(b) == sha256.Size
}
