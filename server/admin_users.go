package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// userView is a user as administrators see one: nothing secret.
type userView struct {
	ID          string              `json:"id"`
	Email       string              `json:"email"`
	Name        string              `json:"name"`
	ConsoleRole store.ConsoleRole   `json:"console_role"`
	ReadArgs    bool                `json:"read_args"` // may read the values of arguments
	Password    bool                `json:"password"`  // may sign in with one
	Disabled    bool                `json:"disabled"`
	CreatedAt   time.Time           `json:"created_at"`
	Roles       map[string][]string `json:"roles,omitempty"` // by resource
}

func viewUser(u store.User) userView {
	return userView{ID: u.ID, Email: u.Email, Name: u.Name, ConsoleRole: u.ConsoleRole, ReadArgs: mayReadArgs(u), Password: u.PasswordHash != "", Disabled: u.Disabled, CreatedAt: u.CreatedAt}
}

// listUsers serves GET /admin/api/users.
func (s *Server) listUsers(w http.ResponseWriter, r *http.Request) error {
	users, err := s.store.Users(r.Context())
	if err != nil {
		return err
	}
	views := []userView{}
	for _, u := range users {
		views = append(views, viewUser(u))
	}
	return writeJSON(w, http.StatusOK, map[string]any{"users": views})
}

// addUser serves POST /admin/api/users.
func (s *Server) addUser(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Email       string            `json:"email"`
		Name        string            `json:"name"`
		ConsoleRole store.ConsoleRole `json:"console_role"`
		ReadArgs    bool              `json:"read_args"`
		Password    string            `json:"password"`
	}
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	u := store.User{
		ID: tokens.NewID("usr_"), Email: strings.TrimSpace(in.Email), Name: strings.TrimSpace(in.Name),
		ConsoleRole: cmp.Or(in.ConsoleRole, store.RoleUser), ReadArgs: in.ReadArgs, CreatedAt: s.now().UTC(),
	}
	if err := checkUser(u); err != nil {
		return err
	}
	if in.Password != "" {
		hash, err := HashPassword(in.Password)
		if err != nil {
			return bad(err.Error())
		}
		u.PasswordHash = hash
	}
	rec := store.NewRecord("user.added", map[string]any{"by": store.ByAdmin, "console_role": u.ConsoleRole, "read_args": u.ReadArgs, "password": in.Password != ""})
	rec.User = u.ID
	if err := s.store.AddUser(r.Context(), u, rec); err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, viewUser(u))
}

func checkUser(u store.User) error {
	address, err := mail.ParseAddress(u.Email)
	switch {
	case err != nil || address.Address != u.Email || len(u.Email) > 254:
		return bad("email is one plain address, such as mara@example.com")
	case !utf8.ValidString(u.Name) || utf8.RuneCountInString(u.Name) > 100 || strings.ContainsFunc(u.Name, isControl):
		return bad("name is at most 100 characters, none of them a control character")
	case !slices.Contains(consoleRoles, u.ConsoleRole):
		return bad("console_role is user, viewer, revoker or admin")
	case u.ReadArgs && u.ConsoleRole == store.RoleUser:
		return store.ErrNoConsoleRole
	}
	return nil
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 }

// showUser serves GET /admin/api/users/show?user=…: the user with all roles.
func (s *Server) showUser(w http.ResponseWriter, r *http.Request) error {
	u, err := s.userNamed(r.Context(), r.URL.Query().Get("user"))
	if err != nil {
		return err
	}
	resources, err := s.store.Resources(r.Context())
	if err != nil {
		return err
	}
	view := viewUser(u)
	view.Roles = map[string][]string{}
	for _, res := range resources {
		roles, err := s.store.RolesOf(r.Context(), u.ID, res.URI)
		if err != nil {
			return err
		}
		if len(roles) > 0 {
			view.Roles[res.URI] = roles
		}
	}
	return writeJSON(w, http.StatusOK, view)
}

// userNamed finds a user by id or e-mail.
func (s *Server) userNamed(ctx context.Context, name string) (store.User, error) {
	if strings.HasPrefix(name, "usr_") {
		return s.store.UserByID(ctx, name)
	}
	return s.store.UserByEmail(ctx, name)
}

