package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/remit-auth/remit/store"
)

// How often, and how many at once.
const (
	rounds  = 25
	runners = 32
)

// race starts all runners at once and returns how often each error came back.
func race(run func(i int) error) map[error]int {
	var mu sync.Mutex
	outcomes := make(map[error]int)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range runners {
		wg.Go(func() {
			<-start
			err := run(i)
			mu.Lock()
			defer mu.Unlock()
			outcomes[err]++
		})
	}
	close(start)
	wg.Wait()
	return outcomes
}

// only checks the outcomes of a race.
func (w *world) only(got, want map[error]int) {
	w.t.Helper()
	if len(got) != len(want) {
		w.t.Fatalf("outcomes = %v, want %v", got, want)
	}
	for err, n := range want {
		if got[err] != n {
			w.t.Fatalf("outcomes = %v, want %v", got, want)
		}
	}
}

// once is one success; all others get the sentinel.
func once(other error) map[error]int { return map[error]int{nil: 1, other: runners - 1} }

// each prepares one thing per runner, since names are given out by one goroutine.
func each[T any](make func() T) (all []T) {
	for range runners {
		all = append(all, make())
	}
	return all
}

// rival is another approval of the same request.
func (w *world) rival(a store.Approval) store.Approval {
	a.Task.ID, a.Code.ID = w.unique("tsk_"), w.secret()
	a.Code.TaskID = a.Task.ID
	a.Grants = []store.Grant{w.grant(a.Task.ID, tickets)}
	return a
}

