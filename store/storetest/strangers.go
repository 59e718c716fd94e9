package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

const document = "https://agent.example/client.json"

// stranger is a client that registered itself.
func (w *world) stranger(id string, digest store.Hash) store.Client {
	return store.Client{
		ID: id, Origin: store.ByRegistration, Digest: digest, CreatedAt: w.clock.Now(),
		Metadata: store.ClientMetadata{ClientName: "Stranger", RedirectURIs: []string{"http://127.0.0.1/cb"}},
	}
}

// says is what the document says with this name.
func says(name string) store.ClientMetadata {
	return store.ClientMetadata{ClientName: name, RedirectURIs: []string{"https://agent.example/cb"}}
}

// lendTo lends a task to another client than the world's own.
func (w *world) lendTo(client string) loan {
	former := w.client.ID
	w.client.ID = client
	defer func() { w.client.ID = former }()
	return w.lend()
}

var strangers = map[string]func(*world){
	"a registration is stored": func(w *world) {
		c := w.stranger("cli_a", store.HashOf("a"))
		got, err := w.s.RegisterClient(w.ctx, c, record("client.registered"))
		w.must(err)
		w.same("registered", got, c)
		got, err = w.s.ClientByID(w.ctx, c.ID)
		w.must(err)
		w.same("found", got, c)
		w.same("ledger", w.kinds(), []string{"client.registered"})
	},
	"the same digest is the same client": func(w *world) {
		first, err := w.s.RegisterClient(w.ctx, w.stranger("cli_a", store.HashOf("a")), record("client.registered"))
		w.must(err)
		again, err := w.s.RegisterClient(w.ctx, w.stranger("cli_b", store.HashOf("a")), record("client.registered"))
		w.must(err)
		w.same("shared", again, first)
		other, err := w.s.RegisterClient(w.ctx, w.stranger("cli_c", store.HashOf("c")))
		w.must(err)
		w.same("another digest", other.ID, "cli_c")
		w.same("ledger", w.kinds(), []string{"client.registered"})
		_, err = w.s.ClientByID(w.ctx, "cli_b")
		w.want(err, store.ErrClientNotFound)
	},
	"without a digest every registration is its own": func(w *world) {
		for _, id := range []string{"cli_a", "cli_b"} {
			c, err := w.s.RegisterClient(w.ctx, w.stranger(id, store.Hash{}))
			w.must(err)
			w.same("id", c.ID, id)
		}
		w.refused(store.ErrClientExists, func() error {
			_, err := w.s.RegisterClient(w.ctx, w.stranger("cli_a", store.Hash{}), record("x"))
			return err
		})
	},
	"a document makes its client": func(w *world) {
		c, err := w.s.PutDocument(w.ctx, document, says("One"), record("client.changed"))
		w.must(err)
		w.same("client", c, store.Client{ID: document, Metadata: says("One"), CreatedAt: w.clock.Now(), Origin: store.ByDocument})
		w.same("ledger", len(w.kinds()), 0)
	},
	"a changed document keeps flag and policy": func(w *world) {
		_, err := w.s.PutDocument(w.ctx, document, says("One"))
		w.must(err)
		_, err = w.s.DisableClient(w.ctx, document, true)
		w.must(err)
		c, err := w.s.PutDocument(w.ctx, document, says("Two"))
		w.must(err)
		w.same("disabled", c.Disabled, true)
		w.same("name", c.Metadata.ClientName, "Two")
	},
	"a document cannot take another's id": func(w *world) {
		w.refused(store.ErrClientExists, func() error {
			_, err := w.s.PutDocument(w.ctx, w.client.ID, says("One"), record("x"))
			return err
		})
	},
	"metadata under which a task was lent is kept": func(w *world) {
		_, err := w.s.PutDocument(w.ctx, document, says("One"))
		w.must(err)
		lent := w.clock.Now()
		w.lendTo(document)
		for _, name := range []string{"Two", "Three", "One more"} {
			w.clock.Advance(time.Minute)
			_, err = w.s.PutDocument(w.ctx, document, says(name), record("client.changed"))
			w.must(err)
		}
		m, err := w.s.MetadataAt(w.ctx, document, lent)
		w.must(err)
		w.same("then", m, says("One"))
		m, err = w.s.MetadataAt(w.ctx, document, w.clock.Now())
		w.must(err)
		w.same("now", m, says("One more"))
		w.same("ledger", w.kinds(), []string{"client.changed"}) // once: nothing was lent under Two and Three
		_, err = w.s.MetadataAt(w.ctx, "https://nobody.example/", w.clock.Now())
		w.want(err, store.ErrClientNotFound)
	},
	"an unchanged document writes nothing": func(w *world) {
		_, err := w.s.PutDocument(w.ctx, document, says("One"))
		w.must(err)
		w.clock.Advance(time.Minute)
		w.unchanged(func() {
			_, err := w.s.PutDocument(w.ctx, document, says("One"), record("x"))
			w.must(err)
		})
	},
	"strangers that came to nothing are forgotten": func(w *world) {
		for _, id := range []string{"cli_idle", "cli_asking", "cli_lent", "cli_disabled", "cli_renewed"} {
			_, err := w.s.RegisterClient(w.ctx, w.stranger(id, store.HashOf(id)))
			w.must(err)
		}
		_, err := w.s.PutDocument(w.ctx, document, says("One"))
		w.must(err)
		w.lendTo("cli_lent")
		_, err = w.s.DisableClient(w.ctx, "cli_disabled", true)
		w.must(err)
		n, err := w.s.ForgetClients(w.ctx, w.clock.Now().Add(-time.Second))
		w.must(err)
		w.same("forgotten too early", n, 0)
		w.clock.Advance(2 * time.Hour)
		_, err = w.s.RegisterClient(w.ctx, w.stranger("cli_x", store.HashOf("cli_renewed")))
		w.must(err)
		w.must(w.s.PushRequest(w.ctx, store.Request{ID: w.secret(), ClientID: "cli_asking", CreatedAt: w.clock.Now(), ExpiresAt: w.clock.Now().Add(time.Minute)}))
		n, err = w.s.ForgetClients(w.ctx, w.clock.Now().Add(-time.Hour))
		w.must(err)
		w.same("forgotten", n, 2)
		all, err := w.s.Clients(w.ctx)
		w.must(err)
		var left []string
		for _, c := range all {
			left = append(left, c.ID)
		}
		w.same("left", left, []string{"cli_asking", w.client.ID, "cli_disabled", "cli_lent", "cli_renewed"})
	},
	"a document read again is renewed": func(w *world) {
		_, err := w.s.PutDocument(w.ctx, document, says("One"))
		w.must(err)
		w.clock.Advance(2 * time.Hour)
		_, err = w.s.PutDocument(w.ctx, document, says("One"))
		w.must(err)
		n, err := w.s.ForgetClients(w.ctx, w.clock.Now().Add(-time.Hour))
		w.must(err)
		w.same("forgotten", n, 0)
	},
}
