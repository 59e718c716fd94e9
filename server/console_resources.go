package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// consoleResources serves GET /admin/resources.
func (s *Server) consoleResources(w http.ResponseWriter, r *http.Request, d *desk) error {
	resources, err := s.store.Resources(r.Context())
	if err != nil {
		return err
	}
	view := web.ConsoleList{
		Desk: s.desk(r.Context(), d, "/admin/resources", cli("resource list", nil)), Title: say(r.Context(), textResources),
		Table: web.Table{Name: say(r.Context(), textResources), Heads: []string{say(r.Context(), "Resource"), "URI", say(r.Context(), "Tools"), "Guard", say(r.Context(), "State")}, Empty: say(r.Context(), textNoResources)},
	}
	for _, res := range resources {
		tools := web.Cell{Text: fmt.Sprint(len(res.Tools))}
		if n := len(pendingTools(res.Tools)); n > 0 {
			tools.Chip = web.Chip{Text: say(r.Context(), textToApprove, n), Tone: web.ToneWarn, Icon: "alert"}
		}
		view.Table.Rows = append(view.Table.Rows, web.TableRow{Cells: []web.Cell{
			{Text: res.Name, Href: s.at("/admin/resource", web.FieldResource, res.URI)}, {Text: res.URI}, tools, guardCell(r.Context(), res), {Chip: ableChip(r.Context(), res.Disabled)},
		}})
	}
	return s.render(w, r, http.StatusOK, web.ConsoleListPage(view))
}

func guardCell(ctx context.Context, res store.Resource) web.Cell {
	switch {
	case res.GuardID == "":
		return web.Cell{Text: say(ctx, textNotEnrolled)}
	case res.AckAt.IsZero():
		return web.Cell{Text: say(ctx, textGuard)}
	}
	return web.Cell{Text: say(ctx, textGuard), Note: say(ctx, textHeard, clock(ctx, res.AckAt))}
}

// consoleResource serves GET /admin/resource?resource=…: its tools, and those that wait.
func (s *Server) consoleResource(w http.ResponseWriter, r *http.Request, d *desk) error {
	l, err := s.lever(r.Context(), only(r, web.FieldResource))
	if err != nil {
		return err
	}
	res, err := s.store.ResourceByURI(r.Context(), l.target.Resource)
	if err != nil {
		return err
	}
	view := web.ConsoleItem{
		Desk: s.desk(r.Context(), d, "/admin/resources", cli("resource show", on(res.URI))), Back: web.Link{Text: say(r.Context(), textResources), Href: s.base + "/admin/resources"}, Title: res.Name,
		Facts: []web.Fact{
			{Name: "URI", Cells: []web.Cell{{Text: res.URI}}},
			{Name: "Guard", Cells: []web.Cell{guardCell(r.Context(), res)}},
			{Name: say(r.Context(), "Policy"), Cells: []web.Cell{{Text: res.PolicyVersion}}},
			{Name: say(r.Context(), "Added"), Cells: []web.Cell{{Text: clock(r.Context(), res.CreatedAt)}}},
		},
	}
	view.Links = append(view.Links, web.Link{Text: say(r.Context(), textSeeAccess), Href: s.at("/admin/access", web.FieldResource, res.URI)})
	if err := s.switches(r.Context(), d, l, &view); err != nil {
		return err
	}
	table := web.Table{Name: say(r.Context(), textTools), Heads: []string{say(r.Context(), "Tool"), say(r.Context(), "State"), say(r.Context(), "Approved definition")}, Empty: say(r.Context(), textNoTools)}
	for _, t := range res.Tools {
		table.Rows = append(table.Rows, web.TableRow{Cells: []web.Cell{{Text: t.Name}, {Chip: toolChip(r.Context(), t)}, {Text: t.Hash}}})
	}
	s.drifts(r.Context(), d, l, res, &view)
	view.Sections = append(view.Sections, web.Section{ID: "tools", Title: say(r.Context(), textTools), Table: &table})
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
}

