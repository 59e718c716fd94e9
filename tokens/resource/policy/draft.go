package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// tier is a role of a first policy, and the scope that reaches it.
type tier struct {
	role, scope, title string
	with               string // reached by the scope too, when there is such a role
	maxCalls           int
	holds              func(ToolFacts) bool
}

var tiers = []tier{
	{"reader", "read", "Read", "", 0, reads},
	{"writer", "write", "Make changes", "reader", 20, adds},
	{"remover", "delete", "Delete for good", "", 5, destroys},
}

// Draft writes a first policy from what a server says of its tools: a role for what reads, one for
// what writes, one for what destroys, each with a scope <prefix>.read and so on; the baseline only
// reads. A tool whose name says that it destroys is taken to, whatever its hints say. A server
// without tools gets nothing.
func Draft(prefix string, manifest []ToolFacts) []byte {
	tools := slices.Clone(manifest)
	slices.SortFunc(tools, func(a, b ToolFacts) int { return strings.Compare(a.Name, b.Name) })
	named := map[string][]string{}
	for _, f := range tools {
		f.Destructive = f.Destructive || saysDestroys(f.Name)
		for _, t := range tiers {
			if t.holds(f) {
				named[t.role] = append(named[t.role], f.Name)
			}
		}
	}
	if len(named) == 0 {
		return nil
	}
	var scopes, roles strings.Builder
	for _, t := range tiers {
		if len(named[t.role]) == 0 {
			continue
		}
		reached := t.role
		if len(named[t.with]) > 0 {
			reached = t.with + ", " + t.role
		}
		fmt.Fprintf(&scopes, "  %s: {title: %s, roles: [%s]}\n", strconv.Quote(prefix+"."+t.scope), strconv.Quote(t.title), reached)
		fmt.Fprintf(&roles, "  %s:\n    tools:\n", t.role)
		for _, tool := range named[t.role] {
			rule := "{}"
			if t.maxCalls > 0 {
				rule = fmt.Sprintf("{max_calls: %d}", t.maxCalls)
			}
			fmt.Fprintf(&roles, "      %s: %s\n", key(tool), rule)
		}
	}
	baseline := ""
	if len(named["reader"]) > 0 {
		baseline = "baseline: [" + strconv.Quote(prefix+".read") + "]\n"
	}
	return []byte("version: 1\n" + baseline + "scopes:\n" + scopes.String() + "roles:\n" + roles.String())
}

var plainKey = regexp.MustCompile(`^[a-z]+_[a-z_]+$`)

// key quotes a name that YAML might read as something else.
func key(name string) string {
	if plainKey.MatchString(name) {
		return name
	}
	return strconv.Quote(name)
}
