package postgres

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const (
	keyColumns = `id, use, algorithm, sealed, state, created_at, active_at, retired_at, killed_at`
	addKeySQL  = `INSERT INTO keys (` + keyColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0)`
	keyInSQL   = `SELECT ` + keyColumns + ` FROM keys WHERE use = $1 AND state = $2`
	keyByIDSQL = `SELECT ` + keyColumns + ` FROM keys WHERE id = $1`
	keysSQL    = `SELECT ` + keyColumns + ` FROM keys ORDER BY n`
)

func keyFields(k *store.Key) []any {
	return []any{
		&k.ID, &k.Use, &k.Algorithm, &k.Sealed, &k.State,
		at(&k.CreatedAt), at(&k.ActiveAt), at(&k.RetiredAt), at(&k.KilledAt),
	}
}

// addKey stores k in this state.
func (tx *tx) addKey(k *store.Key, state store.KeyState) error {
	k.State, k.CreatedAt = state, orNow(k.CreatedAt, tx.now())
	if state == store.KeyActive {
		k.ActiveAt = tx.now()
	}
	tx.later(addKeySQL, k.ID, k.Use, k.Algorithm, bytes(k.Sealed), string(k.State), micros(k.CreatedAt), micros(k.ActiveAt))
	return nil
}

// AddFirstKey stores k unless its use has an active key, and returns the active one. The records
// tell of k, so they are stored with it alone.
func (s *Store) AddFirstKey(ctx context.Context, k store.Key, recs ...store.Record) (store.Key, error) {
	return s.addOnly(ctx, k, store.KeyActive, recs)
}

// StageKey stores k as next unless its use has a next key, and returns the next one.
func (s *Store) StageKey(ctx context.Context, k store.Key, recs ...store.Record) (store.Key, error) {
	return s.addOnly(ctx, k, store.KeyNext, recs)
}

// addOnly stores k in a state that one key of its use may have, and returns the key that has it.
func (s *Store) addOnly(ctx context.Context, k store.Key, state store.KeyState, recs []store.Record) (held store.Key, err error) {
	err = s.write(ctx, func(tx *tx) error {
		tx.mutex("keys", k.Use)
		found, err := tx.one(keyInSQL, []any{k.Use, string(state)}, keyFields(&held)...)
		if err != nil || found {
			return err
		}
		held = k
		if err := tx.addKey(&held, state); err != nil {
			return err
		}
		return tx.record(recs...)
	})
	return held, err
}

// Keys returns all keys, oldest first.
func (s *Store) Keys(ctx context.Context) (keys []store.Key, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(keysSQL, nil, func(scan func(...any) error) error {
			var k store.Key
			err := scan(keyFields(&k)...)
			keys = append(keys, k)
			return err
		})
	})
	return keys, err
}

const (
	retireKeySQL   = `UPDATE keys SET state = 'retired', retired_at = $2 WHERE use = $1 AND state = 'active'`
	activateKeySQL = `UPDATE keys SET state = 'active', active_at = $2 WHERE id = $1`
	killKeySQL     = `UPDATE keys SET state = 'killed', killed_at = $2 WHERE id = $1`
	rewrapKeySQL   = `UPDATE keys SET sealed = $3 WHERE id = $1 AND sealed = $2`
)

// RotateKey makes the next key the active one, retires the former and stores fresh as next.
func (s *Store) RotateKey(ctx context.Context, id string, fresh store.Key, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		var next store.Key
		tx.mutex("keys", fresh.Use)
		found, err := tx.one(keyInSQL, []any{fresh.Use, string(store.KeyNext)}, keyFields(&next)...)
		if err != nil {
			return err
		}
		if !found || next.ID != id {
			return store.ErrKeyChanged
		}
		tx.later(retireKeySQL, fresh.Use, micros(tx.now()))
		if err := tx.promote(next, fresh); err != nil {
			return err
		}
		return tx.record(recs...)
	})
}

// promote makes the next key the active one and stores fresh in its place.
func (tx *tx) promote(next, fresh store.Key) error {
	tx.later(activateKeySQL, next.ID, micros(tx.now()))
	return tx.addKey(&fresh, store.KeyNext)
}

// KillKey makes a key worthless, lets the next one take its place and tells every resource.
func (s *Store) KillKey(ctx context.Context, id string, fresh store.Key, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		var k, next store.Key
		tx.mutex("keys", fresh.Use)
		found, err := tx.one(keyByIDSQL, []any{id}, keyFields(&k)...)
		if err != nil {
			return err
		}
		if !found {
			return store.ErrKeyNotFound
		}
		if k.State == store.KeyKilled {
			return nil
		}
		staged, err := tx.one(keyInSQL, []any{k.Use, string(store.KeyNext)}, keyFields(&next)...)
		if err != nil {
			return err
		}
		if k.State == store.KeyActive && !staged {
			return store.ErrKeyChanged
		}
		tx.later(killKeySQL, id, micros(tx.now()))
		switch k.State {
		case store.KeyActive:
			err = tx.promote(next, fresh)
		case store.KeyNext:
			err = tx.addKey(&fresh, store.KeyNext)
		}
		if err != nil {
			return err
		}
		if err := tx.tellAll(store.Event{Kind: store.EventKeyKilled, JTI: id}); err != nil {
			return err
		}
		return tx.record(recs...)
	})
}

const holdKeysSQL = `SELECT 1 FROM keys ORDER BY id FOR UPDATE`

const resourceURIsSQL = `SELECT uri FROM resources ORDER BY uri`

// tellAll adds the event to the feed of every resource.
func (tx *tx) tellAll(e store.Event) error {
	uris, err := tx.strings(resourceURIsSQL)
	for _, uri := range uris {
		e.Resource = uri
		tx.tell(e)
	}
	return err
}

// RewrapKeys replaces the sealed bytes of all these keys, or of none.
func (s *Store) RewrapKeys(ctx context.Context, rewraps []store.Rewrap, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		tx.later(holdKeysSQL)
		for _, r := range rewraps { // all conditions before the first change
			var k store.Key
			found, err := tx.one(keyByIDSQL, []any{r.ID}, keyFields(&k)...)
			if err != nil {
				return err
			}
			if !found || string(k.Sealed) != string(r.Old) {
				return store.ErrKeyChanged
			}
		}
		for _, r := range rewraps {
			tx.later(rewrapKeySQL, r.ID, bytes(r.Old), bytes(r.New))
		}
		return tx.record(recs...)
	})
}
