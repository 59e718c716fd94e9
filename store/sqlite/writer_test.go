package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remit-auth/remit/store"
)

// together runs the verbs in one batch: it holds the writer until all of them wait.
func together(t *testing.T, s *Store, verbs ...func(*tx) error) []error {
	t.Helper()
	release := make(chan struct{})
	holding := make(chan struct{})
	go s.write(context.Background(), func(*tx) error {
		close(holding)
		<-release
		return nil
	})
	<-holding
	ops := make([]*operation, len(verbs))
	for i, run := range verbs {
		ops[i] = &operation{run: run, done: make(chan struct{})}
		check(t, s.writer.send(t.Context(), ops[i]))
	}
	close(release)
	errs := make([]error, len(verbs))
	for i, op := range ops {
		<-op.done
		errs[i] = op.err
	}
	return errs
}

// add is a verb that writes one record, with this error afterwards.
func add(kind string, err error) func(*tx) error {
	return func(tx *tx) error {
		return errors.Join(tx.record(store.NewRecord(kind, nil)), err)
	}
}

// kinds returns the kinds of the ledger's records.
func kinds(t *testing.T, s *Store) (kinds []string) {
	t.Helper()
	_, err := s.Sequence(t.Context())
	check(t, err)
	recs, err := s.Records(t.Context(), store.RecordFilter{})
	check(t, err)
	for i, r := range recs {
		kinds = append(kinds, r.Kind)
		if r.N != int64(i+1) {
			t.Errorf("record %d has number %d", i+1, r.N)
		}
	}
	return kinds
}

func TestBatchSharesOneCommit(t *testing.T) {
	s := open(t, nil)
	var seen []*tx
	note := func(tx *tx) error {
		seen = append(seen, tx)
		return tx.record(store.NewRecord("test", nil))
	}
	for _, err := range together(t, s, note, note, note) {
		check(t, err)
	}
	if len(seen) != 3 || seen[0] != seen[1] || seen[1] != seen[2] {
		t.Errorf("transactions: %v", seen)
	}
}

func TestBatchNeighboursUnaffected(t *testing.T) {
	refusal := errors.New("refused")
	sqlError := func(tx *tx) error {
		if err := tx.record(store.NewRecord("lost", nil)); err != nil {
			return err
		}
		_, err := tx.exec(`INSERT INTO users (id) VALUES (NULL)`)
		return err
	}
	swallowed := func(tx *tx) error {
		tx.exec(`SELECT nonsense`)
		return tx.record(store.NewRecord("lost", nil))
	}
	for name, tt := range map[string]struct {
		bad  func(*tx) error
		want error // nil: any
	}{
		"refused before a change":  {func(*tx) error { return refusal }, refusal},
		"refused after a change":   {add("lost", refusal), refusal},
		"SQL error":                {sqlError, nil},
		"SQL error nobody noticed": {swallowed, nil},
		"ledger trigger": {func(tx *tx) error {
			_, err := tx.exec(`DELETE FROM ledger`)
			return err
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, nil)
			errs := together(t, s, add("a", nil), tt.bad, add("b", nil), tt.bad, add("c", nil))
			for i, err := range errs {
				if bad := i%2 == 1; bad != (err != nil) || bad && tt.want != nil && !errors.Is(err, tt.want) {
					t.Errorf("operation %d: %v", i, err)
				}
			}
			if diff := cmp.Diff([]string{"a", "b", "c"}, kinds(t, s)); diff != "" {
				t.Error(diff)
			}
			check(t, s.Ping(t.Context()))
		})
	}
}

// TestBatchReadsItsNeighbours sees that a verb judges by what its neighbours in the batch did.
func TestBatchReadsItsNeighbours(t *testing.T) {
	s := open(t, nil)
	take := func(tx *tx) error {
		n, err := tx.exec(`INSERT INTO clients (id, metadata, policy, disabled, created_at) VALUES ('c', '{}', '{}', 0, 0) ON CONFLICT DO NOTHING`)
		if err == nil && n == 0 {
			return store.ErrClientExists
		}
		return err
	}
	errs := together(t, s, take, take)
	if errs[0] != nil || !errors.Is(errs[1], store.ErrClientExists) {
		t.Errorf("errs = %v", errs)
	}
}

func TestWithdrawn(t *testing.T) {
	s := open(t, nil)
	release, holding := make(chan struct{}), make(chan struct{})
	go s.write(context.Background(), func(*tx) error {
		close(holding)
		<-release
		return nil
	})
	<-holding
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { left <- s.write(ctx, add("withdrawn", nil)) }()
	for len(s.writer.queue) == 0 { // until it waits
		runtime.Gosched()
	}
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	close(release)
	if got := kinds(t, s); len(got) != 0 {
		t.Errorf("a withdrawn verb wrote %v", got)
	}
}

// TestBegunIsTold sees that a verb which has begun is reported truthfully, whatever the context.
func TestBegunIsTold(t *testing.T) {
	s := open(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.write(ctx, func(tx *tx) error {
		cancel()
		return tx.record(store.NewRecord("begun", nil))
	})
	check(t, err)
	if got := kinds(t, s); len(got) != 1 {
		t.Errorf("ledger = %v", got)
	}
}

func TestDiskFull(t *testing.T) {
	s := open(t, nil)
	limit := func(pages string) {
		t.Helper()
		check(t, s.write(t.Context(), func(tx *tx) error {
			var n int
			_, err := tx.one(`PRAGMA max_page_count = `+pages, nil, &n)
			return err
		}))
	}
	check(t, s.Append(t.Context(), store.NewRecord("before", nil)))
	limit("1") // SQLite takes the present size
	large := func(i int) func(*tx) error {
		return func(tx *tx) error {
			return tx.record(store.NewRecord("large", strings.Repeat(fmt.Sprint(i), 50_000)))
		}
	}
	for i, err := range together(t, s, large(1), large(2), large(3)) {
		if err == nil {
			t.Fatalf("operation %d succeeds on a full disk", i)
		}
		if !strings.Contains(err.Error(), "full") {
			t.Errorf("operation %d: %v", i, err)
		}
	}
	if _, err := s.Users(t.Context()); err != nil {
		t.Errorf("reading on a full disk: %v", err)
	}
	limit("1000000")
	check(t, s.Append(t.Context(), store.NewRecord("after", nil)))
	if diff := cmp.Diff([]string{"before", "after"}, kinds(t, s)); diff != "" {
		t.Error(diff)
	}
}

// TestCommitFails sees that nobody is told of success when the commit fails, and that the writer
// finds its place again.
func TestCommitFails(t *testing.T) {
	s := open(t, nil)
	check(t, s.Append(t.Context(), store.NewRecord("before", nil)))
	// A violated deferred constraint shows at the commit and nowhere earlier.
	orphan := func(tx *tx) error {
		_, err := tx.exec(`PRAGMA defer_foreign_keys = 1`)
		if err == nil {
			_, err = tx.exec(`INSERT INTO sessions (id, user_id, auth_time, expires_at) VALUES (x'01', 'nobody', 0, 0)`)
		}
		return err
	}
	for i, err := range together(t, s, add("lost", nil), orphan) {
		if err == nil {
			t.Errorf("operation %d succeeds though the commit failed", i)
		}
	}
	check(t, s.Append(t.Context(), store.NewRecord("after", nil)))
	if diff := cmp.Diff([]string{"before", "after"}, kinds(t, s)); diff != "" {
		t.Error(diff)
	}
}
