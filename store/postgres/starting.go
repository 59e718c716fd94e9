package postgres

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

const (
	spendSQL   = `INSERT INTO spent (id, expires_at) VALUES ($1, $2)`
	isSpentSQL = `SELECT EXISTS (SELECT 1 FROM spent WHERE id = $1)`
	// The token that is exchanged, with the leg that it is for.
	subjectSQL = `SELECT a.revoked, a.expires_at,
EXISTS (SELECT 1 FROM grants g WHERE g.task_id = a.task_id AND g.resource = a.resource AND g.ended_at = 0 AND g.code IS NULL)
FROM access_tokens a WHERE a.jti = $1 AND a.task_id = $2`
	startTaskSQL = `INSERT INTO tasks (id, parent, user_id, client_id, jkt, purpose, state, suspended_by, reason, max_calls,
calls_used, created_at, activated_at, seen_at, suspended_at, ends_at, ended_at, pending_until, delegates, root, idle_at, ledger_from)
SELECT $1, $2, $3, $4, $5, $6, 'active', '', '', $7, 0, $8::bigint, $9::bigint, $9, 0,
LEAST($10::bigint, (SELECT ends_at FROM tasks WHERE id = $2)), 0, 0, $11, COALESCE((SELECT root FROM tasks WHERE id = $2), $1),
$9 + 1800000000, (SELECT size FROM chain)`
	keySignsSQL = `SELECT ` + signsColumn + ` FROM (SELECT $1::text, $2::text) unused`
)

// StartTask stores an active task with its grants and tokens.
func (s *Store) StartTask(ctx context.Context, st store.Start, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		if err := tx.startable(st); err != nil {
			return err
		}
		if st.Once != nil {
			tx.later(spendSQL, st.Once.ID[:], micros(st.Once.Until))
		}
		t := st.Task
		tx.later(startTaskSQL, t.ID, t.Parent, t.UserID, t.ClientID, t.JKT, t.Purpose, t.MaxCalls,
			micros(orNow(t.CreatedAt, tx.now())), micros(tx.now()), micros(t.EndsAt), delegates(t.Delegates))
		if err := tx.addGrants(store.Approval{Task: t, Grants: st.Grants}); err != nil {
			return err
		}
		tx.addAccess(st.Access)
		if st.Refresh != nil {
			tx.addRefresh(*st.Refresh)
		}
		return tx.record(recs...)
	})
}

// startable checks all that a start depends on, before anything is written.
func (tx *tx) startable(st store.Start) error {
	tx.holdForStart(st)
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
	if st.Task.Parent != "" {
		if err := tx.exchangeable(st.Task.Parent, st.Subject); err != nil {
			return err
		}
	}
	var signs int64
	if _, err := tx.one(keySignsSQL, []any{"", "", st.Access.KID}, &signs); err != nil {
		return err
	}
	if !tx.signs(st.Access.KID, signs) {
		return store.ErrKeyStale
	}
	return nil
}

// holdForStart takes what a start depends on, in the order of all verbs.
func (tx *tx) holdForStart(st store.Start) {
	if st.Once != nil {
		tx.mutex("once", st.Once.ID.String())
	}
	var resources []string
	for _, g := range st.Grants {
		resources = append(resources, g.Resource)
	}
	tx.later(shareUserSQL, st.Task.UserID)
	tx.later(shareClientSQL, st.Task.ClientID)
	tx.later(shareResourcesSQL, resources)
	if st.Task.Parent != "" {
		tx.later(holdTaskSQL, st.Task.Parent)
	}
}

// exchangeable refuses a token whose task no longer runs, or that is dead itself.
func (tx *tx) exchangeable(task, jti string) error {
	t, _, err := tx.task(task)
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
	if err == nil && (!found || revoked || !leg || !tx.now().Before(expires)) {
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
	SELECT parent, 1 FROM tasks WHERE id = $1 AND parent <> ''
	UNION ALL SELECT t.parent, tree.n + 1 FROM tree JOIN tasks t ON t.id = tree.id WHERE t.parent <> '' AND tree.n < 16)
SELECT ` + taskColumns + ` FROM tree JOIN tasks t ON t.id = tree.id ORDER BY tree.n`

// Above returns the tasks that a task hangs under, nearest first.
func (s *Store) Above(ctx context.Context, id string) (tasks []store.Task, grants [][]store.Grant, err error) {
	err = s.read(ctx, func(c *conn) error {
		tasks, grants = nil, nil
		return c.each(aboveSQL, []any{id}, func(scan func(...any) error) error {
			var row task
			err := scan(row.fields()...)
			tasks, grants = append(tasks, row.asOf(c.when)), append(grants, row.grants)
			return err
		})
	})
	return tasks, grants, err
}

const addPrincipalSQL = `INSERT INTO users (id, email, email_key, name, password_hash, console_role, disabled, created_at, service)
SELECT id, '', id, '', '', 'user', false, $2, true FROM clients WHERE id = $1 ON CONFLICT DO NOTHING`

// AssignClientRole gives the client a role of its own at a resource.
func (s *Store) AssignClientRole(ctx context.Context, clientID, resource, role string, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		var client, place bool
		const assignable = `SELECT EXISTS (SELECT 1 FROM clients WHERE id = $1), EXISTS (SELECT 1 FROM resources WHERE uri = $2)`
		if _, err := tx.one(assignable, []any{clientID, resource}, &client, &place); err != nil {
			return err
		}
		if !client {
			return store.ErrClientNotFound
		}
		if !place {
			return store.ErrResourceNotFound
		}
		tx.later(addPrincipalSQL, clientID, micros(tx.now()))
		tx.later(assignRoleSQL, clientID, resource, role)
		return tx.record(recs...)
	})
}
