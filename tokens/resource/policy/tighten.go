package policy

import (
	"fmt"
	"slices"
)

// The findings of Tighten. What was not used is no fault, so all are notes.
const (
	UnusedTool  = "unused-tool"
	UnusedScope = "unused-scope"
	UnusedRole  = "unused-role"
	WideRole    = "wide-role"
)

// Use is what one user called.
type Use struct{ User, Tool string }

// Tighten says what of the policy nobody used: tools that nobody called, scopes none of whose tools
// was called, and users whose calls a lesser role would have allowed, or none. held is the roles of
// each user.
func Tighten(p *Policy, uses []Use, held map[string][]string) []Finding {
	called, by := map[string]bool{}, map[string]map[string]bool{}
	for _, u := range uses {
		called[u.Tool] = true
		if by[u.User] == nil {
			by[u.User] = map[string]bool{}
		}
		by[u.User][u.Tool] = true
	}
	l := &linter{Policy: p, scopeTools: p.offers()}
	l.unusedScopes(called)
	l.unusedTools(called)
	for _, user := range sortedKeys(held) {
		for _, role := range held[user] {
			if p.closure[role] != nil {
				l.judgeRole(user, role, by[user])
			}
		}
	}
	return l.found
}

func (l *linter) unusedScopes(called map[string]bool) {
	l.code = Code{Name: UnusedScope, Severity: Note}
	for _, s := range l.listed {
		if tools := l.reached(s.Name); !slices.ContainsFunc(tools, func(t string) bool { return called[t] }) {
			l.add(atScope(s.Name), fmt.Sprintf("nobody called a tool that scope %q reaches", s.Name), "take the scope out, or out of the baseline")
		}
	}
}

func (l *linter) unusedTools(called map[string]bool) {
	l.code = Code{Name: UnusedTool, Severity: Note}
	for _, t := range l.Tools() {
		for _, r := range l.rules[t] {
			if !called[t] {
				l.add(atRule(r.Role, t), fmt.Sprintf("nobody called %s, which role %q names", t, r.Role), fmt.Sprintf("take %s out of %q", t, r.Role))
			}
		}
	}
}

// judgeRole looks for the least role within role that has all that the user called of it.
func (l *linter) judgeRole(user, role string, called map[string]bool) {
	has := l.under(role)
	used := slices.DeleteFunc(slices.Clone(has), func(t string) bool { return !called[t] })
	if len(used) == 0 {
		l.code = Code{Name: UnusedRole, Severity: Note}
		l.add(atRole(role), fmt.Sprintf("%s holds role %q and called none of its tools", user, role), fmt.Sprintf("take %q from %s", role, user))
		return
	}
	best := role
	for _, inner := range sortedKeys(l.closure[role]) {
		tools := l.under(inner)
		covers := !slices.ContainsFunc(used, func(t string) bool { return !slices.Contains(tools, t) })
		if covers && len(tools) < len(l.under(best)) {
			best = inner
		}
	}
	if best != role {
		l.code = Code{Name: WideRole, Severity: Note}
		l.add(atRole(role), fmt.Sprintf("%s holds role %q and called only %s, which role %q has too", user, role, few(used), best),
			fmt.Sprintf("give %s %q in place of %q", user, best, role))
	}
}
