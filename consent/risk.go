package consent

import "github.com/remit-auth/remit/tokens"

// Risk is what a tool can do, read from its approved definition. A hint that is missing counts as
// the protocol's own worst case.
type Risk struct {
	ReadOnly    bool
	Destructive bool
	OpenWorld   bool
}

// RiskOf reads the annotations of a tool that an admin approved.
func RiskOf(d tokens.Definition) Risk {
	a := d.Annotations
	if a == nil {
		a = &tokens.Annotations{}
	}
	r := Risk{ReadOnly: is(a.ReadOnlyHint, false), Destructive: is(a.DestructiveHint, true), OpenWorld: is(a.OpenWorldHint, true)}
	if r.ReadOnly {
		r.Destructive = false
	}
	return r
}

func is(hint *bool, missing bool) bool {
	if hint == nil {
		return missing
	}
	return *hint
}

// Ticked reports whether the page may tick the tool by itself: read-only within the organisation,
// or additive with the admin's word; never what deletes or leaves the organisation.
func (r Risk) Ticked(defaultOn bool) bool {
	switch {
	case r.Destructive, r.OpenWorld:
		return false
	case r.ReadOnly:
		return true
	}
	return defaultOn
}
