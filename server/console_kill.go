package server

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// killTimes are how long a person may stop something by choosing from a list, in seconds.
var killTimes = []int64{900, 3600, 4 * 3600, 24 * 3600, 0}

// consoleKills serves GET /admin/kill: what is stopped, what was, and the way to stop more.
func (s *Server) consoleKills(w http.ResponseWriter, r *http.Request, d *desk) error {
	ctx := r.Context()
	all, err := s.store.Switches(ctx, true)
	if err != nil {
		return err
	}
	view := web.ConsoleList{
		Desk: s.desk(ctx, d, "/admin/kill", cli("kill list", nil, "--all")), Title: say(ctx, textKill), Note: say(ctx, textKillNote),
		Table: web.Table{Name: say(ctx, textKill), Heads: sayAll(ctx, "Stops", "State", "Made", "Until", "By"), Empty: say(ctx, textNoKills)},
	}
	book, err := s.consoleBook(ctx)
	if err != nil {
		return err
	}
	for _, sw := range all {
		row, err := s.killRow(ctx, book, sw)
		if err != nil {
			return err
		}
		view.Table.Rows = append(view.Table.Rows, row)
	}
	if d.may(store.RoleRevoker) {
		view.Filter = s.killForm(ctx, r)
		view.CLI = append(view.CLI, cli("kill user", on("EMAIL"), "--for", "1h", "--reason", "…"))
	}
	return s.render(w, r, http.StatusOK, web.ConsoleListPage(view))
}

// killForm asks what to stop; the next page counts.
func (s *Server) killForm(ctx context.Context, r *http.Request) web.Filter {
	q := r.URL.Query()
	levels := web.Pick{Name: web.FieldLevel, Label: say(ctx, textStop)}
	for _, level := range store.Levels {
		levels.Options = append(levels.Options, web.Option{Value: string(level), Text: say(ctx, textLevels[level]), Selected: q.Get(web.FieldLevel) == string(level)})
	}
	times := web.Pick{Name: web.FieldSeconds, Label: say(ctx, textForHowLong)}
	for _, seconds := range killTimes {
		times.Options = append(times.Options, web.Option{Value: strconv.FormatInt(seconds, 10), Text: forText(ctx, seconds), Selected: seconds == 3600})
	}
	return web.Filter{
		Action: s.base + "/admin/kill/review", Picks: []web.Pick{levels, times},
		Texts: []web.TextField{
			{Name: web.FieldSubject, Label: say(ctx, textSubject), Value: q.Get(web.FieldSubject)}, {Name: web.FieldTool, Label: say(ctx, textToolOnly), Value: q.Get(web.FieldTool)},
		},
	}
}

func forText(ctx context.Context, seconds int64) string {
	if seconds == 0 {
		return say(ctx, textUntilLifted)
	}
	return spanText(time.Duration(seconds) * time.Second)
}

// killName says what a switch stops.
func killName(ctx context.Context, sw store.Switch) string {
	return strings.TrimSpace(say(ctx, textLevels[sw.Level]) + " " + strings.TrimSpace(sw.Tool+" "+sw.Subject))
}

func killChip(ctx context.Context, sw store.Switch) web.Chip {
	chip := web.Chip{Text: say(ctx, textSwitchStates[sw.State]), Tone: web.ToneInfo, Icon: "check"}
	switch sw.State {
	case store.SwitchThrown:
		chip.Tone, chip.Icon = web.ToneBad, "stop"
	case store.SwitchWaiting:
		chip.Tone, chip.Icon = web.ToneWarn, "alert"
	}
	return chip
}

func (s *Server) killRow(ctx context.Context, book *consoleBook, sw store.Switch) (web.TableRow, error) {
	by := say(ctx, textBy[sw.By])
	if sw.Person != "" {
		if err := book.meet(ctx, sw.Person); err != nil {
			return web.TableRow{}, err
		}
		by = book.people[sw.Person]
	}
	until := say(ctx, textUntilLifted)
	switch {
	case !sw.LiftedAt.IsZero():
		until = clock(ctx, sw.LiftedAt)
	case !sw.Until.IsZero():
		until = clock(ctx, sw.Until)
	}
	return web.TableRow{Cells: []web.Cell{
		{Text: killName(ctx, sw), Href: s.base + "/admin/kill/" + sw.ID},
		{Chip: killChip(ctx, sw)},
		{Text: clock(ctx, sw.CreatedAt)},
		{Text: until},
		{Text: by, Free: sw.Reason},
	}}, nil
}

