package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/remit-auth/remit/store"
)

// TestPlans sees that no verb reads a whole table that grows with use. Sequential scans are forbidden
// to the planner wherever there is another way: one that is left has no index to use.
func TestPlans(t *testing.T) {
	s := open(t, nil)
	list := func(f store.TaskFilter) string {
		query, _ := taskListSQL(f, 1)
		return query
	}
	count := func(f store.TaskFilter) string {
		query, _ := taskCountSQL(f, 1)
		return query
	}
	queries := map[string]string{
		"taskSQL": taskSQL, "treeSQL": treeSQL, "aboveSQL": aboveSQL, "holdTaskSQL": holdTaskSQL, "holdTasksSQL": holdTasksSQL, "holdFreeSQL": holdFreeSQL,
		"holdCodeSQL": holdCodeSQL, "holdRefreshSQL": holdRefreshSQL, "holdAccessSQL": holdAccessSQL, "holdRequestSQL": holdRequestSQL,
		"holdApprovedSQL": holdApprovedSQL, "holdHeadsSQL": holdHeadsSQL, "holdUserSQL": holdUserSQL,
		"codeByIDSQL": codeByIDSQL, "redeemableSQL": redeemableSQL, "refreshByIDSQL": refreshByIDSQL, "rotatableSQL": rotatableSQL,
		"accessByJTISQL": accessByJTISQL, "callableSQL": callableSQL, "reservedSQL": reservedSQL, "usedSQL": usedSQL, "countedSQL": countedSQL, "countToolSQL": countToolSQL,
		"seenByGuardSQL": seenByGuardSQL, "pushRequestSQL": pushRequestSQL, "requestSQL": requestSQL, "sessionSQL": sessionSQL,
		"userByEmailSQL": userByEmailSQL, "clientByIDSQL": clientByIDSQL, "grantByHashSQL": grantByHashSQL, "taskHistorySQL": taskHistorySQL,
		"overdueSQL": overdueSQL, "unusedSQL": unusedSQL, "idleSQL": idleSQL, "lookLaterSQL": lookLaterSQL, "prunableSQL": prunableSQL,
		"forgetRequestsSQL": forgetRequestsSQL, "forgetSessionsSQL": forgetSessionsSQL, "forgetDevicesSQL": forgetDevicesSQL, "forgetSpentSQL": forgetSpentSQL,
		"liveTasksUserSQL": liveTasksUserSQL, "liveTasksAtSQL": liveTasksAtSQL, "renewTasksSQL": renewTasksSQL, "revokeTasksAtSQL": revokeTasksAtSQL, "liveTasksClientSQL": liveTasksClientSQL, "liveTasksResourceSQL": liveTasksResourceSQL,
		"feedSinceSQL": feedSinceSQL, "feedHeadSQL": feedHeadSQL, "feedRecentSQL": feedRecentSQL, "ackEventsSQL": ackEventsSQL, "taskEndingsSQL": taskEndingsSQL,
		"unchainedSQL":     unchainedSQL,
		"newestRecordsSQL": newestRecordsSQL, "newestCallsSQL": newestCallsSQL, "taskCallsSQL": taskCallsSQL, "findingsSQL": findingsSQL, "dismissSQL": dismissSQL, "isDismissedSQL": isDismissedSQL, "dismissedSQL": dismissedSQL,
		"lastCheckpointSQL": lastCheckpointSQL, "firstUseSQL": firstUseSQL, "takeSQL": takeSQL, "forgetReplaysSQL": forgetReplaysSQL, "forgetBucketsSQL": forgetBucketsSQL,
		"tasks of a user": list(store.TaskFilter{UserID: "u"}), "tasks of a client": list(store.TaskFilter{ClientID: "c"}), "tasks": list(store.TaskFilter{}),
		"live tasks of a user": list(store.TaskFilter{UserID: "u", Live: true}), "live tasks": list(store.TaskFilter{Live: true}),
		"ended tasks of a user, a page": list(store.TaskFilter{UserID: "u", Ended: true, Before: "b"}),
		"live tasks of a user, a page":  list(store.TaskFilter{UserID: "u", Live: true, Before: "b"}),
		"live tasks, a page":            list(store.TaskFilter{Live: true, Before: "b"}),
		"live tasks, counted":           count(store.TaskFilter{Live: true}),
		"live tasks of a user, counted": count(store.TaskFilter{UserID: "u", Live: true}),
		"tasks without a key":           list(store.TaskFilter{Unbound: true, Before: "b"}),
		"live tasks with a tool":        list(store.TaskFilter{Tool: "t", Live: true}),
		"active tasks":                  list(store.TaskFilter{State: store.TaskActive}), "live tasks of a resource": list(store.TaskFilter{Resource: "r", Live: true}),
	}
	for name, f := range map[string]store.RecordFilter{
		"all": {}, "of a task": {Task: "t", Kind: "k"}, "of a user": {User: "u", Kind: "k", Resource: "r"}, "of a kind": {Kind: "k", Resource: "r"}, "of a request": {Request: "q", Kind: "k"},
	} {
		queries["after, "+name], _ = recordsAfterSQL(f)
		queries["before, "+name], queries["looked at, "+name], _ = recordsBeforeSQL(f)
	}
	c, err := s.pool.Acquire(t.Context())
	check(t, err)
	defer c.Release()
	_, err = c.Exec(t.Context(), `SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan`)
	check(t, err)
	for name, query := range queries {
		stmt, err := c.Conn().Prepare(t.Context(), fmt.Sprintf("plan %s", name), query)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		nulls := strings.TrimSuffix(strings.Repeat("NULL, ", len(stmt.ParamOIDs)), ", ")
		if nulls != "" {
			nulls = "(" + nulls + ")"
		}
		rows, err := c.Query(t.Context(), fmt.Sprintf(`EXPLAIN EXECUTE "plan %s"%s`, name, nulls))
		check(t, err)
		var plan []string
		for rows.Next() {
			var line string
			check(t, rows.Scan(&line))
			plan = append(plan, line)
		}
		check(t, rows.Err())
		for _, line := range plan {
			if at := strings.Index(line, "Seq Scan on "); at >= 0 && !smallTable(line[at+len("Seq Scan on "):]) {
				t.Errorf("%s:\n\t%s", name, strings.Join(plan, "\n\t"))
				break
			}
		}
	}
}

