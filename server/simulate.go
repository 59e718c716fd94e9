package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

// Who may call what, and whether this call would be allowed: what server and Guard would judge, with
// nothing asked, issued or spent.

// accessView says who can call what at one resource.
type accessView struct {
	URI   string      `json:"uri"`
	Mode  string      `json:"mode"` // enforce or observe
	Tools []string    `json:"tools"`
	Roles []accessRow `json:"roles"`
	Users []accessRow `json:"users"`
}

// accessRow is a role, or a user (or a client that acts for itself) who holds roles there.
type accessRow struct {
	Name  string                `json:"name"`
	ID    string                `json:"id,omitempty"`
	Roles []string              `json:"roles"`
	Off   bool                  `json:"disabled,omitempty"`
	Tools map[string]accessCell `json:"tools"`
}

// accessCell is why a tool can be called, or what stands against it.
type accessCell struct {
	Allowed bool   `json:"allowed"`
	Why     string `json:"why"`
}

// access works the matrix out.
func (s *Server) access(ctx context.Context, res store.Resource) (accessView, error) {
	v := accessView{URI: res.URI, Mode: "enforce", Tools: []string{}, Roles: []accessRow{}, Users: []accessRow{}}
	p, err := policyOf(res)
	if len(res.Policy) == 0 {
		return v, bad("the resource has no policy yet: its Guard publishes it")
	}
	if err != nil {
		return v, err
	}
	if p.Mode() == policy.Observe {
		v.Mode = "observe"
	}
	for _, t := range res.Tools {
		v.Tools = append(v.Tools, t.Name)
	}
	for _, role := range p.Roles() {
		v.Roles = append(v.Roles, accessRow{Name: role, Roles: []string{role}, Tools: cells(p, res, []string{role})})
	}
	holders, err := s.holders(ctx, res.URI)
	for _, h := range holders {
		h.Tools = cells(p, res, h.Roles)
		v.Users = append(v.Users, h)
	}
	return v, err
}

// holders are users, and clients that act for themselves, who hold a role at the resource.
func (s *Server) holders(ctx context.Context, uri string) (rows []accessRow, err error) {
	users, err := s.store.Users(ctx)
	if err != nil {
		return nil, err
	}
	clients, err := s.store.Clients(ctx)
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		rows = append(rows, accessRow{Name: u.Email, ID: u.ID, Off: u.Disabled})
	}
	for _, c := range clients {
		rows = append(rows, accessRow{Name: c.ID, ID: c.ID, Off: c.Disabled})
	}
	held := rows[:0]
	for _, row := range rows {
		if row.Roles, err = s.store.RolesOf(ctx, row.ID, uri); err != nil {
			return nil, err
		}
		if len(row.Roles) > 0 {
			held = append(held, row)
		}
	}
	return held, nil
}

// cells judges every tool of the resource for whoever holds these roles and asks for the tool by name.
func cells(p *policy.Policy, res store.Resource, roles []string) map[string]accessCell {
	row := map[string]accessCell{}
	for _, t := range res.Tools {
		d := p.Decide([]string{policy.ToolScope + t.Name}, roles, t.Name)
		switch {
		case d.Allowed:
			var by []string
			for _, rule := range d.Rules {
				by = append(by, rule.Role)
			}
			row[t.Name] = accessCell{true, "by role " + strings.Join(by, ", ")}
		case d.Check == policy.CheckTool:
			row[t.Name] = accessCell{Why: "no role names it"}
		default:
			row[t.Name] = accessCell{Why: "no role held names it"}
		}
		if state := unofferable(t); d.Allowed && state != "" {
			row[t.Name] = accessCell{Why: state}
		}
	}
	return row
}

// unofferable says why nobody can be granted the tool as it stands.
func unofferable(t store.Tool) string {
	switch {
	case t.Gone:
		return "the server no longer offers it"
	case t.Hash == "":
		return "it waits for an admin's approval"
	case t.LiveHash != "" && t.LiveHash != t.Hash:
		return "it has changed and waits for an admin's approval"
	}
	return ""
}

