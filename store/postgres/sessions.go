package postgres

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const addSessionSQL = `INSERT INTO sessions (id, user_id, auth_time, expires_at, method, browser, push, upstream, sid)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

// AddSession stores a new session of a live user.
func (s *Store) AddSession(ctx context.Context, session store.Session, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		if err := tx.liveUser(session.UserID); err != nil {
			return err
		}
		if err := tx.samePassword(session); err != nil {
			return err
		}
		tx.later(addSessionSQL, session.ID[:], session.UserID, micros(session.AuthTime), micros(session.ExpiresAt),
			session.Method, session.Browser, bytes(session.Push), session.Upstream, session.SID)
		return tx.record(recs...)
	})
}

const passwordSQL = `SELECT password_hash FROM users WHERE id = $1`

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
FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $1`

// SessionByID returns the session with its user.
func (s *Store) SessionByID(ctx context.Context, id store.Hash) (session store.Session, u store.User, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err := c.one(sessionSQL, []any{id[:]}, append(sessionFields(&session), userFields(&u)...)...)
		if err != nil {
			return err
		}
		if !found || !c.now().Before(session.ExpiresAt) {
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

const removeSessionSQL = `DELETE FROM sessions WHERE id = $1`

// RemoveSession forgets the session; one already gone is fine.
func (s *Store) RemoveSession(ctx context.Context, id store.Hash) error {
	return s.write(ctx, func(tx *tx) error {
		tx.later(removeSessionSQL, id[:])
		return nil
	})
}

const sessionsOfSQL = `SELECT ` + sessionColumns + ` FROM sessions s WHERE s.user_id = $1 AND s.expires_at > $2 ORDER BY s.auth_time DESC`

// SessionsOf returns the user's live sessions, newest first.
func (s *Store) SessionsOf(ctx context.Context, userID string) (sessions []store.Session, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(sessionsOfSQL, []any{userID, micros(c.now())}, func(scan func(...any) error) error {
			var session store.Session
			err := scan(sessionFields(&session)...)
			sessions = append(sessions, session)
			return err
		})
	})
	return sessions, err
}

const sessionsOfUpstreamSQL = `SELECT ` + sessionColumns + `
FROM sessions s WHERE s.upstream <> '' AND s.upstream = $1 AND s.sid = $2 AND s.expires_at > $3`

// SessionsOfUpstream returns the live sessions that the issuer's provider knows by this name.
func (s *Store) SessionsOfUpstream(ctx context.Context, issuer, sid string) (sessions []store.Session, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(sessionsOfUpstreamSQL, []any{issuer, sid, micros(c.now())}, func(scan func(...any) error) error {
			var session store.Session
			err := scan(sessionFields(&session)...)
			sessions = append(sessions, session)
			return err
		})
	})
	return sessions, err
}

const setPushSQL = `UPDATE sessions SET push = $1 WHERE id = $2 AND user_id = $3 AND expires_at > $4`

// SetPush keeps where the session takes push messages.
func (s *Store) SetPush(ctx context.Context, userID string, id store.Hash, push []byte, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(setPushSQL, bytes(push), id[:], userID, micros(tx.now()))
		if err == nil && n == 0 {
			err = store.ErrSessionNotFound
		}
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

const forgetPushSQL = `UPDATE sessions SET push = $1 WHERE id = $2 AND push = $3`

// ForgetPush forgets where the session took push messages.
func (s *Store) ForgetPush(ctx context.Context, id store.Hash, push []byte) error {
	return s.write(ctx, func(tx *tx) error {
		_, err := tx.exec(forgetPushSQL, []byte{}, id[:], bytes(push))
		return err
	})
}

const endSessionSQL = `DELETE FROM sessions WHERE id = $1 AND user_id = $2`

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

const endSessionsSQL = `DELETE FROM sessions WHERE user_id = $1 AND id <> $2`

// EndSessions forgets all sessions of the user but one.
func (s *Store) EndSessions(ctx context.Context, userID string, keep store.Hash, recs ...store.Record) (ended int, err error) {
	err = s.write(ctx, func(tx *tx) error {
		tx.later(shareUserSQL, userID)
		tx.remembering(userID)
		tx.later(forgetUserSQL, userID)
		n, err := tx.exec(endSessionsSQL, userID, keep[:])
		ended = int(n)
		return errOr(err, func() error { return tx.record(recs...) })
	})
	return ended, err
}

const setPasswordSQL = `UPDATE users SET password_hash = $1 WHERE id = $2`

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
		tx.later(endSessionsSQL, userID, keep[:])
		tx.remembering(userID)
		tx.later(forgetUserSQL, userID)
		return tx.record(recs...)
	})
}

// A share of a row keeps its flag as it was read until the transaction ends.
const (
	shareUserSQL      = `SELECT 1 FROM users WHERE id = $1 FOR SHARE`
	shareClientSQL    = `SELECT 1 FROM clients WHERE id = $1 FOR SHARE`
	shareResourcesSQL = `SELECT 1 FROM resources WHERE uri = ANY($1) ORDER BY uri FOR SHARE`
)

const liveUserSQL = `SELECT disabled FROM users WHERE id = $1 FOR SHARE`

// liveUser refuses an unknown or disabled user.
func (tx *tx) liveUser(id string) error {
	return tx.live(liveUserSQL, id, store.ErrUserNotFound, store.ErrUserDisabled)
}

const liveClientSQL = `SELECT disabled FROM clients WHERE id = $1 FOR SHARE`

// liveClient refuses an unknown or disabled client.
func (tx *tx) liveClient(id string) error {
	return tx.live(liveClientSQL, id, store.ErrClientNotFound, store.ErrClientDisabled)
}

const liveResourceSQL = `SELECT disabled FROM resources WHERE uri = $1 FOR SHARE`

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
