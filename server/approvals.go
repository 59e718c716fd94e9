package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// Approval of single calls (DESIGN §4, "Each-call approval"). The Guard tells of the call before it
// lets it run; the digest is made here, of the arguments that the user will read. The very same call
// that comes again after the user's yes spends it, and what is spent stays spent, whatever becomes of
// the answer.

const (
	approvalAskLife = 10 * time.Minute // how long the user has to decide
	approvalLife    = 5 * time.Minute  // how long a yes waits for the call
	approvalQuiet   = 10 * time.Minute // how long a no is remembered, so that nobody nags
	approvalsOpen   = 5                // that one task may wait for
	approvalsRecent = 30               // that one task may ask for in ten minutes

	maxApproved = 64 << 10 // bytes of arguments: more than that no person reads
)

// The error codes that tell a Guard what to refuse with.
const (
	codeApprovalDenied   oauth.Code = "approval_denied"
	codeApprovalsFull    oauth.Code = "too_many_approvals"
	codeDefinitionMoved  oauth.Code = "definition_changed"
	codeArgumentsTooLong oauth.Code = "arguments_too_large"
)

// approvalAsk is what a Guard posts. Arguments are as they came.
type approvalAsk struct {
	Execution  string          `json:"execution"`
	Task       string          `json:"task"`
	JTI        string          `json:"jti"`
	Tool       string          `json:"tool"`
	Definition string          `json:"definition"`
	Arguments  json.RawMessage `json:"arguments"`
}

// askApproval serves POST /approvals: 200 spends an approval, so that the call may run, once; 202
// says that the user is asked, and where.
func (s *Server) askApproval(w http.ResponseWriter, r *http.Request) error {
	res, err := s.authenticateGuard(r)
	if err != nil {
		return err
	}
	var in approvalAsk
	if err := readJSON(r, maxLargeBody, &in); err != nil {
		return err
	}
	if !validID(in.Execution, "exe_") || !validID(in.Task, "tsk_") || !validJTI(in.JTI) || in.Tool == "" {
		return oauth.Refuse(oauth.InvalidRequest, "name execution, task, jti, tool, definition and arguments")
	}
	if len(in.Arguments) > maxApproved {
		return &oauth.Error{Code: codeArgumentsTooLong, Description: "nobody can be asked about a call with more than 64 KiB of arguments", HTTPStatus: http.StatusRequestEntityTooLarge}
	}
	arguments, err := canonicalArguments(in.Arguments)
	if err != nil {
		return err
	}
	if err := s.lent(r, res, in); err != nil {
		return err
	}
	a, err := s.ask(r, res, in, arguments)
	if errors.Is(err, store.ErrApprovalsFull) {
		return &oauth.Error{Code: codeApprovalsFull, Description: "the task waits for too many approvals already, or has asked too often", HTTPStatus: http.StatusTooManyRequests, Cause: err}
	}
	if err != nil {
		return reservationRefused(err)
	}
	if a.State == store.ApprovalAsked && a.Execution == in.Execution {
		s.tellWaiting(r.Context(), a)
	}
	return s.answerApproval(w, a)
}

// canonicalArguments are the arguments in RFC 8785 form: what is digested, sealed and shown.
func canonicalArguments(raw []byte) ([]byte, error) {
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	canonical, err := tokens.Canonical(raw)
	if err != nil || canonical[0] != '{' {
		return nil, &oauth.Error{Code: oauth.InvalidRequest, Description: "arguments are one JSON object without duplicates", Cause: err}
	}
	return canonical, nil
}

// lent checks that the task has this tool at this resource, with the definition that the user read
// and that the admin approved, and that the token is one of the task. Liveness is judged again, and for
// good, by the store.
func (s *Server) lent(r *http.Request, res store.Resource, in approvalAsk) error {
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
	for _, g := range state.Grants {
		if !g.EndedAt.IsZero() {
			continue
		}
		details, err := tokens.ParseGrant(g.Details)
		if err != nil {
			return err
		}
		for _, t := range details.For(res.URI).Tools {
			if t.Tool != in.Tool {
				continue
			}
			if t.Definition != in.Definition || !approvedNow(res, in.Tool, in.Definition) {
				return &oauth.Error{Code: codeDefinitionMoved, Description: "the tool is not what the user allowed", HTTPStatus: http.StatusConflict}
			}
			return nil
		}
	}
	return &oauth.Error{Code: oauth.InsufficientScope, Description: "the task was not granted this tool", HTTPStatus: http.StatusForbidden}
}

