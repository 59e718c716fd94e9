package policy

import "go.yaml.in/yaml/v3"

// Position is a place in the policy file, both counted from 1. The zero value is no place.
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// The keys of Policy.at.
func atScope(scope string) string       { return "scopes\x00" + scope }
func atRole(role string) string         { return "roles\x00" + role }
func atRule(role, tool string) string   { return "roles\x00" + role + "\x00" + tool }
func atLimits(role, tool string) string { return "roles\x00" + role + "\x00" + tool + "\x00limits" }
func atWhen(role, tool string) string   { return "roles\x00" + role + "\x00" + tool + "\x00when" }
func atRead(role, text string) string   { return "roles\x00" + role + "\x00\x00" + text }
func atBaseline(scope string) string    { return "baseline\x00" + scope }

const (
	atBearer = "bearer"
	atMode   = "mode"
)

// positions finds where the file names its scopes, roles, rules and baseline. root is a document
// that was decoded strictly, so that what is not where it should be is nothing.
func positions(root *yaml.Node) map[string]Position {
	at := map[string]Position{}
	place := func(key string, n *yaml.Node) { at[key] = Position{n.Line, n.Column} }
	for _, doc := range root.Content {
		each(doc, func(key, value *yaml.Node) {
			switch key.Value {
			case "bearer", "mode":
				place(key.Value, key)
			case "baseline":
				place("baseline", key)
				for _, s := range value.Content {
					place(atBaseline(s.Value), s)
				}
			case "scopes":
				each(value, func(scope, _ *yaml.Node) { place(atScope(scope.Value), scope) })
			case "roles":
				place("roles", key)
				each(value, func(role, body *yaml.Node) {
					place(atRole(role.Value), role)
					each(body, func(key, named *yaml.Node) {
						switch key.Value {
						case "tools":
							each(named, func(tool, rule *yaml.Node) { placeRule(place, role.Value, tool, rule) })
						case "when":
							place(atWhen(role.Value, ""), key)
						case "resources", "prompts":
							for _, one := range named.Content {
								place(atRead(role.Value, one.Value), one)
							}
						}
					})
				})
			}
		})
	}
	return at
}

func placeRule(place func(string, *yaml.Node), role string, tool, rule *yaml.Node) {
	place(atRule(role, tool.Value), tool)
	each(rule, func(key, _ *yaml.Node) {
		switch key.Value {
		case "limits":
			place(atLimits(role, tool.Value), key)
		case "when":
			place(atWhen(role, tool.Value), key)
		}
	})
}

// each calls f with every key and value of a mapping; any other node has none.
func each(n *yaml.Node, f func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		f(n.Content[i], n.Content[i+1])
	}
}
