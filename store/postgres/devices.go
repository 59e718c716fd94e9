package postgres

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const (
	addDeviceSQL = `INSERT INTO devices (id, user_code, client_id, params, jkt, denied, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, false, $6, $7) ON CONFLICT (user_code) DO NOTHING`
	deviceColumns = `d.id, d.user_code, d.client_id, d.params, d.jkt, d.created_at, d.expires_at, d.denied,
EXISTS (SELECT 1 FROM codes c WHERE c.id = d.id)`
	deviceByIDSQL       = `SELECT ` + deviceColumns + ` FROM devices d WHERE d.id = $1`
	deviceByUserCodeSQL = `SELECT ` + deviceColumns + ` FROM devices d WHERE d.user_code = $1`
	holdDeviceSQL       = `SELECT 1 FROM devices WHERE id = $1 FOR NO KEY UPDATE`
	deviceOpenSQL       = `SELECT d.expires_at > $2, d.denied OR EXISTS (SELECT 1 FROM codes c WHERE c.id = d.id) FROM devices d WHERE d.id = $1`
	denyDeviceSQL       = `UPDATE devices SET denied = true WHERE id = $1`
)

func deviceFields(d *store.Device) []any {
	return []any{
		hash(&d.ID), hash(&d.UserCode), &d.ClientID, &d.Params, &d.JKT, at(&d.CreatedAt), at(&d.ExpiresAt), &d.Denied, &d.Allowed,
	}
}

// AddDevice stores a new device authorization request.
func (s *Store) AddDevice(ctx context.Context, d store.Device, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		if err := tx.liveClient(d.ClientID); err != nil {
			return err
		}
		n, err := tx.exec(addDeviceSQL, d.ID[:], d.UserCode[:], d.ClientID, bytes(d.Params), d.JKT,
			micros(orNow(d.CreatedAt, tx.now())), micros(d.ExpiresAt))
		if err == nil && n == 0 {
			err = store.ErrUserCodeTaken
		}
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

// DeviceByID returns a device authorization request, expired or decided too.
func (s *Store) DeviceByID(ctx context.Context, id store.Hash) (d store.Device, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err := c.one(deviceByIDSQL, []any{id[:]}, deviceFields(&d)...)
		if err == nil && !found {
			return store.ErrDeviceNotFound
		}
		return err
	})
	return d, err
}

// DeviceByUserCode returns a live, undecided one.
func (s *Store) DeviceByUserCode(ctx context.Context, code store.Hash) (d store.Device, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err := c.one(deviceByUserCodeSQL, []any{code[:]}, deviceFields(&d)...)
		if err == nil && (!found || d.Denied || d.Allowed || !c.now().Before(d.ExpiresAt)) {
			return store.ErrUserCodeNotFound
		}
		return err
	})
	if err != nil {
		return store.Device{}, err
	}
	return d, nil
}

// deviceOpen refuses a decision about a device code that is known no more, or decided.
func (tx *tx) deviceOpen(id store.Hash) error {
	var live, decided bool
	tx.later(holdDeviceSQL, id[:])
	found, err := tx.one(deviceOpenSQL, []any{id[:], micros(tx.now())}, &live, &decided)
	switch {
	case err != nil:
		return err
	case !found || !live:
		return store.ErrRequestNotFound
	case decided:
		return store.ErrRequestDecided
	}
	return nil
}
