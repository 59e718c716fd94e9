package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

const (
	tasksListed    = 20
	recordsShown   = 100
	newestFindings = 3              // above the tasks
	findingsFresh  = 24 * time.Hour // and no older ones
	anyState       = "any"
)

// consoleTasks serves GET /admin: tasks, by a filter that stands in the address.
func (s *Server) consoleTasks(w http.ResponseWriter, r *http.Request, d *desk) error {
	q := readTaskQuery(r.URL.Query())
	view := web.ConsoleTasks{Desk: s.desk(r.Context(), d, "/admin", q.line("task list"), q.line("task export", "--format", "csv")), AllOf: s.base + "/admin/findings"}
	f, err := s.tasksWanted(r.Context(), q.wanted())
	f.Before, f.Limit = r.URL.Query().Get(queryBefore), tasksListed+1
	var tasks []store.Task
	var count string
	switch {
	case errors.Is(err, store.ErrUserNotFound):
		view.Notice, view.NoticeTone = say(r.Context(), textNoSuchUser), web.ToneWarn
	case errors.Is(err, errToolAmongAll):
		view.Notice, view.NoticeTone = say(r.Context(), textToolAmongAll), web.ToneWarn
	case err != nil:
		return err
	default:
		if tasks, count, err = s.filtered(r.Context(), f); err != nil {
			return err
		}
	}
	here := q.said()
	view.Exports = s.exportLinks(r.Context(), nil, "/admin/export/tasks", here)
	if len(tasks) > tasksListed {
		tasks = tasks[:tasksListed]
		view.Pages.Older = s.at("/admin", set(append(here, queryBefore, tasks[tasksListed-1].ID))...)
	}
	if f.Before != "" {
		view.Pages.Newest = s.at("/admin", set(here)...)
	}
	if view.Counts = countText(r.Context(), len(tasks)); view.Pages != (web.Pages{}) {
		view.Counts = say(r.Context(), textNewestTasks, len(tasks), count)
	}
	book, err := s.consoleBook(r.Context(), tasks...)
	if err != nil {
		return err
	}
	if d.may(store.RoleRevoker) {
		view.EndURL = s.base + "/admin/end"
		view.More = []web.ConsoleButton{
			{Text: say(r.Context(), textBlockDots), Action: s.base + "/admin/block"},
			{Text: say(r.Context(), textReconsentDots), Action: s.base + "/admin/reconsent"},
		}
	}
	view.Table = book.table(r.Context(), tasks, view.EndURL != "")
	if view.Filter, err = s.taskFilter(r.Context(), q); err != nil {
		return err
	}
	if err := s.overviewOf(r.Context(), &view); err != nil {
		return err
	}
	if d.may(store.RoleRevoker) {
		view.Danger = []web.Link{{Text: say(r.Context(), textKillDots), Href: s.base + "/admin/kill"}}
	}
	if view.Findings, err = s.freshFindings(r.Context(), d); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, web.ConsoleTasksPage(view))
}

// filtered returns a page of tasks, and how many the filter selects in all.
func (s *Server) filtered(ctx context.Context, f store.TaskFilter) (tasks []store.Task, count string, err error) {
	if tasks, err = s.store.TaskList(ctx, f); err != nil {
		return nil, "", err
	}
	f.Before = ""
	count, err = s.countTasks(ctx, f)
	return tasks, count, err
}

// set leaves out of a query's names and values those that say nothing.
func set(query []string) (said []string) {
	for i := 0; i+1 < len(query); i += 2 {
		if query[i+1] != "" {
			said = append(said, query[i], query[i+1])
		}
	}
	return said
}

func countText(ctx context.Context, n int) string {
	if n == 1 {
		return say(ctx, textOneTask)
	}
	return say(ctx, textManyTasks, n)
}

