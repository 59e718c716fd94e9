package postgres

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const spendOnceSQL = `INSERT INTO spent (id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`

// Spend notes a credential that is good once.
func (s *Store) Spend(ctx context.Context, o store.Once) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(spendOnceSQL, o.ID[:], micros(o.Until))
		if err == nil && n == 0 {
			return store.ErrSpent
		}
		return err
	})
}
