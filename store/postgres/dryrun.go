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
		if len(target.TaskIDs) > 0 { // what the clock has ended EndTask leaves alone
			ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
				return slices.ContainsFunc(tree, func(t task) bool { return t.ID == id && t.State.Terminal() })
			})
		}
		for _, t := range arranged(ids, tree) {
			tasks = append(tasks, t.Task)
		}
		return err
	})
	return tasks, err
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
