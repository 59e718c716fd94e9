package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

// refuseApproval checks that the approval is refused with the sentinel and changes nothing.
func (w *world) refuseApproval(want error, a store.Approval) {
	w.t.Helper()
	w.refused(want, func() error { return w.s.Approve(w.ctx, a, record("x")) })
}

var approval = map[string]func(*world){
	"what was approved is stored": func(w *world) {
		a := w.ask(atBoth(w), calls(60))
		a.Code.KeyBound, a.Code.Identity = true, `{"nonce":"n-“1”"}`
		w.must(w.s.Approve(w.ctx, a, record("task.created")))
		want := a.Task
		want.Roles = []store.TaskRoles{{Resource: mail}, {Resource: tickets}}
		got, grants, err := w.s.TaskByID(w.ctx, a.Task.ID)
		w.must(err)
		w.same("task", got, want)
		w.same("grants", grants, []store.Grant{a.Grants[1], a.Grants[0]})
		st, err := w.s.CodeByID(w.ctx, a.Code.ID)
		w.must(err)
		w.same("what the user was told", st.Code.KeyBound, true)
		w.same("code", st, store.CodeState{Code: a.Code, Task: want, Grants: grants, Client: w.client, User: w.user})
		w.same("ledger", w.kinds(), []string{"task.created"})
		_, err = w.s.RequestByID(w.ctx, a.Request, w.client.ID)
		w.want(err, store.ErrRequestDecided)
	},
	"a grant is found by its hash": func(w *world) {
		l := w.lend()
		g, err := w.s.GrantByHash(w.ctx, tickets, "sha-256:abc")
		w.must(err)
		w.same("task", g.TaskID, l.ID)
		_, err = w.s.GrantByHash(w.ctx, mail, "sha-256:abc")
		w.want(err, store.ErrGrantNotFound)
		w.end(l.ID)
		_, err = w.s.GrantByHash(w.ctx, tickets, "sha-256:abc")
		w.must(err)
	},
	"the request is unknown, or another client's": func(w *world) {
		a := w.ask()
		a.Request = w.secret()
		w.refuseApproval(store.ErrRequestNotFound, a)
		other := w.client
		other.ID = "cli_other"
		w.must(w.s.AddClient(w.ctx, other))
		w.refuseApproval(store.ErrRequestNotFound, w.ask(by("", other.ID)))
	},
	"the request has expired": func(w *world) {
		a := w.ask()
		w.clock.Advance(10 * time.Minute)
		w.refuseApproval(store.ErrRequestNotFound, a)
	},
	"the request is decided": func(w *world) {
		approved, denied := w.approve(), w.ask()
		again := w.ask()
		again.Request = approved.Request
		w.refuseApproval(store.ErrRequestDecided, again)
		w.refused(store.ErrRequestDecided, func() error { return w.s.Deny(w.ctx, approved.Request, w.session, record("x")) })
		w.must(w.s.Deny(w.ctx, denied.Request, w.session))
		w.refuseApproval(store.ErrRequestDecided, denied)
	},
	"another browser session": func(w *world) {
		a := w.ask()
		a.Session = w.secret()
		w.refuseApproval(store.ErrRequestBound, a)
		a.Session = store.Hash{}
		w.refuseApproval(store.ErrRequestBound, a)
		unbound := w.ask()
		unbound.Request, unbound.Session = w.push().ID, store.Hash{}
		w.refuseApproval(store.ErrRequestBound, unbound)
	},
	"the user is disabled or unknown": func(w *world) {
		w.refuseApproval(store.ErrUserNotFound, w.ask(by("usr_nobody", "")))
		_, err := w.s.DisableUser(w.ctx, w.user.ID, true)
		w.must(err)
		w.refuseApproval(store.ErrUserDisabled, w.ask())
	},
	"the client is disabled": func(w *world) {
		a := w.ask()
		_, err := w.s.DisableClient(w.ctx, w.client.ID, true)
		w.must(err)
		w.refuseApproval(store.ErrClientDisabled, a)
	},
	"a resource is unknown or disabled": func(w *world) {
		w.must(w.s.AddResource(w.ctx, store.Resource{URI: "https://off.example", Disabled: true}))
		for _, uri := range []string{"https://nowhere.example", "https://off.example"} {
			a := w.ask(atBoth(w))
			a.Grants[1].Resource = uri
			w.refuseApproval(store.ErrResourceNotFound, a)
		}
	},
	"under a task that is not there, or not running": func(w *world) {
		w.refuseApproval(store.ErrTaskNotFound, w.ask(under("tsk_nobody")))
		parent := w.lend()
		_, err := w.s.SuspendTask(w.ctx, parent.ID, store.ByUser, "")
		w.must(err)
		w.refuseApproval(store.ErrTaskNotActive, w.ask(under(parent.ID)))
		w.end(parent.ID)
		w.refuseApproval(store.ErrTaskEnded, w.ask(under(parent.ID)))
	},
	"a task under another does not outlive it": func(w *world) {
		parent := w.lend(endsIn(10 * time.Minute))
		child := w.approve(under(parent.ID), endsIn(time.Hour))
		w.same("deadline", w.task(child.Task.ID).EndsAt, w.task(parent.ID).EndsAt)
	},
	"widening a running task": func(w *world) {
		l := w.lend()
		a := w.ask()
		a.Extends, a.Grants = l.ID, []store.Grant{w.grant(l.ID, mail)}
		w.must(w.s.Approve(w.ctx, a, record("task.widened")))
		_, grants, err := w.s.TaskByID(w.ctx, l.ID)
		w.must(err)
		w.same("grants before", len(grants), 1)
		st, err := w.s.CodeByID(w.ctx, a.Code.ID)
		w.must(err)
		w.same("task of the code", []string{st.Code.TaskID, st.Task.ID}, []string{l.ID, l.ID})
		w.same("grants of the code", len(st.Grants), 2)
		r := store.Redemption{Code: a.Code.ID, JKT: jkt, Access: w.access(l.ID, mail)}
		stolen := r
		stolen.JKT = "another key"
		w.refused(store.ErrTaskNotActive, func() error { return w.s.RedeemCode(w.ctx, stolen, record("x")) })
		w.must(w.s.RedeemCode(w.ctx, r))
		_, grants, err = w.s.TaskByID(w.ctx, l.ID)
		w.must(err)
		w.same("grants after", len(grants), 2)
		w.same("alive", w.live(r.Access.JTI), true)
	},
	"widening a task that is not running, or somebody else's": func(w *world) {
		extend := func(id string) store.Approval {
			a := w.ask()
			a.Extends = id
			return a
		}
		w.refuseApproval(store.ErrTaskNotFound, extend("tsk_nobody"))
		w.must(w.s.AddUser(w.ctx, store.User{ID: "usr_2", Email: "2"}))
		w.refuseApproval(store.ErrTaskNotFound, extend(w.lend(by("usr_2", "")).ID))
		w.refuseApproval(store.ErrTaskNotActive, extend(w.approve().Task.ID))
		l := w.lend()
		w.end(l.ID)
		w.refuseApproval(store.ErrTaskEnded, extend(l.ID))
	},
}
