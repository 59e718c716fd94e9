package server

import (
	"bytes"
	"context"
	"crypto/rand"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// Master wraps the data keys under which all other keys are sealed. tokens.MasterKeys is one in
// memory; a key management service may be another.
type Master interface {
	// Wrap encrypts a data key under the newest master key, and binds it to the label.
	Wrap(ctx context.Context, key []byte, label string) ([]byte, error)
	// Unwrap opens what Wrap made, now or under a master key that is still accepted.
	Unwrap(ctx context.Context, wrapped []byte, label string) ([]byte, error)
}

// opener opens sealed keys: envelopes under data keys, which are wrapped under the master key. Rings
// of the first version are sealed under the master key itself, and are read as well.
type opener struct {
	master Master
	opened map[string][]byte // data keys by id, unwrapped once
	newest string            // id of the data key that seals
}

// dataKey unwraps a data key, or remembers it.
func (o *opener) dataKey(ctx context.Context, held store.Key) (tokens.Sealer, error) {
	key, ok := o.opened[held.ID]
	if !ok {
		var err error
		if key, err = o.master.Unwrap(ctx, held.Sealed, held.ID); err != nil {
			return tokens.Sealer{}, errOpen(held.ID, err)
		}
		o.opened[held.ID] = key
	}
	return tokens.NewSealer(key)
}

// seal seals under the newest data key.
func (o *opener) seal(plain []byte, label string) ([]byte, error) {
	sealer, err := tokens.NewSealer(o.opened[o.newest])
	if err != nil {
		return nil, err
	}
	return sealer.Seal(plain, label)
}

// open opens a key with the data keys among ring, or else with the master key.
func (o *opener) open(ctx context.Context, held store.Key, ring []store.Key) ([]byte, error) {
	for _, wrap := range ring {
		if wrap.Use != useWrap {
			continue
		}
		sealer, err := o.dataKey(ctx, wrap)
		if err != nil {
			return nil, err
		}
		if plain, err := sealer.Open(held.Sealed, held.ID); err == nil {
			return plain, nil
		}
	}
	plain, err := o.master.Unwrap(ctx, held.Sealed, held.ID)
	if err != nil {
		return nil, errOpen(held.ID, err)
	}
	return plain, nil
}

// signingKey opens a signing key.
func (o *opener) signingKey(ctx context.Context, held store.Key, ring []store.Key) (tokens.SigningKey, error) {
	raw, err := o.open(ctx, held, ring)
	if err != nil {
		return tokens.SigningKey{}, err
	}
	return tokens.ParseSigningKey(raw)
}

// firstDataKey sees that there is a data key, which all instances share.
func (k *keyRing) firstDataKey(ctx context.Context) error {
	key := make([]byte, 32)
	rand.Read(key)
	keys, err := k.store.Keys(ctx)
	if err != nil {
		return err
	}
	for _, held := range keys { // a key management service is asked once
		if held.Use == useWrap && held.State == store.KeyActive {
			k.opener.newest = held.ID
			_, err := k.opener.dataKey(ctx, held)
			return err
		}
	}
	id := tokens.NewID("key_")
	wrapped, err := k.master.Wrap(ctx, key, id)
	if err != nil {
		return err
	}
	fresh := store.Key{ID: id, Use: useWrap, Algorithm: "A256GCM", Sealed: wrapped}
	held, err := k.store.AddFirstKey(ctx, fresh, keyRecord("key.added", fresh))
	if err != nil {
		return err
	}
	k.opener.newest = held.ID
	_, err = k.opener.dataKey(ctx, held)
	return err
}

// firstSecret returns the server's secret, which all instances share.
func (k *keyRing) firstSecret(ctx context.Context) ([]byte, error) {
	secret := make([]byte, 32)
	rand.Read(secret)
	id := tokens.NewID("sec_")
	sealed, err := k.opener.seal(secret, id)
	if err != nil {
		return nil, err
	}
	fresh := store.Key{ID: id, Use: useSecret, Algorithm: "HKDF", Sealed: sealed}
	held, err := k.store.AddFirstKey(ctx, fresh, keyRecord("key.added", fresh))
	if err != nil {
		return nil, err
	}
	keys, err := k.store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	return k.opener.open(ctx, held, keys)
}

// Rewrap wraps every data key under the newest master key, and seals under the data key what an
// older version has sealed under the master key itself. Instances that hold the keys already do not
// notice. It returns how many keys it has sealed anew.
func (k *keyRing) Rewrap(ctx context.Context, record func(about map[string]any) store.Record) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys, err := k.store.Keys(ctx)
	if err != nil {
		return 0, err
	}
	fresh := opener{master: k.master, opened: map[string][]byte{}, newest: k.opener.newest} // believe nothing that is only in memory
	var rewraps []store.Rewrap
	for _, held := range keys {
		sealed, err := fresh.reseal(ctx, held, keys)
		if err != nil {
			return 0, err
		}
		if sealed != nil && !bytes.Equal(sealed, held.Sealed) {
			rewraps = append(rewraps, store.Rewrap{ID: held.ID, Old: held.Sealed, New: sealed})
		}
	}
	if len(rewraps) == 0 {
		return 0, nil
	}
	err = k.store.RewrapKeys(ctx, rewraps, record(map[string]any{"keys": len(rewraps)}))
	return len(rewraps), err
}

// reseal returns the key wrapped or sealed as it should be; nil when it is.
func (o *opener) reseal(ctx context.Context, held store.Key, ring []store.Key) ([]byte, error) {
	if held.Use == useWrap {
		if _, err := o.dataKey(ctx, held); err != nil {
			return nil, err
		}
		return o.master.Wrap(ctx, o.opened[held.ID], held.ID)
	}
	plain, err := o.open(ctx, held, ring)
	if err != nil {
		return nil, err
	}
	sealer, err := tokens.NewSealer(o.opened[o.newest])
	if err != nil {
		return nil, err
	}
	if _, err := sealer.Open(held.Sealed, held.ID); err == nil {
		return nil, nil
	}
	return sealer.Seal(plain, held.ID)
}

// OpenKeys is the public side of a sealed key ring, for whoever checks signatures without a server.
func OpenKeys(ctx context.Context, keys []store.Key, master Master) (tokens.KeySet, error) {
	o := opener{master: master, opened: map[string][]byte{}}
	var signing []tokens.SigningKey
	for _, held := range keys {
		if held.Use != useSign {
			continue
		}
		key, err := o.signingKey(ctx, held, keys)
		if err != nil {
			return tokens.KeySet{}, err
		}
		signing = append(signing, key)
	}
	return tokens.NewKeySet(signing...), nil
}
