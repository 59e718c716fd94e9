package sqlite

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

const (
	knownGuardSQL = `SELECT EXISTS (SELECT 1 FROM guards WHERE resource = ?)`
	dropLapsedSQL = `DELETE FROM guard_listeners WHERE resource = ? AND until < ? AND replica <> ?`
	listenSQL     = `INSERT INTO guard_listeners (resource, replica, until, ack_seq) VALUES (?, ?, ?, 0)
ON CONFLICT DO UPDATE SET until = MAX(until, excluded.until)`
	ackReplicaSQL = `INSERT INTO guard_listeners (resource, replica, until, ack_seq)
SELECT ?1, ?2, 0, MIN(?3, COALESCE(MAX(seq), 0)) FROM feed WHERE resource = ?1
ON CONFLICT DO UPDATE SET ack_seq = MAX(ack_seq, excluded.ack_seq)`
	slowestSQL         = `SELECT COALESCE(MIN(ack_seq), 0) FROM guard_listeners WHERE resource = ?1 AND (until > ?2 OR replica = ?3)`
	forgetListenersSQL = `DELETE FROM guard_listeners WHERE resource = ?`
	ackedSeqSQL        = `SELECT ack_seq FROM guards WHERE resource = ?`
)

// ListenFeed notes that a replica of the Guard hears the feed, or may act on it, until then.
func (s *Store) ListenFeed(ctx context.Context, resource, replica string, until time.Time) error {
	return s.write(ctx, func(tx *tx) error {
		if err := tx.knownGuard(resource); err != nil {
			return err
		}
		if _, err := tx.exec(dropLapsedSQL, resource, micros(tx.now), replica); err != nil {
			return err
		}
		if _, err := tx.exec(listenSQL, resource, replica, micros(until)); err != nil {
			return err
		}
		_, err := tx.settleAcks(resource, replica)
		return err
	})
}

// AckFeed notes that this replica of the Guard has applied everything up to seq. It never takes an
// acknowledgement back, and none counts for what was not yet said.
func (s *Store) AckFeed(ctx context.Context, resource, replica string, seq int64) (acked int64, err error) {
	err = s.write(ctx, func(tx *tx) error {
		if err := tx.knownGuard(resource); err != nil {
			return err
		}
		if _, err := tx.exec(ackReplicaSQL, resource, replica, seq); err != nil {
			return err
		}
		if _, err := tx.settleAcks(resource, replica); err != nil {
			return err
		}
		if _, err := tx.exec(ackedNowSQL, resource, micros(tx.now)); err != nil {
			return err
		}
		tx.touched[resource] = true
		_, err := tx.one(ackedSeqSQL, []any{resource}, &acked)
		return err
	})
	return acked, err
}

func (tx *tx) knownGuard(resource string) error {
	var known bool
	if _, err := tx.one(knownGuardSQL, []any{resource}, &known); err != nil {
		return err
	}
	if !known {
		return store.ErrResourceNotFound
	}
	return nil
}

// settleAcks acknowledges what every listening replica, and the one that speaks, has acknowledged.
func (tx *tx) settleAcks(resource, replica string) (acked int64, err error) {
	if _, err := tx.one(slowestSQL, []any{resource, micros(tx.now), replica}, &acked); err != nil {
		return 0, err
	}
	n, err := tx.exec(ackEventsSQL, resource, micros(tx.now), acked)
	if err != nil {
		return 0, err
	}
	if n > 0 {
		tx.touched[resource] = true
	}
	_, err = tx.exec(ackFeedSQL, resource, acked)
	return acked, err
}

const (
	nextOfReplicaSQL    = `SELECT next_execution FROM guard_streams WHERE guard = ? AND replica = ?`
	setNextOfReplicaSQL = `INSERT INTO guard_streams (guard, replica, next_execution, used_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE SET next_execution = ?3, used_at = ?4`
)

// nextOfReplica is the number that the next execution of this replica of the Guard has. One that is
// not known but goes on from a later number was known before a restoration: what is missing is told.
func (tx *tx) nextOfReplica(guardID, replica, resource string, first int64) (next int64, err error) {
	found, err := tx.one(nextOfReplicaSQL, []any{guardID, replica}, &next)
	switch {
	case err != nil:
		return 0, err
	case !found:
		next = 1
	case next > 0:
		return next, nil
	default: // since a restoration
		next = -next
	}
	if first <= next {
		return next, tx.setNextExecution(guardID, replica, next)
	}
	lost := store.NewRecord("execution.lost", map[string]any{"guard": guardID, "replica": replica, "first": next, "next": first})
	lost.Resource = resource
	if err := tx.setNextExecution(guardID, replica, first); err != nil {
		return 0, err
	}
	return first, tx.record(lost)
}

func (tx *tx) setNextExecution(guardID, replica string, next int64) error {
	if replica == "" {
		_, err := tx.exec(setNextExecutionSQL, next, guardID)
		return err
	}
	_, err := tx.exec(setNextOfReplicaSQL, guardID, replica, next, micros(tx.now))
	return err
}
