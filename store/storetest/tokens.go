package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

const grace = 10 * time.Second

// rotate is what the holder of the refresh token would ask for.
func (w *world) rotate(old store.Hash, task string) store.Rotation {
	return store.Rotation{
		Old: old, New: w.refresh(task), Successor: []byte(w.unique("sealed")), Access: w.access(task, tickets),
		Grace: grace, GraceUses: 3,
	}
}

func (w *world) refuseRotation(want error, r store.Rotation) {
	w.t.Helper()
	w.refused(want, func() error { _, _, err := w.s.RotateRefreshToken(w.ctx, r, record("x")); return err })
}

// rotated rotates, and checks the successor and whether it is a replay.
func (w *world) rotated(r store.Rotation, successor []byte, replay bool) {
	w.t.Helper()
	got, replayed, err := w.s.RotateRefreshToken(w.ctx, r, record("token.refreshed"))
	w.must(err)
	w.same("successor", []any{string(got), replayed}, []any{string(successor), replay})
	w.same("alive", w.live(r.Access.JTI), true)
}

// refreshed spends the loan's refresh token.
func (w *world) refreshed(l loan) {
	w.t.Helper()
	r := w.rotate(l.Refresh.ID, l.ID)
	w.rotated(r, r.Successor, false)
}

var tokens = map[string]func(*world){
	"unknown": func(w *world) {
		_, err := w.s.AccessByJTI(w.ctx, "at_nobody")
		w.want(err, store.ErrTokenNotFound)
		w.refused(store.ErrTokenNotFound, func() error { return w.s.RevokeAccess(w.ctx, "at_nobody", record("x")) })
		_, err = w.s.RefreshByID(w.ctx, w.secret())
		w.want(err, store.ErrRefreshNotFound)
	},
	"what an opaque token stands for": func(w *world) {
		l := w.lend()
		r := w.rotate(l.Refresh.ID, l.ID)
		r.Access.Claims = `{"scope":"a b","sub":"“x”"}`
		w.rotated(r, r.Successor, false)
		st, err := w.s.AccessByJTI(w.ctx, r.Access.JTI)
		w.must(err)
		w.same("claims", st.Token.Claims, r.Access.Claims)
	},
	"revoking": func(w *world) {
		l, other := w.lend(), w.lend()
		w.must(w.s.RevokeAccess(w.ctx, l.Access.JTI, record("token.revoked")))
		st, err := w.s.AccessByJTI(w.ctx, l.Access.JTI)
		w.must(err)
		w.same("revoked", st.Token.Revoked, true)
		w.same("alive", []bool{w.live(l.Access.JTI), w.live(other.Access.JTI)}, []bool{false, true})
		w.must(w.s.RevokeAccess(w.ctx, l.Access.JTI, record("token.revoked")))
		w.same("events", w.events(tickets), []store.Event{{
			Resource: tickets, Seq: 1, Kind: store.EventTokenRevoked, TaskID: l.ID, JTI: l.Access.JTI, At: w.clock.Now(),
		}})
		w.same("ledger", w.kinds(), []string{"token.revoked"})
		w.refreshed(l)
	},
	"only the grants of its resource": func(w *world) {
		l := w.lendAt(mail, atBoth(w))
		st, err := w.s.AccessByJTI(w.ctx, l.Access.JTI)
		w.must(err)
		w.same("grants", []any{len(st.Grants), st.Grants[0].Resource}, []any{1, mail})
	},
	"expiring": func(w *world) {
		l := w.lend()
		w.clock.Advance(5 * time.Minute)
		w.same("alive", w.live(l.Access.JTI), false)
	},
}

