package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

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
