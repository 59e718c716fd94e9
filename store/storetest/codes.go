package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

var codes = map[string]func(*world){
	"redeeming": func(w *world) {
		a := w.approve()
		w.clock.Advance(10 * time.Second)
		r := w.redemption(a)
		r.JKT = "the redeemer's key"
		w.must(w.s.RedeemCode(w.ctx, r, record("code.redeemed")))
		want := a.Task
		want.State, want.JKT, want.ActivatedAt, want.SeenAt = store.TaskActive, r.JKT, w.clock.Now(), w.clock.Now()
		want.Roles = []store.TaskRoles{{Resource: tickets}}
		w.same("task", w.task(a.Task.ID), want)
		st, err := w.s.CodeByID(w.ctx, a.Code.ID)
		w.must(err)
		w.same("spent", st.Code.Spent, true)
		access, err := w.s.AccessByJTI(w.ctx, r.Access.JTI)
		w.must(err)
		w.same("access token", access, store.AccessState{Token: r.Access, Task: want, Grants: a.Grants, User: w.user})
		refresh, err := w.s.RefreshByID(w.ctx, r.Refresh.ID)
		w.must(err)
		w.same("refresh token", refresh, store.RefreshState{Token: *r.Refresh, Task: want, Grants: a.Grants, Client: w.client, User: w.user})
		w.same("ledger", w.kinds(), []string{"code.redeemed"})
	},
	"a client that may not refresh": func(w *world) {
		r := w.redemption(w.approve())
		refresh := r.Refresh.ID
		r.Refresh = nil
		w.must(w.s.RedeemCode(w.ctx, r))
		_, err := w.s.RefreshByID(w.ctx, refresh)
		w.want(err, store.ErrRefreshNotFound)
	},
	"unknown": func(w *world) {
		r := w.redemption(w.approve())
		r.Code = w.secret()
		w.refuseRedemption(store.ErrCodeNotFound, r)
		_, err := w.s.CodeByID(w.ctx, r.Code)
		w.want(err, store.ErrCodeNotFound)
	},
	"spent, and so however late": func(w *world) {
		a := w.approve()
		w.must(w.s.RedeemCode(w.ctx, w.redemption(a)))
		w.refuseRedemption(store.ErrCodeSpent, w.redemption(a))
		w.clock.Advance(time.Hour)
		w.refuseRedemption(store.ErrCodeSpent, w.redemption(a))
	},
	"expired": func(w *world) {
		a := w.approve()
		w.clock.Advance(time.Minute)
		w.refuseRedemption(store.ErrCodeExpired, w.redemption(a))
		_, err := w.s.CodeByID(w.ctx, a.Code.ID)
		w.must(err)
	},
	"the user is disabled": func(w *world) {
		a := w.approve()
		_, err := w.s.DisableUser(w.ctx, w.user.ID, true)
		w.must(err)
		w.refuseRedemption(store.ErrUserDisabled, w.redemption(a))
	},
	"the client is disabled": func(w *world) {
		a := w.approve()
		_, err := w.s.DisableClient(w.ctx, w.client.ID, true)
		w.must(err)
		w.refuseRedemption(store.ErrClientDisabled, w.redemption(a))
	},
	"the task has ended": func(w *world) {
		a := w.approve()
		w.end(a.Task.ID)
		w.refuseRedemption(store.ErrTaskEnded, w.redemption(a))
	},
	"the task's deadline has passed": func(w *world) {
		a := w.approve(endsIn(30 * time.Second))
		w.clock.Advance(30 * time.Second)
		w.refuseRedemption(store.ErrTaskEnded, w.redemption(a))
	},
}

func (w *world) refuseRedemption(want error, r store.Redemption) {
	w.t.Helper()
	w.refused(want, func() error { return w.s.RedeemCode(w.ctx, r, record("x")) })
}
