package consent

import (
	"errors"
	"reflect"
	"slices"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// Running is a task that a request would extend (step-up), and what it may do at the offer's resource.
type Running struct {
	Task   store.Task
	Grant  store.Grant    // in force
	Before tokens.Details // of the grant
	Named  bool           // by the request; otherwise it was found by client, user and key
	Used   map[string]int // calls that its budgets have counted, by tool
}

// NewRunning finds the task's part at the resource; false: it has none, or not any more.
func NewRunning(t store.Task, grants []store.Grant, resource string, named bool) (Running, bool, error) {
	i := slices.IndexFunc(grants, func(g store.Grant) bool { return g.Resource == resource && g.EndedAt.IsZero() })
	if i < 0 {
		return Running{}, false, nil
	}
	before, err := tokens.ParseGrant(grants[i].Details)
	return Running{Task: t, Grant: grants[i], Before: before, Named: named}, err == nil, err
}

// Extendable reports whether the task can be extended now: it runs, or sleeps by idleness alone.
func Extendable(t store.Task) bool {
	return t.State == store.TaskActive || t.State == store.TaskSuspended && t.SuspendedBy == store.ByIdle
}

// Lacks reports whether the task has the tool, as it is approved now, not at all or within limits that
// its consents have set.
func (r Running) Lacks(t store.Tool) bool {
	i := slices.IndexFunc(r.Before.Tools, func(d tokens.ToolDetail) bool { return d.Tool == t.Name })
	if i < 0 {
		return true
	}
	d := r.Before.Tools[i]
	return d.Definition != t.Hash || len(d.Constraints) > 0 || d.MaxCalls > 0 || d.Approval != ""
}

// Extend turns the offer into one that holds only what the running task does not have yet: new
// tools, tools whose approved definition is another by now, and, for a request that names the task,
// tools that it asks for with other limits. Whoever asks for all its scopes again, as clients do that
// know nothing of tasks, asks for no other limits. It reports whether anything is left.
func (o *Offer) Extend(r Running) bool {
	o.Extends = &r
	o.MaxCalls = r.Task.MaxCalls
	o.Durations, o.Refused, o.Default = nil, nil, 0
	kept := o.Tools[:0]
	for _, t := range o.Tools {
		t.Running, t.Used = true, r.Used[t.Detail.Tool]
		i := slices.IndexFunc(r.Before.Tools, func(d tokens.ToolDetail) bool { return d.Tool == t.Detail.Tool })
		if t.Detail.MaxCalls > 0 && t.Used >= t.Detail.MaxCalls {
			if i < 0 || r.Named {
				o.LeftOut = append(o.LeftOut, LeftOut{t.Detail.Tool, OutSpent})
			}
			continue
		}
		if i >= 0 {
			was := r.Before.Tools[i]
			switch {
			case was.Definition != t.Detail.Definition:
				t.Change = ChangedTool
			case r.Named && !sameTerms(was, t.Detail):
				t.Change = ChangedTerms
			default:
				continue // lent already
			}
			t.Was, t.Ticked = &was, false
		}
		kept = append(kept, t)
	}
	o.Tools = kept
	o.Reads = slices.DeleteFunc(slices.Clone(o.Reads), func(read Read) bool { return slices.Contains(r.Grant.Scopes, read.Scope) })
	return len(kept)+len(o.Reads) > 0
}

// sameTerms reports whether two details of one tool allow the same.
func sameTerms(a, b tokens.ToolDetail) bool {
	x, err1 := tokens.Details{Tools: []tokens.ToolDetail{a}}.Canonical()
	y, err2 := tokens.Details{Tools: []tokens.ToolDetail{b}}.Canonical()
	return errors.Join(err1, err2) == nil && reflect.DeepEqual(x, y)
}

// How an offered tool differs from what a running task has.
const (
	ChangedTool  = "tool"  // its definition is another
	ChangedTerms = "terms" // its limits are
)

// scopesToExtend are the scopes that make exactly the new tools reached. A scope that would move the
// limits of a tool lent before is not among them: the tools are named one by one instead.
func (o Offer) scopesToExtend(names, reads []string) []string {
	scopes := o.rights.Scopes(names, reads)
	for _, t := range o.Extends.Before.Tools {
		if !slices.Contains(names, t.Tool) && o.rights.Moves(o.Extends.Grant.Scopes, scopes, t.Tool) {
			scopes = slices.Clone(reads)
			for _, name := range names {
				scopes = append(scopes, ToolScope+name)
			}
			break
		}
	}
	return scopes
}

// ToolScope begins the scope that names one tool.
const ToolScope = "tool:"
