package sqlite

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

// sweepBatch bounds how long sweeping keeps other verbs waiting.
const sweepBatch = 100

// keepDecided is how long requests and sessions past their life are kept before they are forgotten.
const keepDecided = time.Hour

const (
	overdueSQL = `SELECT id, ends_at FROM tasks INDEXED BY tasks_deadline WHERE ended_at = 0 AND ends_at <= ? ORDER BY ends_at LIMIT ?`
	unusedSQL  = `SELECT id, pending_until FROM tasks WHERE state = 'pending' AND pending_until <= ? ORDER BY pending_until LIMIT ?`
	idleSQL    = `SELECT id, seen_at FROM tasks WHERE state = 'active' AND seen_at <= ? ORDER BY seen_at LIMIT ?`

	forgetRequestsSQL = `DELETE FROM requests WHERE rowid IN (SELECT rowid FROM requests WHERE expires_at <= ? LIMIT ?)`
	forgetSessionsSQL = `DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions WHERE expires_at <= ? LIMIT ?)`
	forgetDevicesSQL  = `DELETE FROM devices WHERE rowid IN (SELECT rowid FROM devices WHERE expires_at <= ? LIMIT ?)`
	forgetSpentSQL    = `DELETE FROM spent WHERE id IN (SELECT id FROM spent WHERE expires_at <= ? LIMIT ?)`
)

// SweepTasks writes down what the clock has done to tasks, and forgets requests and sessions long
// past their life, so that strangers cannot fill the disk with them.
func (s *Store) SweepTasks(ctx context.Context) (moved int, err error) {
	for _, step := range []func(*tx) (int, error){
		(*tx).liftDue, (*tx).expireUnused, (*tx).expireOverdue, (*tx).suspendIdle, (*tx).expireApprovals,
	} {
		n, err := s.sweep(ctx, step)
		if moved += n; err != nil {
			return moved, err
		}
	}
	for _, query := range []string{forgetRequestsSQL, forgetSessionsSQL, forgetDevicesSQL, forgetSpentSQL, forgetApprovalsSQL, forgetRememberedSQL} {
		if _, err := s.sweep(ctx, func(tx *tx) (int, error) { return tx.forget(query) }); err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// sweep repeats a step, a batch at a time, until it finds less than a batch to do.
func (s *Store) sweep(ctx context.Context, step func(*tx) (int, error)) (done int, err error) {
	for {
		var n int
		err := s.write(ctx, func(tx *tx) (err error) {
			n, err = step(tx)
			return err
		})
		if done += n; err != nil || n < sweepBatch {
			return done, err
		}
	}
}

// due is a task that the clock moves, and since when.
type due struct {
	id    string
	since time.Time
}

func (c *conn) due(query string, until time.Time) (tasks []due, err error) {
	err = c.each(query, []any{micros(until), sweepBatch}, func(scan func(...any) error) error {
		var d due
		err := scan(&d.id, at(&d.since))
		tasks = append(tasks, d)
		return err
	})
	return tasks, err
}

func (tx *tx) expireUnused() (int, error)  { return tx.expire(unusedSQL, reasonNotRedeemed) }
func (tx *tx) expireOverdue() (int, error) { return tx.expire(overdueSQL, reasonDeadline) }

func (tx *tx) expire(query, reason string) (moved int, err error) {
	tasks, err := tx.due(query, tx.now)
	for _, d := range tasks {
		if err != nil {
			break
		}
		var tree []store.Task
		tree, err = tx.end(store.End{TaskID: d.id, State: store.TaskExpired, By: store.ByClock, Reason: reason}, d.since)
		moved += len(tree)
	}
	return moved, err
}

func (tx *tx) suspendIdle() (moved int, err error) {
	tasks, err := tx.due(idleSQL, tx.now.Add(-store.IdleAfter))
	for _, d := range tasks {
		if err != nil {
			break
		}
		var t store.Task
		if t, _, err = tx.task(d.id, tx.now); err != nil {
			break
		}
		err = tx.suspend(&t, store.ByIdle, reasonIdle, d.since.Add(store.IdleAfter))
		moved++
	}
	return moved, err
}

func (tx *tx) forget(query string) (int, error) {
	n, err := tx.exec(query, micros(tx.now.Add(-keepDecided)), sweepBatch)
	return int(n), err
}