// killAsked reads what a form or an address asks to stop.
func killAsked(get func(string) string) (in throwing, err error) {
	in = throwing{Level: store.Level(get(web.FieldLevel)), Subject: strings.TrimSpace(get(web.FieldSubject)), Tool: strings.TrimSpace(get(web.FieldTool))}
	if in.Level != store.LevelTool {
		in.Tool = ""
	}
	if raw := get(web.FieldSeconds); raw != "" {
		if in.Seconds, err = strconv.ParseInt(raw, 10, 64); err != nil {
			return in, bad("seconds is a number")
		}
	}
	return in, nil
}

// line is the command that does the same.
func (in throwing) line(more ...string) string {
	about, flags := slices.DeleteFunc(on(in.Subject, in.Tool), func(word string) bool { return word == "" }), []string(nil)
	if in.Seconds > 0 {
		flags = append(flags, "--for", strconv.FormatInt(in.Seconds, 10)+"s")
	}
	return cli("kill "+string(in.Level), about, append(flags, more...)...)
}

// consoleKillReview serves GET /admin/kill/review?level=…: what would stop, before it does.
func (s *Server) consoleKillReview(w http.ResponseWriter, r *http.Request, d *desk) error {
	ctx := r.Context()
	in, err := killAsked(r.URL.Query().Get)
	if err != nil {
		return err
	}
	sw, err := s.aimSwitch(ctx, d.acting, in)
	if err != nil {
		return err
	}
	planned, err := s.store.HeldBy(ctx, sw)
	if err != nil {
		return err
	}
	view := web.ConsoleItem{
		Desk: s.desk(ctx, d, "/admin/kill", in.line("--dry-run"), in.line("--reason", "…")), Title: say(ctx, textKillTitle, killName(ctx, sw)),
		Back: web.Link{Text: say(ctx, textKill), Href: s.base + "/admin/kill"}, State: web.Chip{Text: countText(ctx, len(planned)), Tone: web.ToneWarn, Icon: "alert"},
		Facts: []web.Fact{{Name: say(ctx, textForHowLong), Cells: []web.Cell{{Text: forText(ctx, in.Seconds)}}}},
	}
	note := say(ctx, textKillNow)
	if sw.Level == store.LevelEverything && s.twoPersons {
		note = say(ctx, textKillTwo)
	}
	view.Forms = []web.ConsoleForm{{
		ID: "kill", Title: say(ctx, textStop), Note: note, Count: len(planned),
		Hidden: []web.Field{
			{Name: web.FieldLevel, Value: string(in.Level)},
			{Name: web.FieldSubject, Value: in.Subject},
			{Name: web.FieldTool, Value: in.Tool},
			{Name: web.FieldSeconds, Value: strconv.FormatInt(in.Seconds, 10)},
		},
		Buttons: []web.ConsoleButton{{Text: say(ctx, textStop), Action: s.base + "/admin/kill", Icon: "stop", Danger: true}},
	}}
	section := web.Section{ID: "planned", Title: say(ctx, textWouldStop), Empty: say(ctx, textNoTaskStops)}
	if len(planned) > 0 {
		listed := planned[:min(len(planned), tasksListed)]
		book, err := s.consoleBook(ctx, listed...)
		if err != nil {
			return err
		}
		table := book.table(ctx, listed, false)
		section.Table, section.Empty = &table, ""
		if len(planned) > len(listed) {
			section.Note = say(ctx, textNewestOnly, len(listed))
		}
	}
	view.Sections = []web.Section{section}
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
}

// consoleKill serves POST /admin/kill.
func (s *Server) consoleKill(w http.ResponseWriter, r *http.Request, d *desk) error {
	reason, err := d.reason(r.Context())
	if err != nil {
		return err
	}
	in, err := killAsked(d.form.Get)
	if err != nil {
		return err
	}
	in.Reason = reason
	sw, err := s.aimSwitch(r.Context(), d.acting, in)
	if err != nil {
		return err
	}
	planned, err := s.store.HeldBy(r.Context(), sw)
	if err != nil {
		return err
	}
	if err := d.countedAs(r.Context(), len(planned), textRetypeStop); err != nil {
		return err
	}
	if sw, err = s.throwSwitch(r.Context(), d.acting, in); err != nil {
		return err
	}
	http.Redirect(w, r, s.at("/admin/kill/"+sw.ID), http.StatusSeeOther)
	return nil
}

