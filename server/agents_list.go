package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

const (
	runningShown  = 8    // live tasks on a page
	finishedShown = 8    // ended ones
	newestShown   = 3    // calls of each running task
	tasksCounted  = 1000 // beyond which a page says "1000+"
)

// Where a page of the user's tasks begins: after the task of this id.
const (
	queryBefore   = "before"   // the running ones
	queryFinished = "finished" // those that have ended
)

// agents serves GET /agents: what works in the user's name.
func (s *Server) agents(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if v == nil {
		return s.signInPage(w, r, http.StatusOK, "", "", "", s.base+"/agents")
	}
	told := r.URL.Query().Get("ended")
	l, err := s.agentsList(r, v, told)
	if err != nil {
		return err
	}
	if len(l.live) == 0 && r.URL.Query().Get(queryBefore) != "" { // all of them have ended meanwhile
		http.Redirect(w, r, s.at("/agents", l.rest(r)...), http.StatusSeeOther)
		return nil
	}
	b, err := s.gatherTasks(r.Context(), append(slices.Clone(l.live), l.ended...))
	if err != nil {
		return err
	}
	view := web.Agents{Page: s.frame(r.Context(), v), Action: s.agentsURL(r), Live: web.Live{Source: s.base + "/agents/live"}, Push: s.pushView(v)}
	if view.Waiting, err = s.waiting(r.Context(), v); err != nil {
		return err
	}
	view.InAll, view.Pages, view.FinishedPages = l.inAll, l.pages, l.finishedPages
	for _, t := range b.together(l.live) {
		row, err := b.running(r.Context(), t)
		if err != nil {
			return err
		}
		view.Running = append(view.Running, row)
	}
	for _, t := range b.together(l.shown()) {
		view.Finished = append(view.Finished, b.row(r.Context(), t))
	}
	if view.Remembered, err = s.remembered(r.Context(), v); err != nil {
		return err
	}
	view.Live.Again = b.again(append(l.live, l.ended...)...)
	view.Notice, view.NoticeTone = b.notice(r.Context(), told, l.ended)
	if text := textTold[r.URL.Query().Get("told")]; text != "" {
		view.Notice = say(r.Context(), text)
	}
	return s.renderLive(w, r, http.StatusOK, web.AgentsPage(view))
}

// agentsURL is the address of the page of agents that the request is about, with more in its query.
func (s *Server) agentsURL(r *http.Request, more ...string) string {
	for _, name := range []string{queryBefore, queryFinished} {
		if id := r.URL.Query().Get(name); id != "" {
			more = append(more, name, id)
		}
	}
	return s.at("/agents", more...)
}

// agentsList is what of a user's tasks stands on one page.
type agentsList struct {
	live, ended   []store.Task
	inAll         string // how many live ones there are; empty: those of this page
	pages         web.Pages
	finishedPages web.Pages
}

// shown are the ended tasks that the page lists; what it says of an end may be about more.
func (l agentsList) shown() []store.Task { return l.ended[:min(len(l.ended), finishedShown)] }

// rest is what the first page is told in place of one that has become empty.
func (agentsList) rest(r *http.Request) (query []string) {
	for _, name := range []string{"ended", "told", queryFinished} {
		if value := r.URL.Query().Get(name); value != "" {
			query = append(query, name, value)
		}
	}
	return query
}

func (s *Server) agentsList(r *http.Request, v *visitor, told string) (l agentsList, err error) {
	ctx, here := r.Context(), s.base+"/agents"
	before, finished := r.URL.Query().Get(queryBefore), r.URL.Query().Get(queryFinished)
	for _, id := range []string{before, finished, told} {
		if id == "" || id == endedAll {
			continue
		}
		if _, err := s.ownTask(ctx, v, id); err != nil {
			return l, err
		}
	}
	running := store.TaskFilter{UserID: v.User.ID, Live: true, Before: before, Limit: runningShown + 1}
	if l.live, err = s.store.TaskList(ctx, running); err != nil {
		return l, err
	}
	if len(l.live) > runningShown {
		l.live = l.live[:runningShown]
		l.pages.Older = s.at("/agents", queryBefore, l.live[runningShown-1].ID)
	}
	if before != "" {
		l.pages.Newest = here
	}
	if l.pages != (web.Pages{}) {
		if l.inAll, err = s.countTasks(ctx, store.TaskFilter{UserID: v.User.ID, Live: true}); err != nil {
			return l, err
		}
	}
	return l, s.finishedList(ctx, v, &l, finished, told)
}

// finishedList adds the ended tasks of the page, and those that its notice is about.
func (s *Server) finishedList(ctx context.Context, v *visitor, l *agentsList, before, told string) (err error) {
	f := store.TaskFilter{UserID: v.User.ID, Ended: true, Before: before, Limit: finishedShown + 1}
	if told == endedAll {
		f.Limit = tasksCounted // what the page says must hold for all
	}
	if l.ended, err = s.store.TaskList(ctx, f); err != nil {
		return err
	}
	if len(l.ended) > finishedShown {
		l.finishedPages.Older = s.at("/agents", queryFinished, l.ended[finishedShown-1].ID)
		if told != endedAll {
			l.ended = l.ended[:finishedShown]
		}
	}
	if before != "" {
		l.finishedPages.Newest = s.base + "/agents"
	}
	if told == "" || told == endedAll || slices.ContainsFunc(l.ended, func(t store.Task) bool { return t.ID == told }) {
		return nil
	}
	t, _, err := s.store.TaskByID(ctx, told)
	if t.State.Terminal() { // listed first: it is what the page is about
		l.ended = append([]store.Task{t}, l.ended...)
	}
	return err
}

// countTasks says how many tasks there are, up to a number beyond which nobody counts.
func (s *Server) countTasks(ctx context.Context, f store.TaskFilter) (string, error) {
	f.Limit = tasksCounted + 1
	n, err := s.store.TaskCount(ctx, f)
	if n > tasksCounted {
		return fmt.Sprintf("%d+", tasksCounted), err
	}
	return fmt.Sprint(n), err
}
