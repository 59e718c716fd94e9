package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

var people = map[string]func(*world){
	"a user is found by e-mail in any case, and by ID": func(w *world) {
		u, err := w.s.UserByEmail(w.ctx, "mara@DEMO.example")
		w.must(err)
		w.same("user", u, w.user)
		u, err = w.s.UserByID(w.ctx, w.user.ID)
		w.must(err)
		w.same("user", u, w.user)
		all, err := w.s.Users(w.ctx)
		w.must(err)
		w.same("users", all, []store.User{w.user})
	},
	"unknown users": func(w *world) {
		_, err := w.s.UserByEmail(w.ctx, "nobody@demo.example")
		w.want(err, store.ErrUserNotFound)
		_, err = w.s.UserByID(w.ctx, "usr_nobody")
		w.want(err, store.ErrUserNotFound)
		w.refused(store.ErrUserNotFound, func() error {
			_, err := w.s.DisableUser(w.ctx, "usr_nobody", true, record("user.disabled"))
			return err
		})
	},
	"an e-mail is taken once": func(w *world) {
		w.refused(store.ErrUserExists, func() error {
			return w.s.AddUser(w.ctx, store.User{ID: "usr_2", Email: "mara@demo.EXAMPLE"}, record("user.added"))
		})
		w.refused(store.ErrUserExists, func() error {
			return w.s.AddUser(w.ctx, store.User{ID: w.user.ID, Email: "other@demo.example"}, record("user.added"))
		})
	},
	"the record is committed with its verb": func(w *world) {
		w.must(w.s.AddUser(w.ctx, store.User{ID: "usr_2", Email: "two@demo.example"}, record("user.added")))
		w.must(w.s.AssignRole(w.ctx, w.user.ID, tickets, "reader", record("role.assigned")))
		w.must(w.s.UnassignRole(w.ctx, w.user.ID, tickets, "reader", record("role.unassigned")))
		w.same("ledger", w.kinds(), []string{"user.added", "role.assigned", "role.unassigned"})
	},
	"roles": func(w *world) {
		for _, role := range []string{"writer", "reader", "reader"} {
			w.must(w.s.AssignRole(w.ctx, w.user.ID, tickets, role))
		}
		roles, err := w.s.RolesOf(w.ctx, w.user.ID, tickets)
		w.must(err)
		w.same("roles", roles, []string{"reader", "writer"})
		w.must(w.s.UnassignRole(w.ctx, w.user.ID, tickets, "reader"))
		w.must(w.s.UnassignRole(w.ctx, w.user.ID, tickets, "never held"))
		roles, err = w.s.RolesOf(w.ctx, w.user.ID, tickets)
		w.must(err)
		w.same("roles", roles, []string{"writer"})
		roles, err = w.s.RolesOf(w.ctx, w.user.ID, mail)
		w.must(err)
		w.same("roles", roles, []string(nil))
	},
	"roles of nobody, and nowhere": func(w *world) {
		w.refused(store.ErrUserNotFound, func() error { return w.s.AssignRole(w.ctx, "usr_nobody", tickets, "reader", record("x")) })
		w.refused(store.ErrResourceNotFound, func() error {
			return w.s.AssignRole(w.ctx, w.user.ID, "https://nowhere.example", "reader", record("x"))
		})
		w.refused(store.ErrUserNotFound, func() error { return w.s.UnassignRole(w.ctx, "usr_nobody", tickets, "reader", record("x")) })
	},
	"roles are read live with a task": func(w *world) {
		l := w.lend(atBoth(w))
		w.must(w.s.AssignRole(w.ctx, w.user.ID, tickets, "reader"))
		want := []store.TaskRoles{{Resource: mail}, {Resource: tickets, Roles: []string{"reader"}}}
		w.same("roles", w.task(l.ID).Roles, want)
		st, err := w.s.RefreshByID(w.ctx, l.Refresh.ID)
		w.must(err)
		w.same("roles", st.Task.Roles, want)
		w.must(w.s.UnassignRole(w.ctx, w.user.ID, tickets, "reader"))
		w.same("roles", w.task(l.ID).Roles, []store.TaskRoles{{Resource: mail}, {Resource: tickets}})
	},
	"sessions": func(w *world) {
		s := store.Session{ID: w.session, UserID: w.user.ID, AuthTime: w.clock.Now(), ExpiresAt: w.clock.Now().Add(time.Hour)}
		w.must(w.s.AddSession(w.ctx, s, record("user.signed_in")))
		got, u, err := w.s.SessionByID(w.ctx, s.ID)
		w.must(err)
		w.same("session", got, s)
		w.same("user", u, w.user)
		w.must(w.s.RemoveSession(w.ctx, s.ID))
		_, _, err = w.s.SessionByID(w.ctx, s.ID)
		w.want(err, store.ErrSessionNotFound)
		w.must(w.s.RemoveSession(w.ctx, s.ID))
	},
	"no session by a password that was changed": func(w *world) {
		s := store.Session{ID: w.session, UserID: w.user.ID, Password: w.user.PasswordHash, ExpiresAt: w.clock.Now().Add(time.Hour)}
		w.must(w.s.SetPassword(w.ctx, w.user.ID, "another hash", store.Hash{}))
		w.refused(store.ErrPasswordChanged, func() error { return w.s.AddSession(w.ctx, s, record("x")) })
		s.Password = "another hash"
		w.must(w.s.AddSession(w.ctx, s))
	},
	"a session expires": func(w *world) {
		w.must(w.s.AddSession(w.ctx, store.Session{ID: w.session, UserID: w.user.ID, ExpiresAt: w.clock.Now().Add(time.Hour)}))
		w.clock.Advance(time.Hour)
		_, _, err := w.s.SessionByID(w.ctx, w.session)
		w.want(err, store.ErrSessionNotFound)
	},
	"no session for the unknown or disabled": func(w *world) {
		s := store.Session{ID: w.secret(), UserID: "usr_nobody", ExpiresAt: w.clock.Now().Add(time.Hour)}
		w.refused(store.ErrUserNotFound, func() error { return w.s.AddSession(w.ctx, s, record("x")) })
		_, err := w.s.DisableUser(w.ctx, w.user.ID, true)
		w.must(err)
		s.UserID = w.user.ID
		w.refused(store.ErrUserDisabled, func() error { return w.s.AddSession(w.ctx, s, record("x")) })
	},
	"disabling a user": func(w *world) {
		w.must(w.s.AddSession(w.ctx, store.Session{ID: w.session, UserID: w.user.ID, ExpiresAt: w.clock.Now().Add(time.Hour)}))
		pending, active, over := w.approve(), w.lend(), w.lend()
		child := w.lend(under(active.ID))
		w.end(over.ID)
		ended, err := w.s.DisableUser(w.ctx, w.user.ID, true, record("user.disabled"))
		w.must(err)
		w.same("ended", ids(ended), []string{pending.Task.ID, active.ID, child.ID})
		for _, t := range ended {
			w.same("state", t.State, store.TaskRevoked)
			w.same("reason", t.Reason, "user_disabled")
		}
		_, _, err = w.s.SessionByID(w.ctx, w.session)
		w.want(err, store.ErrSessionNotFound)
		u, err := w.s.UserByID(w.ctx, w.user.ID)
		w.must(err)
		w.same("disabled", u.Disabled, true)
		if w.live(active.Access.JTI) {
			w.t.Error("a disabled user's token lives")
		}
		kinds := w.kinds()
		w.same("last records", kinds[len(kinds)-4:], []string{"task.ended", "task.ended", "task.ended", "user.disabled"})
	},
	"enabling a user wakes no task": func(w *world) {
		l := w.lend()
		_, err := w.s.DisableUser(w.ctx, w.user.ID, true)
		w.must(err)
		ended, err := w.s.DisableUser(w.ctx, w.user.ID, false)
		w.must(err)
		w.same("ended", len(ended), 0)
		w.same("state", w.task(l.ID).State, store.TaskRevoked)
		w.lend()
	},
}

func ids(tasks []store.Task) (ids []string) {
	for _, t := range tasks {
		ids = append(ids, t.ID)
	}
	return ids
}
