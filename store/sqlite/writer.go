package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remit-auth/remit/store"
)

// maxBatch bounds how many verbs share a commit, and so how long the first of them waits.
const maxBatch = 256

// writer is the one goroutine that writes. It takes every operation that waits, runs them in one
// transaction, and answers all of them after its commit: many verbs, one fsync.
//
//   - An operation whose condition is unmet returns its sentinel before it has changed anything;
//     its neighbours do not notice.
//   - An operation that meets an SQL error, or refuses after a change, spoils the transaction: it
//     is rolled back and every operation runs again, alone.
//   - A commit that fails leaves the outcome unknown; every operation is answered with the error.
type writer struct {
	db    *sql.DB
	clock func() time.Time
	hub   *hub

	mu      sync.RWMutex // guards closed; held for reading while sending
	closed  bool
	queue   chan *operation
	stopped chan struct{}

	// The goroutine's own.
	conn     *conn
	instance int64
	last     int64 // number of the newest ledger record
	suspect  bool  // the connection may be inside a broken transaction, last may be wrong
}

// operation is one verb on its way through the writer.
type operation struct {
	run     func(*tx) error // may run more than once, so it sets its results anew each time
	request string          // that it was called for
	state   atomic.Int32
	err     error
	done    chan struct{}
}

// The states of an operation: who moves it from waiting decides whether it runs.
const (
	waiting int32 = iota
	begun
	withdrawn
)

// tx is what an operation sees of the transaction.
type tx struct {
	*conn
	now      time.Time
	instance int64
	last     int64           // number of the newest ledger record
	touched  map[string]bool // resources whose feed changed
	request  string          // that the verb was called for
}

func startWriter(ctx context.Context, db *sql.DB, clock func() time.Time, hub *hub) (*writer, error) {
	w := &writer{db: db, clock: clock, hub: hub, queue: make(chan *operation, maxBatch), stopped: make(chan struct{})}
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	go w.loop()
	return w, nil
}

// connect opens the writing connection and finds where the ledger stands.
func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil {
		w.conn.close()
		w.conn = nil
	}
	c, err := connect(ctx, w.db)
	if err != nil {
		return err
	}
	if w.instance, err = instance(c, w.clock()); err == nil {
		_, err = c.one(lastNumberSQL, []any{w.instance}, &w.last)
	}
	if err != nil {
		c.close()
		return err
	}
	w.conn, w.suspect = c, false
	return nil
}

// stop answers everything that was sent, then ends the goroutine.
func (w *writer) stop() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.stopped
}

// write runs one verb and returns its result after the commit. While it waits for its turn the
// caller may leave, and then it never runs; once begun, its true outcome is reported.
func (s *Store) write(ctx context.Context, run func(*tx) error) error {
	op := &operation{run: run, request: store.RequestOf(ctx), done: make(chan struct{})}
	if err := s.writer.send(ctx, op); err != nil {
		return err
	}
	select {
	case <-op.done:
		return op.err
	case <-ctx.Done():
		if op.state.CompareAndSwap(waiting, withdrawn) {
			return ctx.Err()
		}
		<-op.done
		return op.err
	}
}

func (w *writer) send(ctx context.Context, op *operation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return errClosed
	}
	select {
	case w.queue <- op:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) loop() {
	defer close(w.stopped)
	for op := range w.queue {
		w.serve(w.gather(op))
	}
	if w.conn != nil {
		w.conn.close()
	}
}

// gather takes every operation that waits behind first and is still wanted.
func (w *writer) gather(first *operation) []*operation {
	var batch []*operation
	for op := first; ; {
		if op.state.CompareAndSwap(waiting, begun) {
			batch = append(batch, op)
		}
		if len(batch) == maxBatch {
			return batch
		}
		select {
		case next, ok := <-w.queue:
			if !ok {
				return batch
			}
			op = next
		default:
			return batch
		}
	}
}

// serve commits the batch, or else each of it alone, and answers.
func (w *writer) serve(batch []*operation) {
	if err := w.commit(batch); errors.Is(err, errSpoiled) && len(batch) > 1 {
		for _, op := range batch {
			w.commit([]*operation{op})
		}
	}
	for _, op := range batch {
		close(op.done)
	}
}

// errSpoiled says that nothing of a batch was committed because an operation in it failed.
var errSpoiled = errors.New("sqlite: batch rolled back")

// commit runs the batch in one transaction and sets each operation's result.
func (w *writer) commit(batch []*operation) error {
	tx, err := w.begin()
	if err != nil {
		return answer(batch, err)
	}
	for _, op := range batch {
		tx.failed, tx.wrote, tx.now, tx.request = nil, false, w.clock(), op.request
		op.err = op.run(tx)
		if tx.failed != nil {
			op.err = tx.failed
		}
		if tx.failed != nil || op.err != nil && tx.wrote {
			w.rollback()
			return errSpoiled
		}
	}
	if err := w.conn.control("COMMIT"); err != nil {
		w.suspect = true
		return answer(batch, err)
	}
	w.last = tx.last
	w.hub.notify(tx.touched)
	return nil
}

// begin opens the transaction, on a new connection if the old one is suspect.
func (w *writer) begin() (*tx, error) {
	if w.suspect || w.conn == nil {
		if err := w.connect(context.Background()); err != nil {
			return nil, err
		}
	}
	if err := w.conn.control("BEGIN IMMEDIATE"); err != nil {
		w.suspect = true
		return nil, err
	}
	return &tx{conn: w.conn, instance: w.instance, last: w.last, touched: make(map[string]bool)}, nil
}

// rollback undoes the transaction. SQLite has done so itself after some errors, and then ROLLBACK
// fails; a new connection is the safe answer to any doubt.
func (w *writer) rollback() {
	if err := w.conn.control("ROLLBACK"); err != nil {
		w.suspect = true
	}
}

func answer(batch []*operation, err error) error {
	for _, op := range batch {
		op.err = err
	}
	return err
}
