package postgres

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const (
	newestRecordsSQL = `SELECT ` + recordFields + fromLedger + `WHERE l.task = $1 AND l.task <> ''` + sinceTask + `
AND ($2::bigint = 0 OR l.seq < $2) ORDER BY l.seq DESC LIMIT $3`
	// The conditions on kind are those of the index ledger_findings.
	findingsSQL = `SELECT ` + recordFields + fromLedger + `
WHERE (l.kind >= 'finding.' AND l.kind < 'finding/' OR l.kind = 'rule.fired' OR l.kind = 'execution.disputed')
AND ($1::bigint = 0 OR l.seq < $1) AND NOT EXISTS (SELECT 1 FROM dismissals d WHERE d.finding = l.seq) ORDER BY l.seq DESC LIMIT $2`
)

// NewestRecords returns the records of the task, newest first.
func (s *Store) NewestRecords(ctx context.Context, taskID string, before int64, limit int) ([]store.Record, error) {
	return s.records(ctx, newestRecordsSQL, taskID, before, limit)
}

// Findings returns what a person should look at, newest first.
func (s *Store) Findings(ctx context.Context, before int64, limit int) ([]store.Record, error) {
	return s.records(ctx, findingsSQL, before, limit)
}
