package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

// start is a task under another, with its own key and a token for the tickets.
func (w *world) start(parent loan, with ...func(*store.Start)) store.Start {
	now := w.clock.Now()
	t := store.Task{
		ID: w.unique("tsk_"), Parent: parent.ID, UserID: w.user.ID, ClientID: w.client.ID, JKT: "the sub-agent's key", Purpose: "Look up",
		State: store.TaskActive, MaxCalls: 3, CreatedAt: now, ActivatedAt: now, SeenAt: now, EndsAt: now.Add(10 * time.Minute),
		Delegates: []store.Delegate{{Subject: "cli_sub", ClientID: "cli_sub", JKT: "the sub-agent's key"}, {Subject: w.client.ID, ClientID: w.client.ID, JKT: jkt}},
	}
	refresh := w.refresh(t.ID)
	s := store.Start{Task: t, Grants: []store.Grant{w.grant(t.ID, tickets)}, Access: w.access(t.ID, tickets), Refresh: &refresh, Subject: parent.Access.JTI}
	for _, f := range with {
		f(&s)
	}
	return s
}

// alone begins without a parent, by a credential that is good once.
func alone(once store.Hash, until time.Time) func(*store.Start) {
	return func(s *store.Start) {
		s.Task.Parent, s.Subject, s.Task.Delegates = "", "", nil
		s.Once = &store.Once{ID: once, Until: until}
	}
}

// begun starts it.
func (w *world) begun(s store.Start) loan {
	w.t.Helper()
	w.must(w.s.StartTask(w.ctx, s))
	return loan{ID: s.Task.ID, Refresh: *s.Refresh, Access: s.Access}
}

