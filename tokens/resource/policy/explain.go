package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// CheckLimits is the check that follows Decide: whoever parses the limits judges the arguments.
const CheckLimits = "argument_limit"

// Step is one check of a call, in the order in which a Guard makes them. The first that is not OK
// is why the call is refused; none follows it.
type Step struct {
	Check  string   `json:"check"`
	OK     bool     `json:"ok"`
	Detail string   `json:"detail"`
	Notes  []Remark `json:"notes,omitempty"` // one for each role that was tried
	Mend   string   `json:"mend,omitempty"`  // what would let it pass
}

// Remark is a step's word about one role, and where the file names the tool in it.
type Remark struct {
	Role string `json:"role"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
	Position
}

// Question is a call, as far as the policy judges one. What the policy does not know (token, task,
// consent, definition) is not spoken of.
type Question struct {
	Scopes, Roles []string
	Tool          string
	Read          Kind     // not a tool: what Tool names is read
	Context       *Context // nil: conditions are told, not judged
	// Judge says whether the arguments keep to a rule's limits; nil: they are not judged.
	Judge func(limits json.RawMessage) error
}

// Explain says why a call is allowed or refused by the policy.
func (p *Policy) Explain(q Question) []Step {
	e := explainer{Policy: p, scopes: q.Scopes, held: q.Roles, name: q.Tool, rules: p.rules[q.Tool], kind: q.Read, now: Always}
	if q.Read != "" {
		e.rules = nil
		if q.Read != Resources || CheckURI(q.Tool) == nil {
			e.rules = p.readRules(q.Read, q.Tool)
		}
	}
	checks := []func() Step{e.tool, e.scope, e.role}
	if p.Conditional() {
		if q.Context != nil {
			e.now = p.Hold(*q.Context)
		}
		checks = append(checks, func() Step { return e.condition(q.Context) })
	}
	if q.Read == "" {
		checks = append(checks, func() Step { return e.limits(q.Judge) })
	}
	var steps []Step
	for _, next := range checks {
		steps = append(steps, next())
		if !steps[len(steps)-1].OK {
			break
		}
	}
	return steps
}

type explainer struct {
	*Policy
	scopes, held []string
	name         string
	kind         Kind
	rules        []Rule
	now          Holding // the conditions that hold
}

// toolScope is the tool that tool:<name> may reach; what is read has none.
func (e explainer) toolScope() string {
	if e.kind != "" {
		return ""
	}
	return e.name
}

func (e explainer) decide(h Holding) Decision {
	return e.decideIn(e.rules, e.scopes, e.held, e.toolScope(), CheckTool, h)
}

func (e explainer) tool() Step {
	s := Step{Check: CheckTool, OK: len(e.rules) > 0}
	if e.kind != "" {
		s.Check = CheckRead
	}
	if err := CheckURI(e.name); e.kind == Resources && err != nil {
		s.Detail, s.Mend = err.Error(), "write the URI in its normal form"
		return s
	}
	if !s.OK {
		s.Detail = fmt.Sprintf("no role of the policy names %s", e.name)
		s.Mend = "name it in a role, or correct its name"
		return s
	}
	for _, r := range e.rules {
		s.Notes = append(s.Notes, e.remark(r, true, terms(r)))
	}
	s.Detail = fmt.Sprintf("%s names %s", e.roleNames(e.rules), e.name)
	return s
}

func (e explainer) scope() Step {
	s := Step{Check: CheckScope}
	var reached []Rule
	for _, r := range e.rules {
		by := slices.DeleteFunc(slices.Clone(e.scopes), func(scope string) bool { return !e.reaches([]string{scope}, r.Role, e.toolScope(), Always) })
		if len(by) > 0 {
			reached = append(reached, r)
			s.Notes = append(s.Notes, e.remark(r, true, "reached by scope "+strings.Join(by, ", ")))
		} else {
			s.Notes = append(s.Notes, e.remark(r, false, "no scope of the call reaches it"))
		}
	}
	if s.OK = len(reached) > 0; s.OK {
		s.Detail = "the scopes reach " + e.roleNames(reached)
		return s
	}
	s.Detail = "none of the scopes reaches a role that names the tool"
	if unknown := slices.DeleteFunc(slices.Clone(e.scopes), e.ScopeKnown); len(unknown) > 0 {
		s.Detail += "; the policy does not know " + strings.Join(unknown, ", ")
	}
	if s.Mend = "let a scope reach one of these roles, and ask for it"; e.kind == "" {
		s.Mend = "ask for " + strings.Join(e.ScopesFor([]string{e.name}), " ")
	}
	return s
}

func (e explainer) role() Step {
	s := Step{Check: CheckRole}
	d := e.decide(Always)
	var would []string
	for _, r := range e.rules {
		if !e.reaches(e.scopes, r.Role, e.toolScope(), Always) {
			continue
		}
		i := slices.IndexFunc(e.held, func(h string) bool { return e.closure[h][r.Role] })
		if i < 0 {
			would = append(would, r.Role)
			s.Notes = append(s.Notes, e.remark(r, false, "the user does not hold it"))
			continue
		}
		s.Notes = append(s.Notes, e.remark(r, true, "held: "+strings.Join(e.path(e.held[i], r.Role), " → ")))
	}
	if s.OK = d.Allowed; s.OK {
		s.Detail = "the user holds " + e.roleNames(d.Rules)
		return s
	}
	s.Detail = "the user holds none of the roles that the scopes reach"
	if unknown := slices.DeleteFunc(slices.Clone(e.held), func(r string) bool { return e.closure[r] != nil }); len(unknown) > 0 {
		s.Detail += "; the policy does not know " + strings.Join(unknown, ", ")
	}
	s.Mend = "give the user " + strings.Join(would, " or ")
	return s
}

// condition tells when each of the rules counts, and judges that when a context is given.
func (e explainer) condition(in *Context) Step {
	s := Step{Check: CheckCondition, OK: true, Detail: "no context was given to judge: what the rules need is listed"}
	for _, r := range e.decide(Always).Rules {
		var needs []string
		for _, c := range e.Conditions(r) {
			needs = append(needs, c.Text()...)
		}
		counts := e.now == Always || slices.ContainsFunc(e.decide(e.now).Rules, func(o Rule) bool { return o.Role == r.Role })
		text := "always counts"
		if len(needs) > 0 {
			text = strings.Join(needs, "; ")
		} else if !counts {
			text = "no role that counts now leads to it"
		} else if !slices.ContainsFunc(e.decide(0).Rules, func(o Rule) bool { return o.Role == r.Role }) {
			text = "counts while the roles that lead to it do"
		}
		s.Notes = append(s.Notes, e.remark(r, counts, text))
	}
	if in == nil {
		return s
	}
	d := e.decide(e.now)
	if s.OK = d.Allowed; s.OK {
		s.Detail = "the conditions hold for " + e.roleNames(d.Rules)
		return s
	}
	s.Detail = "conditions do not hold: " + strings.Join(d.Lacks, ", ")
	s.Mend = "call when they hold, or change the condition"
	return s
}

func (e explainer) limits(judge func(json.RawMessage) error) Step {
	s := Step{Check: CheckLimits}
	for _, r := range e.decide(e.now).Rules {
		text, ok := terms(r), true
		if judge != nil {
			if err := judge(r.Limits); err != nil {
				text, ok = err.Error(), false
			}
		}
		s.OK = s.OK || ok
		s.Notes = append(s.Notes, e.remark(r, ok, text))
	}
	switch {
	case judge == nil:
		s.Detail = "no arguments were given to judge: any one of these rules may permit the call"
	case s.OK:
		s.Detail = "the arguments keep to the limits"
	default:
		s.Detail = "the arguments keep to no rule's limits"
		s.Mend = "call it within the limits, or widen them in the policy"
	}
	return s
}

func (e explainer) remark(r Rule, ok bool, text string) Remark {
	at, named := e.at[atRule(r.Role, e.name)]
	if e.kind != "" || !named {
		at = e.at[atRole(r.Role)]
	}
	return Remark{r.Role, ok, text, at}
}

func (e explainer) roleNames(some []Rule) string {
	names := make([]string, len(some))
	for i, r := range some {
		names[i] = r.Role
	}
	if len(names) == 1 {
		return "role " + names[0]
	}
	return "roles " + strings.Join(names, ", ")
}

// path is how a role includes another, both ends named.
func (p *Policy) path(from, to string) []string {
	if from == to {
		return []string{to}
	}
	for _, inner := range p.include[from] {
		if p.closure[inner][to] {
			return append([]string{from}, p.path(inner, to)...)
		}
	}
	return nil
}

// terms says what a rule asks of a call.
func terms(r Rule) string {
	text := "any arguments"
	if r.Limits == nil { // of what is read
		return "named"
	}
	if string(r.Limits) != "{}" {
		text = "limits " + string(r.Limits)
	}
	if r.MaxCalls > 0 {
		text += fmt.Sprintf(", at most %d calls of a task", r.MaxCalls)
	}
	if r.EachCall {
		text += ", the user is asked before each"
	}
	return text
}
