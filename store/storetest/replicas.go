package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

// ack acknowledges for a replica of the Guard at tickets and returns up to where everybody has.
func (w *world) ack(replica string, seq int64) int64 {
	w.t.Helper()
	acked, err := w.s.AckFeed(w.ctx, tickets, replica, seq)
	w.must(err)
	return acked
}

func (w *world) listens(replica string, d time.Duration) {
	w.t.Helper()
	w.must(w.s.ListenFeed(w.ctx, tickets, replica, w.clock.Now().Add(d)))
}

// replicas tests several replicas of one Guard.
var replicas = map[string]func(*world){
	"the slowest that listens counts": func(w *world) {
		l := w.lend()
		w.listens("rpl_a", 15*time.Second)
		w.listens("rpl_b", 15*time.Second)
		w.end(l.ID)
		ackedAt := func() time.Time {
			w.t.Helper()
			endings, err := w.s.TaskEndings(w.ctx, l.ID)
			w.must(err)
			return endings[0].AckedAt
		}
		w.same("one of two", w.ack("rpl_a", 1), int64(0))
		w.same("in force", ackedAt(), time.Time{})
		w.clock.Advance(time.Second)
		w.same("both", w.ack("rpl_b", 1), int64(1))
		w.same("in force since", ackedAt(), w.clock.Now())
		w.listens("rpl_c", 15*time.Second)
		w.same("a new one takes nothing back", w.ack("rpl_a", 1), int64(1))
	},
	"one that is gone holds nothing back": func(w *world) {
		w.listens("rpl_a", 15*time.Second)
		w.listens("rpl_b", 15*time.Second)
		w.end(w.lend().ID)
		w.same("while it may act", w.ack("rpl_a", 1), int64(0))
		w.clock.Advance(10 * time.Second)
		w.listens("rpl_a", 15*time.Second)
		w.same("still", w.ack("rpl_a", 1), int64(0))
		w.clock.Advance(6 * time.Second)
		w.listens("rpl_a", 15*time.Second)
		r, err := w.s.ResourceByURI(w.ctx, tickets)
		w.must(err)
		w.same("when it may not any more", r.AckSeq, int64(1))
		w.listens("rpl_a", -time.Hour)
		w.listens("rpl_b", 15*time.Second)
		w.end(w.lend().ID)
		w.same("the latest time counts", w.ack("rpl_b", 2), int64(1))
	},
	"one that does not listen speaks for itself": func(w *world) {
		w.end(w.lend().ID)
		w.same("acknowledged", w.ack("rpl_x", 1), int64(1))
		w.refused(store.ErrResourceNotFound, func() error {
			return w.s.ListenFeed(w.ctx, "https://nowhere.example", "rpl_a", w.clock.Now())
		})
	},
	"a new Guard begins without them": func(w *world) {
		w.listens("rpl_old", time.Hour)
		w.end(w.lend().ID)
		w.enrol(tickets, "grd_new")
		w.same("acknowledged by the new one alone", w.ack("", 1), int64(1))
	},
	"executions of each": func(w *world) {
		w.enrol(tickets, "grd_1")
		send := func(replica string, first, n int, want int64) {
			w.t.Helper()
			next, err := w.s.AppendExecutions(w.ctx, "grd_1", replica, int64(first), w.batch(first, n, ""))
			w.must(err)
			w.same("next", next, want)
		}
		send("rpl_a", 1, 3, 4)
		send("rpl_b", 1, 2, 3)
		send("", 1, 1, 2)
		send("rpl_a", 1, 3, 4) // again
		send("rpl_a", 6, 1, 4) // a gap
		send("rpl_a", 3, 3, 6) // half of it again
		w.same("records", len(w.recordsOf("execution.lost")), 0)
		send("rpl_restored", 8, 2, 10)
		lost := w.recordsOf("execution.lost")
		w.same("what is missing is told", len(lost), 1)
		w.same("once", len(w.recordsOf("execution.decided")), 10)
		w.refused(store.ErrResourceNotFound, func() error {
			_, err := w.s.AppendExecutions(w.ctx, "grd_nobody", "rpl_a", 1, w.batch(1, 1, ""))
			return err
		})
	},
}

