package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

var feed = map[string]func(*world){
	"one gapless sequence per resource": func(w *world) {
		for i := range 5 {
			l := w.lend(atBoth(w))
			if i%2 == 0 {
				w.must(w.s.RevokeAccess(w.ctx, l.Access.JTI))
			}
			w.end(l.ID)
		}
		for resource, n := range map[string]int{tickets: 8, mail: 5} {
			events := w.events(resource)
			w.same("number", len(events), n)
			for i, e := range events {
				w.same("sequence", e.Seq, int64(i+1))
			}
		}
		events, err := w.s.FeedSince(w.ctx, tickets, 3, 2)
		w.must(err)
		w.same("page", events, w.events(tickets)[3:5])
		events, err = w.s.FeedSince(w.ctx, tickets, 8, 10)
		w.must(err)
		w.same("none", len(events), 0)
	},
	"a snapshot of what matters": func(w *world) {
		seq, events, err := w.s.FeedSnapshot(w.ctx, tickets, time.Time{})
		w.must(err)
		w.same("empty", []any{seq, len(events)}, []any{int64(0), 0})

		early := w.lend()
		w.end(early.ID)
		w.clock.Advance(time.Minute)
		since := w.clock.Now()
		ended, revoked, suspended, resumed, twice := w.lend(), w.lend(), w.lend(), w.lend(), w.lend()
		for _, l := range []loan{ended, suspended, resumed, twice} {
			_, err := w.s.SuspendTask(w.ctx, l.ID, store.ByUser, "")
			w.must(err)
		}
		w.end(ended.ID)
		for _, l := range []loan{resumed, twice} {
			_, err := w.s.ResumeTask(w.ctx, l.ID, store.ByUser)
			w.must(err)
		}
		_, err = w.s.SuspendTask(w.ctx, twice.ID, store.ByAdmin, "again")
		w.must(err)
		w.must(w.s.RevokeAccess(w.ctx, revoked.Access.JTI))
		w.must(w.s.RevokeAccess(w.ctx, suspended.Access.JTI))

		seq, events, err = w.s.FeedSnapshot(w.ctx, tickets, since)
		w.must(err)
		all := w.events(tickets)
		w.same("sequence", seq, int64(len(all)))
		type fact [2]string // kind and task
		var facts []fact
		for _, e := range events {
			facts = append(facts, fact{e.Kind, e.TaskID})
		}
		w.same("facts", facts, []fact{
			{store.EventTaskSuspended, suspended.ID},
			{store.EventTaskEnded, ended.ID},
			{store.EventTaskSuspended, twice.ID},
			{store.EventTokenRevoked, revoked.ID},
			{store.EventTokenRevoked, suspended.ID},
		})
	},
	"acknowledgement": func(w *world) {
		ack := func(seq, want int64) {
			w.t.Helper()
			_, err := w.s.AckFeed(w.ctx, tickets, "", seq)
			w.must(err)
			r, err := w.s.ResourceByURI(w.ctx, tickets)
			w.must(err)
			w.same("acknowledged", []any{r.AckSeq, r.AckAt}, []any{want, w.clock.Now()})
		}
		w.end(w.lend().ID)
		w.end(w.lend().ID)
		ack(1, 1)
		w.clock.Advance(time.Second)
		ack(2, 2)
		ack(1, 2)
		ack(99, 2)
		w.refused(store.ErrResourceNotFound, func() error {
			_, err := w.s.AckFeed(w.ctx, "https://nowhere.example", "", 1)
			return err
		})
		w.enrol(tickets, "grd_new")
		r, err := w.s.ResourceByURI(w.ctx, tickets)
		w.must(err)
		w.same("a new Guard has acknowledged", r.AckSeq, int64(0))
	},
	"how ends were heard of": func(w *world) {
		tell := func(ids ...string) map[string]store.Ending {
			w.t.Helper()
			endings, err := w.s.TaskEndings(w.ctx, ids...)
			w.must(err)
			by := make(map[string]store.Ending)
			for _, e := range endings {
				by[e.TaskID+" "+e.Resource] = e
			}
			w.same("one for each task and resource", len(by), len(endings))
			return by
		}
		first, both, later, running := w.lend(), w.lend(atBoth(w)), w.lend(), w.lend()
		w.same("before the end", len(tell(first.ID, both.ID)), 0)
		_, err := w.s.SuspendTask(w.ctx, both.ID, store.ByUser, "")
		w.must(err)
		w.end(first.ID)
		w.end(both.ID)
		ended := w.clock.Now()
		w.clock.Advance(300 * time.Millisecond)
		w.ack("", 2) // that both was suspended, and the end of first
		acked := w.clock.Now()
		w.clock.Advance(time.Second)
		w.ack("", 2) // said again, it counts from the first time
		w.end(later.ID)

		got := tell(first.ID, both.ID, running.ID, "tsk_none")
		w.same("ends", len(got), 3)
		e := got[first.ID+" "+tickets]
		w.same("event", []any{e.Kind, e.Seq, e.State, e.At}, []any{store.EventTaskEnded, int64(2), store.TaskRevoked, ended})
		w.same("acknowledged", e.AckedAt, acked)
		w.same("last token", e.LastToken, first.Access.ExpiresAt)
		w.same("not yet", got[both.ID+" "+tickets].AckedAt, time.Time{})
		w.same("no token for it", got[both.ID+" "+mail].LastToken, time.Time{})

		w.ack("", 99)
		got = tell(first.ID, both.ID, later.ID)
		w.same("unmoved", got[first.ID+" "+tickets].AckedAt, acked)
		w.same("since now", got[both.ID+" "+tickets].AckedAt, w.clock.Now())
		w.same("since now, too", got[later.ID+" "+tickets].AckedAt, w.clock.Now())
		w.same("another resource's", got[both.ID+" "+mail].AckedAt, time.Time{})
		w.same("of no task", len(tell()), 0)
	},
	"watching": func(w *world) {
		l := w.lend()
		here, stopHere := w.s.WatchFeed(tickets)
		there, stopThere := w.s.WatchFeed(mail)
		defer stopThere()
		w.end(l.ID)
		if !signalled(here) {
			w.t.Error("no signal after the end of a task")
		}
		if signalled(there) {
			w.t.Error("a signal at a resource that is not concerned")
		}
		w.ack("", 1)
		if !signalled(here) {
			w.t.Error("no signal after an acknowledgement")
		}
		stopHere()
		stopHere()
		w.end(w.lend().ID)
		if signalled(here) {
			w.t.Error("a signal after stop")
		}
	},
}

// signalled reports whether the channel has a signal within reason. A backend may signal from
// another goroutine, so that a missing signal is waited for, and a wrong one only looked for.
func signalled(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	case <-time.After(50 * time.Millisecond):
		return false
	}
}
