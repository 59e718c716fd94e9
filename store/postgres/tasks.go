package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/remit-auth/remit/store"
)

const taskFields = `t.id, t.parent, t.user_id, t.client_id, t.jkt, t.purpose, t.state, t.suspended_by, t.reason,
t.max_calls, t.calls_used, t.created_at, t.activated_at, t.seen_at, t.suspended_at, t.ends_at, t.ended_at, t.delegates, t.generation, t.pending_until, ` + heldUntil + `, `

const taskColumns = taskFields + grantsBefore + grantsAfter

// The grants of a task ride along with it, each with the roles that its user has there, so that all of
// it is read in one statement and at one moment. Between the two, a condition may let in those that
// wait for a code.
const (
	grantsBefore = `(SELECT COALESCE(json_agg(json_build_array(g.id, g.resource, g.scopes, encode(g.details, 'base64'), g.hash,
	g.created_at, g.ended_at, g.code IS NOT NULL, (SELECT COALESCE(json_agg(r.role ORDER BY r.role), '[]') FROM roles r
	WHERE r.user_id = t.user_id AND r.resource = g.resource)) ORDER BY g.resource, g.n)::text, '[]')
	FROM grants g WHERE g.task_id = t.id AND (g.code IS NULL`
	grantsAfter = `))`
)

// task is a task as its row has it, with its grants.
type task struct {
	store.Task
	pendingUntil time.Time
	heldUntil    int64 // microseconds: when the last kill switch that holds it goes back
	grants       []store.Grant
}

func (t *task) fields() []any {
	return []any{
		&t.ID, &t.Parent, &t.UserID, &t.ClientID, &t.JKT, &t.Purpose, &t.State, &t.SuspendedBy, &t.Reason,
		&t.MaxCalls, &t.CallsUsed, at(&t.CreatedAt), at(&t.ActivatedAt), at(&t.SeenAt), at(&t.SuspendedAt),
		at(&t.EndsAt), at(&t.EndedAt),
		jsonColumn{&t.Delegates},
		&t.Generation,
		at(&t.pendingUntil), &t.heldUntil, (*grantsColumn)(t),
	}
}

// grantsColumn scans the grants of a task, and its roles.
type grantsColumn task

func (t *grantsColumn) Scan(v any) error {
	t.grants, t.Roles = nil, nil
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("grants are %T", v)
	}
	var rows [][]json.RawMessage
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		return err
	}
	for _, row := range rows {
		var scopes string
		var created, ended int64
		var roles []string
		g := store.Grant{TaskID: t.ID}
		for i, into := range []any{&g.ID, &g.Resource, &scopes, &g.Details, &g.Hash, &created, &ended, &g.Waiting, &roles} {
			if err := json.Unmarshal(row[i], into); err != nil {
				return err
			}
		}
		if err := json.Unmarshal([]byte(decodeText(scopes)), &g.Scopes); err != nil {
			return err
		}
		g.Resource, g.Hash = decodeText(g.Resource), decodeText(g.Hash)
		for i := range roles {
			roles[i] = decodeText(roles[i])
		}
		g.CreatedAt, g.EndedAt = fromMicros(created), fromMicros(ended)
		t.grants = append(t.grants, g)
		if n := len(t.Roles); n == 0 || t.Roles[n-1].Resource != g.Resource {
			t.Roles = append(t.Roles, store.TaskRoles{Resource: g.Resource, Roles: roles})
		}
	}
	return nil
}

// Why the clock moves a task.
const (
	reasonDeadline    = "deadline"
	reasonNotRedeemed = "not_redeemed"
	reasonIdle        = "idle"
	reasonBudget      = "budget"
)

