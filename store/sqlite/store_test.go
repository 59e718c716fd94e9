package sqlite

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/sqlite/sqlitetest"
	"github.com/remit-auth/remit/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now store.Clock) store.Store { return open(t, now) }, storetest.Tables(tables))
}

// open opens a new database that is closed with the test.
func open(t testing.TB, now func() time.Time) *Store {
	t.Helper()
	return reopen(t, sqlitetest.Database(t), now)
}

func reopen(t testing.TB, path string, now func() time.Time) *Store {
	t.Helper()
	s, err := Open(context.Background(), path, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// tables returns, by table, the number and the hash of its rows.
func tables(t *testing.T, s store.Store) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := s.(*Store).snapshot(context.Background(), func(c *conn) error {
		var names []string
		err := c.each(`SELECT name FROM sqlite_schema WHERE type = 'table'`, nil, func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			names = append(names, name)
			return err
		})
		for _, name := range names {
			if err != nil {
				break
			}
			all[name], err = digest(c, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func digest(c *conn, table string) (string, error) {
	h, n := sha256.New(), 0
	rows, err := c.c.QueryContext(context.Background(), `SELECT * FROM `+table)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return "", err
	}
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return "", err
		}
		n++
		fmt.Fprintf(h, "%#v\n", row) // %q would show all times alike
	}
	return fmt.Sprintf("%d rows, %x", n, h.Sum(nil)), rows.Err()
}

// check fails the test on an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
