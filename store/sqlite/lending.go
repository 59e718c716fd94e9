package sqlite

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

// Approve decides the request and stores the pending task with its grants and the code; or, when
// the consent widens a running task, the grants that the code will put in force there.
func (s *Store) Approve(ctx context.Context, a store.Approval, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		if err := s.approvable(tx, a); err != nil {
			return err
		}
		if _, err := tx.exec(decideRequestSQL, a.Request[:]); err != nil {
			return err
		}
		if a.Extends != "" {
			a.Task.ID = a.Extends
		} else if err := tx.addPendingTask(a.Task, a.Code.ExpiresAt); err != nil {
			return err
		}
		if a.Extends != "" && a.Widened != nil {
			return errOr(tx.widen(a.Extends, *a.Widened, a.Replaces), func() error { return tx.record(recs...) })
		}
		if err := tx.addGrants(a); err != nil {
			return err
		}
		if err := tx.addCode(a); err != nil {
			return err
		}
		if err := tx.remember(a); err != nil {
			return err
		}
		return tx.record(recs...)
	})
}

// approvable checks all that an approval depends on, before anything is written.
func (s *Store) approvable(tx *tx, a store.Approval) error {
	r, err := s.decidable(tx, a.Request, a.Session)
	if err != nil {
		return err
	}
	if r.ClientID != a.Task.ClientID || !r.Device.IsZero() && r.Device != a.Code.ID {
		return store.ErrRequestNotFound
	}
	if err := tx.liveUser(a.Task.UserID); err != nil {
		return err
	}
	if err := tx.liveClient(a.Task.ClientID); err != nil {
		return err
	}
	for _, g := range a.Grants {
		if err := tx.liveResource(g.Resource); err != nil {
			return err
		}
	}
	if err := tx.unswitched(use(a.Task, a.Grants)); err != nil {
		return err
	}
	if a.Continues != "" {
		if err := tx.continues(a); err != nil {
			return err
		}
	}
	if a.Extends != "" {
		return tx.extendable(a)
	}
	if a.Task.Parent != "" {
		parent, _, err := tx.task(a.Task.Parent, tx.now)
		return errOr(err, func() error { return running(parent) })
	}
	return nil
}

// running refuses a task that is neither active nor asleep by idleness alone.
func running(t store.Task) error {
	switch {
	case t.State.Terminal():
		return store.ErrTaskEnded
	case t.State == store.TaskActive, t.State == store.TaskSuspended && t.SuspendedBy == store.ByIdle:
		return nil
	}
	return store.ErrTaskNotActive
}

// extendable refuses to widen a task that is not running, is somebody else's, or was narrowed since it
// was read.
func (tx *tx) extendable(a store.Approval) error {
	t, _, err := tx.task(a.Extends, tx.now)
	if err != nil {
		return err
	}
	if t.UserID != a.Task.UserID || t.ClientID != a.Task.ClientID {
		return store.ErrTaskNotFound
	}
	if err := running(t); err != nil {
		return err
	}
	if t.Generation != a.Task.Generation {
		return store.ErrGrantChanged
	}
	return nil
}

// A task under another never outlives it.
const addTaskSQL = `INSERT INTO tasks (id, parent, user_id, client_id, jkt, purpose, state, suspended_by, reason, max_calls,
calls_used, created_at, activated_at, seen_at, suspended_at, ends_at, ended_at, pending_until, delegates)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', '', '', ?7, 0, ?8, 0, 0, 0,
MIN(?9, COALESCE((SELECT ends_at FROM tasks WHERE id = ?2), ?9)), 0, ?10, ?11)`

func (tx *tx) addPendingTask(t store.Task, until time.Time) error {
	_, err := tx.exec(addTaskSQL, t.ID, t.Parent, t.UserID, t.ClientID, t.JKT, t.Purpose, t.MaxCalls,
		micros(orNow(t.CreatedAt, tx.now)), micros(t.EndsAt), micros(until), delegates(t.Delegates))
	return err
}

const addGrantSQL = `INSERT INTO grants (id, task_id, resource, scopes, details, hash, created_at, ended_at, code)
VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)`

func (tx *tx) addGrants(a store.Approval) error {
	var code any // NULL: in force with its task
	if a.Extends != "" {
		code = a.Code.ID[:]
	}
	for _, g := range a.Grants {
		_, err := tx.exec(addGrantSQL, g.ID, a.Task.ID, g.Resource, words(g.Scopes), bytes(g.Details), g.Hash,
			micros(orNow(g.CreatedAt, tx.now)), code)
		if err != nil {
			return err
		}
	}
	return nil
}

const addCodeSQL = `INSERT INTO codes
(id, task_id, client_id, redirect_uri, redirect_sent, challenge, jkt, key_bound, created_at, expires_at, spent, extends, identity)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)`

func (tx *tx) addCode(a store.Approval) error {
	c := a.Code
	_, err := tx.exec(addCodeSQL, c.ID[:], a.Task.ID, c.ClientID, c.RedirectURI, c.RedirectSent, c.Challenge, c.JKT, c.KeyBound,
		micros(orNow(c.CreatedAt, tx.now)), micros(c.ExpiresAt), a.Extends != "", c.Identity)
	return err
}