// asOf is the task as it stands now, whether or not SweepTasks has written that down yet.
// effectiveState says the same in SQL.
func (t *task) asOf(now time.Time) store.Task {
	v := t.Task
	switch {
	case v.State.Terminal():
	case v.State == store.TaskPending && !now.Before(t.pendingUntil):
		v.State, v.Reason, v.EndedAt = store.TaskExpired, reasonNotRedeemed, t.pendingUntil
	case !now.Before(v.EndsAt):
		v.State, v.SuspendedBy, v.Reason, v.EndedAt = store.TaskExpired, "", reasonDeadline, v.EndsAt
	case micros(now) < t.heldUntil && (v.State != store.TaskSuspended || v.SuspendedBy == store.ByIdle):
		v.State, v.SuspendedBy, v.Reason, v.SuspendedAt = store.TaskSuspended, store.BySwitch, store.ReasonSwitch, time.Time{}
	case v.State == store.TaskActive && now.Sub(v.SeenAt) >= store.IdleAfter:
		v.State, v.SuspendedBy, v.Reason = store.TaskSuspended, store.ByIdle, reasonIdle
		v.SuspendedAt = v.SeenAt.Add(store.IdleAfter)
	}
	return v
}

// effectiveState is the state of t at ?1, the present, with ?2 the moment before which the last
// use makes a task idle.
const effectiveState = `CASE
	WHEN t.ended_at <> 0 THEN t.state
	WHEN t.ends_at <= $1 OR t.state = 'pending' AND t.pending_until <= $1 THEN 'expired'
	WHEN t.state IN ('pending', 'active') AND ` + heldUntil + ` > $1 THEN 'suspended'
	WHEN t.state = 'active' AND t.seen_at <= $2 THEN 'suspended'
	ELSE t.state END`

const taskSQL = `SELECT ` + taskColumns + ` FROM tasks t WHERE t.id = $1`

// task reads a task as it stands now, with its grants and roles.
func (c *conn) task(id string) (t store.Task, grants []store.Grant, err error) {
	var row task
	found, err := c.one(taskSQL, []any{id}, row.fields()...)
	if err != nil {
		return t, nil, err
	}
	if !found {
		return t, nil, store.ErrTaskNotFound
	}
	return row.asOf(c.now()), row.grants, nil
}

// The row of the task at the top of a tree is the lock of the whole tree. A statement after it sees
// all that its former holders did.
const (
	holdTaskSQL  = `SELECT 1 FROM tasks WHERE id = (SELECT root FROM tasks WHERE id = $1) FOR NO KEY UPDATE`
	holdTasksSQL = `SELECT 1 FROM tasks WHERE id IN (SELECT root FROM tasks WHERE id = ANY($1)) ORDER BY id FOR NO KEY UPDATE`
)

// held reads a task that nobody else moves until the transaction ends.
func (tx *tx) held(id string) (t store.Task, grants []store.Grant, err error) {
	tx.later(holdTaskSQL, id)
	return tx.task(id)
}

const (
	grantColumns = `g.id, g.task_id, g.resource, g.scopes, g.details, g.hash, g.created_at, g.ended_at`
)

func grantFields(g *store.Grant) []any {
	return []any{&g.ID, &g.TaskID, &g.Resource, jsonColumn{&g.Scopes}, &g.Details, &g.Hash, at(&g.CreatedAt), at(&g.EndedAt)}
}

// TaskByID returns the task with its grants.
func (s *Store) TaskByID(ctx context.Context, id string) (t store.Task, grants []store.Grant, err error) {
	err = s.read(ctx, func(c *conn) (err error) {
		t, grants, err = c.task(id)
		return err
	})
	return t, grants, err
}

const grantByHashSQL = `SELECT ` + grantColumns + ` FROM grants g
WHERE g.resource = $1 AND g.hash = $2 AND g.code IS NULL ORDER BY g.n DESC LIMIT 1`

// GrantByHash returns the newest grant of the resource with this hash of its details.
func (s *Store) GrantByHash(ctx context.Context, resource, hash string) (g store.Grant, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err := c.one(grantByHashSQL, []any{resource, hash}, grantFields(&g)...)
		if err == nil && !found {
			return store.ErrGrantNotFound
		}
		return err
	})
	return g, err
}

// taskListSQL selects by the filter's set fields, so that each finds its index, and returns the
// arguments of the statement after the first two.
func taskListSQL(f store.TaskFilter, limit int) (query string, args []any) {
	from, args := tasksFromSQL(f)
	args = append(args, limit)
	return `SELECT ` + taskColumns + from + fmt.Sprintf(` ORDER BY t.n DESC LIMIT $%d`, len(args)+2), args
}

