package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

var tasks = map[string]func(*world){
	"unknown": func(w *world) {
		_, _, err := w.s.TaskByID(w.ctx, "tsk_nobody")
		w.want(err, store.ErrTaskNotFound)
	},
	"history": func(w *world) {
		n, last, err := w.s.TaskHistory(w.ctx, w.user.ID, w.client.ID)
		w.must(err)
		w.same("none", []any{n, last.IsZero()}, []any{0, true})
		w.lend()
		w.clock.Advance(time.Minute)
		second := w.lend().ID
		w.end(second)
		n, last, err = w.s.TaskHistory(w.ctx, w.user.ID, w.client.ID)
		w.must(err)
		w.same("two, one of them over", []any{n, last}, []any{2, w.task(second).CreatedAt})
		n, _, err = w.s.TaskHistory(w.ctx, w.user.ID, "cli_other")
		w.must(err)
		w.same("another client's", n, 0)
	},
	"lists, newest first": func(w *world) {
		w.must(w.s.AddUser(w.ctx, store.User{ID: "usr_2", Email: "2"}))
		pending, active, over := w.approve().Task.ID, w.lend(atBoth(w)).ID, w.lend().ID
		suspended, theirs := w.lend().ID, w.lend(by("usr_2", "")).ID
		w.end(over)
		_, err := w.s.SuspendTask(w.ctx, suspended, store.ByUser, "")
		w.must(err)
		for name, tt := range map[string]struct {
			filter store.TaskFilter
			want   []string
		}{
			"all":       {store.TaskFilter{}, []string{theirs, suspended, over, active, pending}},
			"limit":     {store.TaskFilter{Limit: 2}, []string{theirs, suspended}},
			"user":      {store.TaskFilter{UserID: w.user.ID}, []string{suspended, over, active, pending}},
			"live":      {store.TaskFilter{UserID: w.user.ID, Live: true}, []string{suspended, active, pending}},
			"begun":     {store.TaskFilter{UserID: w.user.ID, Live: true, Begun: true}, []string{suspended, active}},
			"client":    {store.TaskFilter{ClientID: "cli_other"}, nil},
			"key":       {store.TaskFilter{UserID: w.user.ID, JKT: w.task(active).JKT, Limit: 1}, []string{suspended}},
			"other key": {store.TaskFilter{UserID: w.user.ID, JKT: "another"}, nil},
			"resource":  {store.TaskFilter{Resource: mail}, []string{active}},
			"active":    {store.TaskFilter{State: store.TaskActive}, []string{theirs, active}},
			"revoked":   {store.TaskFilter{State: store.TaskRevoked}, []string{over}},
			"no such":   {store.TaskFilter{State: store.TaskRevoked, Live: true}, nil},
			"suspended": {store.TaskFilter{State: store.TaskSuspended, ClientID: w.client.ID}, []string{suspended}},
			"ended":     {store.TaskFilter{UserID: w.user.ID, Ended: true}, []string{over}},
			"before":    {store.TaskFilter{Before: over}, []string{active, pending}},
			"a page":    {store.TaskFilter{UserID: w.user.ID, Live: true, Before: theirs, Limit: 2}, []string{suspended, active}},
			"the last":  {store.TaskFilter{Before: pending}, nil},
			"nobody's":  {store.TaskFilter{Before: "tsk_nobody"}, nil},
		} {
			got, err := w.s.TaskList(w.ctx, tt.filter)
			w.must(err)
			w.same(name, ids(got), tt.want)
			n, err := w.s.TaskCount(w.ctx, tt.filter)
			w.must(err)
			w.same(name+", counted", n, len(tt.want))
		}
		got, err := w.s.TaskList(w.ctx, store.TaskFilter{Resource: mail})
		w.must(err)
		w.same("task", got[0], w.task(active))
	},
	"lists by key": func(w *world) {
		keyless := w.ask()
		keyless.Task.JKT, keyless.Code.JKT = "", ""
		w.must(w.s.Approve(w.ctx, keyless))
		r := w.redemption(keyless)
		r.JKT, r.Access.JKT, r.Refresh.JKT = "", "", ""
		w.must(w.s.RedeemCode(w.ctx, r))
		bound, over := w.lend().ID, w.lend().ID
		unborn := w.ask()
		unborn.Task.JKT, unborn.Code.JKT = "", ""
		w.must(w.s.Approve(w.ctx, unborn))
		w.end(over)
		open := keyless.Task.ID
		for name, tt := range map[string]struct {
			filter store.TaskFilter
			want   []string
		}{
			"bound":                {store.TaskFilter{Bound: true}, []string{over, bound}},
			"bound, live":          {store.TaskFilter{Bound: true, Live: true}, []string{bound}},
			"unbound":              {store.TaskFilter{Unbound: true}, []string{open}},
			"unbound, live":        {store.TaskFilter{Unbound: true, Live: true}, []string{open}},
			"unbound, of a user":   {store.TaskFilter{Unbound: true, UserID: w.user.ID}, []string{open}},
			"unbound, over":        {store.TaskFilter{Unbound: true, Ended: true}, nil},
			"unbound, of a client": {store.TaskFilter{Unbound: true, ClientID: w.client.ID, Live: true}, []string{open}},
			"unbound, with a tool": {store.TaskFilter{Unbound: true, Tool: "get_ticket"}, []string{open}},
			"both at once":         {store.TaskFilter{Bound: true, Unbound: true}, nil},
		} {
			got, err := w.s.TaskList(w.ctx, tt.filter)
			w.must(err)
			w.same(name, ids(got), tt.want)
			n, err := w.s.TaskCount(w.ctx, tt.filter)
			w.must(err)
			w.same(name+", counted", n, len(tt.want))
		}
	},
	"lists tell the time": func(w *world) {
		pending, idle, over := w.approve().Task.ID, w.lend().ID, w.lend(endsIn(5*time.Minute)).ID
		w.clock.Advance(store.IdleAfter)
		for name, tt := range map[string]struct {
			filter store.TaskFilter
			want   []string
		}{
			"live":      {store.TaskFilter{Live: true}, []string{idle}},
			"active":    {store.TaskFilter{State: store.TaskActive}, nil},
			"suspended": {store.TaskFilter{State: store.TaskSuspended}, []string{idle}},
			"expired":   {store.TaskFilter{State: store.TaskExpired}, []string{over, pending}},
			"ended":     {store.TaskFilter{Ended: true}, []string{over, pending}},
		} {
			got, err := w.s.TaskList(w.ctx, tt.filter)
			w.must(err)
			w.same(name, ids(got), tt.want)
			n, err := w.s.TaskCount(w.ctx, tt.filter)
			w.must(err)
			w.same(name+", counted", n, len(tt.want))
		}
	},
	"text of any kind is kept": func(w *world) {
		a := w.ask()
		a.Task.Purpose = "drop'); \x00 – \"näh\" \u202e 🐈"
		w.must(w.s.Approve(w.ctx, a))
		w.same("purpose", w.task(a.Task.ID).Purpose, a.Task.Purpose)
	},
}

