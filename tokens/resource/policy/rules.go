package policy

import (
	"fmt"
	"slices"
	"strings"
)

// lintRule is one kind of finding and how it is found.
type lintRule struct {
	Code
	find func(*linter)
}

// lintRules are all that Lint looks for, the worst first.
var lintRules = []lintRule{
	{Code{"baseline-destructive", Error, "A client that asks for no scope is offered a tool that destroys."}, baselineDestroys},
	{Code{"read-scope-writes", Error, "A scope whose name or title says that it reads reaches a tool that writes or destroys."}, readScopeWrites},
	{Code{"impossible-limit", Error, "A limit names an argument that the tool does not have, so that it limits nothing or lets no call pass."}, impossibleLimit},
	{Code{"condition-never", Error, "Conditions that must hold together never do, so that nobody is ever permitted."}, conditionNever},
	{Code{"observe-mode", Warning, "The policy is only watched: what it denies runs all the same."}, observed},
	{Code{"unbounded-wildcard", Warning, "A role may read resources by a wildcard with nothing before it."}, unboundedWildcard},
	{Code{"baseline-writes", Warning, "A client that asks for no scope is offered a tool that writes."}, baselineWrites},
	{Code{"bearer-writes", Warning, "Tokens that are bound to no key, which any thief can use, reach tools that write."}, bearerWrites},
	{Code{"broad-role", Warning, "One scope reaches a role with every tool of the server."}, broadRole},
	{Code{"mixed-role", Warning, "A role that scopes reach names tools that read and tools that destroy together."}, mixedRole},
	{Code{"unlimited-destructive", Warning, "A tool that destroys has neither limits nor a budget of calls."}, unlimitedDestructive},
	{Code{"undone-limit", Warning, "A role includes another and undoes a limit or a condition of it."}, undoneLimit},
	{Code{"dead-limit", Warning, "A role's rule never matters, because a role that it includes allows as much."}, deadLimit},
	{Code{"missing-tool", Warning, "The policy names a tool that the server does not offer."}, missingTool},
	{Code{"unreachable-tool", Warning, "No role names a tool that the server offers."}, unreachableTool},
	{Code{"mislabelled-tool", Warning, "A tool's hints say that it does not destroy, and its name says that it does."}, mislabelledTool},
	{Code{"empty-role", Warning, "A role permits nothing, itself or by what it includes."}, emptyRole},
	{Code{"empty-scope", Warning, "A scope reaches no tool."}, emptyScope},
	{Code{"needless-condition", Note, "A condition asks for what every token has."}, keylessCondition},
	{Code{"unreached-role", Note, "No scope reaches a role: its tools are had by tool:<name> alone."}, unreachedRole},
}

func baselineDestroys(l *linter) {
	for _, s := range l.baseline {
		for _, t := range l.which(l.reached(s), destroys) {
			l.add(atBaseline(s), fmt.Sprintf("the baseline scope %q reaches %s, which destroys", s, t),
				fmt.Sprintf("take %q out of baseline, or name %s in a role that no baseline scope reaches", s, t))
		}
	}
}

func baselineWrites(l *linter) {
	for _, s := range l.baseline {
		for _, t := range l.which(l.reached(s), adds) {
			l.add(atBaseline(s), fmt.Sprintf("the baseline scope %q reaches %s, which writes", s, t),
				fmt.Sprintf("let baseline hold scopes that only read, and let clients ask for %s", t))
		}
	}
}

func readScopeWrites(l *linter) {
	for _, s := range l.listed {
		text, what := s.Name, "name"
		if !saysReadOnly(text) {
			text, what = s.Title, "title"
		}
		if !saysReadOnly(text) {
			continue
		}
		for _, t := range l.which(l.reached(s.Name), writes) {
			does := "writes"
			if destroys(l.facts[t]) {
				does = "destroys"
			}
			l.add(atScope(s.Name), fmt.Sprintf("the %s of scope %q says that it reads, and it reaches %s, which %s", what, s.Name, t, does),
				fmt.Sprintf("name %s in a role of its own and let another scope reach that, or say in name and title of %q that it changes things", t, s.Name))
		}
	}
}

