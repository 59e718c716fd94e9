package consent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// Rights is what the resource's policy says of this user, seen through the request's scopes.
type Rights interface {
	// Tools lists the tools that the request's scopes name, in order, whoever the user is.
	Tools() []string
	// Reach tells under which limits the user may have the tool, or why not: "scope", "role" or
	// "unknown_tool".
	Reach(tool string) (r Reach, refusal string)
	// BearerAllowed tells whether a token that is bound to no key may reach such a tool.
	BearerAllowed(readOnly bool) bool
	// Scopes returns the scopes to grant so that exactly these tools are reached by this user, and
	// what the scopes of reads let be read.
	Scopes(tools, reads []string) []string
	// Reads lists what each of the request's scopes lets this user read besides tools.
	Reads() []Read
	// Observed reports whether the policy is only watched: what it refuses runs.
	Observed() bool
	// Moves reports whether the policy's own terms for a tool that is reached by some scopes are
	// others once more scopes join them.
	Moves(scopes, more []string, tool string) bool
}

// Reach is what the policy lets a user do with a tool.
type Reach struct {
	Limits   []tokens.Constraints // alternatives: any of them permits
	MaxCalls int                  // 0: no budget
	EachCall bool                 // the user is asked about each call, whatever the client and the user say
	When     []string             // in words: when the policy lets it be called
}

// Read is what one scope lets the agent read: MCP resources and prompts.
type Read struct {
	Scope, Title       string
	Resources, Prompts []string // URI patterns, and names
	When               []string // in words: when the policy lets it be read
}

// Offer is all that the consent page may show, and so all that may be granted.
type Offer struct {
	Ask       Ask
	Resource  store.Resource
	Tools     []Tool
	LeftOut   []LeftOut
	Durations []time.Duration // that may be chosen
	Refused   []time.Duration // shown, but not to be had
	Default   time.Duration
	MaxCalls  int // of the whole task; 0: no budget
	Reads     []Read
	Observed  bool // the server's policy is only watched, so none of its limits is enforced

	Extends *Running // the task that this is a step-up of; nil: a new task

	rights Rights
}

// Tool is one line of the offer: the detail that would be granted, and how to show it.
type Tool struct {
	Detail      tokens.ToolDetail
	Title       string
	Description string
	Risk        Risk
	Ticked      bool
	Chosen      Terms              // what the page says at first of how it may be used; zero: as offered
	PolicyLimit tokens.Constraints // the server's own limit, when there is exactly one
	When        []string           // in words: when the server's policy lets it be called

	Change  string             // step-up: how it differs from what the task has; empty: new
	Was     *tokens.ToolDetail // what the task has of it
	Running bool               // the task runs: a number of calls is chosen from now on
	Used    int                // calls of it that were counted; a number of calls that is chosen now comes on top

	Arguments []Argument // that the person may limit
}

// LeftOut is a tool that was asked for and is not offered.
type LeftOut struct {
	Tool, Reason string
}

// Why a tool is left out.
const (
	OutOfRole      = "role"       // the user's roles do not reach it
	OutOfCondition = "condition"  // the server's policy asks for a client that this one is not
	OutOfScope     = "scope"      // the requested scopes do not reach it
	OutUnknown     = "unknown"    // the server has no such tool
	OutUnapproved  = "unapproved" // new on the server, not yet approved by an admin
	OutChanged     = "changed"    // changed on the server since an admin approved it
	OutNotKeyBound = "bearer"     // not for a token without a key
	OutSwitched    = "switched"   // an admin has stopped it for now
	OutSpent       = "spent"      // the task has made as many calls of it as it may at most
	OutBadManifest = "manifest"   // its approved definition cannot be read
)

// The choices of the page; the task's hard limits are DESIGN §4's.
var choices = []time.Duration{15 * time.Minute, 30 * time.Minute, 2 * time.Hour, 8 * time.Hour}

const (
	defaultDuration = 30 * time.Minute
	maxDuration     = 8 * time.Hour
)

// NewOffer intersects what was asked with what the user may delegate and what the admin approved.
// limit is the longest that the client's policy allows; 0: the server's own.
func NewOffer(ask Ask, resource store.Resource, rights Rights, limit time.Duration) Offer {
	o := Offer{Ask: ask, Resource: resource, rights: rights, Reads: rights.Reads(), Observed: rights.Observed()}
	if ask.Details.Task != nil {
		o.MaxCalls = ask.Details.Task.MaxCalls
	}
	o.setDurations(limit)
	asked := ask.Details.Tools
	if len(asked) == 0 {
		for _, name := range rights.Tools() {
			asked = append(asked, tokens.ToolDetail{Tool: name})
		}
	}
	for _, detail := range asked {
		if tool, reason := o.offerTool(detail); reason != "" {
			o.LeftOut = append(o.LeftOut, LeftOut{detail.Tool, reason})
		} else {
			o.Tools = append(o.Tools, tool)
		}
	}
	return o
}

