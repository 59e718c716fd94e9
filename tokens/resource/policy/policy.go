// Package policy holds a resource's policy file: which scopes reach which roles, and which tools,
// within which limits, each role names. It is pure: it parses and decides, and never reads a file,
// a clock or the network. It does not know what a limit means; whoever parses a policy hands in the
// check for the limits' profile.
//
//	parse.go   the YAML file, read strictly
//	decide.go  scope → role → tool → limits, with the user's own roles intersected
//	condition.go  when a role, or a tool in a role, counts: addresses, hours, who the client is
//	read.go uri.go
//	           what is read besides tools: MCP resources by URI pattern, prompts by name
//	cover.go   the least set of scopes that reaches given tools
//	lint.go rules.go words.go within.go
//	           what is wrong with a policy, where, and what to write instead
//	explain.go why a call is allowed or refused, check by check
//	draft.go   a first policy from what a server says of its tools
//	tighten.go what of a policy nobody used
//	schema.go  the file's JSON Schema, for editors
package policy

import (
	"encoding/json"
	"slices"
)

// ToolScope is the prefix of the scope that asks for one tool alone.
const ToolScope = "tool:"

// Policy is one parsed version of a policy file. It never changes; a new file is a new Policy.
type Policy struct {
	version  string
	mode     Mode
	bearer   Bearer
	opaque   bool
	baseline []string
	scopes   map[string]scope
	listed   []Scope                    // the scopes, sorted by name
	rules    map[string][]Rule          // by tool: what each role that names it permits, by role name
	closure  map[string]map[string]bool // by role: the role and all that it includes
	include  map[string][]string        // by role: what it includes, as written
	at       map[string]Position        // where the file says what

	conditions []Condition         // all that the file has, each once
	roleWhen   map[string]int      // by role that has one: the index of its condition
	reads      map[string]readings // by role: resources and prompts
	readRoles  []string            // the roles of reads, sorted
}

// scope is a Scope with the roles it reaches, includes followed, conditions left aside.
type scope struct {
	Scope
	reach map[string]bool
}

// Scope is a scope as the policy file defines it.
type Scope struct {
	Name  string
	Title string
	Roles []string // as written, without their includes
}

// Rule is what one role permits for one tool.
type Rule struct {
	Role     string
	Limits   json.RawMessage // a JSON object of constraints by argument name; {} for none
	MaxCalls int             // calls per task; 0: no budget
	EachCall bool            // the user is asked before each call

	Introspect bool // the authorization server is asked about the token before each call (RFC 7662)

	when int // the index of its own condition; -1: none
}

// Mode says what becomes of a call that the policy refuses.
type Mode string

// The values of Mode.
const (
	Enforce Mode = ""        // it is refused
	Observe Mode = "observe" // it runs, and the record says that it would have been refused
)

// Mode is what becomes of a call that the policy refuses.
func (p *Policy) Mode() Mode { return p.mode }

// Conditions returns when the rule counts: its own condition and that of the role it stands in.
func (p *Policy) Conditions(r Rule) (all []Condition) {
	if r.when >= 0 {
		all = append(all, p.conditions[r.when])
	}
	if c, has := p.RoleCondition(r.Role); has {
		all = append(all, c)
	}
	return all
}

// RoleCondition returns when the role counts; ok is false when it always does.
func (p *Policy) RoleCondition(role string) (c Condition, ok bool) {
	i, ok := p.roleWhen[role]
	if !ok {
		return Condition{}, false
	}
	return p.conditions[i], true
}

// Bearer says which tools a token that is bound to no key may reach. Whoever copies such a token can
// use it, so the safest value is the zero one.
type Bearer string

// The values of Bearer.
const (
	BearerNone     Bearer = ""          // key-bound tokens alone (RFC 9449)
	BearerReadOnly Bearer = "read_only" // tools whose approved definition says readOnlyHint
	BearerAll      Bearer = "all"       // every tool that scope and role reach
)

// Bearer is which tools tokens without a key may reach here.
func (p *Policy) Bearer() Bearer { return p.bearer }

// Opaque reports whether access tokens for this server say nothing to whoever holds them: only the
// authorization server knows what they stand for, and the Guard asks it about each request (RFC 7662).
func (p *Policy) Opaque() bool { return p.opaque }

// Version names the exact bytes of the file: "sha-256:" and their digest.
func (p *Policy) Version() string { return p.version }

// Baseline is the scopes that a client gets when it asks for none.
func (p *Policy) Baseline() []string { return slices.Clone(p.baseline) }

// Scopes returns the scopes of the file, sorted by name.
func (p *Policy) Scopes() []Scope { return slices.Clone(p.listed) }

// ScopeKnown reports whether the scope is in the file, or asks for one tool that some role names.
func (p *Policy) ScopeKnown(s string) bool {
	if tool, ok := toolOf(s); ok {
		return len(p.rules[tool]) > 0
	}
	_, ok := p.scopes[s]
	return ok
}

// Introspects reports whether the authorization server is asked about the token before each call of
// the tool: where any role says so, whichever gives the call.
func (p *Policy) Introspects(tool string) bool {
	return slices.ContainsFunc(p.rules[tool], func(r Rule) bool { return r.Introspect })
}

// Tools returns every tool that some role names, sorted.
func (p *Policy) Tools() []string { return sortedKeys(p.rules) }

// Roles returns every role of the file, sorted.
func (p *Policy) Roles() []string { return sortedKeys(p.closure) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
