package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// consoleAccess serves GET /admin/access?resource=…: who can call what there, and, when a call is named
// besides, whether it would be allowed.
func (s *Server) consoleAccess(w http.ResponseWriter, r *http.Request, d *desk) error {
	ctx, q := r.Context(), r.URL.Query()
	res, err := s.store.ResourceByURI(ctx, q.Get(web.FieldResource))
	if err != nil {
		return err
	}
	view := web.ConsoleItem{
		Desk: s.desk(ctx, d, "/admin/resources", cli("resource access", on(res.URI))), Title: say(ctx, textWhoCan, res.Name),
		Back: web.Link{Text: res.Name, Href: s.at("/admin/resource", web.FieldResource, res.URI)}, State: ableChip(ctx, res.Disabled),
	}
	asked := supposed{URI: res.URI, User: strings.TrimSpace(q.Get(web.FieldUser)), Client: strings.TrimSpace(q.Get(web.FieldClient)), Tool: q.Get(web.FieldTool)}
	if raw := strings.TrimSpace(q.Get(web.FieldArguments)); raw != "" {
		asked.Arguments = json.RawMessage(raw)
	}
	section, err := s.supposeSection(ctx, res, asked, &view)
	if err != nil {
		return err
	}
	view.Sections = append(view.Sections, section)
	matrix, err := s.access(ctx, res)
	if p := problemOf(err); err != nil && p.Status == http.StatusBadRequest {
		view.Sections = append(view.Sections, web.Section{ID: "matrix", Title: say(ctx, textMatrix), Empty: p.Detail})
		return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
	}
	if err != nil {
		return err
	}
	for i, part := range []struct {
		title string
		rows  []accessRow
	}{{textMatrixUsers, matrix.Users}, {textMatrixRoles, matrix.Roles}} {
		table := s.matrixTable(ctx, matrix, say(ctx, part.title), part.rows)
		view.Sections = append(view.Sections, web.Section{ID: []string{"users", "roles"}[i], Title: say(ctx, part.title), Note: say(ctx, textMatrixNote), Table: &table})
	}
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
}

func (s *Server) matrixTable(ctx context.Context, m accessView, name string, rows []accessRow) web.Table {
	t := web.Table{Name: name, Heads: append(sayAll(ctx, "Who"), m.Tools...), Empty: say(ctx, textNobodyThere)}
	for _, row := range rows {
		who := web.Cell{Text: row.Name, Note: strings.Join(row.Roles, ", ")}
		if strings.HasPrefix(row.ID, "usr_") {
			who.Href = s.at("/admin/user", web.FieldUser, row.ID)
		}
		if row.Off {
			who.Chip = ableChip(ctx, true)
		}
		if row.ID == "" {
			who.Note = ""
		}
		cells := []web.Cell{who}
		for _, tool := range m.Tools {
			chip := web.Chip{Text: say(ctx, "No"), Tone: web.ToneInfo, Icon: "cross"}
			if row.Tools[tool].Allowed {
				chip = web.Chip{Text: say(ctx, "Yes"), Tone: web.ToneOK, Icon: "check"}
			}
			cells = append(cells, web.Cell{Chip: chip, Note: row.Tools[tool].Why})
		}
		t.Rows = append(t.Rows, web.TableRow{Cells: cells})
	}
	return t
}

// supposeSection is the form that asks about a call, and the answer.
func (s *Server) supposeSection(ctx context.Context, res store.Resource, asked supposed, view *web.ConsoleItem) (web.Section, error) {
	tools := web.Pick{Name: web.FieldTool, Label: say(ctx, "Tool")}
	for _, t := range res.Tools {
		tools.Options = append(tools.Options, web.Option{Value: t.Name, Text: t.Name, Selected: t.Name == asked.Tool})
	}
	section := web.Section{ID: "would", Title: say(ctx, textWouldIt), Note: say(ctx, textWouldItNote), Filter: &web.Filter{
		Action: s.base + "/admin/access", Hidden: []web.Field{{Name: web.FieldResource, Value: res.URI}},
		Texts: []web.TextField{
			{Name: web.FieldUser, Label: say(ctx, "User (e-mail or id)"), Value: asked.User},
			{Name: web.FieldClient, Label: say(ctx, "Client (client_id)"), Value: asked.Client},
			{Name: web.FieldArguments, Label: say(ctx, textArgumentsJSON), Value: string(asked.Arguments)},
		},
		Picks: []web.Pick{tools},
	}}
	if asked.User == "" || asked.Client == "" || asked.Tool == "" {
		return section, nil
	}
	view.CLI = append(view.CLI, cli("resource simulate", on(res.URI, asked.Tool), "--user", asked.User, "--client", asked.Client, "--arguments", string(asked.Arguments)))
	v, err := s.suppose(ctx, asked)
	switch p := problemOf(err); {
	case errors.Is(err, store.ErrUserNotFound), errors.Is(err, store.ErrClientNotFound), err != nil && p.Status == http.StatusBadRequest:
		section.Empty = p.Detail
		return section, nil
	case err != nil:
		return section, err
	}
	view.Notice, view.NoticeTone = say(ctx, textWouldAllow), web.ToneOK
	if !v.Allowed {
		view.Notice, view.NoticeTone = say(ctx, textWouldRefuse, v.Steps[len(v.Steps)-1].Detail), web.ToneBad
	}
	table := web.Table{Name: say(ctx, textWouldIt), Heads: sayAll(ctx, "Check", "State", "Reason")}
	for _, step := range v.Steps {
		chip := web.Chip{Text: say(ctx, "passed"), Tone: web.ToneOK, Icon: "check"}
		if !step.OK {
			chip = web.Chip{Text: say(ctx, "refused"), Tone: web.ToneBad, Icon: "cross"}
		}
		table.Rows = append(table.Rows, web.TableRow{Cells: []web.Cell{{Text: step.Check}, {Chip: chip}, {Text: step.Detail, Note: step.Mend}}})
	}
	section.Table = &table
	return section, nil
}
