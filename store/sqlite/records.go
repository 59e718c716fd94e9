package sqlite

import (
	"context"

	"github.com/remit-auth/remit/store"
)

// The order of commit is the order of the chain, so that a place in it is a place among the rows. In the
// statements ?1 is a place, ?2 how many, ?3 to ?7 what is asked for, ?8 how many are looked at.
const (
	ledgerAfter  = `l.id > COALESCE((SELECT id FROM ledger WHERE seq = ?1), 0) AND l.seq > ?1`
	ledgerBefore = `l.id < COALESCE((SELECT id FROM ledger WHERE seq = ?1), 9223372036854775807) AND l.seq IS NOT NULL`
)

// ledgerIndex names the index by which a filter's records are found, with its condition, and what else
// the filter says.
func ledgerIndex(f store.RecordFilter) (index, found, rest string) {
	conditions := []struct {
		set              bool
		index, condition string
	}{
		{f.Request != "", "INDEXED BY ledger_request", "l.request = ?7 AND l.request <> ''"},
		{f.Task != "", "INDEXED BY ledger_task", "l.task = ?3 AND l.task <> ''"},
		{f.User != "", "INDEXED BY ledger_user", "l.user = ?5 AND l.user <> ''"},
		{f.Kind != "", "INDEXED BY ledger_kind", "l.kind = ?4"},
		{f.Resource != "", "", "l.resource = ?6"},
	}
	found = "1"
	for _, c := range conditions {
		switch {
		case !c.set:
		case index == "" && c.index != "":
			index, found = c.index, c.condition
		default:
			rest += " AND " + c.condition
		}
	}
	return index, found, rest
}

func ledgerArgs(f store.RecordFilter, place int64) []any {
	limit, look := f.Limit, f.Look
	if limit <= 0 {
		limit = 1000
	}
	if look <= 0 {
		look = store.RecordsLookedAt
	}
	return []any{place, limit, f.Task, f.Kind, f.User, f.Resource, f.Request, look}
}

func recordsAfterSQL(f store.RecordFilter) string {
	index, found, rest := ledgerIndex(f)
	return `SELECT ` + recordFields + ` FROM ledger l ` + index + ` JOIN instances i ON i.id = l.instance
WHERE ` + found + ` AND ` + ledgerAfter + rest + ` ORDER BY l.id LIMIT ?2`
}

// Records returns chained records in order.
func (s *Store) Records(ctx context.Context, f store.RecordFilter) (recs []store.Record, err error) {
	var ids []int64
	err = s.read(ctx, func(c *conn) error {
		return c.each(recordsAfterSQL(f), ledgerArgs(f, f.AfterSeq), scanRecords(&recs, &ids))
	})
	return recs, err
}

// lookedAt are the rows among which RecordsBefore looks.
func lookedAt(f store.RecordFilter) string {
	index, found, _ := ledgerIndex(f)
	return `(SELECT l.id, l.seq FROM ledger l ` + index + ` WHERE ` + found + ` AND ` + ledgerBefore + ` ORDER BY l.id DESC LIMIT ?8) few`
}

func recordsBeforeSQL(f store.RecordFilter) string {
	_, _, rest := ledgerIndex(f)
	return `SELECT ` + recordFields + ` FROM ` + lookedAt(f) + ` CROSS JOIN ledger l ON l.id = few.id JOIN instances i ON i.id = l.instance
WHERE 1` + rest + ` ORDER BY few.id DESC LIMIT ?2`
}

func lookedAtSQL(f store.RecordFilter) string {
	return `SELECT COUNT(*), COALESCE(MIN(few.seq), 0) FROM ` + lookedAt(f)
}

// RecordsBefore returns chained records, newest first.
func (s *Store) RecordsBefore(ctx context.Context, f store.RecordFilter) (recs []store.Record, next int64, err error) {
	args := ledgerArgs(f, f.Before)
	err = s.snapshot(ctx, func(c *conn) error {
		var ids []int64
		recs, next = nil, 0
		if err := c.each(recordsBeforeSQL(f), args, scanRecords(&recs, &ids)); err != nil {
			return err
		}
		if n := len(recs); n == args[1] {
			next = recs[n-1].Seq
			return nil
		}
		var n int
		if _, err := c.one(lookedAtSQL(f), args, &n, &next); err != nil || n == args[7] {
			return err
		}
		next = 0
		return nil
	})
	return recs, next, err
}
