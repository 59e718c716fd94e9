package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/sqlite/sqlitetest"
	"github.com/remit-auth/remit/store/storetest"
)

func TestFaults(t *testing.T) {
	storetest.RunFaults(t, func(t *testing.T, now store.Clock, f *storetest.Fault) store.Store {
		path := filepath.Join(t.TempDir(), "remit.db")
		db, err := empty()
		check(t, err)
		check(t, os.WriteFile(path, db, 0o600))
		s, err := Open(context.Background(), path, Options{Now: now, Driver: sqlitetest.Driver(f)})
		check(t, err)
		t.Cleanup(func() { s.Close() })
		return s
	}, tables, storetest.Refused, storetest.Lost, storetest.Torn)
}
