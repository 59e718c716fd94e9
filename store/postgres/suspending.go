package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/remit-auth/remit/store"
)

const (
	suspendTaskSQL = `UPDATE tasks SET state = 'suspended', suspended_by = $1, reason = $2, suspended_at = $3 WHERE id = $4`
	resumeTaskSQL  = `UPDATE tasks SET state = 'active', suspended_by = '', reason = '', suspended_at = 0, seen_at = $1, idle_at = $1::bigint + 1800000000 WHERE id = $2`
)

func (tx *tx) suspend(t *store.Task, grants []store.Grant, by store.Actor, reason string, at time.Time) error {
	t.State, t.SuspendedBy, t.Reason, t.SuspendedAt = store.TaskSuspended, by, reason, at
	tx.later(suspendTaskSQL, string(by), reason, micros(at), t.ID)
	if err := tx.voidApprovals([]store.Task{*t}, ""); err != nil {
		return err
	}
	tx.announce(store.EventTaskSuspended, *t, grants, by)
	return nil
}

func (tx *tx) resume(t *store.Task, grants []store.Grant, by store.Actor) {
	t.State, t.SuspendedBy, t.Reason, t.SuspendedAt, t.SeenAt = store.TaskActive, "", "", time.Time{}, tx.now()
	tx.later(resumeTaskSQL, micros(tx.now()), t.ID)
	tx.announce(store.EventTaskResumed, *t, grants, by)
}

// asleep reports whether a task would go on by itself: when its agent wakes it, or the kill switch that
// holds it goes back. What never began does not go on.
func asleep(t store.Task) bool {
	return t.State == store.TaskSuspended && (t.SuspendedBy == store.ByIdle || t.SuspendedBy == store.BySwitch && !t.ActivatedAt.IsZero())
}

// SuspendTask suspends an active task, or takes over a suspension by idleness or by who ranks lower and
// could end it.
func (s *Store) SuspendTask(ctx context.Context, id string, by store.Actor, reason string, recs ...store.Record) (t store.Task, err error) {
	err = s.write(ctx, func(tx *tx) (err error) {
		var grants []store.Grant
		if t, grants, err = tx.held(id); err != nil {
			return err
		}
		yields := asleep(t) && by != store.ByIdle || by.Outranks(t.SuspendedBy)
		switch {
		case t.State.Terminal():
			return store.ErrTaskEnded
		case t.State != store.TaskActive && !yields:
			return store.ErrTaskNotActive
		}
		under, err := tx.under(t.ID)
		if err != nil {
			return err
		}
		for i := range under {
			if u := &under[i]; u.State == store.TaskActive || asleep(u.Task) {
				if err := tx.suspend(&u.Task, u.grants, by, reason, tx.now()); err != nil {
					return err
				}
			}
		}
		if err := tx.suspend(&t, grants, by, reason, tx.now()); err != nil {
			return err
		}
		if by != store.ByAgent && by != store.ByIdle {
			held := []store.Task{t}
			for _, u := range under {
				held = append(held, u.Task)
			}
			tx.forgetAgents(held)
		}
		return tx.record(recs...)
	})
	return t, err
}

// ResumeTask wakes a suspended task for the actor who suspended it, or an admin.
func (s *Store) ResumeTask(ctx context.Context, id string, by store.Actor, recs ...store.Record) (t store.Task, err error) {
	err = s.write(ctx, func(tx *tx) (err error) {
		var grants []store.Grant
		if t, grants, err = tx.held(id); err != nil {
			return err
		}
		switch {
		case t.State.Terminal():
			return store.ErrTaskEnded
		case t.State != store.TaskSuspended, t.SuspendedBy == store.BySwitch, by != t.SuspendedBy && by != store.ByAdmin:
			return store.ErrTaskNotSuspended
		}
		if err := tx.parentRuns(t); err != nil {
			return err
		}
		under, err := tx.under(t.ID)
		if err != nil {
			return err
		}
		for i := range under {
			if u := &under[i]; u.State == store.TaskSuspended && u.SuspendedBy == t.SuspendedBy && u.SuspendedAt.Equal(t.SuspendedAt) {
				tx.resume(&u.Task, u.grants, by)
			}
		}
		tx.resume(&t, grants, by)
		return tx.record(recs...)
	})
	return t, err
}

// under returns the live tasks under this one.
func (tx *tx) under(id string) ([]task, error) {
	tree, err := tx.tree([]string{id})
	return slices.DeleteFunc(tree, func(t task) bool { return t.ID == id || t.State.Terminal() }), err
}

// parentRuns refuses to go on with a task while the one above it is suspended, but for idleness.
func (tx *tx) parentRuns(t store.Task) error {
	if t.Parent == "" {
		return nil
	}
	parent, _, err := tx.task(t.Parent)
	return errOr(err, func() error { return running(parent) })
}
