package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Argon2id parameters (RFC 9106 §4, OWASP's minimum): 19 MiB, two passes, one lane.
const (
	argonMemory = 19 << 10 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonKey    = 32
	maxPassword = 1024 // bytes
	minPassword = 8
)

// passwordHasher hashes a bounded number of passwords at once, so that a flood of sign-ins cannot
// exhaust memory.
type passwordHasher struct {
	slots chan struct{}
	decoy string // checked for unknown users, so that they take the same time
}

func newPasswordHasher(slots int) *passwordHasher {
	if slots <= 0 {
		slots = 4
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	return &passwordHasher{slots: make(chan struct{}, slots), decoy: encodeArgon(salt, make([]byte, argonKey))}
}

// HashPassword returns the PHC string of a new password.
func HashPassword(password string) (string, error) {
	if len(password) < minPassword || len(password) > maxPassword {
		return "", fmt.Errorf("a password has %d to %d bytes", minPassword, maxPassword)
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	return encodeArgon(salt, argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, argonKey)), nil
}

func encodeArgon(salt, key []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes, b64(salt), b64(key))
}

// verify reports whether the password has this hash; an empty hash takes as long and never has.
func (h *passwordHasher) verify(ctx context.Context, password, phc string) (bool, error) {
	if len(password) > maxPassword {
		return false, nil
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	known := phc != ""
	if !known {
		phc = h.decoy
	}
	salt, want, err := decodeArgon(phc)
	if err != nil {
		return false, err
	}
	got := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, argonKey)
	return subtle.ConstantTimeCompare(got, want) == 1 && known, nil
}

func decodeArgon(phc string) (salt, key []byte, err error) {
	parts := strings.Split(phc, "$")
	prefix := fmt.Sprintf("v=%d m=%d,t=%d,p=%d", argon2.Version, argonMemory, argonTime, argonLanes)
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2]+" "+parts[3] != prefix {
		return nil, nil, errors.New("server: a stored password hash has unknown parameters")
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	return salt, key, errors.Join(err1, err2)
}
