package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/remit-auth/remit/store"
)

// movement is the payload of the records that tell of a task's state.
type movement struct {
	State  store.TaskState `json:"state"`
	By     store.Actor     `json:"by"`
	Reason string          `json:"reason,omitempty"`
}

const legsSQL = `SELECT DISTINCT resource FROM grants WHERE task_id = ? AND ended_at = 0 AND code IS NULL ORDER BY resource`

// legs returns the resources that take part in the task.
func (c *conn) legs(taskID string) (resources []string, err error) {
	err = c.each(legsSQL, []any{taskID}, func(scan func(...any) error) error {
		var r string
		err := scan(&r)
		resources = append(resources, r)
		return err
	})
	return resources, err
}

// announce tells every resource of the task what became of it, and the ledger.
func (tx *tx) announce(kind string, t store.Task, by store.Actor) error {
	legs, err := tx.legs(t.ID)
	if err != nil {
		return err
	}
	for _, resource := range legs {
		err := tx.tell(store.Event{Resource: resource, Kind: kind, TaskID: t.ID, State: t.State, Reason: t.Reason})
		if err != nil {
			return err
		}
	}
	r := store.NewRecord(kind, movement{State: t.State, By: by, Reason: t.Reason})
	r.Task, r.User, r.Client, r.Agent = t.ID, t.UserID, t.ClientID, t.JKT
	return tx.record(r)
}

const (
	treeSQL = `WITH RECURSIVE tree (id) AS (
	SELECT ? UNION SELECT child.id FROM tasks child JOIN tree ON child.parent = tree.id WHERE child.parent <> '')
SELECT ` + taskColumns + ` FROM tree CROSS JOIN tasks t ON t.id = tree.id WHERE +t.ended_at = 0 ORDER BY t.rowid`
	endTaskSQL = `UPDATE tasks SET state = ?, suspended_by = '', reason = ?, ended_at = ? WHERE id = ?`
)

// end ends the live tasks among the task and all under it, as of the given time.
func (tx *tx) end(e store.End, ended time.Time) ([]store.Task, error) {
	tree, err := tx.taskRows(tx.now, treeSQL, e.TaskID)
	if err != nil {
		return nil, err
	}
	for i := range tree {
		t := &tree[i]
		t.State, t.SuspendedBy, t.Reason, t.EndedAt = e.State, "", e.Reason, ended
		if _, err := tx.exec(endTaskSQL, string(t.State), t.Reason, micros(ended), t.ID); err != nil {
			return nil, err
		}
		if err := tx.voidApprovals(*t, ""); err != nil {
			return nil, err
		}
		if err := tx.announce(store.EventTaskEnded, *t, e.By); err != nil {
			return nil, err
		}
	}
	if e.State != store.TaskRevoked || e.By == store.ByAgent {
		return tree, nil
	}
	return tree, tx.forgetAgents(tree)
}

// liveTasks returns the ids that the query finds.
func (c *conn) liveTasks(query string, keys ...any) (ids []string, err error) {
	err = c.each(query, keys, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// endAll ends every task that the query finds, each with all under it.
func (tx *tx) endAll(query, key string, e store.End) (ended []store.Task, err error) {
	ids, err := tx.liveTasks(query, key)
	for _, id := range ids {
		if err != nil {
			break
		}
		var tree []store.Task
		e.TaskID = id
		tree, err = tx.end(e, tx.now)
		ended = append(ended, tree...)
	}
	return ended, err
}

// EndTask ends the task and all under it.
func (s *Store) EndTask(ctx context.Context, e store.End, recs ...store.Record) (ended []store.Task, err error) {
	if !e.State.Terminal() {
		return nil, errors.New("sqlite: a task ends as completed, revoked or expired")
	}
	err = s.write(ctx, func(tx *tx) error {
		t, _, err := tx.task(e.TaskID, tx.now)
		if err != nil {
			return err
		}
		if t.State.Terminal() {
			ended = []store.Task{t}
			return store.ErrTaskEnded
		}
		if ended, err = tx.end(e, tx.now); err != nil {
			return err
		}
		return tx.record(recs...)
	})
	if err != nil && !errors.Is(err, store.ErrTaskEnded) {
		return nil, err
	}
	return ended, err
}

const endLegSQL = `UPDATE grants SET ended_at = ? WHERE task_id = ? AND resource = ? AND ended_at = 0`

// EndLeg ends one resource's part of the task. A resource that has no part in it is
// ErrResourceNotFound; one whose part had ended is ErrTaskEnded.
func (s *Store) EndLeg(ctx context.Context, id, resource, reason string, recs ...store.Record) (t store.Task, err error) {
	err = s.write(ctx, func(tx *tx) (err error) {
		var grants []store.Grant
		if t, grants, err = tx.task(id, tx.now); err != nil {
			return err
		}
		if err := endable(t, grants, resource); err != nil {
			return err
		}
		legs, err := tx.legs(id)
		if err != nil {
			return err
		}
		if len(legs) == 1 { // the last
			e := store.End{TaskID: id, State: store.TaskRevoked, By: store.ByServer, Reason: reason}
			if _, err = tx.end(e, tx.now); err != nil {
				return err
			}
		} else if err := tx.voidApprovals(t, resource); err != nil {
			return err
		} else if err := tx.tell(store.Event{Resource: resource, Kind: store.EventTaskEnded, TaskID: id, State: store.TaskRevoked, Reason: reason}); err != nil {
			return err
		}
		if _, err := tx.exec(endLegSQL, micros(tx.now), id, resource); err != nil {
			return err
		}
		if t, _, err = tx.task(id, tx.now); err != nil {
			return err
		}
		return tx.record(recs...)
	})
	return t, err
}

// endable refuses the end of a leg that is not there, or not any more.
func endable(t store.Task, grants []store.Grant, resource string) error {
	if t.State.Terminal() {
		return store.ErrTaskEnded
	}
	err := store.ErrResourceNotFound
	for _, g := range grants {
		if g.Resource == resource {
			if g.EndedAt.IsZero() {
				return nil
			}
			err = store.ErrTaskEnded
		}
	}
	return err
}
