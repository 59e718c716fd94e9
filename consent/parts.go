package consent

import (
	"slices"
	"time"
)

// Target is one of several resources that a request is about.
type Target struct {
	Resource string   `json:"resource"`
	Scopes   []string `json:"scopes,omitempty"` // those of the request that this resource knows
}

// Parts are the request, resource by resource: each is shown, decided and granted by itself, for one
// and the same task. A request about one resource is its only part.
func (a Ask) Parts() []Ask {
	if len(a.Targets) == 0 {
		return []Ask{a}
	}
	parts := make([]Ask, len(a.Targets))
	for i, t := range a.Targets {
		parts[i] = a
		parts[i].Part = true
		parts[i].Targets, parts[i].Resource, parts[i].Scopes, parts[i].Details = nil, t.Resource, t.Scopes, a.Details.For(t.Resource)
	}
	return parts
}

// Within drops what would last longer than the user chose for the resource before: it is one task.
func (o *Offer) Within(limit time.Duration) {
	if limit == 0 {
		return
	}
	o.Durations = slices.DeleteFunc(slices.Clone(o.Durations), func(d time.Duration) bool { return d > limit })
	o.Default = limit
}
