package server

import (
	"encoding/json"
	"slices"
	"sync"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

// rights is the resource's policy seen by one user through the scopes of one request.
type rights struct {
	policy *policy.Policy
	scopes []string // asked for, or the baseline
	derive bool     // the request named tools and no scope: scopes follow from what is granted
	roles  []string // the user's, at this resource
	hold   policy.Holding
	off    map[string]bool // tools that a kill switch is thrown for
}

// newRights reads a request against the resource's policy. What the client is like is known now;
// addresses and hours are judged at each call.
func newRights(p *policy.Policy, ask consent.Ask, client store.Client, roles []string) rights {
	r := rights{policy: p, scopes: ask.Scopes, roles: roles, hold: policy.Always}
	if p.Mode() == policy.Enforce {
		r.hold = p.HoldFor(policy.Grade(client.Grade()), !ask.Bearer)
	}
	if len(ask.Scopes) > 0 {
		return r
	}
	if len(ask.Details.Tools) == 0 {
		r.scopes = p.Baseline()
		return r
	}
	r.derive = true
	for _, t := range ask.Details.Tools {
		r.scopes = append(r.scopes, policy.ToolScope+t.Tool)
	}
	return r
}

// Tools lists what the scopes name, whoever the user is: every role's tools are tried.
func (r rights) Tools() []string {
	var named []string
	for tool := range r.policy.Reach(r.scopes, r.policy.Roles()) {
		named = append(named, tool)
	}
	slices.Sort(named)
	return named
}

// Reach answers for one tool.
func (r rights) Reach(tool string) (consent.Reach, string) {
	if r.off[tool] {
		return consent.Reach{}, consent.OutSwitched
	}
	d := r.policy.DecideIn(r.scopes, r.roles, tool, r.hold)
	if !d.Allowed {
		return consent.Reach{}, d.Check
	}
	if r.Observed() { // what is not enforced is not promised
		return consent.Reach{}, ""
	}
	var reach consent.Reach
	unbounded, asks := false, true
	for _, rule := range d.Rules {
		limits, err := parseLimits(rule.Limits)
		if err != nil {
			return consent.Reach{}, policy.CheckTool
		}
		reach.Limits = append(reach.Limits, limits)
		unbounded, asks = unbounded || rule.MaxCalls == 0, asks && rule.EachCall
		reach.MaxCalls = max(reach.MaxCalls, rule.MaxCalls)
	}
	if unbounded {
		reach.MaxCalls = 0
	}
	reach.EachCall = asks
	if len(d.Rules) == 1 {
		reach.When = when(r.policy.Conditions(d.Rules[0]))
	}
	return reach, ""
}

// when says conditions in words.
func when(all []policy.Condition) (lines []string) {
	for _, c := range all {
		lines = append(lines, c.Text()...)
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// Observed reports whether the policy is only watched.
func (r rights) Observed() bool { return r.policy.Mode() == policy.Observe }

// Reads lists what each of the scopes lets this user read besides tools.
func (r rights) Reads() (all []consent.Read) {
	for _, one := range r.policy.Readable(r.scopes, r.roles, r.hold) {
		read := consent.Read{Scope: one.Scope, Title: one.Title, Resources: one.Resources, Prompts: one.Prompts}
		if !r.Observed() {
			read.When = when(one.When)
		}
		all = append(all, read)
	}
	return all
}

// BearerAllowed asks the policy about a token without a key.
func (r rights) BearerAllowed(readOnly bool) bool {
	return r.policy.Bearer() == policy.BearerAll || r.policy.Bearer() == policy.BearerReadOnly && readOnly
}

// Scopes returns, of the scopes asked for, those that reach one of these tools; where none was
// asked for, the least that cover them all for this user. A scope that opens more than tools is among
// them only if the user allowed it to be read: otherwise its tools are named one by one.
func (r rights) Scopes(tools, reads []string) []string {
	candidates := r.scopes
	if r.derive {
		candidates = r.policy.ScopesFor(tools)
	}
	granted := slices.Clone(reads)
	for _, scope := range candidates {
		if len(r.policy.Readable([]string{scope}, r.policy.Roles(), policy.Always)) > 0 {
			continue // granted already, or left out
		}
		if slices.ContainsFunc(tools, func(t string) bool { return r.policy.Decide([]string{scope}, r.roles, t).Allowed }) {
			granted = append(granted, scope)
		}
	}
	for _, t := range tools {
		// A covering scope may reach the tool by a role that this user does not hold.
		if !r.policy.Decide(granted, r.roles, t).Allowed {
			granted = append(granted, policy.ToolScope+t)
		}
	}
	return granted
}

func parseLimits(raw json.RawMessage) (tokens.Constraints, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	return tokens.ParseConstraints(raw)
}

// checkLimits lets a policy file be parsed only with limits that Guards and pages understand.
func checkLimits(raw json.RawMessage) error {
	_, err := parseLimits(raw)
	return err
}

// policies remembers the parsed policy of each resource.
var policies sync.Map // resource URI → *policy.Policy

// policyOf returns the resource's policy, parsed. A policy never changes under its version.
func policyOf(r store.Resource) (*policy.Policy, error) {
	if held, ok := policies.Load(r.URI); ok && held.(*policy.Policy).Version() == r.PolicyVersion {
		return held.(*policy.Policy), nil
	}
	p, err := policy.Parse(r.Policy, checkLimits)
	if err != nil {
		return nil, err
	}
	policies.Store(r.URI, p)
	return p, nil
}
