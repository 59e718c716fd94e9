package postgres

import (
	"context"
	"errors"
	"slices"

	"github.com/remit-auth/remit/store"
)

const (
	narrowTasksSQL   = `UPDATE tasks SET generation = generation + 1, ends_at = CASE WHEN $1::bigint = 0 THEN ends_at ELSE LEAST(ends_at, $1) END WHERE id = ANY($2)`
	voidStepUpsSQL   = `UPDATE codes SET expires_at = LEAST(expires_at, $1) WHERE task_id = ANY($2) AND extends AND NOT spent`
	revokeTasksSQL   = `UPDATE access_tokens SET revoked = true WHERE task_id = ANY($1) AND NOT revoked RETURNING jti, task_id, resource`
	supersedeTaskSQL = `UPDATE grants SET ended_at = $1 WHERE task_id = $2 AND ended_at = 0 AND code IS NULL`
)

// NarrowTask puts narrower grants in place of those in force, and kills all that was issued for more.
func (s *Store) NarrowTask(ctx context.Context, n store.Narrowing, recs ...store.Record) (t store.Task, err error) {
	if len(n.Grants) == 0 {
		return t, errors.New("postgres: a task of which nothing is left is ended")
	}
	err = s.write(ctx, func(tx *tx) error {
		before, grants, err := tx.held(n.TaskID)
		if err != nil {
			return err
		}
		if err := n.Fits(before, grants); err != nil {
			return err
		}
		tx.later(supersedeTaskSQL, micros(tx.now()), n.TaskID)
		if err := tx.addGrants(store.Approval{Task: before, Grants: n.Grants}); err != nil {
			return err
		}
		tx.endLegs(before, grants, n)
		if err := tx.reissue(n); err != nil {
			return err
		}
		if t, _, err = tx.task(n.TaskID); err != nil {
			return err
		}
		return tx.record(recs...)
	})
	return t, err
}

// endLegs tells the resources of which nothing is left.
func (tx *tx) endLegs(t store.Task, grants []store.Grant, n store.Narrowing) {
	for _, resource := range legs(grants) {
		if !slices.ContainsFunc(n.Grants, func(kept store.Grant) bool { return kept.Resource == resource }) {
			tx.tell(store.Event{Resource: resource, Kind: store.EventTaskEnded, TaskID: t.ID, State: store.TaskRevoked, Reason: store.ReasonNarrowed})
		}
	}
}

// reissue makes everything void that was issued for the task, and for all under it, so that it has to
// be had anew: tokens, codes of step-ups, approvals of calls, remembered choices.
func (tx *tx) reissue(n store.Narrowing) error {
	tree, err := tx.tree([]string{n.TaskID})
	if err != nil {
		return err
	}
	var ids []string
	var tasks []store.Task
	for _, t := range tree {
		ids, tasks = append(ids, t.ID), append(tasks, t.Task)
	}
	tx.later(narrowTasksSQL, micros(n.EndsAt), ids)
	tx.later(voidStepUpsSQL, micros(tx.now()), ids)
	if err := tx.voidApprovals(tasks, ""); err != nil {
		return err
	}
	tx.forgetAgents(tasks)
	return tx.revokeAll(revokeTasksSQL, ids)
}
