package tokens

import (
	"context"
	"errors"
)

// MasterKeys are master keys held in memory: the first one wraps, each of them opens. The others are
// those that a rotation leaves behind until everything is wrapped anew. The zero value does neither.
type MasterKeys struct {
	sealers []Sealer
}

// NewMasterKeys takes at least one master key of 32 random bytes, the newest first.
func NewMasterKeys(newest []byte, former ...[]byte) (MasterKeys, error) {
	var m MasterKeys
	for _, key := range append([][]byte{newest}, former...) {
		s, err := NewSealer(key)
		if err != nil {
			return MasterKeys{}, err
		}
		m.sealers = append(m.sealers, s)
	}
	return m, nil
}

// Wrap seals a key under the newest master key.
func (m MasterKeys) Wrap(_ context.Context, key []byte, label string) ([]byte, error) {
	if len(m.sealers) == 0 {
		return nil, errors.New("tokens: no master key")
	}
	return m.sealers[0].Seal(key, label)
}

// Unwrap opens what any of the master keys has sealed.
func (m MasterKeys) Unwrap(_ context.Context, sealed []byte, label string) ([]byte, error) {
	for _, s := range m.sealers {
		if key, err := s.Open(sealed, label); err == nil {
			return key, nil
		}
	}
	return nil, ErrSealed
}