// smallTable reports whether a table does not grow with use, and may be read whole.
func smallTable(rest string) bool {
	table, _, _ := strings.Cut(rest, " ")
	switch table {
	case "chain", "instances", "replay_epoch", "resources", "guards", "keys", "switches":
		return true
	}
	return false
}

// TestHammer runs the verbs that take most locks against each other: none waits for another in a
// circle, and nothing else than a refusal comes back.
func TestHammer(t *testing.T) {
	s := open(t, nil)
	f := world(t, s)
	var loans []loan
	parent := f.lend()
	for range 6 {
		loans = append(loans, f.lend(func(a *store.Approval) { a.Task.Parent = parent.task }), f.lend())
	}
	before := deadlocks(t, s)
	errs := make(chan error, 1000)
	done := make(chan struct{})
	workers := 0
	start := func(run func(i int) error) {
		workers++
		go func() {
			for i := range 25 {
				if err := run(i); err != nil && !refusal(err) {
					errs <- err
				}
			}
			done <- struct{}{}
		}()
	}
	ctx := t.Context()
	for w := range 2 {
		start(func(i int) error {
			l := loans[(i*5+w)%len(loans)]
			if _, err := s.SuspendTask(ctx, l.task, store.ByUser, "hammer"); err != nil && !refusal(err) {
				return err
			}
			_, err := s.ResumeTask(ctx, l.task, store.ByUser)
			return err
		})
		start(func(i int) error {
			l := loans[(i*7+w)%len(loans)]
			_, _, err := s.ReserveCall(ctx, store.Reservation{Execution: fmt.Sprint("exe", w, i), TaskID: l.task, Resource: at1, Tool: "t", JTI: l.access.JTI})
			return err
		})
		start(func(i int) error {
			var recs []store.Record
			for k := range 5 {
				r := rec()
				r.Task = loans[(i+k*3+w)%len(loans)].task
				recs = append(recs, r)
			}
			_, err := s.AppendExecutions(ctx, "grd"+[]string{at1, at2}[w], "", int64(i*5+1), recs)
			return err
		})
		start(func(i int) error { _, err := s.SweepTasks(ctx); return err })
		start(func(i int) error { _, err := s.DisableResource(ctx, []string{at1, at2}[w], i == 24); return err })
		start(func(i int) error { _, err := s.DisableUser(ctx, []string{"usr", "usr2"}[w], i == 24); return err })
		start(func(i int) error {
			if i < 15 { // the others come first
				_, err := s.TaskList(ctx, store.TaskFilter{UserID: "usr"})
				return err
			}
			_, err := s.EndTask(ctx, store.End{TaskID: loans[(i*3+w)%len(loans)].task, State: store.TaskRevoked, By: store.ByUser})
			return err
		})
		start(func(i int) error { _, err := s.Sequence(ctx); return err })
	}
	for range workers {
		<-done
	}
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	if n := deadlocks(t, s) - before; n != 0 {
		t.Errorf("%d deadlocks", n)
	}
}

func refusal(err error) bool { return strings.HasPrefix(err.Error(), "store: ") }

// deadlocks is how many the database has broken.
func deadlocks(t *testing.T, s *Store) (n int64) {
	t.Helper()
	check(t, s.pool.QueryRow(t.Context(), `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&n))
	return n
}
