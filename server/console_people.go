package server

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// thingsListed is how many users or clients a page lists.
const thingsListed = 25

// queryAfter is where a page of a list begins that is not by time: after the thing of this id.
const queryAfter = "after"

// section cuts the page that a request asks for out of a list, and adds to the view where it stands.
func section[T any](s *Server, r *http.Request, view *web.ConsoleList, path string, all []T, id func(T) string) []T {
	part := view.Filter.Texts[0]
	after := r.URL.Query().Get(queryAfter)
	start := slices.IndexFunc(all, func(one T) bool { return id(one) == after }) + 1 // 0: the first, also for the unknown
	end := min(start+thingsListed, len(all))
	if len(all) > thingsListed && start < end {
		view.Count = say(r.Context(), textRange, start+1, end, len(all))
	}
	place := func(last int) string {
		after := ""
		if last >= 0 {
			after = id(all[last])
		}
		return s.at(path, set([]string{part.Name, part.Value, queryAfter, after})...)
	}
	if start > 0 {
		view.Earlier = place(start - thingsListed - 1)
	}
	if end < len(all) {
		view.Further = place(end - 1)
	}
	return all[start:end]
}

// search is the filter of a list of things by a part of what names them.
func (s *Server) search(path, name, label, value string) web.Filter {
	f := web.Filter{Action: s.base + path, Texts: []web.TextField{{Name: name, Label: label, Value: value}}}
	if value != "" {
		f.Clear = s.base + path
	}
	return f
}

// names reports whether any of the texts has the part, whatever its case.
func names(part string, texts ...string) bool {
	return strings.Contains(strings.ToLower(strings.Join(texts, "\n")), strings.ToLower(part))
}

// consoleUsers serves GET /admin/users?user=part.
func (s *Server) consoleUsers(w http.ResponseWriter, r *http.Request, d *desk) error {
	users, err := s.store.Users(r.Context())
	if err != nil {
		return err
	}
	part := strings.TrimSpace(r.URL.Query().Get(web.FieldUser))
	view := web.ConsoleList{
		Desk: s.desk(r.Context(), d, "/admin/users", cli("user list", nil)), Title: say(r.Context(), textUsers), Filter: s.search("/admin/users", web.FieldUser, say(r.Context(), "E-mail or name"), part),
		Table: web.Table{Name: say(r.Context(), textUsers), Heads: []string{say(r.Context(), "E-mail"), say(r.Context(), "Name"), say(r.Context(), "Console role"), say(r.Context(), "State")}, Empty: say(r.Context(), textNoUsers)},
	}
	users = slices.DeleteFunc(users, func(u store.User) bool { return !names(part, u.Email, u.Name, u.ID) })
	for _, u := range section(s, r, &view, "/admin/users", users, func(u store.User) string { return u.ID }) {
		view.Table.Rows = append(view.Table.Rows, web.TableRow{Cells: []web.Cell{
			{Text: u.Email, Href: s.at("/admin/user", web.FieldUser, u.ID)}, {Text: u.Name}, roleCell(r.Context(), u), {Chip: ableChip(r.Context(), u.Disabled)},
		}})
	}
	return s.render(w, r, http.StatusOK, web.ConsoleListPage(view))
}

