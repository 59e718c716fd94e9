package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/remit-auth/remit/store"
)

// BackupState says what a backup holds.
type BackupState struct {
	Records int64      // of the ledger, chained
	Head    store.Hash // of the last of them
	Bytes   int64
}

// Backup copies the database at path, as it is at one moment, to a new file, beside a running server
// too. The file appears whole and durable, or not at all.
func Backup(ctx context.Context, path, to string) (state BackupState, err error) {
	if _, err := os.Stat(to); err == nil {
		return state, fmt.Errorf("sqlite: %s exists; a backup never overwrites anything", to)
	}
	if _, err := os.Stat(path); err != nil {
		return state, fmt.Errorf("sqlite: %w", err)
	}
	fresh := to + ".part"
	f, err := os.OpenFile(fresh, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // SQLite writes into an empty file
	if err != nil {
		return state, fmt.Errorf("sqlite: %w", err)
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(fresh)
		}
	}()
	if err := vacuumInto(ctx, path, fresh); err != nil {
		return state, err
	}
	if state, err = CheckBackup(ctx, fresh); err != nil {
		return state, err
	}
	if err := f.Sync(); err != nil {
		return state, fmt.Errorf("sqlite: %w", err)
	}
	if err := os.Rename(fresh, to); err != nil {
		return state, fmt.Errorf("sqlite: %w", err)
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return state, fmt.Errorf("sqlite: %w", err)
	}
	return state, errors.Join(dir.Sync(), dir.Close())
}

func vacuumInto(ctx context.Context, path, to string) error {
	db, err := openReadOnly(path)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, to); err != nil {
		return fmt.Errorf("sqlite: backup: %w", err)
	}
	return nil
}

func openReadOnly(path string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "trusted_schema(0)"},
	}.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	return db, nil
}

// CheckBackup reads a backup as far as it can be believed without its keys: that the file is whole,
// and what ledger it holds.
func CheckBackup(ctx context.Context, path string) (state BackupState, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return state, fmt.Errorf("sqlite: %w", err)
	}
	state.Bytes = info.Size()
	db, err := openReadOnly(path)
	if err != nil {
		return state, err
	}
	defer db.Close()
	var sound string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&sound); err != nil {
		return state, fmt.Errorf("sqlite: %s is no whole database: %w", path, err)
	}
	if sound != "ok" {
		return state, fmt.Errorf("sqlite: %s is no whole database: %s", path, sound)
	}
	err = db.QueryRowContext(ctx, `SELECT COALESCE(MAX(seq), 0) FROM ledger`).Scan(&state.Records)
	if err == nil && state.Records > 0 {
		err = db.QueryRowContext(ctx, `SELECT hash FROM ledger WHERE seq = ?`, state.Records).Scan(hash(&state.Head))
	}
	if err != nil {
		return state, fmt.Errorf("sqlite: %s is no database of this server: %w", path, err)
	}
	return state, nil
}

// Lock keeps every server out of the database at path until unlock is called. A server that has it
// open is ErrLocked.
func Lock(path string) (unlock func() error, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	f, err := lock(path)
	if err != nil {
		return nil, err
	}
	return f.Close, nil
}
