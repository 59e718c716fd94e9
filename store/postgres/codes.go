package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/remit-auth/remit/store"
)

const (
	codeColumns = `c.id, c.task_id, c.client_id, c.redirect_uri, c.redirect_sent, c.challenge, c.jkt, c.key_bound, c.extends,
c.created_at, c.expires_at, c.spent, c.identity`
	codeByIDSQL = `SELECT ` + codeColumns + `, ` + taskFields + grantsBefore + ` OR g.code = c.id` + grantsAfter + `, ` + clientColumns + `, ` + userColumns + `
FROM codes c JOIN tasks t ON t.id = c.task_id JOIN clients cl ON cl.id = t.client_id JOIN users u ON u.id = t.user_id
WHERE c.id = $1`
)

func codeFields(c *store.Code) []any {
	return []any{
		hash(&c.ID), &c.TaskID, &c.ClientID, &c.RedirectURI, &c.RedirectSent, &c.Challenge, &c.JKT, &c.KeyBound, &c.Extends,
		at(&c.CreatedAt), at(&c.ExpiresAt), &c.Spent, &c.Identity,
	}
}

// CodeByID returns the code with all that its redemption depends on.
func (s *Store) CodeByID(ctx context.Context, id store.Hash) (st store.CodeState, err error) {
	err = s.read(ctx, func(c *conn) error {
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
		st.Task, st.Grants = row.asOf(c.now()), row.grants
		return nil
	})
	return st, err
}

const (
	holdCodeSQL   = `SELECT 1 FROM tasks WHERE id = (SELECT t.root FROM codes c JOIN tasks t ON t.id = c.task_id WHERE c.id = $1) FOR NO KEY UPDATE`
	redeemableSQL = `SELECT c.spent, c.expires_at, c.extends, cl.disabled, u.disabled,
EXISTS (SELECT 1 FROM resources r WHERE r.uri = $2 AND r.disabled), ` + resourceUntil + `, ` + signsColumn + `, ` + taskColumns + `
FROM codes c JOIN tasks t ON t.id = c.task_id JOIN clients cl ON cl.id = t.client_id JOIN users u ON u.id = t.user_id
WHERE c.id = $1`
)

// redeemable checks all that a redemption depends on, before anything is written, and returns
// the code's task as its row has it.
func (tx *tx) redeemable(r store.Redemption) (row task, extends bool, err error) {
	var spent, clientOff, userOff, resourceOff bool
	var switched int64
	var expires time.Time
	var signs int64
	fields := append([]any{&spent, at(&expires), &extends, &clientOff, &userOff, &resourceOff, &switched, &signs}, row.fields()...)
	tx.later(holdCodeSQL, r.Code[:])
	found, err := tx.one(redeemableSQL, []any{r.Code[:], r.Access.Resource, r.Access.KID}, fields...)
	if err != nil {
		return row, false, err
	}
	t := row.asOf(tx.now())
	switch {
	case !found:
		err = store.ErrCodeNotFound
	case spent:
		err = store.ErrCodeSpent
	case !tx.now().Before(expires):
		err = store.ErrCodeExpired
	case userOff:
		err = store.ErrUserDisabled
	case clientOff:
		err = store.ErrClientDisabled
	case resourceOff:
		err = store.ErrResourceNotFound
	case micros(tx.now()) < switched:
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
	if err == nil && !tx.signs(r.Access.KID, signs) {
		err = store.ErrKeyStale
	}
	return row, extends, err
}

const (
	spendCodeSQL    = `UPDATE codes SET spent = true WHERE id = $1`
	activateTaskSQL = `UPDATE tasks SET state = 'active', jkt = $1, activated_at = $2, seen_at = $2, idle_at = $2::bigint + 1800000000 WHERE id = $3`
	widenTaskSQL    = `UPDATE grants SET code = NULL WHERE task_id = $1 AND code = $2`
)

const (
	supersedeSQL = `UPDATE grants SET ended_at = $1 WHERE task_id = $2 AND resource = $3 AND ended_at = 0 AND code IS NULL`
)

// putInForce is for the grants of a step-up's code, or the one grant that holds them and all before.
func (tx *tx) putInForce(t task, r store.Redemption) error {
	if r.Widened != nil {
		return tx.widen(t.ID, t.grants, *r.Widened, r.Replaces)
	}
	tx.later(widenTaskSQL, t.ID, r.Code[:])
	return nil
}

// widen puts a grant in the place of those that it was made from.
func (tx *tx) widen(taskID string, grants []store.Grant, w store.Grant, replaces []string) error {
	var inForce []string
	for _, g := range grants {
		if g.Resource == w.Resource && g.EndedAt.IsZero() {
			inForce = append(inForce, g.ID)
		}
	}
	switch {
	case len(inForce) == 0:
		return store.ErrTaskEnded // its leg
	case !slices.Equal(slices.Sorted(slices.Values(inForce)), slices.Sorted(slices.Values(replaces))):
		return store.ErrGrantChanged
	}
	tx.later(supersedeSQL, micros(tx.now()), taskID, w.Resource)
	tx.later(addGrantSQL, w.ID, taskID, w.Resource, words(w.Scopes), bytes(w.Details), w.Hash, micros(orNow(w.CreatedAt, tx.now())), nil)
	return nil
}

// RedeemCode spends the code, activates its task, fixes the task's key, and stores the tokens.
func (s *Store) RedeemCode(ctx context.Context, r store.Redemption, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		t, extends, err := tx.redeemable(r)
		if err != nil {
			return err
		}
		tx.later(spendCodeSQL, r.Code[:])
		if extends {
			if err = tx.putInForce(t, r); err == nil {
				tx.seen(&t.Task, t.grants, t.State)
			}
		} else {
			tx.later(activateTaskSQL, r.JKT, micros(tx.now()), t.ID)
		}
		if err != nil {
			return err
		}
		tx.addAccess(r.Access)
		if r.Refresh != nil {
			tx.addRefresh(*r.Refresh)
		}
		return tx.record(recs...)
	})
}