// showAccess serves GET /admin/api/resources/access?uri=….
func (s *Server) showAccess(w http.ResponseWriter, r *http.Request) error {
	res, err := s.store.ResourceByURI(r.Context(), r.URL.Query().Get("uri"))
	if err != nil {
		return err
	}
	v, err := s.access(r.Context(), res)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, v)
}

// supposed is a call that nobody makes.
type supposed struct {
	URI       string          `json:"uri"`
	User      string          `json:"user"`
	Client    string          `json:"client"`
	Tool      string          `json:"tool"`
	Scopes    []string        `json:"scopes,omitempty"` // none: the tool by its name
	Arguments json.RawMessage `json:"arguments,omitempty"`
	Bearer    bool            `json:"bearer,omitempty"` // a token without a key
}

// verdict is what would become of it, check by check; the first that is not OK is why.
type verdict struct {
	Allowed bool          `json:"allowed"`
	Steps   []policy.Step `json:"steps"`
}

// simulateCall serves POST /admin/api/resources/simulate.
func (s *Server) simulateCall(w http.ResponseWriter, r *http.Request) error {
	var in supposed
	if err := readJSON(r, maxAdminBody, &in); err != nil {
		return err
	}
	v, err := s.suppose(r.Context(), in)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, v)
}

// supposition is a call with all that it is about.
type supposition struct {
	supposed
	user   store.User
	client store.Client
	res    store.Resource
	tool   store.Tool
	policy *policy.Policy
}

// suppose judges the call. What there is not is an error; what is refused is a step.
func (s *Server) suppose(ctx context.Context, in supposed) (v verdict, err error) {
	about := supposition{supposed: in}
	if about.user, err = s.userNamed(ctx, in.User); err != nil {
		return v, err
	}
	if about.client, err = s.store.ClientByID(ctx, in.Client); err != nil {
		return v, err
	}
	if about.res, err = s.store.ResourceByURI(ctx, in.URI); err != nil {
		return v, err
	}
	if len(in.Arguments) > 0 {
		if about.Arguments, err = tokens.Canonical(in.Arguments); err != nil || about.Arguments[0] != '{' {
			return v, bad("arguments are one JSON object without duplicates")
		}
	}
	for _, check := range []func(context.Context, *supposition) ([]policy.Step, error){
		s.supposeUser, s.supposeClient, s.supposeResource, s.supposeSwitches, s.supposeTool, s.supposePolicy, s.supposeConsent,
	} {
		steps, err := check(ctx, &about)
		if err != nil {
			return verdict{}, err
		}
		if v.Steps = append(v.Steps, steps...); !v.Steps[len(v.Steps)-1].OK {
			return v, nil
		}
	}
	v.Allowed = true
	return v, nil
}

// judged is one step: passed unless something stands against it.
func judged(check, fine, against, mend string) []policy.Step {
	if against != "" {
		return []policy.Step{{Check: check, Detail: against, Mend: mend}}
	}
	return []policy.Step{{Check: check, OK: true, Detail: fine}}
}

func (s *Server) supposeUser(_ context.Context, a *supposition) ([]policy.Step, error) {
	if a.user.Disabled {
		return judged("user", "", "the user is disabled", "enable the user"), nil
	}
	return judged("user", a.user.Email+" is enabled", "", ""), nil
}

func (s *Server) supposeClient(_ context.Context, a *supposition) ([]policy.Step, error) {
	switch {
	case a.client.Disabled:
		return judged("client", "", "the client is disabled", "enable the client"), nil
	case !mayAsk(a.client, a.res):
		return judged("client", "", "the client's policy does not name the resource", "let its policy name the resource, or none"), nil
	case a.Bearer && !s.mayBearer(a.client):
		return judged("client", "", "the client may have no token without a key", "let it, or prove a key"), nil
	}
	return judged("client", "the client is enabled and may ask for the resource", "", ""), nil
}

