package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

// aPasskey is a passkey of the world's user.
func aPasskey(w *world, id string) store.Passkey {
	return store.Passkey{ID: []byte(id), UserID: w.user.ID, Name: "Laptop", Credential: []byte(`{"n":0}`), CreatedAt: w.clock.Now()}
}

var signIns = map[string]func(*world){
	"a passkey is found with its user, used, and forgotten": func(w *world) {
		p := aPasskey(w, "one")
		w.must(w.s.AddPasskey(w.ctx, p, record("passkey.added")))
		got, u, err := w.s.PasskeyByID(w.ctx, p.ID)
		w.must(err)
		w.same("passkey", got, p)
		w.same("user", u, w.user)
		w.must(w.s.UsePasskey(w.ctx, p.ID, p.Credential, []byte(`{"n":1}`)))
		of, err := w.s.PasskeysOf(w.ctx, w.user.ID)
		w.must(err)
		p.Credential, p.UsedAt = []byte(`{"n":1}`), w.clock.Now()
		w.same("passkeys", of, []store.Passkey{p})
		w.refused(store.ErrPasskeyNotFound, func() error { return w.s.RemovePasskey(w.ctx, "usr_other", p.ID, record("x")) })
		w.must(w.s.RemovePasskey(w.ctx, w.user.ID, p.ID, record("passkey.removed")))
		_, _, err = w.s.PasskeyByID(w.ctx, p.ID)
		w.want(err, store.ErrPasskeyNotFound)
		w.same("ledger", w.kinds(), []string{"passkey.added", "passkey.removed"})
	},
	"a passkey has one owner, who is live": func(w *world) {
		w.must(w.s.AddPasskey(w.ctx, aPasskey(w, "one")))
		w.refused(store.ErrPasskeyExists, func() error { return w.s.AddPasskey(w.ctx, aPasskey(w, "one"), record("x")) })
		w.refused(store.ErrUserNotFound, func() error {
			return w.s.AddPasskey(w.ctx, store.Passkey{ID: []byte("two"), UserID: "usr_nobody", Credential: []byte("{}")}, record("x"))
		})
		_, err := w.s.DisableUser(w.ctx, w.user.ID, true)
		w.must(err)
		w.refused(store.ErrUserDisabled, func() error { return w.s.AddPasskey(w.ctx, aPasskey(w, "two"), record("x")) })
	},
	"of two uses of one counter, one succeeds": func(w *world) {
		p := aPasskey(w, "one")
		w.must(w.s.AddPasskey(w.ctx, p))
		w.only(race(func(int) error { return w.s.UsePasskey(w.ctx, p.ID, p.Credential, []byte(`{"n":1}`)) }), once(store.ErrPasskeyChanged))
	},
	"a step is spent once, and no earlier one after it": func(w *world) {
		f := store.SecondFactor{UserID: w.user.ID, Sealed: []byte("sealed"), CreatedAt: w.clock.Now()}
		_, err := w.s.SecondFactorOf(w.ctx, w.user.ID)
		w.want(err, store.ErrNoSecondFactor)
		w.refused(store.ErrFactorSpent, func() error { return w.s.UseStep(w.ctx, w.user.ID, 9) })
		codes := []store.Hash{store.HashOf("a"), store.HashOf("b")}
		w.must(w.s.PutSecondFactor(w.ctx, f, codes, record("factor.added")))
		f.RecoveryLeft = 2
		got, err := w.s.SecondFactorOf(w.ctx, w.user.ID)
		w.must(err)
		w.same("factor", got, f)
		w.only(race(func(int) error { return w.s.UseStep(w.ctx, w.user.ID, 9) }), once(store.ErrFactorSpent))
		w.refused(store.ErrFactorSpent, func() error { return w.s.UseStep(w.ctx, w.user.ID, 8) })
		w.must(w.s.UseStep(w.ctx, w.user.ID, 10))
		w.only(race(func(int) error {
			return w.s.UseRecoveryCode(w.ctx, w.user.ID, codes[0], record("factor.recovered"))
		}), once(store.ErrFactorSpent))
		w.refused(store.ErrFactorSpent, func() error { return w.s.UseRecoveryCode(w.ctx, w.user.ID, store.HashOf("c"), record("x")) })
		w.must(w.s.RemoveSecondFactor(w.ctx, w.user.ID, record("factor.removed")))
		w.refused(store.ErrFactorSpent, func() error { return w.s.UseRecoveryCode(w.ctx, w.user.ID, codes[1], record("x")) })
		w.refused(store.ErrNoSecondFactor, func() error { return w.s.RemoveSecondFactor(w.ctx, w.user.ID, record("x")) })
		w.same("ledger", w.kinds(), []string{"factor.added", "factor.recovered", "factor.removed"})
	},
	"sessions are listed and ended by their user": func(w *world) {
		var ids []store.Hash
		for _, name := range []string{"a", "b", "c"} {
			id := store.HashOf(name)
			ids = append(ids, id)
			w.must(w.s.AddSession(w.ctx, store.Session{
				ID: id, UserID: w.user.ID, AuthTime: w.clock.Now(), ExpiresAt: w.clock.Now().Add(time.Hour), Method: store.ByPasskey, Browser: "Firefox",
			}))
			w.clock.Advance(time.Minute)
		}
		list, err := w.s.SessionsOf(w.ctx, w.user.ID)
		w.must(err)
		w.same("newest first", []store.Hash{list[0].ID, list[1].ID, list[2].ID}, []store.Hash{ids[2], ids[1], ids[0]})
		w.same("how", list[0].Method+" "+list[0].Browser, "passkey Firefox")
		w.refused(store.ErrSessionNotFound, func() error { return w.s.EndSession(w.ctx, "usr_other", ids[0], record("x")) })
		w.must(w.s.EndSession(w.ctx, w.user.ID, ids[0], record("session.ended")))
		n, err := w.s.EndSessions(w.ctx, w.user.ID, ids[2], record("session.ended"))
		w.must(err)
		w.same("ended", n, 1)
		w.clock.Advance(time.Hour)
		list, err = w.s.SessionsOf(w.ctx, w.user.ID)
		w.must(err)
		w.same("expired ones", len(list), 0)
	},
	"where a session takes push messages is its user's own, and goes with it": func(w *world) {
		id, place, newer := store.HashOf("a"), []byte("sealed"), []byte("sealed anew")
		w.must(w.s.AddSession(w.ctx, store.Session{ID: id, UserID: w.user.ID, ExpiresAt: w.clock.Now().Add(time.Hour)}))
		is := func(want []byte) {
			session, _, err := w.s.SessionByID(w.ctx, id)
			w.must(err)
			w.same("push", string(session.Push), string(want))
		}
		w.refused(store.ErrSessionNotFound, func() error { return w.s.SetPush(w.ctx, "usr_other", id, place, record("x")) })
		w.refused(store.ErrSessionNotFound, func() error { return w.s.SetPush(w.ctx, w.user.ID, store.HashOf("b"), place, record("x")) })
		is(nil)
		w.must(w.s.SetPush(w.ctx, w.user.ID, id, place, record("push.added")))
		is(place)
		w.must(w.s.SetPush(w.ctx, w.user.ID, id, newer))
		w.must(w.s.ForgetPush(w.ctx, id, place)) // it is not there any more
		is(newer)
		w.must(w.s.ForgetPush(w.ctx, id, newer))
		is(nil)
		w.must(w.s.SetPush(w.ctx, w.user.ID, id, place))
		w.must(w.s.EndSession(w.ctx, w.user.ID, id, record("session.ended")))
		list, err := w.s.SessionsOf(w.ctx, w.user.ID)
		w.must(err)
		w.same("sessions", len(list), 0)
		w.must(w.s.AddSession(w.ctx, store.Session{ID: id, UserID: w.user.ID, ExpiresAt: w.clock.Now().Add(time.Hour)}))
		is(nil)
		w.clock.Advance(time.Hour)
		w.refused(store.ErrSessionNotFound, func() error { return w.s.SetPush(w.ctx, w.user.ID, id, place, record("x")) })
		w.same("ledger", w.kinds(), []string{"push.added", "session.ended"})
	},
	"sessions are found by the provider's name for them": func(w *world) {
		add := func(name, issuer, sid string) store.Hash {
			s := store.Session{ID: store.HashOf(name), UserID: w.user.ID, ExpiresAt: w.clock.Now().Add(time.Hour), Upstream: issuer, SID: sid}
			w.must(w.s.AddSession(w.ctx, s))
			return s.ID
		}
		mine := add("mine", "https://login.example", "sid-1")
		add("another session", "https://login.example", "sid-2")
		add("another provider", "https://other.example", "sid-1")
		add("a password", "", "sid-1")
		add("no name", "https://login.example", "")
		for name, want := range map[[2]string]int{
			{"https://login.example", "sid-1"}: 1, {"https://login.example", "sid-3"}: 0, {"", "sid-1"}: 0, {"https://login.example", ""}: 1,
		} {
			got, err := w.s.SessionsOfUpstream(w.ctx, name[0], name[1])
			w.must(err)
			w.same(name[0]+" "+name[1], len(got), want)
		}
		got, err := w.s.SessionsOfUpstream(w.ctx, "https://login.example", "sid-1")
		w.must(err)
		w.same("session", got[0].ID.String()+" "+got[0].Upstream+" "+got[0].SID, mine.String()+" https://login.example sid-1")
		w.clock.Advance(time.Hour)
		got, err = w.s.SessionsOfUpstream(w.ctx, "https://login.example", "sid-1")
		w.must(err)
		w.same("expired ones", len(got), 0)
	},
	"a new password ends the other sessions": func(w *world) {
		for _, name := range []string{"mine", "stolen"} {
			w.must(w.s.AddSession(w.ctx, store.Session{ID: store.HashOf(name), UserID: w.user.ID, ExpiresAt: w.clock.Now().Add(time.Hour)}))
		}
		w.must(w.s.SetPassword(w.ctx, w.user.ID, "$new", store.HashOf("mine"), record("password.changed")))
		_, u, err := w.s.SessionByID(w.ctx, store.HashOf("mine"))
		w.must(err)
		w.same("hash", u.PasswordHash, "$new")
		_, _, err = w.s.SessionByID(w.ctx, store.HashOf("stolen"))
		w.want(err, store.ErrSessionNotFound)
		w.refused(store.ErrUserNotFound, func() error { return w.s.SetPassword(w.ctx, "usr_nobody", "$", store.Hash{}, record("x")) })
	},
	"the first admin is the first user": func(w *world) {
		found, err := w.s.HasUsers(w.ctx)
		w.must(err)
		w.same("users", found, true)
		w.refused(store.ErrSetUp, func() error {
			return w.s.AddFirstAdmin(w.ctx, store.User{ID: "usr_2", Email: "two@demo.example", ConsoleRole: store.RoleAdmin}, record("x"))
		})
	},
	"a user from upstream is added once, with the provider's roles": func(w *world) {
		up := store.Upstream{
			Issuer: "https://login.example", Subject: "s-1", User: store.User{ID: "usr_up", Email: "lin@up.example", Name: "Lin", ConsoleRole: store.RoleUser},
			Roles: []store.TaskRoles{{Resource: tickets, Roles: []string{"agent", "reader"}}, {Resource: "https://nowhere.example", Roles: []string{"reader"}}},
		}
		u, err := w.s.AdmitUpstream(w.ctx, up, record("user.added"))
		w.must(err)
		w.same("id", u.ID, "usr_up")
		w.must(w.s.AssignRole(w.ctx, "usr_up", tickets, "admin")) // an admin's own word
		up.User.ID, up.User.Name = "usr_again", "Renamed"
		up.Roles = []store.TaskRoles{{Resource: tickets, Roles: []string{"reader", "admin"}}}
		u, err = w.s.AdmitUpstream(w.ctx, up, record("user.added"))
		w.must(err)
		w.same("the same user", u.ID, "usr_up")
		roles, err := w.s.RolesOf(w.ctx, "usr_up", tickets)
		w.must(err)
		w.same("roles", roles, []string{"admin", "reader"})
		up.Roles = nil
		_, err = w.s.AdmitUpstream(w.ctx, up)
		w.must(err)
		roles, err = w.s.RolesOf(w.ctx, "usr_up", tickets)
		w.must(err)
		w.same("what an admin assigned stays", roles, []string{"admin"})
		w.same("ledger", w.kinds(), []string{"user.added"})
	},
	"an e-mail does not link identities; the signed-in user does": func(w *world) {
		up := store.Upstream{Issuer: "https://login.example", Subject: "s-1", User: store.User{ID: "usr_up", Email: w.user.Email}}
		w.refused(store.ErrUserExists, func() error { _, err := w.s.AdmitUpstream(w.ctx, up, record("x")); return err })
		w.must(w.s.LinkUpstream(w.ctx, w.user.ID, up.Issuer, up.Subject, record("identity.linked")))
		w.refused(store.ErrUserExists, func() error { return w.s.LinkUpstream(w.ctx, w.user.ID, up.Issuer, up.Subject, record("x")) })
		u, err := w.s.AdmitUpstream(w.ctx, up)
		w.must(err)
		w.same("user", u.ID, w.user.ID)
		u, err = w.s.UserByUpstream(w.ctx, up.Issuer, up.Subject)
		w.must(err)
		w.same("user", u.ID, w.user.ID)
		_, err = w.s.UserByUpstream(w.ctx, "https://other.example", up.Subject)
		w.want(err, store.ErrUserNotFound)
		_, err = w.s.DisableUser(w.ctx, w.user.ID, true)
		w.must(err)
		_, err = w.s.AdmitUpstream(w.ctx, up)
		w.want(err, store.ErrUserDisabled)
	},
}
