package storetest

import (
	"maps"
	"time"

	"github.com/remit-auth/remit/store"
)

func init() {
	maps.Copy(faultVerbs, faultRemember)
	maps.Copy(faultReads, map[string]func(r *reading) (any, error){
		"RememberedBy": func(r *reading) (any, error) { return r.s.RememberedBy(r.ctx, r.user.ID) },
		"RememberedFor": func(r *reading) (any, error) {
			return r.s.RememberedFor(r.ctx, r.user.ID, r.client.ID, grade, tickets)
		},
	})
}

// faultRemember are those of faultVerbs about choices that go on and tasks that get less.
var faultRemember = map[string]func(w *world) func() error{
	"Approve, remembering": func(w *world) func() error {
		a := w.ask(remembering(w.choice()))
		return func() error { return w.s.Approve(w.ctx, a, record("task.approved")) }
	},
	"Approve, by what is remembered": func(w *world) func() error {
		a := w.ask(continuing(w.remembered().ID))
		return func() error { return w.s.Approve(w.ctx, a, record("task.approved")) }
	},
	"Forget": func(w *world) func() error {
		r := w.remembered()
		return func() error { return w.s.Forget(w.ctx, w.user.ID, r.ID, record("consent.forgotten")) }
	},
	"ForgetAll": func(w *world) func() error {
		w.remembered()
		return func() error { return only1(w.s.ForgetAll(w.ctx, w.user.ID, record("consent.forgotten"))) }
	},
	"EndSessions, remembering": func(w *world) func() error {
		w.remembered()
		return func() error { return only1(w.s.EndSessions(w.ctx, w.user.ID, w.session, record("session.ended"))) }
	},
	"ProlongRequest": func(w *world) func() error {
		r := w.shown()
		return func() error { return w.s.ProlongRequest(w.ctx, r.ID, w.session, w.clock.Now().Add(time.Hour)) }
	},
	"DismissFinding": func(w *world) func() error {
		w.must(w.s.Append(w.ctx, record("rule.fired")))
		all := w.chained()
		d := store.Dismissal{Finding: all[len(all)-1].Seq, By: store.ByAdmin, Reason: "no"}
		return func() error { return w.s.DismissFinding(w.ctx, d, record("findings.dismissed")) }
	},
	"NarrowTask": func(w *world) func() error {
		l := w.lend(atBoth(w))
		w.begun(w.start(l))
		w.stepUp(l)
		n := w.narrowing(l.ID, tickets)
		return func() error { return only1(w.s.NarrowTask(w.ctx, n, record("task.narrowed"))) }
	},
}
