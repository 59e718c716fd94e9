package storetest

import "github.com/remit-auth/remit/store"

var keys = map[string]func(*world){
	"the first key wins": func(w *world) {
		first := store.Key{ID: "k1", Use: "sig", Algorithm: "ES256", Sealed: []byte("sealed"), CreatedAt: w.clock.Now()}
		got, err := w.s.AddFirstKey(w.ctx, first, record("key.created"))
		w.must(err)
		first.State = store.KeyActive
		w.same("key", got, first)
		w.unchanged(func() {
			got, err = w.s.AddFirstKey(w.ctx, store.Key{ID: "k2", Use: "sig", Algorithm: "ES256", Sealed: []byte("x")}, record("key.created"))
			w.must(err)
			w.same("key", got, first)
		})
		enc, err := w.s.AddFirstKey(w.ctx, store.Key{ID: "k3", Use: "enc", Algorithm: "A256GCM", Sealed: []byte("y"), CreatedAt: w.clock.Now()})
		w.must(err)
		all, err := w.s.Keys(w.ctx)
		w.must(err)
		w.same("keys", all, []store.Key{first, enc})
	},
	"rotation": func(w *world) {
		first, err := w.s.AddFirstKey(w.ctx, store.Key{ID: "k1", Use: "sig", Algorithm: "ES256", Sealed: []byte("1")})
		w.must(err)
		enc, err := w.s.AddFirstKey(w.ctx, store.Key{ID: "k2", Use: "enc", Algorithm: "A256GCM", Sealed: []byte("2")})
		w.must(err)
		next := store.Key{ID: "k3", Use: "sig", Algorithm: "ES256", Sealed: []byte("3"), CreatedAt: w.clock.Now()}
		w.must(w.s.RotateKey(w.ctx, next, record("key.rotated")))
		first.State, next.State = store.KeyRetired, store.KeyActive
		all, err := w.s.Keys(w.ctx)
		w.must(err)
		w.same("keys", all, []store.Key{first, enc, next})
		w.same("ledger", w.kinds(), []string{"key.rotated"})
	},
}