func impossibleLimit(l *linter) {
	if !l.known {
		return
	}
	for _, t := range l.Tools() {
		facts, offered := l.facts[t]
		for _, r := range l.rules[t] {
			limits := limitsOf(r)
			for _, argument := range sortedKeys(limits) {
				if offered && !slices.Contains(facts.Arguments, argument) {
					effect := fmt.Sprintf("so that role %q permits no call of it", r.Role)
					if onlyBounds(limits[argument]) {
						effect = fmt.Sprintf("so that this limit of role %q limits nothing", r.Role)
					}
					l.add(atLimits(r.Role, t), fmt.Sprintf("%s has no argument %q, %s", t, argument, effect),
						fmt.Sprintf("limit one of its arguments: %s", orNone(facts.Arguments)))
				}
			}
		}
	}
}

func bearerWrites(l *linter) {
	if l.bearer != BearerAll {
		return
	}
	if some := l.which(l.Tools(), writes); len(some) > 0 {
		l.add(atBearer, "bearer: all lets whoever copies a token call "+few(some), "write bearer: read_only, or leave bearer out")
	}
}

func broadRole(l *linter) {
	all := l.tools()
	kinds := 0
	gentle := func(f ToolFacts) bool { return adds(f) && !saysDestroys(f.Name) }
	rest := func(f ToolFacts) bool { return !harmless(f) && !gentle(f) }
	for _, is := range []func(ToolFacts) bool{harmless, gentle, rest} {
		if len(l.which(all, is)) > 0 {
			kinds++
		}
	}
	if len(all) < 3 || kinds < 2 {
		return // nothing to split
	}
	reached := l.fromScopes()
	for _, role := range l.Roles() {
		named := l.under(role)
		if reached[role] && !slices.ContainsFunc(all, func(t string) bool { return !slices.Contains(named, t) }) {
			l.add(atRole(role), fmt.Sprintf("role %q names all %d tools, and a scope reaches it", role, len(all)),
				"split it into a role that reads, one that includes it and writes, and one that destroys, each with a scope of its own")
		}
	}
}

func mixedRole(l *linter) {
	reached := l.fromScopes()
	for _, role := range l.Roles() {
		named := l.direct(role)
		bad, good := l.which(named, destroys), l.which(named, harmless)
		if reached[role] && len(bad) > 0 && len(good) > 0 {
			l.add(atRule(role, bad[0]), fmt.Sprintf("role %q lets whoever may call %s also call %s, which destroys", role, good[0], few(bad)),
				fmt.Sprintf("name %s in a role that includes %q, and let a scope of its own reach that", few(bad), role))
		}
	}
}

// harmless is a tool that reads, by its hints and by its name.
func harmless(f ToolFacts) bool { return reads(f) && !saysDestroys(f.Name) }

func unlimitedDestructive(l *linter) {
	for _, t := range l.which(l.Tools(), destroys) {
		for _, r := range l.rules[t] {
			if r.MaxCalls == 0 && len(limitsOf(r)) == 0 {
				l.add(atRule(r.Role, t), fmt.Sprintf("role %q permits any number of any calls of %s, which destroys", r.Role, t),
					fmt.Sprintf("%s: {max_calls: 5}, or limits on its arguments", t))
			}
		}
	}
}

// overlaps calls f with each tool that a role and one that it includes both name, until f has found
// something of the role's rule.
func (l *linter) overlaps(f func(tool string, outer, inner Rule) bool) {
	for _, t := range l.Tools() {
		for _, outer := range l.rules[t] {
			for _, inner := range l.rules[t] {
				if outer.Role != inner.Role && l.closure[outer.Role][inner.Role] && f(t, outer, inner) {
					break
				}
			}
		}
	}
}

