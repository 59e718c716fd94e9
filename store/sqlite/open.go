// Package sqlite keeps the authorization server's durable memory in one SQLite file: a
// store.Store for one instance, with no other service beside it.
//
// All writes go through one goroutine (writer.go) that gathers the verbs which wait into one
// transaction and answers them after its one fsync. Reads have connections of their own. The file
// belongs to one process: a lock file beside it keeps a second one out.
//
//	people.go, sessions.go        users, their roles; who is signed in, who is live
//	clients.go, keys.go           registered clients, the key ring
//	epochs.go                     restorations from a backup
//	resources.go, enrolment.go    resources; their Guards and manifests
//	requests.go, lending.go       authorization requests; their approval
//	codes.go, tokens.go           redemption; access and refresh tokens
//	rotation.go                   refresh
//	tasks.go, ending.go           reading tasks; ending them and their legs
//	suspending.go, sweeping.go    sleep; what the clock does
//	budget.go                     counted calls
//	pruning.go                    what is forgotten
//	feed.go                       what resources are told
//	ledger.go, checkpoints.go     records and their chain; signed statements of it
package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/remit-auth/remit/migrations"
	"github.com/remit-auth/remit/store"
)

var _ store.Store = (*Store)(nil)

// Options are what Open may be told; the zero value is the right one outside tests.
type Options struct {
	Now    func() time.Time // the store's clock; nil: time.Now
	Driver string           // of database/sql; empty: "sqlite". Tests put one in between (sqlitetest).
}

// Store is a store.Store on one SQLite file.
type Store struct {
	now     func() time.Time
	driver  string
	writer  *writer
	readers *readers
	hub     *hub
	closers []func() error // in the order of closing
	closing sync.Once
	closed  error
}

// Open opens the database at path, making and migrating it as needed. A database that another
// process has open is ErrLocked; one with a schema newer than this program's is
// migrations.ErrNewer.
func Open(ctx context.Context, path string, opts Options) (_ *Store, err error) {
	s := &Store{now: opts.Now, hub: newHub(), driver: opts.Driver}
	if s.driver == "" {
		s.driver = "sqlite"
	}
	if s.now == nil {
		s.now = time.Now
	}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	lockFile, err := lock(path)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, lockFile.Close)
	if err := makePrivate(path); err != nil {
		return nil, err
	}
	db, err := s.openDB(path, "cache_size(-8000)", "journal_size_limit(67108864)", "wal_autocheckpoint(4000)")
	if err != nil {
		return nil, err
	}
	if err := migrations.SQLite(ctx, db); err != nil {
		return nil, err
	}
	if s.writer, err = startWriter(ctx, db, s.clock, s.hub); err != nil {
		return nil, err
	}
	reading, err := s.openDB(path, "query_only(1)", "cache_size(-16000)")
	if err != nil {
		s.writer.stop()
		return nil, err
	}
	s.readers = newReaders(reading)
	return s, nil
}

// mapped lets connections read the file's pages where the kernel keeps them, up to the 2 GiB that SQLite
// maps at most. A connection forgets its own pages whenever another one commits, and would copy each
// again: in a file that is larger than its cache that doubles the cost of every read.
const mapped = "mmap_size(2147418112)"

// openDB opens the file with the pragmas that every connection needs and these.
//
// synchronous=FULL makes a commit in WAL mode survive a power failure, not only a dead process.
func (s *Store) openDB(path string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": append(pragmas,
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		"recursive_triggers(1)", "trusted_schema(0)", "temp_store(MEMORY)", mapped)}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	db, err := sql.Open(s.driver, u.String())
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	s.closers = append([]func() error{db.Close}, s.closers...)
	if err := db.Ping(); err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	return db, nil
}

// makePrivate creates the database file for its owner alone; SQLite gives the files that it makes
// beside it the same mode.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	return f.Close()
}

// clock is the store's time: UTC, microseconds, which is what the columns hold.
func (s *Store) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

const pingSQL = `UPDATE instances SET pinged_at = ? WHERE id = ?`

// Ping reports whether the store can serve reads and durable writes, by doing both.
func (s *Store) Ping(ctx context.Context) error {
	err := s.read(ctx, func(c *conn) error {
		var n int
		_, err := c.one(`SELECT 1`, nil, &n)
		return err
	})
	if err != nil {
		return err
	}
	return s.write(ctx, func(tx *tx) error {
		_, err := tx.exec(pingSQL, micros(tx.now), tx.instance)
		return err
	})
}

// Close waits for the verbs under way and releases the store. Verbs called later fail.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.writer.stop()
		s.readers.close()
		s.closed = s.release()
	})
	return s.closed
}

func (s *Store) release() error {
	var errs []error
	for _, close := range s.closers {
		errs = append(errs, close())
	}
	s.closers = nil
	return errors.Join(errs...)
}

const (
	instanceSQL    = `SELECT id, name FROM instances ORDER BY id DESC LIMIT 1`
	newInstanceSQL = `INSERT INTO instances (name, created_at) VALUES (?, ?)`
	lastNumberSQL  = `SELECT COALESCE(MAX(n), 0) FROM ledger WHERE instance = ?`
)

// instance returns who numbers this database's records, made once per database.
func instance(c *conn, now time.Time) (id int64, err error) {
	var name string
	found, err := c.one(instanceSQL, nil, &id, &name)
	if err != nil || found {
		return id, err
	}
	if _, err := c.exec(newInstanceSQL, "ins_"+strings.ToLower(rand.Text()), micros(now)); err != nil {
		return 0, err
	}
	_, err = c.one(instanceSQL, nil, &id, &name)
	return id, err
}