var starting = map[string]func(*world){
	"a task under another": func(w *world) {
		parent := w.lend()
		s := w.start(parent)
		w.must(w.s.StartTask(w.ctx, s, record("task.delegated")))
		want := s.Task
		want.Roles = []store.TaskRoles{{Resource: tickets}}
		w.same("task", w.task(s.Task.ID), want)
		access, err := w.s.AccessByJTI(w.ctx, s.Access.JTI)
		w.must(err)
		w.same("access token", access, store.AccessState{Token: s.Access, Task: want, Grants: s.Grants, User: w.user})
		refresh, err := w.s.RefreshByID(w.ctx, s.Refresh.ID)
		w.must(err)
		w.same("refresh token", refresh.Task, want)
		w.same("ledger", w.kinds(), []string{"task.delegated"})
	},
	"never longer than its parent": func(w *world) {
		parent := w.lend(endsIn(20 * time.Minute))
		s := w.start(parent, func(s *store.Start) { s.Task.EndsAt = w.clock.Now().Add(time.Hour) })
		w.same("ends", w.task(w.begun(s).ID).EndsAt, w.task(parent.ID).EndsAt)
	},
	"it ends with its parent, and with all above": func(w *world) {
		top := w.lend()
		middle := w.begun(w.start(top))
		low := w.begun(w.start(middle))
		w.end(top.ID)
		for _, l := range []loan{top, middle, low} {
			w.same("live", w.live(l.Access.JTI), false)
		}
		w.refused(store.ErrTaskEnded, func() error { return w.s.StartTask(w.ctx, w.start(low), record("x")) })
	},
	"it is suspended and resumed with its parent": func(w *world) {
		top := w.lend()
		low := w.begun(w.start(top))
		paused := w.begun(w.start(top))
		_, err := w.s.SuspendTask(w.ctx, paused.ID, store.ByAgent, "paused")
		w.must(err)
		w.clock.Advance(time.Second)
		_, err = w.s.SuspendTask(w.ctx, top.ID, store.ByRule, "wrong_key")
		w.must(err)
		w.same("live", w.live(low.Access.JTI), false)
		w.refused(store.ErrTaskNotActive, func() error { return w.s.StartTask(w.ctx, w.start(top), record("x")) })
		_, err = w.s.ResumeTask(w.ctx, top.ID, store.ByAdmin)
		w.must(err)
		w.same("live again", w.live(low.Access.JTI), true)
		w.same("paused by its agent", w.task(paused.ID).State, store.TaskSuspended)
	},
	"a dead token starts nothing": func(w *world) {
		parent := w.lend()
		w.refused(store.ErrTokenNotFound, func() error {
			return w.s.StartTask(w.ctx, w.start(parent, func(s *store.Start) { s.Subject = "at_unknown" }), record("x"))
		})
		other := w.lend()
		w.refused(store.ErrTokenNotFound, func() error {
			return w.s.StartTask(w.ctx, w.start(parent, func(s *store.Start) { s.Subject = other.Access.JTI }), record("x"))
		})
		w.must(w.s.RevokeAccess(w.ctx, parent.Access.JTI))
		w.refused(store.ErrTokenNotFound, func() error { return w.s.StartTask(w.ctx, w.start(parent), record("x")) })
		w.clock.Advance(5 * time.Minute)
		w.refused(store.ErrTokenNotFound, func() error { return w.s.StartTask(w.ctx, w.start(other), record("x")) })
	},
	"nobody, or nothing, that is switched off": func(w *world) {
		s := func() store.Start { return w.start(loan{}, alone(w.secret(), w.clock.Now().Add(time.Minute))) }
		_, err := w.s.DisableResource(w.ctx, tickets, true)
		w.must(err)
		w.refused(store.ErrResourceNotFound, func() error { return w.s.StartTask(w.ctx, s(), record("x")) })
		_, err = w.s.DisableClient(w.ctx, w.client.ID, true)
		w.must(err)
		w.refused(store.ErrClientDisabled, func() error { return w.s.StartTask(w.ctx, s(), record("x")) })
		_, err = w.s.DisableUser(w.ctx, w.user.ID, true)
		w.must(err)
		w.refused(store.ErrUserDisabled, func() error { return w.s.StartTask(w.ctx, s(), record("x")) })
	},
	"what is good once": func(w *world) {
		id := w.secret()
		w.must(w.s.StartTask(w.ctx, w.start(loan{}, alone(id, w.clock.Now().Add(time.Minute)))))
		w.refused(store.ErrSpent, func() error {
			return w.s.StartTask(w.ctx, w.start(loan{}, alone(id, w.clock.Now().Add(time.Minute))), record("x"))
		})
		w.clock.Advance(2 * time.Hour)
		_, err := w.s.SweepTasks(w.ctx)
		w.must(err)
		w.must(w.s.StartTask(w.ctx, w.start(loan{}, alone(id, w.clock.Now().Add(time.Minute))))) // forgotten, long after it expired
	},
	"what is good once, in a race": func(w *world) {
		for range rounds {
			id := w.secret()
			all := each(func() store.Start { return w.start(loan{}, alone(id, w.clock.Now().Add(time.Minute))) })
			w.only(race(func(i int) error { return w.s.StartTask(w.ctx, all[i]) }), once(store.ErrSpent))
		}
	},
	"spent by itself": func(w *world) {
		id, until := w.secret(), w.clock.Now().Add(time.Minute)
		w.must(w.s.Spend(w.ctx, store.Once{ID: id, Until: until}))
		w.refused(store.ErrSpent, func() error { return w.s.Spend(w.ctx, store.Once{ID: id, Until: until}) })
		w.refused(store.ErrSpent, func() error { return w.s.StartTask(w.ctx, w.start(loan{}, alone(id, until)), record("x")) })
		w.must(w.s.Spend(w.ctx, store.Once{ID: w.secret(), Until: until}))
	},
	"spent by itself, in a race": func(w *world) {
		for range rounds {
			o := store.Once{ID: w.secret(), Until: w.clock.Now().Add(time.Minute)}
			w.only(race(func(int) error { return w.s.Spend(w.ctx, o) }), once(store.ErrSpent))
		}
	},
	"the tasks above": func(w *world) {
		top := w.lend()
		middle := w.begun(w.start(top))
		low := w.begun(w.start(middle))
		tasks, grants, err := w.s.Above(w.ctx, low.ID)
		w.must(err)
		w.same("above", ids(tasks), []string{middle.ID, top.ID})
		w.same("grants", grants[0][0].TaskID, middle.ID)
		if tasks, _, err = w.s.Above(w.ctx, top.ID); err != nil || len(tasks) != 0 {
			w.t.Errorf("above the top: %v, %v", tasks, err)
		}
	},
	"a call counts against all above": func(w *world) {
		top := w.lend(calls(3))
		low := w.begun(w.start(top, func(s *store.Start) { s.Task.MaxCalls = 0 }))
		call := func(toolMax int) (int, int, error) {
			return w.s.ReserveCall(w.ctx, store.Reservation{
				Execution: w.unique("exe_"), TaskID: low.ID, Resource: tickets, Tool: "get_ticket", JTI: low.Access.JTI,
				Above: []store.Share{{TaskID: top.ID, ToolMax: toolMax}},
			})
		}
		tool, task, err := call(2)
		w.must(err)
		w.same("left", []int{tool, task}, []int{1, 2})
		_, _, err = call(2)
		w.must(err)
		w.refused(store.ErrToolBudget, func() error { _, _, err := call(2); return err })
		_, _, err = call(0)
		w.must(err)
		_, _, err = call(0)
		w.want(err, store.ErrTaskBudget)
		w.same("parent", w.task(top.ID).State, store.TaskExpired)
		w.same("child", w.task(low.ID).State, store.TaskExpired)
	},
	"a client that acts for itself": func(w *world) {
		w.must(w.s.AssignClientRole(w.ctx, w.client.ID, tickets, "reader", record("role.assigned")))
		w.must(w.s.AssignClientRole(w.ctx, w.client.ID, tickets, "reader"))
		roles, err := w.s.RolesOf(w.ctx, w.client.ID, tickets)
		w.must(err)
		w.same("roles", roles, []string{"reader"})
		u, err := w.s.UserByID(w.ctx, w.client.ID)
		w.must(err)
		w.same("service", u.Service, true)
		_, err = w.s.UserByEmail(w.ctx, w.client.ID)
		w.want(err, store.ErrUserNotFound)
		all, err := w.s.Users(w.ctx)
		w.must(err)
		w.same("users", len(all), 1)
		w.must(w.s.UnassignRole(w.ctx, w.client.ID, tickets, "reader"))
		roles, err = w.s.RolesOf(w.ctx, w.client.ID, tickets)
		w.must(err)
		w.same("roles", roles, []string(nil))
		w.refused(store.ErrClientNotFound, func() error { return w.s.AssignClientRole(w.ctx, "cli_nobody", tickets, "reader", record("x")) })
		w.refused(store.ErrResourceNotFound, func() error {
			return w.s.AssignClientRole(w.ctx, w.client.ID, "https://nowhere.example/", "reader", record("x"))
		})
	},
}

