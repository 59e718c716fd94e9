package server_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/store/sqlite/sqlitetest"
	"github.com/remit-auth/remit/store/storetest"
	"github.com/remit-auth/remit/tokens"
)

// deeds are requests that end in the store, each with what it needs prepared. What a deed returns does the
// same again, with new proofs.
var deeds = map[string]func(w *world, a *agent) func() answer{
	"push": func(w *world, a *agent) func() answer {
		return func() answer { return a.post("/par", a.request()) }
	},
	"consent page": func(w *world, a *agent) func() answer {
		target := a.push(a.request())
		return func() answer { return w.mara().get(target) }
	},
	"sign in": func(w *world, a *agent) func() answer {
		return func() answer {
			w.clock.Add(time.Minute) // nobody may try much oftener
			return w.browser().post("/signin", url.Values{"email": {"mara@example.com"}, "password": {password}, "return_to": {"/agents"}})
		}
	},
	"allow": func(w *world, a *agent) func() answer {
		form := w.mara().consentForm(a.push(a.request()))
		form["tool"], form["duration"], form["decision"] = []string{"search_tickets"}, []string{"1800"}, []string{"allow"}
		return func() answer { return w.mara().post("/consent", form) }
	},
	"deny": func(w *world, a *agent) func() answer {
		form := w.mara().consentForm(a.push(a.request()))
		form.Set("decision", "deny")
		return func() answer { return w.mara().post("/consent", form) }
	},
	"redeem": func(w *world, a *agent) func() answer {
		code := a.code()
		return func() answer { return a.post("/token", a.codeForm(code)) }
	},
	"refresh": func(w *world, a *agent) func() answer {
		token := a.tokens().text("refresh_token")
		return func() answer { return a.post("/token", a.refreshForm(token)) }
	},
	"client credentials": func(w *world, a *agent) func() answer {
		own := w.grantClient("Nightly job")
		return func() answer { return own.post("/token", own.ownForm()) }
	},
	"exchange": func(w *world, _ *agent) func() answer {
		a := w.grantClient("Orchestrator")
		sub, token := w.sibling(a), a.tokens().text("access_token")
		form := a.handOn(sub, token)
		return func() answer {
			proof, err := a.key.Delegation(w.issuer+"/token", a.nonce, token, sub.key.JKT(), w.clock.Now())
			must(w.t, err)
			form.Set("subject_token_proof", proof)
			return sub.post("/token", form)
		}
	},
	"device": func(w *world, _ *agent) func() answer {
		a := w.grantClient("Television")
		return func() answer { return a.post("/device", a.deviceRequest()) }
	},
	"activate": func(w *world, _ *agent) func() answer {
		a := w.grantClient("Television")
		code := a.device().text("user_code")
		page := w.mara().get("/activate")
		form := url.Values{"csrf": {csrfField.FindStringSubmatch(page.Body)[1]}, "user_code": {code}}
		return func() answer { return w.mara().post("/activate", form) }
	},
	"device token": func(w *world, _ *agent) func() answer {
		a := w.grantClient("Television")
		asked := a.device()
		w.allowDevice(asked)
		return func() answer { return a.poll(asked.text("device_code")) }
	},
	"introspect": func(w *world, _ *agent) func() answer {
		token, _ := w.lend()
		g := w.guard(ticketsURI)
		return func() answer { return g.introspect(token) }
	},
	"revoke an access token": func(w *world, a *agent) func() answer {
		token := a.tokens().text("access_token")
		return func() answer { return a.post("/revoke", url.Values{"client_id": {a.client}, "token": {token}}) }
	},
	"revoke a refresh token": func(w *world, a *agent) func() answer {
		token := a.tokens().text("refresh_token")
		return func() answer { return a.post("/revoke", url.Values{"client_id": {a.client}, "token": {token}}) }
	},
	"task":        onTask("GET", ""),
	"complete":    onTask("POST", "/complete"),
	"suspend":     onTask("POST", "/suspend"),
	"agents page": func(w *world, _ *agent) func() answer { return func() answer { return w.mara().get("/agents") } },
	"enrol": func(w *world, _ *agent) func() answer {
		key, err := tokens.NewSigningKey()
		must(w.t, err)
		code := w.enrolCode(otherURI)
		return func() answer {
			return w.send("POST", "/enroll", "", map[string]any{"enrolment_code": code, "key": json.RawMessage(key.PublicJWK())})
		}
	},
	"reserve": func(w *world, _ *agent) func() answer {
		_, claims := w.lend()
		body := map[string]any{"execution": tokens.NewID("exe_"), "task": claims.Task.ID, "jti": claims.ID, "tool": "add_comment", "max_calls": 5}
		g := w.guard(ticketsURI)
		return func() answer { return g.call("POST", "/executions/reserve", body) }
	},
}

