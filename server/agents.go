package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

const (
	callsShown = 100 // calls on the page of one task
	endedAll   = "all"
)

// ownTask returns a task of this user. Somebody else's does not exist.
func (s *Server) ownTask(ctx context.Context, v *visitor, id string) (store.Task, error) {
	t, _, err := s.store.TaskByID(ctx, id)
	if errors.Is(err, store.ErrTaskNotFound) || err == nil && t.UserID != v.User.ID {
		return t, &oauth.Error{Code: oauth.InvalidRequest, Description: say(ctx, textNoSuchTask), HTTPStatus: http.StatusNotFound}
	}
	return t, err
}

// taskCalls serves GET /agents/{id}: every call of one task, a page at a time, newest first.
func (s *Server) taskCalls(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if v == nil {
		return s.signInPage(w, r, http.StatusOK, "", "", "", s.base+"/agents")
	}
	t, err := s.ownTask(r.Context(), v, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	before, err := strconv.ParseInt(r.URL.Query().Get(queryBefore), 10, 64)
	if err != nil || before < 0 {
		before = 0
	}
	recs, err := s.store.NewestCalls(r.Context(), t.ID, before, callsShown+1)
	if err != nil {
		return err
	}
	b, err := s.gatherTasks(r.Context(), []store.Task{t})
	if err != nil {
		return err
	}
	here := s.base + "/agents/" + t.ID
	view := web.Calls{Page: s.frame(r.Context(), v), Action: s.base + "/agents", Task: b.row(r.Context(), t)}
	if len(recs) > callsShown {
		recs = recs[:callsShown]
		view.Older = here + "?before=" + strconv.FormatInt(recs[callsShown-1].Seq, 10)
	}
	if before > 0 {
		view.Newest = here
	} else {
		view.Live = web.Live{Source: s.base + "/agents/live", Again: b.again(t)}
	}
	if view.Calls, err = b.callRows(r.Context(), recs); err != nil {
		return err
	}
	return s.renderLive(w, r, http.StatusOK, web.CallsPage(view))
}

// moveAgents serves POST /agents: the user ends, pauses or resumes a task of their own, or ends
// them all. Somebody else's task does not exist.
func (s *Server) moveAgents(w http.ResponseWriter, r *http.Request) error {
	v, form, err := s.signedInForm(r)
	if err != nil {
		return err
	}
	switch form.Get(web.FieldAction) {
	case web.ActionEndAll:
		return s.endTasks(w, r, v, endedAll)
	case web.ActionForget:
		return s.forget(w, r, v, form.Get(web.FieldRemembered))
	}
	t, err := s.ownTask(r.Context(), v, form.Get(web.FieldTask))
	if err != nil {
		return err
	}
	switch form.Get(web.FieldAction) {
	case web.ActionEnd:
		return s.endTasks(w, r, v, t.ID)
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
	http.Redirect(w, r, s.agentsURL(r), http.StatusSeeOther)
	return nil
}

// endTasks ends one task of the user, or all, waits a moment for the Guards to say that they know,
// and shows the page that tells.
func (s *Server) endTasks(w http.ResponseWriter, r *http.Request, v *visitor, which string) error {
	// Before the end, so that no acknowledgement is missed. Without it we just do not wait.
	page, _ := s.live.join(r.Context(), s.store, v.User.ID)
	if page != nil {
		defer page.leave()
	}
	var ended []string
	var err error
	if which == endedAll {
		first := s.forgetAll(r.Context(), v) // so that no task begins by it meanwhile
		ended, err = s.endAll(r.Context(), v)
		err = errors.Join(first, err)
	} else {
		ended, err = s.endOne(r.Context(), which, reasonByUser)
	}
	if err != nil {
		return err
	}
	if page != nil {
		s.awaitGuards(r.Context(), page.changed, ended)
	}
	http.Redirect(w, r, s.agentsURL(r, "ended", which), http.StatusSeeOther)
	return nil
}

// endOne ends the task and all under it; one that had ended stays as it is.
func (s *Server) endOne(ctx context.Context, id, reason string) (ended []string, err error) {
	tasks, err := s.store.EndTask(ctx, store.End{TaskID: id, State: store.TaskRevoked, By: store.ByUser, Reason: reason})
	if err != nil && !errors.Is(err, store.ErrTaskEnded) {
		return nil, err
	}
	for _, t := range tasks {
		ended = append(ended, t.ID)
	}
	return ended, nil
}

// endAll ends every live task of the user.
func (s *Server) endAll(ctx context.Context, v *visitor) (ended []string, err error) {
	for {
		live, err := s.store.TaskList(ctx, store.TaskFilter{UserID: v.User.ID, Live: true})
		if err != nil || len(live) == 0 {
			return ended, err
		}
		for _, t := range live {
			more, err := s.endOne(ctx, t.ID, reasonByUser)
			if err != nil {
				return nil, err
			}
			ended = append(ended, more...)
		}
	}
}

// guardPatience is how long the answer to "end" waits for the Guards (DESIGN §6, P1: they act within
// half a second). The end itself waits for nobody.
const guardPatience = time.Second

// awaitGuards returns when every Guard that listens here has the ends in force, and soon anyway.
func (s *Server) awaitGuards(ctx context.Context, changed <-chan struct{}, tasks []string) {
	patience := time.NewTimer(guardPatience)
	defer patience.Stop()
	for {
		endings, err := s.store.TaskEndings(ctx, tasks...)
		if err != nil || !slices.ContainsFunc(endings, func(e store.Ending) bool {
			return e.AckedAt.IsZero() && s.hubs.listens(e.Resource)
		}) {
			return
		}
		select {
		case <-changed:
		case <-patience.C:
			return
		case <-s.closing:
			return
		case <-ctx.Done():
			return
		}
	}
}
