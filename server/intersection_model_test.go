package server_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// The oracle of DESIGN §2.4: effective rights = client ∩ request ∩ consent ∩ user's roles ∩ parent task ∩
// policy. It shares no code with what it judges, and reads nothing but the model's own words.

// modelRole is a role of a policy.
type modelRole struct {
	include []string
	grades  []string // of the clients for which it counts; none: all
	tools   map[string]modelRule
}

// modelRule is a tool in a role.
type modelRule struct {
	grades  []string
	maximum int    // of limit; 0: none
	project string // that it must be for; empty: any
}

type model struct {
	roles  map[string]modelRole
	scopes map[string][]string
}

var (
	modelTools  = []string{"search_tickets", "get_ticket", "add_comment", "delete_ticket"}
	modelRoles  = []string{"r0", "r1", "r2", "r3"}
	modelScopes = []string{"s0", "s1", "s2"}
	origins     = []store.ClientOrigin{store.ByAdmins, store.ByDocument, store.ByRegistration}
	gradeNames  = []string{"registered", "cimd", "dcr"}
)

func some[T any](r *rand.Rand, all []T, most int) (few []T) {
	for _, i := range r.Perm(len(all))[:r.IntN(min(most, len(all))+1)] {
		few = append(few, all[i])
	}
	return few
}

func drawModel(r *rand.Rand) model {
	m := model{map[string]modelRole{}, map[string][]string{}}
	grades := func() []string {
		if r.IntN(3) > 0 {
			return nil
		}
		return some(r, gradeNames, 2)
	}
	for i, name := range modelRoles {
		role := modelRole{include: some(r, modelRoles[:i], 2), grades: grades(), tools: map[string]modelRule{}}
		for _, t := range some(r, modelTools, 3) {
			rule := modelRule{grades: grades()}
			if r.IntN(3) == 0 {
				rule.maximum = 1 + r.IntN(9)
			}
			if r.IntN(4) == 0 {
				rule.project = "WEB"
			}
			role.tools[t] = rule
		}
		m.roles[name] = role
	}
	for _, s := range modelScopes {
		m.scopes[s] = append(some(r, modelRoles, 1), modelRoles[r.IntN(len(modelRoles))])
		slices.Sort(m.scopes[s])
		m.scopes[s] = slices.Compact(m.scopes[s])
	}
	return m
}

func (m model) yaml() string {
	when := func(grades []string) string {
		if len(grades) == 0 {
			return ""
		}
		return "when: {client: [" + strings.Join(grades, ", ") + "]}, "
	}
	var b strings.Builder
	b.WriteString("version: 1\nscopes:\n")
	for _, s := range modelScopes {
		fmt.Fprintf(&b, "  %s: {roles: [%s]}\n", s, strings.Join(m.scopes[s], ", "))
	}
	b.WriteString("roles:\n")
	for _, name := range modelRoles {
		role := m.roles[name]
		fmt.Fprintf(&b, "  %s: {%sinclude: [%s], tools: {", name, when(role.grades), strings.Join(role.include, ", "))
		for _, t := range modelTools {
			rule, named := role.tools[t]
			if !named {
				continue
			}
			var limits []string
			if rule.maximum > 0 {
				limits = append(limits, "limit: {maximum: "+strconv.Itoa(rule.maximum)+"}")
			}
			if rule.project != "" {
				limits = append(limits, "project: {const: "+rule.project+"}")
			}
			fmt.Fprintf(&b, "%s: {%slimits: {%s}}, ", t, when(rule.grades), strings.Join(limits, ", "))
		}
		b.WriteString("}}\n")
	}
	return b.String()
}

// leads reports whether the role is or includes the other, for clients of this grade.
func (m model) leads(from, to, grade string) bool {
	role := m.roles[from]
	if len(role.grades) > 0 && !slices.Contains(role.grades, grade) {
		return false
	}
	return from == to || slices.ContainsFunc(role.include, func(r string) bool { return m.leads(r, to, grade) })
}

// lending is one request, its answer, and a call.
type lending struct {
	origin  int
	scopes  []string // asked for; none: the tools alone
	asked   map[string]askedFor
	roles   []string // the user's when asked
	ticks   []string
	later   []string // the user's roles when the token is issued
	tool    string
	limit   int    // 0: not given
	project string // empty: not given
}

// askedFor is what the client asks of one tool.
type askedFor struct {
	maximum int
	project string
}

func drawLending(r *rand.Rand) lending {
	l := lending{origin: r.IntN(len(origins)), asked: map[string]askedFor{}, roles: some(r, modelRoles, 3)}
	if r.IntN(4) > 0 {
		l.scopes = append(some(r, modelScopes, 2), modelScopes[r.IntN(len(modelScopes))])
		if r.IntN(4) == 0 {
			l.scopes = append(l.scopes, "tool:"+modelTools[r.IntN(len(modelTools))])
		}
		slices.Sort(l.scopes)
		l.scopes = slices.Compact(l.scopes)
	}
	if len(l.scopes) == 0 || r.IntN(2) == 0 {
		for _, t := range append(some(r, modelTools, 3), modelTools[r.IntN(len(modelTools))]) {
			one := askedFor{}
			if r.IntN(3) == 0 {
				one.maximum = 1 + r.IntN(9)
			}
			if r.IntN(4) == 0 {
				one.project = "WEB"
			}
			l.asked[t] = one
		}
	}
	l.ticks = some(r, modelTools, 4)
	l.later = l.roles
	if r.IntN(4) == 0 {
		l.later = some(r, modelRoles, 3)
	}
	l.drawCall(r)
	return l
}

