package policy

import (
	"fmt"
	"strings"
	"time"
)

// Call is a call that a Guard decided on, as the ledger tells it.
type Call struct {
	Task    string    `json:"task"`
	Tool    string    `json:"tool"`           // or the URI or name of what was read
	Read    Kind      `json:"read,omitempty"` // not a tool
	At      time.Time `json:"-"`
	Grade   Grade     `json:"client_grade,omitempty"` // of the token; empty: not known, and so is KeyBound
	Bound   bool      `json:"key_bound,omitempty"`
	Scopes  []string  `json:"scopes"` // of the token
	Roles   []string  `json:"roles"`  // of the token
	Allowed bool      `json:"allowed"`
	Reason  string    `json:"reason,omitempty"` // when refused: the check that failed
}

// Turn is a call that another policy would decide otherwise.
type Turn struct {
	Call   int    `json:"-"`     // its index among those replayed
	Would  string `json:"would"` // Refuse, Allow or Doubt
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

// What another policy would do.
const (
	Refuse = "refuse"
	Allow  = "allow" // as far as the policy goes: consent and arguments are judged after it
	Doubt  = "doubt" // it depends on arguments, which the ledger does not hold
)

// Replay judges calls against a changed policy and returns those that would turn, in their order.
// now is the policy in force, for the limits; it may be nil.
func Replay(now, changed *Policy, calls []Call) []Turn {
	var turns []Turn
	spent := map[[2]string]int{} // calls by task and tool
	for i, c := range calls {
		d := changed.replayed(c, changed.possible(c))
		sure := changed.replayed(c, changed.certain(c)).Allowed
		turn := func(would, reason, detail string) { turns = append(turns, Turn{i, would, reason, detail}) }
		switch {
		case !c.Allowed && d.Allowed && !sure && turned(c.Reason):
			turn(Doubt, CheckCondition, "the policy would permit it if its conditions hold, and the ledger does not tell")
		case !c.Allowed && d.Allowed && turned(c.Reason):
			turn(Allow, c.Reason, "the policy would no longer refuse it: role "+d.Rules[0].Role+" permits it")
		case !c.Allowed:
		case !d.Allowed:
			turn(Refuse, d.Check, strings.Join(d.Lacks, ", "))
		default:
			key := [2]string{c.Task, c.Tool}
			if budget := budgetOf(d.Rules); budget > 0 && spent[key] >= budget {
				turn(Refuse, "tool_budget", fmt.Sprintf("the task would have had %d calls of it", budget))
				continue
			}
			spent[key]++
			if !sure && (now == nil || now.replayed(c, now.certain(c)).Allowed) {
				turn(Doubt, CheckCondition, "it has conditions now, and the ledger does not tell address and client")
			} else if narrower(now, c, d.Rules) {
				turn(Doubt, CheckLimits, "the limits are narrower, and arguments are not in the ledger")
			}
		}
	}
	return turns
}

// turned reports whether a policy was the reason.
func turned(reason string) bool {
	switch reason {
	case CheckTool, CheckScope, CheckRole, CheckRead, CheckCondition:
		return true
	}
	return false
}

// replayed is the decision on a call of the past.
func (p *Policy) replayed(c Call, h Holding) Decision {
	if c.Read != "" {
		return p.DecideRead(c.Scopes, c.Roles, c.Read, c.Tool, h)
	}
	return p.DecideIn(c.Scopes, c.Roles, c.Tool, h)
}

// possible are the conditions that may have held at that call, certain those that must have. Addresses
// are not in the ledger.
func (p *Policy) possible(c Call) Holding {
	in := c.context()
	return p.hold(func(one Condition) bool {
		hours := Condition{Hours: one.Hours}
		return (c.At.IsZero() || len(hours.lacks(in)) == 0) && (c.Grade == "" || len(one.lacksIdentity(c.Grade, c.Bound)) == 0)
	})
}

func (p *Policy) certain(c Call) Holding { return p.Hold(c.context()) }

func (c Call) context() Context { return Context{At: c.At, Grade: c.Grade, KeyBound: c.Bound} }

// budgetOf is the most calls that any of the rules gives; 0: no budget.
func budgetOf(rules []Rule) (most int) {
	for _, r := range rules {
		if r.MaxCalls == 0 {
			return 0
		}
		most = max(most, r.MaxCalls)
	}
	return most
}

// narrower reports whether some rule that may have permitted the call has none as wide any more.
func narrower(now *Policy, c Call, after []Rule) bool {
	if now == nil || c.Read != "" {
		return false
	}
	for _, before := range now.Decide(c.Scopes, c.Roles, c.Tool).Rules {
		before.MaxCalls = 0
		kept := false
		for _, r := range after {
			r.MaxCalls = 0
			kept = kept || within(before, r)
		}
		if !kept {
			return true
		}
	}
	return false
}
