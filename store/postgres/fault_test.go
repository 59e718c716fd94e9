package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// wire is how a store reaches the server. Armed, it carries the n-th message of the store, and loses
// the answer and the connection.
type wire struct {
	left  atomic.Int64
	armed atomic.Bool
}

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	return &wired{Conn: c, wire: w}, err
}

type wired struct {
	net.Conn
	*wire
	deaf atomic.Bool
}

func (c *wired) Write(b []byte) (int, error) {
	if c.armed.Load() && c.left.Add(-1) == 0 {
		c.deaf.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *wired) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.deaf.Load() { // the server has done what it was told
		c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// quiet carries no hints, so that verbs alone use the wire.
type quiet struct{}

func (quiet) Announce(...string)         {}
func (quiet) Listen(func(string)) func() { return func() {} }
func (quiet) Close() error               { return nil }

// failAt makes the k-th statement that inserts, updates or deletes fail in the database itself.
const failAtSQL = `
CREATE TABLE IF NOT EXISTS failure (left_over bigint);
CREATE OR REPLACE FUNCTION fail_now() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
	UPDATE failure SET left_over = left_over - 1 RETURNING left_over INTO n;
	IF n = 0 THEN RAISE EXCEPTION 'injected'; END IF;
	RETURN NULL;
END $$;
DO $$
DECLARE t text;
BEGIN
	FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('failure', 'schema_version', 'instances', 'chain') AND tablename NOT LIKE 'ledger_1%' LOOP
		EXECUTE format('CREATE TRIGGER fail_now AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH STATEMENT EXECUTE FUNCTION fail_now()', t);
	END LOOP;
END $$;`

// fixture is a store with what verbs need, made anew for each run of a verb.
type fixture struct {
	*Store
	t    *testing.T
	made int
}

func (f *fixture) id(prefix string) string { f.made++; return fmt.Sprintf("%s%d", prefix, f.made) }

const at1, at2 = "https://one.example/mcp", "https://two.example/mcp"

func world(t *testing.T, s *Store) *fixture {
	f := &fixture{Store: s, t: t}
	ctx := t.Context()
	check(t, s.AddUser(ctx, store.User{ID: "usr", Email: "a@b.example", ConsoleRole: store.RoleAdmin}))
	check(t, s.AddUser(ctx, store.User{ID: "usr2", Email: "c@d.example", ConsoleRole: store.RoleAdmin}))
	check(t, s.AddClient(ctx, store.Client{ID: "cli"}))
	for _, uri := range []string{at1, at2} {
		check(t, s.AddResource(ctx, store.Resource{URI: uri, GuardID: "grd" + uri}))
	}
	return f
}

func (f *fixture) push() store.Hash {
	id := store.HashOf(f.id("request"))
	check(f.t, f.PushRequest(f.t.Context(), store.Request{ID: id, ClientID: "cli", ExpiresAt: time.Now().Add(time.Hour)}))
	_, err := f.BindRequest(f.t.Context(), id, "cli", store.HashOf("session"))
	check(f.t, err)
	return id
}

func (f *fixture) approval(with ...func(*store.Approval)) store.Approval {
	task, now := f.id("tsk"), time.Now()
	a := store.Approval{
		Request: f.push(), Session: store.HashOf("session"),
		Task: store.Task{ID: task, UserID: "usr", ClientID: "cli", EndsAt: now.Add(time.Hour)},
		Grants: []store.Grant{
			{ID: f.id("gnt"), TaskID: task, Resource: at1, Details: []byte("[]")},
			{ID: f.id("gnt"), TaskID: task, Resource: at2, Details: []byte("[]")},
		},
		Code: store.Code{ID: store.HashOf(task), TaskID: task, ClientID: "cli", ExpiresAt: now.Add(time.Minute)},
	}
	for _, w := range with {
		w(&a)
	}
	return a
}

func (f *fixture) access(task string) store.AccessToken {
	return store.AccessToken{JTI: f.id("jti"), TaskID: task, Resource: at1, ClientID: "cli", ExpiresAt: time.Now().Add(5 * time.Minute)}
}

func (f *fixture) refresh(task string) store.RefreshToken {
	return store.RefreshToken{ID: store.HashOf(f.id("refresh")), TaskID: task, ClientID: "cli", ExpiresAt: time.Now().Add(time.Hour)}
}

// loan is a running task with its tokens.
type loan struct {
	task    string
	access  store.AccessToken
	refresh store.RefreshToken
}

func (f *fixture) lend(with ...func(*store.Approval)) loan {
	a := f.approval(with...)
	check(f.t, f.Approve(f.t.Context(), a))
	l := loan{task: a.Task.ID, access: f.access(a.Task.ID), refresh: f.refresh(a.Task.ID)}
	check(f.t, f.RedeemCode(f.t.Context(), store.Redemption{Code: a.Code.ID, JKT: "jkt", Access: l.access, Refresh: &l.refresh}))
	return l
}

func rec() store.Record { return store.NewRecord("test", nil) }

// verbs are the writing verbs of the protocol, each with what it needs prepared.
var verbs = map[string]func(f *fixture) func(context.Context) error{
	"PushRequest": func(f *fixture) func(context.Context) error {
		r := store.Request{ID: store.HashOf(f.id("r")), ClientID: "cli", ExpiresAt: time.Now().Add(time.Hour)}
		return func(ctx context.Context) error { return f.PushRequest(ctx, r, rec()) }
	},
	"Approve": func(f *fixture) func(context.Context) error {
		a := f.approval()
		return func(ctx context.Context) error { return f.Approve(ctx, a, rec()) }
	},
	"Deny": func(f *fixture) func(context.Context) error {
		id := f.push()
		return func(ctx context.Context) error { return f.Deny(ctx, id, store.HashOf("session"), rec()) }
	},
	"RedeemCode": func(f *fixture) func(context.Context) error {
		a := f.approval()
		check(f.t, f.Approve(f.t.Context(), a))
		refresh := f.refresh(a.Task.ID)
		r := store.Redemption{Code: a.Code.ID, JKT: "jkt", Access: f.access(a.Task.ID), Refresh: &refresh}
		return func(ctx context.Context) error { return f.RedeemCode(ctx, r, rec()) }
	},
	"RotateRefreshToken": func(f *fixture) func(context.Context) error {
		l := f.lend()
		r := store.Rotation{Old: l.refresh.ID, New: f.refresh(l.task), Successor: []byte("s"), Access: f.access(l.task)}
		return func(ctx context.Context) error { _, _, err := f.RotateRefreshToken(ctx, r, rec()); return err }
	},
	"ReserveCall": func(f *fixture) func(context.Context) error {
		l := f.lend()
		r := store.Reservation{Execution: "exe", TaskID: l.task, Resource: at1, Tool: "add", JTI: l.access.JTI, ToolMax: 2}
		return func(ctx context.Context) error { _, _, err := f.ReserveCall(ctx, r, rec()); return err }
	},
	"RevokeAccess": func(f *fixture) func(context.Context) error {
		l := f.lend()
		return func(ctx context.Context) error { return f.RevokeAccess(ctx, l.access.JTI, rec()) }
	},
	"EndTask": func(f *fixture) func(context.Context) error {
		l := f.lend()
		f.lend(func(a *store.Approval) { a.Task.Parent = l.task })
		return func(ctx context.Context) error {
			_, err := f.EndTask(ctx, store.End{TaskID: l.task, State: store.TaskRevoked, By: store.ByUser}, rec())
			return err
		}
	},
	"EndLeg": func(f *fixture) func(context.Context) error {
		l := f.lend()
		return func(ctx context.Context) error { _, err := f.EndLeg(ctx, l.task, at1, "test", rec()); return err }
	},
	"SuspendTask": func(f *fixture) func(context.Context) error {
		l := f.lend()
		return func(ctx context.Context) error {
			_, err := f.SuspendTask(ctx, l.task, store.ByUser, "test", rec())
			return err
		}
	},
	"DisableUser": func(f *fixture) func(context.Context) error {
		f.lend()
		return func(ctx context.Context) error { _, err := f.DisableUser(ctx, "usr", true, rec()); return err }
	},
	"AppendExecutions": func(f *fixture) func(context.Context) error {
		l := f.lend()
		r := rec()
		r.Task = l.task
		return func(ctx context.Context) error {
			_, err := f.AppendExecutions(ctx, "grd"+at1, "", 1, []store.Record{r})
			return err
		}
	},
	"AckFeed": func(f *fixture) func(context.Context) error {
		l := f.lend()
		_, err := f.EndTask(f.t.Context(), store.End{TaskID: l.task, State: store.TaskRevoked, By: store.ByUser})
		check(f.t, err)
		return func(ctx context.Context) error { _, err := f.Store.AckFeed(ctx, at1, "", 1); return err }
	},
}

// TestEachStatementFails fails every statement of every verb once, in the database: afterwards
// nothing has happened, and the same verb then succeeds.
func TestEachStatementFails(t *testing.T) {
	for name, verb := range verbs {
		t.Run(name, func(t *testing.T) {
			s := open(t, nil)
			t.Cleanup(func() {
				s.pool.Exec(context.Background(), `DROP FUNCTION IF EXISTS fail_now CASCADE; DROP TABLE IF EXISTS failure`)
			})
			run := verb(world(t, s))
			_, err := s.pool.Exec(t.Context(), failAtSQL)
			check(t, err)
			ctx := t.Context()
			k := 1
			for ; ; k++ {
				_, err := s.pool.Exec(ctx, fmt.Sprintf(`DELETE FROM failure; INSERT INTO failure VALUES (%d)`, k))
				check(t, err)
				before := tables(t, s)
				if err = run(ctx); err == nil {
					break
				}
				if !isInjected(err) {
					t.Fatalf("statement %d: %v", k, err)
				}
				after := tables(t, s)
				for table, was := range before {
					if is := after[table]; is != was && table != "failure" {
						t.Errorf("statement %d failed, and %s changed", k, table)
					}
				}
			}
			if k < 2 {
				t.Error("no statement failed")
			}
		})
	}
}

func isInjected(err error) bool {
	var pg interface{ SQLState() string }
	return errors.As(err, &pg) && pg.SQLState() == "P0001"
}

// TestEachAnswerIsLost loses the connection instead of the answer to every message of every verb:
// the verb is never answered with success or with a refusal, and to repeat it is safe.
func TestEachAnswerIsLost(t *testing.T) {
	for name, verb := range verbs {
		t.Run(name, func(t *testing.T) {
			for k := int64(1); ; k++ {
				w := &wire{}
				s := openAt(t, database(t), Options{MaxConns: 1, dial: w.dial, Fanout: quiet{}})
				run := verb(world(t, s))
				earlier := recorded(t, s)
				w.left.Store(k)
				w.armed.Store(true)
				err := run(t.Context())
				w.armed.Store(false)
				if w.left.Load() > 0 { // it takes fewer messages
					check(t, err)
					s.Close()
					return
				}
				if err == nil || isSentinel(err) {
					t.Fatalf("message %d: %v", k, err)
				}
				err = run(t.Context()) // done, refused because it was done, or the same names again
				times := recorded(t, s) - earlier
				if done := times == 1 || name == "AckFeed" || name == "DisableUser" && times == 2; !done {
					t.Errorf("message %d: repeated, then %v: %d records", k, err, times)
				}
				s.Close()
			}
		})
	}
}

func isSentinel(err error) bool {
	for _, s := range []error{
		store.ErrRequestDecided, store.ErrCodeSpent, store.ErrRefreshReused, store.ErrTaskEnded, store.ErrTaskNotActive, store.ErrTokenNotFound,
	} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}

// recorded counts the test's own records.
func recorded(t *testing.T, s *Store) (n int) {
	t.Helper()
	check(t, s.read(t.Context(), func(c *conn) error {
		_, err := c.one(`SELECT count(*) FROM ledger_inbox WHERE kind = 'test'`, nil, &n)
		return err
	}))
	return n
}
