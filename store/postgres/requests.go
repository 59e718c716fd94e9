package postgres

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

// The client's row and the request are one statement: a round trip with the commit.
const pushRequestSQL = `INSERT INTO requests (id, client_id, params, jkt, session, decided, created_at, expires_at, device)
SELECT $1, cl.id, $3, $4, $5, false, $6, $7, $8 FROM clients cl WHERE cl.id = $2 AND NOT cl.disabled`

// PushRequest stores a new request of a live client.
func (s *Store) PushRequest(ctx context.Context, r store.Request, recs ...store.Record) error {
	stored := int64(1)
	err := s.write(ctx, func(tx *tx) error {
		created := r.CreatedAt
		if created.IsZero() {
			created = tx.now()
		}
		tx.count(&stored, pushRequestSQL, r.ID[:], r.ClientID, bytes(r.Params), r.JKT, hashValue(r.Session),
			micros(created), micros(r.ExpiresAt), hashValue(r.Device))
		if len(recs) == 0 {
			return nil // the commit goes with it: without a request there is nothing to commit
		}
		if err := tx.flush(); err != nil || stored == 0 {
			return err
		}
		return tx.record(recs...)
	})
	if err == nil && stored == 0 {
		return s.write(ctx, func(tx *tx) error {
			return errOr(tx.liveClient(r.ClientID), func() error { return store.ErrClientDisabled })
		})
	}
	return err
}

const requestSQL = `SELECT id, client_id, params, jkt, session, created_at, expires_at, device, decided FROM requests WHERE id = $1`

// request returns a request that is known, unexpired and undecided, and of this client unless none
// is named. Whether another client's is decided stays untold.
func (c *conn) request(id store.Hash, clientID string) (r store.Request, err error) {
	var decided bool
	found, err := c.one(requestSQL, []any{id[:]}, hash(&r.ID), &r.ClientID, &r.Params, &r.JKT, hash(&r.Session),
		at(&r.CreatedAt), at(&r.ExpiresAt), hash(&r.Device), &decided)
	switch {
	case err != nil:
		return store.Request{}, err
	case !found, clientID != "" && r.ClientID != clientID, !c.now().Before(r.ExpiresAt):
		return store.Request{}, store.ErrRequestNotFound
	case decided:
		return store.Request{}, store.ErrRequestDecided
	}
	return r, nil
}

// RequestByID returns a live, undecided request of this client.
func (s *Store) RequestByID(ctx context.Context, id store.Hash, clientID string) (r store.Request, err error) {
	err = s.read(ctx, func(c *conn) (err error) {
		r, err = c.request(id, clientID)
		return err
	})
	return r, err
}

const holdRequestSQL = `SELECT 1 FROM requests WHERE id = $1 FOR NO KEY UPDATE`

const bindRequestSQL = `UPDATE requests SET session = $1 WHERE id = $2`

// BindRequest ties the request to the browser session that is about to see it.
func (s *Store) BindRequest(ctx context.Context, id store.Hash, clientID string, session store.Hash) (r store.Request, err error) {
	err = s.write(ctx, func(tx *tx) (err error) {
		tx.later(holdRequestSQL, id[:])
		if r, err = tx.request(id, clientID); err != nil {
			return err
		}
		if r.Session == session && !session.IsZero() {
			return nil
		}
		if !r.Session.IsZero() || session.IsZero() {
			return store.ErrRequestBound
		}
		r.Session = session
		tx.later(bindRequestSQL, session[:], id[:])
		return nil
	})
	if err != nil {
		return store.Request{}, err
	}
	return r, nil
}

const decideRequestSQL = `UPDATE requests SET decided = true WHERE id = $1`

// decidable returns the request if this browser session may decide it.
func (s *Store) decidable(tx *tx, id, session store.Hash) (store.Request, error) {
	r, err := tx.request(id, "")
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
		tx.later(holdRequestSQL, id[:])
		r, err := s.decidable(tx, id, session)
		if err != nil {
			return err
		}
		if !r.Device.IsZero() {
			tx.later(denyDeviceSQL, r.Device[:])
		}
		tx.later(decideRequestSQL, id[:])
		return tx.record(recs...)
	})
}

const prolongRequestSQL = `UPDATE requests SET expires_at = GREATEST(expires_at, $1) WHERE id = $2`

// ProlongRequest lets the request wait longer.
func (s *Store) ProlongRequest(ctx context.Context, id, session store.Hash, until time.Time) error {
	return s.write(ctx, func(tx *tx) error {
		tx.later(holdRequestSQL, id[:])
		if _, err := s.decidable(tx, id, session); err != nil {
			return err
		}
		tx.later(prolongRequestSQL, micros(until), id[:])
		return nil
	})
}
