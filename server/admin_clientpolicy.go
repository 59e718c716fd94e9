package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/remit-auth/remit/store"
)

// setClientPolicy serves POST /admin/api/clients/policy: what the client may ask for from now on. What
// it has been granted already is cut down with it.
func (s *Server) setClientPolicy(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		ClientID string             `json:"client_id"`
		Remit    store.ClientPolicy `json:"remit"`
		Reason   string             `json:"reason"`
	}
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	if err := checkReason(in.Reason); err != nil {
		return err
	}
	if err := checkClientPolicy(in.Remit); err != nil {
		return err
	}
	for _, g := range in.Remit.Grants {
		if !slices.Contains(s.grantNames(), g) {
			return bad("remit: grants are " + strings.Join(s.grantNames(), ", "))
		}
	}
	c, err := s.store.ClientByID(r.Context(), in.ClientID)
	if err != nil {
		return err
	}
	rec := store.NewRecord("client.policy", map[string]any{"by": store.ByAdmin, "was": c.Policy, "remit": in.Remit, "reason": in.Reason})
	rec.Client = c.ID
	if err := s.store.SetClientPolicy(r.Context(), c.ID, in.Remit, rec); err != nil {
		return err
	}
	c.Policy = in.Remit
	return writeJSON(w, http.StatusOK, viewClient(c))
}

// clientAssignment gives or takes a role that a client has for itself.
type clientAssignment struct {
	ClientID string `json:"client_id"`
	Resource string `json:"resource"`
	Role     string `json:"role"`
}

// assignClientRole serves POST /admin/api/clients/assign.
func (s *Server) assignClientRole(w http.ResponseWriter, r *http.Request) error {
	in, res, err := s.readClientAssignment(r)
	if err != nil {
		return err
	}
	if p, err := policyOf(res); len(res.Policy) > 0 && err == nil && !slices.Contains(p.Roles(), in.Role) {
		return bad("the policy of " + res.URI + " has no such role; it has " + strings.Join(p.Roles(), ", "))
	}
	if err := s.store.AssignClientRole(r.Context(), in.ClientID, res.URI, in.Role, clientRoleRecord("role.assigned", in)); err != nil {
		return err
	}
	return s.writeClientRoles(w, r, in)
}

// unassignClientRole serves POST /admin/api/clients/unassign.
func (s *Server) unassignClientRole(w http.ResponseWriter, r *http.Request) error {
	in, res, err := s.readClientAssignment(r)
	if err != nil {
		return err
	}
	if err := s.store.UnassignRole(r.Context(), in.ClientID, res.URI, in.Role, clientRoleRecord("role.unassigned", in)); err != nil {
		return err
	}
	return s.writeClientRoles(w, r, in)
}

func (s *Server) readClientAssignment(r *http.Request) (in clientAssignment, res store.Resource, err error) {
	if err = readJSON(r, maxAdminBody, &in); err != nil {
		return in, res, err
	}
	if in.Role == "" || len(in.Role) > 128 {
		return in, res, bad("name a role")
	}
	if _, err = s.store.ClientByID(r.Context(), in.ClientID); err != nil {
		return in, res, err
	}
	res, err = s.store.ResourceByURI(r.Context(), in.Resource)
	return in, res, err
}

func clientRoleRecord(kind string, in clientAssignment) store.Record {
	rec := store.NewRecord(kind, map[string]any{"by": store.ByAdmin, "role": in.Role})
	rec.User, rec.Client, rec.Resource = in.ClientID, in.ClientID, in.Resource
	return rec
}

func (s *Server) writeClientRoles(w http.ResponseWriter, r *http.Request, in clientAssignment) error {
	roles, err := s.store.RolesOf(r.Context(), in.ClientID, in.Resource)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"client_id": in.ClientID, "resource": in.Resource, "roles": append([]string{}, roles...)})
}

// setBackend serves POST /admin/api/resources/backend: what a resource may reach behind itself, on
// behalf of its callers. Without scopes it no longer may.
func (s *Server) setBackend(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Resource string   `json:"resource"`
		Backend  string   `json:"backend"`
		Scopes   []string `json:"scopes"`
	}
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	if in.Resource == in.Backend {
		return bad("a resource is not its own backend")
	}
	back, err := s.store.ResourceByURI(r.Context(), in.Backend)
	if err != nil {
		return err
	}
	p, err := policyOf(back)
	if err != nil {
		return bad("the backend has no policy yet: its Guard publishes it")
	}
	for _, scope := range in.Scopes {
		if !p.ScopeKnown(scope) {
			return bad("the policy of " + back.URI + " knows no scope " + scope)
		}
	}
	kind := "backend.allowed"
	if len(in.Scopes) == 0 {
		kind = "backend.refused"
	}
	rec := store.NewRecord(kind, map[string]any{"by": store.ByAdmin, "backend": in.Backend, "scopes": in.Scopes})
	rec.Resource = in.Resource
	if err := s.store.PutBackend(r.Context(), in.Resource, in.Backend, in.Scopes, rec); err != nil {
		return err
	}
	all, err := s.store.Backends(r.Context(), in.Resource)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"resource": in.Resource, "backends": all})
}
