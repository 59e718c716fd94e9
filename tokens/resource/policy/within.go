package policy

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// within reports whether every call that a permits is one that b permits too, as far as their
// words show it: b has no limit that a does not have at least as narrow.
func within(a, b Rule) bool {
	if b.MaxCalls > 0 && (a.MaxCalls == 0 || a.MaxCalls > b.MaxCalls) {
		return false
	}
	if b.EachCall && !a.EachCall {
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

// counts reports whether a rule that all of as hold for is one that all of bs hold for too, as far as
// their words show it.
func counts(as, bs []Condition) bool {
	for _, b := range bs {
		if !slices.ContainsFunc(as, func(a Condition) bool { return a.implies(b) }) {
			return false
		}
	}
	return true
}

// implies reports whether b holds whenever a does, as far as their words show it.
func (c Condition) implies(b Condition) bool {
	return (len(b.Addresses) == 0 || len(c.Addresses) > 0 && !slices.ContainsFunc(c.Addresses, func(p netip.Prefix) bool {
		return !slices.ContainsFunc(b.Addresses, func(wide netip.Prefix) bool { return wide.Bits() <= p.Bits() && wide.Contains(p.Addr()) })
	})) &&
		(len(b.Hours) == 0 || len(c.Hours) > 0 && !slices.ContainsFunc(c.Hours, func(h Hours) bool { return !slices.ContainsFunc(b.Hours, h.equal) })) &&
		(len(b.Client) == 0 || len(c.Client) > 0 && !slices.ContainsFunc(c.Client, func(g Grade) bool { return !slices.Contains(b.Client, g) })) &&
		(!b.KeyBound || c.KeyBound)
}

// never says why two conditions cannot hold together; empty: they can, for all that is known.
func never(a, b Condition) string {
	switch {
	case len(a.Addresses) > 0 && len(b.Addresses) > 0 && !slices.ContainsFunc(a.Addresses, func(p netip.Prefix) bool { return slices.ContainsFunc(b.Addresses, p.Overlaps) }):
		return "their addresses have none in common"
	case len(a.Client) > 0 && len(b.Client) > 0 && !slices.ContainsFunc(a.Client, func(g Grade) bool { return slices.Contains(b.Client, g) }):
		return "their clients have none in common"
	case len(a.Hours) > 0 && len(b.Hours) > 0 && !meet(a.Hours, b.Hours):
		return "their hours never meet"
	}
	return ""
}

// meet looks for a minute of both in a week of winter and one of summer.
func meet(a, b []Hours) bool {
	for _, month := range []time.Month{time.January, time.July} {
		at := time.Date(2026, month, 5, 0, 0, 0, 0, time.UTC)
		for end := at.AddDate(0, 0, 7); at.Before(end); at = at.Add(time.Minute) {
			holds := func(h Hours) bool { return h.holds(at) }
			if slices.ContainsFunc(a, holds) && slices.ContainsFunc(b, holds) {
				return true
			}
		}
	}
	return false
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

// onlyBounds reports whether an argument so limited may be left out.
func onlyBounds(constraint map[string]json.RawMessage) bool {
	for keyword := range constraint {
		if !slices.Contains([]string{"minimum", "maximum", "maxLength", "maxItems"}, keyword) {
			return false
		}
	}
	return true
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
