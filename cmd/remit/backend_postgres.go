package main

import (
	"context"
	"strings"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/postgres"
	"github.com/remit-auth/remit/store/sqlite"
)

// postgres reports whether the database is a PostgreSQL server.
func (c Config) postgres() bool {
	return strings.HasPrefix(c.DatabaseURL, "postgres://") || strings.HasPrefix(c.DatabaseURL, "postgresql://")
}

// openPostgres opens PostgreSQL, which without Redis also remembers for minutes what instances share.
func (b *backends) openPostgres(ctx context.Context, cfg Config, fanout store.Fanout) error {
	db, err := postgres.Open(ctx, cfg.DatabaseURL, postgres.Options{Fanout: fanout})
	if err != nil {
		return err
	}
	b.store = db
	b.closers = append(b.closers, db.Close)
	if cfg.RedisURL == "" {
		b.ephemeral = db.Ephemeral()
	}
	return nil
}

// audited is a database whose ledger is verified.
type audited interface {
	Records(each func(store.Record) error) error
	Unchained() (int, error)
	Checkpoints() ([]store.Checkpoint, error)
	Keys() ([]store.Key, error)
	Close() error
}

// openAudit opens a database for reading alone: a PostgreSQL URL or the path of a SQLite file.
func openAudit(ctx context.Context, database string) (audited, error) {
	if (Config{DatabaseURL: database}).postgres() {
		return postgres.OpenAudit(ctx, database)
	}
	return sqlite.OpenAudit(ctx, database)
}
