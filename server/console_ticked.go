package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// What else than their end may be asked for ticked tasks: to block their agents for a while, and to have
// their users asked anew. Both show first what they would stop or end.

// tickedForm is the page that counts before a form does something for the ticked tasks.
func (s *Server) tickedForm(ctx context.Context, d *desk, ids []string, planned []store.Task, form web.ConsoleForm, heading string) (web.ConsoleItem, error) {
	form.Count = len(planned)
	for _, id := range ids {
		form.Hidden = append(form.Hidden, web.Field{Name: web.FieldTask, Value: id})
	}
	view := web.ConsoleItem{
		Desk: s.desk(ctx, d, "/admin"), Title: form.Title, Back: web.Link{Text: say(ctx, textTasks), Href: s.base + "/admin"},
		State: web.Chip{Text: countText(ctx, len(planned)), Tone: web.ToneWarn, Icon: "alert"}, Forms: []web.ConsoleForm{form},
	}
	if len(planned) == 0 {
		return view, nil
	}
	listed := planned[:min(len(planned), tasksListed)]
	book, err := s.consoleBook(ctx, listed...)
	if err != nil {
		return view, err
	}
	table := book.table(ctx, listed, false)
	section := web.Section{ID: "planned", Title: heading, Table: &table}
	if len(planned) > len(listed) {
		section.Note = say(ctx, textNewestOnly, len(listed))
	}
	view.Sections = []web.Section{section}
	return view, nil
}

// reasonAndTicked are what every form about ticked tasks says: why, and which.
func (d *desk) reasonAndTicked(ctx context.Context) (reason string, ids []string, err error) {
	if reason, err = d.reason(ctx); err != nil {
		return "", nil, err
	}
	ids, err = ticked(ctx, d.form.All(web.FieldTask))
	return reason, ids, err
}

