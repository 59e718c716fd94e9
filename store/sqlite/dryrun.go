package sqlite

import (
	"context"

	"github.com/remit-auth/remit/store"
)

// WouldEnd returns the tasks that the verbs which end tasks would end now.
func (s *Store) WouldEnd(ctx context.Context, target store.Target) (tasks []store.Task, err error) {
	err = s.snapshot(ctx, func(c *conn) error {
		tasks = nil
		ids, err := c.targeted(target)
		seen := make(map[string]bool)
		for _, id := range ids {
			if err != nil {
				break
			}
			var tree []store.Task
			tree, err = c.taskRows(s.clock(), treeSQL, id)
			if len(tree) > 0 && len(target.TaskIDs) > 0 && tree[0].State.Terminal() {
				continue // by the clock, which EndTask respects
			}
			for _, t := range tree {
				if !seen[t.ID] {
					seen[t.ID] = true
					tasks = append(tasks, t)
				}
			}
		}
		return err
	})
	return tasks, err
}

// targeted returns the tasks at the top of those that are meant.
func (c *conn) targeted(target store.Target) ([]string, error) {
	switch {
	case target.UserID != "":
		return c.liveTasks(liveTasksUserSQL, target.UserID)
	case target.ClientID != "":
		return c.liveTasks(liveTasksClientSQL, target.ClientID)
	case target.Resource != "":
		return c.liveTasks(liveTasksResourceSQL, target.Resource)
	}
	return target.TaskIDs, nil
}
