package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

// maxReaders is how many reads run at once; they share the processor with the writer, so that
// more would only wait elsewhere.
const maxReaders = 4

var errClosed = errors.New("sqlite: the store is closed")

// readers is a pool of connections, each with its prepared statements.
type readers struct {
	db     *sql.DB
	slots  chan *conn // nil: a connection not opened yet
	closed chan struct{}
}

func newReaders(db *sql.DB) *readers {
	r := &readers{db: db, slots: make(chan *conn, maxReaders), closed: make(chan struct{})}
	for range maxReaders {
		r.slots <- nil
	}
	return r
}

func (r *readers) take(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var c *conn
	select {
	case c = <-r.slots:
	case <-r.closed:
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c != nil {
		return c, nil
	}
	c, err := connect(context.WithoutCancel(ctx), r.db)
	if err != nil {
		r.slots <- nil
	}
	return c, err
}

// give returns a connection; one that met an error is not used again.
func (r *readers) give(c *conn) {
	if c.failed != nil {
		c.close()
		c = nil
	}
	r.slots <- c
}

// close waits for the reads under way.
func (r *readers) close() {
	close(r.closed)
	for range maxReaders {
		if c := <-r.slots; c != nil {
			c.close()
		}
	}
}

// read runs f, which is one statement, on a reading connection.
func (s *Store) read(ctx context.Context, f func(*conn) error) error {
	c, err := s.readers.take(ctx)
	if err != nil {
		return err
	}
	defer s.readers.give(c)
	return f(c)
}

// snapshot runs f, whose statements all see the same moment, on a reading connection.
func (s *Store) snapshot(ctx context.Context, f func(*conn) error) error {
	return s.read(ctx, func(c *conn) error {
		if err := c.control("BEGIN"); err != nil {
			return c.fail(err)
		}
		err := f(c)
		if end := c.control("ROLLBACK"); end != nil && err == nil { // nothing to commit
			return c.fail(end)
		}
		return err
	})
}
