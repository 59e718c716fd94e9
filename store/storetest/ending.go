package storetest

import (
	"encoding/json"
	"errors"

	"github.com/remit-auth/remit/store"
)

// refusedEnd checks that a task that has ended is returned alone and unchanged.
func (w *world) refusedEnd(id string) {
	w.t.Helper()
	want := w.task(id)
	w.refused(store.ErrTaskEnded, func() error {
		got, err := w.s.EndTask(w.ctx, store.End{TaskID: id, State: store.TaskRevoked, By: store.ByUser}, record("x"))
		w.same("task", got, []store.Task{want})
		return err
	})
}

// ended checks that the ledger and the tickets' feed tell once of the task's end.
func (w *world) ended(id string, state store.TaskState, by store.Actor, reason string) {
	w.t.Helper()
	told := 0
	for _, e := range w.events(tickets) {
		if e.TaskID == id && e.Kind == store.EventTaskEnded {
			told++
			w.same("event", []string{string(e.State), e.Reason}, []string{string(state), reason})
		}
	}
	w.same("times told", told, 1)
	recorded := 0
	for _, r := range w.chained() {
		if r.Task != id || r.Kind != store.EventTaskEnded {
			continue
		}
		recorded++
		var payload map[string]string
		w.must(json.Unmarshal(r.Payload, &payload))
		w.same("payload", payload, map[string]string{"state": string(state), "by": string(by), "reason": reason})
		w.same("record", []string{r.User, r.Client, r.Agent}, []string{w.user.ID, w.client.ID, jkt})
	}
	w.same("times recorded", recorded, 1)
}

