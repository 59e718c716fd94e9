package sqlite

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

// refresh is what a rotation reads of the old token.
type refresh struct {
	task      store.Task
	stored    store.TaskState // the task's state as the row has it
	expires   time.Time
	spent     time.Time
	successor []byte
	replays   int
}

const rotatableSQL = `SELECT r.expires_at, r.spent_at, r.successor, r.replays, cl.disabled, u.disabled,
EXISTS (SELECT 1 FROM grants g WHERE g.task_id = t.id AND g.resource = ?2 AND g.ended_at = 0 AND g.code IS NULL),
EXISTS (SELECT 1 FROM resources p WHERE p.uri = ?2 AND p.disabled), ` + resourceUntil + `,
` + taskColumns + `
FROM refresh_tokens r JOIN tasks t ON t.id = r.task_id JOIN clients cl ON cl.id = t.client_id JOIN users u ON u.id = t.user_id
WHERE r.id = ?1`

// rotatable checks all that a rotation depends on, before anything is written.
func (tx *tx) rotatable(r store.Rotation) (old refresh, err error) {
	var row task
	var clientOff, userOff, leg, resourceOff bool
	var switched int64
	fields := append([]any{at(&old.expires), at(&old.spent), &old.successor, &old.replays, &clientOff, &userOff, &leg, &resourceOff, &switched}, row.fields()...)
	found, err := tx.one(rotatableSQL, []any{r.Old[:], r.Access.Resource}, fields...)
	if err != nil {
		return old, err
	}
	old.task, old.stored = row.asOf(tx.now), row.State
	switch {
	case !found:
		return old, store.ErrRefreshNotFound
	case !tx.now.Before(old.expires):
		return old, store.ErrRefreshExpired
	case userOff:
		return old, store.ErrUserDisabled
	case clientOff:
		return old, store.ErrClientDisabled
	case old.task.State.Terminal(), !leg:
		return old, store.ErrTaskEnded
	case resourceOff:
		return old, store.ErrResourceNotFound
	case micros(tx.now) < switched:
		return old, store.ErrSwitched
	}
	if err := running(old.task); err != nil {
		return old, err
	}
	if old.task.Generation != r.Access.Generation {
		return old, store.ErrGrantChanged
	}
	if !old.spent.IsZero() && (!tx.now.Before(old.spent.Add(r.Grace)) || old.replays >= r.GraceUses) {
		return old, store.ErrRefreshReused
	}
	return old, nil
}

const (
	spendRefreshSQL  = `UPDATE refresh_tokens SET spent_at = ?, successor = ? WHERE id = ?`
	replayRefreshSQL = `UPDATE refresh_tokens SET replays = replays + 1 WHERE id = ?`
	seenSQL          = `UPDATE tasks SET seen_at = ? WHERE id = ?`
)

// seen notes that the task is in use, and wakes it if it was asleep by idleness. Sleep that was
// never written down was never told to anyone, and is ended without a word.
func (tx *tx) seen(t *store.Task, stored store.TaskState) error {
	if stored == store.TaskSuspended {
		return tx.resume(t, store.ByAgent)
	}
	_, err := tx.exec(seenSQL, micros(tx.now), t.ID)
	return err
}

// RotateRefreshToken spends the old token and stores the new one and the access token, or answers
// a parallel process of the same agent with the same successor.
func (s *Store) RotateRefreshToken(ctx context.Context, r store.Rotation, recs ...store.Record) (successor []byte, replayed bool, err error) {
	err = s.write(ctx, func(tx *tx) error {
		old, err := tx.rotatable(r)
		if err != nil {
			return err
		}
		if replayed = !old.spent.IsZero(); replayed {
			successor = old.successor
			_, err = tx.exec(replayRefreshSQL, r.Old[:])
		} else {
			successor = r.Successor
			if _, err = tx.exec(spendRefreshSQL, micros(tx.now), bytes(r.Successor), r.Old[:]); err == nil {
				err = tx.addRefresh(r.New)
			}
		}
		if err != nil {
			return err
		}
		if err := tx.seen(&old.task, old.stored); err != nil {
			return err
		}
		if err := tx.addAccess(r.Access); err != nil {
			return err
		}
		return tx.record(recs...)
	})
	if err != nil {
		return nil, false, err
	}
	return successor, replayed, nil
}
