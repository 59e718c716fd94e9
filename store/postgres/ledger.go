package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/remit-auth/remit/store"
)

// Append stores records that belong to no other verb.
func (s *Store) Append(ctx context.Context, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error { return tx.record(recs...) })
}

const (
	nextExecutionSQL    = `SELECT resource, next_execution FROM guards WHERE id = $1 FOR NO KEY UPDATE`
	setNextExecutionSQL = `UPDATE guards SET next_execution = $1 WHERE id = $2`
	seenByGuardSQL      = `UPDATE tasks t SET seen_at = GREATEST(t.seen_at, u.at) FROM unnest($1::text[], $2::bigint[]) AS u (id, at)
WHERE t.id = u.id AND t.state = 'active' AND EXISTS (SELECT 1 FROM grants g WHERE g.task_id = t.id AND g.resource = $3)`
)

// AppendExecutions stores a Guard's batch, from the first record not yet stored on. The executions
// count as use of their tasks.
func (s *Store) AppendExecutions(ctx context.Context, guardID, replica string, first int64, recs []store.Record, about ...store.Record) (next int64, err error) {
	if first < 1 {
		return 0, errors.New("postgres: a Guard's executions are numbered from 1")
	}
	err = s.write(ctx, func(tx *tx) error {
		var resource string
		found, err := tx.one(nextExecutionSQL, []any{guardID}, &resource, &next)
		if err == nil && !found {
			err = store.ErrResourceNotFound
		}
		if err == nil && replica != "" {
			next, err = tx.nextOfReplica(guardID, replica, resource, first)
		}
		if err == nil && next < 0 {
			if next, err = tx.skipExecutions(guardID, resource, -next, first); err != nil {
				return err
			}
		}
		if err != nil || first > next || first+int64(len(recs)) <= next {
			return err
		}
		fresh := recs[next-first:]
		next += int64(len(fresh))
		tx.setNextExecution(guardID, replica, next)
		tx.seenByGuard(resource, fresh)
		return tx.record(slices.Concat(fresh, about)...)
	})
	return next, err
}

// skipExecutions lets a Guard go on with a later number, once, after a restoration: the records up
// to there are lost with what the backup did not have, and the ledger says so.
func (tx *tx) skipExecutions(guardID, resource string, next, first int64) (int64, error) {
	tx.later(setNextExecutionSQL, next, guardID)
	if first <= next {
		return next, nil
	}
	lost := store.NewRecord("execution.lost", map[string]any{"guard": guardID, "first": next, "next": first})
	lost.Resource = resource
	return first, tx.record(lost)
}

// seenByGuard moves the tasks' last use to the newest of these executions, but not past now.
func (tx *tx) seenByGuard(resource string, recs []store.Record) {
	seen := make(map[string]time.Time)
	for _, r := range recs {
		used := orNow(r.At, tx.now())
		if used.After(tx.now()) {
			used = tx.now()
		}
		if r.Task != "" && used.After(seen[r.Task]) {
			seen[r.Task] = used
		}
	}
	if len(seen) == 0 {
		return
	}
	var ids []string
	var times []int64
	for task, used := range seen {
		ids, times = append(ids, task), append(times, micros(used))
	}
	tx.later(holdTasksSQL, ids)
	tx.later(seenByGuardSQL, ids, times, resource)
}

// recordFields are read of a chained record.
const recordFields = `i.name, l.n, l.at, l.kind, l.task, l."user", l.client, l.agent, l.resource, l.jti, l.execution, l.request,
l.digest, l.payload, l.salt, l.seq, l.hash`

func scanRecords(into *[]store.Record) func(func(...any) error) error {
	return func(scan func(...any) error) error {
		var r store.Record
		var payload *string
		err := scan(&r.Instance, &r.N, at(&r.At), &r.Kind, &r.Task, &r.User, &r.Client, &r.Agent, &r.Resource,
			&r.JTI, &r.Execution, &r.Request, hash(&r.Digest), &payload, &r.Salt, &r.Seq, hash(&r.Hash))
		if payload != nil {
			r.Payload = []byte(*payload)
		}
		*into = append(*into, r)
		return err
	}
}

const fromLedger = ` FROM ledger l JOIN instances i ON i.id = l.instance `

// A task's records come after those that were chained when it was made: partitions before are not
// looked into.
const sinceTask = ` AND l.seq > COALESCE((SELECT t.ledger_from FROM tasks t WHERE t.id = $1), 0) `

func (s *Store) records(ctx context.Context, query string, args ...any) (recs []store.Record, err error) {
	err = s.read(ctx, func(c *conn) error {
		recs = nil
		c.ask(query, args, scanRecords(&recs))
		return c.flush()
	})
	return recs, err
}

const (
	calls        = `l.kind = 'execution.decided' AND l.task <> ''`
	unrecorded   = `l.kind = 'finding.execution_unrecorded' AND l.task <> ''`
	taskCallsSQL = `SELECT ids.id, c.n, c.refused, u.n FROM
	(SELECT ids.id, COALESCE(t.ledger_from, 0) AS since FROM unnest($1::text[]) AS ids (id) LEFT JOIN tasks t ON t.id = ids.id) ids, LATERAL (
	SELECT count(*) AS n, count(*) FILTER (WHERE l.refused) AS refused FROM ledger l WHERE l.task = ids.id AND ` + calls + ` AND l.seq > ids.since) c, LATERAL (
	SELECT count(*) AS n FROM ledger l WHERE l.task = ids.id AND ` + unrecorded + ` AND l.seq > ids.since) u`
	newestCallsSQL = `SELECT ` + recordFields + fromLedger + `WHERE l.task = $1 AND ` + calls + sinceTask + `
AND ($2::bigint = 0 OR l.seq < $2) ORDER BY l.seq DESC LIMIT $3`
)

// TaskCalls counts the decisions on calls of these tasks. An index holds what it counts.
func (s *Store) TaskCalls(ctx context.Context, taskIDs ...string) (map[string]store.Calls, error) {
	counts := make(map[string]store.Calls)
	err := s.read(ctx, func(c *conn) error {
		c.ask(taskCallsSQL, []any{taskIDs}, func(scan func(...any) error) error {
			var task string
			var n store.Calls
			err := scan(&task, &n.All, &n.Blocked, &n.Unrecorded)
			if n != (store.Calls{}) {
				counts[task] = n
			}
			return err
		})
		return c.flush()
	})
	return counts, err
}

// NewestCalls returns the decisions on calls of the task, newest first.
func (s *Store) NewestCalls(ctx context.Context, taskID string, before int64, limit int) ([]store.Record, error) {
	return s.records(ctx, newestCallsSQL, taskID, before, limit)
}