func (s *Server) supposeResource(_ context.Context, a *supposition) ([]policy.Step, error) {
	if a.res.Disabled {
		return judged("resource", "", "the resource is disabled", "enable the resource"), nil
	}
	var err error
	if a.policy, err = policyOf(a.res); len(a.res.Policy) == 0 || err != nil {
		return judged("resource", "", "the resource has no policy that can be read", "start its Guard, which publishes it"), nil
	}
	return judged("resource", a.res.Name+" is enabled", "", ""), nil
}

// supposeSwitches asks the kill switches, those for a tool too.
func (s *Server) supposeSwitches(ctx context.Context, a *supposition) ([]policy.Step, error) {
	use := store.Use{UserID: a.user.ID, Clients: []string{a.client.ID}, Resources: []string{a.res.URI}, Tool: a.Tool}
	err := s.unswitched(ctx, use)
	if errors.Is(err, store.ErrSwitched) {
		return judged("switch", "", "a kill switch is thrown", "lift it: remit kill list"), nil
	}
	return judged("switch", "no kill switch is thrown for it", "", ""), err
}

func (s *Server) supposeTool(_ context.Context, a *supposition) ([]policy.Step, error) {
	i := slices.IndexFunc(a.res.Tools, func(t store.Tool) bool { return t.Name == a.Tool })
	if i < 0 {
		return judged("definition", "", "the server does not offer "+a.Tool, "correct the tool's name"), nil
	}
	a.tool = a.res.Tools[i]
	if state := unofferable(a.tool); state != "" {
		return judged("definition", "", state, "approve it: remit resource drift "+a.res.URI), nil
	}
	return judged("definition", "the tool is as it was approved", "", ""), nil
}

// supposePolicy explains scopes, roles, conditions and limits, in the policy's own words.
func (s *Server) supposePolicy(ctx context.Context, a *supposition) ([]policy.Step, error) {
	roles, err := s.store.RolesOf(ctx, a.user.ID, a.res.URI)
	if err != nil {
		return nil, err
	}
	q := policy.Question{Scopes: a.Scopes, Roles: roles, Tool: a.Tool}
	if len(q.Scopes) == 0 {
		q.Scopes = []string{policy.ToolScope + a.Tool}
	}
	if a.policy.Conditional() {
		q.Context = &policy.Context{At: s.now(), Grade: policy.Grade(a.client.Grade()), KeyBound: !a.Bearer}
	}
	if len(a.Arguments) > 0 {
		def, err := tokens.ParseDefinition(a.tool.Definition)
		if err != nil {
			return nil, err
		}
		schema, err := tokens.ParseSchema(def.InputSchema)
		if err != nil {
			return nil, err
		}
		q.Judge = func(limits json.RawMessage) error {
			c, err := parseLimits(limits)
			if err == nil {
				_, err = tokens.Constraints(nil).CheckUnder(c, a.Arguments, schema)
			}
			return err
		}
	}
	steps := a.policy.Explain(q)
	if last := &steps[len(steps)-1]; a.policy.Mode() == policy.Observe && !last.OK {
		last.OK, last.Detail = true, last.Detail+"; the policy is only observed, so it would run"
	}
	return steps, nil
}

// supposeConsent looks for a running task of this user and client that has the tool; without one, the
// user would be asked, which is no refusal.
func (s *Server) supposeConsent(ctx context.Context, a *supposition) ([]policy.Step, error) {
	tasks, err := s.store.TaskList(ctx, store.TaskFilter{UserID: a.user.ID, ClientID: a.client.ID, Resource: a.res.URI, Tool: a.Tool, State: store.TaskActive, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(tasks) == 0 {
		return judged("consent", "no running task has the tool: the user would be asked", "", ""), nil
	}
	return judged("consent", fmt.Sprintf("%s has it until %s", tasks[0].ID, tasks[0].EndsAt.UTC().Format("15:04 MST")), "", ""), nil
}
