package sqlite

import (
	"context"

	"github.com/remit-auth/remit/store"
)

const (
	// The conditions on kind are those of the index ledger_findings.
	dismissSQL = `INSERT INTO dismissals (finding, at, by, person, reason)
SELECT l.seq, ?2, ?3, ?4, ?5 FROM ledger l WHERE l.seq = ?1
AND (l.kind >= 'finding.' AND l.kind < 'finding/' OR l.kind = 'rule.fired' OR l.kind = 'execution.disputed')
ON CONFLICT DO NOTHING`
	isDismissedSQL = `SELECT 1 FROM dismissals WHERE finding = ?`
	dismissedSQL   = `SELECT ` + recordFields + `, d.at, d.by, d.person, d.reason
FROM dismissals d CROSS JOIN ledger l ON l.seq = d.finding JOIN instances i ON i.id = l.instance
WHERE d.finding < ?1 ORDER BY d.finding DESC LIMIT ?2`
)

// DismissFinding takes a finding out of the list of those that a person should look at.
func (s *Store) DismissFinding(ctx context.Context, d store.Dismissal, recs ...store.Record) error {
	return s.write(ctx, func(tx *tx) error {
		n, err := tx.exec(dismissSQL, d.Finding, micros(orNow(d.At, tx.now)), string(d.By), d.Person, d.Reason)
		if err == nil && n == 0 {
			var one int
			was, err := tx.one(isDismissedSQL, []any{d.Finding}, &one)
			switch {
			case err != nil:
				return err
			case was:
				return store.ErrFindingDismissed
			}
			return store.ErrFindingNotFound
		}
		if err != nil {
			return err
		}
		return tx.record(recs...)
	})
}

// DismissedFindings returns those that were dismissed, newest first.
func (s *Store) DismissedFindings(ctx context.Context, before int64, limit int) (all []store.DismissedFinding, err error) {
	err = s.read(ctx, func(c *conn) error {
		all = nil
		return c.each(dismissedSQL, []any{endOr(before), limit}, func(scan func(...any) error) error {
			var recs []store.Record
			var ids []int64
			var d store.Dismissal
			err := scanRecords(&recs, &ids)(func(fields ...any) error {
				return scan(append(fields, at(&d.At), &d.By, &d.Person, &d.Reason)...)
			})
			if err != nil {
				return err
			}
			d.Finding = recs[0].Seq
			all = append(all, store.DismissedFinding{Record: recs[0], Dismissal: d})
			return nil
		})
	})
	return all, err
}

// endOr is the place in front of which a list begins; 0 is its end.
func endOr(before int64) int64 {
	if before <= 0 {
		return 1<<63 - 1
	}
	return before
}