// doneFirst are the deeds after which somebody is told, as well as it can be done: an answer of success is true
// where what it says holds.
var doneFirst = map[string]func(w *world, a *agent, got answer) bool{
	"allow": func(w *world, a *agent, got answer) bool {
		to, err := url.Parse(got.Header.Get("Location"))
		must(w.t, err)
		return a.post("/token", a.codeForm(to.Query().Get("code"))).Status == http.StatusOK
	},
}

func onTask(method, path string) func(w *world, a *agent) func() answer {
	return func(w *world, a *agent) func() answer {
		got := a.tokens()
		return func() answer { return a.call(method, "/tasks/"+got.text("task_id")+path, got.text("access_token")) }
	}
}

// newFaultyWorld is newWorld on a store whose statements fail as the fault says. A second resource is
// there, and nothing goes on besides what is asked.
func newFaultyWorld(t *testing.T, f *storetest.Fault) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Now().Truncate(time.Second)}, driver: sqlitetest.Driver(f)}
	w.serve(context.Background(), func(s store.Store) store.Store { return s }, func(c *server.Config) { c.RateFactor = 1000 })
	w.server.TellNobody()
	w.populate(context.Background())
	w.addOther()
	return w
}

// minPoints is how many points of failure P12 speaks of.
const minPoints = 60

// TestClosed fails each statement of each deed, refused by the database or with its answer lost: the answer
// is a refusal that says nothing of the store, never a success, and the good request after it works (P12).
func TestClosed(t *testing.T) {
	fault := &storetest.Fault{}
	w := newFaultyWorld(t, fault)
	points := 0
	for _, name := range slices.Sorted(maps.Keys(deeds)) {
		deed := deeds[name]
		t.Run(name, func(t *testing.T) {
			for _, way := range []storetest.Way{storetest.Refused, storetest.Lost} {
				agent := w.agent(w.client)
				act := deed(w, agent)
				for n := 1; ; n++ {
					if way == storetest.Lost && n > 1 { // what it did is not known
						agent = w.agent(w.client)
						act = deed(w, agent)
					}
					fault.Arm(n, way)
					got := act()
					met := fault.Disarm()
					w.clock.Add(time.Second)
					if !met {
						if got.Status >= 400 {
							t.Errorf("after %d failures %s: %d %s", n-1, way, got.Status, got.Body)
						}
						break
					}
					if holds := doneFirst[name]; got.Status < 400 && holds != nil && holds(w, agent, got) {
						agent = w.agent(w.client) // it was done, and what failed came after
						act = deed(w, agent)
						continue
					}
					points++
					if got.Status != http.StatusServiceUnavailable {
						t.Errorf("statement %d %s: %d %s", n, way, got.Status, got.Body)
					}
					if strings.Contains(got.Body, "sqlite") || strings.Contains(got.Body, "inject") {
						t.Errorf("statement %d %s: it tells of the store: %s", n, way, got.Body)
					}
				}
			}
		})
	}
	t.Logf("%d points of failure, each refused", points)
	if points < minPoints {
		t.Errorf("%d points of failure", points)
	}
}