var ending = map[string]func(*world){
	"each way": func(w *world) {
		for _, state := range []store.TaskState{store.TaskCompleted, store.TaskRevoked, store.TaskExpired} {
			l := w.lend()
			got, err := w.s.EndTask(w.ctx, store.End{TaskID: l.ID, State: state, By: store.ByAgent, Reason: "done"}, record("agent.done"))
			w.must(err)
			w.same("returned", got, []store.Task{w.task(l.ID)})
			w.same("task", []any{got[0].State, got[0].Reason, got[0].EndedAt}, []any{state, "done", w.clock.Now()})
			w.ended(l.ID, state, store.ByAgent, "done")
			w.same("alive", w.live(l.Access.JTI), false)
			w.refusedEnd(l.ID)
			kinds := w.kinds()
			w.same("handed record", kinds[len(kinds)-1], "agent.done")
		}
	},
	"from each state": func(w *world) {
		pending, active, suspended := w.approve().Task.ID, w.lend().ID, w.lend().ID
		_, err := w.s.SuspendTask(w.ctx, suspended, store.ByUser, "")
		w.must(err)
		for _, id := range []string{pending, active, suspended} {
			w.end(id)
			t := w.task(id)
			w.same("state", []string{string(t.State), string(t.SuspendedBy)}, []string{"revoked", ""})
			w.ended(id, store.TaskRevoked, store.ByUser, "test")
		}
	},
	"unknown, and not to an end": func(w *world) {
		w.refused(store.ErrTaskNotFound, func() error {
			_, err := w.s.EndTask(w.ctx, store.End{TaskID: "tsk_nobody", State: store.TaskRevoked}, record("x"))
			return err
		})
		l := w.lend()
		w.unchanged(func() {
			if _, err := w.s.EndTask(w.ctx, store.End{TaskID: l.ID, State: store.TaskActive}); err == nil {
				w.t.Error("ended as active")
			}
		})
	},
	"the whole tree": func(w *world) {
		root, bystander := w.lend(atBoth(w)), w.lend()
		child := w.lend(under(root.ID))
		done := w.lend(under(root.ID))
		grandchild := w.approve(under(child.ID))
		w.end(done.ID)
		got, err := w.s.EndTask(w.ctx, store.End{TaskID: root.ID, State: store.TaskRevoked, By: store.ByUser, Reason: "stop"})
		w.must(err)
		w.same("ended", ids(got), []string{root.ID, child.ID, grandchild.Task.ID})
		for _, t := range got {
			w.same("stored", w.task(t.ID), t)
			w.ended(t.ID, store.TaskRevoked, store.ByUser, "stop")
		}
		w.ended(done.ID, store.TaskRevoked, store.ByUser, "test")
		w.same("bystander", w.live(bystander.Access.JTI), true)
		w.same("other resource told", len(w.events(mail)), 1)
	},
	"a leg": func(w *world) {
		l := w.lend(atBoth(w))
		other := w.access(l.ID, mail)
		w.must(rotateOnce(w, l, other))
		t, err := w.s.EndLeg(w.ctx, l.ID, tickets, "gone", record("leg.ended"))
		w.must(err)
		w.same("state", t.State, store.TaskActive)
		w.same("told here", len(w.events(tickets)), 1)
		w.same("told there", len(w.events(mail)), 0)
		w.same("alive here", w.live(l.Access.JTI), false)
		w.same("alive there", w.live(other.JTI), true)
		_, grants, err := w.s.TaskByID(w.ctx, l.ID)
		w.must(err)
		w.same("ended", []bool{grants[0].EndedAt.IsZero(), grants[1].EndedAt.IsZero()}, []bool{true, false})
		w.refused(store.ErrTaskEnded, func() error { _, err := w.s.EndLeg(w.ctx, l.ID, tickets, "again", record("x")); return err })
		w.refused(store.ErrTaskEnded, func() error { _, _, err := w.s.ReserveCall(w.ctx, w.call(l, "get"), record("x")); return err })

		t, err = w.s.EndLeg(w.ctx, l.ID, mail, "gone too")
		w.must(err)
		w.same("state", []string{string(t.State), t.Reason}, []string{"revoked", "gone too"})
		w.same("told there", len(w.events(mail)), 1)
		w.same("told here once", len(w.events(tickets)), 1)
		w.same("ledger", w.kinds(), []string{"leg.ended", store.EventTaskEnded})
	},
	"legs that are not there": func(w *world) {
		l := w.lend()
		w.refused(store.ErrTaskNotFound, func() error { _, err := w.s.EndLeg(w.ctx, "tsk_nobody", tickets, "", record("x")); return err })
		w.refused(store.ErrResourceNotFound, func() error { _, err := w.s.EndLeg(w.ctx, l.ID, mail, "", record("x")); return err })
		w.end(l.ID)
		w.refused(store.ErrTaskEnded, func() error { _, err := w.s.EndLeg(w.ctx, l.ID, tickets, "", record("x")); return err })
	},
	"an ended leg gets no token": func(w *world) {
		l := w.lend(atBoth(w))
		_, err := w.s.EndLeg(w.ctx, l.ID, tickets, "gone")
		w.must(err)
		w.refuseRotation(store.ErrTaskEnded, w.rotate(l.Refresh.ID, l.ID))
	},
}

// rotateOnce rotates the loan's refresh token for this access token.
func rotateOnce(w *world, l loan, a store.AccessToken) error {
	r := w.rotate(l.Refresh.ID, l.ID)
	r.Access = a
	_, replayed, err := w.s.RotateRefreshToken(w.ctx, r)
	if replayed {
		return errors.New("replayed")
	}
	return err
}

