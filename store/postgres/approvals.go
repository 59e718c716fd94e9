package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/remit-auth/remit/store"
)

const approvalColumns = `p.id, p.task_id, p.user_id, p.resource, p.tool, p.definition, p.digest, p.arguments, p.state,
p.execution, p.asked_at, p.decided_at, p.expires_at`

func approvalFields(a *store.CallApproval) []any {
	return []any{
		&a.ID, &a.TaskID, &a.UserID, &a.Resource, &a.Tool, &a.Definition, &a.Digest, &a.Arguments, &a.State,
		&a.Execution, at(&a.AskedAt), at(&a.DecidedAt), at(&a.ExpiresAt),
	}
}

// approvalAsOf is the approval as it stands now, whether or not that was written down.
func approvalAsOf(a store.CallApproval, now time.Time) store.CallApproval {
	if open := a.State == store.ApprovalAsked || a.State == store.ApprovalAllowed; open && !now.Before(a.ExpiresAt) {
		a.State, a.Arguments = store.ApprovalExpired, nil
	}
	return a
}

const (
	// What is live of this very call: it waits, is allowed, or was denied a short while ago.
	sameCallSQL = `SELECT ` + approvalColumns + ` FROM approvals p
WHERE p.task_id = $1 AND p.asked_at >= 0 AND p.resource = $2 AND p.tool = $3 AND p.definition = $4 AND p.digest = $5
AND (p.state IN ('asked', 'allowed') OR p.state = 'denied' AND p.expires_at > $6) ORDER BY p.asked_at DESC LIMIT 1`
	crowdSQL = `SELECT count(*) FILTER (WHERE p.state = 'asked' AND p.expires_at > $2), count(*) FILTER (WHERE p.asked_at > $3)
FROM approvals p WHERE p.task_id = $1`
	addApprovalSQL = `INSERT INTO approvals (id, task_id, user_id, resource, tool, definition, digest, arguments, state,
execution, asked_at, decided_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'asked', $9, $10, 0, $11)`
	moveApprovalSQL = `UPDATE approvals SET state = $1, execution = $2, decided_at = $3, expires_at = $4, arguments = NULL WHERE id = $5`
)

// AskApproval spends an allowed approval of exactly this call, or returns the one that waits or was
// denied, or stores a new one.
func (s *Store) AskApproval(ctx context.Context, ask store.ApprovalAsk) (a store.CallApproval, err error) {
	err = s.write(ctx, func(tx *tx) error {
		want := ask.Call
		tx.later(holdTaskSQL, want.TaskID)
		t, err := tx.callable(store.Reservation{TaskID: want.TaskID, Resource: want.Resource, JTI: ask.JTI})
		if err != nil {
			return err
		}
		a = store.CallApproval{}
		args := []any{want.TaskID, want.Resource, want.Tool, want.Definition, want.Digest, micros(tx.now())}
		found, err := tx.one(sameCallSQL, args, approvalFields(&a)...)
		if err != nil {
			return err
		}
		tx.later(seenSQL, micros(tx.now()), t.ID)
		if a = approvalAsOf(a, tx.now()); found {
			switch a.State {
			case store.ApprovalAsked, store.ApprovalDenied:
				return nil
			case store.ApprovalAllowed:
				a.State, a.Execution = store.ApprovalSpent, want.Execution
				return tx.moveApproval(a, t)
			}
			if err := tx.moveApproval(a, t); err != nil { // it has expired, and nobody had noticed
				return err
			}
		}
		return tx.newApproval(&a, ask, t)
	})
	if err != nil {
		return store.CallApproval{}, err
	}
	return a, nil
}

func (tx *tx) newApproval(a *store.CallApproval, ask store.ApprovalAsk, t store.Task) error {
	var open, recent int
	if _, err := tx.one(crowdSQL, []any{t.ID, micros(tx.now()), micros(tx.now().Add(-ask.Recent))}, &open, &recent); err != nil {
		return err
	}
	if open >= ask.MaxOpen || recent >= ask.MaxRecent {
		return store.ErrApprovalsFull
	}
	*a = ask.Call
	a.UserID, a.State, a.AskedAt, a.DecidedAt = t.UserID, store.ApprovalAsked, tx.now(), time.Time{}
	tx.later(addApprovalSQL, a.ID, t.ID, t.UserID, a.Resource, a.Tool, a.Definition, a.Digest, bytes(a.Arguments),
		a.Execution, micros(a.AskedAt), micros(a.ExpiresAt))
	return tx.tellApproval(*a, t)
}

// moveApproval writes an approval that has moved, without its arguments, and tells the ledger.
func (tx *tx) moveApproval(a store.CallApproval, t store.Task) error {
	tx.later(moveApprovalSQL, string(a.State), a.Execution, micros(a.DecidedAt), micros(a.ExpiresAt), a.ID)
	return tx.tellApproval(a, t)
}

// tellApproval records where the approval stands.
func (tx *tx) tellApproval(a store.CallApproval, t store.Task) error {
	r := store.NewRecord("approval."+string(a.State), struct {
		Approval   string `json:"approval"`
		Tool       string `json:"tool"`
		Definition string `json:"definition"`
		Digest     string `json:"arguments_digest"`
	}{a.ID, a.Tool, a.Definition, a.Digest})
	r.Task, r.User, r.Client, r.Agent, r.Resource, r.Execution = t.ID, t.UserID, t.ClientID, t.JKT, a.Resource, a.Execution
	return tx.record(r)
}