// approvedNow reports whether the definition is the approved one of the tool, and the live one too.
func approvedNow(res store.Resource, tool, definition string) bool {
	i := slices.IndexFunc(res.Tools, func(t store.Tool) bool { return t.Name == tool })
	return i >= 0 && definition != "" && res.Tools[i].Hash == definition && (res.Tools[i].LiveHash == "" || res.Tools[i].LiveHash == definition)
}

// ask seals the arguments and puts the question, or finds how it was answered.
func (s *Server) ask(r *http.Request, res store.Resource, in approvalAsk, arguments []byte) (store.CallApproval, error) {
	id := tokens.NewID("apv_")
	sealer, err := s.approvalSealer()
	if err != nil {
		return store.CallApproval{}, err
	}
	sealed, err := sealer.Seal(arguments, id)
	if err != nil {
		return store.CallApproval{}, err
	}
	return s.store.AskApproval(r.Context(), store.ApprovalAsk{
		Call: store.CallApproval{
			ID: id, TaskID: in.Task, Resource: res.URI, Tool: in.Tool, Definition: in.Definition, Digest: tokens.HashBytes(arguments),
			Arguments: sealed, Execution: in.Execution, ExpiresAt: s.now().Add(approvalAskLife),
		},
		JTI: in.JTI, MaxOpen: approvalsOpen, MaxRecent: approvalsRecent, Recent: approvalAskLife,
	})
}

// approvalSealer keeps arguments secret while they wait.
func (s *Server) approvalSealer() (tokens.Sealer, error) {
	key, err := s.derive("approval-arguments")
	if err != nil {
		return tokens.Sealer{}, err
	}
	return tokens.NewSealer(key)
}

// approvalStatus is an approval as Guards and agents see it.
type approvalStatus struct {
	ID      string              `json:"approval"`
	State   store.ApprovalState `json:"state"`
	URL     string              `json:"url,omitempty"`
	Expires int                 `json:"expires_in,omitempty"` // seconds
}

func (s *Server) statusOfApproval(a store.CallApproval) approvalStatus {
	v := approvalStatus{ID: a.ID, State: a.State}
	if left := a.ExpiresAt.Sub(s.now()); left > 0 && a.State != store.ApprovalSpent {
		v.Expires = int(left.Seconds())
	}
	if a.State == store.ApprovalAsked {
		v.URL = s.url("/approvals/" + a.ID)
	}
	return v
}

func (s *Server) answerApproval(w http.ResponseWriter, a store.CallApproval) error {
	switch a.State {
	case store.ApprovalSpent:
		return writeJSON(w, http.StatusOK, s.statusOfApproval(a))
	case store.ApprovalAsked:
		return writeJSON(w, http.StatusAccepted, s.statusOfApproval(a))
	}
	return &oauth.Error{Code: codeApprovalDenied, Description: "the user did not allow this call", HTTPStatus: http.StatusForbidden}
}

// showApproval serves GET /tasks/{id}/approvals/{approval}: how its question stands, to the task's own
// agent. It never says what the arguments are: the agent knows.
func (s *Server) showApproval(w http.ResponseWriter, r *http.Request) error {
	id := chi.URLParam(r, "approval")
	t, _, err := s.agentTask(w, r, "/approvals/"+id)
	if err != nil {
		return err
	}
	a, err := s.store.ApprovalByID(r.Context(), id)
	if errors.Is(err, store.ErrApprovalNotFound) || err == nil && a.TaskID != t.ID {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "there is no such approval for this task", HTTPStatus: http.StatusNotFound}
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.statusOfApproval(a))
}