// consoleUser serves GET /admin/user?user=….
func (s *Server) consoleUser(w http.ResponseWriter, r *http.Request, d *desk) error {
	l, err := s.lever(r.Context(), only(r, web.FieldUser))
	if err != nil {
		return err
	}
	u := l.user
	view := web.ConsoleItem{
		Desk: s.desk(r.Context(), d, "/admin/users", cli("user show", nil, "--email", u.Email)), Back: web.Link{Text: say(r.Context(), textUsers), Href: s.base + "/admin/users"}, Title: u.Email,
		Facts: []web.Fact{
			{Name: say(r.Context(), "Name"), Cells: []web.Cell{{Text: u.Name}}},
			{Name: say(r.Context(), "Id"), Cells: []web.Cell{{Text: u.ID}}},
			{Name: say(r.Context(), "Console role"), Cells: []web.Cell{roleCell(r.Context(), u)}},
			{Name: say(r.Context(), "Added"), Cells: []web.Cell{{Text: clock(r.Context(), u.CreatedAt)}}},
		},
	}
	resources, err := s.store.Resources(r.Context())
	if err != nil {
		return err
	}
	for _, res := range resources {
		roles, err := s.store.RolesOf(r.Context(), u.ID, res.URI)
		if err != nil {
			return err
		}
		if len(roles) > 0 {
			view.Facts = append(view.Facts, web.Fact{Name: say(r.Context(), "Roles at"), Cells: []web.Cell{
				{Text: res.Name, Href: s.at("/admin/resource", web.FieldResource, res.URI), Note: strings.Join(roles, ", ")},
			}})
		}
	}
	if err := s.switches(r.Context(), d, l, &view); err != nil {
		return err
	}
	switch {
	case u.ID == d.User.ID:
		view.Facts[2].Cells = append(view.Facts[2].Cells, web.Cell{Note: say(r.Context(), textOwnRole)})
	case d.may(store.RoleAdmin):
		view.Forms = append(view.Forms, s.roleForm(r.Context(), u))
		if reaches(u.ConsoleRole, store.RoleViewer) {
			view.Forms = append(view.Forms, s.readArgsForm(r.Context(), u))
		}
	}
	view.CLI = append(view.CLI, cli("user role", nil, "--email", u.Email, "--console-role", cmp.Or(string(u.ConsoleRole), "user"), "--reason", "…"))
	if reaches(u.ConsoleRole, store.RoleViewer) {
		view.CLI = append(view.CLI, cli("user role", nil, "--email", u.Email, "--read-args", strconv.FormatBool(!mayReadArgs(u)), "--reason", "…"))
	}
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
}

// roleCell is what a user may do in Remit itself.
func roleCell(ctx context.Context, u store.User) web.Cell {
	cell := web.Cell{Text: string(u.ConsoleRole)}
	if mayReadArgs(u) {
		cell.Note = say(ctx, textMayReadArgs)
	}
	return cell
}

// only reads one parameter of the query and no other.
func only(r *http.Request, name string) func(string) string {
	return func(asked string) string {
		if asked != name {
			return ""
		}
		return r.URL.Query().Get(name)
	}
}

func (s *Server) roleForm(ctx context.Context, u store.User) web.ConsoleForm {
	form := web.ConsoleForm{
		ID: "role", Title: say(ctx, textRole), Note: say(ctx, textRoleNote), Hidden: []web.Field{{Name: web.FieldUser, Value: u.ID}},
		Pick:    web.Pick{Name: web.FieldConsoleRole, Label: say(ctx, "Console role")},
		Buttons: []web.ConsoleButton{{Text: say(ctx, textSaveRole), Action: s.base + "/admin/role", Icon: "key"}},
	}
	for _, role := range consoleRoles {
		form.Pick.Options = append(form.Pick.Options, web.Option{Value: string(role), Text: string(role), Selected: role == u.ConsoleRole})
	}
	return form
}

// consoleSetRole serves POST /admin/role.
func (s *Server) consoleSetRole(w http.ResponseWriter, r *http.Request, d *desk) error {
	reason, err := d.reason(r.Context())
	if err != nil {
		return err
	}
	u, err := s.userNamed(r.Context(), d.form.Get(web.FieldUser))
	if err != nil {
		return err
	}
	return s.giveRights(w, r, d, u, store.ConsoleRights{Role: store.ConsoleRole(d.form.Get(web.FieldConsoleRole))}, reason)
}

