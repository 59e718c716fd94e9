package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/remit-auth/remit/store"
)

// Audit reads the ledger of a database as it is, for whoever does not trust it: without migrating, and
// without the indexes, which may say something else than the tables. All that it reads is one snapshot.
type Audit struct {
	ctx context.Context
	c   *pgx.Conn
}

// OpenAudit connects for reading alone.
func OpenAudit(ctx context.Context, url string) (*Audit, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, badURL(err)
	}
	for name, value := range map[string]string{
		"application_name": "remit audit", "default_transaction_read_only": "on", "timezone": "UTC", "jit": "off",
		"enable_indexscan": "off", "enable_indexonlyscan": "off", "enable_bitmapscan": "off",
	} {
		config.RuntimeParams[name] = value
	}
	a := &Audit{ctx: ctx}
	if a.c, err = pgx.ConnectConfig(ctx, config); err == nil {
		_, err = a.c.Exec(ctx, snapshotSQL)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("postgres: %w", unsecret(err)), a.Close())
	}
	return a, nil
}

// Close ends the snapshot.
func (a *Audit) Close() error {
	if a.c == nil {
		return nil
	}
	return a.c.Close(context.WithoutCancel(a.ctx))
}

func (a *Audit) each(query string, row func(scan func(...any) error) error) error {
	rows, err := a.c.Query(a.ctx, query)
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(decoding(rows.Scan)); err != nil {
			return err
		}
	}
	return rows.Err()
}

const auditRecordsSQL = `SELECT COALESCE(i.name, ''), l.n, l.at, l.kind, l.task, l."user", l.client, l.agent, l.resource, l.jti, l.execution, l.request,
l.digest, l.payload, l.salt, l.seq, l.hash FROM ledger l LEFT JOIN instances i ON i.id = l.instance ORDER BY l.seq`

// requestKnownSQL tells whether the database was migrated to records that name their request.
const requestKnownSQL = `SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('ledger') AND attname = 'request' AND NOT attisdropped`

// Records hands every chained record to each, in the order of the chain. A row that cannot be read
// is an error, and so is one of each.
func (a *Audit) Records(each func(store.Record) error) error {
	query, known := auditRecordsSQL, false
	err := a.each(requestKnownSQL, func(func(...any) error) error { known = true; return nil })
	if err != nil {
		return err
	}
	if !known {
		query = strings.Replace(query, "l.request", "''", 1)
	}
	return a.each(query, func(scan func(...any) error) error {
		var recs []store.Record
		if err := scanRecords(&recs)(scan); err != nil {
			return err
		}
		return each(recs[0])
	})
}

const auditUnchainedSQL = `SELECT count(*) FROM ledger_inbox`

// Unchained is how many records wait for their place in the chain.
func (a *Audit) Unchained() (n int, err error) {
	err = a.each(auditUnchainedSQL, func(scan func(...any) error) error { return scan(&n) })
	return n, err
}

// Checkpoints returns the stored checkpoints, oldest first.
func (a *Audit) Checkpoints() (all []store.Checkpoint, err error) {
	err = a.each(checkpointsSQL, scanCheckpoints(&all))
	return all, err
}

const auditKeysSQL = `SELECT id, use, sealed FROM keys ORDER BY n`

// Keys returns what the key ring holds, sealed, of a database of any version.
func (a *Audit) Keys() (keys []store.Key, err error) {
	err = a.each(auditKeysSQL, func(scan func(...any) error) error {
		var k store.Key
		err := scan(&k.ID, &k.Use, &k.Sealed)
		keys = append(keys, k)
		return err
	})
	return keys, err
}
