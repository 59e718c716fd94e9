package sqlite

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const addSessionSQL = `INSERT INTO sessions (id, user_id, auth_time, expires_at) VALUES (?, ?, ?, ?)`

// AddSession stores a new session of a live user.
func (s *Store) AddSession(ctx context.Context, session store.Session, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		if err := tx.liveUser(session.UserID); err != nil {
			return err
		}
		_, err := tx.exec(addSessionSQL, session.ID[:], session.UserID, micros(session.AuthTime), micros(session.ExpiresAt))
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

const sessionSQL = `SELECT s.id, s.user_id, s.auth_time, s.expires_at, ` + userColumns + `
FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = ?`

// SessionByID returns the session with its user.
func (s *Store) SessionByID(ctx context.Context, id store.Hash) (session store.Session, u store.User, err error) {
	err = s.read(ctx, func(c *conn) error {
		fields := []any{hash(&session.ID), &session.UserID, at(&session.AuthTime), at(&session.ExpiresAt)}
		found, err := c.one(sessionSQL, []any{id[:]}, append(fields, userFields(&u)...)...)
		if err != nil {
			return err
		}
		if !found || !s.clock().Before(session.ExpiresAt) {
			return store.ErrSessionNotFound
		}
		if u.Disabled {
			return store.ErrUserDisabled
		}
		return nil
	})
	if err != nil {
		return store.Session{}, store.User{}, err
	}
	return session, u, nil
}

const removeSessionSQL = `DELETE FROM sessions WHERE id = ?`

// RemoveSession forgets the session; one already gone is fine.
func (s *Store) RemoveSession(ctx context.Context, id store.Hash) error {
	return s.write(ctx, func(tx *tx) error {
		_, err := tx.exec(removeSessionSQL, id[:])
		return err
	})
}

const liveUserSQL = `SELECT disabled FROM users WHERE id = ?`

// liveUser refuses an unknown or disabled user.
func (tx *tx) liveUser(id string) error {
	return tx.live(liveUserSQL, id, store.ErrUserNotFound, store.ErrUserDisabled)
}

const liveClientSQL = `SELECT disabled FROM clients WHERE id = ?`

// liveClient refuses an unknown or disabled client.
func (tx *tx) liveClient(id string) error {
	return tx.live(liveClientSQL, id, store.ErrClientNotFound, store.ErrClientDisabled)
}

const liveResourceSQL = `SELECT disabled FROM resources WHERE uri = ?`

// liveResource refuses an unknown or disabled resource.
func (tx *tx) liveResource(uri string) error {
	return tx.live(liveResourceSQL, uri, store.ErrResourceNotFound, store.ErrResourceNotFound)
}

func (tx *tx) live(query, id string, unknown, off error) error {
	var disabled bool
	found, err := tx.one(query, []any{id}, &disabled)
	if err != nil {
		return err
	}
	if !found {
		return unknown
	}
	if disabled {
		return off
	}
	return nil
}