var backends = map[string]func(*world){
	"allowed, changed and taken back": func(w *world) {
		_, err := w.s.Backend(w.ctx, tickets, mail)
		w.want(err, store.ErrBackendNotFound)
		w.must(w.s.PutBackend(w.ctx, tickets, mail, []string{"mail.read"}, record("backend.allowed")))
		w.must(w.s.PutBackend(w.ctx, tickets, mail, []string{"mail.read", "mail.send"}))
		scopes, err := w.s.Backend(w.ctx, tickets, mail)
		w.must(err)
		w.same("scopes", scopes, []string{"mail.read", "mail.send"})
		all, err := w.s.Backends(w.ctx, tickets)
		w.must(err)
		w.same("all", all, map[string][]string{mail: {"mail.read", "mail.send"}})
		_, err = w.s.Backend(w.ctx, mail, tickets)
		w.want(err, store.ErrBackendNotFound)
		w.must(w.s.PutBackend(w.ctx, tickets, mail, nil, record("backend.refused")))
		_, err = w.s.Backend(w.ctx, tickets, mail)
		w.want(err, store.ErrBackendNotFound)
		w.same("ledger", w.kinds(), []string{"backend.allowed", "backend.refused"})
	},
	"of nowhere": func(w *world) {
		w.refused(store.ErrResourceNotFound, func() error {
			return w.s.PutBackend(w.ctx, tickets, "https://nowhere.example/", []string{"x"}, record("x"))
		})
	},
}
