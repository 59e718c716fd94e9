package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// conn is one connection while one verb has it. Statements whose result nobody waits for are sent
// with the next one whose result somebody does.
type conn struct {
	ctx   context.Context // of the verb: it bounds every statement
	c     *pgxpool.Conn
	queue *pgx.Batch
	clock func() time.Time // nil: the database's
	when  time.Time        // what the clock said in this verb
	lost  error            // of statements that were sent only to learn the time
}

const clockSQL = `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`

// now is the store's time in this verb: UTC, microseconds, which is what the columns hold. Read
// before anything else it costs a round trip; every statement with a result brings it along.
func (c *conn) now() time.Time {
	if c.when.IsZero() {
		c.askTime()
		if err := c.flush(); err != nil {
			c.lost = err
		}
	}
	return c.when
}

// askTime queues the question for the time, unless it is known.
func (c *conn) askTime() {
	switch {
	case !c.when.IsZero():
	case c.clock != nil:
		c.when = c.clock().UTC().Truncate(time.Microsecond)
	default:
		c.ask(clockSQL, nil, func(scan func(...any) error) error { return scan(at(&c.when)) })
	}
}

// later queues a statement; an error of it is that of the statements sent with it.
func (c *conn) later(query string, args ...any) {
	c.batch().Queue(query, encoded(args)...)
}

// ask queues a statement and what to do with each row of its result.
func (c *conn) ask(query string, args []any, row func(scan func(...any) error) error) {
	c.batch().Queue(query, encoded(args)...).Query(func(rows pgx.Rows) error {
		scan := decoding(rows.Scan)
		for rows.Next() {
			if err := row(scan); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

func (c *conn) batch() *pgx.Batch {
	if c.queue == nil {
		c.queue = &pgx.Batch{}
	}
	return c.queue
}

// flush sends what is queued.
func (c *conn) flush() error {
	b := c.queue
	c.queue = nil
	if b == nil || c.lost != nil {
		return c.lost
	}
	if err := c.c.SendBatch(c.ctx, b).Close(); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	return nil
}

// exec runs a statement and reports how many rows it changed.
func (c *conn) exec(query string, args ...any) (changed int64, err error) {
	c.count(&changed, query, args...)
	return changed, c.flush()
}

// count queues a statement that tells how many rows it changed.
func (c *conn) count(changed *int64, query string, args ...any) {
	c.batch().Queue(query, encoded(args)...).Exec(func(tag pgconn.CommandTag) error {
		*changed = tag.RowsAffected()
		return nil
	})
}

// one reads the first row into dest and reports whether there was one.
func (c *conn) one(query string, args []any, dest ...any) (found bool, err error) {
	err = c.each(query, args, func(scan func(...any) error) error {
		found = true
		return scan(dest...)
	})
	return found, err
}

// each calls row for every row of the result, which belongs to the moment that now tells.
func (c *conn) each(query string, args []any, row func(scan func(...any) error) error) error {
	c.askTime()
	c.ask(query, args, row)
	return c.flush()
}

// take takes a connection from the pool, within the time that the caller and the verb have.
func (s *Store) take(ctx context.Context, until time.Time) (*pgxpool.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	c, err := s.pool.Acquire(waiting)
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("postgres: no connection: %w", unsecret(err))
}

// with runs f on a connection. A verb that has begun is not given up by its caller's leaving: it ends
// by itself or by its time limit, and its true outcome is reported.
func (s *Store) with(ctx context.Context, until time.Time, f func(*conn) error) error {
	c, err := s.take(ctx, until)
	if err != nil {
		return err
	}
	defer c.Release()
	bounded, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	defer cancel()
	return f(&conn{ctx: bounded, c: c, clock: s.opts.Now})
}

// read runs f, which is one statement.
func (s *Store) read(ctx context.Context, f func(*conn) error) error {
	return s.again(ctx, func(until time.Time) error { return s.with(ctx, until, f) })
}

const (
	snapshotSQL = `BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY`
	commitSQL   = `COMMIT`
	rollbackSQL = `ROLLBACK`
)

// snapshot sends what f asks as one, all of it seeing the same moment.
func (s *Store) snapshot(ctx context.Context, f func(*conn)) error {
	return s.read(ctx, func(c *conn) error {
		c.later(snapshotSQL)
		f(c)
		c.later(commitSQL)
		err := c.flush()
		if err != nil {
			c.rollback()
		}
		return err
	})
}

// rollback ends the transaction without effect; a connection that cannot is closed.
func (c *conn) rollback() {
	c.queue = nil
	raw := c.c.Conn()
	if raw.IsClosed() || raw.PgConn().TxStatus() == 'I' {
		return
	}
	if _, err := c.c.Exec(c.ctx, rollbackSQL); err != nil {
		raw.Close(c.ctx)
	}
}

// attempts is how often a verb runs that the database refused only because of others.
const attempts = 4

// again runs f anew when the database took it back as if it had never been: a deadlock, or a
// connection that was dead before anything was sent. All attempts share the time of one verb.
func (s *Store) again(ctx context.Context, f func(until time.Time) error) (err error) {
	until := time.Now().Add(s.opts.patient(verbTimeout))
	for range attempts {
		if err = f(until); err == nil || ctx.Err() != nil || !takenBack(err) {
			return err
		}
	}
	return err
}

// takenBack reports whether the database says that nothing of it has happened, and may the next time.
func takenBack(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "40001" || pg.Code == "40P01" // serialization_failure, deadlock_detected
	}
	return pgconn.SafeToRetry(err)
}
