package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// How long keys are published beyond the time in which they sign.
const (
	// jwksLife is how long anybody may keep the JWKS; the metadata say so too.
	jwksLife = time.Minute
	// keyLead is how long a key has been published before it signs: one life of the JWKS and some.
	keyLead = jwksLife + 5*time.Second
	// keyOverlap outlives the last token that a retired key has signed.
	keyOverlap = store.RetiredSigns + maxAccessLife + 2*time.Minute
	// reloadEvery is how soon an instance hears of keys that another has changed. Nothing depends on
	// it but how long the store refuses what a retired key signs.
	reloadEvery = time.Second
	// DefaultKeyAge is how old a signing key gets before the next one takes its place.
	DefaultKeyAge = 90 * 24 * time.Hour
)

// keyRing holds the server's keys: sealed in the store, opened in memory. Readers never wait.
type keyRing struct {
	store  store.Store
	master Master
	now    func() time.Time
	alg    string        // of keys made here
	age    time.Duration // after which the scheduled rotation comes; 0: never
	secret []byte        // the server's own secret, from which purpose keys are derived
	held   atomic.Pointer[ringState]

	mu     sync.Mutex // one change or reading of the store at a time
	opener opener
}

// ringState is one immutable view of the keys.
type ringState struct {
	active  tokens.SigningKey
	since   time.Time // active signs since then
	next    store.Key // published, and soon to sign; zero: none
	ready   time.Time // from when on next may sign
	signing map[string]tokens.SigningKey
	set     tokens.KeySet // published: all whose signatures count
	all     tokens.KeySet // every key that ever was, for the ledger's checkpoints
	killed  []string
	epoch   store.Epoch
	jwks    []byte
	etag    string
}

const (
	useSign   = "sig"
	useSecret = "enc"
	useWrap   = "wrap"
)

// openKeyRing reads the keys, making the first ones when there are none.
func openKeyRing(ctx context.Context, s store.Store, c Config, now func() time.Time) (*keyRing, error) {
	k := &keyRing{store: s, master: c.Master, now: now, alg: c.KeyAlgorithm, age: c.KeyAge}
	if k.alg == "" {
		k.alg = "ES256"
	}
	if k.master == nil {
		local, err := tokens.NewMasterKeys(c.MasterKey)
		if err != nil {
			return nil, err
		}
		k.master = local
	}
	k.opener = opener{master: k.master, opened: map[string][]byte{}}
	if err := k.firstDataKey(ctx); err != nil {
		return nil, err
	}
	var err error
	if k.secret, err = k.firstSecret(ctx); err != nil {
		return nil, err
	}
	if err := k.firstKeys(ctx); err != nil {
		return nil, err
	}
	return k, k.Reload(ctx)
}

// firstKeys sees that there is a key that signs and one that will.
func (k *keyRing) firstKeys(ctx context.Context) error {
	for _, add := range []func(context.Context, store.Key, ...store.Record) (store.Key, error){k.store.AddFirstKey, k.store.StageKey} {
		fresh, err := k.newSigningKey()
		if err != nil {
			return err
		}
		if _, err := add(ctx, fresh, keyRecord("key.added", fresh)); err != nil {
			return err
		}
	}
	return nil
}

// newSigningKey makes a key and seals it; the store says when it was made.
func (k *keyRing) newSigningKey() (store.Key, error) {
	key, err := tokens.NewSigningKeyFor(k.alg)
	if err != nil {
		return store.Key{}, err
	}
	raw, err := key.Marshal()
	if err != nil {
		return store.Key{}, err
	}
	sealed, err := k.opener.seal(raw, key.ID())
	if err != nil {
		return store.Key{}, err
	}
	return store.Key{ID: key.ID(), Use: useSign, Algorithm: key.Algorithm(), Sealed: sealed}, nil
}

// Reload reads the keys from the store again.
func (k *keyRing) Reload(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reload(ctx)
}

