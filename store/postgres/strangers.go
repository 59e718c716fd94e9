package postgres

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

// Clients that no admin added.

const (
	clientByDigestSQL = `SELECT ` + clientColumns + ` FROM clients cl WHERE cl.digest = $1`
	renewClientSQL    = `UPDATE clients SET renewed_at = $1 WHERE id = $2`
)

// RegisterClient stores a client that registered itself, or returns the one with the same digest.
func (s *Store) RegisterClient(ctx context.Context, c store.Client, recs ...store.Record) (client store.Client, err error) {
	row, err := clientRow(c)
	if err != nil {
		return store.Client{}, err
	}
	err = s.write(ctx, func(tx *tx) error {
		client = store.Client{}
		if !c.Digest.IsZero() {
			tx.mutex("registration", c.Digest.String())
			found, err := tx.one(clientByDigestSQL, []any{c.Digest[:]}, clientFields(&client)...)
			if err != nil {
				return err
			}
			if found {
				tx.later(renewClientSQL, micros(tx.now()), client.ID)
				return nil
			}
		}
		if err := tx.addClient(row); err != nil {
			return err
		}
		if _, err := tx.one(clientByIDSQL, []any{c.ID}, clientFields(&client)...); err != nil {
			return err
		}
		return tx.record(recs...)
	})
	return client, err
}

// renewAfter is how old renewed_at may be before a document that has not changed moves it: reading
// documents again and again is no reason to write.
const renewAfter = time.Hour

const (
	documentSQL = `SELECT cl.metadata, cl.origin, cl.renewed_at FROM clients cl WHERE cl.id = $1`
	// Kept is what a user agreed to: a version under which nothing was lent is nobody's concern.
	keepVersionSQL = `INSERT INTO client_versions (client_id, since, metadata)
SELECT cl.id, cl.changed_at, cl.metadata FROM clients cl
WHERE cl.id = $1 AND EXISTS (SELECT 1 FROM tasks t WHERE t.client_id = cl.id AND t.created_at >= cl.changed_at) ON CONFLICT DO NOTHING`
	changeClientSQL = `UPDATE clients SET metadata = $1, changed_at = $2, renewed_at = $3 WHERE id = $4`
)

// PutDocument stores what a client says of itself at its client_id.
func (s *Store) PutDocument(ctx context.Context, id string, m store.ClientMetadata, recs ...store.Record) (client store.Client, err error) {
	row, err := clientRow(store.Client{ID: id, Metadata: m, Origin: store.ByDocument})
	if err != nil {
		return store.Client{}, err
	}
	err = s.write(ctx, func(tx *tx) error {
		tx.mutex("client", id)
		if err := tx.putDocument(row, recs); err != nil {
			return err
		}
		client = store.Client{}
		_, err := tx.one(clientByIDSQL, []any{id}, clientFields(&client)...)
		return err
	})
	return client, err
}

func (tx *tx) putDocument(c clientJSON, recs []store.Record) error {
	var metadata string
	var origin store.ClientOrigin
	var renewed time.Time
	found, err := tx.one(documentSQL, []any{c.ID}, &metadata, &origin, at(&renewed))
	switch {
	case err != nil:
		return err
	case !found:
		return tx.addClient(c)
	case origin != store.ByDocument:
		return store.ErrClientExists
	case metadata == c.metadata && tx.now().Sub(renewed) < renewAfter:
		return nil
	case metadata == c.metadata:
		tx.later(renewClientSQL, micros(tx.now()), c.ID)
		return nil
	}
	kept, err := tx.exec(keepVersionSQL, c.ID)
	if err != nil {
		return err
	}
	if _, err := tx.exec(changeClientSQL, c.metadata, micros(tx.now()), micros(tx.now()), c.ID); err != nil || kept == 0 {
		return err
	}
	return tx.record(recs...)
}

const metadataAtSQL = `SELECT metadata FROM (
	SELECT metadata, changed_at AS since FROM clients WHERE id = $1
	UNION ALL SELECT metadata, since FROM client_versions WHERE client_id = $1) AS versions
WHERE since <= $2 ORDER BY since DESC LIMIT 1`

// MetadataAt returns the metadata that the client had when a task was lent to it.
func (s *Store) MetadataAt(ctx context.Context, id string, when time.Time) (m store.ClientMetadata, err error) {
	err = s.read(ctx, func(c *conn) error {
		m = store.ClientMetadata{}
		found, err := c.one(metadataAtSQL, []any{id, micros(when)}, jsonColumn{&m})
		if err == nil && !found {
			return store.ErrClientNotFound
		}
		return err
	})
	return m, err
}

const (
	forgettable = `cl.origin <> '' AND cl.renewed_at <= $1 AND NOT cl.disabled
	AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.client_id = cl.id)
	AND NOT EXISTS (SELECT 1 FROM requests r WHERE r.client_id = cl.id)`
	holdForgettableSQL = `SELECT cl.id FROM clients cl WHERE ` + forgettable + ` LIMIT $2 FOR UPDATE SKIP LOCKED`
	forgetClientsSQL   = `DELETE FROM clients cl WHERE cl.id = ANY($2) AND ` + forgettable
)

// ForgetClients forgets strangers that came to nothing. Nobody lends to the ones it holds, and what
// was lent before shows in the second look.
func (s *Store) ForgetClients(ctx context.Context, renewed time.Time) (forgotten int, err error) {
	err = s.write(ctx, func(tx *tx) error {
		forgotten = 0
		ids, err := tx.strings(holdForgettableSQL, micros(renewed), sweepBatch)
		if err != nil || len(ids) == 0 {
			return err
		}
		n, err := tx.exec(forgetClientsSQL, micros(renewed), ids)
		forgotten = int(n)
		return err
	})
	return forgotten, err
}