// agentsOf are the clients of these tasks, and the tasks that a kill switch for each would hold.
func (s *Server) agentsOf(ctx context.Context, ids []string) (clients []string, held []store.Task, err error) {
	for _, id := range ids {
		t, _, err := s.store.TaskByID(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		if slices.Contains(clients, t.ClientID) {
			continue
		}
		clients = append(clients, t.ClientID)
		tasks, err := s.store.HeldBy(ctx, store.Switch{Level: store.LevelClient, Subject: t.ClientID})
		if err != nil {
			return nil, nil, err
		}
		held = join(held, tasks)
	}
	return clients, held, nil
}

// join adds to the tasks those that are not among them.
func join(all, more []store.Task) []store.Task {
	for _, t := range more {
		if !slices.ContainsFunc(all, func(o store.Task) bool { return o.ID == t.ID }) {
			all = append(all, t)
		}
	}
	return all
}

// consoleReviewBlock serves GET /admin/block?task=…: whom it would block, and what would stop.
func (s *Server) consoleReviewBlock(w http.ResponseWriter, r *http.Request, d *desk) error {
	ctx := r.Context()
	ids, err := ticked(ctx, r.URL.Query()[web.FieldTask])
	if err != nil {
		return err
	}
	clients, held, err := s.agentsOf(ctx, ids)
	if err != nil {
		return err
	}
	times := web.Pick{Name: web.FieldSeconds, Label: say(ctx, textForHowLong)}
	for _, seconds := range killTimes {
		times.Options = append(times.Options, web.Option{Value: strconv.FormatInt(seconds, 10), Text: forText(ctx, seconds), Selected: seconds == 3600})
	}
	text := say(ctx, textBlockAgent)
	if len(clients) > 1 {
		text = say(ctx, textBlockAgents, len(clients))
	}
	form := web.ConsoleForm{
		ID: "block", Title: text, Note: say(ctx, textBlockNote), Pick: times,
		Buttons: []web.ConsoleButton{{Text: text, Action: s.base + "/admin/block", Icon: "stop", Danger: true}},
	}
	view, err := s.tickedForm(ctx, d, ids, held, form, say(ctx, textWouldStop))
	if err != nil {
		return err
	}
	agents := web.Fact{Name: say(ctx, "Agent")}
	for _, id := range clients {
		c, err := s.store.ClientByID(ctx, id)
		if err != nil {
			return err
		}
		agents.Cells = append(agents.Cells, web.Cell{Text: clientHost(ctx, c), Href: s.at("/admin/client", web.FieldClient, id)})
		view.CLI = append(view.CLI, cli("kill client", on(id), "--dry-run"), cli("kill client", on(id), "--for", "1h", "--reason", "…"))
	}
	view.Facts = []web.Fact{agents}
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
}

// consoleBlock serves POST /admin/block: a kill switch for each of the agents.
func (s *Server) consoleBlock(w http.ResponseWriter, r *http.Request, d *desk) error {
	ctx := r.Context()
	reason, ids, err := d.reasonAndTicked(ctx)
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(d.form.Get(web.FieldSeconds), 10, 64)
	if err != nil {
		return bad("seconds is a number")
	}
	clients, held, err := s.agentsOf(ctx, ids)
	if err != nil {
		return err
	}
	if err := d.countedAs(ctx, len(held), textRetypeStop); err != nil {
		return err
	}
	var last store.Switch
	for i, id := range clients {
		in := throwing{Level: store.LevelClient, Subject: id, Seconds: seconds, Reason: reason}
		if last, err = s.throwSwitch(ctx, d.acting, in); err != nil {
			return halfDone(err, "%d of %d agents are blocked; of the others it is not known. See the kill switches, and send the form again for what is missing.", i, len(clients))
		}
	}
	to := s.at("/admin/kill/" + last.ID)
	if len(clients) > 1 {
		to = s.at("/admin/kill")
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// halfDone says how far an action came that the store failed on the way; what failed at once is as it is.
func halfDone(err error, text string, done, of int) error {
	if done == 0 {
		return err
	}
	return &problem{Status: http.StatusServiceUnavailable, Cause: err, Detail: fmt.Sprintf(text, done, of)}
}

// reconsents gathers what was lent by and to those of the ticked tasks, and all tasks that would end.
func (s *Server) reconsents(ctx context.Context, ids []string) (all []lent, planned []store.Task, err error) {
	if all, err = s.lentBy(ctx, ids); err != nil {
		return nil, nil, err
	}
	var live []string
	for _, l := range all {
		live = append(live, taskIDs(l.tasks)...)
	}
	if len(live) > 0 {
		planned, err = s.store.WouldEnd(ctx, store.Target{TaskIDs: live})
	}
	return all, planned, err
}

// consoleReviewReconsent serves GET /admin/reconsent?task=…: what would end and be forgotten.
func (s *Server) consoleReviewReconsent(w http.ResponseWriter, r *http.Request, d *desk) error {
	ctx := r.Context()
	ids, err := ticked(ctx, r.URL.Query()[web.FieldTask])
	if err != nil {
		return err
	}
	all, planned, err := s.reconsents(ctx, ids)
	if err != nil {
		return err
	}
	form := web.ConsoleForm{
		ID: "reconsent", Title: say(ctx, textReconsent), Note: say(ctx, textReconsentNote),
		Buttons: []web.ConsoleButton{{Text: say(ctx, textReconsent), Action: s.base + "/admin/reconsent", Icon: "stop", Danger: true}},
	}
	view, err := s.tickedForm(ctx, d, ids, planned, form, say(ctx, textWouldEnd))
	if err != nil {
		return err
	}
	book, err := s.consoleBook(ctx)
	if err != nil {
		return err
	}
	for _, l := range all {
		c, err := s.store.ClientByID(ctx, l.client)
		if err != nil {
			return err
		}
		if err := book.meet(ctx, l.user); err != nil {
			return err
		}
		book.clients[l.client] = c
		view.Facts = append(view.Facts, web.Fact{Name: say(ctx, "Asked anew"), Cells: []web.Cell{
			book.userCell(l.user), book.clientCell(ctx, l.client), {Note: say(ctx, textLentNow, len(l.tasks), len(l.choices))},
		}})
		view.CLI = append(view.CLI, cli("task reconsent", on(l.task), "--reason", "…"))
	}
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
}

// consoleReconsent serves POST /admin/reconsent.
func (s *Server) consoleReconsent(w http.ResponseWriter, r *http.Request, d *desk) error {
	ctx := r.Context()
	reason, ids, err := d.reasonAndTicked(ctx)
	if err != nil {
		return err
	}
	all, planned, err := s.reconsents(ctx, ids)
	if err != nil {
		return err
	}
	if err := d.counted(ctx, len(planned)); err != nil {
		return err
	}
	act := func() error {
		for i, l := range all {
			if _, _, err := s.reconsent(ctx, d.acting, l, reason); err != nil {
				return halfDone(err, "%d of %d users are asked anew; of the others it is not known. Send the form again: what has ended stays ended.", i, len(all))
			}
		}
		return nil
	}
	if err := s.acknowledged(ctx, planned, act); err != nil {
		return err
	}
	var query []string
	for _, id := range ids {
		query = append(query, web.FieldTask, id)
	}
	http.Redirect(w, r, s.at("/admin/ended", query...), http.StatusSeeOther)
	return nil
}
