package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remit-auth/remit/migrations"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/postgres/postgrestest"
	"github.com/remit-auth/remit/store/storetest"
)

// pair is two instances on one database, taken in turns.
type pair struct {
	*Store
	other *Store
	mu    sync.Mutex
	n     int
}

func (p *pair) turn() *Store {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n++; p.n%2 == 0 {
		return p.other
	}
	return p.Store
}

func (p *pair) RedeemCode(ctx context.Context, r store.Redemption, recs ...store.Record) error {
	return p.turn().RedeemCode(ctx, r, recs...)
}

func (p *pair) StartTask(ctx context.Context, st store.Start, recs ...store.Record) error {
	return p.turn().StartTask(ctx, st, recs...)
}

func (p *pair) ThrowSwitch(ctx context.Context, s store.Switch, recs ...store.Record) (store.Switch, error) {
	return p.turn().ThrowSwitch(ctx, s, recs...)
}

func (p *pair) Approve(ctx context.Context, a store.Approval, recs ...store.Record) error {
	return p.turn().Approve(ctx, a, recs...)
}

func (p *pair) RotateRefreshToken(ctx context.Context, r store.Rotation, recs ...store.Record) ([]byte, bool, error) {
	return p.turn().RotateRefreshToken(ctx, r, recs...)
}

func (p *pair) ReserveCall(ctx context.Context, r store.Reservation, recs ...store.Record) (int, int, error) {
	return p.turn().ReserveCall(ctx, r, recs...)
}

func (p *pair) EndTask(ctx context.Context, e store.End, recs ...store.Record) ([]store.Task, error) {
	return p.turn().EndTask(ctx, e, recs...)
}

func (p *pair) Append(ctx context.Context, recs ...store.Record) error {
	return p.turn().Append(ctx, recs...)
}

func (p *pair) AddFirstKey(ctx context.Context, k store.Key, recs ...store.Record) (store.Key, error) {
	return p.turn().AddFirstKey(ctx, k, recs...)
}

func (p *pair) Sequence(ctx context.Context) (int, error) {
	a, err := p.Store.Sequence(ctx)
	if err != nil {
		return a, err
	}
	b, err := p.other.Sequence(ctx)
	return a + b, err
}

// TestPair holds two instances on one database to the contract of one.
func TestPair(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now store.Clock) store.Store {
		url := database(t)
		other := connectTo(t, url, Options{Now: now, patience: patience})
		return &pair{Store: connectTo(t, url, Options{Now: now, patience: patience}), other: other}
	}, storetest.Only("races"))
}

