package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// The verbs of hot paths with 16 callers at once, each verb durable when it returns. On one machine the
// time per operation is that of client and server together.
func BenchmarkVerbs(b *testing.B) {
	s := open(b, nil)
	check(b, s.AddUser(b.Context(), store.User{ID: "usr", Email: "a@b.example"}))
	check(b, s.AddClient(b.Context(), store.Client{ID: "cli"}))
	check(b, s.AddResource(b.Context(), store.Resource{URI: at1}))
	var made atomic.Int64
	id := func(kind string) string { return fmt.Sprint(kind, made.Add(1)) }
	ctx := b.Context()
	lend := func() (store.Approval, store.Redemption) {
		task, now := id("tsk"), time.Now()
		request := store.HashOf(id("r"))
		check(b, s.PushRequest(ctx, store.Request{ID: request, ClientID: "cli", ExpiresAt: now.Add(time.Hour), Session: store.HashOf("s")}))
		a := store.Approval{
			Request: request, Session: store.HashOf("s"),
			Task:   store.Task{ID: task, UserID: "usr", ClientID: "cli", EndsAt: now.Add(time.Hour)},
			Grants: []store.Grant{{ID: id("gnt"), TaskID: task, Resource: at1, Details: []byte("[]")}},
			Code:   store.Code{ID: store.HashOf(task), TaskID: task, ClientID: "cli", ExpiresAt: now.Add(time.Hour)},
		}
		check(b, s.Approve(ctx, a))
		refresh := store.RefreshToken{ID: store.HashOf(id("rt")), TaskID: task, ClientID: "cli", ExpiresAt: now.Add(time.Hour)}
		access := store.AccessToken{JTI: id("at"), TaskID: task, Resource: at1, ClientID: "cli", ExpiresAt: now.Add(time.Minute)}
		return a, store.Redemption{Code: a.Code.ID, JKT: "jkt", Access: access, Refresh: &refresh}
	}
	parallel := func(b *testing.B, each func() func(context.Context) error) {
		b.SetParallelism(8) // 16 callers on two processors
		b.RunParallel(func(pb *testing.PB) {
			run := each()
			for pb.Next() {
				if err := run(ctx); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	b.Run("PushRequest", func(b *testing.B) {
		parallel(b, func() func(context.Context) error {
			return func(ctx context.Context) error {
				return s.PushRequest(ctx, store.Request{ID: store.HashOf(id("r")), ClientID: "cli", CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}, rec())
			}
		})
	})
	b.Run("RedeemCode", func(b *testing.B) {
		rs := make(chan store.Redemption, b.N)
		for range b.N {
			_, r := lend()
			rs <- r
		}
		b.ResetTimer()
		parallel(b, func() func(context.Context) error {
			return func(ctx context.Context) error { return s.RedeemCode(ctx, <-rs, rec()) }
		})
	})
	b.Run("RotateRefreshToken", func(b *testing.B) {
		parallel(b, func() func(context.Context) error {
			_, r := lend()
			check(b, s.RedeemCode(ctx, r))
			old := r.Refresh.ID
			return func(ctx context.Context) error {
				next := *r.Refresh
				next.ID = store.HashOf(id("rt"))
				access := r.Access
				access.JTI = id("at")
				_, _, err := s.RotateRefreshToken(ctx, store.Rotation{Old: old, New: next, Successor: []byte("s"), Access: access}, rec())
				old = next.ID
				return err
			}
		})
	})
	b.Run("AccessByJTI", func(b *testing.B) {
		_, r := lend()
		check(b, s.RedeemCode(ctx, r))
		parallel(b, func() func(context.Context) error {
			return func(ctx context.Context) error { _, err := s.AccessByJTI(ctx, r.Access.JTI); return err }
		})
	})
	e := s.Ephemeral()
	epoch, err := e.Epoch(ctx)
	check(b, err)
	b.Run("FirstUse", func(b *testing.B) {
		parallel(b, func() func(context.Context) error {
			return func(ctx context.Context) error {
				_, err := e.FirstUse(ctx, epoch, id("key"), time.Minute)
				return err
			}
		})
	})
}
