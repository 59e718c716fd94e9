package storetest

import (
	"maps"
	"time"

	"github.com/remit-auth/remit/store"
)

func init() { maps.Copy(faultVerbs, faultTasks) }

// faultTasks are those of faultVerbs that belong to tasks and the ledger.
var faultTasks = map[string]func(w *world) func() error{
	// Requests and codes.
	"PushRequest": func(w *world) func() error {
		r := store.Request{ID: w.secret(), ClientID: w.client.ID, Params: []byte(`{}`), JKT: jkt, CreatedAt: w.clock.Now(), ExpiresAt: w.clock.Now().Add(time.Minute)}
		return func() error { return w.s.PushRequest(w.ctx, r, record("request.pushed")) }
	},
	"BindRequest": func(w *world) func() error {
		r := w.push()
		return func() error { return only1(w.s.BindRequest(w.ctx, r.ID, w.client.ID, w.session)) }
	},
	"Approve": func(w *world) func() error {
		a := w.ask(atBoth(w), calls(5))
		return func() error { return w.s.Approve(w.ctx, a, record("task.approved")) }
	},
	"Approve, a step-up": func(w *world) func() error {
		l, a := w.lend(), w.ask()
		a.Extends, a.Code.KeyBound, a.Grants = l.ID, true, []store.Grant{w.grant(l.ID, tickets)}
		return func() error { return w.s.Approve(w.ctx, a, record("task.widening")) }
	},
	"Approve, without a code": func(w *world) func() error {
		a := w.more(w.lend())
		return func() error { return w.s.Approve(w.ctx, a, record("task.widened")) }
	},
	"Deny": func(w *world) func() error {
		r := w.shown()
		return func() error { return w.s.Deny(w.ctx, r.ID, w.session, record("request.denied")) }
	},
	"RedeemCode": func(w *world) func() error {
		r := w.redemption(w.approve(atBoth(w)))
		return func() error { return w.s.RedeemCode(w.ctx, r, record("task.activated")) }
	},
	"RedeemCode, a step-up": func(w *world) func() error {
		_, r := w.stepUp(w.lend())
		return func() error { return w.s.RedeemCode(w.ctx, r, record("task.widened")) }
	},
	"AddDevice": func(w *world) func() error {
		now := w.clock.Now()
		d := store.Device{ID: w.secret(), UserCode: w.secret(), ClientID: w.client.ID, Params: []byte(`{}`), CreatedAt: now, ExpiresAt: now.Add(time.Minute)}
		return func() error { return w.s.AddDevice(w.ctx, d, record("device.asked")) }
	},
	"Deny, of a device": func(w *world) func() error {
		a := w.about(w.device())
		return func() error { return w.s.Deny(w.ctx, a.Request, w.session, record("request.denied")) }
	},
	"StartTask": func(w *world) func() error {
		s := w.start(w.lend())
		return func() error { return w.s.StartTask(w.ctx, s, record("task.delegated")) }
	},
	"StartTask, once": func(w *world) func() error {
		s := w.start(loan{}, alone(w.secret(), w.clock.Now().Add(time.Minute)))
		return func() error { return w.s.StartTask(w.ctx, s, record("task.started")) }
	},
	"Spend": func(w *world) func() error {
		o := store.Once{ID: w.secret(), Until: w.clock.Now().Add(time.Minute)}
		return func() error { return w.s.Spend(w.ctx, o) }
	},

	// Tokens.
	"RotateRefreshToken": func(w *world) func() error {
		l := w.lend()
		r := w.rotate(l.Refresh.ID, l.ID)
		return func() error { return only2(w.s.RotateRefreshToken(w.ctx, r, record("token.refreshed"))) }
	},
	"RotateRefreshToken, a parallel process": func(w *world) func() error {
		l := w.lend()
		_, _, err := w.s.RotateRefreshToken(w.ctx, w.rotate(l.Refresh.ID, l.ID))
		w.must(err)
		r := w.rotate(l.Refresh.ID, l.ID)
		return func() error { return only2(w.s.RotateRefreshToken(w.ctx, r, record("token.refreshed"))) }
	},
	"RotateRefreshToken, waking the task": func(w *world) func() error {
		l := w.lend()
		w.clock.Advance(store.IdleAfter)
		_, err := w.s.SweepTasks(w.ctx)
		w.must(err)
		r := w.rotate(l.Refresh.ID, l.ID)
		return func() error { return only2(w.s.RotateRefreshToken(w.ctx, r, record("token.refreshed"))) }
	},
	"RevokeAccess": func(w *world) func() error {
		l := w.lend()
		return func() error { return w.s.RevokeAccess(w.ctx, l.Access.JTI, record("token.revoked")) }
	},

	// Tasks.
	"EndTask": func(w *world) func() error {
		top := w.lend(atBoth(w))
		w.begun(w.start(top))
		w.asked(w.askCall(top, "sha-256:a"))
		return func() error {
			return only1(w.s.EndTask(w.ctx, store.End{TaskID: top.ID, State: store.TaskRevoked, By: store.ByUser}, record("task.ended")))
		}
	},
	"EndLeg": func(w *world) func() error {
		l := w.lend(atBoth(w))
		return func() error { return only1(w.s.EndLeg(w.ctx, l.ID, tickets, "test", record("leg.ended"))) }
	},
	"EndLeg, the last": func(w *world) func() error {
		l := w.lend()
		return func() error { return only1(w.s.EndLeg(w.ctx, l.ID, tickets, "test", record("leg.ended"))) }
	},
	"SuspendTask": func(w *world) func() error {
		l := w.lend()
		w.begun(w.start(l))
		return func() error {
			return only1(w.s.SuspendTask(w.ctx, l.ID, store.ByUser, "test", record("task.suspended")))
		}
	},
	"ResumeTask": func(w *world) func() error {
		l := w.lend()
		w.suspend(l, store.ByUser)
		return func() error { return only1(w.s.ResumeTask(w.ctx, l.ID, store.ByUser, record("task.resumed"))) }
	},
	"SweepTasks": func(w *world) func() error {
		w.lend(endsIn(time.Minute))
		w.lend()
		w.approve()
		w.throw(store.Switch{Level: store.LevelTool, Subject: tickets, Tool: "get_ticket", Until: w.clock.Now().Add(time.Minute)})
		w.clock.Advance(store.IdleAfter)
		return func() error { return only1(w.s.SweepTasks(w.ctx)) }
	},
	"Prune": func(w *world) func() error {
		w.end(w.lend(atBoth(w)).ID)
		w.enrol(tickets, "grd_1")
		w.must(only1(w.s.AppendExecutions(w.ctx, "grd_1", "rpl_gone", 1, w.batch(1, 1, ""))))
		w.clock.Advance(max(store.KeepEnded, store.KeepReplicas) + time.Hour)
		return func() error { return only1(w.s.Prune(w.ctx)) }
	},
	"ReserveCall": func(w *world) func() error {
		top := w.lend(calls(3))
		low := w.begun(w.start(top))
		r := store.Reservation{
			Execution: w.unique("exe_"), TaskID: low.ID, Resource: tickets, Tool: "get_ticket", JTI: low.Access.JTI, ToolMax: 2,
			Above: []store.Share{{TaskID: top.ID, ToolMax: 2}},
		}
		return func() error { return only2(w.s.ReserveCall(w.ctx, r, record("call.reserved"))) }
	},
	"ReserveCall, of a spent budget": func(w *world) func() error { // the refusal ends the task
		l := w.lend(calls(1))
		_, _, err := w.s.ReserveCall(w.ctx, w.call(l, "get_ticket"))
		w.must(err)
		r := w.call(l, "get_ticket")
		return func() error { return only2(w.s.ReserveCall(w.ctx, r, record("call.reserved"))) }
	},
	"AskApproval": func(w *world) func() error {
		a := w.askCall(w.lend(), "sha-256:a")
		return func() error { return only1(w.s.AskApproval(w.ctx, a)) }
	},
	"AskApproval, of an allowed one": func(w *world) func() error {
		l := w.lend()
		w.allowed(l, "sha-256:a")
		a := w.askCall(l, "sha-256:a")
		return func() error { return only1(w.s.AskApproval(w.ctx, a)) }
	},
	"DecideApproval": func(w *world) func() error {
		a := w.asked(w.askCall(w.lend(), "sha-256:a"))
		until := w.clock.Now().Add(time.Minute)
		return func() error { return only1(w.s.DecideApproval(w.ctx, a.ID, w.user.ID, true, until)) }
	},

	// The feed and the ledger.
	"ListenFeed": func(w *world) func() error {
		return func() error { return w.s.ListenFeed(w.ctx, tickets, "rpl_a", w.clock.Now().Add(time.Minute)) }
	},
	"AckFeed": func(w *world) func() error {
		w.end(w.lend().ID)
		w.listens("rpl_a", time.Minute)
		return func() error { return only1(w.s.AckFeed(w.ctx, tickets, "rpl_a", 1)) }
	},
	"Append": func(w *world) func() error {
		return func() error { return w.s.Append(w.ctx, record("one"), record("two")) }
	},
	"AppendExecutions": func(w *world) func() error {
		w.enrol(tickets, "grd_1")
		recs := w.batch(1, 3, w.lend().ID)
		return func() error {
			return only1(w.s.AppendExecutions(w.ctx, "grd_1", "", 1, recs, record("finding.x")))
		}
	},
	"AppendExecutions, of a replica": func(w *world) func() error {
		w.enrol(tickets, "grd_1")
		recs := w.batch(1, 3, w.lend().ID)
		return func() error { return only1(w.s.AppendExecutions(w.ctx, "grd_1", "rpl_a", 1, recs)) }
	},
	"Sequence": func(w *world) func() error {
		w.must(w.s.Append(w.ctx, record("one"), record("two")))
		return func() error { return only1(w.s.Sequence(w.ctx)) }
	},
	"AddCheckpoint": func(w *world) func() error {
		w.must(w.s.Append(w.ctx, record("one")))
		c := store.Checkpoint{Size: int64(len(w.chained())), At: w.clock.Now(), Signed: "signed"}
		_, head, err := w.s.Head(w.ctx)
		w.must(err)
		c.Head = head
		return func() error { return w.s.AddCheckpoint(w.ctx, c) }
	},
}