// clock tests that the verbs judge by the clock, whether or not SweepTasks has run.
var clock = map[string]func(*world){
	"a code never redeemed": func(w *world) {
		a := w.approve()
		w.clock.Advance(time.Minute)
		before := w.task(a.Task.ID)
		w.same("state", []string{string(before.State), before.Reason}, []string{"expired", "not_redeemed"})
		w.refusedEnd(a.Task.ID)
		w.swept(1, 0)
		w.same("swept", w.task(a.Task.ID), before)
		w.ended(a.Task.ID, store.TaskExpired, store.ByClock, "not_redeemed")
	},
	"a deadline": func(w *world) {
		l := w.lend(endsIn(4 * time.Minute))
		child := w.lend(under(l.ID))
		w.clock.Advance(4*time.Minute - time.Microsecond)
		w.swept(0, 0)
		w.same("alive", w.live(l.Access.JTI), true)
		w.clock.Advance(time.Microsecond)
		w.same("alive", w.live(l.Access.JTI), false)
		before := w.task(l.ID)
		w.same("state", []string{string(before.State), before.Reason}, []string{"expired", "deadline"})
		w.refusedEnd(l.ID)
		w.refused(store.ErrTaskEnded, func() error { _, err := w.s.SuspendTask(w.ctx, l.ID, store.ByUser, "", record("x")); return err })
		w.refused(store.ErrTaskEnded, func() error { _, err := w.s.EndLeg(w.ctx, l.ID, tickets, "", record("x")); return err })
		w.refused(store.ErrTaskEnded, func() error { _, _, err := w.s.ReserveCall(w.ctx, w.call(l, "get"), record("x")); return err })
		w.refuseRotation(store.ErrTaskEnded, w.rotate(l.Refresh.ID, l.ID))
		w.swept(2, 0)
		w.same("swept", w.task(l.ID), before)
		w.same("child", w.task(child.ID).State, store.TaskExpired)
		w.ended(l.ID, store.TaskExpired, store.ByClock, "deadline")
	},
	"a suspended task's deadline": func(w *world) {
		l := w.lend(endsIn(4 * time.Minute))
		_, err := w.s.SuspendTask(w.ctx, l.ID, store.ByUser, "")
		w.must(err)
		w.clock.Advance(4 * time.Minute)
		w.refused(store.ErrTaskEnded, func() error { _, err := w.s.ResumeTask(w.ctx, l.ID, store.ByUser, record("x")); return err })
		before := w.task(l.ID)
		w.same("state", before.State, store.TaskExpired)
		w.swept(1, 0)
		w.same("swept", w.task(l.ID), before)
	},
	"idleness": func(w *world) {
		l := w.lend()
		w.clock.Advance(store.IdleAfter - time.Microsecond)
		w.same("state", w.task(l.ID).State, store.TaskActive)
		w.clock.Advance(time.Microsecond)
		before := w.task(l.ID)
		w.same("state", []string{string(before.State), string(before.SuspendedBy), before.Reason}, []string{"suspended", "idle", "idle"})
		w.swept(1, 0)
		w.same("swept", w.task(l.ID), before)
		events := w.events(tickets)
		w.same("event", []string{events[0].Kind, events[0].Reason}, []string{store.EventTaskSuspended, "idle"})
		w.same("ledger", w.kinds(), []string{store.EventTaskSuspended})
	},
	"an admin wakes the idle": func(w *world) {
		l := w.lend()
		w.clock.Advance(store.IdleAfter)
		w.refused(store.ErrTaskNotSuspended, func() error { _, err := w.s.ResumeTask(w.ctx, l.ID, store.ByUser, record("x")); return err })
		t, err := w.s.ResumeTask(w.ctx, l.ID, store.ByAdmin)
		w.must(err)
		w.same("seen", t.SeenAt, w.clock.Now())
		w.same("task", w.task(l.ID), t)
	},
	"many at once": func(w *world) {
		for range 230 {
			w.approve()
		}
		w.clock.Advance(time.Hour)
		w.swept(230, 0)
	},
}

// swept sweeps, and checks how many moved, then and again.
func (w *world) swept(want ...int) {
	w.t.Helper()
	for _, n := range want {
		moved, err := w.s.SweepTasks(w.ctx)
		w.must(err)
		w.same("moved", moved, n)
	}
}
