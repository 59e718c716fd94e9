package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/remit-auth/remit/store"
)

// sweepBatch bounds how long sweeping keeps other verbs waiting.
const sweepBatch = 100

// keepDecided is how long requests and sessions past their life are kept before they are forgotten.
const keepDecided = time.Hour

// A due task is found, its tree is held unless another instance has it, and what is found again then
// is moved.
const (
	overdueSQL = `SELECT id, ends_at, root FROM tasks WHERE ended_at = 0 AND ends_at <= $1 ORDER BY ends_at LIMIT $2`
	unusedSQL  = `SELECT id, pending_until, root FROM tasks WHERE state = 'pending' AND pending_until <= $1 ORDER BY pending_until LIMIT $2`
	idleSQL    = `SELECT id, seen_at, root FROM tasks WHERE state = 'active' AND idle_at <= $1::bigint + 1800000000 AND seen_at <= $1 ORDER BY idle_at LIMIT $2`
	// Tasks that were used since they were last looked at are looked at later.
	lookLaterSQL = `UPDATE tasks SET idle_at = seen_at + 1800000000 WHERE id IN (
	SELECT id FROM tasks WHERE state = 'active' AND idle_at <= $1::bigint + 1800000000 AND seen_at > $1 ORDER BY idle_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)`
	holdFreeSQL = `SELECT id FROM tasks WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED`

	forgetRequestsSQL = `DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`
	forgetDevicesSQL  = `DELETE FROM devices WHERE id IN (SELECT id FROM devices WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`
	forgetSpentSQL    = `DELETE FROM spent WHERE id IN (SELECT id FROM spent WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`
	forgetSessionsSQL = `DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`
)

// SweepTasks writes down what the clock has done to tasks, and forgets requests and sessions long
// past their life, so that strangers cannot fill the disk with them.
func (s *Store) SweepTasks(ctx context.Context) (moved int, err error) {
	if _, err := s.sweep(ctx, (*tx).stillUsed); err != nil {
		return 0, err
	}
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
	id, root string
	since    time.Time
}

// due returns the due tasks whose trees nobody else holds, and holds them.
func (tx *tx) due(query string, until time.Time) (tasks []due, err error) {
	found, err := tx.look(query, until)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	var roots []string
	for _, d := range found {
		roots = append(roots, d.root)
	}
	held, err := tx.strings(holdFreeSQL, roots)
	if err != nil {
		return nil, err
	}
	now, err := tx.look(query, until)
	for _, d := range now {
		if slices.Contains(held, d.root) {
			tasks = append(tasks, d)
		}
	}
	return tasks, err
}

func (c *conn) look(query string, until time.Time) (tasks []due, err error) {
	err = c.each(query, []any{micros(until), sweepBatch}, func(scan func(...any) error) error {
		var d due
		err := scan(&d.id, at(&d.since), &d.root)
		tasks = append(tasks, d)
		return err
	})
	return tasks, err
}

func (tx *tx) expireUnused() (int, error)  { return tx.expire(unusedSQL, reasonNotRedeemed) }
func (tx *tx) expireOverdue() (int, error) { return tx.expire(overdueSQL, reasonDeadline) }

func (tx *tx) expire(query, reason string) (moved int, err error) {
	tasks, err := tx.due(query, tx.now())
	for _, d := range tasks {
		if err != nil {
			break
		}
		var tree []store.Task
		tree, err = tx.end([]string{d.id}, store.End{State: store.TaskExpired, By: store.ByClock, Reason: reason}, d.since)
		moved += len(tree)
	}
	return moved, err
}

// stillUsed moves the date at which tasks are looked at that were used meanwhile.
func (tx *tx) stillUsed() (int, error) {
	n, err := tx.exec(lookLaterSQL, micros(tx.now().Add(-store.IdleAfter)), sweepBatch)
	return int(n), err
}

func (tx *tx) suspendIdle() (moved int, err error) {
	tasks, err := tx.due(idleSQL, tx.now().Add(-store.IdleAfter))
	for _, d := range tasks {
		if err != nil {
			break
		}
		var t store.Task
		var grants []store.Grant
		if t, grants, err = tx.task(d.id); err != nil {
			break
		}
		err = tx.suspend(&t, grants, store.ByIdle, reasonIdle, d.since.Add(store.IdleAfter))
		moved++
	}
	return moved, err
}

func (tx *tx) forget(query string) (int, error) {
	n, err := tx.exec(query, micros(tx.now().Add(-keepDecided)), sweepBatch)
	return int(n), err
}
