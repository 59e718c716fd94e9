package policy

import "fmt"

// covers reports whether the wide rule permits whatever the narrow one does, to whoever holds from,
// the role of one of them, which includes the other's.
func (l *linter) covers(wide, narrow, from Rule) bool {
	return within(narrow, wide) && (len(l.conditions) == 0 || counts(l.needs(from.Role, narrow), l.needs(from.Role, wide)))
}

// needs are the conditions of a rule for whoever has it by this role.
func (l *linter) needs(from string, r Rule) []Condition {
	key := [2]string{from, r.Role}
	way, known := l.ways[key]
	if !known {
		for _, role := range l.path(from, r.Role) {
			if c, has := l.RoleCondition(role); has && role != r.Role {
				way = append(way, c)
			}
		}
		l.ways[key] = way
	}
	return append(l.Conditions(r), way...)
}

// never says why two conditions of the file cannot hold together; empty: they can.
func (l *linter) never(a, b int) string {
	if a < 0 || b < 0 {
		return ""
	}
	key := [2]int{a, b}
	why, known := l.nevers[key]
	if !known {
		why = never(l.conditions[a], l.conditions[b])
		l.nevers[key] = why
	}
	return why
}

func conditionNever(l *linter) {
	for _, t := range l.Tools() {
		for _, r := range l.rules[t] {
			if why := l.never(r.when, l.roleCondition(r.Role)); why != "" {
				l.add(atWhen(r.Role, t), fmt.Sprintf("the conditions of role %q and of %s in it never hold together: %s", r.Role, t, why),
					"take one of the conditions out, or let them have something in common")
			}
		}
	}
	for _, outer := range l.Roles() {
		for _, inner := range l.include[outer] {
			if why := l.never(l.roleCondition(outer), l.roleCondition(inner)); why != "" {
				l.add(atWhen(outer, ""), fmt.Sprintf("the conditions of role %q and of %q, which it includes, never hold together: %s", outer, inner, why),
					fmt.Sprintf("do not include %q, or let them have something in common", inner))
			}
		}
	}
}

func keylessCondition(l *linter) {
	if l.bearer != BearerNone {
		return
	}
	for _, role := range l.Roles() {
		if c, has := l.RoleCondition(role); has && c.KeyBound {
			l.add(atWhen(role, ""), fmt.Sprintf("role %q asks for key-bound tokens, and no others are accepted", role), "leave key_bound out, unless bearer will be set")
		}
	}
}

func unboundedWildcard(l *linter) {
	for _, role := range l.readRoles {
		for _, p := range l.reads[role].resources {
			if !p.bounded() {
				l.add(atRead(role, p.text), fmt.Sprintf("role %q may read all that %s names", role, p.text), "name a directory, or a host, before the first wildcard")
			}
		}
	}
}

func observed(l *linter) {
	if l.mode == Observe {
		l.add(atMode, "mode: observe refuses nothing: what the policy denies runs, and is only recorded", "write mode: enforce once the record shows no call that should run")
	}
}
