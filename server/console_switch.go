package server

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// A kill switch is for one user, one client or one resource. Its page counts first what will end.

// lever is one kill switch, found by what a request names.
type lever struct {
	name     string // as people know it
	note     string // what disabling does
	page     string // where the thing is shown
	field    web.Field
	target   store.Target
	reason   string   // why its tasks end
	noun     string   // remit noun verb …
	about    []string // and what it is about, by its place or by a flag
	flags    []string
	disabled bool
	user     store.User // of a user's
}

// lever finds the one thing that is named; get reads the query or the form.
func (s *Server) lever(ctx context.Context, get func(string) string) (lever, error) {
	user, client, resource := get(web.FieldUser), get(web.FieldClient), get(web.FieldResource)
	switch {
	case user != "" && client+resource == "":
		u, err := s.userNamed(ctx, user)
		return lever{
			name: u.Email, note: say(ctx, textDisableUser), page: s.at("/admin/user", web.FieldUser, u.ID), field: web.Field{Name: web.FieldUser, Value: u.ID},
			target: store.Target{UserID: u.ID}, reason: "user_disabled", noun: "user", flags: []string{"--email", u.Email}, disabled: u.Disabled, user: u,
		}, err
	case client != "" && user+resource == "":
		c, err := s.store.ClientByID(ctx, client)
		return lever{
			name: clientHost(ctx, c), note: say(ctx, textDisableClient), page: s.at("/admin/client", web.FieldClient, c.ID), field: web.Field{Name: web.FieldClient, Value: c.ID},
			target: store.Target{ClientID: c.ID}, reason: "client_disabled", noun: "client", about: on(c.ID), disabled: c.Disabled,
		}, err
	case resource != "" && user+client == "":
		res, err := s.store.ResourceByURI(ctx, resource)
		return lever{
			name: res.Name, note: say(ctx, textDisableServer), page: s.at("/admin/resource", web.FieldResource, res.URI), field: web.Field{Name: web.FieldResource, Value: res.URI},
			target: store.Target{Resource: res.URI}, reason: "resource_disabled", noun: "resource", about: on(res.URI), disabled: res.Disabled,
		}, err
	}
	return lever{}, bad("name one user, one client or one resource")
}

// line is the command that does the same.
func (l lever) line(verb string, more ...string) string {
	return cli(l.noun+" "+verb, l.about, slices.Concat(l.flags, more)...)
}

// throw moves the switch.
func (s *Server) throw(ctx context.Context, a acting, l lever, disabled bool, reason string) (err error) {
	switch {
	case l.target.UserID != "":
		_, err = s.switchUser(ctx, a, l.user, disabled, reason)
	case l.target.ClientID != "":
		_, err = s.switchClient(ctx, a, l.target.ClientID, disabled, reason)
	default:
		_, err = s.switchResource(ctx, a, l.target.Resource, disabled, reason)
	}
	return err
}

// consoleReviewDisable serves GET /admin/disable?user=|client=|resource=: what would end.
func (s *Server) consoleReviewDisable(w http.ResponseWriter, r *http.Request, d *desk) error {
	l, err := s.lever(r.Context(), r.URL.Query().Get)
	if err != nil {
		return err
	}
	planned, err := s.store.WouldEnd(r.Context(), l.target)
	if err != nil {
		return err
	}
	view := web.ConsoleItem{
		Desk: s.desk(r.Context(), d, "", l.line("disable", "--dry-run"), l.line("disable", "--reason", "…")), Title: say(r.Context(), textDisableTitle, l.name),
		Back: web.Link{Text: l.name, Href: l.page}, State: web.Chip{Text: countText(r.Context(), len(planned)), Tone: web.ToneWarn, Icon: "alert"},
		Forms: []web.ConsoleForm{{
			ID: "disable", Title: say(r.Context(), textDisableNow), Note: l.note, Count: len(planned), Hidden: []web.Field{l.field},
			Buttons: []web.ConsoleButton{{Text: say(r.Context(), textDisableNow), Action: s.base + "/admin/disable", Icon: "stop", Danger: true}},
		}},
	}
	section := web.Section{ID: "planned", Title: say(r.Context(), textWouldEnd), Empty: say(r.Context(), textNoTaskEnds)}
	if len(planned) > 0 {
		listed := planned[:min(len(planned), tasksListed)]
		book, err := s.consoleBook(r.Context(), listed...)
		if err != nil {
			return err
		}
		table := book.table(r.Context(), listed, false)
		section.Table, section.Empty = &table, ""
		if len(planned) > len(listed) {
			section.Note = say(r.Context(), textNewestOnly, len(listed))
		}
	}
	view.Sections = []web.Section{section}
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
}

