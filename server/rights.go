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
}

// newRights reads a request against the resource's policy.
func newRights(p *policy.Policy, ask consent.Ask, roles []string) rights {
	r := rights{policy: p, scopes: ask.Scopes, roles: roles}
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
	d := r.policy.Decide(r.scopes, r.roles, tool)
	if !d.Allowed {
		return consent.Reach{}, d.Check
	}
	var reach consent.Reach
	unbounded := false
	for _, rule := range d.Rules {
		limits, err := parseLimits(rule.Limits)
		if err != nil {
			return consent.Reach{}, policy.CheckTool
		}
		reach.Limits = append(reach.Limits, limits)
		unbounded = unbounded || rule.MaxCalls == 0
		reach.MaxCalls = max(reach.MaxCalls, rule.MaxCalls)
	}
	if unbounded {
		reach.MaxCalls = 0
	}
	return reach, ""
}

// BearerAllowed asks the policy about a token without a key.
func (r rights) BearerAllowed(readOnly bool) bool {
	return r.policy.Bearer() == policy.BearerAll || r.policy.Bearer() == policy.BearerReadOnly && readOnly
}

// Scopes returns, of the scopes asked for, those that reach one of these tools; where none was
// asked for, the least that cover them all for this user.
func (r rights) Scopes(tools []string) []string {
	candidates := r.scopes
	if r.derive {
		candidates = r.policy.ScopesFor(tools)
	}
	var granted []string
	for _, scope := range candidates {
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
