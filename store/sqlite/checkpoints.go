package sqlite

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const addCheckpointSQL = `INSERT INTO checkpoints (size, head, at, signed) SELECT ?1, ?2, ?3, ?4
WHERE NOT EXISTS (SELECT 1 FROM (SELECT size, at FROM checkpoints ORDER BY id DESC LIMIT 1) newest WHERE newest.size > ?1 OR newest.at > ?3)`

// AddCheckpoint stores a signed checkpoint.
func (s *Store) AddCheckpoint(ctx context.Context, c store.Checkpoint) error {
	return s.write(ctx, func(tx *tx) error {
		_, err := tx.exec(addCheckpointSQL, c.Size, c.Head[:], micros(orNow(c.At, tx.now)), c.Signed)
		return err
	})
}

const (
	checkpointsSQL    = `SELECT size, head, at, signed FROM checkpoints ORDER BY id`
	lastCheckpointSQL = `SELECT size, head, at, signed FROM checkpoints ORDER BY id DESC LIMIT 1`
)

func scanCheckpoints(into *[]store.Checkpoint) func(func(...any) error) error {
	return func(scan func(...any) error) error {
		var c store.Checkpoint
		err := scan(&c.Size, hash(&c.Head), at(&c.At), &c.Signed)
		*into = append(*into, c)
		return err
	}
}

// LastCheckpoint returns the newest checkpoint, zero when there is none.
func (s *Store) LastCheckpoint(ctx context.Context) (store.Checkpoint, error) {
	all, err := s.checkpoints(ctx, lastCheckpointSQL)
	if err != nil || len(all) == 0 {
		return store.Checkpoint{}, err
	}
	return all[0], nil
}

// Checkpoints returns all checkpoints, oldest first.
func (s *Store) Checkpoints(ctx context.Context) ([]store.Checkpoint, error) {
	return s.checkpoints(ctx, checkpointsSQL)
}

func (s *Store) checkpoints(ctx context.Context, query string) (all []store.Checkpoint, err error) {
	err = s.read(ctx, func(c *conn) error { return c.each(query, nil, scanCheckpoints(&all)) })
	return all, err
}
