package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

func (w *world) throw(s store.Switch) store.Switch {
	w.t.Helper()
	s.ID, s.By = w.unique("swt_"), store.ByAdmin
	kept, err := w.s.ThrowSwitch(w.ctx, s, record("said"))
	w.must(err)
	return kept
}

func (w *world) lift(s store.Switch) {
	w.t.Helper()
	_, err := w.s.LiftSwitch(w.ctx, s.ID, store.ByAdmin)
	w.must(err)
}

// holds checks that exactly these tasks are held, and that the others go on.
func (w *world) holds(s store.Switch, held, free []loan) {
	w.t.Helper()
	var want []string
	for _, l := range held {
		want = append(want, l.ID)
	}
	planned, err := w.s.HeldBy(w.ctx, s)
	w.must(err)
	w.same("planned", ids(planned), want)
	s = w.throw(s)
	for _, l := range held {
		t := w.task(l.ID)
		w.same("held", []string{string(t.State), string(t.SuspendedBy), t.Reason}, []string{"suspended", "switch", store.ReasonSwitch})
		w.same("its token", w.live(l.Access.JTI), false)
		w.refuseRotation(store.ErrTaskNotActive, w.rotate(l.Refresh.ID, l.ID))
		w.refused(store.ErrTaskNotSuspended, func() error { _, err := w.s.ResumeTask(w.ctx, l.ID, store.ByAdmin, record("x")); return err })
	}
	suspended, err := w.s.TaskList(w.ctx, store.TaskFilter{State: store.TaskSuspended})
	w.must(err)
	w.same("listed as suspended", len(suspended), len(held))
	live, err := w.s.TaskList(w.ctx, store.TaskFilter{Live: true})
	w.must(err)
	w.same("listed as live", len(live), len(held)+len(free))
	for _, l := range free {
		w.same("others", w.task(l.ID).State, store.TaskActive)
		w.same("their tokens", w.live(l.Access.JTI), true)
	}
	w.lift(s)
	for _, l := range held {
		w.same("afterwards", w.task(l.ID).State, store.TaskActive)
		w.same("its token, afterwards", w.live(l.Access.JTI), true)
	}
}

