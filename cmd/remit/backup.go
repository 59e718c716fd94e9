package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/remit-auth/remit/store/sqlite"
)

type backupCmd struct {
	File string `arg:"" help:"New file to write; it holds everything but the master key." placeholder:"FILE"`
}

// Run writes a consistent copy of the database, whether or not a server has it open.
func (c *backupCmd) Run(ctx context.Context, a *app) error {
	path, err := a.sqliteDatabase("pg_dump --format=custom")
	if err != nil {
		return err
	}
	state, err := sqlite.Backup(ctx, path, c.File)
	if err != nil {
		return err
	}
	if a.json {
		return writeJSON(a.out, map[string]any{"file": c.File, "records": state.Records, "head": state.Head.String(), "bytes": state.Bytes})
	}
	_, err = fmt.Fprintf(a.out, "%s: %d ledger records, head %s, %d bytes\nkeep the master key apart from it; without that key it opens nothing\n",
		plain(c.File), state.Records, state.Head, state.Bytes)
	return err
}

// sqliteDatabase is the path of the SQLite file; for another engine it says what to use instead.
func (a *app) sqliteDatabase(instead string) (string, error) {
	cfg, err := a.config()
	if err != nil {
		return "", err
	}
	if err := cfg.here(); err != nil {
		return "", err
	}
	if strings.HasPrefix(cfg.DatabaseURL, "postgres") {
		return "", fmt.Errorf("this is for SQLite; for PostgreSQL use %s, and `remit epoch raise` after restoring (docs/operate.md)", instead)
	}
	return cfg.database()
}

type restoreCmd struct {
	File   string `arg:"" help:"What remit backup wrote." placeholder:"FILE"`
	Reason string `help:"For the ledger." default:"a backup was restored" placeholder:"TEXT"`
	Yes    bool   `help:"Do not ask: the database is replaced, and every live task of the backup ends."`
}

// Run puts a backup in the place of the database and raises the epoch. What was there is moved aside.
func (c *restoreCmd) Run(ctx context.Context, a *app) error {
	if !c.Yes {
		return errors.New("this replaces the database, ends every task that lives in the backup, and signs everybody out: say --yes")
	}
	path, err := a.sqliteDatabase("pg_restore")
	if err != nil {
		return err
	}
	if _, err := sqlite.CheckBackup(ctx, c.File); err != nil {
		return err
	}
	aside, err := replaceDatabase(path, c.File)
	if err != nil {
		return err
	}
	if aside != "" {
		fmt.Fprintf(a.err, "the former database is %s\n", plain(aside))
	}
	a.restoring = true
	return ask(ctx, a, "epoch/raise", nil, map[string]string{"reason": c.Reason}, showEpoch(a))
}

// replaceDatabase moves the database aside, with what SQLite keeps beside it, and copies the backup
// into its place, under the lock that keeps servers out.
func replaceDatabase(path, backup string) (aside string, err error) {
	unlock, err := sqlite.Lock(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	fresh := path + ".restoring"
	if err := copyDurably(fresh, backup); err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		aside = path + ".before-" + time.Now().UTC().Format("20060102T150405.000")
		for _, suffix := range []string{"-wal", "-shm", ""} {
			if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
				return "", err
			}
		}
	}
	if err := os.Rename(fresh, path); err != nil {
		return "", err
	}
	return aside, syncDir(filepath.Dir(path))
}

// copyDurably copies a file for its owner alone.
func copyDurably(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