// reload is Reload with k.mu held.
func (k *keyRing) reload(ctx context.Context) error {
	keys, err := k.store.Keys(ctx)
	if err != nil {
		return err
	}
	state := &ringState{signing: map[string]tokens.SigningKey{}}
	if state.epoch, err = k.store.LastEpoch(ctx); err != nil {
		return err
	}
	former := k.held.Load()
	var published, all []tokens.SigningKey
	for _, held := range keys {
		if held.Use != useSign {
			continue
		}
		key, known := former.signer(held.ID)
		if !known {
			if key, err = k.opener.signingKey(ctx, held, keys); err != nil {
				return err
			}
		}
		all = append(all, key)
		state.take(held, key)
		if k.counts(held, state.epoch) {
			published = append(published, key)
		}
	}
	if state.active.ID() == "" {
		return errors.New("server: the key ring has no active signing key")
	}
	state.ready = readyAt(keys, state.next, state.epoch)
	state.set, state.all = tokens.NewKeySet(published...), tokens.NewKeySet(all...)
	if state.jwks, err = state.set.JWKS(); err != nil {
		return err
	}
	state.etag = `"` + tokens.HashBytes(state.jwks)[len("sha-256:"):] + `"`
	k.held.Store(state)
	return nil
}

// take puts one key where its state says.
func (r *ringState) take(held store.Key, key tokens.SigningKey) {
	switch held.State {
	case store.KeyActive:
		r.active, r.since = key, held.ActiveAt
	case store.KeyNext:
		r.next = held
	case store.KeyKilled:
		r.killed = append(r.killed, held.ID)
	}
	r.signing[held.ID] = key
}

// signer is a key that was opened before.
func (r *ringState) signer(kid string) (tokens.SigningKey, bool) {
	if r == nil {
		return tokens.SigningKey{}, false
	}
	key, ok := r.signing[kid]
	return key, ok
}

// counts reports whether what the key signed may be believed: it may sign, or has until lately, and
// was not made before the database was restored from a backup.
func (k *keyRing) counts(held store.Key, epoch store.Epoch) bool {
	if held.CreatedAt.Before(epoch.At) {
		return false
	}
	switch held.State {
	case store.KeyNext, store.KeyActive:
		return true
	case store.KeyRetired:
		return k.now().Before(held.RetiredAt.Add(keyOverlap))
	}
	return false
}

// readyAt is when everybody knows the next key. The very first two are published together from the
// beginning, so that nobody knows the one without the other.
func readyAt(keys []store.Key, next store.Key, epoch store.Epoch) time.Time {
	const together = 5 * time.Second
	for _, held := range keys {
		if held.Use == useSign && held.ID != next.ID && !held.CreatedAt.Before(epoch.At) &&
			(held.State != store.KeyActive || held.CreatedAt.Add(together).Before(next.CreatedAt)) {
			return next.CreatedAt.Add(keyLead)
		}
	}
	return next.CreatedAt
}

// Signer is the key that signs now.
func (k *keyRing) Signer() tokens.SigningKey { return k.held.Load().active }

// SignerOf is the key with this id, so that a token names the key that signs it before it is signed;
// for "", or an id that is gone, the key that signs now.
func (k *keyRing) SignerOf(kid string) tokens.SigningKey {
	state := k.held.Load()
	if key, ok := state.signing[kid]; ok {
		return key
	}
	return state.active
}

// Keys are all keys whose signatures count.
func (k *keyRing) Keys() tokens.KeySet { return k.held.Load().set }

// All are all keys that ever were, for the ledger's checkpoints alone.
func (k *keyRing) All() tokens.KeySet { return k.held.Load().all }

func keyRecord(kind string, key store.Key) store.Record { return store.NewRecord(kind, aboutKey(key)) }

func aboutKey(key store.Key) map[string]any {
	return map[string]any{"kid": key.ID, "use": key.Use, "alg": key.Algorithm}
}

// errOpen says that the ring cannot be read with the master key given.
func errOpen(id string, err error) error {
	return fmt.Errorf("server: the master key does not open key %s: %w", id, err)
}
