package postgres

import (
	"cmp"
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
		tx.later(decideRequestSQL, a.Request[:])
		if a.Extends != "" {
			a.Task.ID = a.Extends
		} else if err := tx.addPendingTask(a.Task, a.Code.ExpiresAt); err != nil {
			return err
		}
		if a.Extends != "" && a.Widened != nil {
			return errOr(tx.widenNow(a), func() error { return tx.record(recs...) })
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
	tx.holdForLending(a)
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
		parent, _, err := tx.task(a.Task.Parent)
		return errOr(err, func() error { return running(parent) })
	}
	return nil
}

// holdForLending takes what an approval depends on, in the order of all verbs.
func (tx *tx) holdForLending(a store.Approval) {
	var resources []string
	for _, g := range a.Grants {
		resources = append(resources, g.Resource)
	}
	tx.later(shareUserSQL, a.Task.UserID)
	tx.later(shareClientSQL, a.Task.ClientID)
	tx.later(shareResourcesSQL, resources)
	tx.later(holdRequestSQL, a.Request[:])
	if above := cmp.Or(a.Extends, a.Task.Parent); above != "" {
		tx.later(holdTaskSQL, above)
	}
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
	t, _, err := tx.task(a.Extends)
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

// widenNow puts what is allowed without a code in force.
func (tx *tx) widenNow(a store.Approval) error {
	_, grants, err := tx.task(a.Extends)
	return errOr(err, func() error { return tx.widen(a.Extends, grants, *a.Widened, a.Replaces) })
}

// A task under another never outlives it.
const addTaskSQL = `INSERT INTO tasks (id, parent, user_id, client_id, jkt, purpose, state, suspended_by, reason, max_calls,
calls_used, created_at, activated_at, seen_at, suspended_at, ends_at, ended_at, pending_until, root, idle_at, ledger_from, delegates)
SELECT $1, $2, $3, $4, $5, $6, 'pending', '', '', $7, 0, $8::bigint, 0, 0, 0,
LEAST($9::bigint, (SELECT ends_at FROM tasks WHERE id = $2)), 0, $10, COALESCE((SELECT root FROM tasks WHERE id = $2), $1), 0,
(SELECT size FROM chain), $11`

func (tx *tx) addPendingTask(t store.Task, until time.Time) error {
	tx.later(addTaskSQL, t.ID, t.Parent, t.UserID, t.ClientID, t.JKT, t.Purpose, t.MaxCalls,
		micros(orNow(t.CreatedAt, tx.now())), micros(t.EndsAt), micros(until), delegates(t.Delegates))
	return nil
}

const addGrantSQL = `INSERT INTO grants (id, task_id, resource, scopes, details, hash, created_at, ended_at, code)
VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8)`

func (tx *tx) addGrants(a store.Approval) error {
	var code any // NULL: in force with its task
	if a.Extends != "" {
		code = a.Code.ID[:]
	}
	for _, g := range a.Grants {
		tx.later(addGrantSQL, g.ID, a.Task.ID, g.Resource, words(g.Scopes), bytes(g.Details), g.Hash,
			micros(orNow(g.CreatedAt, tx.now())), code)
	}
	return nil
}

const addCodeSQL = `INSERT INTO codes
(id, task_id, client_id, redirect_uri, redirect_sent, challenge, jkt, key_bound, created_at, expires_at, spent, extends, identity)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, false, $11, $12)`

func (tx *tx) addCode(a store.Approval) error {
	c := a.Code
	tx.later(addCodeSQL, c.ID[:], a.Task.ID, c.ClientID, c.RedirectURI, c.RedirectSent, c.Challenge, c.JKT, c.KeyBound,
		micros(orNow(c.CreatedAt, tx.now())), micros(c.ExpiresAt), a.Extends != "", c.Identity)
	return nil
}