var races = map[string]func(*world){
	"one code": func(w *world) {
		for range rounds {
			a := w.approve()
			rs := each(func() store.Redemption { return w.redemption(a) })
			w.only(race(func(i int) error { return w.s.RedeemCode(w.ctx, rs[i]) }), once(store.ErrCodeSpent))
			found := 0
			for _, r := range rs {
				if _, err := w.s.AccessByJTI(w.ctx, r.Access.JTI); err == nil {
					found++
				}
			}
			w.same("tokens", found, 1)
		}
	},
	"one dismissal of a finding": func(w *world) {
		for range rounds {
			w.must(w.s.Append(w.ctx, record("finding.a")))
			all := w.chained()
			seq := all[len(all)-1].Seq
			w.only(race(func(i int) error {
				d := store.Dismissal{Finding: seq, At: w.clock.Now(), By: store.ByAdmin, Person: fmt.Sprintf("usr_%d", i), Reason: "x"}
				return w.s.DismissFinding(w.ctx, d, record("findings.dismissed"))
			}), once(store.ErrFindingDismissed))
			told := 0
			for _, rec := range w.chained() {
				if rec.Seq > seq && rec.Kind == "findings.dismissed" {
					told++
				}
			}
			w.same("told", told, 1)
		}
	},
	"one request": func(w *world) {
		for range rounds {
			first := w.ask()
			as := each(func() store.Approval { return w.rival(first) })
			w.only(race(func(i int) error { return w.s.Approve(w.ctx, as[i]) }), once(store.ErrRequestDecided))
		}
	},
	"one widening of a task": func(w *world) {
		for range rounds {
			l := w.lend()
			as := each(func() store.Approval { return w.more(l) })
			w.only(race(func(i int) error { return w.s.Approve(w.ctx, as[i]) }), once(store.ErrGrantChanged))
			w.same("in force", w.grants(l.ID)[1].EndedAt.IsZero(), true)
			w.same("grants", len(w.grants(l.ID)), 2)
		}
	},
	"approve or deny": func(w *world) {
		for range rounds {
			first := w.ask()
			as := each(func() store.Approval { return w.rival(first) })
			w.only(race(func(i int) error {
				if i%2 == 0 {
					return w.s.Deny(w.ctx, first.Request, w.session)
				}
				return w.s.Approve(w.ctx, as[i])
			}), once(store.ErrRequestDecided))
		}
	},
	"a kill switch and what begins under its task": func(w *world) {
		for range rounds {
			parent := w.lend()
			starts := each(func() store.Start { return w.start(parent) })
			s := store.Switch{ID: w.unique("swt_"), Level: store.LevelTask, Subject: parent.ID, By: store.ByAdmin}
			race(func(i int) (err error) {
				if i == runners/2 {
					s, err = w.s.ThrowSwitch(w.ctx, s)
					return err
				}
				return w.s.StartTask(w.ctx, starts[i])
			})
			for _, st := range starts { // Guards know of no other
				if _, _, err := w.s.TaskByID(w.ctx, st.Task.ID); err == nil && !slices.Contains(s.Tasks, st.Task.ID) {
					w.t.Fatalf("%s began, and no Guard is told that it is stopped", st.Task.ID)
				}
			}
			w.lift(s)
		}
	},
	"one approval of a call": func(w *world) {
		for range rounds {
			l := w.lend()
			a := w.allowed(l, "sha-256:a")
			asks := each(func() store.ApprovalAsk { return w.askCall(l, "sha-256:a") })
			var mu sync.Mutex
			states, runs := map[store.ApprovalState]int{}, map[string]bool{}
			w.only(race(func(i int) error {
				got, err := w.s.AskApproval(w.ctx, asks[i])
				mu.Lock()
				defer mu.Unlock()
				states[got.State]++
				if got.State == store.ApprovalSpent {
					runs[got.Execution] = true
				}
				return err
			}), map[error]int{nil: runners})
			w.same("states", states, map[store.ApprovalState]int{store.ApprovalSpent: 1, store.ApprovalAsked: runners - 1})
			w.same("runs", len(runs), 1)
			w.same("spent", w.approvalState(a.ID), store.ApprovalSpent)
		}
	},
	"one decision on a call": func(w *world) {
		for range rounds {
			a := w.asked(w.askCall(w.lend(), "sha-256:a"))
			w.only(race(func(i int) error {
				_, err := w.s.DecideApproval(w.ctx, a.ID, w.user.ID, i%2 == 0, w.clock.Now().Add(grace))
				return err
			}), once(store.ErrApprovalDecided))
		}
	},
	"an approval spent while its task ends": func(w *world) {
		for range rounds {
			l := w.lend()
			a := w.allowed(l, "sha-256:a")
			asks := each(func() store.ApprovalAsk { return w.askCall(l, "sha-256:a") })
			outcomes := race(func(i int) error {
				if i == 0 {
					w.end(l.ID)
					return nil
				}
				_, err := w.s.AskApproval(w.ctx, asks[i])
				return err
			})
			if n := outcomes[nil] + outcomes[store.ErrTaskEnded]; n != runners {
				w.t.Fatalf("outcomes = %v", outcomes)
			}
			if s := w.approvalState(a.ID); s != store.ApprovalSpent && s != store.ApprovalVoid {
				w.t.Errorf("afterwards it is %s", s)
			}
		}
	},
	"step-ups of one task": func(w *world) {
		for range rounds {
			l := w.lend()
			rs := each(func() store.Redemption { _, r := w.stepUp(l); return r })
			w.only(race(func(i int) error { return w.s.RedeemCode(w.ctx, rs[i]) }), once(store.ErrGrantChanged))
			inForce := 0
			for _, g := range w.grants(l.ID) {
				if g.EndedAt.IsZero() {
					inForce++
				}
			}
			w.same("in force", inForce, 1)
		}
	},
	"one refresh token, no grace": func(w *world) {
		for range rounds {
			l := w.lend()
			rs := each(func() store.Rotation { return w.rotate(l.Refresh.ID, l.ID) })
			w.only(race(func(i int) error {
				r := rs[i]
				r.Grace = 0
				_, _, err := w.s.RotateRefreshToken(w.ctx, r)
				return err
			}), once(store.ErrRefreshReused))
			w.same("successors", w.successors(rs), 1)
		}
	},
	"one refresh token, with grace": func(w *world) {
		for range rounds {
			l := w.lend()
			rs := each(func() store.Rotation { return w.rotate(l.Refresh.ID, l.ID) })
			var mu sync.Mutex
			given, first := make(map[string]bool), 0
			w.only(race(func(i int) error {
				successor, replayed, err := w.s.RotateRefreshToken(w.ctx, rs[i])
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					given[string(successor)] = true
				}
				if err == nil && !replayed {
					first++
				}
				return err
			}), map[error]int{nil: 4, store.ErrRefreshReused: runners - 4})
			w.same("successors", []int{w.successors(rs), len(given), first}, []int{1, 1, 1})
		}
	},
	"one enrolment code": func(w *world) {
		for round := range rounds {
			code := w.secret()
			w.must(w.s.NewEnrolment(w.ctx, tickets, code, w.clock.Now().Add(grace)))
			w.only(race(func(i int) error {
				_, err := w.s.EnrolGuard(w.ctx, code, fmt.Sprintf("grd_%d_%d", round, i), []byte(guardKey))
				return err
			}), once(store.ErrEnrolment))
		}
	},
	"a rotation of keys": func(w *world) {
		_, err := w.s.AddFirstKey(w.ctx, key("r0", "sig"))
		w.must(err)
		next, err := w.s.StageKey(w.ctx, key("r1", "sig"))
		w.must(err)
		for round := range rounds {
			w.only(race(func(i int) error {
				return w.s.RotateKey(w.ctx, next.ID, key(fmt.Sprintf("r_%d_%d", round, i), "sig"))
			}), once(store.ErrKeyChanged))
			next, err = w.s.StageKey(w.ctx, key("unused", "sig"))
			w.must(err)
		}
	},
	"a tool's budget": func(w *world) {
		for range rounds {
			l := w.lend()
			rs := each(func() store.Reservation { return w.call(l, "add") })
			w.only(race(func(i int) error {
				_, _, err := w.s.ReserveCall(w.ctx, rs[i])
				return err
			}), map[error]int{nil: 2, store.ErrToolBudget: runners - 2})
			w.same("used", w.task(l.ID).CallsUsed, 2)
		}
	},
	"a task's budget": func(w *world) {
		for range rounds {
			l := w.lend(calls(5))
			rs := each(func() store.Reservation { return w.call(l, w.unique("tool")) })
			w.only(race(func(i int) error {
				_, _, err := w.s.ReserveCall(w.ctx, rs[i])
				return err
			}), map[error]int{nil: 5, store.ErrTaskBudget: 1, store.ErrTaskEnded: runners - 6})
			w.same("used", w.task(l.ID).CallsUsed, 5)
		}
	},
	"one execution": func(w *world) {
		for range rounds {
			l := w.lend()
			r := w.call(l, "add")
			w.only(race(func(int) error {
				_, _, err := w.s.ReserveCall(w.ctx, r)
				return err
			}), map[error]int{nil: runners})
			w.same("used", w.task(l.ID).CallsUsed, 1)
		}
	},
	"one end": func(w *world) {
		for range rounds {
			l := w.lend()
			w.only(race(func(int) error {
				_, err := w.s.EndTask(w.ctx, store.End{TaskID: l.ID, State: store.TaskRevoked, By: store.ByUser, Reason: "race"})
				return err
			}), once(store.ErrTaskEnded))
			w.ended(l.ID, store.TaskRevoked, store.ByUser, "race")
		}
	},
	"one first key": func(w *world) {
		for round := range rounds {
			use := fmt.Sprint("use", round)
			var mu sync.Mutex
			active := make(map[string]bool)
			w.only(race(func(i int) error {
				k, err := w.s.AddFirstKey(w.ctx, store.Key{ID: fmt.Sprintf("k%d_%d", round, i), Use: use, Sealed: []byte("s")})
				mu.Lock()
				defer mu.Unlock()
				active[k.ID] = true
				return err
			}), map[error]int{nil: runners})
			w.same("active keys", len(active), 1)
		}
	},
	"refresh while the client is disabled": func(w *world) {
		for range rounds {
			l := w.lend()
			rs := each(func() store.Rotation { return w.rotate(l.Refresh.ID, l.ID) })
			race(func(i int) error {
				if i == 0 {
					_, err := w.s.DisableClient(w.ctx, w.client.ID, true)
					return err
				}
				r := rs[i]
				r.GraceUses = runners
				_, _, err := w.s.RotateRefreshToken(w.ctx, r)
				if err != nil && !errors.Is(err, store.ErrClientDisabled) {
					w.t.Errorf("err = %v, want %v", err, store.ErrClientDisabled)
				}
				return err
			})
			for _, r := range rs {
				if st, err := w.s.AccessByJTI(w.ctx, r.Access.JTI); err == nil && st.Live(w.clock.Now()) {
					w.t.Error("a token of a disabled client lives")
				}
			}
			_, err := w.s.DisableClient(w.ctx, w.client.ID, false)
			w.must(err)
		}
	},
	"two writers of the ledger": func(w *world) {
		w.enrol(tickets, "grd_1")
		const n = 20
		race(func(i int) error {
			for j := range n {
				if err := w.s.Append(w.ctx, record(fmt.Sprint(i, j))); err != nil {
					w.t.Error(err)
				}
				if _, err := w.s.Sequence(w.ctx); err != nil {
					w.t.Error(err)
				}
			}
			return nil
		})
		recs := w.chained()
		w.same("number", len(recs), n*runners)
		w.intact(recs)
	},
}

// successors counts which of the rotations' new refresh tokens exist.
func (w *world) successors(rs []store.Rotation) (n int) {
	w.t.Helper()
	for _, r := range rs {
		_, err := w.s.RefreshByID(w.ctx, r.New.ID)
		switch {
		case err == nil:
			n++
		case !errors.Is(err, store.ErrRefreshNotFound):
			w.t.Fatal(err)
		}
	}
	return n
}
