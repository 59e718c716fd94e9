package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// ticked returns the tasks that a request names, each once.
func ticked(ctx context.Context, named []string) (ids []string, err error) {
	for _, id := range named {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		if len(ids) > maxTicked {
			break
		}
	}
	switch {
	case len(ids) == 0:
		return nil, bad(say(ctx, textNoneTicked))
	case len(ids) > maxTicked:
		return nil, bad(say(ctx, "At most %d tasks are ended at once.", maxTicked))
	}
	return ids, nil
}

// consoleReviewEnd serves GET /admin/end?task=…: what would end, before it does.
func (s *Server) consoleReviewEnd(w http.ResponseWriter, r *http.Request, d *desk) error {
	ids, err := ticked(r.Context(), r.URL.Query()[web.FieldTask])
	if err != nil {
		return err
	}
	planned, err := s.store.WouldEnd(r.Context(), store.Target{TaskIDs: ids})
	if err != nil {
		return err
	}
	view := web.ConsoleItem{Desk: s.desk(r.Context(), d, "/admin"), Title: say(r.Context(), textReviewEnd), Back: web.Link{Text: say(r.Context(), textTasks), Href: s.base + "/admin"}}
	view.State = web.Chip{Text: countText(r.Context(), len(planned)), Tone: web.ToneWarn, Icon: "alert"}
	form := web.ConsoleForm{
		ID: "end", Title: say(r.Context(), textEndTasks, len(planned)), Note: say(r.Context(), textReviewNote), Count: len(planned),
		Buttons: []web.ConsoleButton{{Text: say(r.Context(), textEndTasks, len(planned)), Action: s.base + "/admin/end", Icon: "stop", Danger: true}},
	}
	if len(planned) == 1 {
		form.Title, form.Buttons[0].Text = say(r.Context(), textEndThis), say(r.Context(), textEndThis)
	}
	for _, id := range ids {
		form.Hidden = append(form.Hidden, web.Field{Name: web.FieldTask, Value: id})
		view.CLI = append(view.CLI, cli("task end", on(id), "--reason", "…"))
	}
	if len(planned) == 0 {
		view.Title = say(r.Context(), textNothingEnds)
		return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
	}
	book, err := s.consoleBook(r.Context(), planned...)
	if err != nil {
		return err
	}
	table := book.table(r.Context(), planned, false)
	view.Forms = []web.ConsoleForm{form}
	view.Sections = []web.Section{{ID: "planned", Title: say(r.Context(), textWouldEnd), Table: &table}}
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
}

// counted refuses an action on several tasks unless the person has typed how many the page said. More
// that have come since then are no obstacle: who ends a hundred means the hundred and first too.
func (d *desk) counted(ctx context.Context, planned int) error {
	return d.countedAs(ctx, planned, textRetype)
}

func (d *desk) countedAs(ctx context.Context, planned int, text string) error {
	shown := d.form.Get(web.FieldShown)
	if shown == "" && planned <= 1 || shown != "" && strings.TrimSpace(d.form.Get(web.FieldCount)) == shown && shown != "0" {
		return nil
	}
	return &problem{Status: http.StatusConflict, Detail: say(ctx, text, planned)}
}

// consoleEnd serves POST /admin/end: the tasks and all under them are dead everywhere.
func (s *Server) consoleEnd(w http.ResponseWriter, r *http.Request, d *desk) error {
	reason, ids, err := d.reasonAndTicked(r.Context())
	if err != nil {
		return err
	}
	planned, err := s.store.WouldEnd(r.Context(), store.Target{TaskIDs: ids})
	if err != nil {
		return err
	}
	if err := d.counted(r.Context(), len(planned)); err != nil {
		return err
	}
	if err := s.acknowledged(r.Context(), planned, func() error { return s.endEach(r.Context(), d.acting, ids, reason) }); err != nil {
		return err
	}
	to := s.at("/admin/tasks/" + ids[0])
	if len(ids) > 1 {
		var query []string
		for _, id := range ids {
			query = append(query, web.FieldTask, id)
		}
		to = s.at("/admin/ended", query...)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// endEach ends the tasks one by one. One that had ended stays as it is; when the store fails on the
// way, the answer says how far it came, and the same form again finishes it.
func (s *Server) endEach(ctx context.Context, a acting, ids []string, reason string) error {
	for i, id := range ids {
		_, err := s.end(ctx, a, id, reason)
		switch {
		case err == nil, errors.Is(err, store.ErrTaskEnded):
		case errors.Is(err, store.ErrTaskNotFound):
			return err
		default:
			return &problem{Status: http.StatusServiceUnavailable, Cause: err, Detail: fmt.Sprintf(
				"%d of %d tasks have ended; of the others it is not known. Send the form again: what has ended stays ended.", i, len(ids))}
		}
	}
	return nil
}

// consoleEnded serves GET /admin/ended?task=…: what became of these tasks.
func (s *Server) consoleEnded(w http.ResponseWriter, r *http.Request, d *desk) error {
	ids, err := ticked(r.Context(), r.URL.Query()[web.FieldTask])
	if err != nil {
		return err
	}
	var tasks []store.Task
	ended := 0
	for _, id := range ids {
		t, _, err := s.store.TaskByID(r.Context(), id)
		if err != nil {
			return err
		}
		if tasks = append(tasks, t); t.State.Terminal() {
			ended++
		}
	}
	book, err := s.consoleBook(r.Context(), tasks...)
	if err != nil {
		return err
	}
	reach, err := s.propagation(r.Context(), ids)
	if err != nil {
		return err
	}
	table := book.table(r.Context(), tasks, false)
	view := web.ConsoleItem{
		Desk: s.desk(r.Context(), d, "/admin"), Title: say(r.Context(), "%d of %d tasks have ended", ended, len(ids)), Back: web.Link{Text: say(r.Context(), textTasks), Href: s.base + "/admin"},
		State:    web.Chip{Text: countText(r.Context(), ended), Tone: web.ToneOK, Icon: "stop"},
		Sections: []web.Section{*reach, {ID: "tasks", Title: say(r.Context(), textTasks), Table: &table}},
	}
	for _, id := range ids {
		view.CLI = append(view.CLI, cli("task show", on(id)))
	}
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
}

// consoleSuspend serves POST /admin/suspend.
func (s *Server) consoleSuspend(w http.ResponseWriter, r *http.Request, d *desk) error {
	return s.moveTask(w, r, d, s.suspend)
}

// consoleResume serves POST /admin/resume; what a rule suspended, an admin alone resumes.
func (s *Server) consoleResume(w http.ResponseWriter, r *http.Request, d *desk) error {
	return s.moveTask(w, r, d, s.resume)
}

func (s *Server) moveTask(w http.ResponseWriter, r *http.Request, d *desk, move func(context.Context, acting, string, string) (store.Task, error)) error {
	reason, err := d.reason(r.Context())
	if err != nil {
		return err
	}
	t, err := move(r.Context(), d.acting, cmp.Or(d.form.Get(web.FieldTask), "-"), reason)
	if err != nil {
		return err
	}
	http.Redirect(w, r, s.at("/admin/tasks/"+t.ID), http.StatusSeeOther)
	return nil
}
