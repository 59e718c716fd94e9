package postgres

import (
	"context"
	"slices"

	"github.com/remit-auth/remit/store"
)

// WouldEnd returns the tasks that the verbs which end tasks would end now.
func (s *Store) WouldEnd(ctx context.Context, target store.Target) (tasks []store.Task, err error) {
	err = s.read(ctx, func(c *conn) error {
		tasks = nil
		ids, err := c.targeted(target)
		if err != nil || len(ids) == 0 {
			return err
		}
		tree, err := c.tree(ids)
		ended := make(map[string]bool) // by the clock, which EndTask respects
		for _, t := range tree {
			if len(target.TaskIDs) > 0 && slices.Contains(ids, t.ID) && t.State.Terminal() {
				ended[t.ID] = true
			}
		}
		for _, t := range tree {
			if !ended[t.ID] && (len(ended) == 0 || under(t, ids, ended, tree)) {
				tasks = append(tasks, t.Task)
			}
		}
		return err
	})
	return tasks, err
}

// under reports whether the task hangs under one of these that has not ended.
func under(t task, ids []string, ended map[string]bool, tree []task) bool {
	parents := make(map[string]string)
	for _, t := range tree {
		parents[t.ID] = t.Parent
	}
	for id, known := t.ID, true; known; {
		if slices.Contains(ids, id) && !ended[id] {
			return true
		}
		id, known = parents[id]
	}
	return false
}

// targeted returns the tasks at the top of those that are meant.
func (c *conn) targeted(target store.Target) ([]string, error) {
	switch {
	case target.UserID != "":
		return c.strings(liveTasksUserSQL, target.UserID)
	case target.ClientID != "":
		return c.strings(liveTasksClientSQL, target.ClientID)
	case target.Resource != "":
		return c.strings(liveTasksResourceSQL, target.Resource)
	}
	return target.TaskIDs, nil
}
