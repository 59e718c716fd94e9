package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

var epochs = map[string]func(*world){
	"never restored": func(w *world) {
		e, err := w.s.LastEpoch(w.ctx)
		w.must(err)
		w.same("epoch", e, store.Epoch{})
	},
	"a restored store has no live task": func(w *world) {
		w.ring()
		running, parent := w.lend(), w.lend()
		child := w.lend(under(parent.ID))
		asleep := w.lend()
		_, err := w.s.SuspendTask(w.ctx, asleep.ID, store.ByAdmin, "test")
		w.must(err)
		waiting := w.approve()
		asked := w.push()
		w.must(w.s.AddSession(w.ctx, store.Session{ID: w.session, UserID: w.user.ID, AuthTime: w.clock.Now(), ExpiresAt: w.clock.Now().Add(time.Hour)}))
		records := len(w.chained())

		e, ended, err := w.s.RaiseEpoch(w.ctx, key("k3", "sig"), key("k4", "sig"), record("epoch.why"))
		w.must(err)
		w.same("epoch", e, store.Epoch{N: 1, At: w.clock.Now(), Size: int64(records)})
		w.same("ended", ended, 5)
		for _, id := range []string{running.ID, parent.ID, child.ID, asleep.ID, waiting.Task.ID} {
			if got := w.task(id); got.State != store.TaskRevoked || got.Reason != "restored" {
				w.t.Errorf("%s is %s, %s", id, got.State, got.Reason)
			}
		}
		w.want(w.s.RedeemCode(w.ctx, w.redemption(waiting)), store.ErrTaskEnded)
		_, err = w.s.BindRequest(w.ctx, asked.ID, w.client.ID, w.session)
		w.want(err, store.ErrRequestNotFound)
		_, _, err = w.s.SessionByID(w.ctx, w.session)
		w.want(err, store.ErrSessionNotFound)
		w.same("states", w.states(), states{"k1": store.KeyRetired, "k2": store.KeyRetired, "k3": store.KeyActive, "k4": store.KeyNext})
		for _, uri := range []string{tickets, mail} {
			told := w.events(uri)
			last := told[len(told)-1]
			if last.Kind != store.EventEpochRaised || last.JTI != "1" {
				w.t.Errorf("%s was told last %+v", uri, last)
			}
		}
		kinds := w.kinds()[records:]
		w.same("ledger", kinds, []string{"task.ended", "task.ended", "task.ended", "task.ended", "task.ended", "epoch.raised", "epoch.why"})

		last, err := w.s.LastEpoch(w.ctx)
		w.must(err)
		w.same("epoch", last, e)
		e, ended, err = w.s.RaiseEpoch(w.ctx, key("k5", "sig"), key("k6", "sig"))
		w.must(err)
		if e.N != 2 || ended != 0 {
			w.t.Errorf("epoch %d ended %d", e.N, ended)
		}
		w.lend() // and life goes on
	},
	"a Guard skips what the backup did not have, once": func(w *world) {
		w.ring()
		const guard = "grd_1"
		w.enrol(tickets, guard)
		calls := func(n int) (recs []store.Record) {
			for range n {
				recs = append(recs, record("execution.decided"))
			}
			return recs
		}
		append := func(first int64, n int, want int64) {
			w.t.Helper()
			next, err := w.s.AppendExecutions(w.ctx, guard, "", first, calls(n))
			w.must(err)
			w.same("next", next, want)
		}
		append(1, 4, 5)
		_, _, err := w.s.RaiseEpoch(w.ctx, key("k3", "sig"), key("k4", "sig"))
		w.must(err)
		append(9, 2, 11)
		var lost []store.Record
		for _, r := range w.chained() {
			if r.Kind == "execution.lost" {
				lost = []store.Record{r}
			}
		}
		if len(lost) != 1 || lost[0].Resource != tickets {
			w.t.Errorf("lost: %+v", lost)
		}
		w.unchanged(func() { append(13, 1, 11) }) // no gap a second time
		_, _, err = w.s.RaiseEpoch(w.ctx, key("k5", "sig"), key("k6", "sig"))
		w.must(err)
		append(10, 2, 12) // it lost nothing: what is known is skipped
		w.unchanged(func() { append(14, 1, 12) })
	},
}

