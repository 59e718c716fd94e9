package sqlite

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

const pushRequestSQL = `INSERT INTO requests (id, client_id, params, jkt, session, decided, created_at, expires_at, device)
VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?)`

// PushRequest stores a new request of a live client.
func (s *Store) PushRequest(ctx context.Context, r store.Request, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		if err := tx.liveClient(r.ClientID); err != nil {
			return err
		}
		_, err := tx.exec(pushRequestSQL, r.ID[:], r.ClientID, bytes(r.Params), r.JKT, hashValue(r.Session),
			micros(orNow(r.CreatedAt, tx.now)), micros(r.ExpiresAt), hashValue(r.Device))
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

const requestSQL = `SELECT id, client_id, params, jkt, session, created_at, expires_at, device, decided FROM requests WHERE id = ?`

// request returns a request that is known, unexpired and undecided, and of this client unless none
// is named. Whether another client's is decided stays untold.
func (s *Store) request(c *conn, id store.Hash, clientID string) (r store.Request, err error) {
	var decided bool
	found, err := c.one(requestSQL, []any{id[:]}, hash(&r.ID), &r.ClientID, &r.Params, &r.JKT, hash(&r.Session),
		at(&r.CreatedAt), at(&r.ExpiresAt), hash(&r.Device), &decided)
	switch {
	case err != nil:
		return store.Request{}, err
	case !found, clientID != "" && r.ClientID != clientID, !s.clock().Before(r.ExpiresAt):
		return store.Request{}, store.ErrRequestNotFound
	case decided:
		return store.Request{}, store.ErrRequestDecided
	}
	return r, nil
}

// RequestByID returns a live, undecided request of this client.
func (s *Store) RequestByID(ctx context.Context, id store.Hash, clientID string) (r store.Request, err error) {
	err = s.read(ctx, func(c *conn) (err error) {
		r, err = s.request(c, id, clientID)
		return err
	})
	return r, err
}

const bindRequestSQL = `UPDATE requests SET session = ? WHERE id = ?`

// BindRequest ties the request to the browser session that is about to see it.
func (s *Store) BindRequest(ctx context.Context, id store.Hash, clientID string, session store.Hash) (r store.Request, err error) {
	err = s.write(ctx, func(tx *tx) (err error) {
		if r, err = s.request(tx.conn, id, clientID); err != nil {
			return err
		}
		if r.Session == session && !session.IsZero() {
			return nil
		}
		if !r.Session.IsZero() || session.IsZero() {
			return store.ErrRequestBound
		}
		r.Session = session
		_, err = tx.exec(bindRequestSQL, session[:], id[:])
		return err
	})
	if err != nil {
		return store.Request{}, err
	}
	return r, nil
}

const decideRequestSQL = `UPDATE requests SET decided = 1 WHERE id = ?`

// decidable returns the request if this browser session may decide it.
func (s *Store) decidable(tx *tx, id, session store.Hash) (store.Request, error) {
	r, err := s.request(tx.conn, id, "")
	if err == nil && (session.IsZero() || r.Session != session) {
		err = store.ErrRequestBound
	}
	if err == nil && !r.Device.IsZero() {
		err = tx.deviceOpen(r.Device)
	}
	return r, err
}

// Deny decides the request without a task.
func (s *Store) Deny(ctx context.Context, id, session store.Hash, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		r, err := s.decidable(tx, id, session)
		if err != nil {
			return err
		}
		if _, err := tx.exec(decideRequestSQL, id[:]); err != nil {
			return err
		}
		if !r.Device.IsZero() {
			if _, err := tx.exec(denyDeviceSQL, r.Device[:]); err != nil {
				return err
			}
		}
		return tx.record(recs...)
	})
}

const prolongRequestSQL = `UPDATE requests SET expires_at = MAX(expires_at, ?) WHERE id = ?`

// ProlongRequest lets the request wait longer.
func (s *Store) ProlongRequest(ctx context.Context, id, session store.Hash, until time.Time) error {
	return s.write(ctx, func(tx *tx) error {
		if _, err := s.decidable(tx, id, session); err != nil {
			return err
		}
		_, err := tx.exec(prolongRequestSQL, micros(until), id[:])
		return err
	})
}
