package sqlite

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remit-auth/remit/migrations"
	"github.com/remit-auth/remit/store"
)

var update = flag.Bool("update", false, "rewrite the golden schema")

func TestSchema(t *testing.T) {
	s := open(t, nil)
	var schema strings.Builder
	err := s.read(t.Context(), func(c *conn) error {
		const all = `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND tbl_name NOT LIKE 'sqlite_%' ORDER BY tbl_name, type <> 'table', type, name`
		return c.each(all, nil, func(scan func(...any) error) error {
			var sql string
			err := scan(&sql)
			schema.WriteString(sql + ";\n\n")
			return err
		})
	})
	check(t, err)
	const golden = "testdata/schema.sql"
	if *update {
		check(t, os.WriteFile(golden, []byte(schema.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	check(t, err)
	if diff := cmp.Diff(string(want), schema.String()); diff != "" {
		t.Errorf("the schema has changed; run with -update (-want +got):\n%s", diff)
	}
}

// TestSettings sees that every connection is as durable and strict as the promises need.
func TestSettings(t *testing.T) {
	s := open(t, nil)
	settings := map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "recursive_triggers": "1", "trusted_schema": "0",
	}
	same := func(c *conn) error {
		for pragma, want := range settings {
			var got string
			if _, err := c.one("PRAGMA "+pragma, nil, &got); err != nil {
				return err
			}
			if got != want {
				t.Errorf("%s = %s, want %s", pragma, got, want)
			}
		}
		return nil
	}
	check(t, s.read(t.Context(), same))
	check(t, s.write(t.Context(), func(tx *tx) error { return same(tx.conn) }))
	err := s.read(t.Context(), func(c *conn) error {
		_, err := c.exec(`DELETE FROM users`)
		return err
	})
	if err == nil {
		t.Error("a reading connection writes")
	}
}

func TestOpenPaths(t *testing.T) {
	for name, file := range map[string]string{
		"plain": "remit.db", "spaces": "a b.db", "characters of URLs": "a?b#c%41&d=e.db", "letters": "übung.db",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), file)
			s := reopen(t, path, nil)
			check(t, s.Ping(t.Context()))
			for _, p := range []string{path, path + "-wal"} {
				info, err := os.Stat(p)
				check(t, err)
				if info.Mode().Perm() != 0o600 {
					t.Errorf("%s has mode %v", p, info.Mode())
				}
			}
		})
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "no", "such", "dir.db"), Options{}); err == nil {
		t.Error("opened in a folder that is not there")
	}
	garbage := filepath.Join(t.TempDir(), "garbage.db")
	check(t, os.WriteFile(garbage, []byte(strings.Repeat("not a database ", 1000)), 0o600))
	if _, err := Open(t.Context(), garbage, Options{}); err == nil {
		t.Error("opened what is not a database")
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	var instances []string
	for range 3 {
		s := reopen(t, path, nil)
		check(t, s.Append(t.Context(), store.NewRecord("test", nil)))
		_, err := s.Sequence(t.Context())
		check(t, err)
		recs, err := s.Records(t.Context(), store.RecordFilter{})
		check(t, err)
		last := recs[len(recs)-1]
		if last.N != int64(len(recs)) {
			t.Errorf("number %d of %d", last.N, len(recs))
		}
		instances = append(instances, last.Instance)
		check(t, s.Close())
	}
	if instances[0] != instances[2] {
		t.Errorf("the instance changes: %v", instances)
	}
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	s := reopen(t, path, nil)
	_, err := Open(t.Context(), path, Options{})
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("err = %v, want %v", err, ErrLocked)
	}
	if !strings.Contains(err.Error(), path) {
		t.Errorf("%q does not name the file", err)
	}
	check(t, s.Ping(t.Context())) // undisturbed
	check(t, s.Close())
	check(t, reopen(t, path, nil).Ping(t.Context()))
}

func TestNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	s := reopen(t, path, nil)
	check(t, s.write(t.Context(), func(tx *tx) error {
		_, err := tx.exec(`INSERT INTO schema_version (version_id, is_applied) VALUES (9999, 1)`)
		return err
	}))
	check(t, s.Close())
	_, err := Open(context.Background(), path, Options{})
	if !errors.Is(err, migrations.ErrNewer) {
		t.Fatalf("err = %v, want %v", err, migrations.ErrNewer)
	}
	_, err = Open(context.Background(), path, Options{}) // the lock was released
	if !errors.Is(err, migrations.ErrNewer) {
		t.Fatalf("err = %v, want %v", err, migrations.ErrNewer)
	}
}