func undoneLimit(l *linter) {
	l.overlaps(func(tool string, outer, inner Rule) bool {
		undone := l.covers(outer, inner, outer) && !l.covers(inner, outer, outer)
		if undone {
			l.add(atRule(outer.Role, tool), fmt.Sprintf("role %q undoes what the included role %q asks of %s", outer.Role, inner.Role, tool),
				fmt.Sprintf("leave %s out of %q, or repeat limit and condition: of several rules any one may permit a call", tool, outer.Role))
		}
		return undone
	})
}

func deadLimit(l *linter) {
	l.overlaps(func(tool string, outer, inner Rule) bool {
		dead := l.covers(inner, outer, outer)
		if dead {
			l.add(atRule(outer.Role, tool), fmt.Sprintf("the rule of role %q for %s never matters: the included role %q permits as much", outer.Role, tool, inner.Role),
				fmt.Sprintf("narrow %s in %q, or do not include %q: a rule never takes away what another gives", tool, inner.Role, inner.Role))
		}
		return dead
	})
}

func missingTool(l *linter) {
	if !l.known {
		return
	}
	for _, t := range l.Tools() {
		if _, offered := l.facts[t]; offered {
			continue
		}
		for _, r := range l.rules[t] {
			l.add(atRule(r.Role, t), fmt.Sprintf("role %q names %s, which the server does not offer", r.Role, t),
				"take it out, or correct its name: a tool that gets this name later would be permitted at once")
		}
	}
}

func unreachableTool(l *linter) {
	for _, t := range l.tools() {
		if len(l.rules[t]) == 0 {
			l.add("roles", fmt.Sprintf("no role names %s, so that nobody can call it", t), fmt.Sprintf("name %s in the role that should have it", t))
		}
	}
}

func mislabelledTool(l *linter) {
	if !l.known {
		return
	}
	for _, t := range l.Tools() {
		if f, offered := l.facts[t]; offered && !destroys(f) && saysDestroys(t) {
			l.add(atRule(l.rules[t][0].Role, t), fmt.Sprintf("the hints of %s say that it does not destroy, and its name says that it does", t),
				"look at what it does before you trust its hints; correct the server's annotations")
		}
	}
}

func emptyRole(l *linter) {
	for _, role := range l.Roles() {
		if len(l.under(role)) == 0 && !l.readsUnder(l.closure[role]) {
			l.add(atRole(role), fmt.Sprintf("role %q permits nothing: whoever is given it can call no tool", role), "name its tools, or take the role out")
		}
	}
}

func emptyScope(l *linter) {
	for _, s := range l.listed {
		if len(l.reached(s.Name)) == 0 && !l.readsUnder(l.scopes[s.Name].reach) {
			l.add(atScope(s.Name), fmt.Sprintf("scope %q reaches no tool", s.Name), "let it reach a role that names tools, or take the scope out")
		}
	}
}

func unreachedRole(l *linter) {
	reached := l.fromScopes()
	for _, role := range l.Roles() {
		if _, reads := l.reads[role]; !reached[role] && reads {
			l.add(atRole(role), fmt.Sprintf("no scope reaches role %q: nobody can read what it names", role), "add a scope that reaches it")
		} else if named := l.direct(role); !reached[role] && len(named) > 0 {
			l.add(atRole(role), fmt.Sprintf("no scope reaches role %q: clients get %s by tool:<name> alone", role, few(named)),
				"add a scope that reaches it, unless that is what you want")
		}
	}
}

// readsUnder reports whether one of the roles names resources or prompts.
func (l *linter) readsUnder(roles map[string]bool) bool {
	return slices.ContainsFunc(l.readRoles, func(r string) bool { return roles[r] })
}

// few names up to three of them.
func few(names []string) string {
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
	}
	return strings.Join(names, ", ")
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "it has none"
	}
	return few(names)
}