var pruning = map[string]func(*world){
	"a replica that never comes back": func(w *world) {
		w.enrol(tickets, "grd_1")
		told := func(replica string, first int, want int64) {
			w.t.Helper()
			next, err := w.s.AppendExecutions(w.ctx, "grd_1", replica, int64(first), w.batch(first, 1, ""))
			w.must(err)
			w.same("next", next, want)
		}
		told("rpl_gone", 1, 2)
		told("rpl_stays", 1, 2)
		w.clock.Advance(store.KeepReplicas - time.Minute)
		told("rpl_stays", 2, 3)
		_, err := w.s.Prune(w.ctx)
		w.must(err)
		told("rpl_gone", 1, 2) // told before, and still known
		w.clock.Advance(time.Minute)
		n, err := w.s.Prune(w.ctx)
		w.must(err)
		w.same("pruned", n, 1)
		told("rpl_stays", 3, 4)
		w.same("nothing is said to be lost", len(w.recordsOf("execution.lost")), 0)
		told("rpl_gone", 2, 3)
		w.same("one that was forgotten is new", len(w.recordsOf("execution.lost")), 1)
	},
	"what belonged to a task that ended long ago": func(w *world) {
		old, newer, live := w.lend(endsIn(time.Hour)), w.lend(endsIn(time.Hour)), w.lend(endsIn(6*24*time.Hour))
		w.end(old.ID)
		w.clock.Advance(time.Minute)
		w.end(newer.ID)
		w.clock.Advance(store.KeepEnded - time.Minute)
		records := len(w.chained())
		n, err := w.s.Prune(w.ctx)
		w.must(err)
		if n == 0 {
			w.t.Error("nothing pruned")
		}
		_, err = w.s.AccessByJTI(w.ctx, old.Access.JTI)
		w.want(err, store.ErrTokenNotFound)
		_, err = w.s.RefreshByID(w.ctx, old.Refresh.ID)
		w.want(err, store.ErrRefreshNotFound)
		for _, l := range []loan{newer, live} {
			_, err = w.s.AccessByJTI(w.ctx, l.Access.JTI)
			w.must(err)
			_, err = w.s.RefreshByID(w.ctx, l.Refresh.ID)
			w.must(err)
		}
		w.same("task", w.task(old.ID).State, store.TaskRevoked)
		w.same("records", len(w.chained()), records)
		w.unchanged(func() {
			n, err := w.s.Prune(w.ctx)
			w.must(err)
			w.same("pruned", n, 0)
		})
	},
	"spent codes and refresh tokens of a live task stay": func(w *world) {
		a := w.approve(endsIn(6 * 24 * time.Hour))
		r := w.redemption(a)
		r.Refresh.ExpiresAt = a.Task.EndsAt
		w.must(w.s.RedeemCode(w.ctx, r))
		turn := store.Rotation{Old: r.Refresh.ID, New: w.refresh(a.Task.ID), Access: w.access(a.Task.ID, tickets)}
		turn.New.ExpiresAt = a.Task.EndsAt
		_, _, err := w.s.RotateRefreshToken(w.ctx, turn)
		w.must(err)
		w.clock.Advance(4 * 24 * time.Hour)
		_, err = w.s.Prune(w.ctx)
		w.must(err)
		w.want(w.s.RedeemCode(w.ctx, w.redemption(a)), store.ErrCodeSpent)
		st, err := w.s.RefreshByID(w.ctx, r.Refresh.ID)
		w.must(err)
		if !st.Token.Spent {
			w.t.Error("the spent refresh token is not known as spent")
		}
	},
	"the feed stays gapless": func(w *world) {
		for range 3 {
			w.end(w.lend().ID)
		}
		w.clock.Advance(store.KeepEnded)
		_, err := w.s.Prune(w.ctx)
		w.must(err)
		told := w.events(tickets)
		if len(told) != 1 || told[0].Seq != 3 {
			w.t.Fatalf("kept %+v", told)
		}
		w.end(w.lend().ID)
		told = w.events(tickets)
		if len(told) != 2 || told[1].Seq != 4 {
			w.t.Errorf("after another end %+v", told)
		}
	},
	"many at once": func(w *world) {
		for range 130 {
			w.end(w.lend().ID)
		}
		w.clock.Advance(store.KeepEnded)
		for n := 1; n > 0; {
			var err error
			n, err = w.s.Prune(w.ctx)
			w.must(err)
		}
		w.same("events", len(w.events(tickets)), 1)
	},
}
