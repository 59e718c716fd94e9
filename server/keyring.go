package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// keyRing holds the server's keys: sealed in the store, opened in memory. Readers never wait.
type keyRing struct {
	store  store.Store
	sealer tokens.Sealer
	now    func() time.Time
	secret []byte // the server's own secret, from which purpose keys are derived
	held   atomic.Pointer[ringState]
}

// ringState is one immutable view of the signing keys.
type ringState struct {
	active tokens.SigningKey
	set    tokens.KeySet // all that still verify
	jwks   []byte
	etag   string
}

const (
	useSign   = "sig"
	useSecret = "enc"
)

// openKeyRing reads the keys, making the first ones when there are none.
func openKeyRing(ctx context.Context, s store.Store, masterKey []byte, now func() time.Time) (*keyRing, error) {
	sealer, err := tokens.NewSealer(masterKey)
	if err != nil {
		return nil, err
	}
	k := &keyRing{store: s, sealer: sealer, now: now}
	if k.secret, err = k.firstSecret(ctx); err != nil {
		return nil, err
	}
	fresh, err := k.newSigningKey()
	if err != nil {
		return nil, err
	}
	if _, err = s.AddFirstKey(ctx, fresh, keyRecord("key.added", fresh)); err != nil {
		return nil, err
	}
	return k, k.Reload(ctx)
}

// firstSecret returns the server's secret, which all instances share.
func (k *keyRing) firstSecret(ctx context.Context) ([]byte, error) {
	secret := make([]byte, 32)
	rand.Read(secret)
	id := tokens.NewID("sec_")
	sealed, err := k.sealer.Seal(secret, id)
	if err != nil {
		return nil, err
	}
	fresh := store.Key{ID: id, Use: useSecret, Algorithm: "HKDF", Sealed: sealed, State: store.KeyActive, CreatedAt: k.now()}
	held, err := k.store.AddFirstKey(ctx, fresh, keyRecord("key.added", fresh))
	if err != nil {
		return nil, err
	}
	if secret, err = k.sealer.Open(held.Sealed, held.ID); err != nil {
		return nil, fmt.Errorf("server: the master key does not open the key ring: %w", err)
	}
	return secret, nil
}

func (k *keyRing) newSigningKey() (store.Key, error) {
	key, err := tokens.NewSigningKey()
	if err != nil {
		return store.Key{}, err
	}
	raw, err := key.Marshal()
	if err != nil {
		return store.Key{}, err
	}
	sealed, err := k.sealer.Seal(raw, key.ID())
	if err != nil {
		return store.Key{}, err
	}
	return store.Key{ID: key.ID(), Use: useSign, Algorithm: "ES256", Sealed: sealed, State: store.KeyActive, CreatedAt: k.now()}, nil
}

// Reload reads the keys from the store again.
func (k *keyRing) Reload(ctx context.Context) error {
	keys, err := k.store.Keys(ctx)
	if err != nil {
		return err
	}
	var state ringState
	var all []tokens.SigningKey
	found := false
	for _, held := range keys {
		if held.Use != useSign {
			continue
		}
		raw, err := k.sealer.Open(held.Sealed, held.ID)
		if err != nil {
			return fmt.Errorf("server: the master key does not open key %s: %w", held.ID, err)
		}
		key, err := tokens.ParseSigningKey(raw)
		if err != nil {
			return err
		}
		if all = append(all, key); held.State == store.KeyActive {
			state.active, found = key, true
		}
	}
	if !found {
		return fmt.Errorf("server: the key ring has no active signing key")
	}
	state.set = tokens.NewKeySet(all...)
	if state.jwks, err = state.set.JWKS(); err != nil {
		return err
	}
	state.etag = `"` + tokens.HashBytes(state.jwks)[len("sha-256:"):] + `"`
	k.held.Store(&state)
	return nil
}

// Rotate makes a new key the signing one; the former stays published for what it signed. record
// tells the ledger.
func (k *keyRing) Rotate(ctx context.Context, record func(about map[string]any) store.Record) (string, error) {
	fresh, err := k.newSigningKey()
	if err != nil {
		return "", err
	}
	if err := k.store.RotateKey(ctx, fresh, record(aboutKey(fresh))); err != nil {
		return "", err
	}
	return fresh.ID, k.Reload(ctx)
}

// Signer is the key that signs now.
func (k *keyRing) Signer() tokens.SigningKey { return k.held.Load().active }

// Keys are all keys whose signatures count.
func (k *keyRing) Keys() tokens.KeySet { return k.held.Load().set }

func keyRecord(kind string, key store.Key) store.Record { return store.NewRecord(kind, aboutKey(key)) }

func aboutKey(key store.Key) map[string]any {
	return map[string]any{"kid": key.ID, "use": key.Use, "alg": key.Algorithm}
}
