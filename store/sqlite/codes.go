package sqlite

import (
	"context"
	"slices"
	"time"

	"github.com/remit-auth/remit/store"
)

const (
	codeColumns = `c.id, c.task_id, c.client_id, c.redirect_uri, c.redirect_sent, c.challenge, c.jkt, c.key_bound, c.extends,
c.created_at, c.expires_at, c.spent, c.identity`
	codeByIDSQL = `SELECT ` + codeColumns + `, ` + taskColumns + `, ` + clientColumns + `, ` + userColumns + `
FROM codes c JOIN tasks t ON t.id = c.task_id JOIN clients cl ON cl.id = t.client_id JOIN users u ON u.id = t.user_id
WHERE c.id = ?`
)

func codeFields(c *store.Code) []any {
	return []any{
		hash(&c.ID), &c.TaskID, &c.ClientID, &c.RedirectURI, &c.RedirectSent, &c.Challenge, &c.JKT,
		&c.KeyBound, &c.Extends, at(&c.CreatedAt), at(&c.ExpiresAt), &c.Spent, &c.Identity,
	}
}

// CodeByID returns the code with all that its redemption depends on.
func (s *Store) CodeByID(ctx context.Context, id store.Hash) (st store.CodeState, err error) {
	err = s.snapshot(ctx, func(c *conn) error {
		var row task
		fields := append(codeFields(&st.Code), row.fields()...)
		fields = append(append(fields, clientFields(&st.Client)...), userFields(&st.User)...)
		found, err := c.one(codeByIDSQL, []any{id[:]}, fields...)
		if err != nil {
			return err
		}
		if !found {
			return store.ErrCodeNotFound
		}
		st.Task = row.asOf(s.clock())
		st.Grants, err = c.grants(&st.Task, id)
		return err
	})
	return st, err
}

const redeemableSQL = `SELECT c.spent, c.expires_at, c.extends, cl.disabled, u.disabled,
EXISTS (SELECT 1 FROM resources r WHERE r.uri = ?2 AND r.disabled), ` + resourceUntil + `, ` + taskColumns + `
FROM codes c JOIN tasks t ON t.id = c.task_id JOIN clients cl ON cl.id = t.client_id JOIN users u ON u.id = t.user_id
WHERE c.id = ?1`

// redeemable checks all that a redemption depends on, before anything is written, and returns
// the code's task as its row has it.
func (tx *tx) redeemable(r store.Redemption) (row task, extends bool, err error) {
	var spent, clientOff, userOff, resourceOff bool
	var switched int64
	var expires time.Time
	fields := append([]any{&spent, at(&expires), &extends, &clientOff, &userOff, &resourceOff, &switched}, row.fields()...)
	found, err := tx.one(redeemableSQL, []any{r.Code[:], r.Access.Resource}, fields...)
	if err != nil {
		return row, false, err
	}
	t := row.asOf(tx.now)
	switch {
	case !found:
		err = store.ErrCodeNotFound
	case spent:
		err = store.ErrCodeSpent
	case !tx.now.Before(expires):
		err = store.ErrCodeExpired
	case userOff:
		err = store.ErrUserDisabled
	case clientOff:
		err = store.ErrClientDisabled
	case resourceOff:
		err = store.ErrResourceNotFound
	case micros(tx.now) < switched:
		err = store.ErrSwitched
	case t.Generation != r.Access.Generation:
		err = store.ErrGrantChanged
	case extends && t.JKT != r.JKT: // a running task keeps its key
		err = store.ErrTaskNotActive
	case extends:
		err = running(t)
	case t.SuspendedBy == store.BySwitch:
		err = store.ErrTaskNotActive
	case t.State != store.TaskPending:
		err = store.ErrTaskEnded
	default:
		err = tx.parentRuns(t)
	}
	return row, extends, err
}

const (
	spendCodeSQL    = `UPDATE codes SET spent = 1 WHERE id = ?`
	activateTaskSQL = `UPDATE tasks SET state = 'active', jkt = ?1, activated_at = ?2, seen_at = ?2 WHERE id = ?3`
	widenTaskSQL    = `UPDATE grants SET code = NULL WHERE task_id = ? AND code = ?`
)

const (
	inForceSQL   = `SELECT g.id FROM grants g WHERE g.task_id = ? AND g.resource = ? AND g.ended_at = 0 AND g.code IS NULL`
	supersedeSQL = `UPDATE grants SET ended_at = ? WHERE task_id = ? AND resource = ? AND ended_at = 0 AND code IS NULL`
)

// putInForce is for the grants of a step-up's code, or the one grant that holds them and all before.
func (tx *tx) putInForce(taskID string, r store.Redemption) error {
	if r.Widened != nil {
		return tx.widen(taskID, *r.Widened, r.Replaces)
	}
	_, err := tx.exec(widenTaskSQL, taskID, r.Code[:])
	return err
}

// widen puts a grant in the place of those that it was made from.
func (tx *tx) widen(taskID string, w store.Grant, replaces []string) error {
	var inForce []string
	err := tx.each(inForceSQL, []any{taskID, w.Resource}, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		inForce = append(inForce, id)
		return err
	})
	switch {
	case err != nil:
		return err
	case len(inForce) == 0:
		return store.ErrTaskEnded // its leg
	case !slices.Equal(slices.Sorted(slices.Values(inForce)), slices.Sorted(slices.Values(replaces))):
		return store.ErrGrantChanged
	}
	if _, err := tx.exec(supersedeSQL, micros(tx.now), taskID, w.Resource); err != nil {
		return err
	}
	_, err = tx.exec(addGrantSQL, w.ID, taskID, w.Resource, words(w.Scopes), bytes(w.Details), w.Hash, micros(orNow(w.CreatedAt, tx.now)), nil)
	return err
}

// RedeemCode spends the code, activates its task, fixes the task's key, and stores the tokens.
func (s *Store) RedeemCode(ctx context.Context, r store.Redemption, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		t, extends, err := tx.redeemable(r)
		if err != nil {
			return err
		}
		if _, err := tx.exec(spendCodeSQL, r.Code[:]); err != nil {
			return err
		}
		if extends {
			if err = tx.putInForce(t.ID, r); err == nil {
				err = tx.seen(&t.Task, t.State)
			}
		} else {
			_, err = tx.exec(activateTaskSQL, r.JKT, micros(tx.now), t.ID)
		}
		if err != nil {
			return err
		}
		if err := tx.addAccess(r.Access); err != nil {
			return err
		}
		if r.Refresh != nil {
			if err := tx.addRefresh(*r.Refresh); err != nil {
				return err
			}
		}
		return tx.record(recs...)
	})
}
