package sqlite

import (
	"strings"
	"testing"

	"github.com/remit-auth/remit/store"
)

// TestPlans sees that no verb reads a whole table that grows with use.
func TestPlans(t *testing.T) {
	s := open(t, nil)
	queries := map[string]string{
		"taskSQL": taskSQL, "grantsSQL": grantsSQL, "grantByHashSQL": grantByHashSQL, "treeSQL": treeSQL, "legsSQL": legsSQL,
		"endTaskSQL": endTaskSQL, "endLegSQL": endLegSQL, "suspendTaskSQL": suspendTaskSQL, "resumeTaskSQL": resumeTaskSQL,
		"overdueSQL": overdueSQL, "unusedSQL": unusedSQL, "idleSQL": idleSQL, "addTaskSQL": addTaskSQL,
		"forgetRequestsSQL": forgetRequestsSQL, "forgetDevicesSQL": forgetDevicesSQL, "forgetSpentSQL": forgetSpentSQL,
		"spendSQL": spendSQL, "isSpentSQL": isSpentSQL, "startTaskSQL": startTaskSQL, "subjectSQL": subjectSQL, "aboveSQL": aboveSQL,
		"deviceByIDSQL": deviceByIDSQL, "deviceByUserCodeSQL": deviceByUserCodeSQL, "deviceOpenSQL": deviceOpenSQL, "denyDeviceSQL": denyDeviceSQL,
		"backendSQL": backendSQL, "backendsSQL": backendsSQL, "usedSQL": usedSQL, "countedSQL": countedSQL, "forgetSessionsSQL": forgetSessionsSQL,
		"liveTasksUserSQL": liveTasksUserSQL, "liveTasksClientSQL": liveTasksClientSQL, "signOutUserSQL": signOutUserSQL,
		"liveTasksResourceSQL": liveTasksResourceSQL, "newestRecordsSQL": newestRecordsSQL, "findingsSQL": findingsSQL, "dismissSQL": dismissSQL, "isDismissedSQL": isDismissedSQL, "dismissedSQL": dismissedSQL,
		"userByEmailSQL": userByEmailSQL, "userByIDSQL": userByIDSQL, "rolesOfSQL": rolesOfSQL, "liveTasksAtSQL": liveTasksAtSQL, "renewTaskSQL": renewTaskSQL, "upstreamRolesSQL": upstreamRolesSQL, "sessionSQL": sessionSQL,
		"clientByIDSQL": clientByIDSQL, "requestSQL": requestSQL, "bindRequestSQL": bindRequestSQL, "decideRequestSQL": decideRequestSQL,
		"codeByIDSQL": codeByIDSQL, "redeemableSQL": redeemableSQL, "spendCodeSQL": spendCodeSQL, "activateTaskSQL": activateTaskSQL,
		"widenTaskSQL": widenTaskSQL, "accessByJTISQL": accessByJTISQL, "revokeAccessSQL": revokeAccessSQL,
		"refreshByIDSQL": refreshByIDSQL, "rotatableSQL": rotatableSQL, "spendRefreshSQL": spendRefreshSQL, "seenSQL": seenSQL,
		"callableSQL": callableSQL, "reservedSQL": reservedSQL, "countToolSQL": countToolSQL, "countTaskSQL": countTaskSQL,
		"feedSinceSQL": feedSinceSQL, "ackEventsSQL": ackEventsSQL, "taskEndingsSQL": taskEndingsSQL,
		"taskCallsSQL": taskCallsSQL, "newestCallsSQL": newestCallsSQL, "feedHeadSQL": feedHeadSQL, "feedRecentSQL": feedRecentSQL, "addEventSQL": addEventSQL, "ackFeedSQL": ackFeedSQL,
		"addRecordSQL": addRecordSQL, "headSQL": headSQL, "unchainedSQL": unchainedSQL, "chainSQL": chainSQL, "lastNumberSQL": lastNumberSQL,
		"seenByGuardSQL": seenByGuardSQL,
		"sameCallSQL":    sameCallSQL, "crowdSQL": crowdSQL, "approvalSQL": approvalSQL, "waitingApprovalsSQL": waitingApprovalsSQL,
		"openApprovalsSQL": openApprovalsSQL, "overdueApprovalsSQL": overdueApprovalsSQL, "forgetApprovalsSQL": forgetApprovalsSQL,
		"moveApprovalSQL": moveApprovalSQL, "inForceSQL": inForceSQL, "supersedeSQL": supersedeSQL,
		"prunableSQL": prunableSQL, "pruneCodes": pruneCodes, "pruneRefresh": pruneRefresh, "pruneAccess": pruneAccess,
		"pruneReserved": pruneReserved, "pruneEventsSQL": pruneEventsSQL, "pruneStreamsSQL": pruneStreamsSQL, "prunedSQL": prunedSQL, "addAccessSQL": addAccessSQL,
		"keyByIDSQL": keyByIDSQL, "lastEpochSQL": lastEpochSQL, "lastCheckpointSQL": lastCheckpointSQL, "passkeysOfSQL": passkeysOfSQL, "passkeyByIDSQL": passkeyByIDSQL, "usePasskeySQL": usePasskeySQL,
		"secondFactorSQL": secondFactorSQL, "useStepSQL": useStepSQL, "useRecoverySQL": useRecoverySQL, "endSessionsSQL": endSessionsSQL,
		"sessionsOfSQL": sessionsOfSQL, "endSessionSQL": endSessionSQL, "setPushSQL": setPushSQL, "forgetPushSQL": forgetPushSQL, "sessionsOfUpstreamSQL": sessionsOfUpstreamSQL,
		"userByUpstreamSQL":    userByUpstreamSQL,
		"dropUpstreamRolesSQL": dropUpstreamRolesSQL, "forgetUpstreamRolesSQL": forgetUpstreamRolesSQL, "noteUpstreamRoleSQL": noteUpstreamRoleSQL,
		"tasks of a user": taskListSQL(store.TaskFilter{UserID: "u"}), "tasks of a client": taskListSQL(store.TaskFilter{ClientID: "c"}),
		"live tasks of a user":   taskListSQL(store.TaskFilter{UserID: "u", Live: true}),
		"live tasks of a client": taskListSQL(store.TaskFilter{ClientID: "c", Live: true}),
		"live tasks":             taskListSQL(store.TaskFilter{Live: true}), "active tasks": taskListSQL(store.TaskFilter{State: store.TaskActive}),
		"ended tasks of a user, a page": taskListSQL(store.TaskFilter{UserID: "u", Ended: true, Before: "b"}),
		"live tasks of a user, a page":  taskListSQL(store.TaskFilter{UserID: "u", Live: true, Before: "b"}),
		"live tasks, a page":            taskListSQL(store.TaskFilter{Live: true, Before: "b"}),
		"live tasks, counted":           taskCountSQL(store.TaskFilter{Live: true}),
		"live tasks of a user, counted": taskCountSQL(store.TaskFilter{UserID: "u", Live: true}),
		"live tasks of a resource":      taskListSQL(store.TaskFilter{Resource: "r", Live: true}),
		"live tasks with a tool":        taskListSQL(store.TaskFilter{Tool: "t", Live: true, Before: "b"}),
		"live tasks without a key":      taskListSQL(store.TaskFilter{Unbound: true, Live: true}),
		"tasks without a key":           taskListSQL(store.TaskFilter{Unbound: true, Before: "b"}),
		"tasks without a key, counted":  taskCountSQL(store.TaskFilter{Unbound: true, State: store.TaskRevoked}),
		"tasks of a user with a tool":   taskListSQL(store.TaskFilter{UserID: "u", Tool: "t", Bound: true}),
	}
	for name, f := range ledgerFilters {
		queries["after, "+name], queries["before, "+name], queries["looked at, "+name] = recordsAfterSQL(f), recordsBeforeSQL(f), lookedAtSQL(f)
	}
	for name, query := range queries {
		var plan []string
		err := s.read(t.Context(), func(c *conn) error {
			rows, err := c.c.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, make([]any, 18)...)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var id, parent, unused int
				var detail string
				if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
					return err
				}
				plan = append(plan, detail)
			}
			return rows.Err()
		})
		check(t, err)
		for _, step := range plan {
			if !harmless(name, step) {
				t.Errorf("%s:\n\t%s", name, strings.Join(plan, "\n\t"))
				break
			}
		}
	}
}