var suspending = map[string]func(*world){
	"and resuming": func(w *world) {
		l := w.lend(atBoth(w))
		t, err := w.s.SuspendTask(w.ctx, l.ID, store.ByUser, "lunch", record("user.paused"))
		w.must(err)
		w.same("task", t, w.task(l.ID))
		w.same("task", []any{t.State, t.SuspendedBy, t.Reason, t.SuspendedAt}, []any{store.TaskSuspended, store.ByUser, "lunch", w.clock.Now()})
		w.same("alive", w.live(l.Access.JTI), false)
		w.clock.Advance(store.IdleAfter / 2)
		t, err = w.s.ResumeTask(w.ctx, l.ID, store.ByUser, record("user.resumed"))
		w.must(err)
		w.same("task", t, w.task(l.ID))
		w.same("task", []any{t.State, t.SuspendedBy, t.Reason, t.SeenAt}, []any{store.TaskActive, store.Actor(""), "", w.clock.Now()})
		w.same("ledger", w.kinds(), []string{store.EventTaskSuspended, "user.paused", store.EventTaskResumed, "user.resumed"})
		for _, r := range []string{tickets, mail} {
			e := w.events(r)
			w.same("events", []any{len(e), e[0].Kind, e[0].Reason, e[1].Kind}, []any{2, store.EventTaskSuspended, "lunch", store.EventTaskResumed})
		}
	},
	"what is not active": func(w *world) {
		suspend := func(id string) func() error {
			return func() error {
				_, err := w.s.SuspendTask(w.ctx, id, store.ByUser, "", record("x"))
				return err
			}
		}
		l := w.lend()
		w.refused(store.ErrTaskNotFound, suspend("tsk_nobody"))
		w.refused(store.ErrTaskNotActive, suspend(w.approve().Task.ID))
		w.must(suspend(l.ID)())
		w.refused(store.ErrTaskNotActive, suspend(l.ID))
		w.end(l.ID)
		w.refused(store.ErrTaskEnded, suspend(l.ID))
	},
	"who may resume": func(w *world) {
		resume := func(id string, by store.Actor) func() error {
			return func() error {
				_, err := w.s.ResumeTask(w.ctx, id, by, record("x"))
				return err
			}
		}
		l := w.lend()
		w.refused(store.ErrTaskNotFound, resume("tsk_nobody", store.ByAdmin))
		w.refused(store.ErrTaskNotSuspended, resume(l.ID, store.ByAdmin))
		_, err := w.s.SuspendTask(w.ctx, l.ID, store.ByRule, "burst")
		w.must(err)
		for _, by := range []store.Actor{store.ByUser, store.ByAgent, store.ByIdle, ""} {
			w.refused(store.ErrTaskNotSuspended, resume(l.ID, by))
		}
		w.must(resume(l.ID, store.ByAdmin)())
		w.end(l.ID)
		w.refused(store.ErrTaskEnded, resume(l.ID, store.ByAdmin))
	},
	"takes over from idleness": func(w *world) {
		for _, sweep := range []bool{false, true} {
			l := w.lend()
			w.clock.Advance(store.IdleAfter)
			if sweep {
				w.swept(1)
			}
			t, err := w.s.SuspendTask(w.ctx, l.ID, store.ByUser, "stop")
			w.must(err)
			w.same("by", t.SuspendedBy, store.ByUser)
			w.refuseRotation(store.ErrTaskNotActive, w.rotate(l.Refresh.ID, l.ID))
			w.end(l.ID)
		}
	},
	"takes over from who ranks lower": func(w *world) {
		for _, two := range [][2]store.Actor{
			{store.ByRule, store.ByAgent},
			{store.ByUser, store.ByAgent},
			{store.ByAdmin, store.ByAgent},
			{store.ByRevoker, store.ByAgent},
			{store.ByRule, store.ByUser},
			{store.ByAdmin, store.ByUser},
			{store.ByRevoker, store.ByUser},
		} {
			by, lower := two[0], two[1]
			l := w.lend()
			w.suspend(l, lower)
			for _, no := range []store.Actor{lower, store.ByAgent} {
				w.refused(store.ErrTaskNotActive, func() error {
					_, err := w.s.SuspendTask(w.ctx, l.ID, no, "again", record("x"))
					return err
				})
			}
			t, err := w.s.SuspendTask(w.ctx, l.ID, by, "stop", record("y"))
			w.must(err)
			w.same("task", []any{t.State, t.SuspendedBy, t.Reason}, []any{store.TaskSuspended, by, "stop"})
			w.refused(store.ErrTaskNotSuspended, func() error {
				_, err := w.s.ResumeTask(w.ctx, l.ID, lower, record("x"))
				return err
			})
			w.refused(store.ErrTaskNotActive, func() error {
				_, err := w.s.SuspendTask(w.ctx, l.ID, lower, "mine", record("x"))
				return err
			})
			_, err = w.s.ResumeTask(w.ctx, l.ID, by, record("z"))
			w.must(err)
			w.same("alive", w.live(l.Access.JTI), true)
		}
	},
}
