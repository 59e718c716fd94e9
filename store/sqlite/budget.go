package sqlite

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

const (
	callableSQL = `SELECT a.revoked, a.expires_at, ` + taskColumns + `,
EXISTS (SELECT 1 FROM grants g WHERE g.task_id = t.id AND g.resource = a.resource AND g.ended_at = 0 AND g.code IS NULL)
FROM access_tokens a JOIN tasks t ON t.id = a.task_id WHERE a.jti = ? AND a.task_id = ? AND a.resource = ?`
	reservedSQL = `SELECT
EXISTS (SELECT 1 FROM reservations WHERE task_id = ?1 AND execution = ?2 AND resource = ?3 AND tool = ?4),
COALESCE((SELECT used FROM tool_calls WHERE task_id = ?1 AND resource = ?3 AND tool = ?4), 0)`
	reserveSQL   = `INSERT INTO reservations (task_id, execution, resource, tool) VALUES (?, ?, ?, ?)`
	countToolSQL = `INSERT INTO tool_calls (task_id, resource, tool, used) VALUES (?, ?, ?, 1)
ON CONFLICT DO UPDATE SET used = used + 1`
	countTaskSQL = `UPDATE tasks SET calls_used = calls_used + 1, seen_at = ? WHERE id = ?`
)

// callable returns the task if the token may be used for a call in it now.
func (tx *tx) callable(r store.Reservation) (t store.Task, err error) {
	var row task
	var revoked, leg bool
	var expires time.Time
	fields := append(append([]any{&revoked, at(&expires)}, row.fields()...), &leg)
	found, err := tx.one(callableSQL, []any{r.JTI, r.TaskID, r.Resource}, fields...)
	if err != nil {
		return t, err
	}
	t = row.asOf(tx.now)
	switch {
	case !found:
		err = store.ErrTokenNotFound
	case t.State.Terminal(), !leg:
		err = store.ErrTaskEnded
	case t.State != store.TaskActive:
		err = store.ErrTaskNotActive
	case revoked, !tx.now.Before(expires):
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
		t, err := tx.callable(r)
		if err != nil {
			return err
		}
		var again bool
		var used int
		if _, err := tx.one(reservedSQL, []any{r.TaskID, r.Execution, r.Resource, r.Tool}, &again, &used); err != nil {
			return err
		}
		if !again {
			switch {
			case t.MaxCalls > 0 && t.CallsUsed >= t.MaxCalls:
				spent = store.ErrTaskBudget
				_, err := tx.end(store.End{TaskID: t.ID, State: store.TaskExpired, By: store.ByServer, Reason: reasonBudget}, tx.now)
				return err
			case r.ToolMax > 0 && used >= r.ToolMax:
				return store.ErrToolBudget
			}
			if err := tx.count(r, recs); err != nil {
				return err
			}
			used, t.CallsUsed = used+1, t.CallsUsed+1
		}
		toolLeft, taskLeft = left(r.ToolMax, used), left(t.MaxCalls, t.CallsUsed)
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

func (tx *tx) count(r store.Reservation, recs []store.Record) error {
	if _, err := tx.exec(reserveSQL, r.TaskID, r.Execution, r.Resource, r.Tool); err != nil {
		return err
	}
	if _, err := tx.exec(countToolSQL, r.TaskID, r.Resource, r.Tool); err != nil {
		return err
	}
	if _, err := tx.exec(countTaskSQL, micros(tx.now), r.TaskID); err != nil {
		return err
	}
	return tx.record(recs...)
}

// left is what remains of a budget, -1 for none.
func left(budget, used int) int {
	if budget <= 0 {
		return -1
	}
	return max(budget-used, 0)
}