// disableUser serves POST /admin/api/users/disable: the user's tasks end with it.
func (s *Server) disableUser(w http.ResponseWriter, r *http.Request) error {
	return s.setUserDisabled(w, r, true)
}

// enableUser serves POST /admin/api/users/enable; what has ended stays ended.
func (s *Server) enableUser(w http.ResponseWriter, r *http.Request) error {
	return s.setUserDisabled(w, r, false)
}

func (s *Server) setUserDisabled(w http.ResponseWriter, r *http.Request, disabled bool) error {
	var in struct {
		User   string `json:"user"`
		Reason string `json:"reason"`
	}
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	if err := checkReason(in.Reason); err != nil {
		return err
	}
	u, err := s.userNamed(r.Context(), in.User)
	if err != nil {
		return err
	}
	ended, err := s.switchUser(r.Context(), atSocket, u, disabled, in.Reason)
	if err != nil {
		return err
	}
	u.Disabled = disabled
	return writeJSON(w, http.StatusOK, map[string]any{"user": viewUser(u), "ended_tasks": taskIDs(ended)})
}

// setRole serves POST /admin/api/users/role: what the user may do in Remit itself. What is not said
// stays as it is.
func (s *Server) setRole(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		User     string            `json:"user"`
		Role     store.ConsoleRole `json:"console_role"`
		ReadArgs *bool             `json:"read_args"`
		Reason   string            `json:"reason"`
	}
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	if err := checkReason(in.Reason); err != nil {
		return err
	}
	u, err := s.userNamed(r.Context(), in.User)
	if err != nil {
		return err
	}
	u, err = s.setConsoleRights(r.Context(), atSocket, u, store.ConsoleRights{Role: in.Role, ReadArgs: in.ReadArgs}, in.Reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, viewUser(u))
}

// roleAssignment names a role of a user at a resource.
type roleAssignment struct {
	User     string `json:"user"` // id or e-mail
	Resource string `json:"resource"`
	Role     string `json:"role"`
}

// assignRole serves POST /admin/api/users/assign.
func (s *Server) assignRole(w http.ResponseWriter, r *http.Request) error {
	in, u, res, err := s.readAssignment(r)
	if err != nil {
		return err
	}
	if p, err := policyOf(res); len(res.Policy) > 0 && err == nil && !slices.Contains(p.Roles(), in.Role) {
		return bad(fmt.Sprintf("the policy of %s has no role %q; it has %s", res.URI, in.Role, strings.Join(p.Roles(), ", ")))
	}
	if err := s.store.AssignRole(r.Context(), u.ID, res.URI, in.Role, assignmentRecord("role.assigned", u, in)); err != nil {
		return err
	}
	return s.writeRoles(w, r, u, res)
}

// unassignRole serves POST /admin/api/users/unassign. Tokens that were issued by the role are dead with it.
func (s *Server) unassignRole(w http.ResponseWriter, r *http.Request) error {
	in, u, res, err := s.readAssignment(r)
	if err != nil {
		return err
	}
	if err := s.store.UnassignRole(r.Context(), u.ID, res.URI, in.Role, assignmentRecord("role.unassigned", u, in)); err != nil {
		return err
	}
	return s.writeRoles(w, r, u, res)
}

func (s *Server) readAssignment(r *http.Request) (in roleAssignment, u store.User, res store.Resource, err error) {
	if err = readJSON(r, maxAdminBody, &in); err != nil {
		return in, u, res, err
	}
	if in.Role == "" || len(in.Role) > 128 {
		return in, u, res, bad("name a role")
	}
	if u, err = s.userNamed(r.Context(), in.User); err != nil {
		return in, u, res, err
	}
	res, err = s.store.ResourceByURI(r.Context(), in.Resource)
	return in, u, res, err
}

func (s *Server) writeRoles(w http.ResponseWriter, r *http.Request, u store.User, res store.Resource) error {
	roles, err := s.store.RolesOf(r.Context(), u.ID, res.URI)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"user": u.ID, "email": u.Email, "resource": res.URI, "roles": append([]string{}, roles...)})
}

func assignmentRecord(kind string, u store.User, in roleAssignment) store.Record {
	rec := store.NewRecord(kind, map[string]any{"by": store.ByAdmin, "role": in.Role})
	rec.User, rec.Resource = u.ID, in.Resource
	return rec
}