var ledgerFilters = map[string]store.RecordFilter{
	"all": {}, "of a task": {Task: "t", Kind: "k"}, "of a user": {User: "u", Kind: "k", Resource: "r"}, "of a kind": {Kind: "k", Resource: "r"}, "of a request": {Request: "q", Kind: "k"},
}

// harmless reports whether a step's cost does not grow with the tables.
func harmless(query, step string) bool {
	switch {
	case strings.Contains(step, "INDEX tasks_live ("): // all that live
		return query == "active tasks" || query == "liveTasksResourceSQL" || strings.HasPrefix(query, "live tasks")
	case step == "SCAN CONSTANT ROW", strings.HasPrefix(step, "SCAN tree"), step == "SCAN up": // no table, or the tasks under one or above it
		return true
	case step == "SCAN few": // as many as are counted
		return true
	case step == "SCAN ids VIRTUAL TABLE INDEX 1:", step == "SCAN d VIRTUAL TABLE INDEX 1:": // the caller's list, a task's delegates
		return true
	case query == "lastCheckpointSQL", query == "lastEpochSQL": // from the newest back, one row
		return true
	case query == "feedRecentSQL", query == "treeSQL": // sorts the last minutes' events, or the tasks under one
		return !strings.HasPrefix(step, "SCAN ")
	}
	return !strings.HasPrefix(step, "SCAN ") && !strings.Contains(step, "TEMP B-TREE")
}
