package sqlite

import (
	"context"
	"slices"
	"time"

	"github.com/remit-auth/remit/store"
)

const (
	suspendTaskSQL = `UPDATE tasks SET state = 'suspended', suspended_by = ?, reason = ?, suspended_at = ? WHERE id = ?`
	resumeTaskSQL  = `UPDATE tasks SET state = 'active', suspended_by = '', reason = '', suspended_at = 0, seen_at = ? WHERE id = ?`
)

func (tx *tx) suspend(t *store.Task, by store.Actor, reason string, at time.Time) error {
	t.State, t.SuspendedBy, t.Reason, t.SuspendedAt = store.TaskSuspended, by, reason, at
	if _, err := tx.exec(suspendTaskSQL, string(by), reason, micros(at), t.ID); err != nil {
		return err
	}
	if err := tx.voidApprovals(*t, ""); err != nil {
		return err
	}
	return tx.announce(store.EventTaskSuspended, *t, by)
}

func (tx *tx) resume(t *store.Task, by store.Actor) error {
	t.State, t.SuspendedBy, t.Reason, t.SuspendedAt, t.SeenAt = store.TaskActive, "", "", time.Time{}, tx.now
	if _, err := tx.exec(resumeTaskSQL, micros(tx.now), t.ID); err != nil {
		return err
	}
	return tx.announce(store.EventTaskResumed, *t, by)
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
		if t, _, err = tx.task(id, tx.now); err != nil {
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
			if u := under[i]; u.State == store.TaskActive || asleep(u) {
				if err := tx.suspend(&under[i], by, reason, tx.now); err != nil {
					return err
				}
			}
		}
		if err := tx.suspend(&t, by, reason, tx.now); err != nil {
			return err
		}
		if by != store.ByAgent && by != store.ByIdle {
			if err := tx.forgetAgents(append(under, t)); err != nil {
				return err
			}
		}
		return tx.record(recs...)
	})
	return t, err
}

// ResumeTask wakes a suspended task for the actor who suspended it, or an admin.
func (s *Store) ResumeTask(ctx context.Context, id string, by store.Actor, recs ...store.Record) (t store.Task, err error) {
	err = s.write(ctx, func(tx *tx) (err error) {
		if t, _, err = tx.task(id, tx.now); err != nil {
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
				if err := tx.resume(u, by); err != nil {
					return err
				}
			}
		}
		if err := tx.resume(&t, by); err != nil {
			return err
		}
		return tx.record(recs...)
	})
	return t, err
}

// under returns the live tasks under this one.
func (tx *tx) under(id string) ([]store.Task, error) {
	tree, err := tx.taskRows(tx.now, treeSQL, id)
	return slices.DeleteFunc(tree, func(t store.Task) bool { return t.ID == id || t.State.Terminal() }), err
}

// parentRuns refuses to go on with a task while the one above it is suspended, but for idleness.
func (tx *tx) parentRuns(t store.Task) error {
	if t.Parent == "" {
		return nil
	}
	parent, _, err := tx.task(t.Parent, tx.now)
	return errOr(err, func() error { return running(parent) })
}
