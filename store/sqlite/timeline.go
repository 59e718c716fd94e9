package sqlite

import (
	"context"

	"github.com/remit-auth/remit/store"
)

// A record counts from when it is chained: chained ones are the rows up to the head, and places in
// the chain are in the order of rows.
const (
	newestRecordsSQL = `SELECT ` + recordFields + ` FROM ledger l INDEXED BY ledger_task JOIN instances i ON i.id = l.instance
WHERE l.task = ?1 AND l.task <> '' AND l.seq IS NOT NULL AND (?2 = 0 OR l.id < (SELECT id FROM ledger WHERE seq = ?2)) ORDER BY l.id DESC LIMIT ?3`
	// The conditions on kind are those of the index ledger_findings.
	findingsSQL = `SELECT ` + recordFields + ` FROM ledger l INDEXED BY ledger_findings JOIN instances i ON i.id = l.instance
WHERE (l.kind >= 'finding.' AND l.kind < 'finding/' OR l.kind = 'rule.fired' OR l.kind = 'execution.disputed')
AND l.seq > 0 AND (?1 = 0 OR l.seq < ?1) AND NOT EXISTS (SELECT 1 FROM dismissals d WHERE d.finding = l.seq) ORDER BY l.seq DESC LIMIT ?2`
)

// NewestRecords returns the records of the task, newest first.
func (s *Store) NewestRecords(ctx context.Context, taskID string, before int64, limit int) (recs []store.Record, err error) {
	var ids []int64
	err = s.read(ctx, func(c *conn) error {
		return c.each(newestRecordsSQL, []any{taskID, before, limit}, scanRecords(&recs, &ids))
	})
	return recs, err
}

// Findings returns what a person should look at, newest first.
func (s *Store) Findings(ctx context.Context, before int64, limit int) (recs []store.Record, err error) {
	var ids []int64
	err = s.read(ctx, func(c *conn) error {
		return c.each(findingsSQL, []any{before, limit}, scanRecords(&recs, &ids))
	})
	return recs, err
}
