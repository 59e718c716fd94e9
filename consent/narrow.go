package consent

import (
	"slices"

	"github.com/remit-auth/remit/tokens"
)

// Narrow is what a person leaves of what a task may do: of its tools those that are ticked, each under
// the terms and limits that it has and those that were chosen besides. A tool that is not lent cannot be
// ticked. Nothing left is ErrNothing.
func Narrow(before tokens.Details, used map[string]int, d Decision) (tokens.Details, error) {
	after := tokens.Details{Task: before.Task}
	for i, name := range d.Tools {
		if slices.Contains(d.Tools[:i], name) || !slices.ContainsFunc(before.Tools, func(t tokens.ToolDetail) bool { return t.Tool == name }) {
			return after, ErrNotOffered
		}
	}
	for _, detail := range before.Tools {
		if !slices.Contains(d.Tools, detail.Tool) {
			continue
		}
		terms := d.Terms[detail.Tool]
		if terms.MaxCalls < 0 {
			return after, ErrNotOffered
		}
		if terms.EachCall {
			detail.Approval = tokens.ApprovalEachCall
		}
		if terms.MaxCalls > 0 { // from now on, as everywhere in a task that runs
			detail.MaxCalls = Least(detail.MaxCalls, used[detail.Tool]+terms.MaxCalls)
		}
		if limits := d.Limits[detail.Tool]; len(limits) > 0 {
			detail.Constraints = detail.Constraints.And(limits)
		}
		after.Tools = append(after.Tools, detail)
	}
	if len(after.Tools) == 0 {
		return after, ErrNothing
	}
	return after, nil
}

// Held are the tools of a grant as a page shows them: as they were lent, with what the approved
// manifest says of them, and how many calls of each were counted.
func Held(before tokens.Details, used map[string]int, defined func(tool string) (tokens.Definition, bool)) (all []Tool) {
	for _, detail := range before.Tools {
		t := Tool{Detail: detail, Title: detail.Tool, Risk: Risk{Destructive: true, OpenWorld: true}, Ticked: true, Running: true, Used: used[detail.Tool]}
		if def, ok := defined(detail.Tool); ok {
			t.Description, t.Risk, t.Arguments = def.Description, RiskOf(def), Arguments(def)
			if def.Title != "" {
				t.Title = def.Title
			} else if def.Annotations != nil && def.Annotations.Title != "" {
				t.Title = def.Annotations.Title
			}
		}
		all = append(all, t)
	}
	return all
}

// CanonicalGrant is the form in which details are granted; what no Guard could read is ErrTooMuch.
func CanonicalGrant(d tokens.Details) ([]byte, error) { return canonicalGrant(d) }
