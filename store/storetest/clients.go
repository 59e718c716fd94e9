package storetest

import "github.com/remit-auth/remit/store"

var clients = map[string]func(*world){
	"a client is found by ID": func(w *world) {
		c, err := w.s.ClientByID(w.ctx, w.client.ID)
		w.must(err)
		w.same("client", c, w.client)
		all, err := w.s.Clients(w.ctx)
		w.must(err)
		w.same("clients", all, []store.Client{w.client})
	},
	"unknown clients": func(w *world) {
		_, err := w.s.ClientByID(w.ctx, "cli_nobody")
		w.want(err, store.ErrClientNotFound)
		w.refused(store.ErrClientNotFound, func() error {
			_, err := w.s.DisableClient(w.ctx, "cli_nobody", true, record("client.disabled"))
			return err
		})
	},
	"another policy": func(w *world) {
		p := store.ClientPolicy{Grants: []string{"refresh_token"}, Scopes: []string{"tickets.read"}, AccessLife: 60}
		w.must(w.s.SetClientPolicy(w.ctx, w.client.ID, p, record("client.policy")))
		c, err := w.s.ClientByID(w.ctx, w.client.ID)
		w.must(err)
		want := w.client
		want.Policy = p
		w.same("client", c, want)
		w.same("ledger", w.kinds(), []string{"client.policy"})
		w.refused(store.ErrClientNotFound, func() error { return w.s.SetClientPolicy(w.ctx, "cli_nobody", p, record("x")) })
	},
	"an ID is taken once": func(w *world) {
		w.refused(store.ErrClientExists, func() error { return w.s.AddClient(w.ctx, store.Client{ID: w.client.ID}, record("x")) })
	},
	"metadata that is not JSON": func(w *world) {
		w.unchanged(func() {
			c := store.Client{ID: "cli_2", Metadata: store.ClientMetadata{JWKS: []byte("{")}}
			if err := w.s.AddClient(w.ctx, c, record("x")); err == nil {
				w.t.Error("stored")
			}
		})
	},
	"disabling a client": func(w *world) {
		other := w.client
		other.ID = "cli_other"
		w.must(w.s.AddClient(w.ctx, other, record("client.added")))
		l := w.lend()
		ended, err := w.s.DisableClient(w.ctx, other.ID, true)
		w.must(err)
		w.same("ended", len(ended), 0)
		ended, err = w.s.DisableClient(w.ctx, w.client.ID, true, record("client.disabled"))
		w.must(err)
		w.same("ended", ids(ended), []string{l.ID})
		w.same("reason", ended[0].Reason, "client_disabled")
		c, err := w.s.ClientByID(w.ctx, w.client.ID)
		w.must(err)
		w.same("disabled", c.Disabled, true)
		w.same("ledger", w.kinds(), []string{"client.added", "task.ended", "client.disabled"})
		_, err = w.s.DisableClient(w.ctx, w.client.ID, false)
		w.must(err)
		w.same("state", w.task(l.ID).State, store.TaskRevoked)
	},
}
