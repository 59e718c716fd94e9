package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

// ruleset is one version of the policy, with every limit parsed. It never changes.
type ruleset struct {
	*policy.Policy
	src    []byte
	limits map[string]map[string]tokens.Constraints // by role and tool
}

func parseRules(src []byte) (*ruleset, error) {
	p, err := policy.Parse(src, func(raw json.RawMessage) error {
		_, err := tokens.ParseConstraints(raw)
		return err
	})
	if err != nil {
		return nil, err
	}
	rs := &ruleset{Policy: p, src: slices.Clone(src), limits: map[string]map[string]tokens.Constraints{}}
	for _, role := range p.Roles() {
		rs.limits[role] = map[string]tokens.Constraints{}
	}
	for _, tool := range p.Tools() {
		for _, rule := range p.Decide([]string{policy.ToolScope + tool}, p.Roles(), tool).Rules {
			if rs.limits[rule.Role][tool], err = tokens.ParseConstraints(rule.Limits); err != nil {
				return nil, err
			}
		}
	}
	return rs, nil
}

// reach is what a token may do with one tool under one ruleset, before its arguments are known.
type reach struct {
	check    string             // the policy's check that fails; empty: none
	lacks    []string           // the kinds of conditions that do not hold
	mayAsk   bool               // a new consent could reach the tool: the user holds a role for it
	detail   *tokens.ToolDetail // nil: not granted
	variants []variant          // the alternatives, any of which may permit a call
}

// variant is one alternative: one role's ceiling and budget, which hold besides those of the consent.
type variant struct {
	ceiling  tokens.Constraints
	maxCalls int // of the role; 0: none
	eachCall bool
}

// reachKey is what a reach is worked out for.
type reachKey struct {
	tool    string
	holding policy.Holding
}

// reaches returns the token's reach to the tool, worked out once for each version of the policy and
// for the conditions that hold.
func (b *bearer) reaches(tool string, rules *ruleset, allowed *granted, h policy.Holding) reach {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rules != rules {
		b.rules, b.reach = rules, map[reachKey]reach{}
	}
	key := reachKey{tool, h}
	r, ok := b.reach[key]
	if !ok {
		r = b.work(tool, rules, allowed, h)
		if len(b.reach) < 256 { // a guesser of names must not fill the memory
			b.reach[key] = r
		}
	}
	return r
}

func (b *bearer) work(tool string, rules *ruleset, allowed *granted, h policy.Holding) reach {
	d := rules.DecideIn(b.Scope, b.Roles, tool, h)
	r := reach{check: d.Check, lacks: d.Lacks, mayAsk: rules.Decide([]string{policy.ToolScope + tool}, b.Roles, tool).Allowed}
	if r.detail = allowed.tool(tool); r.detail == nil {
		return r
	}
	for _, rule := range d.Rules {
		r.variants = append(r.variants, variant{rules.limits[rule.Role][tool], rule.MaxCalls, rule.EachCall})
	}
	slices.SortStableFunc(r.variants, func(a, b variant) int { // the most generous first
		switch {
		case a.eachCall != b.eachCall:
			if b.eachCall {
				return -1
			}
			return 1
		case a.maxCalls == b.maxCalls:
			return 0
		case a.maxCalls == 0 || b.maxCalls != 0 && a.maxCalls > b.maxCalls:
			return -1
		}
		return 1
	})
	return r
}

// may reports whether a call of the tool could be allowed: what tools/list shows.
func (b *bearer) may(tool string, live liveTool, rules *ruleset, allowed *granted, h policy.Holding) bool {
	r := b.reaches(tool, rules, allowed, h)
	return (r.check == "" || rules.Mode() == policy.Observe) && r.detail != nil && r.detail.Definition == live.definition && b.bound(live, rules)
}

// bound reports whether the token is bound to a key as far as this tool asks for it.
func (b *bearer) bound(live liveTool, rules *ruleset) bool {
	if b.JKT != "" {
		return true
	}
	return rules.Bearer() == policy.BearerAll || rules.Bearer() == policy.BearerReadOnly && live.readOnly
}

// definition checks that the tool exists and still is what was consented to.
func (c *call) definition() *refusal {
	live, ok, err := c.g.tools.lookup(c.r.Context(), c.msg.tool)
	if err != nil {
		c.g.log.Error("the live tools cannot be read", "error", err)
		return refuse(StaleView, "the tools of this server cannot be read; try again soon")
	}
	c.reach = c.bearer.reaches(c.msg.tool, c.rules, c.granted, c.holding())
	c.live = live
	if !ok || c.reach.check == policy.CheckTool {
		c.reach.mayAsk = false
		f := c.deny(UnknownTool)
		if !ok {
			return f
		}
		if f = c.byPolicy(f); f != nil {
			return f
		}
	}
	if d := c.reach.detail; d != nil && d.Definition != live.definition {
		return c.deny(DefinitionChanged)
	}
	return nil
}

