// Package postgres keeps the authorization server's durable memory in PostgreSQL: a store.Store for
// any number of instances, with no other service beside them, and a store.Ephemeral for those that
// have no Redis.
//
// A verb is one transaction on a connection of its own; PostgreSQL makes one fsync of the commits
// that arrive together. It sends its statements together wherever none waits for another's result:
// first it takes its locks and reads what it judges by, then it writes and commits. Locks are taken
// in one order everywhere, so that no two verbs wait for each other:
//
//	users, clients, resources → Guards → requests → the top tasks of trees → feed heads → chain
//
// and several rows of a kind in the order of their keys. Whatever belongs to a task is guarded by the
// row of the task at the top of its tree.
//
//	open.go, config.go            opening, readiness, closing; limits of time
//	conn.go, tx.go, lane.go       statements, transactions, who numbers ledger records
//	people.go, sessions.go        users, their roles; who is signed in, who is live
//	passkeys.go, factors.go, upstream.go   what users sign in with
//	clients.go, strangers.go, keys.go      clients, the key ring
//	resources.go, enrolment.go    resources; their Guards and manifests
//	requests.go, lending.go       authorization requests; their approval
//	codes.go, tokens.go           redemption; access and refresh tokens
//	rotation.go                   refresh
//	tasks.go, ending.go           reading tasks; ending them and their legs
//	suspending.go, sweeping.go    sleep; what the clock does
//	budget.go                     counted calls
//	feed.go, hub.go               what resources are told, and that there is more
//	ledger.go, sequencer.go       records; their chain and its partitions
//	checkpoints.go, audit.go      signed statements of the chain; reading it without trust
//	ephemeral.go                  replay memory and rate limits
package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/remit-auth/remit/migrations"
	"github.com/remit-auth/remit/store"
)

var _ store.Store = (*Store)(nil)

// Options are what Open may be told; the zero value is right for production.
type Options struct {
	Now      func() time.Time // the store's clock; nil: the database's
	MaxConns int              // connections for verbs, one more listens; 0: 16, or pool_max_conns of the URL
	Fanout   store.Fanout     // carries hints that feeds have grown; nil: LISTEN and NOTIFY

	partition int64           // places in a partition of the ledger, in tests; 0: ten million
	patience  time.Duration   // times as long as others a verb waits, in tests that race; 0: once
	dial      pgconn.DialFunc // how tests reach the server; nil: as everybody
}

// Store is a store.Store on one PostgreSQL database.
type Store struct {
	pool    *pgxpool.Pool
	opts    Options
	name    string // of this store among the sequencers
	hub     *hub
	ring    *ringer
	chain   sync.Mutex // one Sequence at a time here
	closing sync.Once
}

// Open opens the database that the URL names, migrating it as needed. A database with a schema newer
// than this program's is migrations.ErrNewer.
func Open(ctx context.Context, url string, opts Options) (*Store, error) {
	if err := Migrate(ctx, url); err != nil {
		return nil, err
	}
	return connect(ctx, url, opts)
}

// connect opens a database that has been migrated.
func connect(ctx context.Context, url string, opts Options) (*Store, error) {
	config, err := poolConfig(url, opts)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	s := &Store{pool: pool, opts: opts, name: newName(), hub: newHub()}
	if err := s.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	if s.ring, err = startRinger(s, config.ConnConfig); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// Migrate brings the database to the newest schema.
func Migrate(ctx context.Context, url string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return badURL(err)
	}
	db := stdlib.OpenDB(*config)
	if err := migrations.Postgres(ctx, db); err != nil {
		return errors.Join(unsecret(err), db.Close())
	}
	return db.Close()
}

const (
	servesSQL = `SELECT (SELECT MAX(version_id) FROM schema_version WHERE is_applied), (SELECT oldest FROM schema_serves)`
	pingSQL   = `UPDATE instances SET pinged_at = $1 WHERE id = $2`
)

// Ping reports whether the store can serve reads and durable writes, by doing both. A schema that
// this program does not know, or that was made for later ones alone, is none to serve on.
func (s *Store) Ping(ctx context.Context) error {
	var version, oldest int64
	err := s.write(ctx, func(tx *tx) error {
		if _, err := tx.one(servesSQL, nil, &version, &oldest); err != nil {
			return err
		}
		tx.later(pingSQL, micros(tx.now()), tx.lane.id)
		return nil
	})
	if err != nil {
		return err
	}
	if known := migrations.PostgresVersion(); version < known || oldest > known {
		return fmt.Errorf("postgres: the schema has version %d and serves programs from %d on; this one knows %d", version, oldest, known)
	}
	return nil
}

// Close waits for the verbs under way and releases the store. Verbs called later fail.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.abdicate()
		s.ring.stop()
		s.pool.Close()
	})
	return nil
}
