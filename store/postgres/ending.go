package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/remit-auth/remit/store"
)

// movement is the payload of the records that tell of a task's state.
type movement struct {
	State  store.TaskState `json:"state"`
	By     store.Actor     `json:"by"`
	Reason string          `json:"reason,omitempty"`
}

// legs returns the resources that take part in a task with these grants.
func legs(grants []store.Grant) (resources []string) {
	for _, g := range grants {
		if g.EndedAt.IsZero() && !slices.Contains(resources, g.Resource) {
			resources = append(resources, g.Resource)
		}
	}
	return resources
}

// announce tells every resource of the task what became of it, and the ledger.
func (tx *tx) announce(kind string, t store.Task, grants []store.Grant, by store.Actor) {
	for _, resource := range legs(grants) {
		tx.tell(store.Event{Resource: resource, Kind: kind, TaskID: t.ID, State: t.State, Reason: t.Reason})
	}
	r := store.NewRecord(kind, movement{State: t.State, By: by, Reason: t.Reason})
	r.Task, r.User, r.Client, r.Agent = t.ID, t.UserID, t.ClientID, t.JKT
	tx.record(r)
}

const (
	treeSQL = `WITH RECURSIVE tree (id) AS (
	SELECT unnest($1::text[]) COLLATE "C" UNION SELECT child.id FROM tasks child JOIN tree ON child.parent = tree.id WHERE child.parent <> '')
SELECT ` + taskColumns + ` FROM tree JOIN tasks t ON t.id = tree.id WHERE t.ended_at = 0 ORDER BY t.n`
	endTasksSQL = `UPDATE tasks SET state = $1, suspended_by = '', reason = $2, ended_at = $3 WHERE id = ANY($4)`
)

// tree is the live tasks among these and all under them, in the order of their making.
func (c *conn) tree(ids []string) (tree []task, err error) {
	err = c.each(treeSQL, []any{ids}, func(scan func(...any) error) error {
		var row task
		err := scan(row.fields()...)
		row.Task = row.asOf(c.when)
		tree = append(tree, row)
		return err
	})
	return tree, err
}

// arranged is the tasks of a tree that are among these or under them, those of the first before those
// of the second, each once.
func arranged(ids []string, tree []task) []task {
	place, parents := make(map[string]int), make(map[string]string)
	for i, id := range ids {
		if _, twice := place[id]; !twice {
			place[id] = i
		}
	}
	for _, t := range tree {
		parents[t.ID] = t.Parent
	}
	first := make(map[string]int)
	for _, t := range tree {
		top := len(ids)
		for id, known := t.ID, true; known; id, known = parents[id] {
			if i, meant := place[id]; meant {
				top = min(top, i)
			}
		}
		first[t.ID] = top
	}
	tree = slices.DeleteFunc(slices.Clone(tree), func(t task) bool { return first[t.ID] == len(ids) })
	slices.SortStableFunc(tree, func(a, b task) int { return first[a.ID] - first[b.ID] })
	return tree
}

// end ends the live tasks among these and all under them, as of the given time. Their trees are held.
func (tx *tx) end(ids []string, e store.End, ended time.Time) (tasks []store.Task, err error) {
	tree, err := tx.tree(ids)
	if err != nil || len(tree) == 0 {
		return nil, err
	}
	tree = arranged(ids, tree)
	var moved []string
	for _, t := range tree {
		t.State, t.SuspendedBy, t.Reason, t.EndedAt = e.State, "", e.Reason, ended
		moved = append(moved, t.ID)
		tasks = append(tasks, t.Task)
	}
	tx.later(endTasksSQL, string(e.State), e.Reason, micros(ended), moved)
	if err := tx.voidApprovals(tasks, ""); err != nil {
		return nil, err
	}
	for i, t := range tasks {
		tx.announce(store.EventTaskEnded, t, tree[i].grants, e.By)
	}
	if e.State == store.TaskRevoked && e.By != store.ByAgent {
		tx.forgetAgents(tasks)
	}
	return tasks, nil
}

// endAll ends every task that the query finds, each with all under it.
func (tx *tx) endAll(query string, args []any, e store.End) ([]store.Task, error) {
	ids, err := tx.strings(query, args...)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	tx.later(holdTasksSQL, ids)
	return tx.end(ids, e, tx.now())
}

// strings returns the one column that the query finds.
func (c *conn) strings(query string, args ...any) (all []string, err error) {
	err = c.each(query, args, func(scan func(...any) error) error {
		var v string
		err := scan(&v)
		all = append(all, v)
		return err
	})
	return all, err
}

// EndTask ends the task and all under it.
func (s *Store) EndTask(ctx context.Context, e store.End, recs ...store.Record) (ended []store.Task, err error) {
	if !e.State.Terminal() {
		return nil, errors.New("postgres: a task ends as completed, revoked or expired")
	}
	err = s.write(ctx, func(tx *tx) error {
		t, _, err := tx.held(e.TaskID)
		if err != nil {
			return err
		}
		if t.State.Terminal() {
			ended = []store.Task{t}
			return store.ErrTaskEnded
		}
		if ended, err = tx.end([]string{e.TaskID}, e, tx.now()); err != nil {
			return err
		}
		return tx.record(recs...)
	})
	if err != nil && !errors.Is(err, store.ErrTaskEnded) {
		return nil, err
	}
	return ended, err
}

const endLegSQL = `UPDATE grants SET ended_at = $1 WHERE task_id = $2 AND resource = $3 AND ended_at = 0`

// EndLeg ends one resource's part of the task. A resource that has no part in it is
// ErrResourceNotFound; one whose part had ended is ErrTaskEnded.
func (s *Store) EndLeg(ctx context.Context, id, resource, reason string, recs ...store.Record) (t store.Task, err error) {
	err = s.write(ctx, func(tx *tx) (err error) {
		var grants []store.Grant
		if t, grants, err = tx.held(id); err != nil {
			return err
		}
		if err := endable(t, grants, resource); err != nil {
			return err
		}
		if len(legs(grants)) == 1 { // the last
			e := store.End{TaskID: id, State: store.TaskRevoked, By: store.ByServer, Reason: reason}
			if _, err := tx.end([]string{id}, e, tx.now()); err != nil {
				return err
			}
		} else {
			if err := tx.voidApprovals([]store.Task{t}, resource); err != nil {
				return err
			}
			tx.tell(store.Event{Resource: resource, Kind: store.EventTaskEnded, TaskID: id, State: store.TaskRevoked, Reason: reason})
		}
		tx.later(endLegSQL, micros(tx.now()), id, resource)
		if t, _, err = tx.task(id); err != nil {
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