// scope checks that a scope of the token reaches a role that names the tool.
func (c *call) scope() *refusal {
	if c.reach.check == policy.CheckScope {
		return c.byPolicy(c.deny(NoScope))
	}
	return nil
}

// role checks that the user holds one of those roles.
func (c *call) role() *refusal {
	if c.reach.check == policy.CheckRole {
		return c.byPolicy(c.deny(NoRole))
	}
	return nil
}

// grant checks that the user allowed this tool for this task.
func (c *call) grant() *refusal {
	if c.reach.detail == nil {
		return c.deny(ToolNotGranted)
	}
	if !c.bearer.bound(c.live, c.rules) {
		return unbound()
	}
	return nil
}

// unbound is the refusal of a token that no consent could let reach the tool, for want of a key.
func unbound() *refusal {
	return refuse(NotKeyBound, "this tool needs an access token that is bound to a key").
		status(http.StatusForbidden).with(unavailable, "Ask for a key-bound token, with a DPoP proof.")
}

// limits checks the arguments, and what comes along with them, against the input schema, the consent's limits
// and the ceiling of any one role; what was checked, in its canonical form, is what the tool will get.
func (c *call) limits() *refusal {
	consent, schema := c.reach.detail.Constraints, c.live.schema
	var first error
	for i := range c.reach.variants {
		v := &c.reach.variants[i]
		canonical, err := consent.CheckUnder(v.ceiling, c.msg.arguments, schema)
		if err == nil {
			err = consent.And(v.ceiling).CheckAnswers(c.msg.along())
		}
		if err == nil {
			c.msg.canonical, c.variant = canonical, v
			return nil
		}
		if first == nil {
			first = err
		}
	}
	if c.rules.Mode() == policy.Observe { // what the user said holds all the same
		canonical, err := consent.Check(c.msg.arguments, schema)
		if err == nil {
			err = consent.CheckAnswers(c.msg.along())
		}
		if err == nil {
			c.msg.canonical, c.variant = canonical, &variant{}
			if first != nil {
				c.byPolicy(c.outside(first))
			}
			return nil
		}
		first = err
	}
	return c.outside(first)
}

// outside is the refusal of arguments.
func (c *call) outside(why error) *refusal {
	f := c.deny(ArgumentLimit)
	if !slices.ContainsFunc(c.reach.variants, func(v variant) bool {
		_, err := tokens.Constraints(nil).CheckUnder(v.ceiling, c.msg.arguments, c.live.schema)
		return err == nil && v.ceiling.CheckAnswers(c.msg.along()) == nil
	}) {
		f.with(unavailable, "Stay within this server's own limits; a new consent cannot change them.")
	}
	if e, ok := errors.AsType[*tokens.ArgumentError](why); ok {
		f.text = "the arguments are outside what was allowed: " + e.Error()
	}
	return f
}

// deny is a refusal for want of rights. Whoever has no right to a tool and could get none learns
// nothing from it: a tool that does not exist is answered like one that is out of reach.
func (c *call) deny(code Code) *refusal {
	f := refuse(code, denials[code].text)
	switch code {
	case UnknownTool, NoScope, ToolNotGranted:
		f.text = fmt.Sprintf("%s is not part of what the user allowed for this task", quotable(c.msg.tool))
		if !c.reach.mayAsk {
			f.shown = NoScope
			return f.with(undisclosed, "Do without this tool, or ask the user about it.")
		}
		if !c.bearer.bound(c.live, c.rules) {
			return unbound() // rather than send the user to a page that cannot offer the tool
		}
		return f.with(available, "Ask for consent to the scope tool:"+c.msg.tool+".")
	case NoRole:
		return f.with(unavailable, "The user's role does not include this tool; a new consent cannot change that.")
	}
	return f.with(denials[code].remediation, denials[code].hint)
}

// denials are the texts that need no tool's name.
var denials = map[Code]struct{ text, remediation, hint string }{
	DefinitionChanged: {"the tool has changed since the user allowed it", available, "Ask for consent again; an admin has to approve the new definition first."},
	NoRole:            {"the user's role at this server does not include the tool", unavailable, ""},
	ArgumentLimit:     {"the arguments are outside what was allowed", available, "Stay within the limits of authorization_details, or ask for wider ones."},
	ApprovalRequired:  {"each call of this tool needs the user's approval", available, "Show the user the page at url. When they have allowed the call, make exactly the same call again."},
	ApprovalDenied:    {"the user did not allow this call", unavailable, "Do without this call; asking again soon changes nothing."},
	ApprovalsFull:     {"the user is being asked about too many calls of this task already", available, "Wait until the user has answered, then try again."},
	ApprovalTooLarge:  {"the arguments are too long for the user to approve", unavailable, "Make the call with shorter arguments."},
	ToolBudget:        {"no calls of this tool are left in this task", available, "Ask for consent to more calls."},
	TaskBudget:        {"no calls are left in this task; it has ended", unavailable, "Ask the user for a new task."},
}