// giveRights gives rights in the console, or takes them, and leads back to the user. Only who has just signed in gives
// more than there was: taking is never held up.
func (s *Server) giveRights(w http.ResponseWriter, r *http.Request, d *desk, u store.User, rights store.ConsoleRights, reason string) error {
	back := s.at("/admin/user", web.FieldUser, u.ID)
	more := rights.Role != "" && !reaches(u.ConsoleRole, rights.Role) || rights.ReadArgs != nil && *rights.ReadArgs && !mayReadArgs(u)
	if more && !s.justSignedIn(d) {
		return s.signInPage(w, r, http.StatusUnauthorized, d.User.Email, say(r.Context(), textSignInToGive), "", back)
	}
	if _, err := s.setConsoleRights(r.Context(), d.acting, u, rights, reason); err != nil {
		return err
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}

// consoleClients serves GET /admin/clients?client=part.
func (s *Server) consoleClients(w http.ResponseWriter, r *http.Request, d *desk) error {
	clients, err := s.store.Clients(r.Context())
	if err != nil {
		return err
	}
	part := strings.TrimSpace(r.URL.Query().Get(web.FieldClient))
	view := web.ConsoleList{
		Desk: s.desk(r.Context(), d, "/admin/clients", cli("client list", nil)), Title: say(r.Context(), textClients), Filter: s.search("/admin/clients", web.FieldClient, "client_id or name", part),
		Table: web.Table{Name: say(r.Context(), textClients), Heads: []string{say(r.Context(), "Client"), "client_id", say(r.Context(), "Known by"), say(r.Context(), "State")}, Empty: say(r.Context(), textNoClients)},
	}
	clients = slices.DeleteFunc(clients, func(c store.Client) bool { return !names(part, c.ID, c.Metadata.ClientName) })
	for _, c := range section(s, r, &view, "/admin/clients", clients, func(c store.Client) string { return c.ID }) {
		who := web.Cell{Text: cmp.Or(clientHost(r.Context(), c), c.ID), Href: s.at("/admin/client", web.FieldClient, c.ID)}
		if c.Origin != store.ByAdmins {
			who.Free = c.Metadata.ClientName
		}
		view.Table.Rows = append(view.Table.Rows, web.TableRow{Cells: []web.Cell{who, {Text: c.ID}, {Text: originText(r.Context(), c)}, {Chip: ableChip(r.Context(), c.Disabled)}}})
	}
	return s.render(w, r, http.StatusOK, web.ConsoleListPage(view))
}

func originText(ctx context.Context, c store.Client) string {
	switch c.Origin {
	case store.ByDocument:
		return say(ctx, textDocument)
	case store.ByRegistration:
		return say(ctx, textSelfMade)
	}
	return say(ctx, textAdminMade)
}

// consoleClient serves GET /admin/client?client=….
func (s *Server) consoleClient(w http.ResponseWriter, r *http.Request, d *desk) error {
	l, err := s.lever(r.Context(), only(r, web.FieldClient))
	if err != nil {
		return err
	}
	c, err := s.store.ClientByID(r.Context(), l.target.ClientID)
	if err != nil {
		return err
	}
	view := web.ConsoleItem{
		Desk: s.desk(r.Context(), d, "/admin/clients", cli("client list", nil)), Back: web.Link{Text: say(r.Context(), textClients), Href: s.base + "/admin/clients"}, Title: cmp.Or(l.name, c.ID),
		Facts: []web.Fact{
			{Name: "client_id", Cells: []web.Cell{{Text: c.ID}}},
			{Name: say(r.Context(), "Known by"), Cells: []web.Cell{{Text: originText(r.Context(), c)}}},
			{Name: say(r.Context(), "Authentication"), Cells: []web.Cell{{Text: c.Metadata.TokenEndpointAuthMethod}}},
			{Name: say(r.Context(), "Added"), Cells: []web.Cell{{Text: clock(r.Context(), c.CreatedAt)}}},
		},
	}
	if c.Origin != store.ByAdmins {
		view.Free = c.Metadata.ClientName
	}
	for _, uri := range c.Metadata.RedirectURIs {
		view.Facts = append(view.Facts, web.Fact{Name: say(r.Context(), "Sends users to"), Cells: []web.Cell{{Text: uri}}})
	}
	for _, uri := range c.Policy.Resources {
		view.Facts = append(view.Facts, web.Fact{Name: say(r.Context(), "Only for"), Cells: []web.Cell{{Text: uri}}})
	}
	view.Facts = append(view.Facts, policyFacts(r.Context(), c.Policy)...)
	if c.Policy.Bearer {
		view.Facts = append(view.Facts, web.Fact{Name: say(r.Context(), "Tokens"), Cells: []web.Cell{{Chip: web.Chip{Text: say(r.Context(), textUnbound), Tone: web.ToneWarn, Icon: "key"}}}})
	}
	if err := s.switches(r.Context(), d, l, &view); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, web.ConsoleItemPage(view))
}
