package server

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// finishedShown is how many ended tasks the page lists.
const finishedShown = 50

// agents serves GET /agents: what works in the user's name.
func (s *Server) agents(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if v == nil {
		return s.signInPage(w, r, http.StatusOK, "", "", "", s.base+"/agents")
	}
	return s.agentsPage(w, r, v, "")
}

func (s *Server) agentsPage(w http.ResponseWriter, r *http.Request, v *visitor, notice string) error {
	tasks, err := s.store.TaskList(r.Context(), store.TaskFilter{UserID: v.User.ID, Limit: finishedShown})
	if err != nil {
		return err
	}
	view := web.Agents{Page: s.frame(v), Action: s.base + "/agents", Notice: notice}
	names := map[string][2]string{} // what a client is known by, and what it calls itself
	for _, t := range tasks {
		row, err := s.taskRow(r, t, names)
		if err != nil {
			return err
		}
		if t.State.Terminal() {
			view.Finished = append(view.Finished, row)
		} else {
			view.Running = append(view.Running, row)
		}
	}
	return s.render(w, r, http.StatusOK, web.AgentsPage(view))
}

func (s *Server) taskRow(r *http.Request, t store.Task, names map[string][2]string) (web.TaskRow, error) {
	if _, known := names[t.ClientID]; !known {
		client, err := s.store.ClientByID(r.Context(), t.ClientID)
		if err != nil && !errors.Is(err, store.ErrClientNotFound) {
			return web.TaskRow{}, err
		}
		names[t.ClientID] = [2]string{clientHost(client), claimedName(client)}
	}
	_, grants, err := s.store.TaskByID(r.Context(), t.ID)
	if err != nil {
		return web.TaskRow{}, err
	}
	row := web.TaskRow{
		ID: t.ID, Client: names[t.ClientID][0], Name: names[t.ClientID][1], Purpose: t.Purpose, State: textStates[string(t.State)], StateTone: stateTone(t.State),
		Started: clock(t.CreatedAt), Ends: clock(t.EndsAt), HowEnded: howEnded(t), Calls: t.CallsUsed,
		CanEnd: !t.State.Terminal(), CanSuspend: t.State == store.TaskActive,
		CanResume: t.State == store.TaskSuspended && t.SuspendedBy == store.ByUser,
	}
	if t.State.Terminal() {
		row.Ends = clock(t.EndedAt)
	}
	for _, g := range grants {
		resource, err := s.store.ResourceByURI(r.Context(), g.Resource)
		if err != nil {
			return row, err
		}
		row.Resource = resource.Name
	}
	return row, nil
}

func stateTone(state store.TaskState) string {
	switch state {
	case store.TaskActive, store.TaskCompleted:
		return web.ToneOK
	case store.TaskSuspended:
		return web.ToneWarn
	case store.TaskRevoked:
		return web.ToneBad
	}
	return web.ToneInfo
}

func howEnded(t store.Task) string {
	if t.Reason == "" || t.State == store.TaskCompleted {
		return textStates[string(t.State)]
	}
	return fmt.Sprintf("%s (%s)", textStates[string(t.State)], t.Reason)
}

func clock(t time.Time) string { return t.UTC().Format("2 Jan 15:04 UTC") }

// moveAgents serves POST /agents: the user ends, pauses or resumes a task of their own, or ends
// them all. Somebody else's task does not exist.
func (s *Server) moveAgents(w http.ResponseWriter, r *http.Request) error {
	v, form, err := s.signedInForm(r)
	if err != nil {
		return err
	}
	if form.Get(web.FieldAction) == web.ActionEndAll {
		return s.endAll(w, r, v)
	}
	t, _, err := s.store.TaskByID(r.Context(), form.Get(web.FieldTask))
	if errors.Is(err, store.ErrTaskNotFound) || err == nil && t.UserID != v.User.ID {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "There is no such task.", HTTPStatus: http.StatusNotFound}
	}
	if err != nil {
		return err
	}
	switch form.Get(web.FieldAction) {
	case web.ActionEnd:
		_, err = s.store.EndTask(r.Context(), endedByUser(t.ID))
	case web.ActionSuspend:
		_, err = s.store.SuspendTask(r.Context(), t.ID, store.ByUser, "paused by the user")
	case web.ActionResume:
		_, err = s.store.ResumeTask(r.Context(), t.ID, store.ByUser)
	default:
		return oauth.Refuse(oauth.InvalidRequest, "Choose what to do with the task.")
	}
	if err != nil && !errors.Is(err, store.ErrTaskEnded) && !errors.Is(err, store.ErrTaskNotActive) && !errors.Is(err, store.ErrTaskNotSuspended) {
		return err
	}
	http.Redirect(w, r, s.base+"/agents", http.StatusSeeOther)
	return nil
}

func endedByUser(id string) store.End {
	return store.End{TaskID: id, State: store.TaskRevoked, By: store.ByUser, Reason: "ended by the user"}
}

// endAll ends every live task of the user.
func (s *Server) endAll(w http.ResponseWriter, r *http.Request, v *visitor) error {
	for {
		live, err := s.store.TaskList(r.Context(), store.TaskFilter{UserID: v.User.ID, Live: true})
		if err != nil {
			return err
		}
		if len(live) == 0 {
			break
		}
		for _, t := range live {
			if _, err := s.store.EndTask(r.Context(), endedByUser(t.ID)); err != nil && !errors.Is(err, store.ErrTaskEnded) {
				return err
			}
		}
	}
	http.Redirect(w, r, s.base+"/agents", http.StatusSeeOther)
	return nil
}
