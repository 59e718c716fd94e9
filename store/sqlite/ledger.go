package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/remit-auth/remit/store"
)

const addRecordSQL = `INSERT INTO ledger
(instance, n, at, kind, task, user, client, agent, resource, jti, execution, request, digest, payload, salt)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// record adds records to the ledger with the next numbers of this instance.
func (tx *tx) record(recs ...store.Record) error {
	for _, r := range recs {
		if len(r.Payload) == 0 {
			r.Payload = []byte("{}")
		}
		if len(r.Salt) == 0 {
			r.Salt = make([]byte, 16)
			rand.Read(r.Salt)
		}
		r.At, r.Digest = orNow(r.At, tx.now), r.PayloadDigest()
		_, err := tx.exec(addRecordSQL, tx.instance, tx.last+1, micros(r.At), r.Kind, r.Task, r.User, r.Client,
			r.Agent, r.Resource, r.JTI, r.Execution, tx.request, r.Digest[:], string(r.Payload), r.Salt)
		if err != nil {
			return err
		}
		tx.last++
	}
	return nil
}

// Append stores records that belong to no other verb.
func (s *Store) Append(ctx context.Context, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error { return tx.record(recs...) })
}

const (
	nextExecutionSQL    = `SELECT resource, next_execution FROM guards WHERE id = ?`
	setNextExecutionSQL = `UPDATE guards SET next_execution = ? WHERE id = ?`
	seenByGuardSQL      = `UPDATE tasks SET seen_at = MAX(seen_at, ?1) WHERE id = ?2 AND state = 'active'
AND EXISTS (SELECT 1 FROM grants WHERE task_id = ?2 AND resource = ?3)`
)

// AppendExecutions stores a Guard's batch, from the first record not yet stored on. The executions
// count as use of their tasks.
func (s *Store) AppendExecutions(ctx context.Context, guardID, replica string, first int64, recs []store.Record, about ...store.Record) (next int64, err error) {
	if first < 1 {
		return 0, errors.New("sqlite: a Guard's executions are numbered from 1")
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
		if err := tx.setNextExecution(guardID, replica, next); err != nil {
			return err
		}
		if err := tx.seenByGuard(resource, fresh); err != nil {
			return err
		}
		return tx.record(slices.Concat(fresh, about)...)
	})
	return next, err
}

// skipExecutions lets a Guard go on with a later number, once, after a restoration: the records up
// to there are lost with what the backup did not have, and the ledger says so.
func (tx *tx) skipExecutions(guardID, resource string, next, first int64) (int64, error) {
	if _, err := tx.exec(setNextExecutionSQL, next, guardID); err != nil || first <= next {
		return next, err
	}
	lost := store.NewRecord("execution.lost", map[string]any{"guard": guardID, "first": next, "next": first})
	lost.Resource = resource
	return first, tx.record(lost)
}

// seenByGuard moves the tasks' last use to the newest of these executions, but not past now.
func (tx *tx) seenByGuard(resource string, recs []store.Record) error {
	seen := make(map[string]time.Time)
	for _, r := range recs {
		used := orNow(r.At, tx.now)
		if used.After(tx.now) {
			used = tx.now
		}
		if r.Task != "" && used.After(seen[r.Task]) {
			seen[r.Task] = used
		}
	}
	for task, used := range seen {
		if _, err := tx.exec(seenByGuardSQL, micros(used), task, resource); err != nil {
			return err
		}
	}
	return nil
}

// sequenceBatch bounds how long chaining keeps other verbs waiting.
const sequenceBatch = 200

const (
	headSQL      = `SELECT id, seq, hash FROM ledger WHERE seq = (SELECT MAX(seq) FROM ledger)`
	recordFields = `l.id, i.name, l.n, l.at, l.kind, l.task, l.user, l.client, l.agent, l.resource, l.jti, l.execution, l.request,
l.digest, l.payload, l.salt, COALESCE(l.seq, 0), l.hash`
	unchainedSQL = `SELECT ` + recordFields + ` FROM ledger l JOIN instances i ON i.id = l.instance
