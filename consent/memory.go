package consent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// Memory is a choice that its user lets go on for a while: the read-only tools that were allowed, on
// which terms and for how long each time. It counts for the very same offer alone: another tool,
// definition, limit, scope, role or policy is another offer, and is asked about.
type Memory struct {
	Version int    `json:"v"`
	Match   string `json:"match"` // of the offer that was answered
	Decision
	Declined []string `json:"declined,omitempty"` // tools and scopes that were offered, and not allowed
	Asks     []string `json:"asks,omitempty"`     // tools that were allowed, and are asked about each time
	Typed    string   `json:"typed,omitempty"`    // the limits as the page's form had them; Limits is what counts
}

// Memorable reports whether there is anything in the offer that may be remembered: a task of its own,
// at one resource, with something that only reads.
func (o Offer) Memorable() bool {
	if o.Extends != nil || o.Ask.Part || len(o.Ask.Targets) > 0 || o.Ask.Device != "" || o.Observed {
		return false
	}
	return len(o.Reads) > 0 || slices.ContainsFunc(o.Tools, func(t Tool) bool { return t.Risk.ReadOnly })
}

// Match names all that a choice is made on, and so all that must be the same for it to go on: what is
// offered, under which policy, and who asks whom, which the caller says.
func (o Offer) Match(who ...string) string {
	ask := o.Ask.Details
	ask.Task, ask.Tools = nil, nil
	for _, t := range o.Tools {
		ask.Tools = append(ask.Tools, t.Detail)
	}
	raw, err := json.Marshal(struct {
		Who              []string
		Resource, Policy string
		Scopes           []string
		Bearer           bool
		MaxCalls         int
		Details          tokens.Details
		Risks            []Risk
		Titles           []string
		Reads            []Read
		LeftOut          []LeftOut
	}{who, o.Resource.URI, o.Resource.PolicyVersion, slices.Sorted(slices.Values(o.Ask.Scopes)), o.Ask.Bearer, o.MaxCalls, ask, o.risks(), o.titles(), o.Reads, o.LeftOut})
	if err != nil {
		return "" // never equal to a match that was remembered
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

func (o Offer) risks() (all []Risk) {
	for _, t := range o.Tools {
		all = append(all, t.Risk)
	}
	return all
}

func (o Offer) titles() (all []string) {
	for _, t := range o.Tools {
		all = append(all, t.Title, t.Description)
	}
	return all
}

// Remember is what of a decision on this offer goes on: what only reads. Nothing allowed that does is
// no memory.
func (o Offer) Remember(d Decision, match string) (Memory, bool) {
	m := Memory{Version: 1, Match: match, Decision: Decision{Duration: d.Duration, Reads: d.Reads}}
	if match == "" || !o.Memorable() {
		return m, false
	}
	for _, t := range o.Tools {
		name := t.Detail.Tool
		switch allowed := slices.Contains(d.Tools, name); {
		case !allowed:
			m.Declined = append(m.Declined, name)
		case !t.Risk.ReadOnly:
			m.Asks = append(m.Asks, name)
		default:
			m.keep(name, d)
		}
	}
	for _, r := range o.Reads {
		if !slices.Contains(d.Reads, r.Scope) {
			m.Declined = append(m.Declined, r.Scope)
		}
	}
	return m, len(m.Tools)+len(m.Reads) > 0
}

// keep takes one tool over, on its terms.
func (m *Memory) keep(name string, d Decision) {
	m.Tools = append(m.Tools, name)
	if terms := d.Terms[name]; terms != (Terms{}) {
		if m.Terms == nil {
			m.Terms = map[string]Terms{}
		}
		m.Terms[name] = terms
	}
	if limits := d.Limits[name]; len(limits) > 0 {
		if m.Limits == nil {
			m.Limits = map[string]tokens.Constraints{}
		}
		m.Limits[name] = limits
	}
}

// Covers reports whether the memory answers this offer wholly, as it stands now: nothing else is
// offered than was, what goes on only reads, and nothing that was allowed is asked about each time.
func (m Memory) Covers(o Offer, match string) bool {
	return match != "" && m.Match == match && o.Memorable() && len(m.Asks) == 0 && len(m.Tools)+len(m.Reads) > 0 &&
		slices.Contains(o.Durations, m.Duration) &&
		!slices.ContainsFunc(m.Tools, func(name string) bool {
			return !slices.ContainsFunc(o.Tools, func(t Tool) bool { return t.Detail.Tool == name && t.Risk.ReadOnly })
		})
}

// Inside reports whether nothing of it reaches beyond the organisation, as far as the tools say.
func (m Memory) Inside(o Offer) bool {
	return !slices.ContainsFunc(o.Tools, func(t Tool) bool { return t.Risk.OpenWorld && slices.Contains(m.Tools, t.Detail.Tool) })
}

// Fill ticks on the page what was allowed before, of an offer that the memory was made on.
func (m Memory) Fill(o *Offer) {
	for i := range o.Tools {
		if t := &o.Tools[i]; t.Risk.ReadOnly {
			t.Ticked = slices.Contains(m.Tools, t.Detail.Tool)
			t.Chosen = m.Terms[t.Detail.Tool]
		}
	}
	if slices.Contains(o.Durations, m.Duration) {
		o.Default = m.Duration
	}
}

// Encode returns the form that DecodeMemory reads.
func (m Memory) Encode() ([]byte, error) { return json.Marshal(m) }

// DecodeMemory reads a stored choice; what cannot be read is no memory.
func DecodeMemory(raw []byte) (m Memory, err error) {
	if err = json.Unmarshal(raw, &m); err == nil && m.Version != 1 {
		err = fmt.Errorf("consent: choice of unknown version %d", m.Version)
	}
	return m, err
}

// MostRemembered is how long a choice may go on at most.
const MostRemembered = 30 * 24 * time.Hour

// RememberFor is how long a choice goes on: as long as the server says, or less where the client's
// policy does.
func RememberFor(server time.Duration, clientDays *int) time.Duration {
	if clientDays != nil {
		server = min(server, time.Duration(*clientDays)*24*time.Hour)
	}
	return max(0, min(server, MostRemembered))
}
