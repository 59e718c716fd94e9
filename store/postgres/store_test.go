package postgres

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/postgres/postgrestest"
	"github.com/remit-auth/remit/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now store.Clock) store.Store { return open(t, now) }, storetest.Tables(tables))
}

func TestEphemeral(t *testing.T) {
	storetest.RunEphemeral(t, func(t *testing.T, now store.Clock) (store.Ephemeral, func(time.Duration)) {
		return open(t, now).Ephemeral(), nil
	})
}

var migrated = postgrestest.Template{Fill: func(url string) error { return Migrate(context.Background(), url) }}

// database returns the URL of a migrated database without rows.
func database(t testing.TB) string {
	t.Helper()
	return migrated.URL(t)
}

// open opens a new database that is closed with the test.
func open(t testing.TB, now func() time.Time) *Store {
	t.Helper()
	return openAt(t, database(t), Options{Now: now})
}

func openAt(t testing.TB, url string, opts Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), url, opts)
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// tables returns, by table, the number and the hash of its rows. Who numbers the ledger's records is
// the connections' concern.
func tables(t *testing.T, s store.Store) map[string]string {
	t.Helper()
	all := make(map[string]string)
	check(t, s.(*Store).read(context.Background(), func(c *conn) error {
		names, err := c.strings(`SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('instances', 'ledger')`)
		for _, name := range names {
			if err != nil {
				return err
			}
			var n int
			var digest string
			_, err = c.one(fmt.Sprintf(`SELECT count(*), COALESCE(md5(string_agg(r::text, '|' ORDER BY r::text)), '') FROM %s r`, name), nil, &n, &digest)
			all[name] = fmt.Sprintf("%d rows, %s", n, digest)
		}
		return err
	}))
	return all
}

// check fails the test on an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
