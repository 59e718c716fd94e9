package tokens

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrSealed means that a sealed text was not made with this key and label, or was changed.
var ErrSealed = errors.New("tokens: the seal is broken")

const sealVersion = 1 // first byte of every sealed text

// A Sealer encrypts what the store keeps for us, with AES-256-GCM under the master key. The zero
// value seals nothing.
type Sealer struct {
	aead cipher.AEAD
}

// NewSealer takes the master key, which is 32 random bytes.
func NewSealer(masterKey []byte) (Sealer, error) {
	if len(masterKey) != 32 {
		return Sealer{}, errors.New("tokens: the master key must be 32 bytes")
	}
	return newSealer(masterKey, "remit seal v1")
}

func newSealer(secret []byte, purpose string) (Sealer, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, purpose, 32)
	if err != nil {
		return Sealer{}, fmt.Errorf("tokens: derive a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return Sealer{}, fmt.Errorf("tokens: seal: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Sealer{}, fmt.Errorf("tokens: seal: %w", err)
	}
	return Sealer{aead}, nil
}

// Seal encrypts plain. The label says what it is and where it belongs; it is not kept, and only
// the same label opens the text again, so that no row passes for another.
func (s Sealer) Seal(plain []byte, label string) ([]byte, error) {
	if s.aead == nil {
		return nil, errors.New("tokens: no key to seal with")
	}
	return s.aead.Seal([]byte{sealVersion}, nil, plain, []byte(label)), nil
}

// Open returns what was sealed under the label.
func (s Sealer) Open(sealed []byte, label string) ([]byte, error) {
	if s.aead == nil || len(sealed) == 0 || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	plain, err := s.aead.Open(nil, nil, sealed[1:], []byte(label))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

const (
	secretPurpose = "remit secret seal v1"
	minSecret     = 22 // characters: 128 bits of base64url
)

// SealFor encrypts plain for whoever holds secret, which must be one of NewSecret's: the store can
// then keep the successor of a refresh token without being able to read it.
func SealFor(secret string, plain []byte) ([]byte, error) {
	if len(secret) < minSecret {
		return nil, errors.New("tokens: the secret is too short to seal with")
	}
	s, err := newSealer([]byte(secret), secretPurpose)
	if err != nil {
		return nil, err
	}
	return s.Seal(plain, secretPurpose)
}

// OpenFor returns what was sealed for secret.
func OpenFor(secret string, sealed []byte) ([]byte, error) {
	s, err := newSealer([]byte(secret), secretPurpose)
	if err != nil {
		return nil, err
	}
	return s.Open(sealed, secretPurpose)
}
