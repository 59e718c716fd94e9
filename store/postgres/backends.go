package postgres

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const (
	putBackendSQL  = `INSERT INTO backends (resource, backend, scopes) VALUES ($1, $2, $3) ON CONFLICT (resource, backend) DO UPDATE SET scopes = excluded.scopes`
	dropBackendSQL = `DELETE FROM backends WHERE resource = $1 AND backend = $2`
	backendSQL     = `SELECT scopes FROM backends WHERE resource = $1 AND backend = $2`
	backendsSQL    = `SELECT backend, scopes FROM backends WHERE resource = $1 ORDER BY backend`
)

// PutBackend lets the resource get tokens for a backend, or no longer.
func (s *Store) PutBackend(ctx context.Context, resource, backend string, scopes []string, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		var front, back bool
		const known = `SELECT EXISTS (SELECT 1 FROM resources WHERE uri = $1), EXISTS (SELECT 1 FROM resources WHERE uri = $2)`
		if _, err := tx.one(known, []any{resource, backend}, &front, &back); err != nil {
			return err
		}
		if !front || !back {
			return store.ErrResourceNotFound
		}
		if len(scopes) == 0 {
			tx.later(dropBackendSQL, resource, backend)
		} else {
			tx.later(putBackendSQL, resource, backend, words(scopes))
		}
		return tx.record(recs...)
	})
}

// Backend returns the scopes that the resource may have at the backend.
func (s *Store) Backend(ctx context.Context, resource, backend string) (scopes []string, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err := c.one(backendSQL, []any{resource, backend}, jsonColumn{&scopes})
		if err == nil && !found {
			return store.ErrBackendNotFound
		}
		return err
	})
	return scopes, err
}

// Backends returns every backend of the resource, with its scopes.
func (s *Store) Backends(ctx context.Context, resource string) (map[string][]string, error) {
	all := map[string][]string{}
	err := s.read(ctx, func(c *conn) error {
		return c.each(backendsSQL, []any{resource}, func(scan func(...any) error) error {
			var backend string
			var scopes []string
			err := scan(&backend, jsonColumn{&scopes})
			all[backend] = scopes
			return err
		})
	})
	return all, err
}
