package sqlitetest

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/remit-auth/remit/migrations"
)

// Database gives a test the path of an empty database that is at the newest version already: to run the
// migrations for each would take longer than most tests. All are of one instance of the store.
func Database(t testing.TB) string {
	t.Helper()
	content, err := empty()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "remit.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var empty = sync.OnceValues(func() (content []byte, err error) {
	dir, err := os.MkdirTemp("", "remit-sqlite-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "empty.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, err
	}
	err = migrations.SQLite(context.Background(), db)
	if err == nil { // two copies in which the same was done are the same
		_, err = db.Exec(`INSERT INTO instances (name, created_at) VALUES ('ins_test', 0)`)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})
