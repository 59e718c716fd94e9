package sqlite

import (
	"context"
	"errors"
	"slices"

	"github.com/remit-auth/remit/store"
)

const (
	narrowTaskSQL    = `UPDATE tasks SET generation = generation + 1, ends_at = MIN(ends_at, ?) WHERE id = ?`
	voidStepUpsSQL   = `UPDATE codes SET expires_at = MIN(expires_at, ?) WHERE task_id = ? AND extends AND NOT spent`
	unrevokedSQL     = `SELECT jti, resource FROM access_tokens WHERE task_id = ?1 AND (?2 = '' OR resource = ?2) AND NOT revoked ORDER BY issued_at, jti`
	supersedeTaskSQL = `UPDATE grants SET ended_at = ? WHERE task_id = ? AND ended_at = 0 AND code IS NULL`
)

// NarrowTask puts narrower grants in place of those in force, and kills all that was issued for more.
func (s *Store) NarrowTask(ctx context.Context, n store.Narrowing, recs ...store.Record) (t store.Task, err error) {
	if len(n.Grants) == 0 {
		return t, errors.New("sqlite: a task of which nothing is left is ended")
	}
	err = s.write(ctx, func(tx *tx) error {
		before, grants, err := tx.task(n.TaskID, tx.now)
		if err != nil {
			return err
		}
		if err := n.Fits(before, grants); err != nil {
			return err
		}
		if _, err := tx.exec(supersedeTaskSQL, micros(tx.now), n.TaskID); err != nil {
			return err
		}
		if err := tx.addGrants(store.Approval{Task: before, Grants: n.Grants}); err != nil {
			return err
		}
		if err := tx.endLegs(before, grants, n); err != nil {
			return err
		}
		if err := tx.reissue(n); err != nil {
			return err
		}
		if t, _, err = tx.task(n.TaskID, tx.now); err != nil {
			return err
		}
		return tx.record(recs...)
	})
	return t, err
}

// endLegs tells the resources of which nothing is left.
func (tx *tx) endLegs(t store.Task, grants []store.Grant, n store.Narrowing) error {
	for _, g := range grants {
		if !g.EndedAt.IsZero() || slices.ContainsFunc(n.Grants, func(kept store.Grant) bool { return kept.Resource == g.Resource }) {
			continue
		}
		e := store.Event{Resource: g.Resource, Kind: store.EventTaskEnded, TaskID: t.ID, State: store.TaskRevoked, Reason: store.ReasonNarrowed}
		if err := tx.tell(e); err != nil {
			return err
		}
	}
	return nil
}

// reissue makes everything void that was issued for the task, and for all under it, so that it has to
// be had anew: tokens, codes of step-ups, approvals of calls, remembered choices.
func (tx *tx) reissue(n store.Narrowing) error {
	tree, err := tx.taskRows(tx.now, treeSQL, n.TaskID)
	if err != nil {
		return err
	}
	for _, t := range tree {
		ends := t.EndsAt
		if !n.EndsAt.IsZero() {
			ends = n.EndsAt
		}
		if _, err := tx.exec(narrowTaskSQL, micros(ends), t.ID); err != nil {
			return err
		}
		if _, err := tx.exec(voidStepUpsSQL, micros(tx.now), t.ID); err != nil {
			return err
		}
		if err := tx.voidApprovals(t, ""); err != nil {
			return err
		}
		if err := tx.revokeAll(t.ID, ""); err != nil {
			return err
		}
	}
	return tx.forgetAgents(tree)
}

// revokeAll kills the task's access tokens, at one resource or at all, and tells their resources: of the
// expired ones too, because a call that one began may run on.
func (tx *tx) revokeAll(taskID, resource string) error {
	var events []store.Event
	err := tx.each(unrevokedSQL, []any{taskID, resource}, func(scan func(...any) error) error {
		e := store.Event{Kind: store.EventTokenRevoked, TaskID: taskID}
		err := scan(&e.JTI, &e.Resource)
		events = append(events, e)
		return err
	})
	for _, e := range events {
		if err != nil {
			break
		}
		if _, err = tx.exec(revokeAccessSQL, e.JTI); err == nil {
			err = tx.tell(e)
		}
	}
	return err
}
