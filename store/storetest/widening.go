package storetest

import (
	"errors"

	"github.com/remit-auth/remit/store"
)

// widening tests step-ups whose grant takes the place of the former one.
var widening = map[string]func(*world){
	"the wider grant takes the former one's place": func(w *world) {
		l := w.lend()
		former := w.grants(l.ID)[0]
		a, r := w.stepUp(l)
		st, err := w.s.CodeByID(w.ctx, a.Code.ID)
		w.must(err)
		w.same("waits", []bool{st.Code.Extends, st.Grants[0].Waiting, st.Grants[1].Waiting}, []bool{true, false, true})
		w.same("in force before", len(w.grants(l.ID)), 1)
		w.must(w.s.RedeemCode(w.ctx, r))
		now := w.grants(l.ID)
		w.same("grants", []any{len(now), now[0].ID, now[0].EndedAt, now[1]}, []any{2, former.ID, w.clock.Now(), *r.Widened})
		g, err := w.s.GrantByHash(w.ctx, tickets, former.Hash) // tokens that name it live on for a while
		w.must(err)
		w.same("former", g.ID, former.ID)
		w.same("alive", []bool{w.live(l.Access.JTI), w.live(r.Access.JTI)}, []bool{true, true})
		w.freshen(l) // an older refresh token serves the widened task
	},
	"another step-up came first": func(w *world) {
		l := w.lend()
		_, first := w.stepUp(l)
		_, second := w.stepUp(l)
		w.must(w.s.RedeemCode(w.ctx, first))
		w.refused(store.ErrGrantChanged, func() error { return w.s.RedeemCode(w.ctx, second, record("x")) })
		second.Replaces = []string{first.Widened.ID}
		w.must(w.s.RedeemCode(w.ctx, second))
	},
	"the task has ended, is suspended, or its leg has ended": func(w *world) {
		l := w.lend(atBoth(w))
		_, r := w.stepUp(l)
		_, err := w.s.EndLeg(w.ctx, l.ID, tickets, "test")
		w.must(err)
		w.refused(store.ErrTaskEnded, func() error { return w.s.RedeemCode(w.ctx, r, record("x")) })
		l = w.lend()
		_, r = w.stepUp(l)
		_, err = w.s.SuspendTask(w.ctx, l.ID, store.ByAdmin, "")
		w.must(err)
		w.refused(store.ErrTaskNotActive, func() error { return w.s.RedeemCode(w.ctx, r, record("x")) })
		w.end(l.ID)
		w.refused(store.ErrTaskEnded, func() error { return w.s.RedeemCode(w.ctx, r, record("x")) })
	},
	"without a code the wider grant is in force at once": func(w *world) {
		l := w.lend()
		former := w.grants(l.ID)[0]
		a := w.more(l)
		w.must(w.s.Approve(w.ctx, a, record("task.widened")))
		now := w.grants(l.ID)
		w.same("grants", []any{len(now), now[0].ID, now[0].EndedAt, now[1]}, []any{2, former.ID, w.clock.Now(), *a.Widened})
		w.same("alive", w.live(l.Access.JTI), true)
		_, err := w.s.CodeByID(w.ctx, a.Code.ID)
		w.same("no code", errors.Is(err, store.ErrCodeNotFound), true)
		w.freshen(l)
		w.refuseApproval(store.ErrRequestDecided, a)
	},
	"without a code the conditions are the same": func(w *world) {
		l := w.lend(atBoth(w))
		a, other := w.more(l), w.more(l)
		w.must(w.s.Approve(w.ctx, other))
		w.refuseApproval(store.ErrGrantChanged, a)
		a.Replaces = []string{other.Widened.ID}
		w.narrow(w.narrowing(l.ID, tickets, mail))
		w.refuseApproval(store.ErrGrantChanged, a)
		a = w.more(l)
		_, err := w.s.EndLeg(w.ctx, l.ID, tickets, "test")
		w.must(err)
		w.refuseApproval(store.ErrTaskEnded, a)
		l = w.lend()
		a = w.more(l)
		a.Task.UserID = "usr_2"
		w.must(w.s.AddUser(w.ctx, store.User{ID: "usr_2", Email: "2"}))
		w.refuseApproval(store.ErrTaskNotFound, a)
		a.Task.UserID = w.user.ID
		w.must(w.s.Approve(w.ctx, a))
	},
	"another key": func(w *world) {
		_, r := w.stepUp(w.lend())
		for _, key := range []string{"", "another"} {
			r.JKT = key
			w.refused(store.ErrTaskNotActive, func() error { return w.s.RedeemCode(w.ctx, r, record("x")) })
		}
	},
}

func (w *world) grants(task string) []store.Grant {
	w.t.Helper()
	_, grants, err := w.s.TaskByID(w.ctx, task)
	w.must(err)
	return grants
}

// stepUp approves more tools for the loan, and returns the redemption that puts them in force.
func (w *world) stepUp(l loan) (store.Approval, store.Redemption) {
	w.t.Helper()
	a := w.ask()
	a.Extends, a.Code.KeyBound = l.ID, true
	a.Task.Generation = w.task(l.ID).Generation
	a.Grants = []store.Grant{w.grant(l.ID, tickets)}
	a.Grants[0].Hash = "sha-256:more"
	w.must(w.s.Approve(w.ctx, a))
	widened := w.grant(l.ID, tickets)
	widened.Hash = "sha-256:" + widened.ID
	r := store.Redemption{Code: a.Code.ID, JKT: jkt, Access: w.access(l.ID, tickets), Widened: &widened}
	for _, g := range w.grants(l.ID) {
		if g.Resource == tickets && g.EndedAt.IsZero() {
			r.Replaces = append(r.Replaces, g.ID)
		}
	}
	return a, r
}

// more is an approval of more tools for the loan that nobody waits for with a code.
func (w *world) more(l loan) store.Approval {
	w.t.Helper()
	a := w.ask()
	a.Extends, a.Code = l.ID, store.Code{}
	a.Task.Generation = w.task(l.ID).Generation
	a.Grants = []store.Grant{w.grant(l.ID, tickets)}
	widened := w.grant(l.ID, tickets)
	widened.Hash = "sha-256:" + widened.ID
	a.Widened = &widened
	for _, g := range w.grants(l.ID) {
		if g.Resource == tickets && g.EndedAt.IsZero() {
			a.Replaces = append(a.Replaces, g.ID)
		}
	}
	return a
}