// recordsOf are the ledger's records of this kind.
func (w *world) recordsOf(kind string) []store.Record {
	w.t.Helper()
	_, err := w.s.Sequence(w.ctx)
	w.must(err)
	recs, err := w.s.Records(w.ctx, store.RecordFilter{Kind: kind})
	w.must(err)
	return recs
}

// subtasks tests what the suspension of a task does to those under it.
var subtasks = map[string]func(*world){
	"they are suspended and resumed with it": func(w *world) {
		root := w.lend()
		child := w.lend(under(root.ID))
		grandchild := w.lend(under(child.ID))
		w.suspend(root, store.ByAdmin)
		for _, l := range []loan{root, child, grandchild} {
			t := w.task(l.ID)
			w.same("state", []string{string(t.State), string(t.SuspendedBy), t.Reason}, []string{"suspended", "admin", "looked at"})
			w.same("live", w.live(l.Access.JTI), false)
			w.refuseRotation(store.ErrTaskNotActive, w.rotate(l.Refresh.ID, l.ID))
		}
		w.same("suspensions told", len(w.recordsOf("task.suspended")), 3)
		w.resume(root, store.ByAdmin)
		for _, l := range []loan{root, child, grandchild} {
			w.same("state", w.task(l.ID).State, store.TaskActive)
			w.refreshed(l)
		}
		w.same("resumptions told", len(w.recordsOf("task.resumed")), 3)
	},
	"none goes on before the one above it": func(w *world) {
		root := w.lend()
		child := w.lend(under(root.ID))
		w.suspend(root, store.ByUser)
		for _, by := range []store.Actor{store.ByUser, store.ByAdmin} {
			w.refused(store.ErrTaskNotActive, func() error { _, err := w.s.ResumeTask(w.ctx, child.ID, by, record("x")); return err })
		}
		w.resume(root, store.ByUser)
		w.refreshed(child)
	},
	"a code redeemed meanwhile": func(w *world) {
		root := w.lend()
		a := w.approve(under(root.ID))
		w.suspend(root, store.ByUser)
		w.refuseRedemption(store.ErrTaskNotActive, w.redemption(a))
		w.resume(root, store.ByUser)
		w.must(w.s.RedeemCode(w.ctx, w.redemption(a)))
	},
	"one that sleeps cannot wake by itself": func(w *world) {
		for _, sweep := range []bool{false, true} {
			root := w.lend()
			child := w.lend(under(root.ID))
			w.clock.Advance(store.IdleAfter - time.Minute)
			w.refreshed(root)
			w.clock.Advance(time.Minute)
			if sweep {
				w.swept(1)
			}
			w.suspend(root, store.ByUser)
			w.refuseRotation(store.ErrTaskNotActive, w.rotate(child.Refresh.ID, child.ID))
			w.end(root.ID)
		}
	},
	"idleness takes none along": func(w *world) {
		root := w.lend()
		w.clock.Advance(store.IdleAfter - time.Minute)
		child := w.lend(under(root.ID))
		w.clock.Advance(time.Minute)
		w.swept(1)
		w.same("states", []store.TaskState{w.task(root.ID).State, w.task(child.ID).State}, []store.TaskState{store.TaskSuspended, store.TaskActive})
		w.refreshed(child)
	},
}

func (w *world) suspend(l loan, by store.Actor) {
	w.t.Helper()
	_, err := w.s.SuspendTask(w.ctx, l.ID, by, "looked at")
	w.must(err)
}

func (w *world) resume(l loan, by store.Actor) {
	w.t.Helper()
	_, err := w.s.ResumeTask(w.ctx, l.ID, by)
	w.must(err)
}
