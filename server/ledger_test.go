package server_test

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/memory"
	"github.com/remit-auth/remit/store/sqlite"
)

// waiting is a store that says when it has sequenced, sealed and swept.
type waiting struct {
	store.Store
	sealed chan store.Checkpoint
	swept  chan struct{}
}

func (s *waiting) AddCheckpoint(ctx context.Context, c store.Checkpoint) error {
	err := s.Store.AddCheckpoint(ctx, c)
	s.sealed <- c
	return err
}

func (s *waiting) SweepTasks(ctx context.Context) (int, error) {
	n, err := s.Store.SweepTasks(ctx)
	select {
	case s.swept <- struct{}{}:
	default:
	}
	return n, err
}

// TestRun: records are chained and sealed by themselves, tasks swept, and what is left at the end
// is sealed before Run returns.
func TestRun(t *testing.T) {
	db := &waiting{sealed: make(chan store.Checkpoint, 100), swept: make(chan struct{}, 1)}
	w := newWorldOn(t, func(s store.Store) store.Store { db.Store = s; return db })
	_, claims := w.lend()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.server.Run(ctx) }()
	first := <-db.sealed
	if first.Size == 0 {
		t.Errorf("sealed nothing: %+v", first)
	}
	w.clock.Add(31 * time.Minute)
	<-db.swept
	<-db.swept // a whole sweep since the clock moved
	if task, _, err := w.store.TaskByID(ctx, claims.Task.ID); err != nil || task.State != store.TaskExpired {
		t.Errorf("after its deadline: %s (%v)", task.State, err)
	}
	stop()
	must(t, <-done)
	size, head, err := w.store.Head(context.Background())
	must(t, err)
	last, err := w.store.LastCheckpoint(context.Background())
	must(t, err)
	if last.Size != size || last.Head != head || size <= first.Size {
		t.Errorf("after Run: sealed %d, ledger has %d", last.Size, size)
	}
	claimed, err := w.keys().VerifyCheckpoint(last.Signed)
	must(t, err)
	if claimed.Size != size || claimed.Head != head.String() || claimed.Issuer != w.issuer {
		t.Errorf("checkpoint %+v", claimed)
	}
}

// TestAlteredLedgerIsNeverSealed: a server that finds another past than it signed signs no further.
func TestAlteredLedgerIsNeverSealed(t *testing.T) {
	tests := map[string]string{
		"the last sealed record changed": `UPDATE ledger SET hash = zeroblob(32) WHERE seq = (SELECT size FROM checkpoints ORDER BY id DESC LIMIT 1)`,
		"the tail cut":                   `DELETE FROM ledger WHERE seq >= (SELECT size FROM checkpoints ORDER BY id DESC LIMIT 1)`,
		"the checkpoint changed":         `UPDATE checkpoints SET head = zeroblob(32)`,
		"its signature changed":          `UPDATE checkpoints SET signed = substr(signed, 1, length(signed) - 4) || 'AAAA'`,
	}
	for name, mutation := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			path := filepath.Join(t.TempDir(), "remit.db")
			key := make([]byte, 32)
			open := func() (*sqlite.Store, *server.Server) {
				db, err := sqlite.Open(ctx, path, sqlite.Options{})
				must(t, err)
				s, err := server.New(ctx, server.Config{Issuer: "https://as.example", Store: db, Ephemeral: memory.New(memory.Options{}), MasterKey: key})
				must(t, err)
				return db, s
			}
			db, s := open()
			for range 5 {
				must(t, db.Append(ctx, store.NewRecord("test", nil)))
			}
			must(t, s.Settle(ctx))
			must(t, db.Close())
			mutate(t, path, mutation)
			db, s = open()
			defer db.Close()
			must(t, db.Append(ctx, store.NewRecord("test", nil)))
			if err := s.Settle(ctx); err == nil {
				t.Error("it was sealed over")
			}
			if all, err := db.Checkpoints(ctx); err != nil || len(all) != 1 {
				t.Errorf("%d checkpoints (%v)", len(all), err)
			}
		})
	}
}

