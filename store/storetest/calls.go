package storetest

import (
	"errors"
	"time"

	"github.com/remit-auth/remit/store"
)

// How approvals are asked for in this suite.
const (
	askLife   = 10 * time.Minute
	askOpen   = 3
	askRecent = 5
)

// askCall asks for one call of the loan, named by its digest.
func (w *world) askCall(l loan, digest string) store.ApprovalAsk {
	return store.ApprovalAsk{
		Call: store.CallApproval{
			ID: w.unique("apv_"), TaskID: l.ID, Resource: tickets, Tool: "delete_ticket", Definition: "sha-256:d", Digest: digest,
			Arguments: []byte("sealed"), Execution: w.unique("exe_"), ExpiresAt: w.clock.Now().Add(askLife),
		},
		JTI: l.Access.JTI, MaxOpen: askOpen, MaxRecent: askRecent, Recent: askLife,
	}
}

func (w *world) asked(a store.ApprovalAsk) store.CallApproval {
	w.t.Helper()
	got, err := w.s.AskApproval(w.ctx, a)
	w.must(err)
	return got
}

// allowed is a call of the loan that the user has allowed.
func (w *world) allowed(l loan, digest string) store.CallApproval {
	w.t.Helper()
	a, err := w.s.DecideApproval(w.ctx, w.asked(w.askCall(l, digest)).ID, w.user.ID, true, w.clock.Now().Add(5*time.Minute))
	w.must(err)
	return a
}

func (w *world) approvalState(id string) store.ApprovalState {
	w.t.Helper()
	a, err := w.s.ApprovalByID(w.ctx, id)
	w.must(err)
	return a.State
}

// tokenOf gives the loan a fresh access token.
func (w *world) freshen(l loan) loan {
	w.t.Helper()
	r := w.rotate(l.Refresh.ID, l.ID)
	_, _, err := w.s.RotateRefreshToken(w.ctx, r)
	w.must(err)
	l.Access, l.Refresh = r.Access, r.New
	return l
}

