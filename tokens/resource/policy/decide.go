package policy

import "strings"

// The checks at which a decision can fail, in their order.
const (
	CheckTool  = "unknown_tool" // no role of the policy names the tool
	CheckScope = "scope"        // none of the scopes reaches a role that names it
	CheckRole  = "role"         // the user holds none of the roles so reached
)

// Decision is the policy's answer for one tool.
type Decision struct {
	Allowed bool
	Check   string // the check that failed; empty when allowed
	Rules   []Rule // when allowed: the alternatives, any of which may permit the call
}

// Decide answers whether these scopes, in the hands of a user with these roles, reach the tool:
// some role that the scopes reach and the user holds, includes followed on both sides, must name it.
// What the file does not name reaches nothing.
func (p *Policy) Decide(scopes, userRoles []string, tool string) Decision {
	rules := p.rules[tool]
	if len(rules) == 0 {
		return Decision{Check: CheckTool}
	}
	reached := false
	var allowed []Rule
	for _, rule := range rules {
		if !p.reaches(scopes, rule.Role, tool) {
			continue
		}
		reached = true
		if p.holds(userRoles, rule.Role) {
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
func (p *Policy) reaches(scopes []string, role, tool string) bool {
	for _, s := range scopes {
		if t, ok := toolOf(s); ok {
			if t == tool { // every role that names the tool, but for this tool only
				return true
			}
			continue
		}
		if p.scopes[s].reach[role] {
			return true
		}
	}
	return false
}

// holds reports whether one of the user's roles is the role or includes it.
func (p *Policy) holds(userRoles []string, role string) bool {
	for _, r := range userRoles {
		if p.closure[r][role] {
			return true
		}
	}
	return false
}

func toolOf(scope string) (tool string, ok bool) { return strings.CutPrefix(scope, ToolScope) }
