//go:build large

package sqlite

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

var (
	largeTasks   = flag.Int("tasks", 1_000_000, "tasks of the large database")
	largeRecords = flag.Int("records", 10_000_000, "ledger records of the large database")
	largeRounds  = flag.Int("rounds", 400, "how often each query is measured")
)

// maxGrowth is how much more a query may cost in the large database.
const maxGrowth = 1.5

// TestLarge measures the same queries in a small and in a large database, in one run.
func TestLarge(t *testing.T) {
	const small = 1_000
	now := time.Now().UTC().Truncate(time.Microsecond)
	cost := map[string][]time.Duration{}
	var names []string
	for _, size := range []struct{ tasks, records int }{{small, 10 * small}, {*largeTasks, *largeRecords}} {
		path := filepath.Join(t.TempDir(), "remit.db")
		s := reopen(t, path, func() time.Time { return now })
		began := time.Now()
		load(t, s, now, size.tasks, size.records)
		t.Logf("%d tasks, %d records loaded in %s: %s", size.tasks, size.records, time.Since(began).Round(time.Second), sizes(t, s))
		for _, q := range largeQueries(size.tasks, size.records, now) {
			if !slices.Contains(names, q.name) {
				names = append(names, q.name)
			}
			cost[q.name] = append(cost[q.name], measure(t, s, q))
		}
		check(t, s.Close())
	}
	for _, name := range names {
		before, after := cost[name][0], cost[name][1]
		ratio := float64(after) / float64(before)
		t.Logf("%-28s %8s → %8s  × %.2f", name, before.Round(time.Microsecond), after.Round(time.Microsecond), ratio)
		if ratio > maxGrowth {
			t.Errorf("%s costs × %.2f in the large database", name, ratio)
		}
	}
}

// query is one thing that a server asks of its store; i chooses whose.
type query struct {
	name string
	ask  func(ctx context.Context, s *Store, i int) error
}

// measure is the median cost of a query, over tasks that lie far apart.
func measure(t *testing.T, s *Store, q query) time.Duration {
	t.Helper()
	took := make([]time.Duration, *largeRounds)
	for round := range took {
		began := time.Now()
		if err := q.ask(t.Context(), s, round); err != nil {
			t.Fatalf("%s: %v", q.name, err)
		}
		took[round] = time.Since(began)
	}
	took = took[len(took)/4:] // the first ones fill caches, in both databases
	slices.Sort(took)
	return took[len(took)/2]
}

func name(prefix string, i int) string { return fmt.Sprintf("%s%026d", prefix, i) }

