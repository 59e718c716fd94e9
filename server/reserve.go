package server

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

// The error codes of a reservation: they tell a Guard what to refuse with.
const (
	codeToolBudget    oauth.Code = "tool_budget_spent"
	codeTaskBudget    oauth.Code = "task_budget_spent"
	codeTaskNotActive oauth.Code = "task_not_active"
)

// reserve serves POST /executions/reserve: it counts one call of a budgeted tool before it runs.
func (s *Server) reserve(w http.ResponseWriter, r *http.Request) error {
	res, err := s.authenticateGuard(r)
	if err != nil {
		return err
	}
	var in struct {
		Execution string `json:"execution"`
		Task      string `json:"task"`
		JTI       string `json:"jti"`
		Tool      string `json:"tool"`
		MaxCalls  int    `json:"max_calls"` // what the Guard's policy allows this call's rule; 0: any number
	}
	if err := readJSON(r, oauth.MaxBody, &in); err != nil {
		return err
	}
	if !validID(in.Execution, "exe_") || !validID(in.Task, "tsk_") || !validJTI(in.JTI) || in.Tool == "" || in.MaxCalls < 0 {
		return oauth.Refuse(oauth.InvalidRequest, "name execution, task, jti and tool")
	}
	state, err := s.store.AccessByJTI(r.Context(), in.JTI)
	if err != nil {
		return reservationRefused(err)
	}
	if state.Token.Resource != res.URI || state.Token.TaskID != in.Task || !state.Live(s.now()) {
		return reservationRefused(store.ErrTaskNotActive)
	}
	if err := s.toolOn(r.Context(), res.URI, in.Tool); err != nil {
		return reservationRefused(err)
	}
	limit, granted, err := s.toolBudget(res, state, in.Tool)
	if err != nil {
		return err
	}
	if !granted {
		return oauth.Refuse(oauth.InsufficientScope, "the task was not granted this tool")
	}
	above, err := s.sharesAbove(r.Context(), res, state, in.Tool)
	if err != nil {
		return err
	}
	rec := store.NewRecord("call.reserved", map[string]any{"guard": res.GuardID, "tool": in.Tool})
	rec.Task, rec.User, rec.Client, rec.Agent = in.Task, state.Task.UserID, state.Token.ClientID, state.Token.JKT
	rec.Resource, rec.JTI, rec.Execution = res.URI, in.JTI, in.Execution
	toolLeft, taskLeft, err := s.store.ReserveCall(r.Context(), store.Reservation{
		Execution: in.Execution, TaskID: in.Task, Resource: res.URI, Tool: in.Tool, JTI: in.JTI, ToolMax: consent.Least(limit, in.MaxCalls), Above: above,
	}, rec)
	if err != nil {
		return reservationRefused(err)
	}
	return writeJSON(w, http.StatusOK, map[string]int{"tool_left": toolLeft, "task_left": taskLeft})
}

// reservationRefused turns what the store says into what a Guard acts on.
func reservationRefused(err error) error {
	for _, m := range []struct {
		inner  error
		code   oauth.Code
		status int
		text   string
	}{
		{store.ErrToolBudget, codeToolBudget, http.StatusConflict, "no calls are left for this tool"},
		{store.ErrTaskBudget, codeTaskBudget, http.StatusConflict, "no calls are left for this task, which has ended"},
		{store.ErrSwitched, codeTaskNotActive, http.StatusGone, "an administrator has stopped this for now"},
		{store.ErrTaskNotActive, codeTaskNotActive, http.StatusGone, "the task is not active"},
		{store.ErrTaskEnded, codeTaskNotActive, http.StatusGone, "the task has ended"},
		{store.ErrTaskNotFound, codeTaskNotActive, http.StatusGone, "there is no such task"},
		{store.ErrTokenNotFound, codeTaskNotActive, http.StatusGone, "the token is not live"},
		{store.ErrUserDisabled, codeTaskNotActive, http.StatusGone, "the user may no longer delegate"},
	} {
		if errors.Is(err, m.inner) {
			return &oauth.Error{Code: m.code, Description: m.text, HTTPStatus: m.status, Cause: err}
		}
	}
	return err
}

// toolBudget is how many calls of the tool the task may make at the resource, 0 for any number: the
// least of what was granted and what the policy allows now. Not granted at all: false.
func (s *Server) toolBudget(res store.Resource, state store.AccessState, tool string) (limit int, granted bool, err error) {
	var scopes []string
	for _, g := range state.Grants {
		if !g.EndedAt.IsZero() {
			continue
		}
		details, err := tokens.ParseGrant(g.Details)
		if err != nil {
			return 0, false, err
		}
		scopes = append(scopes, g.Scopes...)
		for _, t := range details.For(res.URI).Tools {
			if t.Tool == tool {
				granted, limit = true, consent.Least(limit, t.MaxCalls)
			}
		}
	}
	if !granted || len(res.Policy) == 0 {
		return limit, granted, nil
	}
	p, err := policyOf(res)
	if err != nil {
		return 0, false, err
	}
	// What the policy refuses altogether, the Guard's own check refuses, in its own words.
	reach, _ := rights{policy: p, scopes: scopes, roles: state.Task.RolesAt(res.URI), hold: policy.Always}.Reach(tool)
	return consent.Least(limit, reach.MaxCalls), granted, nil
}

// sharesAbove are the tasks that lent a sub-task the tool: its calls are theirs too. What a resource
// calls behind itself is nobody's above: its caller's call was counted already.
func (s *Server) sharesAbove(ctx context.Context, res store.Resource, state store.AccessState, tool string) ([]store.Share, error) {
	if state.Task.Parent == "" {
		return nil, nil
	}
	tasks, grants, err := s.store.Above(ctx, state.Task.ID)
	if err != nil {
		return nil, err
	}
	var shares []store.Share
	for i, t := range tasks {
		here := slices.DeleteFunc(grants[i], func(g store.Grant) bool { return g.Resource != res.URI })
		limit, granted, err := s.toolBudget(res, store.AccessState{Task: t, Grants: here}, tool)
		if err != nil {
			return nil, err
		}
		if !granted {
			break
		}
		shares = append(shares, store.Share{TaskID: t.ID, ToolMax: limit})
	}
	return shares, nil
}
