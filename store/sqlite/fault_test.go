package sqlite

import (
	"context"
	"testing"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/sqlite/sqlitetest"
	"github.com/remit-auth/remit/store/storetest"
)

func TestFaults(t *testing.T) {
	storetest.RunFaults(t, func(t *testing.T, now store.Clock, f *storetest.Fault) store.Store {
		s, err := Open(context.Background(), sqlitetest.Database(t), Options{Now: now, Driver: sqlitetest.Driver(f)})
		check(t, err)
		t.Cleanup(func() { s.Close() })
		return s
	}, tables, storetest.Refused, storetest.Lost, storetest.Torn)
}
