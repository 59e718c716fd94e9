package sqlite

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/remit-auth/remit/store"
)

const taskColumns = `t.id, t.parent, t.user_id, t.client_id, t.jkt, t.purpose, t.state, t.suspended_by, t.reason,
t.max_calls, t.calls_used, t.created_at, t.activated_at, t.seen_at, t.suspended_at, t.ends_at, t.ended_at, t.delegates, t.generation, t.pending_until, ` + heldUntil

// task is a task as its row has it.
type task struct {
	store.Task
	pendingUntil time.Time
	heldUntil    int64 // microseconds: when the last kill switch that holds it goes back
}

func (t *task) fields() []any {
	return []any{
		&t.ID, &t.Parent, &t.UserID, &t.ClientID, &t.JKT, &t.Purpose, &t.State, &t.SuspendedBy, &t.Reason,
		&t.MaxCalls, &t.CallsUsed, at(&t.CreatedAt), at(&t.ActivatedAt), at(&t.SeenAt), at(&t.SuspendedAt),
		at(&t.EndsAt), at(&t.EndedAt),
		jsonColumn{&t.Delegates},
		&t.Generation,
		at(&t.pendingUntil), &t.heldUntil,
	}
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
	WHEN t.ends_at <= ?1 OR t.state = 'pending' AND t.pending_until <= ?1 THEN 'expired'
	WHEN t.state IN ('pending', 'active') AND ` + heldUntil + ` > ?1 THEN 'suspended'
	WHEN t.state = 'active' AND t.seen_at <= ?2 THEN 'suspended'
	ELSE t.state END`

const taskSQL = `SELECT ` + taskColumns + ` FROM tasks t WHERE t.id = ?`

// task reads a task as it stands now, with its grants and roles.
func (c *conn) task(id string, now time.Time) (t store.Task, grants []store.Grant, err error) {
	var row task
	found, err := c.one(taskSQL, []any{id}, row.fields()...)
	if err != nil {
		return t, nil, err
	}
	if !found {
		return t, nil, store.ErrTaskNotFound
	}
	t = row.asOf(now)
	grants, err = c.grants(&t, store.Hash{})
	return t, grants, err
}

const grantColumns = `g.id, g.task_id, g.resource, g.scopes, g.details, g.hash, g.created_at, g.ended_at, g.code IS NOT NULL`

func grantFields(g *store.Grant) []any {
	return []any{&g.ID, &g.TaskID, &g.Resource, jsonColumn{&g.Scopes}, &g.Details, &g.Hash, at(&g.CreatedAt), at(&g.EndedAt), &g.Waiting}
}

// The roles ride along, so that a task and what its user may do are read in one statement.
const grantsSQL = `SELECT ` + grantColumns + `,
(SELECT json_group_array(r.role) FROM roles r WHERE r.user_id = ?2 AND r.resource = g.resource)
FROM grants g WHERE g.task_id = ?1 AND (g.code IS NULL OR g.code = ?3) ORDER BY g.resource, g.rowid`

// grants reads the task's grants, those that wait for this code included, and sets its roles.
func (c *conn) grants(t *store.Task, code store.Hash) (grants []store.Grant, err error) {
	t.Roles = nil
	err = c.each(grantsSQL, []any{t.ID, t.UserID, hashValue(code)}, func(scan func(...any) error) error {
		var g store.Grant
		var roles []string
		err := scan(append(grantFields(&g), jsonColumn{&roles})...)
		grants = append(grants, g)
		slices.Sort(roles)
		if n := len(t.Roles); n == 0 || t.Roles[n-1].Resource != g.Resource {
			t.Roles = append(t.Roles, store.TaskRoles{Resource: g.Resource, Roles: roles})
		}
		return err
	})
	return grants, err
}

// TaskByID returns the task with its grants.
func (s *Store) TaskByID(ctx context.Context, id string) (t store.Task, grants []store.Grant, err error) {
	err = s.snapshot(ctx, func(c *conn) (err error) {
		t, grants, err = c.task(id, s.clock())
		return err
	})
	return t, grants, err
}

const grantByHashSQL = `SELECT ` + grantColumns + ` FROM grants g
WHERE g.resource = ? AND g.hash = ? AND g.code IS NULL ORDER BY g.rowid DESC LIMIT 1`

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

// taskListSQL selects by the filter's set fields, so that each finds its index. Rows are stored in
// the order of their making, which makes the newest first without sorting.
func taskListSQL(f store.TaskFilter) string {
	return `SELECT ` + taskColumns + tasksFromSQL(f) + ` ORDER BY t.rowid DESC LIMIT ?7`
}

// taskCountSQL counts no further than the limit.
func taskCountSQL(f store.TaskFilter) string {
	return `SELECT count(*) FROM (SELECT 1` + tasksFromSQL(f) + ` LIMIT ?7) few`
}

func tasksFromSQL(f store.TaskFilter) string {
	where := []string{"1"}
	if f.UserID != "" {
		where = append(where, "t.user_id = ?3")
	}
	if f.ClientID != "" {
		where = append(where, "t.client_id = ?4")
	}
	if f.JKT != "" {
		where = append(where, "t.jkt = ?8")
	}
	if f.Resource != "" {
		where = append(where, "EXISTS (SELECT 1 FROM grants g WHERE g.task_id = t.id AND g.resource = ?5 AND g.code IS NULL)")
	}
	if f.Tool != "" {
		where = append(where, "EXISTS (SELECT 1 FROM grants g WHERE g.task_id = t.id AND g.code IS NULL AND "+strings.ReplaceAll(toolGrantedSQL, "?2", "?9")+")")
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
		where = append(where, "t.rowid < (SELECT b.rowid FROM tasks b WHERE b.id = ?10)")
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
		where = append(where, effectiveState+" = ?6")
	}
	return ` FROM tasks t ` + taskIndex(f) + ` WHERE ` + strings.Join(where, " AND ")
}

// taskIndex names the index of a user's or client's live tasks: left alone, SQLite takes that of all;
// and that of the tasks without a key, which are few.
func taskIndex(f store.TaskFilter) string {
	live := f.Live || f.State != "" && !f.State.Terminal()
	switch {
	case live && f.UserID != "":
		return "INDEXED BY tasks_user_live"
	case live && f.ClientID != "":
		return "INDEXED BY tasks_client_live"
	case !live && f.Unbound && f.UserID == "" && f.ClientID == "":
		return "INDEXED BY tasks_unbound"
	}
	return ""
}

// TaskList returns tasks, newest first.
func (s *Store) TaskList(ctx context.Context, f store.TaskFilter) (tasks []store.Task, err error) {
	err = s.snapshot(ctx, func(c *conn) error {
		now := s.clock()
		tasks, err = c.taskRows(now, taskListSQL(f), taskFilterArgs(f, now)...)
		return err
	})
	return tasks, err
}

// TaskCount counts the tasks that the filter selects, up to its limit.
func (s *Store) TaskCount(ctx context.Context, f store.TaskFilter) (n int, err error) {
	err = s.read(ctx, func(c *conn) error {
		_, err := c.one(taskCountSQL(f), taskFilterArgs(f, s.clock()), &n)
		return err
	})
	return n, err
}

// taskFilterArgs are what ?1 to ?10 of a filter's statements stand for.
func taskFilterArgs(f store.TaskFilter, now time.Time) []any {
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	return []any{
		micros(now), micros(now.Add(-store.IdleAfter)), f.UserID, f.ClientID, f.Resource, string(f.State), limit,
		f.JKT, toJSON(f.Tool), f.Before,
	}
}

const taskHistorySQL = `SELECT count(*), coalesce(max(created_at), 0) FROM tasks WHERE user_id = ? AND client_id = ?`

// TaskHistory tells how many tasks the user has lent to the client, and when the last one began.
func (s *Store) TaskHistory(ctx context.Context, userID, clientID string) (n int, last time.Time, err error) {
	err = s.snapshot(ctx, func(c *conn) error {
		_, err := c.one(taskHistorySQL, []any{userID, clientID}, &n, at(&last))
		return err
	})
	return n, last, err
}

// taskRows reads the tasks that a query on taskColumns finds, with their roles.
func (c *conn) taskRows(now time.Time, query string, args ...any) (tasks []store.Task, err error) {
	err = c.each(query, args, func(scan func(...any) error) error {
		var row task
		err := scan(row.fields()...)
		tasks = append(tasks, row.asOf(now))
		return err
	})
	for i := range tasks {
		if err != nil {
			break
		}
		_, err = c.grants(&tasks[i], store.Hash{})
	}
	return tasks, err
}
