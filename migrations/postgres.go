package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed postgres/*.sql
var postgresFiles embed.FS

// migrating is the advisory lock that an instance holds while it looks at the schema or changes it.
const migrating = 0x72656d6974_01

// lockEvery is how often an instance that waits for the lock tries again. It does not wait inside the
// database, where a waiting statement would hold up others.
const lockEvery = 20 * time.Millisecond

// Postgres brings a PostgreSQL database to the newest schema. Instances that start together do so one
// after the other.
func Postgres(ctx context.Context, db *sql.DB) (err error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	defer c.Close()
	for locked := false; !locked; {
		if err := c.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, migrating).Scan(&locked); err != nil {
			return fmt.Errorf("migrations: %w", err)
		}
		if !locked {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(lockEvery):
			}
		}
	}
	defer func() {
		_, unlock := c.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, migrating)
		err = errors.Join(err, unlock)
	}()
	dir, err := fs.Sub(postgresFiles, "postgres")
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return up(ctx, goose.DialectPostgres, db, dir)
}

// PostgresVersion is the newest schema of PostgreSQL that this program knows.
func PostgresVersion() int64 {
	var newest int64
	names, _ := fs.Glob(postgresFiles, "postgres/*.sql")
	for _, name := range names {
		if v, err := goose.NumericComponent(name); err == nil {
			newest = max(newest, v)
		}
	}
	return newest
}
