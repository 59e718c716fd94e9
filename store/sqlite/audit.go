package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/remit-auth/remit/store"
)

// Audit reads the ledger of a database file as it is, for whoever does not trust it: without the
// lock, beside a running server too, without migrating, and without the indexes, which may say
// something else than the table. All that it reads is one snapshot.
type Audit struct {
	db *sql.DB
	c  *conn
}

// OpenAudit opens the database file for reading alone.
func OpenAudit(ctx context.Context, path string) (*Audit, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"mode": {"ro"}, "_pragma": {"query_only(1)", "busy_timeout(5000)", "trusted_schema(0)", "temp_store(MEMORY)"},
	}.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	a := &Audit{db: db}
	if a.c, err = connect(ctx, db); err == nil {
		err = a.c.control("BEGIN")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: %w", err), a.Close())
	}
	return a, nil
}

// Close ends the snapshot.
func (a *Audit) Close() error {
	var err error
	if a.c != nil {
		err = a.c.close()
	}
	return errors.Join(err, a.db.Close())
}

const auditRecordsSQL = `SELECT ` + recordFields + ` FROM ledger l NOT INDEXED LEFT JOIN instances i ON i.id = l.instance
WHERE l.seq IS NOT NULL ORDER BY l.seq`

// requestKnownSQL tells whether the database was migrated to records that name their request.
const requestKnownSQL = `SELECT COUNT(*) FROM pragma_table_info('ledger') WHERE name = 'request'`

// Records hands every chained record to each, in the order of the chain. A row that cannot be read
// is an error, and so is one of each.
func (a *Audit) Records(each func(store.Record) error) error {
	query, named := auditRecordsSQL, 0
	if _, err := a.c.one(requestKnownSQL, nil, &named); err != nil {
		return err
	}
	if named == 0 {
		query = strings.Replace(query, "l.request", "''", 1)
	}
	return a.c.each(query, nil, func(scan func(...any) error) error {
		var recs []store.Record
		var ids []int64
		if err := scanRecords(&recs, &ids)(scan); err != nil {
			return err
		}
		return each(recs[0])
	})
}

const auditUnchainedSQL = `SELECT COUNT(*) FROM ledger NOT INDEXED WHERE seq IS NULL`

// Unchained is how many records wait for their place in the chain.
func (a *Audit) Unchained() (n int, err error) {
	_, err = a.c.one(auditUnchainedSQL, nil, &n)
	return n, err
}

// Checkpoints returns the stored checkpoints, oldest first.
func (a *Audit) Checkpoints() (all []store.Checkpoint, err error) {
	err = a.c.each(checkpointsSQL, nil, scanCheckpoints(&all))
	return all, err
}

const auditKeysSQL = `SELECT id, use, sealed FROM keys NOT INDEXED ORDER BY rowid`

// Keys returns what the key ring holds, sealed, of a database of any version.
func (a *Audit) Keys() (keys []store.Key, err error) {
	err = a.c.each(auditKeysSQL, nil, func(scan func(...any) error) error {
		var k store.Key
		err := scan(&k.ID, &k.Use, &k.Sealed)
		keys = append(keys, k)
		return err
	})
	return keys, err
}