func largeQueries(tasks, records int, now time.Time) []query {
	pick := func(i int) int { return (i*7919 + 13) % tasks } // far apart, each once
	id := func(i int) string { return name("tsk_", pick(i)) }
	refresh := func(i int) (h store.Hash) { copy(h[:], fmt.Sprintf("%032d", pick(i))); return h }
	ignore := func(_ any, err error) error { return err }
	return []query{
		{"token: refresh read", func(ctx context.Context, s *Store, i int) error { return ignore(s.RefreshByID(ctx, refresh(i))) }},
		{"token: refresh rotated", func(ctx context.Context, s *Store, i int) error {
			fresh := store.HashOf(fmt.Sprint("fresh", i))
			_, _, err := s.RotateRefreshToken(ctx, store.Rotation{
				Old: refresh(i), Successor: []byte("sealed"),
				New:    store.RefreshToken{ID: fresh, TaskID: id(i), ClientID: "cli_1", JKT: "jkt", ExpiresAt: now.Add(time.Hour)},
				Access: store.AccessToken{JTI: fmt.Sprint("at_new", i), TaskID: id(i), Resource: "https://r1.example/mcp", ClientID: "cli_1", JKT: "jkt", ExpiresAt: now.Add(5 * time.Minute)},
			}, store.NewRecord("token.refreshed", nil))
			return err
		}},
		{"decision: token by jti", func(ctx context.Context, s *Store, i int) error {
			return ignore(s.AccessByJTI(ctx, name("at_", pick(i))))
		}},
		{"revoke: end a task", func(ctx context.Context, s *Store, i int) error {
			return ignore(s.EndTask(ctx, store.End{TaskID: id(i + 100_003), State: store.TaskRevoked, By: store.ByUser, Reason: "test"}))
		}},
		{"revoke: one token", func(ctx context.Context, s *Store, i int) error {
			return s.RevokeAccess(ctx, name("at_", pick(i+200_017)), store.NewRecord("token.revoked", nil))
		}},
		{"guard: feed snapshot", func(ctx context.Context, s *Store, i int) error {
			_, _, err := s.FeedSnapshot(ctx, "https://r2.example/mcp", now.Add(-time.Second))
			return err
		}},
		{"user: running tasks", func(ctx context.Context, s *Store, i int) error {
			return ignore(s.TaskList(ctx, store.TaskFilter{UserID: fmt.Sprintf("usr_%d", pick(i)/10), Live: true}))
		}},
		{"admin: a task", func(ctx context.Context, s *Store, i int) error {
			_, _, err := s.TaskByID(ctx, id(i))
			return err
		}},
		{"admin: newest live tasks", func(ctx context.Context, s *Store, i int) error {
			return ignore(s.TaskList(ctx, store.TaskFilter{Live: true, Limit: 50}))
		}},
		{"admin: a task's records", func(ctx context.Context, s *Store, i int) error { return ignore(s.NewestRecords(ctx, id(i), 0, 50)) }},
		{"admin: a task's calls", func(ctx context.Context, s *Store, i int) error { return ignore(s.TaskCalls(ctx, id(i))) }},
		{"admin: findings", func(ctx context.Context, s *Store, i int) error { return ignore(s.Findings(ctx, 0, 50)) }},
		{"admin: a page of the ledger", func(ctx context.Context, s *Store, i int) error {
			return ignore(s.Records(ctx, store.RecordFilter{AfterSeq: int64((i * 104_729) % (records - 60)), Limit: 50}))
		}},
		{"ledger: sequence", func(ctx context.Context, s *Store, i int) error { return ignore(s.Sequence(ctx)) }},
		{"sweep", func(ctx context.Context, s *Store, i int) error { return ignore(s.SweepTasks(ctx)) }},
		{"prune", func(ctx context.Context, s *Store, i int) error { return ignore(s.Prune(ctx)) }},
	}
}

