package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

// narrowed is a narrowing of the task to what it has at these resources, with other details.
func (w *world) narrowing(task string, resources ...string) store.Narrowing {
	w.t.Helper()
	n := store.Narrowing{TaskID: task, UserID: w.user.ID}
	for _, g := range w.grants(task) {
		if g.EndedAt.IsZero() {
			n.Replaces = append(n.Replaces, g.ID)
		}
	}
	for _, resource := range resources {
		g := w.grant(task, resource)
		g.Details, g.Hash = []byte(`[]`), "sha-256:narrow"
		n.Grants = append(n.Grants, g)
	}
	return n
}

func (w *world) narrow(n store.Narrowing) store.Task {
	w.t.Helper()
	t, err := w.s.NarrowTask(w.ctx, n, record("task.narrowed"))
	w.must(err)
	return t
}

var narrowing = map[string]func(*world){
	"the narrower grant is in force, and what was issued is dead": func(w *world) {
		l := w.lend()
		former, n := w.grants(l.ID)[0], w.narrowing(l.ID, tickets)
		before := w.task(l.ID)
		t := w.narrow(n)
		before.Generation = 1
		w.same("task", t, before)
		now := w.grants(l.ID)
		w.same("grants", []any{len(now), now[0].ID, now[0].EndedAt, now[1]}, []any{2, former.ID, w.clock.Now(), n.Grants[0]})
		w.same("alive", w.live(l.Access.JTI), false)
		w.same("told", w.events(tickets), []store.Event{{
			Resource: tickets, Seq: 1, Kind: store.EventTokenRevoked, TaskID: l.ID, JTI: l.Access.JTI, At: w.clock.Now(),
		}})
		w.same("records", w.kinds(), []string{"task.narrowed"})
		_, _, err := w.s.ReserveCall(w.ctx, store.Reservation{Execution: "exe_1", TaskID: l.ID, Resource: tickets, Tool: "get_ticket", JTI: l.Access.JTI})
		w.want(err, store.ErrTokenNotFound)
	},
	"a call that was begun with a token that has expired is told of": func(w *world) { // it may run on
		l := w.lend()
		w.clock.Advance(6 * time.Minute)
		w.narrow(w.narrowing(l.ID, tickets))
		w.same("told", w.events(tickets), []store.Event{{
			Resource: tickets, Seq: 1, Kind: store.EventTokenRevoked, TaskID: l.ID, JTI: l.Access.JTI, At: w.clock.Now(),
		}})
		w.narrow(w.narrowing(l.ID, tickets))
		w.same("told once", len(w.events(tickets)), 1)
	},
	"a token that is made of what was read before is refused": func(w *world) {
		l := w.lend()
		stale := w.rotate(l.Refresh.ID, l.ID)
		w.narrow(w.narrowing(l.ID, tickets))
		w.refuseRotation(store.ErrGrantChanged, stale)
		fresh := w.rotate(l.Refresh.ID, l.ID)
		fresh.Access.Generation = 1
		w.rotated(fresh, fresh.Successor, false)
	},
	"so is the first one": func(w *world) {
		a := w.approve()
		w.narrow(w.narrowing(a.Task.ID, tickets))
		r := w.redemption(a)
		w.refused(store.ErrGrantChanged, func() error { return w.s.RedeemCode(w.ctx, r, record("x")) })
		r.Access.Generation = 1
		w.must(w.s.RedeemCode(w.ctx, r))
	},
	"a step-up that was allowed before brings nothing back": func(w *world) {
		l := w.lend()
		_, r := w.stepUp(l)
		w.narrow(w.narrowing(l.ID, tickets))
		r.Access.Generation, r.Replaces = 1, []string{w.narrowing(l.ID).Replaces[0]}
		w.refused(store.ErrCodeExpired, func() error { return w.s.RedeemCode(w.ctx, r, record("x")) })
		_, again := w.stepUp(l) // one that is allowed afterwards does
		again.Access.Generation = 1
		w.must(w.s.RedeemCode(w.ctx, again))
	},
	"a step-up that is allowed by what was read before": func(w *world) {
		l := w.lend()
		a := w.ask()
		a.Extends, a.Code.KeyBound, a.Grants = l.ID, true, []store.Grant{w.grant(l.ID, tickets)}
		w.narrow(w.narrowing(l.ID, tickets))
		w.refused(store.ErrGrantChanged, func() error { return w.s.Approve(w.ctx, a, record("x")) })
		a.Task.Generation = 1
		w.must(w.s.Approve(w.ctx, a))
	},
	"all under it": func(w *world) {
		l := w.lend()
		child := w.begun(w.start(l))
		stale := w.rotate(child.Refresh.ID, child.ID)
		late := w.start(l)
		n := w.narrowing(l.ID, tickets)
		n.EndsAt = w.clock.Now().Add(5 * time.Minute)
		w.narrow(n)
		w.same("alive", []bool{w.live(l.Access.JTI), w.live(child.Access.JTI)}, []bool{false, false})
		w.same("deadlines", []time.Time{w.task(l.ID).EndsAt, w.task(child.ID).EndsAt}, []time.Time{n.EndsAt, n.EndsAt})
		w.refuseRotation(store.ErrGrantChanged, stale)
		w.refused(store.ErrTokenNotFound, func() error { return w.s.StartTask(w.ctx, late, record("x")) })
	},
	"the deadline never moves away": func(w *world) {
		l := w.lend()
		ends := w.task(l.ID).EndsAt
		n := w.narrowing(l.ID, tickets)
		n.EndsAt = ends.Add(time.Hour)
		w.same("ends", w.narrow(n).EndsAt, ends)
		w.clock.Advance(time.Minute)
		n = w.narrowing(l.ID, tickets)
		n.EndsAt = w.clock.Now()
		w.same("over", w.narrow(n).State, store.TaskExpired)
	},
	"a resource of which nothing is left": func(w *world) {
		l := w.lend(atBoth(w))
		w.narrow(w.narrowing(l.ID, tickets))
		e := w.events(mail)
		w.same("told", []any{len(e), e[0].Kind, e[0].TaskID, e[0].State, e[0].Reason}, []any{1, store.EventTaskEnded, l.ID, store.TaskRevoked, store.ReasonNarrowed})
		r := w.rotate(l.Refresh.ID, l.ID)
		r.Access.Generation, r.Access.Resource = 1, mail
		w.refuseRotation(store.ErrTaskEnded, r)
		_, err := w.s.EndLeg(w.ctx, l.ID, mail, "test")
		w.want(err, store.ErrTaskEnded)
	},
	"refused": func(w *world) {
		l := w.lend()
		other := w.otherUser()
		narrow := func(n store.Narrowing) func() error {
			return func() error { _, err := w.s.NarrowTask(w.ctx, n, record("x")); return err }
		}
		n := w.narrowing(l.ID, tickets)
		n.UserID = other.ID
		w.refused(store.ErrTaskNotFound, narrow(n))
		n = w.narrowing(l.ID, tickets)
		n.TaskID = "tsk_nobody"
		w.refused(store.ErrTaskNotFound, narrow(n))
		w.refused(store.ErrGrantChanged, narrow(w.narrowing(l.ID, mail)))
		w.refused(store.ErrGrantChanged, narrow(w.narrowing(l.ID, tickets, tickets)))
		n = w.narrowing(l.ID, tickets)
		n.Replaces = nil
		w.refused(store.ErrGrantChanged, narrow(n))
		w.unchanged(func() {
			if _, err := w.s.NarrowTask(w.ctx, w.narrowing(l.ID), record("x")); err == nil {
				w.t.Error("narrowed to nothing")
			}
		})
		stale := w.narrowing(l.ID, tickets)
		_, r := w.stepUp(l)
		w.must(w.s.RedeemCode(w.ctx, r))
		w.refused(store.ErrGrantChanged, narrow(stale))
		w.end(l.ID)
		w.refused(store.ErrTaskEnded, narrow(w.narrowing(l.ID, tickets)))
	},
	"suspended it stays suspended": func(w *world) {
		l := w.lend()
		_, err := w.s.SuspendTask(w.ctx, l.ID, store.ByUser, "")
		w.must(err)
		w.same("state", w.narrow(w.narrowing(l.ID, tickets)).State, store.TaskSuspended)
	},
	"an approval of a call": func(w *world) {
		l := w.lend()
		a := w.allowed(l, "sha-256:a")
		w.narrow(w.narrowing(l.ID, tickets))
		w.same("approval", w.approvalState(a.ID), store.ApprovalVoid)
	},
	"while tokens are made": func(w *world) { // whoever comes second, no token of the wider grant lives
		for range rounds {
			l := w.lend()
			n, made := w.narrowing(l.ID, tickets), each(func() store.Rotation { return w.rotate(l.Refresh.ID, l.ID) })
			race(func(i int) error {
				if i == 0 {
					_, err := w.s.NarrowTask(w.ctx, n)
					return err
				}
				_, _, err := w.s.RotateRefreshToken(w.ctx, made[i])
				return err
			})
			for _, r := range made {
				if st, err := w.s.AccessByJTI(w.ctx, r.Access.JTI); err == nil && st.Live(w.clock.Now()) {
					w.t.Fatal("a token of the wider grant lives")
				}
			}
		}
	},
	"while it is widened": func(w *world) {
		for range rounds {
			l := w.lend()
			n := w.narrowing(l.ID, tickets)
			_, r := w.stepUp(l)
			outcomes := race(func(i int) error {
				switch i {
				case 0:
					_, err := w.s.NarrowTask(w.ctx, n)
					return err
				case 1:
					return w.s.RedeemCode(w.ctx, r)
				}
				return nil
			})
			if outcomes[nil] != runners-1 {
				w.t.Fatalf("outcomes = %v: one of the two wins", outcomes)
			}
		}
	},
}
