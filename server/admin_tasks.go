package server

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/remit-auth/remit/store"
)

// taskView is a task as administrators see one.
type taskView struct {
	ID          string          `json:"id"`
	Parent      string          `json:"parent,omitempty"`
	User        string          `json:"user"`
	Client      string          `json:"client"`
	Agent       string          `json:"agent,omitempty"`
	Purpose     string          `json:"purpose,omitempty"`
	State       store.TaskState `json:"state"`
	SuspendedBy store.Actor     `json:"suspended_by,omitempty"`
	Reason      string          `json:"reason,omitempty"`
	MaxCalls    int             `json:"max_calls,omitempty"`
	CallsUsed   int             `json:"calls_used"`
	CreatedAt   time.Time       `json:"created_at"`
	SeenAt      *time.Time      `json:"seen_at,omitempty"`
	EndsAt      time.Time       `json:"ends_at"`
	EndedAt     *time.Time      `json:"ended_at,omitempty"`
	Grants      []grantView     `json:"grants,omitempty"`
}

type grantView struct {
	Resource string          `json:"resource"`
	Scopes   []string        `json:"scopes"`
	Details  json.RawMessage `json:"authorization_details"`
	Hash     string          `json:"hash"`
	EndedAt  *time.Time      `json:"ended_at,omitempty"`
}

func viewTask(t store.Task, grants []store.Grant) taskView {
	v := taskView{
		ID: t.ID, Parent: t.Parent, User: t.UserID, Client: t.ClientID, Agent: t.JKT, Purpose: t.Purpose,
		State: t.State, SuspendedBy: t.SuspendedBy, Reason: t.Reason, MaxCalls: t.MaxCalls, CallsUsed: t.CallsUsed,
		CreatedAt: t.CreatedAt, SeenAt: maybe(t.SeenAt), EndsAt: t.EndsAt, EndedAt: maybe(t.EndedAt),
	}
	for _, g := range grants {
		v.Grants = append(v.Grants, grantView{Resource: g.Resource, Scopes: g.Scopes, Details: g.Details, Hash: g.Hash, EndedAt: maybe(g.EndedAt)})
	}
	return v
}

func maybe(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func taskIDs(tasks []store.Task) []string {
	ids := []string{}
	for _, t := range tasks {
		ids = append(ids, t.ID)
	}
	return ids
}

// taskStates are the values of ?state=.
var taskStates = []store.TaskState{store.TaskPending, store.TaskActive, store.TaskSuspended, store.TaskCompleted, store.TaskRevoked, store.TaskExpired}

// listTasks serves GET /admin/api/tasks?user=&client=&resource=&tool=&key=&state=&live=&limit=.
func (s *Server) listTasks(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f, err := s.tasksWanted(r.Context(), q)
	if err != nil {
		return err
	}
	if f.Limit, err = queryInt(q.Get("limit"), 100, 1000); err != nil {
		return err
	}
	tasks, err := s.store.TaskList(r.Context(), f)
	if err != nil {
		return err
	}
	views := []taskView{}
	for _, t := range tasks {
		views = append(views, viewTask(t, nil))
	}
	return writeJSON(w, http.StatusOK, map[string]any{"tasks": views})
}

// queryInt reads a number of a query between 1 and most.
func queryInt(raw string, absent, most int) (int, error) {
	if raw == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(raw)
	if err != nil || n < 1 || n > most {
		return 0, bad("limit is a number from 1 to " + strconv.Itoa(most))
	}
	return n, nil
}

// adminTask serves GET /admin/api/tasks/show?id=…, with what was granted.
func (s *Server) adminTask(w http.ResponseWriter, r *http.Request, a acting) error {
	t, grants, err := s.store.TaskByID(r.Context(), r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, viewTask(t, a.grants(grants)))
}

// taskMove names a task and why it is moved.
type taskMove struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

func readMove(r *http.Request) (taskMove, error) {
	var in taskMove
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return in, err
	}
	in.Reason = cmp.Or(in.Reason, "admin")
	return in, checkReason(in.Reason)
}

// checkReason refuses a reason that would not fit a line of the ledger's readers.
func checkReason(reason string) error {
	if len(reason) > maxReason || strings.ContainsFunc(reason, isControl) || !utf8.ValidString(reason) {
		return bad("reason is one line of at most 200 bytes")
	}
	return nil
}

// maxReason bounds a reason, in bytes.
const maxReason = 200

// wouldEnd serves GET /admin/api/dryrun?task=|user=|client=|resource=: what switching that off, or
// ending these tasks, would end now.
func (s *Server) wouldEnd(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	unclear := bad("name one user, client or resource, or up to 100 tasks")
	if len(q) != 1 || len(q["task"]) > maxTicked {
		return unclear
	}
	target := store.Target{TaskIDs: q["task"], ClientID: q.Get("client"), Resource: q.Get("resource")}
	var err error
	switch {
	case q.Has("user"):
		var u store.User
		u, err = s.userNamed(r.Context(), q.Get("user"))
		target.UserID = u.ID
	case q.Has("client"):
		_, err = s.store.ClientByID(r.Context(), target.ClientID)
	case q.Has("resource"):
		_, err = s.store.ResourceByURI(r.Context(), target.Resource)
	case !q.Has("task"):
		err = unclear
	}
	if err != nil {
		return err
	}
	tasks, err := s.store.WouldEnd(r.Context(), target)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"would_end": taskIDs(tasks)})
}

// maxTicked is how many tasks are ended at once by name.
const maxTicked = 100

// adminEndTask serves POST /admin/api/tasks/end: the task and all under it are dead everywhere.
func (s *Server) adminEndTask(w http.ResponseWriter, r *http.Request) error {
	in, err := readMove(r)
	if err != nil {
		return err
	}
	ended, err := s.end(r.Context(), atSocket, in.ID, in.Reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"ended_tasks": taskIDs(ended)})
}

// adminSuspendTask serves POST /admin/api/tasks/suspend.
func (s *Server) adminSuspendTask(w http.ResponseWriter, r *http.Request) error {
	in, err := readMove(r)
	if err != nil {
		return err
	}
	t, err := s.suspend(r.Context(), atSocket, in.ID, in.Reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, viewTask(t, nil))
}

// adminResumeTask serves POST /admin/api/tasks/resume; an admin may resume whatever is suspended.
func (s *Server) adminResumeTask(w http.ResponseWriter, r *http.Request) error {
	in, err := readMove(r)
	if err != nil {
		return err
	}
	t, err := s.resume(r.Context(), atSocket, in.ID, in.Reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, viewTask(t, nil))
}
