package postgres

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const (
	prunableSQL    = `SELECT id, ended_at FROM tasks WHERE ended_at > 0 AND NOT pruned AND ended_at <= $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED`
	prunedSQL      = `UPDATE tasks SET pruned = true WHERE id = ANY($1)`
	pruneCodes     = `DELETE FROM codes WHERE task_id = ANY($1)`
	pruneRefresh   = `DELETE FROM refresh_tokens WHERE task_id = ANY($1)`
	pruneAccess    = `DELETE FROM access_tokens WHERE task_id = ANY($1)`
	pruneReserved  = `DELETE FROM reservations WHERE task_id = ANY($1)`
	pruneEventsSQL = `DELETE FROM feed WHERE (resource, seq) IN (
	SELECT f.resource, f.seq FROM feed f WHERE f.at <= $1
	AND f.seq < (SELECT h.seq FROM feed_heads h WHERE h.resource = f.resource) ORDER BY f.at LIMIT $2 FOR UPDATE SKIP LOCKED)`
	pruneStreamsSQL = `DELETE FROM guard_streams WHERE (guard, replica) IN (
	SELECT guard, replica FROM guard_streams WHERE used_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`
)

// pruneBatch bounds how many tasks, each with a few hundred rows at most, and how many events one
// commit forgets; of events as of replicas.
const (
	pruneTasks  = 20
	pruneEvents = 500
	pruneRounds = 50 // of each, in one call
)

// Prune forgets what belonged to tasks that ended long ago, and old feed events.
func (s *Store) Prune(ctx context.Context) (pruned int, err error) {
	for _, step := range []struct {
		batch int
		run   func(*tx) (int, error)
	}{{pruneTasks, (*tx).pruneTasks}, {pruneEvents, (*tx).pruneEvents}, {pruneEvents, (*tx).pruneStreams}} {
		for range pruneRounds {
			var n int
			err := s.write(ctx, func(tx *tx) (err error) {
				n, err = step.run(tx)
				return err
			})
			if pruned += n; err != nil {
				return pruned, err
			}
			if n < step.batch {
				break
			}
		}
	}
	return pruned, nil
}

func (tx *tx) pruneTasks() (int, error) {
	var ids []string
	err := tx.each(prunableSQL, []any{micros(tx.now().Add(-store.KeepEnded)), pruneTasks}, func(scan func(...any) error) error {
		var id string
		var ended int64
		err := scan(&id, &ended)
		ids = append(ids, id)
		return err
	})
	for _, query := range []string{pruneCodes, pruneRefresh, pruneAccess, pruneReserved, prunedSQL} {
		tx.later(query, ids)
	}
	return len(ids), err
}

func (tx *tx) pruneEvents() (int, error) {
	n, err := tx.exec(pruneEventsSQL, micros(tx.now().Add(-store.KeepEnded)), pruneEvents)
	return int(n), err
}

func (tx *tx) pruneStreams() (int, error) {
	n, err := tx.exec(pruneStreamsSQL, micros(tx.now().Add(-store.KeepReplicas)), pruneEvents)
	return int(n), err
}
