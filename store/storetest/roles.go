package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

// rolesLost are of what was issued by a role that its user no longer has.
var rolesLost = map[string]func(*world){
	"the tokens that were issued by it are dead, and their resource told": func(w *world) {
		l := w.lend(atBoth(w))
		w.must(w.s.AssignRole(w.ctx, w.user.ID, tickets, "reader"))
		stale := w.rotate(l.Refresh.ID, l.ID)
		w.must(w.s.UnassignRole(w.ctx, w.user.ID, tickets, "never held"))
		w.same("a role that was not held", []any{w.live(l.Access.JTI), w.task(l.ID).Generation}, []any{true, 0})
		w.must(w.s.UnassignRole(w.ctx, w.user.ID, tickets, "reader", record("role.unassigned")))
		w.same("alive", w.live(l.Access.JTI), false)
		w.same("told", w.events(tickets), []store.Event{{
			Resource: tickets, Seq: 1, Kind: store.EventTokenRevoked, TaskID: l.ID, JTI: l.Access.JTI, At: w.clock.Now(),
		}})
		w.same("told elsewhere", len(w.events(mail)), 0)
		w.same("records", w.kinds(), []string{"role.unassigned"})
		w.same("task", w.task(l.ID).State, store.TaskActive)
		w.refuseRotation(store.ErrGrantChanged, stale)
		fresh := w.rotate(l.Refresh.ID, l.ID)
		fresh.Access.Generation = 1
		w.rotated(fresh, fresh.Successor, false)
	},
	"nothing of another resource, another user or an ended task": func(w *world) {
		other := w.otherUser()
		there, theirs, over := w.lendAt(mail, func(a *store.Approval) { a.Grants = []store.Grant{w.grant(a.Task.ID, mail)} }), w.lendBy(other.ID, ""), w.lend()
		w.must(only1(w.s.EndTask(w.ctx, store.End{TaskID: over.ID, State: store.TaskCompleted, By: store.ByAgent})))
		before := len(w.events(tickets))
		w.must(w.s.AssignRole(w.ctx, w.user.ID, tickets, "reader"))
		w.must(w.s.UnassignRole(w.ctx, w.user.ID, tickets, "reader"))
		w.same("alive", []bool{w.live(there.Access.JTI), w.live(theirs.Access.JTI)}, []bool{true, true})
		w.same("told", len(w.events(tickets)), before)
	},
	"nothing is handed on or begun by it": func(w *world) {
		w.must(w.s.AssignRole(w.ctx, w.user.ID, tickets, "reader"))
		l := w.lend()
		child := w.begun(w.start(l))
		late := w.start(l)
		root := w.start(loan{}, alone(w.secret(), w.clock.Now().Add(time.Minute)), func(s *store.Start) {
			s.Task.Roles = []store.TaskRoles{{Resource: tickets, Roles: []string{"reader"}}}
		})
		w.must(w.s.UnassignRole(w.ctx, w.user.ID, tickets, "reader"))
		w.same("alive", w.live(child.Access.JTI), false)
		w.refused(store.ErrTokenNotFound, func() error { return w.s.StartTask(w.ctx, late, record("x")) })
		w.refused(store.ErrGrantChanged, func() error { return w.s.StartTask(w.ctx, root, record("x")) })
		w.must(w.s.AssignRole(w.ctx, w.user.ID, tickets, "reader"))
		w.must(w.s.StartTask(w.ctx, root)) // what it was begun with was not spent
	},
	"one from upstream": func(w *world) {
		up := store.Upstream{Issuer: "https://login.example", Subject: "s-1", Roles: []store.TaskRoles{{Resource: tickets, Roles: []string{"agent", "reader"}}}}
		w.must(w.s.LinkUpstream(w.ctx, w.user.ID, up.Issuer, up.Subject))
		signIn := func() { w.must(only1(w.s.AdmitUpstream(w.ctx, up))) }
		signIn()
		l := w.lend()
		signIn()
		w.same("with the same roles", []any{w.live(l.Access.JTI), w.task(l.ID).Generation}, []any{true, 0})
		up.Roles[0].Roles = []string{"agent"}
		signIn()
		w.same("alive", w.live(l.Access.JTI), false)
		w.same("told", len(w.events(tickets)), 1)
	},
	"while its tokens are refreshed": func(w *world) {
		for range rounds {
			w.must(w.s.AssignRole(w.ctx, w.user.ID, tickets, "reader"))
			l := w.lend()
			r := w.rotate(l.Refresh.ID, l.ID)
			outcomes := race(func(i int) error {
				switch i {
				case 0:
					return w.s.UnassignRole(w.ctx, w.user.ID, tickets, "reader")
				case 1:
					return only2(w.s.RotateRefreshToken(w.ctx, r))
				}
				return nil
			})
			if outcomes[nil] == runners && w.live(r.Access.JTI) || outcomes[nil]+outcomes[store.ErrGrantChanged] != runners {
				w.t.Fatalf("outcomes = %v: a token issued by the lost role lives", outcomes)
			}
		}
	},
}
