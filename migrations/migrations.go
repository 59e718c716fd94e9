// Package migrations holds the schemas of the stores, one folder of SQL files per engine, and
// brings a database to the newest of them. Migrations go forward only; a file that has landed is
// never edited, what it did wrong is mended by the next.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed sqlite/*.sql
var files embed.FS

// ErrNewer says that the database was migrated by a newer program. To serve on a schema that one
// does not know would be to guess.
var ErrNewer = errors.New("migrations: the database's schema is newer than this program")

// SQLite brings a SQLite database to the newest schema.
func SQLite(ctx context.Context, db *sql.DB) error {
	dir, err := fs.Sub(files, "sqlite")
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return up(ctx, goose.DialectSQLite3, db, dir)
}

func up(ctx context.Context, dialect goose.Dialect, db *sql.DB, dir fs.FS) error {
	p, err := goose.NewProvider(dialect, db, dir,
		goose.WithDisableGlobalRegistry(true), goose.WithTableName("schema_version"), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	have, newest, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if have > newest {
		return fmt.Errorf("%w: it has version %d, this program knows %d", ErrNewer, have, newest)
	}
	if have == newest {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}