WHERE l.id > ? ORDER BY l.id LIMIT ?`
	chainSQL = `UPDATE ledger SET seq = ?, hash = ? WHERE id = ?`
)

func scanRecords(into *[]store.Record, ids *[]int64) func(func(...any) error) error {
	return func(scan func(...any) error) error {
		var r store.Record
		var id int64
		var payload []byte
		err := scan(&id, &r.Instance, &r.N, at(&r.At), &r.Kind, &r.Task, &r.User, &r.Client, &r.Agent, &r.Resource,
			&r.JTI, &r.Execution, &r.Request, hash(&r.Digest), &payload, &r.Salt, &r.Seq, hash(&r.Hash))
		r.Payload = payload
		*into, *ids = append(*into, r), append(*ids, id)
		return err
	}
}

// Sequence gives every unchained record its place and hash, in the order of commit. The writer
// runs one operation at a time, which makes it the single sequencer.
func (s *Store) Sequence(ctx context.Context) (total int, err error) {
	for {
		var n int
		err := s.write(ctx, func(tx *tx) (err error) {
			n, err = tx.sequence()
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
		if n < sequenceBatch {
			return total, nil
		}
	}
}

func (tx *tx) sequence() (int, error) {
	var last, seq int64
	var head store.Hash
	if _, err := tx.one(headSQL, nil, &last, &seq, hash(&head)); err != nil {
		return 0, err
	}
	var recs []store.Record
	var ids []int64
	if err := tx.each(unchainedSQL, []any{last, sequenceBatch}, scanRecords(&recs, &ids)); err != nil {
		return 0, err
	}
	for i, r := range recs {
		seq++
		r.Seq = seq
		head = r.ChainHash(head)
		if _, err := tx.exec(chainSQL, seq, head[:], ids[i]); err != nil {
			return 0, err
		}
	}
	return len(recs), nil
}

// The order of commit is the order of the chain: what is chained are the rows up to its head.
const (
	chained      = `l.id <= (SELECT id FROM ledger WHERE seq = (SELECT MAX(seq) FROM ledger))`
	chainedCalls = `l.kind = 'execution.decided' AND l.task <> '' AND ` + chained
	taskCallsSQL = `SELECT ids.value,
	(SELECT COUNT(*) FROM ledger l INDEXED BY ledger_calls WHERE l.task = ids.value AND ` + chainedCalls + `),
	(SELECT COUNT(*) FROM ledger l INDEXED BY ledger_calls WHERE l.task = ids.value AND l.payload ->> '$.decision' = 'refused' AND ` + chainedCalls + `),
	(SELECT COUNT(*) FROM ledger l INDEXED BY ledger_unrecorded WHERE l.task = ids.value AND l.kind = 'finding.execution_unrecorded' AND l.task <> '' AND ` + chained + `)
FROM json_each(?) ids`
	newestCallsSQL = `SELECT ` + recordFields + ` FROM ledger l INDEXED BY ledger_task JOIN instances i ON i.id = l.instance
WHERE l.task = ?1 AND ` + chainedCalls + ` AND (?2 = 0 OR l.id < (SELECT id FROM ledger WHERE seq = ?2)) ORDER BY l.id DESC LIMIT ?3`
)

// TaskCalls counts the decisions on calls of these tasks. An index holds what it counts.
func (s *Store) TaskCalls(ctx context.Context, taskIDs ...string) (map[string]store.Calls, error) {
	counts := make(map[string]store.Calls)
	err := s.read(ctx, func(c *conn) error {
		return c.each(taskCallsSQL, []any{words(taskIDs)}, func(scan func(...any) error) error {
			var task string
			var n store.Calls
			err := scan(&task, &n.All, &n.Blocked, &n.Unrecorded)
			if n != (store.Calls{}) {
				counts[task] = n
			}
			return err
		})
	})
	return counts, err
}

// NewestCalls returns the decisions on calls of the task, newest first.
func (s *Store) NewestCalls(ctx context.Context, taskID string, before int64, limit int) (recs []store.Record, err error) {
	var ids []int64
	err = s.read(ctx, func(c *conn) error {
		return c.each(newestCallsSQL, []any{taskID, before, limit}, scanRecords(&recs, &ids))
	})
	return recs, err
}

// Head returns the chain's length and hash.
func (s *Store) Head(ctx context.Context) (size int64, head store.Hash, err error) {
	err = s.read(ctx, func(c *conn) error {
		var id int64
		_, err := c.one(headSQL, nil, &id, &size, hash(&head))
		return err
	})
	return size, head, err
}
