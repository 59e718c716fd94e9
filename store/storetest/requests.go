package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

var requests = map[string]func(*world){
	"a request is found as it was pushed": func(w *world) {
		r := w.push()
		got, err := w.s.RequestByID(w.ctx, r.ID, w.client.ID)
		w.must(err)
		w.same("request", got, r)
	},
	"no request of the unknown or disabled": func(w *world) {
		r := store.Request{ID: w.secret(), ClientID: "cli_nobody", ExpiresAt: w.clock.Now().Add(time.Minute)}
		w.refused(store.ErrClientNotFound, func() error { return w.s.PushRequest(w.ctx, r, record("x")) })
		_, err := w.s.DisableClient(w.ctx, w.client.ID, true)
		w.must(err)
		r.ClientID = w.client.ID
		w.refused(store.ErrClientDisabled, func() error { return w.s.PushRequest(w.ctx, r, record("x")) })
	},
	"unknown": func(w *world) {
		_, err := w.s.RequestByID(w.ctx, w.secret(), w.client.ID)
		w.want(err, store.ErrRequestNotFound)
		w.refused(store.ErrRequestNotFound, func() error {
			_, err := w.s.BindRequest(w.ctx, w.secret(), w.client.ID, w.session)
			return err
		})
		w.refused(store.ErrRequestNotFound, func() error { return w.s.Deny(w.ctx, w.secret(), w.session, record("x")) })
	},
	"of another client": func(w *world) {
		r := w.push()
		_, err := w.s.RequestByID(w.ctx, r.ID, "cli_other")
		w.want(err, store.ErrRequestNotFound)
		w.refused(store.ErrRequestNotFound, func() error {
			_, err := w.s.BindRequest(w.ctx, r.ID, "cli_other", w.session)
			return err
		})
		_, err = w.s.BindRequest(w.ctx, r.ID, w.client.ID, w.session)
		w.must(err)
		w.must(w.s.Deny(w.ctx, r.ID, w.session))
		_, err = w.s.RequestByID(w.ctx, r.ID, "cli_other")
		w.want(err, store.ErrRequestNotFound)
	},
	"binding": func(w *world) {
		r := w.push()
		got, err := w.s.BindRequest(w.ctx, r.ID, w.client.ID, w.session)
		w.must(err)
		r.Session = w.session
		w.same("request", got, r)
		w.unchanged(func() {
			got, err = w.s.BindRequest(w.ctx, r.ID, w.client.ID, w.session)
			w.must(err)
			w.same("request", got, r)
		})
		for _, session := range []store.Hash{w.secret(), {}} {
			w.refused(store.ErrRequestBound, func() error {
				_, err := w.s.BindRequest(w.ctx, r.ID, w.client.ID, session)
				return err
			})
		}
	},
	"expired": func(w *world) {
		r := w.shown()
		w.clock.Advance(10 * time.Minute)
		_, err := w.s.RequestByID(w.ctx, r.ID, w.client.ID)
		w.want(err, store.ErrRequestNotFound)
		w.refused(store.ErrRequestNotFound, func() error {
			_, err := w.s.BindRequest(w.ctx, r.ID, w.client.ID, w.session)
			return err
		})
		w.refused(store.ErrRequestNotFound, func() error { return w.s.Deny(w.ctx, r.ID, w.session, record("x")) })
	},
	"more time": func(w *world) {
		unbound, r := w.push(), w.shown()
		later := w.clock.Now().Add(20 * time.Minute)
		prolong := func(id, session store.Hash) func() error {
			return func() error { return w.s.ProlongRequest(w.ctx, id, session, later) }
		}
		w.refused(store.ErrRequestBound, prolong(unbound.ID, w.session))
		w.refused(store.ErrRequestBound, prolong(r.ID, w.secret()))
		w.refused(store.ErrRequestNotFound, prolong(w.secret(), w.session))
		w.must(prolong(r.ID, w.session)())
		w.unchanged(func() { w.must(w.s.ProlongRequest(w.ctx, r.ID, w.session, w.clock.Now())) }) // never less
		w.clock.Advance(15 * time.Minute)
		got, err := w.s.RequestByID(w.ctx, r.ID, w.client.ID)
		w.must(err)
		w.same("expires", got.ExpiresAt, later)
		w.must(w.s.Deny(w.ctx, r.ID, w.session))
		w.refused(store.ErrRequestDecided, prolong(r.ID, w.session))
		late := w.shown()
		w.clock.Advance(10 * time.Minute)
		w.refused(store.ErrRequestNotFound, prolong(late.ID, w.session))
	},
	"denying": func(w *world) {
		unbound, r := w.push(), w.shown()
		w.refused(store.ErrRequestBound, func() error { return w.s.Deny(w.ctx, unbound.ID, w.session, record("x")) })
		w.refused(store.ErrRequestBound, func() error { return w.s.Deny(w.ctx, unbound.ID, store.Hash{}, record("x")) })
		w.refused(store.ErrRequestBound, func() error { return w.s.Deny(w.ctx, r.ID, w.secret(), record("x")) })
		w.must(w.s.Deny(w.ctx, r.ID, w.session, record("consent.denied")))
		w.same("ledger", w.kinds(), []string{"consent.denied"})
		_, err := w.s.RequestByID(w.ctx, r.ID, w.client.ID)
		w.want(err, store.ErrRequestDecided)
		w.refused(store.ErrRequestDecided, func() error { return w.s.Deny(w.ctx, r.ID, w.session, record("x")) })
		w.refused(store.ErrRequestDecided, func() error {
			_, err := w.s.BindRequest(w.ctx, r.ID, w.client.ID, w.session)
			return err
		})
	},
	"all that are long past their life are forgotten at once": func(w *world) { // faster than strangers push
		var last store.Request
		for range 250 {
			last = w.push()
		}
		w.clock.Advance(last.ExpiresAt.Sub(w.clock.Now()) + time.Hour + time.Second)
		_, err := w.s.SweepTasks(w.ctx)
		w.must(err)
		w.clock.Advance(-2 * time.Hour) // were it still there, it would be found
		_, err = w.s.RequestByID(w.ctx, last.ID, w.client.ID)
		w.want(err, store.ErrRequestNotFound)
	},
	"long past its life it is forgotten": func(w *world) {
		r := w.shown()
		w.clock.Advance(24 * time.Hour)
		moved, err := w.s.SweepTasks(w.ctx)
		w.must(err)
		w.same("moved", moved, 0)
		_, err = w.s.RequestByID(w.ctx, r.ID, w.client.ID)
		w.want(err, store.ErrRequestNotFound)
	},
}
