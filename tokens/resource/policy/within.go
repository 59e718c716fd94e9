package policy

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
)

// within reports whether every call that a permits is one that b permits too, as far as their
// words show it: b has no limit that a does not have at least as narrow.
func within(a, b Rule) bool {
	if b.MaxCalls > 0 && (a.MaxCalls == 0 || a.MaxCalls > b.MaxCalls) {
		return false
	}
	if bytes.Equal(a.Limits, b.Limits) || string(b.Limits) == "{}" {
		return true
	}
	narrow, wide := limitsOf(a), limitsOf(b)
	for argument, all := range wide {
		for keyword, bound := range all {
			if !implies(narrow[argument], keyword, bound) {
				return false
			}
		}
	}
	return true
}

// limitsOf reads limits as keyword → value by argument. A list of constraints, which must all hold,
// is one whose keywords are numbered: it is within an equal list and within nothing else.
func limitsOf(r Rule) map[string]map[string]json.RawMessage {
	limits := map[string]map[string]json.RawMessage{}
	var raw map[string]json.RawMessage
	if json.Unmarshal(r.Limits, &raw) != nil {
		return limits
	}
	for argument, limit := range raw {
		one := map[string]json.RawMessage{}
		if json.Unmarshal(limit, &one) != nil {
			one = map[string]json.RawMessage{"": limit}
		}
		limits[argument] = one
	}
	return limits
}

// implies reports whether values within the constraint keep to the bound of this keyword.
func implies(constraint map[string]json.RawMessage, keyword string, bound json.RawMessage) bool {
	own, given := constraint[keyword]
	switch keyword {
	case "maximum", "maxLength", "maxItems":
		if given {
			return number(own) <= number(bound)
		}
	case "minimum":
		if given {
			return number(own) >= number(bound)
		}
	case "enum":
		allowed := list(bound)
		values := list(constraint["enum"])
		if only, ok := constraint["const"]; ok {
			values = []json.RawMessage{only}
		}
		return len(values) > 0 && !slices.ContainsFunc(values, func(v json.RawMessage) bool {
			return !slices.ContainsFunc(allowed, func(a json.RawMessage) bool { return bytes.Equal(v, a) })
		})
	}
	return given && bytes.Equal(own, bound)
}

func list(raw json.RawMessage) (all []json.RawMessage) {
	_ = json.Unmarshal(raw, &all) // what is no list has no members
	return all
}

// number reads a bound. One that is no number was refused by whoever knows what limits mean.
func number(raw json.RawMessage) float64 {
	f, _ := strconv.ParseFloat(string(raw), 64)
	return f
}
