package policy

import (
	"cmp"
	"maps"
	"slices"
)

// ToolFacts is what a server says of one of its tools: hints that nobody has proven, so Lint also
// reads the tool's name.
type ToolFacts struct {
	Name        string
	ReadOnly    bool     // readOnlyHint
	Destructive bool     // destructiveHint, which MCP takes for true where a tool that writes says nothing
	OpenWorld   bool     // openWorldHint
	Arguments   []string // the names of its input schema
}

// Severity is how bad a finding is. The values are SARIF's levels.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // the policy does what its words deny, or cannot work
	Warning Severity = "warning" // wider than its author is likely to mean
	Note    Severity = "note"    // worth a look
)

// AtLeast reports whether s is as bad as o, or worse.
func (s Severity) AtLeast(o Severity) bool { return s.rank() >= o.rank() }

func (s Severity) rank() int { return slices.Index([]Severity{Note, Warning, Error}, s) }

// Finding is one thing that is wrong with a policy, and what to write instead.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Position
	Message string `json:"message"`
	Mend    string `json:"mend"`
}

// Code is a kind of finding, as `remit policy lint` and its SARIF describe it.
type Code struct {
	Name     string
	Severity Severity
	Text     string
}

// Codes returns every kind of finding that Lint knows.
func Codes() []Code {
	codes := make([]Code, 0, len(lintRules))
	for _, r := range lintRules {
		codes = append(codes, r.Code)
	}
	return codes
}

// Lint judges a policy against the tools that the server offers. A nil manifest is one that is not
// known: then what a tool does is guessed from its name, and nothing is said about drift. Findings
// are in the order of the file. What Parse refuses (a scope without a role, an unknown role) never
// gets here.
func Lint(p *Policy, manifest []ToolFacts) []Finding {
	l := &linter{Policy: p, known: manifest != nil, facts: map[string]ToolFacts{}, ways: map[[2]string][]Condition{}, nevers: map[[2]int]string{}}
	for _, f := range manifest {
		l.facts[f.Name] = f
	}
	if !l.known {
		for _, tool := range p.Tools() {
			l.facts[tool] = guess(tool)
		}
	}
	l.scopeTools = p.offers()
	for _, r := range lintRules {
		l.code = r.Code
		r.find(l)
	}
	slices.SortStableFunc(l.found, func(a, b Finding) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column, b.Severity.rank()-a.Severity.rank())
	})
	return l.found
}

// linter is one run of Lint.
type linter struct {
	*Policy
	known      bool // the facts are the server's own
	facts      map[string]ToolFacts
	scopeTools map[string]map[string]bool // by scope of the file: the tools that it reaches
	code       Code
	found      []Finding

	ways   map[[2]string][]Condition // of the roles on the way from one role to another
	nevers map[[2]int]string         // see never
}

// add notes a finding of the rule that is running.
func (l *linter) add(at, message, mend string) {
	where, ok := l.at[at]
	if !ok {
		where = Position{1, 1}
	}
	l.found = append(l.found, Finding{l.code.Name, l.code.Severity, where, message, mend})
}

// tools returns what the server offers, or else all that the policy names.
func (l *linter) tools() []string { return sortedKeys(l.facts) }

// reached returns the tools that a scope of the file, or tool:<name>, reaches.
func (l *linter) reached(scope string) []string {
	if tool, ok := toolOf(scope); ok {
		return []string{tool}
	}
	return sortedKeys(l.scopeTools[scope])
}

// under returns the tools that a role names, itself or through what it includes.
func (l *linter) under(role string) []string {
	var named []string
	for tool, all := range l.rules {
		if slices.ContainsFunc(all, func(r Rule) bool { return l.closure[role][r.Role] }) {
			named = append(named, tool)
		}
	}
	slices.Sort(named)
	return named
}

// direct returns the tools that a role names itself.
func (l *linter) direct(role string) []string {
	var named []string
	for tool := range l.rules {
		if _, ok := l.rule(role, tool); ok {
			named = append(named, tool)
		}
	}
	slices.Sort(named)
	return named
}

func (p *Policy) rule(role, tool string) (Rule, bool) {
	i := slices.IndexFunc(p.rules[tool], func(r Rule) bool { return r.Role == role })
	if i < 0 {
		return Rule{}, false
	}
	return p.rules[tool][i], true
}

// fromScopes returns the roles that some scope of the file reaches.
func (l *linter) fromScopes() map[string]bool {
	reached := map[string]bool{}
	for _, s := range l.scopes {
		maps.Copy(reached, s.reach)
	}
	return reached
}

// which returns the tools for which is holds.
func (l *linter) which(tools []string, is func(ToolFacts) bool) []string {
	var some []string
	for _, t := range tools {
		if f, ok := l.facts[t]; ok && is(f) {
			some = append(some, t)
		}
	}
	return some
}

// Of facts that contradict each other the worse one counts.
func destroys(f ToolFacts) bool { return f.Destructive }
func reads(f ToolFacts) bool    { return f.ReadOnly && !f.Destructive }
func writes(f ToolFacts) bool   { return !reads(f) }
func adds(f ToolFacts) bool     { return !f.ReadOnly && !f.Destructive }
