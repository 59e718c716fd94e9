//go:build large

package postgres

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/remit-auth/remit/store"
)

var (
	largeTasks   = flag.Int("pg-tasks", 1_000_000, "tasks of the large database")
	largeRecords = flag.Int("pg-records", 10_000_000, "ledger records of the large database")
	largeRounds  = flag.Int("pg-rounds", 300, "how often each query is measured")
)

// maxGrowth is how much more time a query may take in the large database.
const maxGrowth = 1.5

// scale is a database as use leaves it behind: most tasks have ended, the tokens of those that ended
// long ago are forgotten, and what is asked about are the newest tasks, which live.
type scale struct{ tasks, records, kept, live int }

// TestLarge measures the same queries in a small and in a large database, in turns: what else the
// machine does hits both alike.
func TestLarge(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	sizes := [2]scale{{4_000, 40_000, 4_000, 4_000}, {*largeTasks, *largeRecords, max(*largeTasks/5, 20_000), 20_000}}
	var stores [2]*Store
	var queries [2][]query
	for i, size := range sizes {
		url := database(t)
		began := time.Now()
		load(t, url, now, size)
		t.Logf("%+v loaded in %s", size, time.Since(began).Round(time.Second))
		stores[i], queries[i] = openAt(t, url, Options{Now: func() time.Time { return now }}), largeQueries(size, now)
	}
	for n, q := range queries[0] {
		var took [2][]time.Duration
		for round := range *largeRounds {
			for i := range stores {
				began := time.Now()
				if err := queries[i][n].ask(t.Context(), stores[i], round); err != nil {
					t.Fatalf("%s: %v", q.name, err)
				}
				if round >= *largeRounds/4 { // the first ones fill caches, in both databases
					took[i] = append(took[i], time.Since(began))
				}
			}
		}
		median := func(d []time.Duration) time.Duration { slices.Sort(d); return d[len(d)/2] }
		small, large := median(took[0]), median(took[1])
		ratio := float64(large) / float64(small)
		t.Logf("%-28s %8s → %8s × %.2f", q.name, small.Round(time.Microsecond), large.Round(time.Microsecond), ratio)
		if ratio > maxGrowth {
			t.Errorf("%s costs × %.2f in the large database", q.name, ratio)
		}
	}
}

// query is one thing that a server asks of its store; i chooses whose.
type query struct {
	name string
	ask  func(ctx context.Context, s *Store, i int) error
}

// name is an id that lies beside those made at the same time, as tokens.NewID makes them; nameSQL makes the
// same in SQL. Hashes of secrets lie anywhere: scattered.
func name(prefix string, i int) string { return fmt.Sprintf("%s%026d", prefix, i) }

func nameSQL(prefix, i string) string {
	return fmt.Sprintf(`('%s' || lpad((%s)::text, 26, '0'))`, prefix, i)
}

func scattered(prefix string, i int) string {
	return fmt.Sprintf("%s%08x%018d", prefix, i*2_654_435_761%(1<<32), i)
}

func scatteredSQL(prefix, i string) string {
	return strings.NewReplacer("PREFIX", prefix, "I", i).Replace(`('PREFIX' || lpad(to_hex((I)::bigint * 2654435761 % 4294967296), 8, '0') || lpad((I)::text, 18, '0'))`)
}

func largeQueries(size scale, now time.Time) []query {
	pick := func(part, i int) int {
		return size.tasks - size.live + part*size.live/4 + (i*7919+13)%(size.live/4)
	}
	id := func(i int) string { return name("tsk_", pick(0, i)) }
	user := func(i int) string { return fmt.Sprintf("usr_%d", pick(0, i)/10) }
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
			return ignore(s.TaskList(ctx, store.TaskFilter{UserID: user(i), ClientID: "cli_1", JKT: "jkt", Resource: "https://r1.example/mcp", Live: true, Begun: true, Limit: 2}))
		}},
		{"guard: feed snapshot", func(ctx context.Context, s *Store, i int) error {
			_, _, err := s.FeedSnapshot(ctx, "https://r2.example/mcp", now.Add(-time.Second))
			return err
		}},
		{"user: running tasks", func(ctx context.Context, s *Store, i int) error {
			return ignore(s.TaskList(ctx, store.TaskFilter{UserID: user(i), Live: true}))
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
		{"sweep", func(ctx context.Context, s *Store, i int) error { return ignore(s.SweepTasks(ctx)) }},
		{"prune", func(ctx context.Context, s *Store, i int) error { return ignore(s.Prune(ctx)) }},
	}
}

