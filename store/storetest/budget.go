package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

// call asks for one more call of the tool.
func (w *world) call(l loan, tool string) store.Reservation {
	return store.Reservation{
		Execution: w.unique("exe_"), TaskID: l.ID, Resource: l.Access.Resource, Tool: tool, JTI: l.Access.JTI, ToolMax: 2,
	}
}

// reserve reserves and checks what is left.
func (w *world) reserve(r store.Reservation, tool, task int) {
	w.t.Helper()
	toolLeft, taskLeft, err := w.s.ReserveCall(w.ctx, r, record("call.reserved"))
	w.must(err)
	w.same("left", []int{toolLeft, taskLeft}, []int{tool, task})
}

func (w *world) refuseCall(want error, r store.Reservation) {
	w.t.Helper()
	w.refused(want, func() error { _, _, err := w.s.ReserveCall(w.ctx, r, record("x")); return err })
}

var budget = map[string]func(*world){
	"a tool's": func(w *world) {
		l := w.lend()
		w.reserve(w.call(l, "add"), 1, -1)
		w.reserve(w.call(l, "add"), 0, -1)
		w.refuseCall(store.ErrToolBudget, w.call(l, "add"))
		w.reserve(w.call(l, "get"), 1, -1)
		w.same("used", w.task(l.ID).CallsUsed, 3)
		counted, err := w.s.CountedCalls(w.ctx, l.ID, tickets)
		w.must(err)
		w.same("counted", counted, map[string]int{"add": 2, "get": 1})
		counted, err = w.s.CountedCalls(w.ctx, l.ID, mail)
		w.must(err)
		w.same("counted elsewhere", counted, map[string]int{})
		w.same("ledger", len(w.chained()), 3)
	},
	"a task's, which ends it": func(w *world) {
		l := w.lend(calls(2))
		free := func() store.Reservation {
			r := w.call(l, "get")
			r.ToolMax = 0
			return r
		}
		w.reserve(free(), -1, 1)
		w.reserve(free(), -1, 0)
		w.same("state", w.task(l.ID).State, store.TaskActive)
		_, _, err := w.s.ReserveCall(w.ctx, free(), record("x"))
		w.want(err, store.ErrTaskBudget)
		w.same("state", w.task(l.ID).State, store.TaskExpired)
		w.ended(l.ID, store.TaskExpired, store.ByServer, "budget")
		w.same("ledger", w.kinds(), []string{"call.reserved", "call.reserved", store.EventTaskEnded})
		w.refuseCall(store.ErrTaskEnded, free())
	},
	"repeating counts once": func(w *world) {
		l := w.lend(calls(3))
		r := w.call(l, "add")
		w.reserve(r, 1, 2)
		w.unchanged(func() { w.reserve(r, 1, 2) })
		w.reserve(w.call(l, "add"), 0, 1)
		w.unchanged(func() { w.reserve(r, 0, 1) })
	},
	"counting is use": func(w *world) {
		l := w.lend()
		w.clock.Advance(time.Minute)
		w.reserve(w.call(l, "add"), 1, -1)
		w.same("seen", w.task(l.ID).SeenAt, w.clock.Now())
	},
	"tokens that do not serve": func(w *world) {
		l, other, revoked := w.lend(), w.lend(), w.lend()
		w.must(w.s.RevokeAccess(w.ctx, revoked.Access.JTI))
		w.refuseCall(store.ErrTokenNotFound, w.call(revoked, "add"))
		for name, change := range map[string]func(*store.Reservation){
			"unknown token":    func(r *store.Reservation) { r.JTI = "at_nobody" },
			"of another task":  func(r *store.Reservation) { r.JTI = other.Access.JTI },
			"unknown task":     func(r *store.Reservation) { r.TaskID = "tsk_nobody" },
			"another resource": func(r *store.Reservation) { r.Resource = mail },
		} {
			w.t.Log(name)
			r := w.call(l, "add")
			change(&r)
			w.refuseCall(store.ErrTokenNotFound, r)
		}
		w.clock.Advance(5 * time.Minute)
		w.refuseCall(store.ErrTokenNotFound, w.call(l, "add"))
	},
	"tasks that are not active": func(w *world) {
		l := w.lend()
		_, err := w.s.SuspendTask(w.ctx, l.ID, store.ByUser, "")
		w.must(err)
		w.refuseCall(store.ErrTaskNotActive, w.call(l, "add"))
		w.end(l.ID)
		w.refuseCall(store.ErrTaskEnded, w.call(l, "add"))
	},
}
