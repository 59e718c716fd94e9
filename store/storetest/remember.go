package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

const grade = "registered/https"

// choice is what the user may let go on for a week at the tickets.
func (w *world) choice(with ...func(*store.Remembered)) store.Remembered {
	r := store.Remembered{
		ID: w.unique("rem_"), UserID: w.user.ID, ClientID: w.client.ID, Grade: grade, Resource: tickets,
		Choice: []byte(`{"tools":["get_ticket"]}`), CreatedAt: w.clock.Now(), ExpiresAt: w.clock.Now().Add(7 * 24 * time.Hour),
	}
	for _, f := range with {
		f(&r)
	}
	return r
}

func remembering(r store.Remembered) func(*store.Approval) {
	return func(a *store.Approval) { a.Remember = &r }
}

func continuing(id string) func(*store.Approval) {
	return func(a *store.Approval) { a.Continues = id }
}

// remembered lets a choice go on.
func (w *world) remembered(with ...func(*store.Remembered)) store.Remembered {
	w.t.Helper()
	r := w.choice(with...)
	w.approve(remembering(r))
	return r
}

func (w *world) rememberedFor() error {
	_, err := w.s.RememberedFor(w.ctx, w.user.ID, w.client.ID, grade, tickets)
	return err
}

// otherUser and otherClient are somebody else's.
func (w *world) otherUser() store.User {
	w.t.Helper()
	u := store.User{ID: w.unique("usr_"), Email: w.unique("other") + "@demo.example", ConsoleRole: store.RoleUser, CreatedAt: w.clock.Now()}
	w.must(w.s.AddUser(w.ctx, u))
	return u
}

