package server

import (
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// errNoTask is what everybody but the task's own agent is told, whether it exists or not.
var errNoTask = &oauth.Error{Code: oauth.InvalidToken, Description: "there is no such task for this agent", HTTPStatus: http.StatusNotFound}

// agentTask authenticates the agent of the task in the path: by a key-bound access token of that
// task, or by its refresh token with client authentication and the key (DESIGN §4, End).
func (s *Server) agentTask(w http.ResponseWriter, r *http.Request, verb string) (store.Task, []store.Grant, error) {
	id := chi.URLParam(r, "id")
	path := "/tasks/" + id + verb
	var task string
	var err error
	if r.Method == http.MethodPost && r.Header.Get("Content-Type") != "" && r.ContentLength != 0 {
		task, err = s.taskByRefresh(w, r, path)
	} else {
		var claims tokens.Claims
		claims, err = s.bearerOfTask(w, r, path)
		task = claims.Task.ID
	}
	if err != nil {
		return store.Task{}, nil, err
	}
	if task != id {
		return store.Task{}, nil, errNoTask
	}
	t, grants, err := s.store.TaskByID(r.Context(), id)
	if errors.Is(err, store.ErrTaskNotFound) {
		return t, nil, errNoTask
	}
	return t, grants, err
}

// taskByRefresh reads the refresh token of a form and checks client and key; it consumes nothing.
func (s *Server) taskByRefresh(w http.ResponseWriter, r *http.Request, path string) (string, error) {
	p, refused := oauth.ParseBody(r)
	if refused != nil {
		return "", refused
	}
	client, err := s.authenticateClient(r, p)
	if err != nil {
		return "", err
	}
	jkt, err := s.proveKey(w, r, path, "", s.mayBearer(client))
	if err != nil {
		return "", err
	}
	st, err := s.store.RefreshByID(r.Context(), store.HashOf(p.Get("refresh_token")))
	if err != nil {
		return "", err
	}
	if st.Token.ClientID != client.ID || st.Token.JKT != jkt {
		return "", errNoTask
	}
	if st.Token.Spent { // a rotated token is good for its successor, within the grace, and nothing else
		return "", store.ErrRefreshReused
	}
	return st.Task.ID, nil
}

// showTask serves GET /tasks/{id}: what the agent may still do, so that it need not try.
func (s *Server) showTask(w http.ResponseWriter, r *http.Request) error {
	t, grants, err := s.agentTask(w, r, "")
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, statusOf(t, grants))
}

// taskStatus is a task as its agent sees it.
type taskStatus struct {
	ID        string          `json:"task_id"`
	State     store.TaskState `json:"state"`
	Reason    string          `json:"reason,omitempty"`
	Purpose   string          `json:"purpose,omitempty"`
	Ends      int64           `json:"ends"` // Unix seconds
	MaxCalls  int             `json:"max_calls,omitempty"`
	CallsUsed int             `json:"calls_used"`
	Resources []grantStatus   `json:"resources,omitempty"`
}

type grantStatus struct {
	Resource string         `json:"resource"`
	Scope    []string       `json:"scope"`
	Details  tokens.Details `json:"authorization_details"`
}

func statusOf(t store.Task, grants []store.Grant) taskStatus {
	view := taskStatus{
		ID: t.ID, State: t.State, Reason: t.Reason, Purpose: t.Purpose, Ends: t.EndsAt.Unix(),
		MaxCalls: t.MaxCalls, CallsUsed: t.CallsUsed,
	}
	for _, g := range grants {
		if details, err := tokens.ParseGrant(g.Details); err == nil && g.EndedAt.IsZero() {
			view.Resources = append(view.Resources, grantStatus{g.Resource, g.Scopes, details})
		}
	}
	return view
}

// completeTask serves POST /tasks/{id}/complete: the agent has finished, and everything that it
// was lent dies. Repeating it tells how the task ended.
func (s *Server) completeTask(w http.ResponseWriter, r *http.Request) error {
	t, _, err := s.agentTask(w, r, "/complete")
	if err != nil {
		return err
	}
	if t.State == store.TaskPending {
		return errNoTask
	}
	ended, err := s.store.EndTask(r.Context(), store.End{TaskID: t.ID, State: store.TaskCompleted, By: store.ByAgent, Reason: "completed"})
	if err != nil && !errors.Is(err, store.ErrTaskEnded) {
		return err
	}
	if len(ended) > 0 {
		t = ended[0]
	}
	return writeJSON(w, http.StatusOK, statusOf(t, nil))
}

// movesOf bounds how often an agent pauses and goes on: each time is a record and an event for ever.
// Ending is never limited.
func movesOf(task string) limit { return limit{"moves:" + task, 1.0 / 15, 20} }

// suspendTask serves POST /tasks/{id}/suspend: the agent pauses its own task.
func (s *Server) suspendTask(w http.ResponseWriter, r *http.Request) error {
	t, _, err := s.agentTask(w, r, "/suspend")
	if err != nil {
		return err
	}
	if err := s.limit(r.Context(), movesOf(t.ID)); err != nil {
		return err
	}
	t, err = s.store.SuspendTask(r.Context(), t.ID, store.ByAgent, "paused by the agent")
	return s.answerMove(w, t, err)
}

// resumeTask serves POST /tasks/{id}/resume: the agent goes on, if it was the one who paused.
func (s *Server) resumeTask(w http.ResponseWriter, r *http.Request) error {
	t, _, err := s.agentTask(w, r, "/resume")
	if err != nil {
		return err
	}
	if err := s.limit(r.Context(), movesOf(t.ID)); err != nil {
		return err
	}
	t, err = s.store.ResumeTask(r.Context(), t.ID, store.ByAgent)
	return s.answerMove(w, t, err)
}

func (s *Server) answerMove(w http.ResponseWriter, t store.Task, err error) error {
	if errors.Is(err, store.ErrTaskNotActive) || errors.Is(err, store.ErrTaskNotSuspended) {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "the task is not in a state for that, or somebody else put it there", HTTPStatus: http.StatusConflict, Cause: err}
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, statusOf(t, nil))
}
