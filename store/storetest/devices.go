package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

// device stores a device authorization request.
func (w *world) device() store.Device {
	w.t.Helper()
	now := w.clock.Now()
	d := store.Device{
		ID: w.secret(), UserCode: w.secret(), ClientID: w.client.ID, Params: []byte(`{}`), JKT: jkt, CreatedAt: now, ExpiresAt: now.Add(10 * time.Minute),
	}
	w.must(w.s.AddDevice(w.ctx, d, record("device.asked")))
	return d
}

// about makes the approval's request decide about the device.
func (w *world) about(d store.Device) store.Approval {
	w.t.Helper()
	a := w.ask()
	r := store.Request{
		ID: w.secret(), ClientID: w.client.ID, Params: []byte(`{}`), JKT: jkt, Session: w.session, Device: d.ID,
		CreatedAt: w.clock.Now(), ExpiresAt: w.clock.Now().Add(10 * time.Minute),
	}
	w.must(w.s.PushRequest(w.ctx, r))
	got, err := w.s.RequestByID(w.ctx, r.ID, w.client.ID)
	w.must(err)
	w.same("request", got, r)
	a.Request, a.Code.ID, a.Code.ExpiresAt, a.Code.Challenge, a.Code.RedirectURI = r.ID, d.ID, d.ExpiresAt, "", ""
	return a
}

var devices = map[string]func(*world){
	"found by either code": func(w *world) {
		d := w.device()
		got, err := w.s.DeviceByID(w.ctx, d.ID)
		w.must(err)
		w.same("device", got, d)
		got, err = w.s.DeviceByUserCode(w.ctx, d.UserCode)
		w.must(err)
		w.same("device", got, d)
		_, err = w.s.DeviceByID(w.ctx, w.secret())
		w.want(err, store.ErrDeviceNotFound)
		_, err = w.s.DeviceByUserCode(w.ctx, d.ID)
		w.want(err, store.ErrUserCodeNotFound)
		w.same("ledger", w.kinds(), []string{"device.asked"})
	},
	"a user code in use": func(w *world) {
		d := w.device()
		d.ID = w.secret()
		w.refused(store.ErrUserCodeTaken, func() error { return w.s.AddDevice(w.ctx, d, record("x")) })
	},
	"a client that is switched off": func(w *world) {
		_, err := w.s.DisableClient(w.ctx, w.client.ID, true)
		w.must(err)
		d := store.Device{ID: w.secret(), UserCode: w.secret(), ClientID: w.client.ID}
		w.refused(store.ErrClientDisabled, func() error { return w.s.AddDevice(w.ctx, d, record("x")) })
		d.ClientID = "cli_nobody"
		w.refused(store.ErrClientNotFound, func() error { return w.s.AddDevice(w.ctx, d, record("x")) })
	},
	"allowed and redeemed": func(w *world) {
		d := w.device()
		a, rival := w.about(d), w.about(d)
		w.must(w.s.Approve(w.ctx, a))
		got, err := w.s.DeviceByID(w.ctx, d.ID)
		w.must(err)
		w.same("allowed", []bool{got.Allowed, got.Denied}, []bool{true, false})
		_, err = w.s.DeviceByUserCode(w.ctx, d.UserCode)
		w.want(err, store.ErrUserCodeNotFound)
		w.refused(store.ErrRequestDecided, func() error { return w.s.Approve(w.ctx, rival, record("x")) })
		w.refused(store.ErrRequestDecided, func() error { return w.s.Deny(w.ctx, rival.Request, w.session, record("x")) })
		w.clock.Advance(5 * time.Minute)
		w.must(w.s.RedeemCode(w.ctx, w.redemption(a)))
		w.refuseRedemption(store.ErrCodeSpent, w.redemption(a))
	},
	"denied": func(w *world) {
		d := w.device()
		a, rival := w.about(d), w.about(d)
		w.must(w.s.Deny(w.ctx, a.Request, w.session, record("consent.denied")))
		got, err := w.s.DeviceByID(w.ctx, d.ID)
		w.must(err)
		w.same("denied", []bool{got.Allowed, got.Denied}, []bool{false, true})
		w.refused(store.ErrRequestDecided, func() error { return w.s.Approve(w.ctx, rival, record("x")) })
	},
	"expired": func(w *world) {
		d := w.device()
		w.clock.Advance(9 * time.Minute)
		a := w.about(d)
		w.clock.Advance(time.Minute)
		_, err := w.s.DeviceByUserCode(w.ctx, d.UserCode)
		w.want(err, store.ErrUserCodeNotFound)
		w.refused(store.ErrRequestNotFound, func() error { return w.s.Approve(w.ctx, a, record("x")) })
		_, err = w.s.DeviceByID(w.ctx, d.ID)
		w.must(err)
		w.clock.Advance(2 * time.Hour)
		_, err = w.s.SweepTasks(w.ctx)
		w.must(err)
		_, err = w.s.DeviceByID(w.ctx, d.ID)
		w.want(err, store.ErrDeviceNotFound)
	},
	"a code of another device": func(w *world) {
		a := w.about(w.device())
		a.Code.ID = w.secret()
		w.refused(store.ErrRequestNotFound, func() error { return w.s.Approve(w.ctx, a, record("x")) })
	},
	"allowed in a race": func(w *world) {
		for range rounds {
			d := w.device()
			all := each(func() store.Approval { return w.about(d) })
			w.only(race(func(i int) error { return w.s.Approve(w.ctx, all[i]) }), once(store.ErrRequestDecided))
		}
	},
	"redeemed in a race": func(w *world) {
		for range rounds {
			a := w.about(w.device())
			w.must(w.s.Approve(w.ctx, a))
			all := each(func() store.Redemption { return w.redemption(a) })
			w.only(race(func(i int) error { return w.s.RedeemCode(w.ctx, all[i]) }), once(store.ErrCodeSpent))
		}
	},
}