var approvals = map[string]func(*world){
	"asked, allowed, spent": func(w *world) {
		l := w.lend()
		ask := w.askCall(l, "sha-256:a")
		got := w.asked(ask)
		want := ask.Call
		want.UserID, want.State, want.AskedAt = w.user.ID, store.ApprovalAsked, w.clock.Now()
		w.same("asked", got, want)
		read, err := w.s.ApprovalByID(w.ctx, got.ID)
		w.must(err)
		w.same("read", read, want)
		waiting, err := w.s.WaitingApprovals(w.ctx, w.user.ID)
		w.must(err)
		w.same("waiting", waiting, []store.CallApproval{want})
		w.unchanged(func() { w.same("asked again", w.asked(w.askCall(l, "sha-256:a")).ID, got.ID) })

		until := w.clock.Now().Add(5 * time.Minute)
		decided, err := w.s.DecideApproval(w.ctx, got.ID, w.user.ID, true, until)
		w.must(err)
		w.same("decided", []any{decided.State, decided.Arguments, decided.ExpiresAt}, []any{store.ApprovalAllowed, []byte(nil), until})
		waiting, err = w.s.WaitingApprovals(w.ctx, w.user.ID)
		w.must(err)
		w.same("waiting then", len(waiting), 0)

		again := w.askCall(l, "sha-256:a")
		spent := w.asked(again)
		w.same("spent", []any{spent.ID, spent.State, spent.Execution}, []any{got.ID, store.ApprovalSpent, again.Call.Execution})
		next := w.asked(w.askCall(l, "sha-256:a"))
		w.same("next", next.State, store.ApprovalAsked)
		if next.ID == got.ID {
			w.t.Error("a spent approval is asked for again under its own name")
		}
		var told []string
		for _, r := range w.chained() {
			if r.Task == l.ID && r.Kind[:4] == "appr" {
				told = append(told, r.Kind)
				w.same("about", []string{r.User, r.Client, r.Agent, r.Resource}, []string{w.user.ID, w.client.ID, jkt, tickets})
			}
		}
		w.same("ledger", told, []string{"approval.asked", "approval.allowed", "approval.spent", "approval.asked"})
	},
	"an allowance is for nothing else": func(w *world) {
		l, other := w.lend(), w.lend()
		w.allowed(l, "sha-256:a")
		for what, change := range map[string]func(*store.ApprovalAsk){
			"other arguments":  func(a *store.ApprovalAsk) { a.Call.Digest = "sha-256:b" },
			"another tool":     func(a *store.ApprovalAsk) { a.Call.Tool = "email_customer" },
			"a changed tool":   func(a *store.ApprovalAsk) { a.Call.Definition = "sha-256:e" },
			"another task":     func(a *store.ApprovalAsk) { a.Call.TaskID, a.JTI = other.ID, other.Access.JTI },
			"another resource": func(a *store.ApprovalAsk) { a.Call.Resource = mail },
		} {
			ask := w.askCall(l, "sha-256:a")
			change(&ask)
			got, err := w.s.AskApproval(w.ctx, ask)
			if what == "another resource" {
				w.want(err, store.ErrTokenNotFound)
				continue
			}
			w.must(err)
			if got.State != store.ApprovalAsked {
				w.t.Errorf("%s: %s", what, got.State)
			}
			ask.MaxRecent = 100
			_, err = w.s.DecideApproval(w.ctx, got.ID, w.user.ID, false, w.clock.Now())
			w.must(err)
		}
		w.same("itself", w.asked(w.askCall(l, "sha-256:a")).State, store.ApprovalSpent)
	},
	"denied stays denied for a while": func(w *world) {
		l := w.lend()
		a := w.asked(w.askCall(l, "sha-256:a"))
		_, err := w.s.DecideApproval(w.ctx, a.ID, w.user.ID, false, w.clock.Now().Add(2*time.Minute))
		w.must(err)
		w.unchanged(func() { w.same("again", w.asked(w.askCall(l, "sha-256:a")).State, store.ApprovalDenied) })
		w.clock.Advance(2 * time.Minute)
		w.same("later", w.asked(w.askCall(l, "sha-256:a")).State, store.ApprovalAsked)
	},
	"nobody else decides, and nobody twice": func(w *world) {
		l := w.lend()
		a := w.asked(w.askCall(l, "sha-256:a"))
		decide := func(user string, allow bool) func() error {
			return func() error {
				_, err := w.s.DecideApproval(w.ctx, a.ID, user, allow, w.clock.Now().Add(time.Minute))
				return err
			}
		}
		w.refused(store.ErrApprovalNotFound, decide("usr_2", true))
		w.must(decide(w.user.ID, false)())
		w.refused(store.ErrApprovalDecided, decide(w.user.ID, true))
		a.ID = "apv_nobody"
		w.refused(store.ErrApprovalNotFound, decide(w.user.ID, true))
		_, err := w.s.ApprovalByID(w.ctx, a.ID)
		w.want(err, store.ErrApprovalNotFound)
	},
	"not decided, or not used, in time": func(w *world) {
		l := w.lend()
		asked, allowed := w.asked(w.askCall(l, "sha-256:a")), w.allowed(l, "sha-256:b")
		w.clock.Advance(5 * time.Minute)
		w.same("not used", w.approvalState(allowed.ID), store.ApprovalExpired)
		l = w.freshen(l)
		w.same("used too late", w.asked(w.askCall(l, "sha-256:b")).State, store.ApprovalAsked)
		w.clock.Advance(5 * time.Minute)
		l = w.freshen(l)
		w.same("not decided", w.approvalState(asked.ID), store.ApprovalExpired)
		w.refused(store.ErrApprovalDecided, func() error {
			_, err := w.s.DecideApproval(w.ctx, asked.ID, w.user.ID, true, w.clock.Now().Add(time.Minute))
			return err
		})
		waiting, err := w.s.WaitingApprovals(w.ctx, w.user.ID)
		w.must(err)
		w.same("waiting", len(waiting), 1)
		_, err = w.s.SweepTasks(w.ctx)
		w.must(err)
		w.same("ledger", w.counted("approval.expired"), 2)
		w.same("asked anew", w.asked(w.askCall(l, "sha-256:a")).State, store.ApprovalAsked)
		w.clock.Advance(2 * time.Hour)
		_, err = w.s.SweepTasks(w.ctx)
		w.must(err)
		_, err = w.s.ApprovalByID(w.ctx, asked.ID)
		w.want(err, store.ErrApprovalNotFound)
	},
	"too many": func(w *world) {
		l := w.lend()
		for _, digest := range []string{"1", "2", "3"} {
			w.asked(w.askCall(l, digest))
		}
		full := func(l loan, digest string) func() error {
			return func() error {
				_, err := w.s.AskApproval(w.ctx, w.askCall(l, digest))
				return err
			}
		}
		w.refused(store.ErrApprovalsFull, full(l, "4"))
		w.asked(w.askCall(l, "3")) // what waits already may be asked again
		w.asked(w.askCall(w.lend(), "4"))
		w.clock.Advance(4 * time.Minute)
		waiting, err := w.s.WaitingApprovals(w.ctx, w.user.ID)
		w.must(err)
		for _, a := range waiting {
			_, err := w.s.DecideApproval(w.ctx, a.ID, w.user.ID, false, w.clock.Now())
			w.must(err)
		}
		w.asked(w.askCall(l, "4"))
		w.asked(w.askCall(l, "5"))
		w.refused(store.ErrApprovalsFull, full(l, "6"))
		w.clock.Advance(6 * time.Minute)
		w.asked(w.askCall(w.freshen(l), "6"))
	},
	"a task that ends or is suspended waits for nothing": func(w *world) {
		for what, stop := range map[string]func(id string){
			"ended": w.end,
			"suspended": func(id string) {
				_, err := w.s.SuspendTask(w.ctx, id, store.ByUser, "")
				w.must(err)
			},
			"leg ended": func(id string) {
				_, err := w.s.EndLeg(w.ctx, id, tickets, "test")
				w.must(err)
			},
		} {
			l := w.lend(atBoth(w))
			asked, allowed := w.asked(w.askCall(l, "sha-256:a")), w.allowed(l, "sha-256:b")
			stop(l.ID)
			w.same(what, []store.ApprovalState{w.approvalState(asked.ID), w.approvalState(allowed.ID)},
				[]store.ApprovalState{store.ApprovalVoid, store.ApprovalVoid})
			if _, err := w.s.AskApproval(w.ctx, w.askCall(l, "sha-256:b")); !errors.Is(err, store.ErrTaskEnded) && !errors.Is(err, store.ErrTaskNotActive) {
				w.t.Errorf("%s: asked: %v", what, err)
			}
			if _, err := w.s.DecideApproval(w.ctx, asked.ID, w.user.ID, true, w.clock.Now()); err == nil {
				w.t.Errorf("%s: decided", what)
			}
			if what == "suspended" {
				_, err := w.s.ResumeTask(w.ctx, l.ID, store.ByUser)
				w.must(err)
				w.same("resumed", w.asked(w.askCall(l, "sha-256:b")).State, store.ApprovalAsked)
			}
		}
		w.same("ledger", w.counted("approval.void"), 6)
	},
	"a token that is not live": func(w *world) {
		l := w.lend()
		ask := func(jti string) func() error {
			return func() error {
				a := w.askCall(l, "sha-256:a")
				a.JTI = jti
				_, err := w.s.AskApproval(w.ctx, a)
				return err
			}
		}
		w.refused(store.ErrTokenNotFound, ask("at_nobody"))
		w.refused(store.ErrTokenNotFound, ask(w.lend().Access.JTI))
		w.must(w.s.RevokeAccess(w.ctx, l.Access.JTI))
		w.refused(store.ErrTokenNotFound, ask(l.Access.JTI))
	},
}

// counted counts the ledger's records of a kind.
func (w *world) counted(kind string) (n int) {
	w.t.Helper()
	for _, k := range w.kinds() {
		if k == kind {
			n++
		}
	}
	return n
}