// consoleKillOne serves GET /admin/kill/{id}: what it stops, where that is in force, and the way back.
func (s *Server) consoleKillOne(w http.ResponseWriter, r *http.Request, d *desk) error {
	ctx := r.Context()
	sw, err := s.store.SwitchByID(ctx, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	book, err := s.consoleBook(ctx)
	if err != nil {
		return err
	}
	row, err := s.killRow(ctx, book, sw)
	if err != nil {
		return err
	}
	view := web.ConsoleItem{
		Desk: s.desk(ctx, d, "/admin/kill", cli("kill show", on(sw.ID))), Title: killName(ctx, sw), Free: sw.Reason, State: killChip(ctx, sw),
		Back: web.Link{Text: say(ctx, textKill), Href: s.base + "/admin/kill"},
		Facts: []web.Fact{
			{Name: say(ctx, "Made"), Cells: row.Cells[2:3]}, {Name: say(ctx, "Until"), Cells: row.Cells[3:4]}, {Name: say(ctx, "By"), Cells: []web.Cell{{Text: row.Cells[4].Text}}},
		},
	}
	if sw.Second != "" {
		if err := book.meet(ctx, sw.Second); err != nil {
			return err
		}
		view.Facts = append(view.Facts, web.Fact{Name: say(ctx, textConfirmedBy), Cells: []web.Cell{{Text: book.people[sw.Second]}}})
	}
	s.killForms(ctx, d, sw, &view)
	told, err := s.store.SwitchTold(ctx, sw.ID)
	if err != nil {
		return err
	}
	table := web.Table{Name: say(ctx, textWhereStopped), Heads: sayAll(ctx, "Resource", "In force"), Empty: say(ctx, textNobodyTold)}
	for _, e := range told {
		chip := web.Chip{Text: say(ctx, textNotYet), Tone: web.ToneWarn, Icon: "alert"}
		if !e.AckedAt.IsZero() {
			chip = web.Chip{Text: say(ctx, textInForce, tookText(ctx, e.AckedAt.Sub(e.At))), Tone: web.ToneOK, Icon: "check"}
		}
		table.Rows = append(table.Rows, web.TableRow{Cells: []web.Cell{{Text: e.Resource, Href: s.at("/admin/resource", web.FieldResource, e.Resource)}, {Chip: chip}}})
	}
	view.Sections = []web.Section{{ID: "propagation", Title: say(ctx, textWhereStopped), Note: say(ctx, textPropagationNote), Table: &table}}
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
}

// killForms are what this person may do about the switch.
func (s *Server) killForms(ctx context.Context, d *desk, sw store.Switch, view *web.ConsoleItem) {
	id := []web.Field{{Name: web.FieldSwitch, Value: sw.ID}}
	if sw.State == store.SwitchWaiting && d.may(store.RoleAdmin) && sw.Person != d.person {
		view.CLI = append(view.CLI, cli("kill confirm", on(sw.ID), "--reason", "…"))
		view.Forms = append(view.Forms, web.ConsoleForm{
			ID: "confirm", Title: say(ctx, textConfirm), Note: say(ctx, textConfirmNote), Hidden: id,
			Buttons: []web.ConsoleButton{{Text: say(ctx, textConfirm), Action: s.base + "/admin/kill/confirm", Icon: "stop", Danger: true}},
		})
	}
	open := []store.SwitchState{store.SwitchThrown, store.SwitchWaiting}
	if slices.Contains(open, sw.State) && d.may(store.RoleRevoker) && (d.may(store.RoleAdmin) || sw.By == store.ByRevoker) {
		view.CLI = append(view.CLI, cli("kill lift", on(sw.ID), "--reason", "…"))
		view.Forms = append(view.Forms, web.ConsoleForm{
			ID: "lift", Title: say(ctx, textLift), Note: say(ctx, textLiftNote), Hidden: id,
			Buttons: []web.ConsoleButton{{Text: say(ctx, textLift), Action: s.base + "/admin/kill/lift", Icon: "play"}},
		})
	}
}

// consoleLift serves POST /admin/kill/lift.
func (s *Server) consoleLift(w http.ResponseWriter, r *http.Request, d *desk) error {
	return s.moveSwitch(w, r, d, s.takeBack)
}

// consoleConfirm serves POST /admin/kill/confirm.
func (s *Server) consoleConfirm(w http.ResponseWriter, r *http.Request, d *desk) error {
	return s.moveSwitch(w, r, d, s.secondSwitch)
}

func (s *Server) moveSwitch(w http.ResponseWriter, r *http.Request, d *desk, move func(context.Context, acting, string, string) (store.Switch, error)) error {
	reason, err := d.reason(r.Context())
	if err != nil {
		return err
	}
	sw, err := move(r.Context(), d.acting, d.form.Get(web.FieldSwitch), reason)
	if err != nil {
		return err
	}
	http.Redirect(w, r, s.at("/admin/kill/"+sw.ID), http.StatusSeeOther)
	return nil
}
