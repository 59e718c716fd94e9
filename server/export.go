package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/remit-auth/remit/store"
)

// exported is all that the server keeps about a user, as the user may take it along.
type exported struct {
	At       time.Time         `json:"exported_at"`
	Issuer   string            `json:"issuer"`
	User     exportedUser      `json:"user"`
	Sessions []exportedSession `json:"sessions"`
	Passkeys []exportedPasskey `json:"passkeys"`
	Codes    bool              `json:"one_time_codes"`
	Tasks    []exportedTask    `json:"tasks"`

	Remembered []exportedChoice `json:"remembered_choices"`
}

type exportedUser struct {
	ID          string              `json:"id"`
	Email       string              `json:"email"`
	Name        string              `json:"name"`
	ConsoleRole store.ConsoleRole   `json:"console_role"`
	ReadArgs    bool                `json:"read_args"`
	CreatedAt   time.Time           `json:"created_at"`
	Roles       map[string][]string `json:"roles"`
}

type exportedSession struct {
	Browser string    `json:"browser"`
	Method  string    `json:"method"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	Push    bool      `json:"push_messages"`
}

type exportedPasskey struct {
	Name  string    `json:"name"`
	Added time.Time `json:"added_at"`
	Used  time.Time `json:"used_at,omitzero"`
}

type exportedTask struct {
	ID       string          `json:"id"`
	Client   string          `json:"client_id"`
	Purpose  string          `json:"purpose"`
	State    store.TaskState `json:"state"`
	Reason   string          `json:"reason,omitempty"`
	Created  time.Time       `json:"created_at"`
	EndsAt   time.Time       `json:"ends_at"`
	EndedAt  time.Time       `json:"ended_at,omitzero"`
	Grants   []exportedGrant `json:"grants"`
	Calls    []exportedCall  `json:"calls"`
	MoreCall bool            `json:"older_calls_left_out,omitempty"`
}

type exportedGrant struct {
	Resource string          `json:"resource"`
	Scopes   []string        `json:"scopes"`
	Details  json.RawMessage `json:"authorization_details"`
}

type exportedCall struct {
	At   time.Time       `json:"at"`
	Call json.RawMessage `json:"call"`
}

// Bounds of an export, so that one download costs no more than it must.
const (
	exportTasks = 1000
	exportCalls = 1000
)

// export serves GET /account/export.
func (s *Server) export(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if v == nil {
		return s.signInPage(w, r, http.StatusUnauthorized, "", "", "", s.base+"/account")
	}
	wait, err := s.draw(r, bucket{"export:user:" + v.User.ID, 1.0 / 60, 5})
	if err != nil {
		return err
	}
	if wait > 0 {
		return errTooMany
	}
	out := exported{At: s.now().UTC(), Issuer: s.issuer, User: exportedUser{
		ID: v.User.ID, Email: v.User.Email, Name: v.User.Name, ConsoleRole: v.User.ConsoleRole, ReadArgs: mayReadArgs(v.User), CreatedAt: v.User.CreatedAt, Roles: map[string][]string{},
	}}
	if err := s.exportSignIns(r.Context(), v.User.ID, &out); err != nil {
		return err
	}
	if err := s.exportTasks(r.Context(), v.User.ID, &out); err != nil {
		return err
	}
	if err := s.exportChoices(r.Context(), v.User.ID, &out); err != nil {
		return err
	}
	w.Header().Set("Content-Disposition", `attachment; filename="remit.json"`)
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) exportSignIns(ctx context.Context, userID string, out *exported) error {
	resources, err := s.store.Resources(ctx)
	if err != nil {
		return err
	}
	for _, res := range resources {
		roles, err := s.store.RolesOf(ctx, userID, res.URI)
		if err != nil {
			return err
		}
		if len(roles) > 0 {
			out.User.Roles[res.URI] = roles
		}
	}
	sessions, err := s.store.SessionsOf(ctx, userID)
	if err != nil {
		return err
	}
	for _, session := range sessions {
		out.Sessions = append(out.Sessions, exportedSession{session.Browser, session.Method, session.AuthTime, session.ExpiresAt, len(session.Push) > 0})
	}
	passkeys, err := s.store.PasskeysOf(ctx, userID)
	if err != nil {
		return err
	}
	for _, p := range passkeys {
		out.Passkeys = append(out.Passkeys, exportedPasskey{p.Name, p.CreatedAt, p.UsedAt})
	}
	out.Codes, err = s.hasCodes(ctx, userID)
	return err
}

func (s *Server) exportTasks(ctx context.Context, userID string, out *exported) error {
	tasks, err := s.store.TaskList(ctx, store.TaskFilter{UserID: userID, Limit: exportTasks})
	if err != nil {
		return err
	}
	for _, t := range tasks {
		_, grants, err := s.store.TaskByID(ctx, t.ID)
		if err != nil {
			return err
		}
		calls, err := s.store.NewestCalls(ctx, t.ID, 0, exportCalls+1)
		if err != nil {
			return err
		}
		row := exportedTask{
			ID: t.ID, Client: t.ClientID, Purpose: t.Purpose, State: t.State, Reason: t.Reason,
			Created: t.CreatedAt, EndsAt: t.EndsAt, EndedAt: t.EndedAt, MoreCall: len(calls) > exportCalls,
		}
		for _, g := range grants {
			row.Grants = append(row.Grants, exportedGrant{g.Resource, g.Scopes, json.RawMessage(g.Details)})
		}
		for _, c := range calls[:min(len(calls), exportCalls)] {
			call := exportedCall{At: c.At}
			if json.Valid(c.Payload) { // an erased one is not there
				call.Call = json.RawMessage(c.Payload)
			}
			row.Calls = append(row.Calls, call)
		}
		out.Tasks = append(out.Tasks, row)
	}
	return nil
}
