//go:build large

package sqlite

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

var (
	largeTasks   = flag.Int("tasks", 1_000_000, "tasks of the large database")
	largeRecords = flag.Int("records", 10_000_000, "ledger records of the large database")
	largeLive    = flag.Int("live", 20_000, "tasks of the large database that live")
	largeRounds  = flag.Int("rounds", 400, "how often each query is measured")
)

// maxGrowth is how much more CPU a query may cost in the large database.
const maxGrowth = 1.5

// scale is a database as use leaves it behind: most tasks have ended, and what belonged to those that
// ended longer than KeepEnded ago is forgotten. Ids lie in the order of their making, hashes anywhere.
// The newest tasks live, and they are what is asked about: agents refresh every few minutes, so that
// their pages are warm.
type scale struct {
	tasks, records int
	kept           int // tasks whose tokens are not forgotten yet
	live           int
}

// TestLarge measures the same queries in a small and in a large database, in one run.
func TestLarge(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	cost, wall := map[string][]time.Duration{}, map[string][]time.Duration{}
	var names []string
	large := scale{*largeTasks, *largeRecords, max(*largeTasks/10, *largeLive), *largeLive}
	for _, size := range []scale{{4_000, 40_000, 4_000, 4_000}, large} {
		path := filepath.Join(t.TempDir(), "remit.db")
		began := time.Now()
		load(t, path, now, size)
		s := reopen(t, path, func() time.Time { return now })
		t.Logf("%+v loaded in %s: %s", size, time.Since(began).Round(time.Second), sizes(t, s))
		for _, q := range largeQueries(size, now) {
			if !slices.Contains(names, q.name) {
				names = append(names, q.name)
			}
			c, w := measure(t, s, q)
			cost[q.name], wall[q.name] = append(cost[q.name], c), append(wall[q.name], w)
		}
		check(t, s.Close())
	}
	for _, name := range names {
		c, w := cost[name], wall[name]
		ratio := float64(c[1]) / float64(c[0])
		t.Logf("%-28s CPU %8s → %8s × %.2f   median wall %8s → %8s × %.2f", name,
			c[0].Round(time.Microsecond), c[1].Round(time.Microsecond), ratio,
			w[0].Round(time.Microsecond), w[1].Round(time.Microsecond), float64(w[1])/float64(w[0]))
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

// measure is the mean CPU time and the median time of a query, over tasks that lie far apart.
func measure(t *testing.T, s *Store, q query) (cpu, wall time.Duration) {
	t.Helper()
	took := make([]time.Duration, *largeRounds)
	warm := len(took) / 4 // the first ones fill caches, in both databases
	var from time.Duration
	for round := range took {
		if round == warm {
			from = processTime(t)
		}
		began := time.Now()
		if err := q.ask(t.Context(), s, round); err != nil {
			t.Fatalf("%s: %v", q.name, err)
		}
		took[round] = time.Since(began)
	}
	cpu = (processTime(t) - from) / time.Duration(len(took)-warm)
	took = took[warm:]
	slices.Sort(took)
	return cpu, took[len(took)/2]
}

// processTime is the CPU time that this process has used.
func processTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	check(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// name is an id that lies beside those made at the same time, as tokens.NewID makes them; nameSQL makes the
// same in SQL. Hashes of secrets lie anywhere: scattered.
func name(prefix string, i int) string { return fmt.Sprintf("%s%026d", prefix, i) }

func nameSQL(prefix, i string) string { return `printf('` + prefix + `%026d', ` + i + `)` }

func scattered(prefix string, i int) string {
	return fmt.Sprintf("%s%08x%018d", prefix, i*2_654_435_761%(1<<32), i)
}

func scatteredSQL(prefix, i string) string {
	return `printf('` + prefix + `%08x%018d', (` + i + `) * 2654435761 % 4294967296, ` + i + `)`
}

// escaped is nameSQL inside a format.
func escaped(prefix, i string) string { return escapedSQL(nameSQL(prefix, i)) }

func escapedSQL(sql string) string { return strings.ReplaceAll(sql, "%", "%%") }

func largeQueries(size scale, now time.Time) []query {
	first := size.tasks - size.live // of those that live
	pick := func(part, i int) int { // far apart, each once; what ends is another quarter of them
		return first + part*size.live/4 + (i*7919+13)%(size.live/4)
	}
	id := func(i int) string { return name("tsk_", pick(0, i)) }
	refreshOf := func(task int) (h store.Hash) { copy(h[:], scattered("rrrrrr", task*4)); return h }
	rotate := func(ctx context.Context, s *Store, old store.Hash, task, fresh string) error {
		_, _, err := s.RotateRefreshToken(ctx, store.Rotation{
			Old: old, Successor: []byte("sealed"),
			New:    store.RefreshToken{ID: store.HashOf(fresh), TaskID: task, ClientID: "cli_1", JKT: "jkt", ExpiresAt: now.Add(time.Hour)},
			Access: store.AccessToken{JTI: name("at_"+fresh, 0), TaskID: task, Resource: "https://r1.example/mcp", ClientID: "cli_1", JKT: "jkt", ExpiresAt: now.Add(5 * time.Minute)},
		}, store.NewRecord("token.refreshed", nil))
		return err
	}
	ignore := func(_ any, err error) error { return err }
	return []query{
		{"token: refresh read", func(ctx context.Context, s *Store, i int) error {
			return ignore(s.RefreshByID(ctx, refreshOf(pick(0, i))))
		}},
		{"token: refresh rotated", func(ctx context.Context, s *Store, i int) error {
			return rotate(ctx, s, refreshOf(pick(0, i)), id(i), fmt.Sprint("fresh", i))
		}},
		{"token: both, one by one", func(ctx context.Context, s *Store, i int) error { // a connection forgets its pages when another one commits
			h := refreshOf(pick(3, i))
			if _, err := s.RefreshByID(ctx, h); err != nil {
				return err
			}
			return rotate(ctx, s, h, name("tsk_", pick(3, i)), fmt.Sprint("both", i))
		}},
		{"decision: token by jti", func(ctx context.Context, s *Store, i int) error {
			return ignore(s.AccessByJTI(ctx, name("at_", pick(0, i)*4)))
		}},
		{"consent: tasks of a key", func(ctx context.Context, s *Store, i int) error {
			return ignore(s.TaskList(ctx, store.TaskFilter{UserID: fmt.Sprintf("usr_%d", pick(0, i)/10), ClientID: "cli_1", JKT: "jkt", Resource: "https://r1.example/mcp", Live: true, Limit: 2}))
		}},
		{"guard: feed snapshot", func(ctx context.Context, s *Store, i int) error {
			_, _, err := s.FeedSnapshot(ctx, "https://r2.example/mcp", now.Add(-time.Second))
			return err
		}},
		{"user: running tasks", func(ctx context.Context, s *Store, i int) error {
			return ignore(s.TaskList(ctx, store.TaskFilter{UserID: fmt.Sprintf("usr_%d", pick(0, i)/10), Live: true}))
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
			return ignore(s.Records(ctx, store.RecordFilter{AfterSeq: int64((i * 104_729) % (size.records - 60)), Limit: 50}))
		}},
		{"revoke: end a task", func(ctx context.Context, s *Store, i int) error {
			return ignore(s.EndTask(ctx, store.End{TaskID: name("tsk_", pick(1, i)), State: store.TaskRevoked, By: store.ByUser, Reason: "test"}))
		}},
		{"revoke: one token", func(ctx context.Context, s *Store, i int) error {
			return s.RevokeAccess(ctx, name("at_", pick(2, i)*4), store.NewRecord("token.revoked", nil))
		}},
		{"ledger: sequence", func(ctx context.Context, s *Store, i int) error { return ignore(s.Sequence(ctx)) }},
		{"sweep", func(ctx context.Context, s *Store, i int) error { return ignore(s.SweepTasks(ctx)) }},
		{"prune", func(ctx context.Context, s *Store, i int) error { return ignore(s.Prune(ctx)) }},
	}
}

// load fills a new database by bulk SQL: ten tasks a user, four tokens of either kind and ten records a
// task. Nothing else has the file open, so that it needs neither log nor sync.
func load(t *testing.T, path string, now time.Time, size scale) {
	t.Helper()
	check(t, reopen(t, path, time.Now).Close())
	db, err := sql.Open("sqlite", path)
	check(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	run := func(sql string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for _, pragma := range []string{"locking_mode = EXCLUSIVE", "journal_mode = DELETE", "journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF", "cache_size = -300000"} {
		run(`PRAGMA ` + pragma)
	}
	var again []string
	rows, err := db.QueryContext(t.Context(), `SELECT type, name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL
		AND tbl_name IN ('tasks','grants','codes','refresh_tokens','access_tokens','ledger','feed') ORDER BY type`)
	check(t, err)
	var drops []string
	for rows.Next() {
		var kind, name, sql string
		check(t, rows.Scan(&kind, &name, &sql))
		drops, again = append(drops, "DROP "+kind+" "+name), append(again, sql)
	}
	check(t, rows.Err())
	for _, drop := range drops {
		run(drop)
	}
	us, hour := now.UnixMicro(), time.Hour.Microseconds()
	run(`INSERT INTO clients (id, metadata, policy, disabled, created_at) VALUES ('cli_1', '{}', '{}', 0, 1)`)
	for r := 1; r <= 2; r++ {
		uri := fmt.Sprintf("https://r%d.example/mcp", r)
		run(`INSERT INTO resources (uri, name, policy, policy_version, enrol_expires, disabled, created_at) VALUES (?, 'r', x'', '', 0, 0, 1)`, uri)
		run(`INSERT INTO guards (resource, key, next_execution, ack_seq, ack_at) VALUES (?, '', 1, 0, 0)`, uri)
	}
	insert := func(from, to int, table, columns, values string) {
		t.Helper()
		run(fmt.Sprintf(`INSERT INTO %s (%s) WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT %s FROM n`, table, columns, from, to-1, values))
	}
	live, kept := size.tasks-size.live, size.tasks-size.kept // the first of each
	insert(0, size.tasks/10+1, "users", `id, email, email_key, name, password_hash, console_role, disabled, created_at`,
		`'usr_' || i, i || '@e', i || '@e', 'U', '', 'user', 0, 1`)
	insert(0, size.tasks, "tasks", `id, parent, user_id, client_id, jkt, purpose, state, suspended_by, reason, max_calls, calls_used, created_at, activated_at, seen_at, suspended_at, ends_at, ended_at, pending_until, pruned`,
		fmt.Sprintf(escaped("tsk_", "i")+`, '', 'usr_' || (i / 10), 'cli_1', 'jkt', 'Triage the bugs of this week', iif(i < %[1]d, 'completed', 'active'), '', '', 0, 0,
		%[2]d + i, %[3]d, %[3]d, 0, %[3]d + %[4]d + i, iif(i < %[1]d, %[3]d - %[4]d - %[5]d + i, 0), 0, i < %[6]d`, live, us-2*hour, us, hour, size.tasks, kept))
	insert(0, size.tasks, "grants", `id, task_id, resource, scopes, details, hash, created_at, ended_at`,
		nameSQL("gnt_", "i")+`, `+nameSQL("tsk_", "i")+`, 'https://r1.example/mcp', '["tickets.read"]', CAST('[{"locations":["https://r1.example/mcp"],"tool":"get_ticket","type":"mcp_tool"}]' AS BLOB), 'sha-256:' || i, 1, 0`)
	insert(kept, size.tasks, "codes", `id, task_id, client_id, redirect_uri, redirect_sent, challenge, jkt, created_at, expires_at, spent, extends`,
		`CAST(`+scatteredSQL("cccccc", "i")+` AS BLOB), `+nameSQL("tsk_", "i")+`, 'cli_1', 'http://127.0.0.1/cb', 1, 'challenge', 'jkt', 1, 1, 1, 0`)
	insert(4*kept, 4*size.tasks, "refresh_tokens", `id, task_id, client_id, jkt, scopes, resource, expires_at, created_at, spent_at, replays`,
		fmt.Sprintf(`CAST(`+escapedSQL(scatteredSQL("rrrrrr", "i"))+` AS BLOB), `+escaped("tsk_", "i / 4")+`, 'cli_1', 'jkt', '["tickets.read"]', '', %d, 1, iif(i %% 4, 1, 0), 0`, us+hour))
	insert(4*kept, 4*size.tasks, "access_tokens", `jti, task_id, resource, client_id, jkt, issued_at, expires_at, revoked`,
		fmt.Sprintf(escaped("at_", "i")+`, `+escaped("tsk_", "i / 4")+`, 'https://r1.example/mcp', 'cli_1', 'jkt', %d, %d, 0`, us, us+hour/12))
	insert(0, size.kept, "feed", `resource, seq, kind, task_id, jti, state, reason, at`,
		fmt.Sprintf(`'https://r2.example/mcp', i + 1, 'task.ended', `+escaped("tsk_", "i")+`, '', 'revoked', 'x', %d + i`, us-hour-int64(size.tasks)))
	insert(0, size.records, "ledger", `instance, n, at, kind, task, user, client, agent, resource, jti, execution, digest, payload, salt, seq, hash`,
		fmt.Sprintf(`1, i + 1, %[1]d + i, CASE WHEN i %% %[2]d = 0 THEN 'finding.x' WHEN i %% 3 = 0 THEN 'token.refreshed' ELSE 'execution.decided' END, `+
			escaped("tsk_", fmt.Sprintf("(i * %d / %d)", size.tasks, size.records))+`, 'usr_' || (i * %[3]d / %[4]d / 10), 'cli_1', 'jkt', 'https://r1.example/mcp', `+escaped("at_", "i")+`, `+escaped("exe_", "i")+`,
		randomblob(32), '{"decision":"allowed","tool":"get_ticket","reason":""}', randomblob(16), i + 1, randomblob(32)`, us-hour, size.records/60, size.tasks, size.records))
	for _, sql := range again {
		run(sql)
	}
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
