package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// model is a policy as the oracle sees it: nothing but the file's own words.
type model struct {
	include map[string][]string
	tools   map[string][]string // by role
	scopes  map[string][]string // roles by scope
}

var (
	someRoles  = []string{"r0", "r1", "r2", "r3", "r4"}
	someTools  = []string{"t0", "t1", "t2", "t3", "t4", "t5"}
	someScopes = []string{"s0", "s1", "s2", "s3"}
	ghosts     = []string{"r9", "t9", "s9", "tool:t0", "tool:t3", "tool:t9", "tool:", "*", ""}
)

func drawModel(t *rapid.T) model {
	m := model{map[string][]string{}, map[string][]string{}, map[string][]string{}}
	for i, r := range someRoles {
		m.tools[r] = rapid.SliceOfNDistinct(rapid.SampledFrom(someTools), 0, 3, rapid.ID[string]).Draw(t, "tools of "+r)
		if i > 0 { // only earlier roles: no cycles
			m.include[r] = rapid.SliceOfNDistinct(rapid.SampledFrom(someRoles[:i]), 0, 2, rapid.ID[string]).Draw(t, "include of "+r)
		}
	}
	for _, s := range someScopes {
		m.scopes[s] = rapid.SliceOfNDistinct(rapid.SampledFrom(someRoles), 1, 2, rapid.ID[string]).Draw(t, "roles of "+s)
	}
	return m
}

func (m model) yaml() string {
	var b strings.Builder
	b.WriteString("version: 1\nscopes:\n")
	for s, roles := range m.scopes {
		fmt.Fprintf(&b, "  %s: {roles: [%s]}\n", s, strings.Join(roles, ", "))
	}
	b.WriteString("roles:\n")
	for r, tools := range m.tools {
		fmt.Fprintf(&b, "  %s:\n    include: [%s]\n    tools:\n", r, strings.Join(m.include[r], ", "))
		for _, t := range tools {
			fmt.Fprintf(&b, "      %s: {}\n", t)
		}
	}
	return b.String()
}

// has reports whether role is or includes wanted.
func (m model) has(role, wanted string) bool {
	return role == wanted || slices.ContainsFunc(m.include[role], func(r string) bool { return m.has(r, wanted) })
}

// allows is the oracle: is there a role that names the tool, that a scope reaches and that the user holds?
func (m model) allows(scopes, held []string, tool string) bool {
	for role, tools := range m.tools {
		if !slices.Contains(tools, tool) {
			continue
		}
		reached := slices.Contains(scopes, "tool:"+tool)
		for _, s := range scopes {
			reached = reached || slices.ContainsFunc(m.scopes[s], func(r string) bool { return m.has(r, role) })
		}
		if reached && slices.ContainsFunc(held, func(r string) bool { return m.has(r, role) }) {
			return true
		}
	}
	return false
}

func drawNames(t *rapid.T, label string, from []string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(append(slices.Clone(from), ghosts...)), 0, 4, rapid.ID[string]).Draw(t, label)
}

func TestDecideAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		p, err := Parse([]byte(m.yaml()), nil)
		if err != nil {
			t.Fatal(err)
		}
		scopes, roles := drawNames(t, "scopes", someScopes), drawNames(t, "roles", someRoles)
		for _, tool := range append(slices.Clone(someTools), ghosts...) {
			d := p.Decide(scopes, roles, tool)
			if d.Allowed != m.allows(scopes, roles, tool) {
				t.Fatalf("Decide(%v, %v, %s) = %+v", scopes, roles, tool, d)
			}
			if d.Allowed != (len(d.Rules) > 0) || d.Allowed != (d.Check == "") {
				t.Fatalf("the decision contradicts itself: %+v", d)
			}
			// deny by default
			if p.Decide(nil, roles, tool).Allowed || p.Decide(scopes, nil, tool).Allowed {
				t.Fatal("something is allowed without a scope or without a role")
			}
			// monotone: more scopes or roles never take a rule away
			more := p.Decide(append(slices.Clone(scopes), rapid.SampledFrom(someScopes).Draw(t, "more")), append(slices.Clone(roles), "r4"), tool)
			for _, r := range d.Rules {
				if !slices.ContainsFunc(more.Rules, func(o Rule) bool { return o.Role == r.Role }) {
					t.Fatalf("a further scope took the rule of %s away", r.Role)
				}
			}
		}
	})
}

func TestScopesForCoversAndIsIrredundant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		p, err := Parse([]byte(m.yaml()), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Tools()) == 0 {
			return
		}
		tools := rapid.SliceOfNDistinct(rapid.SampledFrom(p.Tools()), 0, len(p.Tools()), rapid.ID[string]).Draw(t, "tools")
		covers := func(scopes []string) bool {
			return !slices.ContainsFunc(tools, func(tool string) bool { return !p.Decide(scopes, someRoles, tool).Allowed })
		}
		cover := p.ScopesFor(tools)
		if !covers(cover) {
			t.Fatalf("ScopesFor(%v) = %v does not reach them all", tools, cover)
		}
		for i, s := range cover {
			if covers(slices.Delete(slices.Clone(cover), i, i+1)) {
				t.Fatalf("ScopesFor(%v) = %v: %s is not needed", tools, cover, s)
			}
			if tool, ok := toolOf(s); ok && slices.ContainsFunc(someScopes, func(o string) bool { return p.Decide([]string{o}, someRoles, tool).Allowed }) {
				t.Fatalf("ScopesFor(%v) = %v: a scope covers %s", tools, cover, tool)
			}
		}
	})
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(tickets))
	f.Add([]byte("version: 1\nroles: {r: {tools: {t: {limits: {a: {pattern: \"a+\"}}}}}}"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := Parse(src, nil)
		if err != nil {
			return
		}
		for _, tool := range p.Tools() {
			if !p.Decide([]string{ToolScope + tool}, p.Roles(), tool).Allowed {
				t.Errorf("%s is out of everybody's reach", tool)
			}
			for _, rule := range p.Decide([]string{ToolScope + tool}, p.Roles(), tool).Rules {
				var limits map[string]any
				if err := json.Unmarshal(rule.Limits, &limits); err != nil {
					t.Errorf("limits %s: %v", rule.Limits, err)
				}
			}
		}
		for _, s := range p.Baseline() {
			if !p.ScopeKnown(s) {
				t.Errorf("the baseline has the unknown scope %q", s)
			}
		}
	})
}
