package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/remit-auth/remit/store/postgres"
	"github.com/remit-auth/remit/store/sqlite"
)

type migrateCmd struct{}

// Run opens the database, which migrates it, and closes it again.
func (c *migrateCmd) Run(ctx context.Context, a *app) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if err := cfg.here(); err != nil {
		return err
	}
	if err := cfg.prepareDataDir(); err != nil {
		return err
	}
	if cfg.postgres() {
		return c.postgres(ctx, a, cfg.DatabaseURL)
	}
	path, err := cfg.database()
	if err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, path, sqlite.Options{})
	if errors.Is(err, sqlite.ErrLocked) {
		return errors.New("a server has the database open, and has migrated it when it started")
	}
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	return c.done(a, path)
}

// postgres migrates a PostgreSQL database, also beside instances that serve on it.
func (c *migrateCmd) postgres(ctx context.Context, a *app, url string) error {
	if err := postgres.Migrate(ctx, url); err != nil {
		return err
	}
	return c.done(a, postgres.Name(url))
}

func (c *migrateCmd) done(a *app, database string) error {
	if a.json {
		return writeJSON(a.out, map[string]any{"ok": true, "database": database})
	}
	_, err := fmt.Fprintf(a.out, "%s has this version's schema\n", plain(database))
	return err
}
