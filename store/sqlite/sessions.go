package sqlite

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const addSessionSQL = `INSERT INTO sessions (id, user_id, auth_time, expires_at, method, browser, push, upstream, sid)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

// AddSession stores a new session of a live user.
func (s *Store) AddSession(ctx context.Context, session store.Session, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		if err := tx.liveUser(session.UserID); err != nil {
			return err
		}
		if err := tx.samePassword(session); err != nil {
			return err
		}
		_, err := tx.exec(addSessionSQL, session.ID[:], session.UserID, micros(session.AuthTime), micros(session.ExpiresAt),
			session.Method, session.Browser, bytes(session.Push), session.Upstream, session.SID)
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

const passwordSQL = `SELECT password_hash FROM users WHERE id = ?`

// samePassword refuses a session that begins by a password which is no longer its user's.
func (tx *tx) samePassword(session store.Session) error {
	if session.Password == "" {
		return nil
	}
	var now string
	if _, err := tx.one(passwordSQL, []any{session.UserID}, &now); err != nil {
		return err
	}
	if now != session.Password {
		return store.ErrPasswordChanged
	}
	return nil
}

const sessionColumns = `s.id, s.user_id, s.auth_time, s.expires_at, s.method, s.browser, s.push, s.upstream, s.sid`

func sessionFields(s *store.Session) []any {
	return []any{hash(&s.ID), &s.UserID, at(&s.AuthTime), at(&s.ExpiresAt), &s.Method, &s.Browser, &s.Push, &s.Upstream, &s.SID}
}

const sessionSQL = `SELECT ` + sessionColumns + `, ` + userColumns + `
FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = ?`

// SessionByID returns the session with its user.
func (s *Store) SessionByID(ctx context.Context, id store.Hash) (session store.Session, u store.User, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err := c.one(sessionSQL, []any{id[:]}, append(sessionFields(&session), userFields(&u)...)...)
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

const sessionsOfSQL = `SELECT ` + sessionColumns + ` FROM sessions s WHERE s.user_id = ? AND s.expires_at > ? ORDER BY s.auth_time DESC`

// SessionsOf returns the user's live sessions, newest first.
func (s *Store) SessionsOf(ctx context.Context, userID string) (sessions []store.Session, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(sessionsOfSQL, []any{userID, micros(s.clock())}, func(scan func(...any) error) error {
			var session store.Session
			err := scan(sessionFields(&session)...)
			sessions = append(sessions, session)
			return err
		})
	})
	return sessions, err
}

const sessionsOfUpstreamSQL = `SELECT ` + sessionColumns + `
FROM sessions s WHERE s.upstream <> '' AND s.upstream = ? AND s.sid = ? AND s.expires_at > ?`

// SessionsOfUpstream returns the live sessions that the issuer's provider knows by this name.
func (s *Store) SessionsOfUpstream(ctx context.Context, issuer, sid string) (sessions []store.Session, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(sessionsOfUpstreamSQL, []any{issuer, sid, micros(s.clock())}, func(scan func(...any) error) error {
			var session store.Session
			err := scan(sessionFields(&session)...)
			sessions = append(sessions, session)
			return err
		})
	})
	return sessions, err
}

const setPushSQL = `UPDATE sessions SET push = ? WHERE id = ? AND user_id = ? AND expires_at > ?`

// SetPush keeps where the session takes push messages.
func (s *Store) SetPush(ctx context.Context, userID string, id store.Hash, push []byte, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(setPushSQL, bytes(push), id[:], userID, micros(tx.now))
		if err == nil && n == 0 {
			err = store.ErrSessionNotFound
		}
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

const forgetPushSQL = `UPDATE sessions SET push = ? WHERE id = ? AND push = ?`

// ForgetPush forgets where the session took push messages.
func (s *Store) ForgetPush(ctx context.Context, id store.Hash, push []byte) error {
	return s.write(ctx, func(tx *tx) error {
		_, err := tx.exec(forgetPushSQL, []byte{}, id[:], bytes(push))
		return err
	})
}

const endSessionSQL = `DELETE FROM sessions WHERE id = ? AND user_id = ?`

// EndSession forgets one session of this user.
func (s *Store) EndSession(ctx context.Context, userID string, id store.Hash, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(endSessionSQL, id[:], userID)
		if err == nil && n == 0 {
			err = store.ErrSessionNotFound
		}
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

const endSessionsSQL = `DELETE FROM sessions WHERE user_id = ? AND id <> ?`

// EndSessions forgets all sessions of the user but one.
func (s *Store) EndSessions(ctx context.Context, userID string, keep store.Hash, recs ...store.Record) (ended int, err error) {
	err = s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(endSessionsSQL, userID, keep[:])
		ended = int(n)
		if err != nil {
			return err
		}
		if _, err := tx.exec(forgetUserSQL, userID); err != nil {
			return err
		}
		return tx.record(recs...)
	})
	return ended, err
}

const setPasswordSQL = `UPDATE users SET password_hash = ? WHERE id = ?`

// SetPassword replaces the password's hash and signs the user out everywhere else.
func (s *Store) SetPassword(ctx context.Context, userID, hash string, keep store.Hash, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(setPasswordSQL, hash, userID)
		if err == nil && n == 0 {
			err = store.ErrUserNotFound
		}
		if err != nil {
			return err
		}
		if _, err := tx.exec(endSessionsSQL, userID, keep[:]); err != nil {
			return err
		}
		if _, err := tx.exec(forgetUserSQL, userID); err != nil {
			return err
		}
		return tx.record(recs...)
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
