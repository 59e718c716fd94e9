package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remit-auth/remit/store"
)

// TestLedgerTriggers tries what the database itself must refuse, whoever asks.
func TestLedgerTriggers(t *testing.T) {
	s := open(t, nil)
	for range 3 {
		check(t, s.Append(t.Context(), store.NewRecord("test", map[string]string{"a": "b"})))
	}
	check(t, s.write(t.Context(), func(tx *tx) error { // chain the first two alone
		_, err := tx.exec(`UPDATE ledger SET seq = id, hash = x'00' WHERE id < 3`)
		return err
	}))
	check(t, s.AddCheckpoint(t.Context(), store.Checkpoint{Signed: "jws"}))
	const columns = `(id, instance, n, at, kind, task, user, client, agent, resource, jti, execution, digest, seq)`
	const values = `'k', '', '', '', '', '', '', '', x'00'`
	before := tables(t, s)
	for name, query := range map[string]string{
		"delete":                  `DELETE FROM ledger WHERE id = 2`,
		"delete all":              `DELETE FROM ledger`,
		"change kind":             `UPDATE ledger SET kind = 'x' WHERE id = 3`,
		"change time":             `UPDATE ledger SET at = 1 WHERE id = 1`,
		"change number":           `UPDATE ledger SET n = 9 WHERE id = 3`,
		"change digest":           `UPDATE ledger SET digest = x'00' WHERE id = 1`,
		"change payload":          `UPDATE ledger SET payload = '{}' WHERE id = 1`,
		"change salt":             `UPDATE ledger SET salt = x'00' WHERE id = 1`,
		"move":                    `UPDATE ledger SET id = 9 WHERE id = 3`,
		"move by rowid":           `UPDATE ledger SET rowid = 9 WHERE id = 3`,
		"move by oid":             `UPDATE ledger SET oid = 9 WHERE id = 3`,
		"chain again":             `UPDATE ledger SET seq = 7, hash = x'01' WHERE id = 1`,
		"change the hash":         `UPDATE ledger SET hash = x'01' WHERE id = 1`,
		"unchain":                 `UPDATE ledger SET seq = NULL, hash = NULL WHERE id = 2`,
		"chain without a hash":    `UPDATE ledger SET seq = 3 WHERE id = 3`,
		"replace":                 `INSERT OR REPLACE INTO ledger ` + columns + ` VALUES (1, 1, 1, 0, ` + values + `, NULL)`,
		"replace by number":       `INSERT OR REPLACE INTO ledger ` + columns + ` VALUES (NULL, 1, 2, 0, ` + values + `, NULL)`,
		"replace by place":        `INSERT OR REPLACE INTO ledger ` + columns + ` VALUES (NULL, 1, 4, 0, ` + values + `, 1)`,
		"leave a gap":             `INSERT INTO ledger ` + columns + ` VALUES (NULL, 1, 5, 0, ` + values + `, NULL)`,
		"insert chained":          `INSERT INTO ledger ` + columns + ` VALUES (NULL, 1, 4, 0, ` + values + `, 3)`,
		"delete checkpoints":      `DELETE FROM checkpoints`,
		"change a checkpoint":     `UPDATE checkpoints SET signed = 'x'`,
		"replace a checkpoint":    `INSERT OR REPLACE INTO checkpoints (id, size, head, at, signed) VALUES (1, 0, x'00', 0, 'x')`,
		"replace by update":       `UPDATE OR REPLACE ledger SET seq = 1, hash = x'00' WHERE id = 3`,
		"replace by update of id": `UPDATE OR REPLACE ledger SET id = 1 WHERE id = 3`,
	} {
		t.Run(name, func(t *testing.T) {
			err := s.write(t.Context(), func(tx *tx) error {
				_, err := tx.exec(query)
				return err
			})
			if err == nil {
				t.Error("allowed")
			}
			if diff := cmp.Diff(before, tables(t, s)); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

// TestErasure sees that a payload can go without breaking the chain.
func TestErasure(t *testing.T) {
	s := open(t, nil)
	for range 3 {
		check(t, s.Append(t.Context(), store.NewRecord("test", map[string]string{"name": "Mara"})))
	}
	_, err := s.Sequence(t.Context())
	check(t, err)
	check(t, s.write(t.Context(), func(tx *tx) error {
		_, err := tx.exec(`UPDATE ledger SET payload = NULL, salt = NULL WHERE seq = 2`)
		return err
	}))
	recs, err := s.Records(t.Context(), store.RecordFilter{})
	check(t, err)
	if recs[1].Payload != nil || recs[1].Salt != nil {
		t.Errorf("left: %s %x", recs[1].Payload, recs[1].Salt)
	}
	var head store.Hash
	for _, r := range recs {
		if head = r.ChainHash(head); head != r.Hash {
			t.Errorf("record %d breaks the chain", r.Seq)
		}
	}
}

// TestAuditOfNow reads a database as it is, with records of a request and of none.
func TestAuditOfNow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	s, err := Open(t.Context(), path, Options{})
	check(t, err)
	check(t, s.Append(store.WithRequest(t.Context(), "req_1"), store.NewRecord("test", nil)))
	check(t, s.Append(t.Context(), store.NewRecord("test", nil)))
	_, err = s.Sequence(t.Context())
	check(t, err)
	check(t, s.Close())
	a, err := OpenAudit(t.Context(), path)
	check(t, err)
	defer a.Close()
	var head store.Hash
	var requests []string
	check(t, a.Records(func(r store.Record) error {
		if head = r.ChainHash(head); r.Hash != head {
			t.Errorf("%+v breaks the chain", r)
		}
		requests = append(requests, r.Request)
		return nil
	}))
	if diff := cmp.Diff([]string{"req_1", ""}, requests); diff != "" {
		t.Error(diff)
	}
}

// TestAuditOfBefore reads a database of before records named their requests, as a backup may be.
func TestAuditOfBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	s, err := Open(t.Context(), path, Options{})
	check(t, err)
	check(t, s.Append(t.Context(), store.NewRecord("test", nil)))
	_, err = s.Sequence(t.Context())
	check(t, err)
	check(t, s.write(t.Context(), func(tx *tx) error {
		for _, statement := range []string{`DROP TRIGGER ledger_no_update`, `DROP INDEX ledger_request`, `ALTER TABLE ledger DROP COLUMN request`} {
			if _, err := tx.exec(statement); err != nil {
				return err
			}
		}
		return nil
	}))
	check(t, s.Close())
	a, err := OpenAudit(t.Context(), path)
	check(t, err)
	defer a.Close()
	n := 0
	check(t, a.Records(func(r store.Record) error {
		n++
		if r.Hash != r.ChainHash(store.Hash{}) {
			t.Errorf("%+v breaks the chain", r)
		}
		return nil
	}))
	if n != 1 {
		t.Errorf("%d records", n)
	}
}
