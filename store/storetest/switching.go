package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/remit-auth/remit/store"
)

// admin adds an enabled admin.
func (w *world) admin(id string) {
	w.t.Helper()
	w.must(w.s.AddUser(w.ctx, store.User{ID: id, Email: id + "@demo.example", ConsoleRole: store.RoleAdmin}))
}

func (w *world) disableUser(id string) func() error {
	return func() error { _, err := w.s.DisableUser(w.ctx, id, true, record("x")); return err }
}

func (w *world) setRole(id string, role store.ConsoleRole) func() error {
	return func() error { return w.s.SetConsoleRights(w.ctx, id, store.ConsoleRights{Role: role}, record("x")) }
}

// wouldEnd checks that the dry run names exactly what then ends.
func (w *world) wouldEnd(target store.Target, end func() ([]store.Task, error)) {
	w.t.Helper()
	var planned []store.Task
	w.unchanged(func() {
		var err error
		planned, err = w.s.WouldEnd(w.ctx, target)
		w.must(err)
	})
	ended, err := end()
	w.must(err)
	w.same("planned", ids(planned), ids(ended))
	if len(planned) == 0 {
		w.t.Error("nothing ended")
	}
	planned, err = w.s.WouldEnd(w.ctx, target)
	w.must(err)
	w.same("planned afterwards", len(planned), 0)
}

