package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
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

// patience keeps races from ending in timeouts where the race detector, or others on the machine, slow them.
const patience = 10

// open opens a new database that is closed with the test.
func open(t testing.TB, now func() time.Time) *Store {
	t.Helper()
	return connectTo(t, database(t), Options{Now: now, patience: patience})
}

// openAt opens the database at the URL, until the test ends.
func openAt(t testing.TB, url string, opts Options) *Store {
	t.Helper()
	check(t, Migrate(context.Background(), url))
	return connectTo(t, url, opts)
}

// connectTo is openAt for a database that is migrated.
func connectTo(t testing.TB, url string, opts Options) *Store {
	t.Helper()
	s, err := connect(context.Background(), url, opts)
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// contentsSQL makes the statement that tells, by table, the number and the hash of its rows. Who numbers the
// ledger's records is the connections' concern, and numbers that the database gives have gaps.
const contentsSQL = `SELECT string_agg(format(
	'SELECT %L, count(*)::int, COALESCE(md5(string_agg(r::text, ''|'' ORDER BY r::text)), '''') FROM (SELECT %s FROM %I) r',
	t.relname, columns, t.relname), ' UNION ALL ')
FROM pg_class t, LATERAL (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns FROM pg_attribute
	WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped AND attidentity = '') c
WHERE t.relnamespace = 'public'::regnamespace AND t.relkind = 'r' AND t.relname <> 'instances'`

var contents atomic.Pointer[string]

// tables returns, by table, the number and the hash of its rows.
func tables(t *testing.T, s store.Store) map[string]string {
	t.Helper()
	all := make(map[string]string)
	check(t, s.(*Store).read(context.Background(), func(c *conn) error {
		if contents.Load() == nil {
			var sql string
			if _, err := c.one(contentsSQL, nil, &sql); err != nil {
				return err
			}
			contents.Store(&sql)
		}
		return c.each(*contents.Load(), nil, func(scan func(...any) error) error {
			var name, digest string
			var n int
			err := scan(&name, &n, &digest)
			all[name] = fmt.Sprintf("%d rows, %s", n, digest)
			return err
		})
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
