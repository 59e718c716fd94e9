package postgres

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const (
	putFactorSQL = `INSERT INTO second_factors (user_id, sealed, last_step, created_at) VALUES ($1, $2, 0, $3)
ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, last_step = 0, created_at = excluded.created_at`
	forgetRecoverySQL = `DELETE FROM recovery_codes WHERE user_id = $1`
	addRecoverySQL    = `INSERT INTO recovery_codes (user_id, code) VALUES ($1, $2) ON CONFLICT DO NOTHING`
)

// PutSecondFactor stores the user's second factor with its recovery codes.
func (s *Store) PutSecondFactor(ctx context.Context, f store.SecondFactor, recovery []store.Hash, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		if err := tx.liveUser(f.UserID); err != nil {
			return err
		}
		tx.later(putFactorSQL, f.UserID, bytes(f.Sealed), micros(orNow(f.CreatedAt, tx.now())))
		tx.later(forgetRecoverySQL, f.UserID)
		for _, code := range recovery {
			tx.later(addRecoverySQL, f.UserID, code[:])
		}
		return tx.record(recs...)
	})
}

const secondFactorSQL = `SELECT f.user_id, f.sealed, f.created_at, (SELECT count(*) FROM recovery_codes r WHERE r.user_id = f.user_id)
FROM second_factors f WHERE f.user_id = $1`

// SecondFactorOf returns the user's second factor.
func (s *Store) SecondFactorOf(ctx context.Context, userID string) (f store.SecondFactor, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err := c.one(secondFactorSQL, []any{userID}, &f.UserID, &f.Sealed, at(&f.CreatedAt), &f.RecoveryLeft)
		if err == nil && !found {
			return store.ErrNoSecondFactor
		}
		return err
	})
	return f, err
}

const useStepSQL = `UPDATE second_factors SET last_step = $1 WHERE user_id = $2 AND last_step < $1`

// UseStep spends the time step of a right code.
func (s *Store) UseStep(ctx context.Context, userID string, step int64) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(useStepSQL, step, userID)
		if err == nil && n == 0 {
			err = store.ErrFactorSpent
		}
		return err
	})
}

const useRecoverySQL = `DELETE FROM recovery_codes WHERE user_id = $1 AND code = $2`

// UseRecoveryCode spends a recovery code.
func (s *Store) UseRecoveryCode(ctx context.Context, userID string, code store.Hash, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(useRecoverySQL, userID, code[:])
		if err == nil && n == 0 {
			err = store.ErrFactorSpent
		}
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

const removeFactorSQL = `DELETE FROM second_factors WHERE user_id = $1`

// RemoveSecondFactor forgets the second factor and its recovery codes.
func (s *Store) RemoveSecondFactor(ctx context.Context, userID string, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(removeFactorSQL, userID)
		if err == nil && n == 0 {
			err = store.ErrNoSecondFactor
		}
		if err != nil {
			return err
		}
		tx.later(forgetRecoverySQL, userID)
		return tx.record(recs...)
	})
}