var remembers = map[string]func(*world){
	"a choice is found as it was stored": func(w *world) {
		r := w.remembered()
		got, err := w.s.RememberedFor(w.ctx, w.user.ID, w.client.ID, grade, tickets)
		w.must(err)
		w.same("choice", got, r)
		all, err := w.s.RememberedBy(w.ctx, w.user.ID)
		w.must(err)
		w.same("choices", all, []store.Remembered{r})
	},
	"nothing of another user, client, grade or resource is found": func(w *world) {
		w.remembered()
		for _, k := range [][4]string{
			{"usr_other", w.client.ID, grade, tickets},
			{w.user.ID, "cli_other", grade, tickets},
			{w.user.ID, w.client.ID, "registered/loopback", tickets},
			{w.user.ID, w.client.ID, grade, mail},
		} {
			_, err := w.s.RememberedFor(w.ctx, k[0], k[1], k[2], k[3])
			w.want(err, store.ErrNotRemembered)
		}
		all, err := w.s.RememberedBy(w.ctx, "usr_other")
		w.must(err)
		w.same("choices", all, []store.Remembered{})
	},
	"a newer choice takes its place": func(w *world) {
		old, r := w.remembered(), w.remembered()
		all, err := w.s.RememberedBy(w.ctx, w.user.ID)
		w.must(err)
		w.same("choices", all, []store.Remembered{r})
		a := w.ask(continuing(old.ID))
		w.refused(store.ErrNotRemembered, func() error { return w.s.Approve(w.ctx, a, record("x")) })
	},
	"an answer anew makes it void": func(w *world) {
		w.remembered()
		w.approve(remembering(w.choice(func(r *store.Remembered) { r.ID = "" })))
		w.want(w.rememberedFor(), store.ErrNotRemembered)
	},
	"going by it counts": func(w *world) {
		r := w.remembered()
		w.clock.Advance(time.Hour)
		w.approve(continuing(r.ID))
		r.Uses, r.UsedAt = 1, w.clock.Now()
		got, err := w.s.RememberedFor(w.ctx, w.user.ID, w.client.ID, grade, tickets)
		w.must(err)
		w.same("choice", got, r)
	},
	"only for whom it was remembered": func(w *world) {
		other := w.otherUser()
		w.must(w.s.AddClient(w.ctx, store.Client{ID: "cli_other", CreatedAt: w.clock.Now()}))
		theirs := w.remembered(func(r *store.Remembered) { r.UserID = other.ID })
		another := w.remembered(func(r *store.Remembered) { r.ClientID = "cli_other" })
		elsewhere := w.remembered(func(r *store.Remembered) { r.Resource = mail })
		own := w.remembered()
		for name, a := range map[string]store.Approval{
			"another user's":   w.ask(continuing(theirs.ID)),
			"another client's": w.ask(continuing(another.ID)),
			"at another":       w.ask(continuing(elsewhere.ID)),
			"at more":          w.ask(continuing(own.ID), atBoth(w)),
			"unknown":          w.ask(continuing("rem_nobody")),
		} {
			w.t.Log(name)
			w.refused(store.ErrNotRemembered, func() error { return w.s.Approve(w.ctx, a, record("x")) })
		}
		w.must(w.s.Approve(w.ctx, w.ask(continuing(own.ID))))
	},
	"no step-up goes by it": func(w *world) {
		r, l := w.remembered(), w.lend()
		a := w.ask(continuing(r.ID))
		a.Extends = l.ID
		w.refused(store.ErrNotRemembered, func() error { return w.s.Approve(w.ctx, a, record("x")) })
	},
	"it expires, and no task outlives it": func(w *world) {
		r := w.remembered()
		w.clock.Advance(7*24*time.Hour - time.Hour)
		w.approve(continuing(r.ID)) // ends with it
		longer := w.ask(continuing(r.ID), endsIn(time.Hour+time.Microsecond))
		w.refused(store.ErrNotRemembered, func() error { return w.s.Approve(w.ctx, longer, record("x")) })
		w.clock.Advance(time.Hour)
		late := w.ask(continuing(r.ID), endsIn(0))
		w.refused(store.ErrNotRemembered, func() error { return w.s.Approve(w.ctx, late, record("x")) })
		w.want(w.rememberedFor(), store.ErrNotRemembered)
		all, err := w.s.RememberedBy(w.ctx, w.user.ID)
		w.must(err)
		w.same("choices", all, []store.Remembered{})
		w.refused(store.ErrNotRemembered, func() error { return w.s.Forget(w.ctx, w.user.ID, r.ID, record("x")) })
		w.clock.Advance(2 * time.Hour)
		_, err = w.s.SweepTasks(w.ctx)
		w.must(err)
		n, err := w.s.ForgetAll(w.ctx, w.user.ID, record("x"))
		w.must(err)
		w.same("swept", n, 0)
	},
	"a refused approval remembers nothing": func(w *world) {
		a := w.ask(remembering(w.choice()))
		a.Session = w.secret()
		w.refused(store.ErrRequestBound, func() error { return w.s.Approve(w.ctx, a, record("x")) })
	},
	"forgetting": func(w *world) {
		r, other := w.remembered(), w.otherUser()
		w.refused(store.ErrNotRemembered, func() error { return w.s.Forget(w.ctx, other.ID, r.ID, record("x")) })
		w.must(w.s.Forget(w.ctx, w.user.ID, r.ID, record("forgotten")))
		w.want(w.rememberedFor(), store.ErrNotRemembered)
		w.refused(store.ErrNotRemembered, func() error { return w.s.Forget(w.ctx, w.user.ID, r.ID, record("x")) })
		a := w.ask(continuing(r.ID))
		w.refused(store.ErrNotRemembered, func() error { return w.s.Approve(w.ctx, a, record("x")) })
		w.same("records", w.kinds(), []string{"forgotten"})
	},
	"forgetting all": func(w *world) {
		w.unchanged(func() {
			_, err := w.s.ForgetAll(w.ctx, w.user.ID, record("x"))
			w.must(err)
		})
		other := w.otherUser()
		w.remembered()
		w.remembered(func(r *store.Remembered) { r.Resource = mail })
		w.remembered(func(r *store.Remembered) { r.UserID = other.ID })
		n, err := w.s.ForgetAll(w.ctx, w.user.ID, record("forgotten"))
		w.must(err)
		w.same("forgotten", n, 2)
		all, err := w.s.RememberedBy(w.ctx, other.ID)
		w.must(err)
		w.same("another's", len(all), 1)
	},
	"what makes it void": func(w *world) {
		w.must(w.s.AssignRole(w.ctx, w.user.ID, tickets, "reader"))
		for name, void := range map[string]func(){
			"signed out everywhere": func() {
				_, err := w.s.EndSessions(w.ctx, w.user.ID, store.Hash{})
				w.must(err)
			},
			"another password": func() { w.must(w.s.SetPassword(w.ctx, w.user.ID, "$argon2id$other", w.session)) },
			"a role lost":      func() { w.must(w.s.UnassignRole(w.ctx, w.user.ID, tickets, "reader")) },
			"task revoked":     func() { w.end(w.lend().ID) },
			"task narrowed":    func() { w.narrow(w.narrowing(w.lend().ID, tickets)) },
			"task paused":      func() { w.suspend(w.lend(), store.ByUser) },
			"a rule":           func() { w.suspend(w.lend(), store.ByRule) },
			"user disabled": func() {
				_, err := w.s.DisableUser(w.ctx, w.user.ID, true)
				w.must(err)
				_, err = w.s.DisableUser(w.ctx, w.user.ID, false)
				w.must(err)
			},
			"client disabled": func() {
				_, err := w.s.DisableClient(w.ctx, w.client.ID, true)
				w.must(err)
				_, err = w.s.DisableClient(w.ctx, w.client.ID, false)
				w.must(err)
			},
			"resource disabled": func() {
				_, err := w.s.DisableResource(w.ctx, tickets, true)
				w.must(err)
				_, err = w.s.DisableResource(w.ctx, tickets, false)
				w.must(err)
			},
		} {
			w.t.Log(name)
			r := w.remembered()
			w.must(w.rememberedFor())
			void()
			w.want(w.rememberedFor(), store.ErrNotRemembered)
			a := w.ask(continuing(r.ID))
			w.refused(store.ErrNotRemembered, func() error { return w.s.Approve(w.ctx, a, record("x")) })
		}
	},
	"a kill switch makes it void, also once it is lifted": func(w *world) {
		const id = "https://app.agent.example/client.json"
		_, err := w.s.PutDocument(w.ctx, id, store.ClientMetadata{ClientName: "Agent"})
		w.must(err)
		l := w.lend()
		for _, s := range []store.Switch{
			{Level: store.LevelUser, Subject: w.user.ID},
			{Level: store.LevelClient, Subject: w.client.ID},
			{Level: store.LevelResource, Subject: tickets},
			{Level: store.LevelTool, Subject: tickets, Tool: "get_ticket"},
			{Level: store.LevelTask, Subject: l.ID},
			{Level: store.LevelEverything},
			{Level: store.LevelDomain, Subject: "agent.example"},
		} {
			w.t.Log(s.Level)
			r := w.remembered(func(r *store.Remembered) {
				if s.Level == store.LevelDomain {
					r.ClientID = id
				}
			})
			w.lift(w.throw(s))
			_, err := w.s.RememberedFor(w.ctx, w.user.ID, r.ClientID, grade, tickets)
			w.want(err, store.ErrNotRemembered)
		}
		w.remembered()
		for _, s := range []store.Switch{{Level: store.LevelResource, Subject: mail}, {Level: store.LevelUser, Subject: w.otherUser().ID}, {Level: store.LevelDomain, Subject: "other.example"}} {
			w.lift(w.throw(s))
			w.must(w.rememberedFor())
		}
	},
	"what leaves it": func(w *world) {
		w.must(w.s.AssignRole(w.ctx, w.user.ID, mail, "reader"))
		other := w.otherUser()
		w.must(w.s.AddClient(w.ctx, store.Client{ID: "cli_other", CreatedAt: w.clock.Now()}))
		w.remembered()
		for _, e := range []store.End{{State: store.TaskCompleted, By: store.ByAgent}, {State: store.TaskRevoked, By: store.ByAgent}} {
			e.TaskID = w.lend().ID
			_, err := w.s.EndTask(w.ctx, e)
			w.must(err)
		}
		w.suspend(w.lend(), store.ByAgent)
		w.suspend(w.lend(), store.ByIdle)
		_, err := w.s.EndSessions(w.ctx, other.ID, store.Hash{})
		w.must(err)
		w.must(w.s.UnassignRole(w.ctx, w.user.ID, mail, "reader"))
		_, err = w.s.DisableUser(w.ctx, other.ID, true)
		w.must(err)
		_, err = w.s.DisableClient(w.ctx, "cli_other", true)
		w.must(err)
		_, err = w.s.DisableResource(w.ctx, mail, true)
		w.must(err)
		w.must(w.rememberedFor())
	},
}