const holdApprovedSQL = `SELECT 1 FROM tasks WHERE id = (SELECT t.root FROM approvals p JOIN tasks t ON t.id = p.task_id WHERE p.id = $1) FOR NO KEY UPDATE`

const approvalSQL = `SELECT ` + approvalColumns + ` FROM approvals p WHERE p.id = $1`

func (c *conn) approval(id string) (a store.CallApproval, err error) {
	found, err := c.one(approvalSQL, []any{id}, approvalFields(&a)...)
	if err == nil && !found {
		err = store.ErrApprovalNotFound
	}
	return approvalAsOf(a, c.when), err
}

// ApprovalByID returns the approval.
func (s *Store) ApprovalByID(ctx context.Context, id string) (a store.CallApproval, err error) {
	err = s.read(ctx, func(c *conn) error {
		a, err = c.approval(id)
		return err
	})
	return a, err
}

const waitingApprovalsSQL = `SELECT ` + approvalColumns + ` FROM approvals p
WHERE p.user_id = $1 AND p.state = 'asked' AND p.expires_at > $2 ORDER BY p.n LIMIT 100`

// WaitingApprovals returns what waits for the user.
func (s *Store) WaitingApprovals(ctx context.Context, userID string) (all []store.CallApproval, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(waitingApprovalsSQL, []any{userID, micros(c.now())}, func(scan func(...any) error) error {
			var a store.CallApproval
			err := scan(approvalFields(&a)...)
			all = append(all, a)
			return err
		})
	})
	return all, err
}

// DecideApproval allows or denies what waits for this user.
func (s *Store) DecideApproval(ctx context.Context, id, userID string, allow bool, until time.Time) (a store.CallApproval, err error) {
	err = s.write(ctx, func(tx *tx) error {
		tx.later(holdApprovedSQL, id)
		if a, err = tx.approval(id); err != nil {
			return err
		}
		if a.UserID != userID {
			return store.ErrApprovalNotFound
		}
		t, _, err := tx.task(a.TaskID)
		switch {
		case err != nil:
			return err
		case t.State.Terminal():
			return store.ErrTaskEnded
		case a.State != store.ApprovalAsked:
			return store.ErrApprovalDecided
		case t.State != store.TaskActive:
			return store.ErrTaskNotActive
		}
		a.State, a.Arguments, a.DecidedAt, a.ExpiresAt = store.ApprovalDenied, nil, tx.now(), until
		if allow {
			a.State = store.ApprovalAllowed
		}
		return tx.moveApproval(a, t)
	})
	if err != nil {
		return store.CallApproval{}, err
	}
	return a, nil
}

const (
	openApprovalsSQL = `SELECT ` + approvalColumns + ` FROM approvals p
WHERE p.task_id = ANY($1) AND p.asked_at >= 0 AND p.state IN ('asked', 'allowed') AND ($2 = '' OR p.resource = $2) ORDER BY p.n`
	overdueApprovalsSQL = `SELECT ` + approvalColumns + ` FROM approvals p
WHERE p.expires_at <= $1 AND p.state IN ('asked', 'allowed') ORDER BY p.expires_at LIMIT $2`
	forgetApprovalsSQL = `DELETE FROM approvals WHERE id IN (SELECT id FROM approvals WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`
)

// voidApprovals takes back what the tasks, or their legs at the resource, wait for.
func (tx *tx) voidApprovals(tasks []store.Task, resource string) error {
	of, ids := make(map[string]store.Task), make([]string, 0, len(tasks))
	for _, t := range tasks {
		of[t.ID], ids = t, append(ids, t.ID)
	}
	open, err := tx.approvals(openApprovalsSQL, ids, resource)
	for _, a := range open {
		if err == nil {
			a.State = store.ApprovalVoid
			err = tx.moveApproval(a, of[a.TaskID])
		}
	}
	return err
}

// expireApprovals writes down which approvals have expired, and forgets their arguments.
func (tx *tx) expireApprovals() (moved int, err error) {
	due, err := tx.approvals(overdueApprovalsSQL, micros(tx.now()), sweepBatch)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	var tasks []string
	for _, a := range due {
		tasks = append(tasks, a.TaskID)
	}
	tx.later(holdTasksSQL, tasks)
	if due, err = tx.approvals(overdueApprovalsSQL, micros(tx.now()), sweepBatch); err != nil { // as they are now
		return 0, err
	}
	for _, a := range due {
		if !slices.Contains(tasks, a.TaskID) {
			continue
		}
		t, _, err := tx.task(a.TaskID)
		if err != nil {
			return moved, err
		}
		a.State = store.ApprovalExpired
		if err := tx.moveApproval(a, t); err != nil {
			return moved, err
		}
		moved++
	}
	return moved, nil
}

func (c *conn) approvals(query string, args ...any) (all []store.CallApproval, err error) {
	err = c.each(query, args, func(scan func(...any) error) error {
		var a store.CallApproval
		err := scan(approvalFields(&a)...)
		all = append(all, a)
		return err
	})
	return all, err
}
