package server

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/remit-auth/remit/store"
)

// lent is what one user has lent to one client: the tasks that live, and the choices that go on without
// being read anew.
type lent struct {
	user, client string
	task         string // the one by which it was named
	tasks        []store.Task
	choices      []store.Remembered
}

// errNobodyConsented is of tasks that clients do for themselves.
var errNobodyConsented = &problem{Status: http.StatusConflict, Detail: "this client acts for itself: no user consented, so that none can be asked anew; end the task or disable the client"}

// lentBy gathers what the users of these tasks have lent to their clients.
func (s *Server) lentBy(ctx context.Context, ids []string) (all []lent, err error) {
	for _, id := range ids {
		t, _, err := s.store.TaskByID(ctx, id)
		if err != nil {
			return nil, err
		}
		if t.UserID == "" {
			return nil, errNobodyConsented
		}
		if slices.ContainsFunc(all, func(l lent) bool { return l.user == t.UserID && l.client == t.ClientID }) {
			continue
		}
		l := lent{user: t.UserID, client: t.ClientID, task: t.ID}
		if l.tasks, err = s.liveOf(ctx, l.user, l.client); err != nil {
			return nil, err
		}
		choices, err := s.store.RememberedBy(ctx, l.user)
		if err != nil {
			return nil, err
		}
		l.choices = slices.DeleteFunc(choices, func(r store.Remembered) bool { return r.ClientID != l.client })
		all = append(all, l)
	}
	return all, nil
}

// liveOf are the live tasks of one user and one client.
func (s *Server) liveOf(ctx context.Context, user, client string) (all []store.Task, err error) {
	f := store.TaskFilter{UserID: user, ClientID: client, Live: true, Limit: exportedPage}
	for {
		page, err := s.store.TaskList(ctx, f)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); len(page) < f.Limit {
			return all, nil
		}
		f.Before = page[len(page)-1].ID
	}
}

// reconsent makes the client ask the user anew: what it was lent ends, and no remembered choice answers
// for the user. First the choices are forgotten, so that none starts another task meanwhile; then
// whatever lives is ended. What fails on the way is finished by asking once more.
func (s *Server) reconsent(ctx context.Context, a acting, l lent, reason string) (ended []store.Task, forgotten int, err error) {
	rec := a.record("consent.required", reason, nil)
	rec.Task, rec.User, rec.Client = l.task, l.user, l.client
	if err := s.store.Append(ctx, rec); err != nil {
		return nil, 0, err
	}
	for _, choice := range l.choices {
		rec := a.record("consent.forgotten", reason, map[string]any{"remembered": choice.ID})
		rec.User, rec.Client, rec.Resource = l.user, l.client, choice.Resource
		switch err := s.store.Forget(ctx, l.user, choice.ID, rec); {
		case err == nil:
			forgotten++
		case !errors.Is(err, store.ErrNotRemembered): // meanwhile its user has
			return ended, forgotten, err
		}
	}
	tasks, err := s.liveOf(ctx, l.user, l.client)
	if err != nil {
		return ended, forgotten, err
	}
	for _, t := range tasks {
		over, err := s.end(ctx, a, t.ID, reason)
		if err != nil && !errors.Is(err, store.ErrTaskEnded) {
			return ended, forgotten, err
		}
		if err == nil {
			ended = append(ended, over...)
		}
	}
	return ended, forgotten, nil
}

// adminReconsent serves POST /admin/api/tasks/reconsent: the task names whose client asks whom anew.
func (s *Server) adminReconsent(w http.ResponseWriter, r *http.Request) error {
	in, err := readMove(r)
	if err != nil {
		return err
	}
	all, err := s.lentBy(r.Context(), []string{in.ID})
	if err != nil {
		return err
	}
	ended, forgotten, err := s.reconsent(r.Context(), atSocket, all[0], in.Reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"ended_tasks": taskIDs(ended), "forgotten_choices": forgotten})
}