// consoleDisable serves POST /admin/disable: nothing runs there any more, and nothing starts.
func (s *Server) consoleDisable(w http.ResponseWriter, r *http.Request, d *desk) error {
	l, reason, err := s.pulled(r, d)
	if err != nil {
		return err
	}
	planned, err := s.store.WouldEnd(r.Context(), l.target)
	if err != nil {
		return err
	}
	if err := d.counted(r.Context(), len(planned)); err != nil {
		return err
	}
	if err := s.acknowledged(r.Context(), planned, func() error { return s.throw(r.Context(), d.acting, l, true, reason) }); err != nil {
		return err
	}
	http.Redirect(w, r, l.page, http.StatusSeeOther)
	return nil
}

// consoleEnable serves POST /admin/enable; what has ended stays ended.
func (s *Server) consoleEnable(w http.ResponseWriter, r *http.Request, d *desk) error {
	l, reason, err := s.pulled(r, d)
	if err != nil {
		return err
	}
	if err := s.throw(r.Context(), d.acting, l, false, reason); err != nil {
		return err
	}
	http.Redirect(w, r, l.page, http.StatusSeeOther)
	return nil
}

func (s *Server) pulled(r *http.Request, d *desk) (l lever, reason string, err error) {
	if reason, err = d.reason(r.Context()); err != nil {
		return l, "", err
	}
	l, err = s.lever(r.Context(), d.form.Get)
	return l, reason, err
}

// switches adds to a thing's page what may be done with its switch, and what the last disabling did.
func (s *Server) switches(ctx context.Context, d *desk, l lever, view *web.ConsoleItem) error {
	view.Links = append(view.Links, web.Link{Text: say(ctx, textSeeTasks), Href: s.at("/admin", l.field.Name, l.field.Value, web.FieldState, anyState)})
	view.State = ableChip(ctx, l.disabled)
	if !l.disabled {
		view.CLI = append(view.CLI, l.line("disable", "--reason", "…"))
		if d.may(store.RoleRevoker) {
			view.Danger = append(view.Danger, web.Link{Text: say(ctx, textDisable), Href: s.at("/admin/disable", l.field.Name, l.field.Value)})
		}
		return nil
	}
	view.CLI = append(view.CLI, l.line("enable", "--reason", "…"))
	if d.may(store.RoleAdmin) {
		view.Forms = append(view.Forms, web.ConsoleForm{
			ID: "enable", Title: say(ctx, textEnable), Note: say(ctx, textEnableNote), Hidden: []web.Field{l.field},
			Buttons: []web.ConsoleButton{{Text: say(ctx, textEnable), Action: s.base + "/admin/enable", Icon: "play"}},
		})
	}
	ids, err := s.endedBy(ctx, l)
	if err != nil {
		return err
	}
	reach, err := s.propagation(ctx, ids)
	if reach != nil {
		view.Sections = append(view.Sections, *reach)
	}
	return err
}

// endedBy returns the tasks that the newest disabling ended: they ended in one step.
func (s *Server) endedBy(ctx context.Context, l lever) (ids []string, err error) {
	f := store.TaskFilter{UserID: l.target.UserID, ClientID: l.target.ClientID, Resource: l.target.Resource, State: store.TaskRevoked, Limit: 1000}
	tasks, err := s.store.TaskList(ctx, f)
	var newest time.Time
	for _, t := range tasks {
		if t.Reason != l.reason || t.EndedAt.Before(newest) {
			continue
		}
		if t.EndedAt.After(newest) {
			newest, ids = t.EndedAt, nil
		}
		ids = append(ids, t.ID)
	}
	return ids, err
}

func ableChip(ctx context.Context, disabled bool) web.Chip {
	if disabled {
		return web.Chip{Text: say(ctx, textDisabled), Tone: web.ToneBad, Icon: "cross"}
	}
	return web.Chip{Text: say(ctx, textEnabled), Tone: web.ToneOK, Icon: "check"}
}