func (l *lending) drawCall(r *rand.Rand) {
	l.tool = modelTools[r.IntN(len(modelTools))]
	l.limit, l.project = []int{0, 1, 5, 9}[r.IntN(4)], []string{"", "WEB", "OPS"}[r.IntN(3)]
}

func (l lending) grade() string { return gradeNames[l.origin] }

// reached reports whether the request's own words reach the role for the tool.
func (m model) reached(l lending, role, tool string, graded bool) bool {
	if len(l.scopes) == 0 {
		_, named := l.asked[tool]
		return named
	}
	return slices.ContainsFunc(l.scopes, func(s string) bool {
		return s == "tool:"+tool || slices.ContainsFunc(m.scopes[s], func(r string) bool { return !graded || m.leads(r, role, l.grade()) })
	})
}

// permits reports whether one role gives the call: named, reached, held, counting, and within its limits.
func (m model) permits(l lending, held []string) bool {
	for name, role := range m.roles {
		rule, names := role.tools[l.tool]
		counts := names && (len(role.grades) == 0 || slices.Contains(role.grades, l.grade())) &&
			(len(rule.grades) == 0 || slices.Contains(rule.grades, l.grade()))
		within := (rule.maximum == 0 || l.limit <= rule.maximum) && (rule.project == "" || l.project == rule.project)
		if counts && within && m.reached(l, name, l.tool, true) && slices.ContainsFunc(held, func(h string) bool { return m.leads(h, name, l.grade()) }) {
			return true
		}
	}
	return false
}

// gives reports whether the policy gives the tool at all, whatever the arguments: that is what is offered.
func (m model) gives(l lending) bool {
	for _, limit := range []int{0, 1} {
		l.limit, l.project = limit, "WEB"
		if m.permits(l, l.roles) {
			return true
		}
	}
	return false
}

// known reports whether each scope of the request is one: a single other one has all of it refused.
func (m model) known(l lending) bool {
	return !slices.ContainsFunc(l.scopes, func(s string) bool {
		tool, single := strings.CutPrefix(s, "tool:")
		return single && !slices.ContainsFunc(modelRoles, func(role string) bool {
			_, names := m.roles[role].tools[tool]
			return names
		})
	})
}

// may is the oracle: the call may run.
func (m model) may(l lending) bool {
	one, named := l.asked[l.tool]
	if len(l.asked) > 0 && !named || !slices.Contains(l.ticks, l.tool) || !m.gives(l) {
		return false // not requested, not consented to, or not for this user to lend
	}
	return one.within(l) && m.permits(l, l.later)
}

// handing is what a sub-agent asks of a task that is handed on to it.
type handing struct {
	origin int
	scopes []string // none: all that the parent has
	asked  map[string]askedFor
}

// drawHanding draws what is asked of a parent that has these scopes.
func drawHanding(r *rand.Rand, l lending, scopes []string) handing {
	h := handing{origin: l.origin, asked: map[string]askedFor{}}
	if r.IntN(3) == 0 {
		h.origin = r.IntN(len(origins))
	}
	if r.IntN(3) == 0 {
		h.scopes = some(r, scopes, 2)
	}
	if r.IntN(2) == 0 {
		for _, t := range some(r, modelTools, 3) {
			one := askedFor{}
			if r.IntN(2) == 0 {
				one.maximum = 1 + r.IntN(9)
			}
			if r.IntN(3) == 0 {
				one.project = "WEB"
			}
			h.asked[t] = one
		}
	}
	return h
}

// plain reports whether the sub-agent is given all that its parent has.
func (h handing) plain(l lending) bool {
	return len(h.scopes) == 0 && len(h.asked) == 0 && h.origin == l.origin
}

// mayBelow is the oracle for a sub-task: its parent might make the call, and so might it by itself.
func (m model) mayBelow(l lending, h handing) bool {
	one, named := h.asked[l.tool]
	if !m.may(l) || len(h.asked) > 0 && !named || !one.within(l) {
		return false
	}
	l.origin = h.origin
	if len(h.scopes) > 0 {
		l.scopes = h.scopes
	}
	return m.permits(l, l.later)
}

// within reports whether the call keeps to the limits, which ask for the argument.
func (a askedFor) within(l lending) bool {
	return (a.maximum == 0 || l.limit > 0 && l.limit <= a.maximum) && (a.project == "" || l.project == a.project)
}

// exact reports whether what is lent is all that may be: scopes that are derived from tools are the least
// that cover them, and a role that the user gets later brings no scope back.
func (l lending) exact() bool { return len(l.scopes) > 0 && slices.Equal(l.roles, l.later) }

func (l lending) ask() consent.Ask {
	a := consent.Ask{ClientID: "cli_x", Scopes: l.scopes, Resource: ticketsURI}
	for _, t := range modelTools {
		if one, named := l.asked[t]; named {
			a.Details.Tools = append(a.Details.Tools, tokens.ToolDetail{Tool: t, Locations: []string{ticketsURI}, Constraints: one.constraints()})
		}
	}
	return a
}

func (a askedFor) constraints() tokens.Constraints {
	all := map[string]any{}
	if a.maximum > 0 {
		all["limit"] = map[string]int{"maximum": a.maximum}
	}
	if a.project != "" {
		all["project"] = map[string]string{"const": a.project}
	}
	raw, err := json.Marshal(all)
	if err != nil {
		panic(err) // numbers and letters
	}
	c, err := tokens.ParseConstraints(raw)
	if err != nil {
		panic(err)
	}
	return c
}

func (l lending) arguments() []byte {
	all := map[string]any{}
	if l.limit > 0 {
		all["limit"] = l.limit
	}
	if l.project != "" {
		all["project"] = l.project
	}
	raw, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return raw
}
