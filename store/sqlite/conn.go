package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// conn is one connection with its prepared statements. One goroutine uses it at a time.
type conn struct {
	c     *sql.Conn
	stmts map[string]*sql.Stmt

	// What happened since the writer last looked.
	failed error // the first statement that met an SQL error
	wrote  bool  // a statement changed something
}

func connect(ctx context.Context, db *sql.DB) (*conn, error) {
	db.SetMaxIdleConns(0) // so that to close a connection is to be rid of it and of its transaction
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{c: c, stmts: make(map[string]*sql.Stmt)}, nil
}

// close ends the connection and its statements.
func (c *conn) close() error {
	for _, s := range c.stmts {
		s.Close()
	}
	return c.c.Close()
}

// prepare returns the statement for this SQL text. Statements run without the caller's context: a
// point query cannot be worth interrupting, and a write must not be.
func (c *conn) prepare(query string) (*sql.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, err := c.c.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, c.fail(err)
	}
	c.stmts[query] = s
	return s, nil
}

func (c *conn) fail(err error) error {
	err = fmt.Errorf("sqlite: %w", err)
	if c.failed == nil {
		c.failed = err
	}
	return err
}

// exec runs a statement and reports how many rows it changed.
func (c *conn) exec(query string, args ...any) (changed int64, err error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, c.fail(err)
	}
	if changed, err = r.RowsAffected(); err != nil {
		return 0, c.fail(err)
	}
	c.wrote = c.wrote || changed > 0
	return changed, nil
}

// one reads the first row into dest and reports whether there was one.
func (c *conn) one(query string, args []any, dest ...any) (found bool, err error) {
	err = c.each(query, args, func(scan func(...any) error) error {
		found = true
		return scan(dest...)
	})
	return found, err
}

// each calls row for every row of the result.
func (c *conn) each(query string, args []any, row func(scan func(...any) error) error) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return c.fail(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return c.fail(err)
		}
	}
	if err := rows.Err(); err != nil {
		return c.fail(err)
	}
	return nil
}

// control runs BEGIN, COMMIT or ROLLBACK.
func (c *conn) control(query string) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	if _, err := s.ExecContext(context.Background()); err != nil {
		return fmt.Errorf("sqlite: %s: %w", query, err)
	}
	return nil
}
