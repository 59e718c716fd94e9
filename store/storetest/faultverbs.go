package storetest

import (
	"encoding/json"
	"time"

	"github.com/remit-auth/remit/store"
)

// only1 drops what a verb answers besides its error.
func only1[T any](_ T, err error) error { return err }

func only2[T, U any](_ T, _ U, err error) error { return err }

// faultVerbs are all that write, each with what it needs prepared. After a comma: when.
var faultVerbs = map[string]func(w *world) func() error{
	// Users, clients, resources.
	"AddUser": func(w *world) func() error {
		u := store.User{ID: "usr_new", Email: "new@demo.example", ConsoleRole: store.RoleUser}
		return func() error { return w.s.AddUser(w.ctx, u, record("user.added")) }
	},
	"DisableUser": func(w *world) func() error {
		w.lend()
		w.lend(atBoth(w))
		return func() error { return only1(w.s.DisableUser(w.ctx, w.user.ID, true, record("user.disabled"))) }
	},
	"SetConsoleRights": func(w *world) func() error {
		return func() error {
			return w.s.SetConsoleRights(w.ctx, w.user.ID, store.ConsoleRights{Role: store.RoleViewer}, record("user.role_changed"))
		}
	},
	"AssignRole": func(w *world) func() error {
		return func() error {
			return w.s.AssignRole(w.ctx, w.user.ID, tickets, "reader", record("role.assigned"))
		}
	},
	"UnassignRole": func(w *world) func() error {
		w.must(w.s.AssignRole(w.ctx, w.user.ID, tickets, "reader"))
		return func() error {
			return w.s.UnassignRole(w.ctx, w.user.ID, tickets, "reader", record("role.unassigned"))
		}
	},
	"AssignClientRole": func(w *world) func() error {
		return func() error {
			return w.s.AssignClientRole(w.ctx, w.client.ID, tickets, "reader", record("role.assigned"))
		}
	},
	"AddSession": func(w *world) func() error {
		s := store.Session{ID: w.session, UserID: w.user.ID, AuthTime: w.clock.Now(), ExpiresAt: w.clock.Now().Add(time.Hour)}
		return func() error { return w.s.AddSession(w.ctx, s, record("session.begun")) }
	},
	"RemoveSession": func(w *world) func() error {
		w.signIn()
		return func() error { return w.s.RemoveSession(w.ctx, w.session) }
	},
	"EndSession": func(w *world) func() error {
		w.signIn()
		return func() error { return w.s.EndSession(w.ctx, w.user.ID, w.session, record("session.ended")) }
	},
	"EndSessions": func(w *world) func() error {
		w.signIn()
		return func() error {
			return only1(w.s.EndSessions(w.ctx, w.user.ID, store.Hash{}, record("session.ended")))
		}
	},
	"AddClient": func(w *world) func() error {
		return func() error { return w.s.AddClient(w.ctx, store.Client{ID: "cli_new"}, record("client.added")) }
	},
	"SetClientPolicy": func(w *world) func() error {
		return func() error {
			return w.s.SetClientPolicy(w.ctx, w.client.ID, store.ClientPolicy{Resources: []string{mail}}, record("client.policy"))
		}
	},
	"RegisterClient": func(w *world) func() error {
		c := w.stranger("cli_a", store.HashOf("a"))
		return func() error { return only1(w.s.RegisterClient(w.ctx, c, record("client.registered"))) }
	},
	"PutDocument": func(w *world) func() error {
		return func() error { return only1(w.s.PutDocument(w.ctx, document, says("A"), record("client.document"))) }
	},
	"PutDocument, changed": func(w *world) func() error {
		_, err := w.s.PutDocument(w.ctx, document, says("A"))
		w.must(err)
		w.clock.Advance(time.Minute)
		return func() error { return only1(w.s.PutDocument(w.ctx, document, says("B"), record("client.document"))) }
	},
	"ForgetClients": func(w *world) func() error {
		_, err := w.s.RegisterClient(w.ctx, w.stranger("cli_a", store.HashOf("a")))
		w.must(err)
		w.clock.Advance(time.Hour)
		return func() error { return only1(w.s.ForgetClients(w.ctx, w.clock.Now())) }
	},
	"DisableClient": func(w *world) func() error {
		w.lend()
		return func() error { return only1(w.s.DisableClient(w.ctx, w.client.ID, true, record("client.disabled"))) }
	},
	"AddResource": func(w *world) func() error {
		r := store.Resource{URI: "https://new.example/mcp", Name: "N", Tools: []store.Tool{{Name: "a", Definition: []byte(`{}`), Hash: "sha-256:a"}}}
		return func() error { return w.s.AddResource(w.ctx, r, record("resource.added")) }
	},
	"NewEnrolment": func(w *world) func() error {
		code := w.secret()
		return func() error {
			return w.s.NewEnrolment(w.ctx, tickets, code, w.clock.Now().Add(time.Hour), record("guard.invited"))
		}
	},
	"EnrolGuard": func(w *world) func() error {
		code := w.secret()
		w.must(w.s.NewEnrolment(w.ctx, tickets, code, w.clock.Now().Add(time.Hour)))
		return func() error {
			return only1(w.s.EnrolGuard(w.ctx, code, "grd_1", json.RawMessage(guardKey), record("guard.enrolled")))
		}
	},
	"PublishManifest": func(w *world) func() error {
		live := []store.Tool{{Name: "a", Live: []byte(`{}`), LiveHash: "sha-256:a"}, {Name: "b", Live: []byte(`{}`), LiveHash: "sha-256:b"}}
		return func() error {
			return only1(w.s.PublishManifest(w.ctx, tickets, []byte("version: 1\n"), "v1", live, record("manifest.published")))
		}
	},
	"ApproveTool": func(w *world) func() error {
		_, err := w.s.PublishManifest(w.ctx, tickets, nil, "v1", []store.Tool{{Name: "a", Live: []byte(`{}`), LiveHash: "sha-256:a"}})
		w.must(err)
		return func() error { return w.s.ApproveTool(w.ctx, tickets, "a", "sha-256:a", record("tool.approved")) }
	},
	"DisableResource": func(w *world) func() error {
		w.lend(atBoth(w))
		return func() error { return only1(w.s.DisableResource(w.ctx, tickets, true, record("resource.disabled"))) }
	},
	"PutBackend": func(w *world) func() error {
		return func() error {
			return w.s.PutBackend(w.ctx, tickets, mail, []string{"mail.read"}, record("backend.put"))
		}
	},

	// Signing in.
	"AddFirstAdmin": func(w *world) func() error {
		w.s = w.open(w.t, w.clock.Now) // without users
		return func() error {
			return w.s.AddFirstAdmin(w.ctx, store.User{ID: "usr_first", Email: "first@demo.example", ConsoleRole: store.RoleAdmin}, record("user.added"))
		}
	},
	"SetPush": func(w *world) func() error {
		w.signIn()
		return func() error {
			return w.s.SetPush(w.ctx, w.user.ID, w.session, []byte("sealed"), record("push.added"))
		}
	},
	"ForgetPush": func(w *world) func() error {
		w.signIn()
		w.must(w.s.SetPush(w.ctx, w.user.ID, w.session, []byte("sealed")))
		return func() error { return w.s.ForgetPush(w.ctx, w.session, []byte("sealed")) }
	},
	"SetPassword": func(w *world) func() error {
		w.signIn()
		return func() error {
			return w.s.SetPassword(w.ctx, w.user.ID, "$argon2id$new", store.Hash{}, record("password.set"))
		}
	},
	"AddPasskey": func(w *world) func() error {
		return func() error { return w.s.AddPasskey(w.ctx, aPasskey(w, "one"), record("passkey.added")) }
	},
	"UsePasskey": func(w *world) func() error {
		p := aPasskey(w, "one")
		w.must(w.s.AddPasskey(w.ctx, p))
		return func() error { return w.s.UsePasskey(w.ctx, p.ID, p.Credential, []byte(`{"n":1}`)) }
	},
	"RemovePasskey": func(w *world) func() error {
		p := aPasskey(w, "one")
		w.must(w.s.AddPasskey(w.ctx, p))
		return func() error { return w.s.RemovePasskey(w.ctx, w.user.ID, p.ID, record("passkey.removed")) }
	},
	"PutSecondFactor": func(w *world) func() error {
		return func() error { return w.putFactor(record("factor.added")) }
	},
	"UseStep": func(w *world) func() error {
		w.must(w.putFactor())
		return func() error { return w.s.UseStep(w.ctx, w.user.ID, 9) }
	},
	"UseRecoveryCode": func(w *world) func() error {
		w.must(w.putFactor())
		return func() error {
			return w.s.UseRecoveryCode(w.ctx, w.user.ID, store.HashOf("a"), record("factor.recovered"))
		}
	},
	"RemoveSecondFactor": func(w *world) func() error {
		w.must(w.putFactor())
		return func() error { return w.s.RemoveSecondFactor(w.ctx, w.user.ID, record("factor.removed")) }
	},
	"AdmitUpstream": func(w *world) func() error {
		return func() error { return only1(w.s.AdmitUpstream(w.ctx, fromUpstream(), record("user.added"))) }
	},
	"LinkUpstream": func(w *world) func() error {
		return func() error {
			return w.s.LinkUpstream(w.ctx, w.user.ID, "https://idp.example", "sub", record("user.linked"))
		}
	},

	// Keys and epochs.
	"AddFirstKey": func(w *world) func() error {
		return func() error { return only1(w.s.AddFirstKey(w.ctx, key("k1", "sig"), record("key.added"))) }
	},
	"StageKey": func(w *world) func() error {
		return func() error { return only1(w.s.StageKey(w.ctx, key("k1", "sig"), record("key.added"))) }
	},
	"RotateKey": func(w *world) func() error {
		w.ring()
		return func() error { return w.s.RotateKey(w.ctx, "k2", key("k3", "sig"), record("key.rotated")) }
	},
	"KillKey": func(w *world) func() error {
		w.ring()
		return func() error { return w.s.KillKey(w.ctx, "k1", key("k3", "sig"), record("key.killed")) }
	},
	"RewrapKeys": func(w *world) func() error {
		w.ring()
		all := []store.Rewrap{{ID: "k1", Old: key("k1", "sig").Sealed, New: []byte("new 1")}, {ID: "k2", Old: key("k2", "sig").Sealed, New: []byte("new 2")}}
		return func() error { return w.s.RewrapKeys(w.ctx, all, record("key.rewrapped")) }
	},
	"RaiseEpoch": func(w *world) func() error {
		w.ring()
		w.lend(atBoth(w))
		w.signIn()
		return func() error {
			return only2(w.s.RaiseEpoch(w.ctx, key("k3", "sig"), key("k4", "sig"), record("epoch.why")))
		}
	},
	"ThrowSwitch": func(w *world) func() error {
		l := w.lend(atBoth(w))
		s := store.Switch{ID: w.unique("swt_"), Level: store.LevelTask, Subject: l.ID, By: store.ByAdmin}
		return func() error { return only1(w.s.ThrowSwitch(w.ctx, s, record("said"))) }
	},
	"ConfirmSwitch": func(w *world) func() error {
		s := store.Switch{ID: w.unique("swt_"), Level: store.LevelEverything, State: store.SwitchWaiting, By: store.ByAdmin, Person: "usr_1", ConfirmBy: w.clock.Now().Add(time.Hour)}
		w.must(only1(w.s.ThrowSwitch(w.ctx, s)))
		return func() error { return only1(w.s.ConfirmSwitch(w.ctx, s.ID, "usr_2", record("said"))) }
	},
	"LiftSwitch": func(w *world) func() error {
		s := w.throw(store.Switch{Level: store.LevelUser, Subject: w.user.ID})
		return func() error { return only1(w.s.LiftSwitch(w.ctx, s.ID, store.ByAdmin, record("said"))) }
	},
}

func (w *world) signIn() {
	w.t.Helper()
	w.must(w.s.AddSession(w.ctx, store.Session{ID: w.session, UserID: w.user.ID, AuthTime: w.clock.Now(), ExpiresAt: w.clock.Now().Add(time.Hour), Upstream: "https://idp.example", SID: "sid"}))
}

func (w *world) putFactor(recs ...store.Record) error {
	f := store.SecondFactor{UserID: w.user.ID, Sealed: []byte("sealed"), CreatedAt: w.clock.Now()}
	return w.s.PutSecondFactor(w.ctx, f, []store.Hash{store.HashOf("a"), store.HashOf("b")}, recs...)
}

func fromUpstream() store.Upstream {
	return store.Upstream{
		Issuer: "https://idp.example", Subject: "sub", User: store.User{ID: "usr_up", Email: "up@demo.example", Name: "Up"},
		Roles: []store.TaskRoles{{Resource: tickets, Roles: []string{"reader", "writer"}}},
	}
}
