package storetest

import (
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// key is a key of the ring as a caller makes it.
func key(id, use string) store.Key {
	return store.Key{ID: id, Use: use, Algorithm: "ES256", Sealed: []byte("sealed " + id)}
}

// ring stores an active and a next signing key.
func (w *world) ring() {
	w.t.Helper()
	_, err := w.s.AddFirstKey(w.ctx, key("k1", "sig"))
	w.must(err)
	_, err = w.s.StageKey(w.ctx, key("k2", "sig"))
	w.must(err)
}

// states returns the states of all keys, by id.
func (w *world) states() map[string]store.KeyState {
	w.t.Helper()
	all, err := w.s.Keys(w.ctx)
	w.must(err)
	states := make(map[string]store.KeyState)
	for _, k := range all {
		states[k.ID] = k.State
	}
	return states
}

type states = map[string]store.KeyState

var keys = map[string]func(*world){
	"the first key wins": func(w *world) {
		first := key("k1", "sig")
		first.CreatedAt = w.clock.Now()
		got, err := w.s.AddFirstKey(w.ctx, first, record("key.added"))
		w.must(err)
		first.State, first.ActiveAt = store.KeyActive, w.clock.Now()
		w.same("key", got, first)
		w.unchanged(func() {
			got, err = w.s.AddFirstKey(w.ctx, key("k2", "sig"), record("key.added"))
			w.must(err)
			w.same("key", got, first)
		})
		enc, err := w.s.AddFirstKey(w.ctx, key("k3", "enc"))
		w.must(err)
		all, err := w.s.Keys(w.ctx)
		w.must(err)
		w.same("keys", all, []store.Key{first, enc})
		w.same("ledger", w.kinds(), []string{"key.added"})
	},
	"the first next key wins": func(w *world) {
		w.ring()
		w.unchanged(func() {
			got, err := w.s.StageKey(w.ctx, key("k3", "sig"), record("key.added"))
			w.must(err)
			if got.ID != "k2" || got.State != store.KeyNext || !got.ActiveAt.IsZero() {
				w.t.Errorf("staged %+v", got)
			}
		})
	},
	"rotation": func(w *world) {
		w.ring()
		_, err := w.s.AddFirstKey(w.ctx, key("e1", "enc"))
		w.must(err)
		w.clock.Advance(time.Hour)
		w.must(w.s.RotateKey(w.ctx, "k2", key("k3", "sig"), record("key.rotated")))
		w.same("states", w.states(), states{"k1": store.KeyRetired, "k2": store.KeyActive, "k3": store.KeyNext, "e1": store.KeyActive})
		all, err := w.s.Keys(w.ctx)
		w.must(err)
		w.same("retired", all[0].RetiredAt, w.clock.Now())
		w.same("active", all[1].ActiveAt, w.clock.Now())
		w.same("ledger", w.kinds(), []string{"key.rotated"})
	},
	"the second who rotates changes nothing": func(w *world) {
		w.ring()
		w.must(w.s.RotateKey(w.ctx, "k2", key("k3", "sig")))
		w.refused(store.ErrKeyChanged, func() error { return w.s.RotateKey(w.ctx, "k2", key("k4", "sig"), record("key.rotated")) })
		w.refused(store.ErrKeyChanged, func() error { return w.s.RotateKey(w.ctx, "k1", key("k4", "sig")) })
		w.refused(store.ErrKeyChanged, func() error { return w.s.RotateKey(w.ctx, "none", key("k4", "sig")) })
		w.must(w.s.RotateKey(w.ctx, "k3", key("k4", "sig")))
	},
	"a killed active key gives way": func(w *world) {
		w.ring()
		w.clock.Advance(time.Minute)
		w.must(w.s.KillKey(w.ctx, "k1", key("k3", "sig"), record("key.killed")))
		w.same("states", w.states(), states{"k1": store.KeyKilled, "k2": store.KeyActive, "k3": store.KeyNext})
		for _, uri := range []string{mail, tickets} {
			w.same("told", w.events(uri), []store.Event{{Resource: uri, Seq: 1, Kind: store.EventKeyKilled, JTI: "k1", At: w.clock.Now()}})
			_, told, err := w.s.FeedSnapshot(w.ctx, uri, w.clock.Now().Add(-time.Hour))
			w.must(err)
			w.same("snapshot", told, []store.Event(nil))
		}
		w.unchanged(func() { w.must(w.s.KillKey(w.ctx, "k1", key("k4", "sig"), record("key.killed"))) })
		w.must(w.s.KillKey(w.ctx, "k3", key("k5", "sig"))) // the next one
		w.same("states", w.states(), states{"k1": store.KeyKilled, "k2": store.KeyActive, "k3": store.KeyKilled, "k5": store.KeyNext})
		w.must(w.s.RotateKey(w.ctx, "k5", key("k6", "sig")))
		w.must(w.s.KillKey(w.ctx, "k2", key("k7", "sig"))) // a retired one
		w.same("states", w.states(), states{
			"k1": store.KeyKilled, "k2": store.KeyKilled, "k3": store.KeyKilled, "k5": store.KeyActive, "k6": store.KeyNext,
		})
		w.same("ledger", w.kinds(), []string{"key.killed"})
	},
	"no kill without a survivor": func(w *world) {
		_, err := w.s.AddFirstKey(w.ctx, key("k1", "sig"))
		w.must(err)
		w.refused(store.ErrKeyChanged, func() error { return w.s.KillKey(w.ctx, "k1", key("k2", "sig")) })
		w.refused(store.ErrKeyNotFound, func() error { return w.s.KillKey(w.ctx, "none", key("k2", "sig")) })
	},
	"a killed key's tokens are dead": func(w *world) {
		w.ring()
		r := w.redemption(w.approve())
		r.Access.KID = "k1"
		w.must(w.s.RedeemCode(w.ctx, r))
		if !w.live(r.Access.JTI) {
			w.t.Fatal("not live while its key is")
		}
		w.must(w.s.KillKey(w.ctx, "k1", key("k3", "sig")))
		if w.live(r.Access.JTI) {
			w.t.Error("a token of the killed key lives")
		}
		again := w.access(r.Access.TaskID, tickets)
		again.KID = "k2"
		_, _, err := w.s.RotateRefreshToken(w.ctx, store.Rotation{Old: r.Refresh.ID, New: w.refresh(r.Access.TaskID), Access: again})
		w.must(err)
		got, err := w.s.AccessByJTI(w.ctx, again.JTI)
		w.must(err)
		if got.Token.KID != "k2" || !w.live(again.JTI) {
			w.t.Errorf("the survivor's token: %+v", got.Token)
		}
	},
	"what signs no more is not stored": func(w *world) {
		w.ring()
		w.must(w.s.RotateKey(w.ctx, "k2", key("k3", "sig"))) // k1 has retired
		r := w.redemption(w.approve(endsIn(10 * time.Minute)))
		for name, kid := range map[string]string{"next": "k3", "unknown": "k9"} {
			r.Access.KID = kid
			w.t.Run(name, func(t *testing.T) {
				w.refused(store.ErrKeyStale, func() error { return w.s.RedeemCode(w.ctx, r) })
			})
		}
		w.clock.Advance(30 * time.Second)
		r.Access.KID = "k1" // has not heard yet
		w.must(w.s.RedeemCode(w.ctx, r))
		w.clock.Advance(30 * time.Second)
		turn := store.Rotation{Old: r.Refresh.ID, New: w.refresh(r.Access.TaskID), Access: w.access(r.Access.TaskID, tickets)}
		turn.Access.KID = "k1"
		w.refused(store.ErrKeyStale, func() error { _, _, err := w.s.RotateRefreshToken(w.ctx, turn); return err })
		w.must(w.s.KillKey(w.ctx, "k2", key("k4", "sig")))
		turn.Access.KID = "k2"
		w.refused(store.ErrKeyStale, func() error { _, _, err := w.s.RotateRefreshToken(w.ctx, turn); return err })
		turn.Access.KID = "k3"
		_, _, err := w.s.RotateRefreshToken(w.ctx, turn)
		w.must(err)
	},
	"all are wrapped anew, or none": func(w *world) {
		w.ring()
		old := func(id string) []byte { return []byte("sealed " + id) }
		w.refused(store.ErrKeyChanged, func() error {
			return w.s.RewrapKeys(w.ctx, []store.Rewrap{{ID: "k1", Old: old("k1"), New: []byte("new")}, {ID: "k2", Old: []byte("other"), New: []byte("new")}}, record("key.rewrapped"))
		})
		w.refused(store.ErrKeyChanged, func() error {
			return w.s.RewrapKeys(w.ctx, []store.Rewrap{{ID: "none", Old: old("k1"), New: []byte("new")}})
		})
		w.must(w.s.RewrapKeys(w.ctx, []store.Rewrap{{ID: "k1", Old: old("k1"), New: []byte("new 1")}, {ID: "k2", Old: old("k2"), New: []byte("new 2")}}, record("key.rewrapped")))
		all, err := w.s.Keys(w.ctx)
		w.must(err)
		w.same("sealed", [][]byte{all[0].Sealed, all[1].Sealed}, [][]byte{[]byte("new 1"), []byte("new 2")})
		w.same("ledger", w.kinds(), []string{"key.rewrapped"})
	},
}
