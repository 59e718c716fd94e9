// Package sqlitetest gives tests databases, and stands between the SQLite store and SQLite to make single
// statements fail.
package sqlitetest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"

	"github.com/remit-auth/remit/store/storetest"
)

// ErrInjected is what a statement fails with.
var ErrInjected = errors.New("sqlitetest: injected")

var made atomic.Int64

// Driver is the name of a driver for database/sql whose prepared statements fail as the fault says.
func Driver(f *storetest.Fault) string {
	name := fmt.Sprint("sqlite-faulty-", made.Add(1))
	sql.Register(name, faulty{real(), f})
	return name
}

var real = sync.OnceValue(func() driver.Driver { return &sqlite.Driver{} })

type faulty struct {
	driver.Driver
	fault *storetest.Fault
}

func (d faulty) Open(name string) (driver.Conn, error) {
	c, err := d.Driver.Open(name)
	if err != nil {
		return nil, err
	}
	return conn{c.(connection), d.fault}, nil
}

// connection is what database/sql asks of the driver's connections.
type connection interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type conn struct {
	connection
	fault *storetest.Fault
}

func (c conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.connection.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt{s.(statement), c.fault}, nil
}

type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type stmt struct {
	statement
	fault *storetest.Fault
}

func (s stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	way := s.fault.Statement()
	if way == storetest.Refused || way == storetest.Torn { // it has no rows to tell
		return nil, ErrInjected
	}
	r, err := s.statement.ExecContext(ctx, args)
	if err == nil && way != storetest.Passes {
		return nil, ErrInjected
	}
	return r, err
}

func (s stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	way := s.fault.Statement()
	if way == storetest.Refused {
		return nil, ErrInjected
	}
	r, err := s.statement.QueryContext(ctx, args)
	switch {
	case err != nil || way == storetest.Passes:
		return r, err
	case way == storetest.Torn:
		return torn{r}, nil
	}
	return nil, errors.Join(ErrInjected, r.Close())
}

// torn tells the rows, and breaks off where it should say that these are all.
type torn struct{ driver.Rows }

func (r torn) Next(dest []driver.Value) error {
	if err := r.Rows.Next(dest); err == nil {
		return nil
	}
	return ErrInjected
}
