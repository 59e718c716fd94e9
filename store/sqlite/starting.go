package sqlite

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

const (
	spendSQL   = `INSERT INTO spent (id, expires_at) VALUES (?, ?)`
	isSpentSQL = `SELECT EXISTS (SELECT 1 FROM spent WHERE id = ?)`
	// The token that is exchanged, with the leg that it is for.
	subjectSQL = `SELECT a.revoked, a.expires_at,
EXISTS (SELECT 1 FROM grants g WHERE g.task_id = a.task_id AND g.resource = a.resource AND g.ended_at = 0 AND g.code IS NULL)
FROM access_tokens a WHERE a.jti = ? AND a.task_id = ?`
	startTaskSQL = `INSERT INTO tasks (id, parent, user_id, client_id, jkt, purpose, state, suspended_by, reason, max_calls,
calls_used, created_at, activated_at, seen_at, suspended_at, ends_at, ended_at, pending_until, delegates)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'active', '', '', ?7, 0, ?8, ?9, ?9, 0,
MIN(?10, COALESCE((SELECT ends_at FROM tasks WHERE id = ?2), ?10)), 0, 0, ?11)`
)

// StartTask stores an active task with its grants and tokens.
func (s *Store) StartTask(ctx context.Context, st store.Start, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		if err := tx.startable(st); err != nil {
			return err
		}
		if st.Once != nil {
			if _, err := tx.exec(spendSQL, st.Once.ID[:], micros(st.Once.Until)); err != nil {
				return err
			}
		}
		t := st.Task
		_, err := tx.exec(startTaskSQL, t.ID, t.Parent, t.UserID, t.ClientID, t.JKT, t.Purpose, t.MaxCalls,
			micros(orNow(t.CreatedAt, tx.now)), micros(tx.now), micros(t.EndsAt), delegates(t.Delegates))
		if err != nil {
			return err
		}
		if err := tx.addGrants(store.Approval{Task: t, Grants: st.Grants}); err != nil {
			return err
		}
		if err := tx.addAccess(st.Access); err != nil {
			return err
		}
		if st.Refresh != nil {
			if err := tx.addRefresh(*st.Refresh); err != nil {
				return err
			}
		}
		return tx.record(recs...)
	})
}

// startable checks all that a start depends on, before anything is written.
func (tx *tx) startable(st store.Start) error {
	if st.Once != nil {
		var spent bool
		if _, err := tx.one(isSpentSQL, []any{st.Once.ID[:]}, &spent); err != nil {
			return err
		}
		if spent {
			return store.ErrSpent
		}
	}
	if err := tx.liveUser(st.Task.UserID); err != nil {
		return err
	}
	if err := tx.liveClient(st.Task.ClientID); err != nil {
		return err
	}
	for _, g := range st.Grants {
		if err := tx.liveResource(g.Resource); err != nil {
			return err
		}
	}
	if err := tx.unswitched(use(st.Task, st.Grants)); err != nil {
		return err
	}
	if err := tx.sameRoles(st.Task); err != nil {
		return err
	}
	if st.Task.Parent == "" {
		return nil
	}
	return tx.exchangeable(st.Task.Parent, st.Subject)
}

// exchangeable refuses a token whose task no longer runs, or that is dead itself.
func (tx *tx) exchangeable(task, jti string) error {
	t, _, err := tx.task(task, tx.now)
	switch {
	case err != nil:
		return err
	case t.State.Terminal():
		return store.ErrTaskEnded
	case t.State != store.TaskActive:
		return store.ErrTaskNotActive
	}
	var revoked, leg bool
	var expires time.Time
	found, err := tx.one(subjectSQL, []any{jti, task}, &revoked, at(&expires), &leg)
	if err == nil && (!found || revoked || !leg || !tx.now.Before(expires)) {
		err = store.ErrTokenNotFound
	}
	return err
}

// delegates is the list as JSON text, never null.
func delegates(all []store.Delegate) string {
	if len(all) == 0 {
		return "[]"
	}
	return toJSON(all)
}

const aboveSQL = `WITH RECURSIVE tree (id, n) AS (
	SELECT parent, 1 FROM tasks WHERE id = ? AND parent <> ''
	UNION ALL SELECT t.parent, n + 1 FROM tree JOIN tasks t ON t.id = tree.id WHERE t.parent <> '' AND n < 16)
SELECT id FROM tree`

// Above returns the tasks that a task hangs under, nearest first.
func (s *Store) Above(ctx context.Context, id string) (tasks []store.Task, grants [][]store.Grant, err error) {
	err = s.snapshot(ctx, func(c *conn) error {
		ids, err := c.liveTasks(aboveSQL, id)
		for _, id := range ids {
			if err != nil {
				return err
			}
			var t store.Task
			var g []store.Grant
			t, g, err = c.task(id, s.clock())
			tasks, grants = append(tasks, t), append(grants, g)
		}
		return err
	})
	return tasks, grants, err
}

const addPrincipalSQL = `INSERT INTO users (id, email, email_key, name, password_hash, console_role, disabled, created_at, service)
SELECT id, '', id, '', '', 'user', 0, ?2, 1 FROM clients WHERE id = ?1 ON CONFLICT DO NOTHING`

// AssignClientRole gives the client a role of its own at a resource.
func (s *Store) AssignClientRole(ctx context.Context, clientID, resource, role string, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		var client, place bool
		const assignable = `SELECT EXISTS (SELECT 1 FROM clients WHERE id = ?), EXISTS (SELECT 1 FROM resources WHERE uri = ?)`
		if _, err := tx.one(assignable, []any{clientID, resource}, &client, &place); err != nil {
			return err
		}
		if !client {
			return store.ErrClientNotFound
		}
		if !place {
			return store.ErrResourceNotFound
		}
		if _, err := tx.exec(addPrincipalSQL, clientID, micros(tx.now)); err != nil {
			return err
		}
		if _, err := tx.exec(assignRoleSQL, clientID, resource, role); err != nil {
			return err
		}
		return tx.record(recs...)
	})
}
