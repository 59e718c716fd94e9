package sqlite

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const (
	addKeySQL     = `INSERT INTO keys (id, use, algorithm, sealed, state, created_at) VALUES (?, ?, ?, ?, ?, ?)`
	keyColumns    = `id, use, algorithm, sealed, state, created_at`
	activeKeySQL  = `SELECT ` + keyColumns + ` FROM keys WHERE use = ? AND state = 'active'`
	keysSQL       = `SELECT ` + keyColumns + ` FROM keys ORDER BY rowid`
	retireKeysSQL = `UPDATE keys SET state = 'retired' WHERE use = ? AND state = 'active'`
)

func keyFields(k *store.Key) []any {
	return []any{&k.ID, &k.Use, &k.Algorithm, &k.Sealed, &k.State, at(&k.CreatedAt)}
}

func (tx *tx) addActiveKey(k *store.Key) error {
	k.State, k.CreatedAt = store.KeyActive, orNow(k.CreatedAt, tx.now)
	_, err := tx.exec(addKeySQL, k.ID, k.Use, k.Algorithm, bytes(k.Sealed), string(k.State), micros(k.CreatedAt))
	return err
}

// AddFirstKey stores k unless its use has an active key, and returns the active one. The records
// tell of k, so they are stored with it alone.
func (s *Store) AddFirstKey(ctx context.Context, k store.Key, recs ...store.Record) (active store.Key, err error) {
	err = s.write(ctx, func(tx *tx) error {
		found, err := tx.one(activeKeySQL, []any{k.Use}, keyFields(&active)...)
		if err != nil || found {
			return err
		}
		active = k
		if err := tx.addActiveKey(&active); err != nil {
			return err
		}
		return tx.record(recs...)
	})
	return active, err
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

// RotateKey makes k the active key of its use and the former one retired.
func (s *Store) RotateKey(ctx context.Context, k store.Key, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		if _, err := tx.exec(retireKeysSQL, k.Use); err != nil {
			return err
		}
		if err := tx.addActiveKey(&k); err != nil {
			return err
		}
		return tx.record(recs...)
	})
}