// load fills the database by bulk SQL: ten tasks a user, one in fifty of them running, ten records a task.
func load(t *testing.T, s *Store, now time.Time, tasks, records int) {
	t.Helper()
	c := s.writer.conn // nobody else writes yet
	run := func(sql string, args ...any) {
		t.Helper()
		if _, err := c.c.ExecContext(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	var indexes, triggers []string
	for kind, into := range map[string]*[]string{"index": &indexes, "trigger": &triggers} {
		var drops []string
		check(t, c.each(`SELECT name, sql FROM sqlite_schema WHERE type = ? AND sql IS NOT NULL AND tbl_name IN ('tasks','grants','codes','refresh_tokens','access_tokens','ledger','feed')`,
			[]any{kind}, func(scan func(...any) error) error {
				var name, sql string
				err := scan(&name, &sql)
				drops, *into = append(drops, "DROP "+kind+" "+name), append(*into, sql)
				return err
			}))
		for _, drop := range drops {
			run(drop)
		}
	}
	run(`PRAGMA synchronous = OFF`)
	run(`PRAGMA foreign_keys = OFF`)
	us, hour := now.UnixMicro(), time.Hour.Microseconds()
	run(`BEGIN`)
	run(`INSERT INTO clients (id, metadata, policy, disabled, created_at) VALUES ('cli_1', '{}', '{}', 0, 1)`)
	for r := 1; r <= 2; r++ {
		uri := fmt.Sprintf("https://r%d.example/mcp", r)
		run(`INSERT INTO resources (uri, name, policy, policy_version, enrol_expires, disabled, created_at) VALUES (?, 'r', x'', '', 0, 0, 1)`, uri)
		run(`INSERT INTO guards (resource, key, next_execution, ack_seq, ack_at) VALUES (?, '', 1, 0, 0)`, uri)
	}
	series := func(n int) string {
		return fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) `, n-1)
	}
	insert := func(n int, table, columns, values string) {
		t.Helper()
		run(`INSERT INTO ` + table + ` (` + columns + `) ` + series(n) + `SELECT ` + values + ` FROM n`)
	}
	// The tasks that are measured run; to keep the number of those the same share in both, all run.
	insert(tasks/10+1, "users", `id, email, email_key, name, password_hash, console_role, disabled, created_at`,
		`'usr_' || i, i || '@e', i || '@e', 'U', '', 'user', 0, 1`)
	insert(tasks, "tasks", `id, parent, user_id, client_id, jkt, purpose, state, suspended_by, reason, max_calls, calls_used, created_at, activated_at, seen_at, suspended_at, ends_at, ended_at, pending_until`,
		fmt.Sprintf(`printf('tsk_%%026d', i), '', 'usr_' || (i / 10), 'cli_1', 'jkt', 'Triage the bugs of this week', 'active', '', '', 0, 0, %d + i, %d, %d, 0, %d + i, 0, 0`, us-hour, us, us, us+hour))
	insert(tasks, "grants", `id, task_id, resource, scopes, details, hash, created_at, ended_at`,
		`printf('gnt_%026d', i), printf('tsk_%026d', i), 'https://r1.example/mcp', '["tickets.read"]', CAST('[{"locations":["https://r1.example/mcp"],"tool":"get_ticket","type":"mcp_tool"}]' AS BLOB), 'sha-256:' || i, 1, 0`)
	insert(tasks, "codes", `id, task_id, client_id, redirect_uri, redirect_sent, challenge, jkt, created_at, expires_at, spent, extends`,
		`CAST(printf('c%031d', i) AS BLOB), printf('tsk_%026d', i), 'cli_1', 'http://127.0.0.1/cb', 1, 'challenge', 'jkt', 1, 1, 1, 0`)
	insert(tasks, "refresh_tokens", `id, task_id, client_id, jkt, scopes, resource, expires_at, created_at, spent_at, replays`,
		fmt.Sprintf(`CAST(printf('%%032d', i) AS BLOB), printf('tsk_%%026d', i), 'cli_1', 'jkt', '["tickets.read"]', '', %d, 1, 0, 0`, us+hour))
	insert(tasks, "access_tokens", `jti, task_id, resource, client_id, jkt, issued_at, expires_at, revoked`,
		fmt.Sprintf(`printf('at_%%026d', i), printf('tsk_%%026d', i), 'https://r1.example/mcp', 'cli_1', 'jkt', %d, %d, 0`, us, us+hour/12))
	insert(tasks, "feed", `resource, seq, kind, task_id, jti, state, reason, at`,
		fmt.Sprintf(`'https://r2.example/mcp', i + 1, 'task.ended', printf('tsk_%%026d', i), '', 'revoked', 'x', %d + i`, us-hour-int64(tasks)))
	insert(records, "ledger", `instance, n, at, kind, task, user, client, agent, resource, jti, execution, digest, payload, salt, seq, hash`,
		fmt.Sprintf(`1, i + 1, %d + i, CASE WHEN i %% %d = 0 THEN 'finding.x' WHEN i %% 3 = 0 THEN 'token.refreshed' ELSE 'execution.decided' END,
		printf('tsk_%%026d', i %% %d), 'usr_' || (i %% %d / 10), 'cli_1', 'jkt', 'https://r1.example/mcp', printf('at_%%026d', i %% %d), printf('exe_%%026d', i),
		randomblob(32), '{"decision":"allowed","tool":"get_ticket","reason":""}', randomblob(16), i + 1, randomblob(32)`, us-hour, records/60, tasks, tasks, tasks))
	for _, sql := range append(indexes, triggers...) {
		run(sql)
	}
	run(`COMMIT`)
	run(`PRAGMA foreign_keys = ON`)
	run(`PRAGMA synchronous = FULL`)
	run(`PRAGMA wal_checkpoint(TRUNCATE)`)
	s.writer.last = int64(records)
}

// sizes tells the bytes of a row with its indexes, by table.
func sizes(t *testing.T, s *Store) string {
	t.Helper()
	var text []string
	var bytes int64
	check(t, s.read(t.Context(), func(c *conn) error {
		_, err := c.one(`SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()`, nil, &bytes)
		return err
	}))
	text = append(text, fmt.Sprintf("%d MiB", bytes>>20))
	return strings.Join(text, ", ")
}