var rotation = map[string]func(*world){
	"a successor": func(w *world) {
		l := w.lend()
		w.clock.Advance(time.Minute)
		r := w.rotate(l.Refresh.ID, l.ID)
		w.rotated(r, r.Successor, false)
		old, err := w.s.RefreshByID(w.ctx, l.Refresh.ID)
		w.must(err)
		w.same("spent", []any{old.Token.Spent, old.Token.SpentAt}, []any{true, w.clock.Now()})
		w.same("seen", old.Task.SeenAt, w.clock.Now())
		st, err := w.s.RefreshByID(w.ctx, r.New.ID)
		w.must(err)
		w.same("new", st.Token, r.New)
		next := w.rotate(r.New.ID, l.ID)
		w.rotated(next, next.Successor, false)
		w.same("ledger", w.kinds(), []string{"token.refreshed", "token.refreshed"})
	},
	"parallel processes within the grace": func(w *world) {
		l := w.lend()
		first := w.rotate(l.Refresh.ID, l.ID)
		w.rotated(first, first.Successor, false)
		for range 3 {
			w.clock.Advance(3 * time.Second)
			again := w.rotate(l.Refresh.ID, l.ID)
			w.rotated(again, first.Successor, true)
			_, err := w.s.RefreshByID(w.ctx, again.New.ID)
			w.want(err, store.ErrRefreshNotFound)
		}
		w.refuseRotation(store.ErrRefreshReused, w.rotate(l.Refresh.ID, l.ID))
	},
	"after the grace": func(w *world) {
		l := w.lend()
		w.refreshed(l)
		w.clock.Advance(grace)
		w.refuseRotation(store.ErrRefreshReused, w.rotate(l.Refresh.ID, l.ID))
	},
	"without grace": func(w *world) {
		l := w.lend()
		w.refreshed(l)
		r := w.rotate(l.Refresh.ID, l.ID)
		r.Grace = 0
		w.refuseRotation(store.ErrRefreshReused, r)
		r.Grace, r.GraceUses = grace, 0
		w.refuseRotation(store.ErrRefreshReused, r)
	},
	"unknown": func(w *world) {
		l := w.lend()
		w.refuseRotation(store.ErrRefreshNotFound, w.rotate(w.secret(), l.ID))
	},
	"expired": func(w *world) {
		l := w.lend(endsIn(2 * time.Hour))
		w.clock.Advance(time.Hour)
		w.refuseRotation(store.ErrRefreshExpired, w.rotate(l.Refresh.ID, l.ID))
	},
	"the user is disabled": func(w *world) {
		l := w.lend()
		_, err := w.s.DisableUser(w.ctx, w.user.ID, true)
		w.must(err)
		w.refuseRotation(store.ErrUserDisabled, w.rotate(l.Refresh.ID, l.ID))
	},
	"the client is disabled": func(w *world) {
		l := w.lend()
		_, err := w.s.DisableClient(w.ctx, w.client.ID, true)
		w.must(err)
		w.refuseRotation(store.ErrClientDisabled, w.rotate(l.Refresh.ID, l.ID))
	},
	"the task has ended": func(w *world) {
		l := w.lend()
		w.refreshed(l)
		w.end(l.ID)
		w.refuseRotation(store.ErrTaskEnded, w.rotate(l.Refresh.ID, l.ID))
	},
	"the task is suspended": func(w *world) {
		l := w.lend()
		_, err := w.s.SuspendTask(w.ctx, l.ID, store.ByAgent, "")
		w.must(err)
		w.refuseRotation(store.ErrTaskNotActive, w.rotate(l.Refresh.ID, l.ID))
	},
	"wakes the idle": func(w *world) {
		l := w.lend()
		w.clock.Advance(store.IdleAfter)
		w.refreshed(l)
		w.same("told of sleep that nobody had noticed", len(w.events(tickets)), 0)
	},
	"wakes the idle, and says so": func(w *world) {
		l := w.lend()
		w.clock.Advance(store.IdleAfter)
		w.swept(1)
		w.refreshed(l)
		w.same("state", w.task(l.ID).State, store.TaskActive)
		w.same("last event", w.events(tickets)[1].Kind, store.EventTaskResumed)
		w.same("ledger", w.kinds(), []string{store.EventTaskSuspended, store.EventTaskResumed, "token.refreshed"})
	},
}