// switches tests kill switches.
var switches = map[string]func(*world){
	"levels": func(w *world) {
		const cursor, other = "https://agents.cursor.example/client", "https://notcursor.example/cursor.example:x/"
		w.must(w.s.AddUser(w.ctx, store.User{ID: "usr_noor", Email: "noor@demo.example"}))
		for _, id := range []string{"cli_two", cursor, other} {
			c := w.client
			c.ID = id
			w.must(w.s.AddClient(w.ctx, c))
		}
		mine, noors, twos := w.lend(), w.lendBy("usr_noor", ""), w.lendBy("", "cli_two")
		cursors, others := w.lendBy("", cursor), w.lendBy("", other)
		child := w.lendBy("", "cli_two", under(mine.ID))
		all := []loan{mine, noors, twos, cursors, others, child}
		without := func(out ...loan) (rest []loan) {
			for _, l := range all {
				in := true
				for _, o := range out {
					in = in && o.ID != l.ID
				}
				if in {
					rest = append(rest, l)
				}
			}
			return rest
		}
		for _, tt := range []struct {
			s    store.Switch
			held []loan
		}{
			{store.Switch{Level: store.LevelTask, Subject: mine.ID}, []loan{mine, child}},
			{store.Switch{Level: store.LevelTask, Subject: child.ID}, []loan{child}},
			{store.Switch{Level: store.LevelClient, Subject: "cli_two"}, []loan{twos, child}},
			{store.Switch{Level: store.LevelClient, Subject: w.client.ID}, []loan{mine, child, noors}},
			{store.Switch{Level: store.LevelDomain, Subject: "cursor.example"}, []loan{cursors}},
			{store.Switch{Level: store.LevelDomain, Subject: "agents.cursor.example"}, []loan{cursors}},
			{store.Switch{Level: store.LevelUser, Subject: "usr_noor"}, []loan{noors}},
		} {
			w.holds(tt.s, tt.held, without(tt.held...))
		}
		s := w.throw(store.Switch{Level: store.LevelEverything})
		for _, l := range all {
			w.same("everything", w.task(l.ID).SuspendedBy, store.BySwitch)
		}
		w.refuseApproval(store.ErrSwitched, w.ask())
		w.lift(s)
		w.must(w.s.Approve(w.ctx, w.ask()))
	},
	"nothing begins": func(w *world) {
		for _, s := range []store.Switch{
			{Level: store.LevelClient, Subject: w.client.ID},
			{Level: store.LevelUser, Subject: w.user.ID},
			{Level: store.LevelResource, Subject: tickets},
			{Level: store.LevelEverything},
		} {
			pending := w.approve()
			thrown := w.throw(s)
			w.refuseApproval(store.ErrSwitched, w.ask())
			want := store.ErrTaskNotActive
			if s.Level == store.LevelResource || s.Level == store.LevelEverything {
				want = store.ErrSwitched
			}
			w.refused(want, func() error { return w.s.RedeemCode(w.ctx, w.redemption(pending), record("x")) })
			now := w.clock.Now()
			start := store.Start{
				Task:   store.Task{ID: w.unique("tsk_"), UserID: w.user.ID, ClientID: w.client.ID, JKT: jkt, State: store.TaskActive, CreatedAt: now, EndsAt: now.Add(time.Hour)},
				Access: w.access("", tickets),
			}
			start.Grants, start.Access.TaskID = []store.Grant{w.grant(start.Task.ID, tickets)}, start.Task.ID
			w.refused(store.ErrSwitched, func() error { return w.s.StartTask(w.ctx, start, record("x")) })
			w.lift(thrown)
			w.must(w.s.RedeemCode(w.ctx, w.redemption(pending)))
			w.must(w.s.StartTask(w.ctx, start))
			w.must(w.s.Approve(w.ctx, w.ask()))
		}
	},
	"a resource": func(w *world) {
		l := w.lend(atBoth(w))
		s := store.Switch{Level: store.LevelResource, Subject: tickets}
		planned, err := w.s.HeldBy(w.ctx, s)
		w.must(err)
		w.same("planned", ids(planned), []string{l.ID})
		s = w.throw(s)
		w.same("the task", w.task(l.ID).State, store.TaskActive)
		w.same("its token there", w.live(l.Access.JTI), false)
		w.refuseRotation(store.ErrSwitched, w.rotate(l.Refresh.ID, l.ID))
		call := store.Reservation{Execution: w.unique("exe_"), TaskID: l.ID, Resource: tickets, Tool: "get_ticket", JTI: l.Access.JTI}
		reserve := func() error { _, _, err := w.s.ReserveCall(w.ctx, call, record("x")); return err }
		w.refused(store.ErrTaskNotActive, reserve)
		away := w.rotate(l.Refresh.ID, l.ID)
		away.Access = w.access(l.ID, mail)
		_, _, err = w.s.RotateRefreshToken(w.ctx, away)
		w.must(err)
		w.same("its token elsewhere", w.live(away.Access.JTI), true)
		w.lift(s)
		w.must(reserve())
	},
	"a resource that acts at another": func(w *world) {
		parent := w.lend(atBoth(w))
		behind := func(s *store.Start) {
			s.Task.Delegates = append([]store.Delegate{{Subject: tickets, ClientID: "grd_tickets", JKT: s.Task.JKT}}, s.Task.Delegates[1:]...)
			s.Grants, s.Access = []store.Grant{w.grant(s.Task.ID, mail)}, w.access(s.Task.ID, mail)
		}
		running := w.begun(w.start(parent, behind))
		s := w.throw(store.Switch{Level: store.LevelResource, Subject: tickets})
		w.refused(store.ErrSwitched, func() error { return w.s.StartTask(w.ctx, w.start(parent, behind), record("x")) })
		w.same("the task that it acts in", w.task(running.ID).SuspendedBy, store.BySwitch)
		w.same("its token there", w.live(running.Access.JTI), false)
		told := w.events(mail)
		w.same("told where it acts", len(told) > 0 && told[len(told)-1].JTI == s.ID, true)
		w.lift(s)
		w.same("its token there, afterwards", w.live(running.Access.JTI), true)
		w.must(w.s.StartTask(w.ctx, w.start(parent, behind)))
	},
	"a tool": func(w *world) {
		l := w.lend()
		for tool, want := range map[string]int{"get_ticket": 1, "get_tick": 0, "et_ticket": 0, "GET_TICKET": 0, `get_ticket","type":"mcp_tool`: 0, "%": 0} {
			planned, err := w.s.HeldBy(w.ctx, store.Switch{Level: store.LevelTool, Subject: tickets, Tool: tool})
			w.must(err)
			w.same(tool, len(planned), want)
			listed, err := w.s.TaskList(w.ctx, store.TaskFilter{Tool: tool})
			w.must(err)
			w.same(tool, len(listed), want)
		}
		s := w.throw(store.Switch{Level: store.LevelTool, Subject: tickets, Tool: "get_ticket"})
		w.same("the task", w.task(l.ID).State, store.TaskActive)
		e := w.events(tickets)
		w.same("told", []string{e[len(e)-1].Kind, e[len(e)-1].JTI}, []string{store.EventSwitchThrown, s.ID})
		w.same("told there alone", len(w.events(mail)), 0)
	},
	"it goes back by the clock": func(w *world) {
		l := w.lend()
		s := w.throw(store.Switch{Level: store.LevelUser, Subject: w.user.ID, Until: w.clock.Now().Add(time.Minute)})
		w.clock.Advance(time.Minute - time.Microsecond)
		w.same("before", w.task(l.ID).SuspendedBy, store.BySwitch)
		w.clock.Advance(time.Microsecond)
		w.same("judged, not swept", w.task(l.ID).State, store.TaskActive)
		w.same("its token", w.live(l.Access.JTI), true)
		w.refused(store.ErrSwitchLifted, func() error { _, err := w.s.LiftSwitch(w.ctx, s.ID, store.ByAdmin, record("x")); return err })
		open, err := w.s.Switches(w.ctx, false)
		w.must(err)
		w.same("open", len(open), 0)
		if _, err := w.s.SweepTasks(w.ctx); err != nil {
			w.t.Fatal(err)
		}
		w.unchanged(func() { w.s.SweepTasks(w.ctx) })
		e := w.events(mail)
		w.same("told", []string{e[len(e)-1].Kind, e[len(e)-1].JTI}, []string{store.EventSwitchLifted, s.ID})
		kinds := w.kinds()
		w.same("recorded", kinds[len(kinds)-1], "switch.lifted")
		all, err := w.s.Switches(w.ctx, true)
		w.must(err)
		w.same("kept", len(all), 1)
		w.same("when", all[0].LiftedAt, s.Until)
	},
	"a suspension beneath it stays": func(w *world) {
		l := w.lend()
		child := w.lendBy("", "", under(l.ID))
		_, err := w.s.SuspendTask(w.ctx, child.ID, store.ByUser, "")
		w.must(err)
		s := w.throw(store.Switch{Level: store.LevelTask, Subject: l.ID})
		w.same("the user's", w.task(child.ID).SuspendedBy, store.ByUser)
		_, err = w.s.SuspendTask(w.ctx, l.ID, store.ByRule, "") // what is held can be suspended besides
		w.must(err)
		w.lift(s)
		w.same("the rule's", w.task(l.ID).SuspendedBy, store.ByRule)
		w.same("the user's, afterwards", w.task(child.ID).SuspendedBy, store.ByUser)
	},
	"a suspension reaches what is held": func(w *world) {
		l := w.lend()
		w.addTwo()
		child := w.lendBy("", "cli_two", under(l.ID))
		s := w.throw(store.Switch{Level: store.LevelClient, Subject: "cli_two"})
		_, err := w.s.SuspendTask(w.ctx, l.ID, store.ByUser, "")
		w.must(err)
		w.lift(s)
		w.same("the child", w.task(child.ID).SuspendedBy, store.ByUser)
	},
	"a suspension leaves alone what never began": func(w *world) {
		pending := w.approve()
		parent := w.lend()
		below := w.approve(under(parent.ID))
		s := w.throw(store.Switch{Level: store.LevelUser, Subject: w.user.ID})
		w.refused(store.ErrTaskNotActive, func() error {
			_, err := w.s.SuspendTask(w.ctx, pending.Task.ID, store.ByAdmin, "", record("x"))
			return err
		})
		_, err := w.s.SuspendTask(w.ctx, parent.ID, store.ByUser, "")
		w.must(err)
		w.lift(s)
		w.must(w.s.RedeemCode(w.ctx, w.redemption(pending)))
		_, err = w.s.ResumeTask(w.ctx, parent.ID, store.ByUser)
		w.must(err)
		w.must(w.s.RedeemCode(w.ctx, w.redemption(below)))
	},
	"idleness does not wake it": func(w *world) {
		l := w.lend()
		w.clock.Advance(store.IdleAfter)
		w.must(sweep(w))
		s := w.throw(store.Switch{Level: store.LevelUser, Subject: w.user.ID})
		w.refuseRotation(store.ErrTaskNotActive, w.rotate(l.Refresh.ID, l.ID))
		w.lift(s)
		w.must(rotateOnce(w, l, w.access(l.ID, tickets)))
	},
	"two persons": func(w *world) {
		l := w.lend()
		s := store.Switch{
			ID: w.unique("swt_"), Level: store.LevelEverything, State: store.SwitchWaiting, By: store.ByAdmin, Person: "usr_1",
			ConfirmBy: w.clock.Now().Add(15 * time.Minute), Until: w.clock.Now().Add(time.Hour),
		}
		_, err := w.s.ThrowSwitch(w.ctx, s, record("switch.asked"))
		w.must(err)
		w.same("not in force", w.task(l.ID).State, store.TaskActive)
		w.same("nobody told", len(w.events(mail)), 0)
		confirm := func(id, person string) func() error {
			return func() error { _, err := w.s.ConfirmSwitch(w.ctx, id, person, record("x")); return err }
		}
		w.refused(store.ErrSwitchSame, confirm(s.ID, "usr_1"))
		w.refused(store.ErrSwitchNotFound, confirm("swt_none", "usr_2"))
		w.clock.Advance(10 * time.Minute)
		w.must(confirm(s.ID, "usr_2")())
		w.same("in force", w.task(l.ID).SuspendedBy, store.BySwitch)
		w.refused(store.ErrSwitchLifted, confirm(s.ID, "usr_3"))
		held, err := w.s.SwitchByID(w.ctx, s.ID)
		w.must(err)
		w.same("an hour from the second yes", held.Until, w.clock.Now().Add(time.Hour))
		w.lift(held)
		s.ID, s.ConfirmBy = w.unique("swt_"), w.clock.Now().Add(15*time.Minute)
		_, err = w.s.ThrowSwitch(w.ctx, s)
		w.must(err)
		w.clock.Advance(15 * time.Minute)
		w.refused(store.ErrSwitchLifted, confirm(s.ID, "usr_2"))
	},
	"of nothing": func(w *world) {
		ended := w.lend()
		w.end(ended.ID)
		for _, tt := range []struct {
			s    store.Switch
			want error
		}{
			{store.Switch{Level: store.LevelTask, Subject: "tsk_none"}, store.ErrTaskNotFound},
			{store.Switch{Level: store.LevelTask, Subject: ended.ID}, store.ErrTaskEnded},
			{store.Switch{Level: store.LevelClient, Subject: "cli_none"}, store.ErrClientNotFound},
			{store.Switch{Level: store.LevelUser, Subject: "usr_none"}, store.ErrUserNotFound},
			{store.Switch{Level: store.LevelResource, Subject: "https://nowhere.example"}, store.ErrResourceNotFound},
			{store.Switch{Level: store.LevelTool, Subject: "https://nowhere.example", Tool: "x"}, store.ErrResourceNotFound},
		} {
			tt.s.ID = w.unique("swt_")
			w.refused(tt.want, func() error { _, err := w.s.ThrowSwitch(w.ctx, tt.s, record("x")); return err })
		}
		_, err := w.s.SwitchByID(w.ctx, "swt_none")
		w.want(err, store.ErrSwitchNotFound)
		w.refused(store.ErrSwitchNotFound, func() error { _, err := w.s.LiftSwitch(w.ctx, "swt_none", store.ByAdmin, record("x")); return err })
	},
}

func sweep(w *world) error { _, err := w.s.SweepTasks(w.ctx); return err }

func (w *world) addTwo() {
	c := w.client
	c.ID = "cli_two"
	w.must(w.s.AddClient(w.ctx, c))
}

// lendBy lends a task of this user and client.
func (w *world) lendBy(user, client string, more ...func(*store.Approval)) loan {
	w.t.Helper()
	a := w.ask(append(more, by(user, client))...)
	if client != "" {
		r := store.Request{
			ID: w.secret(), ClientID: client, Params: []byte(`{}`), JKT: jkt, CreatedAt: w.clock.Now(), ExpiresAt: w.clock.Now().Add(10 * time.Minute),
		}
		w.must(w.s.PushRequest(w.ctx, r))
		bound, err := w.s.BindRequest(w.ctx, r.ID, client, w.session)
		w.must(err)
		a.Request = bound.ID
	}
	w.must(w.s.Approve(w.ctx, a))
	r := w.redemption(a)
	w.must(w.s.RedeemCode(w.ctx, r))
	return loan{ID: a.Task.ID, Refresh: *r.Refresh, Access: r.Access}
}
