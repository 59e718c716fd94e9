package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/remit-auth/remit/store"
)

// tx is a verb's transaction. What it tells resources and the ledger is gathered and sent with the
// commit: numbers are given at the last moment, and rows that others need too are held shortest.
type tx struct {
	*conn
	lane   *lane
	events []store.Event
	recs   []store.Record
	acked  []string // resources whose acknowledgement changed
}

const beginSQL = `BEGIN`

// write runs one verb as one transaction, and commits it. A verb that refuses has no effect. run may
// run more than once, so it sets its results anew each time.
func (s *Store) write(ctx context.Context, run func(*tx) error) error {
	return s.again(ctx, func(until time.Time) error { return s.transact(ctx, until, run) })
}

func (s *Store) transact(ctx context.Context, until time.Time, run func(*tx) error) error {
	return s.with(ctx, until, func(c *conn) error {
		tx := &tx{conn: c, lane: laneOf(c.c.Conn())}
		tx.later(beginSQL)
		err := run(tx)
		if err == nil {
			err = tx.commit()
		}
		if err != nil {
			tx.rollback()
			return err
		}
		s.ring.announce(tx.touched())
		return nil
	})
}

// touched are the resources whose feeds, or their acknowledgement, changed.
func (tx *tx) touched() []string {
	all := slices.Clone(tx.acked)
	for _, e := range tx.events {
		all = append(all, e.Resource)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// errNotCommitted says that the database ended the transaction without effect.
var errNotCommitted = errors.New("postgres: the transaction was rolled back")

// commit sends what is left with the commit. An error without an answer of the database leaves the
// outcome unknown: the connection is closed then, and its lane finds its place anew.
func (tx *tx) commit() error {
	tx.flushEvents()
	tx.flushRecords()
	committed := false
	tx.batch().Queue(commitSQL).Exec(func(tag pgconn.CommandTag) error {
		committed = tag.String() == commitSQL
		return nil
	})
	if err := tx.flush(); err != nil {
		if _, answered := errors.AsType[*pgconn.PgError](err); !answered {
			tx.c.Conn().Close(tx.ctx)
		}
		return err
	}
	if !committed {
		return errNotCommitted
	}
	tx.lane.last += int64(len(tx.recs))
	return nil
}

// tell adds an event to its resource's feed, at the next number.
func (tx *tx) tell(e store.Event) { tx.events = append(tx.events, e) }

const (
	holdHeadsSQL = `SELECT 1 FROM feed_heads WHERE resource = ANY($1) ORDER BY resource FOR NO KEY UPDATE`
	addEventsSQL = `WITH told AS (
	SELECT *, row_number() OVER (PARTITION BY resource ORDER BY place) AS k
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
	WITH ORDINALITY AS e (resource, kind, task_id, jti, state, reason, place)),
heads AS (
	UPDATE feed_heads h SET seq = h.seq + c.n FROM (SELECT resource, count(*) AS n FROM told GROUP BY resource) c
	WHERE h.resource = c.resource RETURNING h.resource, h.seq - c.n AS base)
INSERT INTO feed (resource, seq, kind, task_id, jti, state, reason, at)
SELECT t.resource, h.base + t.k, t.kind, t.task_id, t.jti, t.state, t.reason, $7 FROM told t JOIN heads h USING (resource)`
)

func (tx *tx) flushEvents() {
	if len(tx.events) == 0 {
		return
	}
	var resources, kinds, tasks, jtis, states, reasons []string
	for _, e := range tx.events {
		resources, kinds, tasks = append(resources, e.Resource), append(kinds, e.Kind), append(tasks, e.TaskID)
		jtis, states, reasons = append(jtis, e.JTI), append(states, string(e.State)), append(reasons, e.Reason)
	}
	heads := slices.Clone(resources)
	slices.Sort(heads)
	tx.later(holdHeadsSQL, slices.Compact(heads))
	tx.later(addEventsSQL, resources, kinds, tasks, jtis, states, reasons, micros(tx.now()))
}

// record adds records to the ledger with the next numbers of this connection's instance.
func (tx *tx) record(recs ...store.Record) error {
	tx.recs = append(tx.recs, recs...)
	return nil
}

// The time of a record that brings none is that of its commit.
const addRecordsSQL = `INSERT INTO ledger_inbox
(instance, n, at, kind, task, "user", client, agent, resource, jti, execution, request, digest, payload, salt)
SELECT $1, $2 + place, CASE WHEN at = 0 THEN COALESCE(NULLIF($3::bigint, 0), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) ELSE at END,
kind, task, person, client, agent, resource, jti, execution, $16, digest, payload, salt
FROM unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
	$13::bytea[], $14::text[], $15::bytea[])
WITH ORDINALITY AS r (at, kind, task, person, client, agent, resource, jti, execution, digest, payload, salt, place) ORDER BY place`

func (tx *tx) flushRecords() {
	if len(tx.recs) == 0 {
		return
	}
	tx.later(addRecordsSQL, slices.Concat([]any{tx.lane.id, tx.lane.last, tx.timeOfRecords()}, columns(tx.recs), []any{store.RequestOf(tx.ctx)})...)
}

// timeOfRecords is the time of records without one: the store's, or 0 where the statement can ask
// the database itself.
func (c *conn) timeOfRecords() int64 {
	if c.clock != nil {
		return micros(c.now())
	}
	return micros(c.when)
}

// columns are the records, column by column, for a statement to unnest.
func columns(recs []store.Record) []any {
	n := len(recs)
	ats, digests, salts := make([]int64, n), make([][]byte, n), make([][]byte, n)
	var texts [9][]string
	for i := range texts {
		texts[i] = make([]string, n)
	}
	for i, r := range recs {
		if len(r.Payload) == 0 {
			r.Payload = []byte("{}")
		}
		if len(r.Salt) == 0 {
			r.Salt = make([]byte, 16)
			rand.Read(r.Salt)
		}
		digest := r.PayloadDigest()
		ats[i], digests[i], salts[i] = micros(r.At), digest[:], r.Salt
		for j, text := range []string{r.Kind, r.Task, r.User, r.Client, r.Agent, r.Resource, r.JTI, r.Execution, string(r.Payload)} {
			texts[j][i] = text
		}
	}
	return []any{
		ats, texts[0], texts[1], texts[2], texts[3], texts[4], texts[5], texts[6], texts[7], digests, texts[8], salts,
	}
}

// mutex makes transactions that name the same thing follow each other, also where there is no row yet.
func (tx *tx) mutex(kind, name string) {
	tx.later(`SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, fmt.Sprintf("%s %s", kind, name))
}

// writeFor is write with more time, for what is done once and by hand.
func (s *Store) writeFor(ctx context.Context, d time.Duration, run func(*tx) error) error {
	return s.transact(ctx, time.Now().Add(d), func(tx *tx) error {
		tx.later(fmt.Sprintf(`SET LOCAL statement_timeout = %d`, d.Milliseconds()))
		tx.later(fmt.Sprintf(`SET LOCAL lock_timeout = %d`, d.Milliseconds()))
		return run(tx)
	})
}