// taskCountSQL counts no further than the limit.
func taskCountSQL(f store.TaskFilter, limit int) (query string, args []any) {
	from, args := tasksFromSQL(f)
	args = append(args, limit)
	return `SELECT count(*) FROM (SELECT 1` + from + fmt.Sprintf(` LIMIT $%d) few`, len(args)+2), args
}

func tasksFromSQL(f store.TaskFilter) (from string, args []any) {
	where := []string{"$1::bigint >= $2::bigint"} // both are there, whatever else is
	add := func(condition string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(condition, len(args)+2))
	}
	if f.UserID != "" {
		add("t.user_id = $%d", f.UserID)
	}
	if f.ClientID != "" {
		add("t.client_id = $%d", f.ClientID)
	}
	if f.JKT != "" {
		add("t.jkt = $%d", f.JKT)
	}
	if f.Resource != "" {
		add("EXISTS (SELECT 1 FROM grants g WHERE g.task_id = t.id AND g.resource = $%d AND g.code IS NULL)", f.Resource)
	}
	if f.Tool != "" {
		add("EXISTS (SELECT 1 FROM grants g WHERE g.task_id = t.id AND g.code IS NULL AND "+strings.ReplaceAll(toolGrantedSQL, "$2", "$%d")+")", toJSON(f.Tool))
	}
	if f.Live || f.State != "" && !f.State.Terminal() {
		where = append(where, "t.ended_at = 0")
	}
	if f.Live {
		where = append(where, effectiveState+" <> 'expired'")
	}
	if f.Ended {
		where = append(where, effectiveState+" IN ('completed', 'revoked', 'expired')")
	}
	if f.Before != "" {
		add("t.n < (SELECT b.n FROM tasks b WHERE b.id = $%d)", f.Before)
	}
	if f.Begun {
		where = append(where, "t.state <> 'pending'")
	}
	if f.Bound {
		where = append(where, "t.jkt <> ''")
	}
	if f.Unbound { // as the index tasks_unbound has it
		where = append(where, "t.jkt = '' AND t.activated_at > 0")
	}
	if f.State != "" {
		add(effectiveState+" = $%d", string(f.State))
	}
	return ` FROM tasks t WHERE ` + strings.Join(where, " AND "), args
}

// TaskList returns tasks, newest first.
func (s *Store) TaskList(ctx context.Context, f store.TaskFilter) (tasks []store.Task, err error) {
	err = s.read(ctx, func(c *conn) error {
		now := c.now()
		query, args := taskListSQL(f, limitOf(f))
		tasks, err = c.taskRows(query, append([]any{micros(now), micros(now.Add(-store.IdleAfter))}, args...)...)
		return err
	})
	return tasks, err
}

// TaskCount counts the tasks that the filter selects, up to its limit.
func (s *Store) TaskCount(ctx context.Context, f store.TaskFilter) (n int, err error) {
	err = s.read(ctx, func(c *conn) error {
		now := c.now()
		query, args := taskCountSQL(f, limitOf(f))
		_, err := c.one(query, append([]any{micros(now), micros(now.Add(-store.IdleAfter))}, args...), &n)
		return err
	})
	return n, err
}

func limitOf(f store.TaskFilter) int {
	if f.Limit <= 0 {
		return 100
	}
	return f.Limit
}

const taskHistorySQL = `SELECT count(*), coalesce(max(created_at), 0) FROM tasks WHERE user_id = $1 AND client_id = $2`

// TaskHistory tells how many tasks the user has lent to the client, and when the last one began.
func (s *Store) TaskHistory(ctx context.Context, userID, clientID string) (n int, last time.Time, err error) {
	err = s.read(ctx, func(c *conn) error {
		_, err := c.one(taskHistorySQL, []any{userID, clientID}, &n, at(&last))
		return err
	})
	return n, last, err
}

// taskRows reads the tasks that a query on taskColumns finds, with their roles, as they stand now.
func (c *conn) taskRows(query string, args ...any) (tasks []store.Task, err error) {
	err = c.each(query, args, func(scan func(...any) error) error {
		var row task
		err := scan(row.fields()...)
		tasks = append(tasks, row.asOf(c.when))
		return err
	})
	return tasks, err
}
