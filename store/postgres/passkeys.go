package postgres

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const addPasskeySQL = `INSERT INTO passkeys (id, user_id, name, credential, created_at, used_at)
VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT DO NOTHING`

// AddPasskey stores a passkey of a live user.
func (s *Store) AddPasskey(ctx context.Context, p store.Passkey, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		if err := tx.liveUser(p.UserID); err != nil {
			return err
		}
		n, err := tx.exec(addPasskeySQL, bytes(p.ID), p.UserID, p.Name, bytes(p.Credential), micros(orNow(p.CreatedAt, tx.now())))
		if err == nil && n == 0 {
			err = store.ErrPasskeyExists
		}
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

const passkeyColumns = `p.id, p.user_id, p.name, p.credential, p.created_at, p.used_at`

func passkeyFields(p *store.Passkey) []any {
	return []any{&p.ID, &p.UserID, &p.Name, &p.Credential, at(&p.CreatedAt), at(&p.UsedAt)}
}

const passkeysOfSQL = `SELECT ` + passkeyColumns + ` FROM passkeys p WHERE p.user_id = $1 ORDER BY p.created_at`

// PasskeysOf returns the user's passkeys, oldest first.
func (s *Store) PasskeysOf(ctx context.Context, userID string) (passkeys []store.Passkey, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(passkeysOfSQL, []any{userID}, func(scan func(...any) error) error {
			var p store.Passkey
			err := scan(passkeyFields(&p)...)
			passkeys = append(passkeys, p)
			return err
		})
	})
	return passkeys, err
}

const passkeyByIDSQL = `SELECT ` + passkeyColumns + `, ` + userColumns + `
FROM passkeys p JOIN users u ON u.id = p.user_id WHERE p.id = $1`

// PasskeyByID returns the passkey with its user.
func (s *Store) PasskeyByID(ctx context.Context, id []byte) (p store.Passkey, u store.User, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err := c.one(passkeyByIDSQL, []any{bytes(id)}, append(passkeyFields(&p), userFields(&u)...)...)
		if err == nil && !found {
			return store.ErrPasskeyNotFound
		}
		return err
	})
	return p, u, err
}

const usePasskeySQL = `UPDATE passkeys SET credential = $1, used_at = $2 WHERE id = $3 AND credential = $4`

// UsePasskey replaces the credential as it was.
func (s *Store) UsePasskey(ctx context.Context, id, was, is []byte) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(usePasskeySQL, bytes(is), micros(tx.now()), bytes(id), bytes(was))
		if err == nil && n == 0 {
			err = store.ErrPasskeyChanged
		}
		return err
	})
}

const removePasskeySQL = `DELETE FROM passkeys WHERE id = $1 AND user_id = $2`

// RemovePasskey forgets a passkey of this user.
func (s *Store) RemovePasskey(ctx context.Context, userID string, id []byte, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(removePasskeySQL, bytes(id), userID)
		if err == nil && n == 0 {
			err = store.ErrPasskeyNotFound
		}
		return errOr(err, func() error { return tx.record(recs...) })
	})
}