// switching tests what admins switch off, and what must stay on.
var switching = map[string]func(*world){
	"disabling a resource": func(w *world) {
		here, both, elsewhere, pending := w.lend(), w.lend(atBoth(w)), w.lendAt(mail, func(a *store.Approval) { a.Grants[0].Resource = mail }), w.approve()
		child := w.lendAt(mail, under(here.ID), func(a *store.Approval) { a.Grants[0].Resource = mail })
		away := w.lend(atBoth(w)) // whose part here has ended
		_, err := w.s.EndLeg(w.ctx, away.ID, tickets, "gone")
		w.must(err)
		ended, err := w.s.DisableResource(w.ctx, tickets, true, record("resource.disabled"))
		w.must(err)
		want := []string{here.ID, child.ID, both.ID, pending.Task.ID}
		w.same("ended", ids(ended), want)
		for _, t := range ended {
			w.same("how", []string{string(t.State), t.Reason}, []string{"revoked", "resource_disabled"})
			w.same("stored", w.task(t.ID), t)
		}
		for _, l := range []loan{elsewhere, away} {
			w.same("others", w.task(l.ID).State, store.TaskActive)
		}
		told := map[string]bool{}
		for _, e := range append(w.events(tickets), w.events(mail)...) {
			if e.Reason == "resource_disabled" {
				told[e.TaskID] = true
			}
		}
		w.same("resources told of", len(told), 4)
		r, err := w.s.ResourceByURI(w.ctx, tickets)
		w.must(err)
		w.same("disabled", r.Disabled, true)
		kinds := w.kinds()
		w.same("last records", kinds[len(kinds)-2:], []string{"task.ended", "resource.disabled"})
		a := w.ask()
		w.refuseApproval(store.ErrResourceNotFound, a)

		ended, err = w.s.DisableResource(w.ctx, tickets, false, record("resource.enabled"))
		w.must(err)
		w.same("ended", len(ended), 0)
		w.same("what ended stays ended", w.task(here.ID).State, store.TaskRevoked)
		w.must(w.s.Approve(w.ctx, a))
	},
	"a disabled resource is issued nothing": func(w *world) {
		// A task that is widened to a resource which is then switched off has no part there yet.
		l := w.lend()
		a := w.ask()
		a.Extends, a.Grants = l.ID, []store.Grant{w.grant(l.ID, mail)}
		w.must(w.s.Approve(w.ctx, a))
		ended, err := w.s.DisableResource(w.ctx, mail, true)
		w.must(err)
		w.same("ended", len(ended), 0)
		r := store.Redemption{Code: a.Code.ID, JKT: jkt, Access: w.access(l.ID, mail)}
		w.refused(store.ErrResourceNotFound, func() error { return w.s.RedeemCode(w.ctx, r, record("x")) })
		r.Access = w.access(l.ID, tickets)
		w.must(w.s.RedeemCode(w.ctx, r))
		rotation := w.rotate(l.Refresh.ID, l.ID)
		rotation.Access = w.access(l.ID, mail)
		w.refuseRotation(store.ErrResourceNotFound, rotation)
		_, err = w.s.DisableResource(w.ctx, mail, false)
		w.must(err)
		w.must(rotateOnce(w, l, w.access(l.ID, mail)))
	},
	"an unknown resource": func(w *world) {
		w.refused(store.ErrResourceNotFound, func() error {
			_, err := w.s.DisableResource(w.ctx, "https://nowhere.example", true, record("x"))
			return err
		})
	},
	"console roles": func(w *world) {
		w.must(w.s.SetConsoleRights(w.ctx, w.user.ID, store.ConsoleRights{Role: store.RoleViewer}, record("user.role_changed")))
		u, err := w.s.UserByID(w.ctx, w.user.ID)
		w.must(err)
		w.same("role", u.ConsoleRole, store.RoleViewer)
		w.same("ledger", w.kinds(), []string{"user.role_changed"})
		w.refused(store.ErrUserNotFound, w.setRole("usr_nobody", store.RoleAdmin))
		w.refused(store.ErrUserNotFound, w.setRole("usr_nobody", store.RoleUser))
	},
	"the right to read arguments": func(w *world) {
		yes, no := true, false
		set := func(role store.ConsoleRole, args *bool) func() error {
			return func() error {
				return w.s.SetConsoleRights(w.ctx, w.user.ID, store.ConsoleRights{Role: role, ReadArgs: args}, record("x"))
			}
		}
		is := func(role store.ConsoleRole, args bool) {
			w.t.Helper()
			u, err := w.s.UserByID(w.ctx, w.user.ID)
			w.must(err)
			w.same("rights", []any{u.ConsoleRole, u.ReadArgs}, []any{role, args})
		}
		is(store.RoleUser, false)
		w.refused(store.ErrNoConsoleRole, set("", &yes))
		w.refused(store.ErrNoConsoleRole, set(store.RoleUser, &yes))
		w.must(set(store.RoleViewer, nil)())
		is(store.RoleViewer, false)
		w.must(set("", &yes)())
		is(store.RoleViewer, true)
		w.must(set(store.RoleRevoker, nil)()) // another role, the same right
		is(store.RoleRevoker, true)
		w.must(set("", &no)())
		is(store.RoleRevoker, false)
		w.must(set(store.RoleViewer, &yes)())
		is(store.RoleViewer, true)
		w.must(set(store.RoleUser, nil)())
		is(store.RoleUser, false)
		w.must(set(store.RoleViewer, nil)()) // it does not come back
		is(store.RoleViewer, false)
		w.refused(store.ErrUserNotFound, func() error {
			return w.s.SetConsoleRights(w.ctx, "usr_nobody", store.ConsoleRights{ReadArgs: &no}, record("x"))
		})
		u := store.User{ID: "usr_2", Email: "two@demo.example", ConsoleRole: store.RoleUser, ReadArgs: true} // what an earlier version leaves behind
		w.must(w.s.AddUser(w.ctx, u))
		w.must(w.s.SetConsoleRights(w.ctx, u.ID, store.ConsoleRights{Role: store.RoleAdmin}))
		u, err := w.s.UserByID(w.ctx, u.ID)
		w.must(err)
		w.same("rights", []any{u.ConsoleRole, u.ReadArgs}, []any{store.RoleAdmin, false})
	},
	"the last admin stays": func(w *world) {
		w.admin("usr_1")
		w.refused(store.ErrLastAdmin, w.setRole("usr_1", store.RoleRevoker))
		w.refused(store.ErrLastAdmin, w.disableUser("usr_1"))
		w.must(w.setRole("usr_1", store.RoleAdmin)())
		w.admin("usr_2")
		w.must(w.disableUser("usr_2")())
		w.refused(store.ErrLastAdmin, w.disableUser("usr_1")) // a disabled admin is none
		w.must(w.setRole("usr_2", store.RoleUser)())
		w.must(w.setRole(w.user.ID, store.RoleAdmin)())
		w.must(w.disableUser("usr_1")())
		w.must(w.disableUser("usr_1")()) // disabled, it was not the last one
		w.refused(store.ErrLastAdmin, w.setRole(w.user.ID, store.RoleUser))
	},
	"two admins at once do not remove each other": func(w *world) {
		w.admin("usr_1")
		w.admin("usr_2")
		errs := make(chan error, 2)
		for _, id := range []string{"usr_1", "usr_2"} {
			go func() { errs <- w.disableUser(id)() }()
		}
		first, second := <-errs, <-errs
		if (first == nil) == (second == nil) {
			w.t.Errorf("%v and %v", first, second)
		}
	},
	"the dry run": func(w *world) {
		active, both, pending := w.lend(), w.lend(atBoth(w)), w.approve()
		w.lend(under(active.ID))
		w.end(w.lend().ID)
		first := store.Target{TaskIDs: []string{active.ID, active.ID, pending.Task.ID, "tsk_nobody"}}
		w.wouldEnd(first, func() (ended []store.Task, err error) {
			for _, id := range []string{active.ID, pending.Task.ID} {
				tree, err := w.s.EndTask(w.ctx, store.End{TaskID: id, State: store.TaskRevoked, By: store.ByAdmin})
				if err != nil {
					return nil, err
				}
				ended = append(ended, tree...)
			}
			return ended, nil
		})
		w.wouldEnd(store.Target{Resource: mail}, func() ([]store.Task, error) { return w.s.DisableResource(w.ctx, mail, true) })
		w.same("by the resource", w.task(both.ID).State, store.TaskRevoked)
		w.lend()
		w.wouldEnd(store.Target{ClientID: w.client.ID}, func() ([]store.Task, error) { return w.s.DisableClient(w.ctx, w.client.ID, true) })
		_, err := w.s.DisableClient(w.ctx, w.client.ID, false)
		w.must(err)
		w.lend(under(w.lend().ID))
		w.wouldEnd(store.Target{UserID: w.user.ID}, func() ([]store.Task, error) { return w.s.DisableUser(w.ctx, w.user.ID, true) })
	},
	"the dry run knows the time": func(w *world) {
		l := w.lend(endsIn(10 * time.Minute))
		w.clock.Advance(10 * time.Minute)
		planned, err := w.s.WouldEnd(w.ctx, store.Target{TaskIDs: []string{l.ID}})
		w.must(err)
		w.same("planned", len(planned), 0)
	},
	"a revoker resumes what revokers suspended": func(w *world) {
		l := w.lend()
		resume := func(by store.Actor) func() error {
			return func() error { _, err := w.s.ResumeTask(w.ctx, l.ID, by, record("x")); return err }
		}
		for _, by := range []store.Actor{store.ByRule, store.ByAdmin, store.ByUser} {
			_, err := w.s.SuspendTask(w.ctx, l.ID, by, "")
			w.must(err)
			w.refused(store.ErrTaskNotSuspended, resume(store.ByRevoker))
			w.must(resume(store.ByAdmin)())
		}
		_, err := w.s.SuspendTask(w.ctx, l.ID, store.ByRevoker, "")
		w.must(err)
		w.refused(store.ErrTaskNotSuspended, resume(store.ByUser))
		w.must(resume(store.ByRevoker)())
	},
	"the newest records of a task": func(w *world) {
		l := w.lend()
		for i := range 5 {
			r := record(fmt.Sprintf("kind.%d", i))
			r.Task = l.ID
			w.must(w.s.Append(w.ctx, r, record("of no task")))
		}
		w.listsNewest([]string{"kind.4", "kind.3", "kind.2", "kind.1", "kind.0"}, func(before int64, limit int) ([]store.Record, error) {
			return w.s.NewestRecords(w.ctx, l.ID, before, limit)
		})
		none, err := w.s.NewestRecords(w.ctx, "", 0, 10)
		w.must(err)
		w.same("records of no task", len(none), 0)
	},
	"findings": func(w *world) {
		for _, kind := range []string{"finding.a", "rule.fired", "task.ended", "execution.disputed", "findings", "finding.z", "execution.decided", "finding"} {
			w.must(w.s.Append(w.ctx, record(kind)))
		}
		w.listsNewest([]string{"finding.z", "execution.disputed", "rule.fired", "finding.a"}, func(before int64, limit int) ([]store.Record, error) {
			return w.s.Findings(w.ctx, before, limit)
		})
	},
	"a finding is dismissed": func(w *world) {
		for _, kind := range []string{"finding.a", "task.ended", "rule.fired", "execution.disputed"} {
			w.must(w.s.Append(w.ctx, record(kind)))
		}
		before := w.chained()
		w.must(w.s.Append(w.ctx, record("finding.unchained")))
		dismissal := func(seq int64) store.Dismissal {
			return store.Dismissal{Finding: seq, At: w.clock.Now(), By: store.ByRevoker, Person: "usr_r", Reason: "known \x00 \"test\""}
		}
		for _, seq := range []int64{0, -1, 2, 5, 99} {
			w.refused(store.ErrFindingNotFound, func() error { return w.s.DismissFinding(w.ctx, dismissal(seq), record("x")) })
		}
		w.must(w.s.DismissFinding(w.ctx, dismissal(3), record("findings.dismissed")))
		w.refused(store.ErrFindingDismissed, func() error { return w.s.DismissFinding(w.ctx, dismissal(3), record("x")) })
		again := dismissal(3)
		again.Person, again.Reason = "usr_other", "other"
		w.refused(store.ErrFindingDismissed, func() error { return w.s.DismissFinding(w.ctx, again, record("x")) })
		w.must(w.s.DismissFinding(w.ctx, dismissal(1)))
		after := w.chained()
		w.same("the ledger", after[:4], before)
		w.same("told", after[len(after)-1].Kind, "findings.dismissed")
		var open []string
		left, err := w.s.Findings(w.ctx, 0, 10)
		w.must(err)
		for _, r := range left {
			open = append(open, r.Kind)
		}
		w.same("left", open, []string{"finding.unchained", "execution.disputed"})
		all, err := w.s.DismissedFindings(w.ctx, 0, 10)
		w.must(err)
		w.same("dismissed", all, []store.DismissedFinding{{Record: before[2], Dismissal: dismissal(3)}, {Record: before[0], Dismissal: dismissal(1)}})
		page, err := w.s.DismissedFindings(w.ctx, 3, 1)
		w.must(err)
		w.same("a page", page, all[1:])
	},
}

// listsNewest checks that list names these kinds, in pages too, and only once they are chained.
func (w *world) listsNewest(want []string, list func(before int64, limit int) ([]store.Record, error)) {
	w.t.Helper()
	unchained, err := list(0, 100)
	w.must(err)
	w.same("unchained", len(unchained), 0)
	all := w.chained()
	recs, err := list(0, 100)
	w.must(err)
	var kinds []string
	for _, r := range recs {
		kinds = append(kinds, r.Kind)
		i := slices.IndexFunc(all, func(o store.Record) bool { return o.Seq == r.Seq })
		w.same("record", r, all[i])
	}
	w.same("kinds", kinds, want)
	var paged []string
	for before := int64(0); ; {
		page, err := list(before, 2)
		w.must(err)
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			paged = append(paged, r.Kind)
			before = r.Seq
		}
	}
	w.same("in pages", paged, want)
}
