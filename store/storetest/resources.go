package storetest

import (
	"encoding/json"
	"time"

	"github.com/remit-auth/remit/store"
)

const guardKey = `{"kty":"EC"}`

// enrol enrols a Guard for the resource.
func (w *world) enrol(resource, guard string) {
	w.t.Helper()
	code := w.secret()
	w.must(w.s.NewEnrolment(w.ctx, resource, code, w.clock.Now().Add(time.Hour)))
	_, err := w.s.EnrolGuard(w.ctx, code, guard, json.RawMessage(guardKey))
	w.must(err)
}

func (w *world) tools(resource string) []store.Tool {
	w.t.Helper()
	r, err := w.s.ResourceByURI(w.ctx, resource)
	w.must(err)
	return r.Tools
}

var resources = map[string]func(*world){
	"a resource is found as it was added": func(w *world) {
		r := store.Resource{
			URI: "https://a.example/mcp", Name: "A", Policy: []byte("version: 1\n"), PolicyVersion: "sha-256:p",
			Tools: []store.Tool{
				{Name: "b", Definition: []byte(`{"name":"b"}`), Hash: "sha-256:b", DefaultOn: true},
				{Name: "a", Definition: []byte(`{"name":"a"}`), Hash: "sha-256:a"},
			},
			EnrolHash: w.secret(), EnrolExpires: w.clock.Now().Add(time.Hour), CreatedAt: w.clock.Now(),
		}
		w.must(w.s.AddResource(w.ctx, r, record("resource.added")))
		r.Tools[0], r.Tools[1] = r.Tools[1], r.Tools[0]
		got, err := w.s.ResourceByURI(w.ctx, r.URI)
		w.must(err)
		w.same("resource", got, r)
		all, err := w.s.Resources(w.ctx)
		w.must(err)
		w.same("number", len(all), 3)
		w.same("first", all[0], r)
		w.refused(store.ErrResourceExists, func() error { return w.s.AddResource(w.ctx, r, record("x")) })
	},
	"unknown resources": func(w *world) {
		const nowhere = "https://nowhere.example"
		_, err := w.s.ResourceByURI(w.ctx, nowhere)
		w.want(err, store.ErrResourceNotFound)
		_, err = w.s.ResourceByGuard(w.ctx, "grd_nobody")
		w.want(err, store.ErrResourceNotFound)
		_, err = w.s.ResourceByGuard(w.ctx, "")
		w.want(err, store.ErrResourceNotFound)
		w.refused(store.ErrResourceNotFound, func() error {
			return w.s.NewEnrolment(w.ctx, nowhere, w.secret(), w.clock.Now().Add(time.Hour), record("x"))
		})
		w.refused(store.ErrResourceNotFound, func() error {
			_, err := w.s.PublishManifest(w.ctx, nowhere, nil, "", nil, record("x"))
			return err
		})
		w.refused(store.ErrResourceNotFound, func() error { return w.s.ApproveTool(w.ctx, nowhere, "a", "sha-256:a", record("x")) })
	},
	"enrolment": func(w *world) {
		code := w.secret()
		w.must(w.s.NewEnrolment(w.ctx, tickets, code, w.clock.Now().Add(time.Hour), record("enrolment.made")))
		r, err := w.s.EnrolGuard(w.ctx, code, "grd_1", json.RawMessage(guardKey), record("guard.enrolled"))
		w.must(err)
		w.same("Guard", []string{r.URI, r.GuardID, string(r.GuardKey)}, []string{tickets, "grd_1", guardKey})
		w.same("code", r.EnrolHash, store.Hash{})
		got, err := w.s.ResourceByGuard(w.ctx, "grd_1")
		w.must(err)
		w.same("resource", got, r)
		w.same("ledger", w.kinds(), []string{"enrolment.made", "guard.enrolled"})
	},
	"enrolment codes that do not serve": func(w *world) {
		enrol := func(code store.Hash) func() error {
			return func() error {
				_, err := w.s.EnrolGuard(w.ctx, code, "grd_1", json.RawMessage(guardKey), record("x"))
				return err
			}
		}
		w.refused(store.ErrEnrolment, enrol(w.secret()))
		w.refused(store.ErrEnrolment, enrol(store.Hash{}))
		replaced, used, late := w.secret(), w.secret(), w.secret()
		w.must(w.s.NewEnrolment(w.ctx, tickets, replaced, w.clock.Now().Add(time.Hour)))
		w.must(w.s.NewEnrolment(w.ctx, tickets, used, w.clock.Now().Add(time.Hour)))
		w.refused(store.ErrEnrolment, enrol(replaced))
		w.must(enrol(used)())
		w.refused(store.ErrEnrolment, enrol(used))
		w.must(w.s.NewEnrolment(w.ctx, tickets, late, w.clock.Now().Add(time.Hour)))
		w.clock.Advance(time.Hour)
		w.refused(store.ErrEnrolment, enrol(late))
	},
	"a former Guard is replaced": func(w *world) {
		w.enrol(tickets, "grd_1")
		w.enrol(tickets, "grd_2")
		_, err := w.s.ResourceByGuard(w.ctx, "grd_1")
		w.want(err, store.ErrResourceNotFound)
		r, err := w.s.ResourceByGuard(w.ctx, "grd_2")
		w.must(err)
		w.same("resource", r.URI, tickets)
	},
	"a new tool waits for approval": func(w *world) {
		def := json.RawMessage(`{"name":"get"}`)
		r, err := w.s.PublishManifest(w.ctx, tickets, []byte("version: 1"), "sha-256:p", []store.Tool{{Name: "get", Live: def, LiveHash: "h1"}}, record("manifest.published"))
		w.must(err)
		w.same("policy", []string{string(r.Policy), r.PolicyVersion}, []string{"version: 1", "sha-256:p"})
		w.same("tools", r.Tools, []store.Tool{{Name: "get", Live: def, LiveHash: "h1"}})
		w.must(w.s.ApproveTool(w.ctx, tickets, "get", "h1", record("tool.approved")))
		approved := []store.Tool{{Name: "get", Definition: def, Hash: "h1"}}
		w.same("tools", w.tools(tickets), approved)
		w.must(w.s.ApproveTool(w.ctx, tickets, "get", "h1"))
		r, err = w.s.PublishManifest(w.ctx, tickets, nil, "", []store.Tool{{Name: "get", Definition: def, Hash: "h1"}})
		w.must(err)
		w.same("tools", r.Tools, approved)
	},
	"a changed tool keeps what was approved": func(w *world) {
		old, now := json.RawMessage(`{"name":"get"}`), json.RawMessage(`{"name":"get","title":"Get"}`)
		w.must(w.s.AddResource(w.ctx, store.Resource{URI: "https://a.example", Tools: []store.Tool{{Name: "get", Definition: old, Hash: "h1", DefaultOn: true}}}))
		publish := func(t ...store.Tool) {
			_, err := w.s.PublishManifest(w.ctx, "https://a.example", nil, "", t)
			w.must(err)
		}
		publish(store.Tool{Name: "get", Live: now, LiveHash: "h2"})
		w.same("tools", w.tools("https://a.example"), []store.Tool{{Name: "get", Definition: old, Hash: "h1", Live: now, LiveHash: "h2", DefaultOn: true}})
		w.refused(store.ErrResourceNotFound, func() error { return w.s.ApproveTool(w.ctx, "https://a.example", "get", "h1", record("x")) })
		w.refused(store.ErrResourceNotFound, func() error { return w.s.ApproveTool(w.ctx, "https://a.example", "get", "", record("x")) })
		w.refused(store.ErrResourceNotFound, func() error { return w.s.ApproveTool(w.ctx, "https://a.example", "put", "h2", record("x")) })
		publish(store.Tool{Name: "get", Live: old, LiveHash: "h1"})
		w.same("tools", w.tools("https://a.example"), []store.Tool{{Name: "get", Definition: old, Hash: "h1", DefaultOn: true}})
		publish(store.Tool{Name: "new", Live: now, LiveHash: "h3"})
		publish()
		w.same("tools", w.tools("https://a.example"), []store.Tool{{Name: "get", Definition: old, Hash: "h1", DefaultOn: true, Gone: true}})
		publish(store.Tool{Name: "get", Live: old, LiveHash: "h1"})
		w.same("tools", w.tools("https://a.example"), []store.Tool{{Name: "get", Definition: old, Hash: "h1", DefaultOn: true}})
	},
}