// consoleTask serves GET /admin/tasks/{id}: the task, what may be done about it, where its end is in
// force, and its timeline.
func (s *Server) consoleTask(w http.ResponseWriter, r *http.Request, d *desk) error {
	t, grants, err := s.store.TaskByID(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	book, err := s.consoleBook(r.Context(), t)
	if err != nil {
		return err
	}
	view := web.ConsoleItem{
		Desk: s.desk(r.Context(), d, "/admin", cli("task show", on(t.ID))), Title: t.ID, Free: t.Purpose, State: book.state(r.Context(), t),
		Back: web.Link{Text: say(r.Context(), textTasks), Href: s.base + "/admin"}, Facts: book.facts(r.Context(), t, grants),
	}
	if view.Forms, err = s.taskForms(r.Context(), d, t); err != nil {
		return err
	}
	for _, f := range view.Forms {
		for _, b := range f.Buttons {
			verb := strings.TrimPrefix(b.Action, s.base+"/admin/")
			view.CLI = append(view.CLI, cli("task "+verb, on(t.ID), "--reason", "…"))
		}
	}
	reach, err := s.propagation(r.Context(), []string{t.ID})
	if err != nil {
		return err
	}
	if len(reach.Table.Rows) > 0 {
		view.Sections = append(view.Sections, *reach)
	}
	timeline, err := s.timeline(r, d, book, t)
	if err != nil {
		return err
	}
	view.Sections = append(view.Sections, timeline)
	view.CLI = append(view.CLI, cli("audit tail", nil, "--task", t.ID))
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
}

// facts are what a task is.
func (b *consoleBook) facts(ctx context.Context, t store.Task, grants []store.Grant) []web.Fact {
	key := web.Cell{Text: t.JKT}
	if t.JKT == "" {
		key = web.Cell{Chip: web.Chip{Text: say(ctx, textUnbound), Tone: web.ToneWarn, Icon: "key"}}
	}
	calls := fmt.Sprint(b.calls[t.ID].All)
	if t.MaxCalls > 0 {
		calls = say(ctx, "%d, %d of %d used", b.calls[t.ID].All, t.CallsUsed, t.MaxCalls)
	}
	ends := web.Fact{Name: say(ctx, "Ends"), Cells: []web.Cell{{Text: clock(ctx, t.EndsAt)}}}
	if t.State.Terminal() {
		ends = web.Fact{Name: say(ctx, "Ended"), Cells: []web.Cell{{Text: clock(ctx, t.EndedAt), Free: customReason(t)}}}
	}
	facts := []web.Fact{
		{Name: say(ctx, "User"), Cells: []web.Cell{b.userCell(t.UserID)}},
		{Name: say(ctx, "Agent"), Cells: []web.Cell{b.clientCell(ctx, t.ClientID)}},
		{Name: say(ctx, "Its key"), Cells: []web.Cell{key}},
	}
	if t.Parent != "" {
		facts = append(facts, web.Fact{Name: say(ctx, "Under"), Cells: []web.Cell{{Text: t.Parent, Href: b.taskURL(t.Parent)}}})
	}
	for _, g := range grants {
		cell := b.resourceCell(g.Resource)
		cell.Note = strings.Join(grantedTools(g), ", ")
		switch {
		case superseded(g, grants):
			cell.Chip = web.Chip{Text: say(ctx, "replaced %s", clock(ctx, g.EndedAt)), Tone: web.ToneInfo, Icon: "arrow"}
		case !g.EndedAt.IsZero():
			cell.Chip = web.Chip{Text: say(ctx, "ended %s", clock(ctx, g.EndedAt)), Tone: web.ToneInfo, Icon: "stop"}
		}
		facts = append(facts, web.Fact{Name: say(ctx, "May use"), Cells: []web.Cell{cell}})
	}
	facts = append(facts,
		web.Fact{Name: say(ctx, "Calls"), Cells: []web.Cell{{Text: calls, Note: b.blocked(ctx, t)}}},
		web.Fact{Name: say(ctx, "Started"), Cells: []web.Cell{{Text: clock(ctx, t.CreatedAt)}}}, ends,
		web.Fact{Name: say(ctx, "Last use"), Cells: []web.Cell{{Text: b.ago(ctx, t.SeenAt)}}})
	if t.State == store.TaskSuspended {
		facts = append(facts, web.Fact{Name: say(ctx, "Suspended"), Cells: []web.Cell{{Text: say(ctx, "by %s", say(ctx, textBy[t.SuspendedBy])), Free: customReason(t)}}})
	}
	return facts
}

// customReason is the reason, when a person gave it.
func customReason(t store.Task) string {
	if _, ours := textWhy[t.Reason]; ours {
		return ""
	}
	return t.Reason
}

// taskForms are what this person may do about the task.
func (s *Server) taskForms(ctx context.Context, d *desk, t store.Task) ([]web.ConsoleForm, error) {
	if t.State.Terminal() || !d.may(store.RoleRevoker) {
		return nil, nil
	}
	tree, err := s.store.WouldEnd(ctx, store.Target{TaskIDs: []string{t.ID}})
	if err != nil {
		return nil, err
	}
	form := web.ConsoleForm{ID: "act", Title: say(ctx, textAct), Note: say(ctx, textActNote), Hidden: []web.Field{{Name: web.FieldTask, Value: t.ID}}}
	// The first button is what Enter presses: what can be undone.
	switch {
	case t.State == store.TaskActive:
		form.Buttons = append(form.Buttons, web.ConsoleButton{Text: say(ctx, textSuspendThis), Action: s.base + "/admin/suspend", Icon: "pause"})
	case t.State == store.TaskSuspended && (d.may(store.RoleAdmin) || t.SuspendedBy == d.by):
		form.Buttons = append(form.Buttons, web.ConsoleButton{Text: say(ctx, textResumeThis), Action: s.base + "/admin/resume", Icon: "play"})
	}
	end := web.ConsoleButton{Text: say(ctx, textEndThis), Action: s.base + "/admin/end", Icon: "stop", Danger: true}
	if len(tree) > 1 {
		end.Text = say(ctx, textEndTree, len(tree)-1)
		form.Hidden = append(form.Hidden, web.Field{Name: web.FieldShown, Value: strconv.Itoa(len(tree))}, web.Field{Name: web.FieldCount, Value: strconv.Itoa(len(tree))})
	}
	form.Buttons = append(form.Buttons, end)
	return []web.ConsoleForm{form}, nil
}

// superseded reports whether a step-up has put another grant in the place of this one.
func superseded(g store.Grant, all []store.Grant) bool {
	return !g.EndedAt.IsZero() && slices.ContainsFunc(all, func(o store.Grant) bool {
		return o.ID != g.ID && o.Resource == g.Resource && !o.Waiting && !o.CreatedAt.Before(g.CreatedAt) && (o.EndedAt.IsZero() || o.EndedAt.After(g.EndedAt))
	})
}
