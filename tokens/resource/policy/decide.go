package policy

import (
	"slices"
	"strings"
)

// The checks at which a decision can fail, in their order.
const (
	CheckTool      = "unknown_tool" // no role of the policy names the tool
	CheckScope     = "scope"        // none of the scopes reaches a role that names it
	CheckRole      = "role"         // the user holds none of the roles so reached
	CheckCondition = "condition"    // one that is reached and held does not count now
)

// Decision is the policy's answer for one tool.
type Decision struct {
	Allowed bool
	Check   string   // the check that failed; empty when allowed
	Rules   []Rule   // when allowed: the alternatives, any of which may permit the call
	Lacks   []string // when Check is CheckCondition: addresses, hours, client, key_bound
}

// Decide answers whether these scopes, in the hands of a user with these roles, reach the tool:
// some role that the scopes reach and the user holds, includes followed on both sides, must name it.
// What the file does not name reaches nothing. Conditions are taken to hold.
func (p *Policy) Decide(scopes, userRoles []string, tool string) Decision {
	return p.DecideIn(scopes, userRoles, tool, Always)
}

// DecideIn is Decide where some conditions do not hold. A role whose condition does not hold is not
// there: neither by itself nor as a step to what it includes.
func (p *Policy) DecideIn(scopes, userRoles []string, tool string, h Holding) Decision {
	return p.decideIn(p.rules[tool], scopes, userRoles, tool, CheckTool, h)
}

func (p *Policy) decideIn(rules []Rule, scopes, userRoles []string, tool, unknown string, h Holding) Decision {
	d := p.decide(rules, scopes, userRoles, tool, unknown, Always)
	if !d.Allowed || h == Always {
		return d
	}
	if in := p.decide(rules, scopes, userRoles, tool, unknown, h); in.Allowed {
		return in
	}
	return Decision{Check: CheckCondition, Lacks: p.lacking(d.Rules, h)}
}

func (p *Policy) decide(rules []Rule, scopes, userRoles []string, tool, unknown string, h Holding) Decision {
	if len(rules) == 0 {
		return Decision{Check: unknown}
	}
	reached := false
	var allowed []Rule
	for _, rule := range rules {
		if !h.holds(rule.when) || !p.reaches(scopes, rule.Role, tool, h) {
			continue
		}
		reached = true
		if p.holds(userRoles, rule.Role, h) {
			allowed = append(allowed, rule)
		}
	}
	switch {
	case !reached:
		return Decision{Check: CheckScope}
	case len(allowed) == 0:
		return Decision{Check: CheckRole}
	}
	return Decision{Allowed: true, Rules: allowed}
}

// lacking names the kinds of conditions that keep these rules from counting.
func (p *Policy) lacking(rules []Rule, h Holding) (parts []string) {
	note := func(condition int) {
		if !h.holds(condition) {
			parts = append(parts, p.conditions[condition].parts()...)
		}
	}
	for _, rule := range rules {
		note(rule.when)
		for role, reach := range p.closure {
			if reach[rule.Role] {
				note(p.roleCondition(role))
			}
		}
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}

// parts names the parts that the condition has.
func (c Condition) parts() []string { return c.lacks(Context{}) }

// Reach returns every tool that the scopes and roles reach, with the alternatives for each.
func (p *Policy) Reach(scopes, userRoles []string) map[string][]Rule {
	reach := map[string][]Rule{}
	for tool := range p.rules {
		if d := p.Decide(scopes, userRoles, tool); d.Allowed {
			reach[tool] = d.Rules
		}
	}
	return reach
}

// reaches reports whether one of the scopes reaches the role for this tool.
func (p *Policy) reaches(scopes []string, role, tool string, h Holding) bool {
	for _, s := range scopes {
		if t, ok := toolOf(s); ok {
			if t == tool && tool != "" && p.leads(role, role, h) { // every role that names the tool, but for this tool only
				return true
			}
			continue
		}
		if slices.ContainsFunc(p.scopes[s].Roles, func(r string) bool { return p.leads(r, role, h) }) {
			return true
		}
	}
	return false
}

// holds reports whether one of the user's roles is the role or includes it.
func (p *Policy) holds(userRoles []string, role string, h Holding) bool {
	return slices.ContainsFunc(userRoles, func(r string) bool { return p.leads(r, role, h) })
}

// leads reports whether from is the role or includes it, by roles all of whose conditions hold.
func (p *Policy) leads(from, role string, h Holding) bool {
	switch {
	case !p.closure[from][role]:
		return false
	case h == Always || len(p.roleWhen) == 0:
		return true
	}
	return p.walk(from, role, h, map[string]bool{})
}

// walk looks for the role below from, at each role once.
func (p *Policy) walk(from, role string, h Holding, seen map[string]bool) bool {
	if seen[from] || !p.closure[from][role] || !h.holds(p.roleCondition(from)) {
		return false
	}
	seen[from] = true
	return from == role || slices.ContainsFunc(p.include[from], func(inner string) bool { return p.walk(inner, role, h, seen) })
}

// roleCondition is the index of the role's own condition; -1 for none.
func (p *Policy) roleCondition(role string) int {
	if i, has := p.roleWhen[role]; has {
		return i
	}
	return -1
}

func toolOf(scope string) (tool string, ok bool) { return strings.CutPrefix(scope, ToolScope) }