// mutate changes the database behind the server's back, past the triggers.
func mutate(t testing.TB, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	rows, err := db.Query(`SELECT 'DROP TRIGGER ' || name FROM sqlite_schema WHERE type = 'trigger'`)
	must(t, err)
	var all []string
	for rows.Next() {
		var drop string
		must(t, rows.Scan(&drop))
		all = append(all, drop)
	}
	must(t, errors.Join(rows.Err(), rows.Close()))
	for _, statement := range append(all, statements...) {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	must(t, db.Close())
}

// TestOneRecordPerAction: every action of an administrator or a Guard is one record (AU1).
func TestOneRecordPerAction(t *testing.T) {
	w := newWorld(t)
	g := w.guard(ticketsURI)
	_, one := w.lend()
	_, two := w.lend()
	mara := map[string]string{"user": "mara@example.com"}
	role := map[string]string{"user": "mara@example.com", "resource": ticketsURI, "role": "reader"}
	client := map[string]string{"client_id": w.other}
	for _, tt := range []struct {
		kind string
		act  func() answer
	}{
		{"user.added", func() answer {
			return w.operator("POST", "/admin/api/users", map[string]string{"email": "new@example.com", "name": "New", "password": "long enough"})
		}},
		{"role.assigned", func() answer { return w.operator("POST", "/admin/api/users/assign", role) }},
		{"role.unassigned", func() answer { return w.operator("POST", "/admin/api/users/unassign", role) }},
		{"client.added", func() answer {
			return w.operator("POST", "/admin/api/clients", map[string]any{"client_name": "C", "redirect_uris": []string{"https://c.example/cb"}})
		}},
		{"client.disabled", func() answer { return w.operator("POST", "/admin/api/clients/disable", client) }},
		{"client.enabled", func() answer { return w.operator("POST", "/admin/api/clients/enable", client) }},
		{"resource.added", func() answer {
			return w.operator("POST", "/admin/api/resources", map[string]any{"uri": otherURI, "name": "Other"})
		}},
		{"enrolment.issued", func() answer {
			return w.operator("POST", "/admin/api/resources/enrol", map[string]string{"uri": ticketsURI})
		}},
		{"manifest.published", func() answer {
			return g.call("PUT", "/manifest", map[string]any{"policy": ticketsPolicy, "tools": []any{plainTool("close_ticket")}})
		}},
		{"tool.approved", func() answer {
			return w.operator("POST", "/admin/api/resources/approve", map[string]string{"uri": ticketsURI, "tool": "close_ticket", "hash": w.drift("close_ticket").LiveHash})
		}},
		{"task.suspended", func() answer {
			return w.operator("POST", "/admin/api/tasks/suspend", map[string]string{"id": one.Task.ID})
		}},
		{"task.resumed", func() answer {
			return w.operator("POST", "/admin/api/tasks/resume", map[string]string{"id": one.Task.ID})
		}},
		{"task.ended", func() answer {
			return w.operator("POST", "/admin/api/tasks/end", map[string]string{"id": one.Task.ID, "reason": "test"})
		}},
		{"execution.decided", func() answer { return g.call("POST", "/executions", batch(1, decided(two))) }},
		{"key.rotated", func() answer { return w.operator("POST", "/admin/api/keys/rotate", struct{}{}) }},
		{"user.disabled", func() answer { return w.operator("POST", "/admin/api/users/disable", mara) }},
		{"user.enabled", func() answer { return w.operator("POST", "/admin/api/users/enable", mara) }},
	} {
		before, all := len(w.records(tt.kind)), len(w.records(""))
		if got := tt.act(); got.Status >= http.StatusMultipleChoices {
			t.Fatalf("%s: %d %s", tt.kind, got.Status, got.Body)
		}
		recs := w.records(tt.kind)
		if len(recs) != before+1 {
			t.Errorf("%s: %d records more", tt.kind, len(recs)-before)
			continue
		}
		rec := recs[len(recs)-1]
		if rec.Instance == "" || rec.At.IsZero() || rec.Seq == 0 || len(rec.Payload) == 0 {
			t.Errorf("%s: %+v", tt.kind, rec)
		}
		more := 1
		switch tt.kind {
		case "user.disabled":
			more = 2 // and the end of the user's task
		case "execution.decided":
			more = 2 // and the batch that told of it, with the Guard's signature
		}
		if n := len(w.records("")) - all; n != more {
			t.Errorf("%s: %d records in all, want %d", tt.kind, n, more)
		}
	}
}