// load fills a new database by bulk SQL: ten tasks a user, four tokens of either kind a task.
func load(t *testing.T, url string, now time.Time, size scale) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	check(t, err)
	defer c.Close(context.Background())
	run := func(sql string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	insert := func(from, to int, table, columns, values string) {
		t.Helper()
		run(fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s FROM generate_series(%d::bigint, %d) i`, table, columns, values, from, to-1))
	}
	text := func(values string, args map[string]any) string {
		for name, v := range args {
			values = strings.ReplaceAll(values, "{"+name+"}", fmt.Sprint(v))
		}
		return values
	}
	us, hour := now.UnixMicro(), time.Hour.Microseconds()
	task := nameSQL("tsk_", "i")
	args := map[string]any{
		"live": size.tasks - size.live, "kept": size.tasks - size.kept, "tasks": size.tasks, "records": size.records, "us": us, "hour": hour, "every": size.records / 60,
		"task": task, "of4": nameSQL("tsk_", "i / 4"), "grant": nameSQL("gnt_", "i"), "at": nameSQL("at_", "i"), "exe": nameSQL("exe_", "i"),
		"rr": scatteredSQL("rrrrrr", "i"), "about": nameSQL("tsk_", fmt.Sprintf("i * %d / %d", size.tasks, size.records)),
	}
	s := openAt(t, url, Options{})
	check(t, s.AddClient(t.Context(), store.Client{ID: "cli_1"}))
	for r := 1; r <= 2; r++ {
		check(t, s.AddResource(t.Context(), store.Resource{URI: fmt.Sprintf("https://r%d.example/mcp", r), Name: "r"}))
	}
	check(t, s.Close())
	run(`SET synchronous_commit = off`)
	run(`SET session_replication_role = replica`) // no triggers, no foreign keys
	indexes := secondary(t, c)                    // to build them at once is quicker than row by row
	for name := range indexes {
		run(`DROP INDEX ` + name)
	}
	run(fmt.Sprintf(`INSERT INTO feed_heads (resource, seq) VALUES ('https://r2.example/mcp', %d) ON CONFLICT (resource) DO UPDATE SET seq = excluded.seq`, size.kept))
	insert(0, size.tasks/10+1, "users", `id, email, email_key, name, password_hash, console_role, disabled, created_at`, `'usr_' || i, i || '@e', i || '@e', 'U', '', 'user', false, 1`)
	insert(0, size.tasks, "tasks", `id, root, parent, user_id, client_id, jkt, purpose, state, suspended_by, reason, max_calls, calls_used, created_at, activated_at, seen_at, suspended_at, ends_at, ended_at, pending_until, idle_at, delegates, pruned, ledger_from`,
		text(`{task}, {task}, '', 'usr_' || i / 10, 'cli_1', 'jkt', 'Triage the bugs of this week', CASE WHEN i < {live} THEN 'completed' ELSE 'active' END, '', '', 0, 0,
		{us} - 2 * {hour}::bigint + i, {us}, {us}, 0, {us} + {hour}::bigint + i, CASE WHEN i < {live} THEN {us} - {hour}::bigint - {tasks} + i ELSE 0 END, 0, {us} + {hour}::bigint, '[]', i < {kept}, i * {records} / {tasks}`, args))
	insert(0, size.tasks, "grants", `id, task_id, resource, scopes, details, hash, created_at, ended_at`,
		text(`{grant}, {task}, 'https://r1.example/mcp', '["tickets.read"]', '[{"locations":["https://r1.example/mcp"],"tool":"get_ticket","type":"mcp_tool"}]', 'sha-256:' || i, 1, 0`, args))
	insert(4*(size.tasks-size.kept), 4*size.tasks, "refresh_tokens", `id, task_id, client_id, jkt, scopes, resource, expires_at, created_at, spent_at, replays`,
		text(`convert_to({rr}, 'UTF8'), {of4}, 'cli_1', 'jkt', '["tickets.read"]', '', {us} + {hour}::bigint, 1, (i % 4 > 0)::int, 0`, args))
	insert(4*(size.tasks-size.kept), 4*size.tasks, "access_tokens", `jti, task_id, resource, client_id, jkt, issued_at, expires_at, revoked, kid`,
		text(`{at}, {of4}, 'https://r1.example/mcp', 'cli_1', 'jkt', {us}, {us} + {hour}::bigint / 12, false, ''`, args))
	insert(0, size.kept, "feed", `resource, seq, kind, task_id, jti, state, reason, at`,
		text(`'https://r2.example/mcp', i + 1, 'task.ended', {task}, '', 'revoked', 'x', {us} - {hour}::bigint - {tasks} + i`, args))
	insert(0, size.records, "ledger", `seq, hash, instance, n, at, kind, task, "user", client, agent, resource, jti, execution, digest, payload, salt, refused`,
		text(`i + 1, sha256(i::text::bytea), 1, i + 1, {us} - {hour}::bigint + i, CASE WHEN i % {every} = 0 THEN 'finding.x' WHEN i % 3 = 0 THEN 'token.refreshed' ELSE 'execution.decided' END,
		{about}, 'usr_' || i * {tasks} / {records} / 10, 'cli_1', 'jkt', 'https://r1.example/mcp', {at}, {exe}, sha256(i::text::bytea), '{"decision":"allowed","tool":"get_ticket","reason":""}', sha256(''), false`, args))
	run(fmt.Sprintf(`UPDATE chain SET size = %d, head = sha256('')`, size.records))
	run(`SET maintenance_work_mem = '512MB'`)
	for _, index := range slices.Sorted(maps.Values(indexes)) {
		run(index)
	}
	run(`VACUUM ANALYZE`)
}

const secondarySQL = `SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid)`

// secondary are the indexes that no constraint needs, by name, each with the statement that makes it.
func secondary(t *testing.T, c *pgx.Conn) map[string]string {
	t.Helper()
	rows, err := c.Query(t.Context(), secondarySQL)
	check(t, err)
	all := map[string]string{}
	var name, text string
	_, err = pgx.ForEachRow(rows, []any{&name, &text}, func() error {
		all[name] = strings.Replace(text, " ON ONLY ", " ON ", 1) // the partitions' too
		return nil
	})
	check(t, err)
	return all
}