// drifts adds what waits for approval, and what is gone.
func (s *Server) drifts(ctx context.Context, d *desk, l lever, res store.Resource, view *web.ConsoleItem) {
	waiting := web.Section{ID: "waiting", Title: say(ctx, textWaiting), Note: say(ctx, textWaitingNote)}
	gone := web.Section{ID: "gone", Title: say(ctx, textGoneTools), Note: say(ctx, textGoneNote)}
	for i, drift := range consent.Drifts(res.Tools) {
		t := res.Tools[slices.IndexFunc(res.Tools, func(t store.Tool) bool { return t.Name == drift.Tool })]
		diff := web.Diff{Name: drift.Tool, State: toolChip(ctx, t), Hash: drift.LiveHash}
		for _, a := range drift.Alarms {
			diff.Alarms = append(diff.Alarms, alarmChip(a))
		}
		for _, f := range drift.Fields {
			diff.Fields = append(diff.Fields, web.DiffField{Name: f.Name, Lines: diffLines(f.Lines)})
		}
		if drift.State == consent.DriftRemoved {
			gone.Diffs = append(gone.Diffs, diff)
			continue
		}
		if d.may(store.RoleAdmin) {
			diff.Form = web.ConsoleForm{
				ID:      fmt.Sprintf("approve-%d", i),
				Hidden:  []web.Field{l.field, {Name: web.FieldTool, Value: drift.Tool}, {Name: web.FieldHash, Value: drift.LiveHash}},
				Buttons: []web.ConsoleButton{{Text: say(ctx, textApprove), Action: s.base + "/admin/approve", Icon: "check"}},
			}
		}
		waiting.Diffs = append(waiting.Diffs, diff)
		view.CLI = append(view.CLI, cli("resource approve", on(res.URI, drift.Tool), "--hash", drift.LiveHash))
	}
	for _, section := range []web.Section{waiting, gone} {
		if len(section.Diffs) > 0 {
			view.Sections = append(view.Sections, section)
		}
	}
}

func alarmChip(a consent.Alarm) web.Chip {
	if a.Bad {
		return web.Chip{Text: a.Text, Tone: web.ToneBad, Icon: "alert"}
	}
	return web.Chip{Text: a.Text, Tone: web.ToneWarn, Icon: "alert"}
}

func diffLines(lines []consent.Line) (all []web.DiffLine) {
	for _, l := range lines {
		all = append(all, web.DiffLine{Op: l.Op, Text: l.Text})
	}
	return all
}

func toolChip(ctx context.Context, t store.Tool) web.Chip {
	switch {
	case t.Gone:
		return web.Chip{Text: say(ctx, textGone), Tone: web.ToneInfo, Icon: "cross"}
	case t.Hash == "":
		return web.Chip{Text: say(ctx, textNew), Tone: web.ToneWarn, Icon: "alert"}
	case t.LiveHash != "":
		return web.Chip{Text: say(ctx, textChanged), Tone: web.ToneWarn, Icon: "alert"}
	}
	return web.Chip{Text: say(ctx, textApprovedTool), Tone: web.ToneOK, Icon: "check"}
}

// consoleApprove serves POST /admin/approve: the definition that the page showed, and no other.
func (s *Server) consoleApprove(w http.ResponseWriter, r *http.Request, d *desk) error {
	reason, err := d.reason(r.Context())
	if err != nil {
		return err
	}
	uri, hash := d.form.Get(web.FieldResource), d.form.Get(web.FieldHash)
	if hash == "" {
		return bad("name the definition that is approved")
	}
	if _, err := s.approve(r.Context(), d.acting, uri, d.form.Get(web.FieldTool), hash, reason); err != nil {
		return err
	}
	http.Redirect(w, r, s.at("/admin/resource", web.FieldResource, uri), http.StatusSeeOther)
	return nil
}

// consoleKeys serves GET /admin/keys: never the keys themselves.
func (s *Server) consoleKeys(w http.ResponseWriter, r *http.Request, d *desk) error {
	keys, err := s.store.Keys(r.Context())
	if err != nil {
		return err
	}
	view := web.ConsoleList{
		Desk: s.desk(r.Context(), d, "/admin/keys", cli("key list", nil), cli("key rotate", nil)), Title: say(r.Context(), textKeys), Note: say(r.Context(), textKeyNote),
		Table: web.Table{Name: say(r.Context(), textKeys), Heads: []string{say(r.Context(), "Key"), say(r.Context(), "For"), say(r.Context(), "Algorithm"), say(r.Context(), "State"), say(r.Context(), "Made")}},
	}
	for _, k := range keys {
		view.Table.Rows = append(view.Table.Rows, s.keyRow(r.Context(), d, k))
	}
	if d.may(store.RoleAdmin) {
		view.Note += " " + say(r.Context(), textStolenKey)
		view.Forms = []web.ConsoleForm{{
			ID: "rotate", Title: say(r.Context(), textRotate), Note: say(r.Context(), textRotateNote),
			Buttons: []web.ConsoleButton{{Text: say(r.Context(), textRotate), Action: s.base + "/admin/rotate", Icon: "key"}},
		}}
	}
	return s.render(w, r, http.StatusOK, web.ConsoleListPage(view))
}

// consoleRotate serves POST /admin/rotate.
func (s *Server) consoleRotate(w http.ResponseWriter, r *http.Request, d *desk) error {
	reason, err := d.reason(r.Context())
	if err != nil {
		return err
	}
	if _, err := s.rotate(r.Context(), d.acting, reason); err != nil {
		return err
	}
	http.Redirect(w, r, s.at("/admin/keys"), http.StatusSeeOther)
	return nil
}