// TestStartTogether starts several instances at once on an empty database.
func TestStartTogether(t *testing.T) {
	url := postgrestest.URL(t)
	var wg sync.WaitGroup
	keys := make([]string, 6)
	for i := range keys {
		wg.Go(func() {
			s, err := Open(t.Context(), url, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			k, err := s.AddFirstKey(t.Context(), store.Key{ID: fmt.Sprint("key", i), Use: "sig"})
			if err != nil {
				t.Error(err)
			}
			keys[i] = k.ID
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k != keys[0] {
			t.Errorf("active keys: %v", keys)
		}
	}
}

// TestNewerSchema sees that nobody starts on a schema that they do not know, and that who runs stays
// ready until it serves them no more.
func TestNewerSchema(t *testing.T) {
	url := postgrestest.URL(t)
	s := openAt(t, url, Options{})
	do := func(statement string) {
		t.Helper()
		_, err := s.pool.Exec(t.Context(), statement)
		check(t, err)
	}
	do(`INSERT INTO schema_version (version_id, is_applied) VALUES (1000, true)`)
	if _, err := Open(t.Context(), url, Options{}); !errors.Is(err, migrations.ErrNewer) {
		t.Errorf("Open on a newer schema: %v", err)
	}
	check(t, s.Ping(t.Context()))
	do(`UPDATE schema_serves SET oldest = 1000`)
	if err := s.Ping(t.Context()); err == nil {
		t.Error("ready on a schema for newer programs alone")
	}
	do(`UPDATE schema_serves SET oldest = 1; DELETE FROM schema_version WHERE version_id > 0`)
	if err := s.Ping(t.Context()); err == nil {
		t.Error("ready on an older schema")
	}
}

// TestReadOnly sees that a replica, or a database that takes no writes, is not ready.
func TestReadOnly(t *testing.T) {
	s := openAt(t, database(t)+"&default_transaction_read_only=off", Options{})
	check(t, s.Ping(t.Context()))
	if _, err := Open(t.Context(), database(t)+"&default_transaction_read_only=on", Options{}); err == nil {
		t.Error("opened on a database that takes no writes")
	}
}

// TestFeedReachesInstances sees an end at another instance, by notification, without one, and by the
// fan-out of somebody else.
func TestFeedReachesInstances(t *testing.T) {
	url := database(t)
	one, two := openAt(t, url, Options{}), openAt(t, url, Options{})
	f := world(t, one)
	l := f.lend()
	changed, stop := two.WatchFeed(at1)
	defer stop()
	start := time.Now()
	_, err := one.EndTask(t.Context(), store.End{TaskID: l.task, State: store.TaskRevoked, By: store.ByUser})
	check(t, err)
	if st, err := two.AccessByJTI(t.Context(), l.access.JTI); err != nil || st.Task.State != store.TaskRevoked {
		t.Errorf("the other instance's next look: %v, %v", st.Task.State, err)
	}
	select {
	case <-changed:
		t.Log("heard after", time.Since(start))
	case <-time.After(2 * time.Second):
		t.Error("nothing heard")
	}

	// Without the notification, and with the listening connection gone.
	_, err = one.pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`)
	check(t, err)
	l = f.lend()
	for len(changed) > 0 {
		<-changed
	}
	_, err = one.pool.Exec(t.Context(), `UPDATE feed_heads SET seq = seq + 1`)
	check(t, err)
	select {
	case <-changed:
	case <-time.After(2 * time.Second):
		t.Error("without a notification nothing is heard")
	}
}

// TestLeaderDies sees another instance chain records soon after the leader has gone, and never two.
func TestLeaderDies(t *testing.T) {
	url, clock := database(t), storetest.NewClock()
	one, two := openAt(t, url, Options{Now: clock.Now}), openAt(t, url, Options{Now: clock.Now})
	check(t, one.Append(t.Context(), rec()))
	n, err := one.Sequence(t.Context())
	if err != nil || n != 1 {
		t.Fatalf("the leader chains %d, %v", n, err)
	}
	check(t, one.Append(t.Context(), rec()))
	if n, err := two.Sequence(t.Context()); err != nil || n != 0 {
		t.Fatalf("another chains %d, %v while there is a leader", n, err)
	}
	clock.Advance(lease) // the leader does nothing more
	if n, err := two.Sequence(t.Context()); err != nil || n != 1 {
		t.Fatalf("the successor chains %d, %v", n, err)
	}

	// One that still believes itself the leader, and read the head before, chains nothing.
	check(t, one.Append(t.Context(), rec()))
	stale, err := one.nextLink(t.Context())
	check(t, err)
	_, err = two.Sequence(t.Context())
	check(t, err)
	if n, err := one.append(t.Context(), stale); err != nil || n != 0 {
		t.Errorf("two leaders: %d, %v", n, err)
	}
}

// TestPartitions fills several partitions and reads across them.
func TestPartitions(t *testing.T) {
	s := openAt(t, postgrestest.URL(t), Options{partition: 100})
	_, err := s.pool.Exec(t.Context(), `ALTER TABLE ledger DETACH PARTITION ledger_1; DROP TABLE ledger_1;
CREATE TABLE ledger_1 PARTITION OF ledger FOR VALUES FROM (1) TO (101); UPDATE chain SET room = 100`)
	check(t, err)
	for i := range 5 {
		recs := make([]store.Record, 90)
		for j := range recs {
			recs[j] = store.NewRecord(fmt.Sprint("kind", i), nil)
			recs[j].Task = fmt.Sprint("task", j%2)
		}
		check(t, s.Append(t.Context(), recs...))
		_, err := s.Sequence(t.Context())
		check(t, err)
	}
	all, err := s.Records(t.Context(), store.RecordFilter{Limit: 1000})
	check(t, err)
	newest, err := s.NewestRecords(t.Context(), "task1", 250, 500)
	check(t, err)
	if len(all) != 450 || len(newest) != 124 || newest[0].Seq != 248 {
		t.Errorf("%d records, %d newest of a task", len(all), len(newest))
	}
}

// TestPoolExhausted sees that a verb which finds no connection gives up in time, and the next works.
func TestPoolExhausted(t *testing.T) {
	s := openAt(t, database(t), Options{MaxConns: 1})
	c, err := s.pool.Acquire(t.Context())
	check(t, err)
	start := time.Now()
	if err := s.Append(t.Context(), rec()); err == nil || time.Since(start) > 2*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	c.Release()
	check(t, s.Append(t.Context(), rec()))
}

// TestSlowStore sees that a verb which waits for a lock gives up in time, and does nothing later.
func TestSlowStore(t *testing.T) {
	s := openAt(t, database(t), Options{})
	l := world(t, s).lend()
	blocker, err := s.pool.Begin(t.Context())
	check(t, err)
	_, err = blocker.Exec(t.Context(), `SELECT 1 FROM tasks FOR UPDATE`)
	check(t, err)
	start := time.Now()
	_, err = s.EndTask(t.Context(), store.End{TaskID: l.task, State: store.TaskRevoked, By: store.ByUser})
	if err == nil || time.Since(start) > 2*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	check(t, blocker.Rollback(t.Context()))
	task, _, err := s.TaskByID(t.Context(), l.task)
	if err != nil || task.State != store.TaskActive {
		t.Errorf("afterwards the task is %s, %v", task.State, err)
	}
}

const goldenSQL = `SELECT format('%s.%s %s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
	CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END, COALESCE(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), ''))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT format('%s: %s', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1`

// TestSchema compares the schema that the migrations make with the golden one.
func TestSchema(t *testing.T) {
	s := openAt(t, postgrestest.URL(t), Options{})
	var lines []string
	check(t, s.read(t.Context(), func(c *conn) (err error) {
		lines, err = c.strings(goldenSQL)
		return err
	}))
	got := strings.Join(lines, "\n") + "\n"
	golden := filepath.Join("testdata", "schema.txt")
	if os.Getenv("UPDATE") != "" {
		check(t, os.MkdirAll("testdata", 0o755))
		check(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	check(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
}

// TestAuditOfNow reads a database as it is, with records of a request and of none.
func TestAuditOfNow(t *testing.T) {
	url := postgrestest.URL(t)
	s := openAt(t, url, Options{})
	check(t, s.Append(store.WithRequest(t.Context(), "req_1"), store.NewRecord("test", nil)))
	check(t, s.Append(t.Context(), store.NewRecord("test", nil)))
	_, err := s.Sequence(t.Context())
	check(t, err)
	a, err := OpenAudit(t.Context(), url)
	check(t, err)
	defer a.Close()
	var head store.Hash
	named := 0
	check(t, a.Records(func(r store.Record) error {
		if head = r.ChainHash(head); r.Hash != head {
			t.Errorf("%+v breaks the chain", r)
		}
		if r.Request == "req_1" {
			named++
		}
		return nil
	}))
	if named != 1 {
		t.Errorf("%d records name their request", named)
	}
}

// TestAuditOfBefore reads a database of before records named their requests, as a backup may be.
func TestAuditOfBefore(t *testing.T) {
	url := postgrestest.URL(t)
	s := openAt(t, url, Options{})
	check(t, s.Append(t.Context(), store.NewRecord("test", nil)))
	_, err := s.Sequence(t.Context())
	check(t, err)
	_, err = s.pool.Exec(t.Context(), `ALTER TABLE ledger DROP COLUMN request`)
	check(t, err)
	a, err := OpenAudit(t.Context(), url)
	check(t, err)
	defer a.Close()
	n := 0
	check(t, a.Records(func(r store.Record) error {
		n++
		if r.Hash != r.ChainHash(store.Hash{}) {
			t.Errorf("%+v breaks the chain", r)
		}
		return nil
	}))
	if n != 1 {
		t.Errorf("%d records", n)
	}
}