// rememberRaces are of what makes a choice void against what goes by it.
var rememberRaces = map[string]func(*world){
	"forgotten or gone by": func(w *world) {
		for range rounds {
			r := w.remembered()
			asks := each(func() store.Approval { return w.ask(continuing(r.ID)) })
			outcomes := race(func(i int) error {
				if i == 0 {
					if err := w.s.Forget(w.ctx, w.user.ID, r.ID); err != nil {
						w.t.Error(err)
					}
					return nil
				}
				return w.s.Approve(w.ctx, asks[i])
			})
			if outcomes[nil]+outcomes[store.ErrNotRemembered] != runners {
				w.t.Fatalf("outcomes = %v", outcomes)
			}
			w.want(w.rememberedFor(), store.ErrNotRemembered)
			late := w.ask(continuing(r.ID))
			w.refused(store.ErrNotRemembered, func() error { return w.s.Approve(w.ctx, late) })
		}
	},
	"many remember at once": func(w *world) {
		asks := each(func() store.Approval { return w.ask(remembering(w.choice())) })
		w.only(race(func(i int) error { return w.s.Approve(w.ctx, asks[i]) }), map[error]int{nil: runners})
		all, err := w.s.RememberedBy(w.ctx, w.user.ID)
		w.must(err)
		w.same("choices", len(all), 1)
	},
	"signed out everywhere": func(w *world) {
		for range rounds {
			r := w.remembered()
			a := w.ask(continuing(r.ID))
			race(func(i int) error {
				if i%2 == 0 {
					_, err := w.s.EndSessions(w.ctx, w.user.ID, store.Hash{})
					return err
				}
				if i == 1 {
					return w.s.Approve(w.ctx, a)
				}
				return nil
			})
			w.want(w.rememberedFor(), store.ErrNotRemembered)
		}
	},
}