// offerTool makes one line, or says why there is none.
func (o *Offer) offerTool(detail tokens.ToolDetail) (Tool, string) {
	i := slices.IndexFunc(o.Resource.Tools, func(t store.Tool) bool { return t.Name == detail.Tool })
	if i < 0 {
		return Tool{}, OutUnknown
	}
	listed := o.Resource.Tools[i]
	switch {
	case listed.Gone:
		return Tool{}, OutUnknown
	case listed.Hash == "":
		return Tool{}, OutUnapproved
	case listed.LiveHash != "" && listed.LiveHash != listed.Hash:
		return Tool{}, OutChanged
	}
	def, err := tokens.ParseDefinition(listed.Definition)
	if err != nil {
		return Tool{}, OutBadManifest
	}
	reach, refusal := o.rights.Reach(detail.Tool)
	switch refusal {
	case "":
	case "scope":
		return Tool{}, OutOfScope
	case "role":
		return Tool{}, OutOfRole
	case "condition":
		return Tool{}, OutOfCondition
	case OutSwitched:
		return Tool{}, OutSwitched
	default:
		return Tool{}, OutUnknown
	}
	detail.Locations = []string{o.Resource.URI}
	detail.Definition = listed.Hash
	detail.MaxCalls = Least(detail.MaxCalls, reach.MaxCalls)
	if reach.EachCall {
		detail.Approval = tokens.ApprovalEachCall
	}
	risk := RiskOf(def)
	if o.Ask.Bearer && !o.rights.BearerAllowed(risk.ReadOnly) {
		return Tool{}, OutNotKeyBound
	}
	t := Tool{Detail: detail, Title: def.Title, Description: def.Description, Risk: risk, Ticked: risk.Ticked(listed.DefaultOn), When: reach.When, Arguments: Arguments(def)}
	if t.Title == "" && def.Annotations != nil {
		t.Title = def.Annotations.Title
	}
	if t.Title == "" {
		t.Title = def.Name
	}
	if len(reach.Limits) == 1 {
		t.PolicyLimit = reach.Limits[0]
	}
	return t, ""
}

// Least returns the smaller of two budgets, where 0 is none.
func Least(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// setDurations lists what the user may choose: nothing longer than the client asked for, or than
// the admin allows.
func (o *Offer) setDurations(limit time.Duration) {
	if limit <= 0 || limit > maxDuration {
		limit = maxDuration
	}
	asked := time.Duration(0)
	if o.Ask.Details.Task != nil {
		asked = time.Duration(o.Ask.Details.Task.MaxDuration) * time.Second
	}
	all := slices.Clone(choices)
	if asked > 0 && asked <= maxDuration && !slices.Contains(all, asked) {
		all = append(all, asked)
		slices.Sort(all)
	}
	for _, d := range all {
		switch {
		case asked > 0 && d > asked:
		case d > limit:
			o.Refused = append(o.Refused, d)
		default:
			o.Durations = append(o.Durations, d)
		}
	}
	if len(o.Durations) == 0 {
		o.Durations = []time.Duration{min(limit, choices[0])}
		if asked > 0 {
			o.Durations[0] = min(o.Durations[0], asked)
		}
	}
	o.Default = o.Durations[0]
	for _, d := range o.Durations {
		if d <= defaultDuration {
			o.Default = d
		}
	}
}

// Digest names exactly this offer; a page carries it, so that a decision on anything else that was
// shown, as after a change of the manifest or of a role, is never taken for a decision on this.
func (o Offer) Digest() string {
	shown := struct {
		Ask       Ask
		Details   tokens.Details
		Titles    []string
		LeftOut   []LeftOut
		Durations []time.Duration
		Policy    string
		Extends   string
		Reads     []Read
	}{Ask: o.Ask.offered(), LeftOut: o.LeftOut, Durations: o.Durations, Policy: o.Resource.PolicyVersion, Reads: o.Reads}
	if o.Extends != nil {
		shown.Extends = o.Extends.Task.ID + " " + o.Extends.Grant.ID
	}
	for _, t := range o.Tools {
		shown.Details.Tools = append(shown.Details.Tools, t.Detail)
		shown.Titles = append(shown.Titles, t.Title, t.Description)
	}
	raw, err := json.Marshal(shown)
	if err != nil {
		return "" // never equal to a digest that was shown
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
