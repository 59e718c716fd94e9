package postgres

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

const (
	callableSQL = `SELECT a.revoked, a.expires_at, ` + taskColumns + `,
EXISTS (SELECT 1 FROM grants g WHERE g.task_id = t.id AND g.resource = a.resource AND g.ended_at = 0 AND g.code IS NULL), ` + resourceUntilHead + `a.resource` + resourceUntilTail + `
FROM access_tokens a JOIN tasks t ON t.id = a.task_id WHERE a.jti = $1 AND a.task_id = $2 AND a.resource = $3`
	reservedSQL = `SELECT
EXISTS (SELECT 1 FROM reservations WHERE task_id = $1 AND execution = $2 AND resource = $3 AND tool = $4),
COALESCE((SELECT used FROM tool_calls WHERE task_id = $1 AND resource = $3 AND tool = $4), 0)`
	usedSQL      = `SELECT used FROM tool_calls WHERE task_id = $1 AND resource = $2 AND tool = $3`
	countedSQL   = `SELECT tool, used FROM tool_calls WHERE task_id = $1 AND resource = $2`
	reserveSQL   = `INSERT INTO reservations (task_id, execution, resource, tool) VALUES ($1, $2, $3, $4)`
	countToolSQL = `INSERT INTO tool_calls (task_id, resource, tool, used) VALUES ($1, $2, $3, 1)
ON CONFLICT (task_id, resource, tool) DO UPDATE SET used = tool_calls.used + 1`
	countTaskSQL = `UPDATE tasks SET calls_used = calls_used + 1, seen_at = $1 WHERE id = $2`
)

// callable returns the task if the token may be used for a call in it now.
func (tx *tx) callable(r store.Reservation) (t store.Task, err error) {
	var row task
	var revoked, leg bool
	var switched int64
	var expires time.Time
	fields := append(append([]any{&revoked, at(&expires)}, row.fields()...), &leg, &switched)
	found, err := tx.one(callableSQL, []any{r.JTI, r.TaskID, r.Resource}, fields...)
	if err != nil {
		return t, err
	}
	t = row.asOf(tx.now())
	switch {
	case !found:
		err = store.ErrTokenNotFound
	case t.State.Terminal(), !leg:
		err = store.ErrTaskEnded
	case t.State != store.TaskActive, micros(tx.now()) < switched:
		err = store.ErrTaskNotActive
	case revoked, !tx.now().Before(expires):
		err = store.ErrTokenNotFound
	}
	return t, err
}

// ReserveCall counts one call against the tool's and the task's budget. Repeating an execution
// answers what is left now, and stores no records a second time.
func (s *Store) ReserveCall(ctx context.Context, r store.Reservation, recs ...store.Record) (toolLeft, taskLeft int, err error) {
	var spent error // a spent task budget is a refusal that has an effect
	err = s.write(ctx, func(tx *tx) error {
		spent = nil
		tx.later(holdTaskSQL, r.TaskID)
		t, err := tx.callable(r)
		if err != nil {
			return err
		}
		var again bool
		var used int
		if _, err := tx.one(reservedSQL, []any{r.TaskID, r.Execution, r.Resource, r.Tool}, &again, &used); err != nil {
			return err
		}
		shares, err := tx.shares(r, t, used)
		if err != nil {
			return err
		}
		if !again {
			if spent, err = tx.affordable(shares); spent != nil || err != nil {
				return err
			}
			if err := tx.countCall(r, shares, recs); err != nil {
				return err
			}
		}
		toolLeft, taskLeft = leastLeft(shares)
		return nil
	})
	if err == nil {
		err = spent
	}
	if err != nil {
		return 0, 0, err
	}
	return toolLeft, taskLeft, nil
}

// share is what one task has used and may use of a call.
type share struct {
	task          store.Task
	toolMax, used int
}

// shares are the task of the call and those above it that it counts against.
func (tx *tx) shares(r store.Reservation, t store.Task, used int) ([]*share, error) {
	all := []*share{{t, r.ToolMax, used}}
	for _, above := range r.Above {
		t, _, err := tx.task(above.TaskID)
		if err != nil {
			return nil, err
		}
		s := &share{task: t, toolMax: above.ToolMax}
		if _, err := tx.one(usedSQL, []any{t.ID, r.Resource, r.Tool}, &s.used); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// affordable reports whether a task's budget is spent, which ends that task, or a tool's, which does not.
func (tx *tx) affordable(shares []*share) (spent, err error) {
	for _, s := range shares {
		if s.task.MaxCalls > 0 && s.task.CallsUsed >= s.task.MaxCalls {
			_, err := tx.end([]string{s.task.ID}, store.End{State: store.TaskExpired, By: store.ByServer, Reason: reasonBudget}, tx.now())
			return store.ErrTaskBudget, err
		}
	}
	for _, s := range shares {
		if s.toolMax > 0 && s.used >= s.toolMax {
			return nil, store.ErrToolBudget
		}
	}
	return nil, nil
}

func (tx *tx) countCall(r store.Reservation, shares []*share, recs []store.Record) error {
	tx.later(reserveSQL, r.TaskID, r.Execution, r.Resource, r.Tool)
	for _, s := range shares {
		tx.later(countToolSQL, s.task.ID, r.Resource, r.Tool)
		tx.later(countTaskSQL, micros(tx.now()), s.task.ID)
		s.used, s.task.CallsUsed = s.used+1, s.task.CallsUsed+1
	}
	return tx.record(recs...)
}

// leastLeft is what remains for tool and task under the tightest budget, -1 for none.
func leastLeft(shares []*share) (tool, task int) {
	tool, task = -1, -1
	for _, s := range shares {
		tool, task = tighter(tool, left(s.toolMax, s.used)), tighter(task, left(s.task.MaxCalls, s.task.CallsUsed))
	}
	return tool, task
}

func tighter(a, b int) int {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// left is what remains of a budget, -1 for none.
func left(budget, used int) int {
	if budget <= 0 {
		return -1
	}
	return max(budget-used, 0)
}

// CountedCalls returns how many calls were counted for a task at a resource, by tool.
func (s *Store) CountedCalls(ctx context.Context, taskID, resource string) (map[string]int, error) {
	counts := make(map[string]int)
	err := s.read(ctx, func(c *conn) error {
		c.ask(countedSQL, []any{taskID, resource}, func(scan func(...any) error) error {
			var tool string
			var used int
			err := scan(&tool, &used)
			counts[tool] = used
			return err
		})
		return c.flush()
	})
	return counts, err
}
