package consent

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/remit-auth/remit/tokens"
)

// Kinds of limit that a person may set on an argument, by what the argument holds.
const (
	LimitOnly   = "only"   // text: one of these, each on a line
	LimitPrefix = "prefix" // text: begins with this
	LimitMin    = "min"    // number
	LimitMax    = "max"    // number
	LimitItems  = "items"  // list: so many at most
)

// ErrLimit refuses a limit that cannot be understood.
var ErrLimit = errors.New("consent: a limit that makes no sense")

// Argument is one argument of a tool that a person may limit, with the kinds of limit that fit it.
type Argument struct {
	Name  string
	Kinds []string
}

const maxLimited = 12 // arguments that are offered to be limited

// Arguments lists what of a tool may be limited: the arguments of its approved schema that are text,
// numbers or lists, by name.
func Arguments(d tokens.Definition) (all []Argument) {
	var schema struct {
		Properties map[string]struct {
			Type json.RawMessage `json:"type"`
		} `json:"properties"`
	}
	if json.Unmarshal(d.InputSchema, &schema) != nil {
		return nil // Guards refuse its calls, too
	}
	for name, p := range schema.Properties {
		if kinds := kindsOf(p.Type); len(kinds) > 0 {
			all = append(all, Argument{name, kinds})
		}
	}
	slices.SortFunc(all, func(a, b Argument) int { return strings.Compare(a.Name, b.Name) })
	return all[:min(len(all), maxLimited)]
}

// kindsOf are the limits for a JSON Schema type, or for the first that fits of several.
func kindsOf(raw json.RawMessage) []string {
	var types []string
	var one string
	if json.Unmarshal(raw, &one) == nil {
		types = []string{one}
	} else if json.Unmarshal(raw, &types) != nil {
		return nil
	}
	for _, t := range types {
		switch t {
		case "string":
			return []string{LimitOnly, LimitPrefix}
		case "integer", "number":
			return []string{LimitMin, LimitMax}
		case "array":
			return []string{LimitItems}
		}
	}
	return nil
}

// LimitArgument is what a person wrote, as constraints of this argument; nothing written, none.
func LimitArgument(argument, kind, written string) (tokens.Constraints, error) {
	written = strings.TrimSpace(written)
	if written == "" {
		return nil, nil
	}
	limit := map[string]any{}
	switch kind {
	case LimitOnly:
		limit["enum"] = lines(written)
	case LimitPrefix:
		limit["pattern"] = regexp.QuoteMeta(written) + "(?s:.*)"
	case LimitMin:
		limit["minimum"] = json.Number(written)
	case LimitMax:
		limit["maximum"] = json.Number(written)
	case LimitItems:
		limit["maxItems"] = json.Number(written)
	default:
		return nil, ErrLimit
	}
	raw, err := json.Marshal(map[string]any{argument: limit})
	if err != nil {
		return nil, errors.Join(ErrLimit, err)
	}
	c, err := tokens.ParseConstraints(raw)
	if err != nil {
		return nil, errors.Join(ErrLimit, err)
	}
	return c, nil
}

// lines are the values that were written, each on a line of its own.
func lines(written string) (all []string) {
	for line := range strings.Lines(written) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(all, line) {
			all = append(all, line)
		}
	}
	return all
}
