package postgres

import (
	"context"
	"fmt"
	"math"

	"github.com/remit-auth/remit/store"
)

// ledgerIndex is the condition by whose index a filter's records are found, and what else the filter
// says, with the arguments of both after those that there are.
func ledgerIndex(f store.RecordFilter, args []any) (found, rest string, all []any) {
	found = "TRUE"
	for _, c := range []struct {
		value, condition string
		indexed          bool
	}{
		{f.Request, "l.request = $%[1]d AND l.request <> ''", true},
		{f.Task, "l.task = $%[1]d AND l.task <> '' AND l.seq > COALESCE((SELECT t.ledger_from FROM tasks t WHERE t.id = $%[1]d), 0)", true},
		{f.User, `l."user" = $%[1]d AND l."user" <> ''`, true},
		{f.Kind, "l.kind = $%[1]d", true},
		{f.Resource, "l.resource = $%[1]d", false},
	} {
		if c.value == "" {
			continue
		}
		args = append(args, c.value)
		condition := fmt.Sprintf(c.condition, len(args))
		if c.indexed && found == "TRUE" {
			found = condition
		} else {
			rest += " AND " + condition
		}
	}
	return found, rest, args
}

func ledgerLimit(f store.RecordFilter) int {
	if f.Limit <= 0 {
		return 1000
	}
	return f.Limit
}

func recordsAfterSQL(f store.RecordFilter) (query string, args []any) {
	found, rest, args := ledgerIndex(f, []any{f.AfterSeq, ledgerLimit(f)})
	return `SELECT ` + recordFields + fromLedger + `WHERE ` + found + rest + ` AND l.seq > $1 ORDER BY l.seq LIMIT $2`, args
}

// Records returns chained records in order.
func (s *Store) Records(ctx context.Context, f store.RecordFilter) ([]store.Record, error) {
	query, args := recordsAfterSQL(f)
	return s.records(ctx, query, args...)
}

// recordsBeforeSQL are the statements of RecordsBefore: the records, and among how many, back to which
// place, they were looked for.
func recordsBeforeSQL(f store.RecordFilter) (records, looked string, args []any) {
	before, look := f.Before, f.Look
	if before <= 0 {
		before = math.MaxInt64
	}
	if look <= 0 {
		look = store.RecordsLookedAt
	}
	found, rest, args := ledgerIndex(f, []any{before, ledgerLimit(f), look})
	few := `(SELECT l.* FROM ledger l WHERE ` + found + ` AND l.seq < $1 ORDER BY l.seq DESC LIMIT $3) l`
	records = `SELECT ` + recordFields + ` FROM ` + few + ` JOIN instances i ON i.id = l.instance WHERE TRUE` + rest + ` ORDER BY l.seq DESC LIMIT $2`
	// All arguments are named, so that both statements take the same.
	looked = `SELECT count(*), COALESCE(min(l.seq), 0), count(*) FILTER (WHERE TRUE` + rest + ` AND $2::bigint > 0) FROM ` + few
	return records, looked, args
}

// RecordsBefore returns chained records, newest first.
func (s *Store) RecordsBefore(ctx context.Context, f store.RecordFilter) (recs []store.Record, next int64, err error) {
	query, looked, args := recordsBeforeSQL(f)
	err = s.read(ctx, func(c *conn) error {
		recs, next = nil, 0
		c.ask(query, args, scanRecords(&recs))
		if err := c.flush(); err != nil {
			return err
		}
		if n := len(recs); n == args[1] {
			next = recs[n-1].Seq
			return nil
		}
		var n, found int
		if _, err := c.one(looked, args, &n, &next, &found); err != nil || n == args[2] {
			return err
		}
		next = 0
		return nil
	})
	return recs, next, err
}
