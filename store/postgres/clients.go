package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/remit-auth/remit/store"
)

const addClientSQL = `INSERT INTO clients (id, metadata, policy, secret_hash, disabled, created_at, origin, digest, renewed_at, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`

// AddClient stores a new client.
func (s *Store) AddClient(ctx context.Context, c store.Client, recs ...store.Record) error {
	row, err := clientRow(c)
	if err != nil {
		return err
	}
	return s.write(ctx, func(tx *tx) error {
		return errOr(tx.addClient(row), func() error { return tx.record(recs...) })
	})
}

// clientJSON is a client with its structures encoded.
type clientJSON struct {
	store.Client
	metadata, policy string
}

func clientRow(c store.Client) (clientJSON, error) {
	metadata, err := json.Marshal(c.Metadata)
	if err != nil {
		return clientJSON{}, fmt.Errorf("postgres: client metadata: %w", err)
	}
	policy, err := json.Marshal(c.Policy)
	if err != nil {
		return clientJSON{}, fmt.Errorf("postgres: client policy: %w", err)
	}
	return clientJSON{c, string(metadata), string(policy)}, nil
}

func (tx *tx) addClient(c clientJSON) error {
	n, err := tx.exec(addClientSQL, c.ID, c.metadata, c.policy, hashValue(c.SecretHash), c.Disabled,
		micros(orNow(c.CreatedAt, tx.now())), string(c.Origin), hashValue(c.Digest), micros(tx.now()), micros(tx.now()))
	if err == nil && n == 0 {
		return store.ErrClientExists
	}
	return err
}

const setClientPolicySQL = `UPDATE clients SET policy = $1 WHERE id = $2`

// SetClientPolicy replaces what the client may ask for.
func (s *Store) SetClientPolicy(ctx context.Context, id string, p store.ClientPolicy, recs ...store.Record) error {
	policy, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("postgres: client policy: %w", err)
	}
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(setClientPolicySQL, string(policy), id)
		if err == nil && n == 0 {
			err = store.ErrClientNotFound
		}
		return errOr(err, func() error { return tx.record(recs...) })
	})
}

const clientColumns = `cl.id, cl.metadata, cl.policy, cl.secret_hash, cl.disabled, cl.created_at, cl.origin, cl.digest`

func clientFields(c *store.Client) []any {
	return []any{
		&c.ID, jsonColumn{&c.Metadata}, jsonColumn{&c.Policy}, hash(&c.SecretHash), &c.Disabled, at(&c.CreatedAt), &c.Origin, hash(&c.Digest),
	}
}

const (
	clientByIDSQL = `SELECT ` + clientColumns + ` FROM clients cl WHERE cl.id = $1`
	clientsSQL    = `SELECT ` + clientColumns + ` FROM clients cl ORDER BY cl.id`
)

// ClientByID finds the client, disabled or not.
func (s *Store) ClientByID(ctx context.Context, id string) (client store.Client, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err := c.one(clientByIDSQL, []any{id}, clientFields(&client)...)
		if err == nil && !found {
			return store.ErrClientNotFound
		}
		return err
	})
	return client, err
}

// Clients returns all clients by ID.
func (s *Store) Clients(ctx context.Context) (clients []store.Client, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(clientsSQL, nil, func(scan func(...any) error) error {
			var client store.Client
			err := scan(clientFields(&client)...)
			clients = append(clients, client)
			return err
		})
	})
	return clients, err
}

const (
	disableClientSQL   = `UPDATE clients SET disabled = $1 WHERE id = $2`
	liveTasksClientSQL = `SELECT id FROM tasks WHERE client_id = $1 AND ended_at = 0 ORDER BY n`
)

// DisableClient sets the flag; disabling ends the client's tasks.
func (s *Store) DisableClient(ctx context.Context, id string, disabled bool, recs ...store.Record) (ended []store.Task, err error) {
	err = s.write(ctx, func(tx *tx) error {
		ended = nil
		n, err := tx.exec(disableClientSQL, disabled, id) // from here on nobody lends to it
		if err != nil {
			return err
		}
		if n == 0 {
			return store.ErrClientNotFound
		}
		if disabled {
			tx.later(forgetClientSQL, id)
			end := store.End{State: store.TaskRevoked, By: store.ByAdmin, Reason: "client_disabled"}
			if ended, err = tx.endAll(liveTasksClientSQL, []any{id}, end); err != nil {
				return err
			}
		}
		return tx.record(recs...)
	})
	return ended, err
}
