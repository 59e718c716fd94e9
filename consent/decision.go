package consent

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// Sentinels of a decision that does not fit its offer.
var (
	ErrNotOffered = errors.New("consent: decided on what was not offered")
	ErrNothing    = errors.New("consent: no tool was allowed")
	ErrTooMuch    = errors.New("consent: more than one task can hold")
)

// Decision is what the person chose.
type Decision struct {
	Tools    []string                      `json:"tools,omitempty"`
	Reads    []string                      `json:"reads,omitempty"`    // the scopes whose resources and prompts may be read
	Duration time.Duration                 `json:"duration,omitempty"` // not asked for by a step-up
	Terms    map[string]Terms              `json:"terms,omitempty"`    // by tool; without any, the tool is lent as offered
	Limits   map[string]tokens.Constraints `json:"limits,omitempty"`   // by tool; they join what was offered, and so only narrow it
}

// Terms are how a tool is lent for the task: zero as offered.
type Terms struct {
	EachCall bool `json:"each_call,omitempty"` // ask before each call
	MaxCalls int  `json:"max_calls,omitempty"` // so many calls at most
}

// Granted is what a decision makes.
type Granted struct {
	Task  store.Task // of a step-up: the running one
	Grant store.Grant
}

// Decide turns a decision on this offer into a pending task and its grant, or into what a running
// task gets on top. Nothing is granted that was not offered.
func (o Offer) Decide(d Decision, user store.User, now time.Time) (Granted, error) {
	if o.Extends == nil && !slices.Contains(o.Durations, d.Duration) {
		return Granted{}, ErrNotOffered
	}
	tools, names, err := o.decideTools(d)
	if err == nil {
		err = o.decideReads(d)
	}
	if err != nil {
		return Granted{}, err
	}
	details := tokens.Details{Tools: tools}
	if o.Extends == nil {
		details.Task = &tokens.TaskDetail{Purpose: o.Ask.Purpose(), MaxDuration: int(d.Duration / time.Second), MaxCalls: o.MaxCalls}
	}
	canonical, err := o.canonical(details)
	if err != nil {
		return Granted{}, err
	}
	task := store.Task{
		ID: tokens.NewID("tsk_"), UserID: user.ID, ClientID: o.Ask.ClientID, JKT: o.Ask.JKT,
		Purpose: o.Ask.Purpose(), State: store.TaskPending, MaxCalls: o.MaxCalls,
		CreatedAt: now, SeenAt: now, EndsAt: now.Add(d.Duration),
	}
	scopes := o.rights.Scopes
	if o.Extends != nil {
		task, scopes = o.Extends.Task, o.scopesToExtend
	}
	return Granted{Task: task, Grant: store.Grant{
		ID: tokens.NewID("gnt_"), TaskID: task.ID, Resource: o.Resource.URI,
		Scopes: scopes(names, d.Reads), Details: canonical, Hash: tokens.HashBytes(canonical), CreatedAt: now,
	}}, nil
}

// canonical is the form in which the details are granted: one that every Guard can read, of a step-up
// also together with what the task has already. More is refused here, where the user can choose less,
// rather than when the code is redeemed.
func (o Offer) canonical(details tokens.Details) ([]byte, error) {
	canonical, err := canonicalGrant(details)
	if err == nil && o.Extends != nil {
		_, err = canonicalGrant(o.Extends.Before.Widen(details))
	}
	return canonical, err
}

func canonicalGrant(d tokens.Details) ([]byte, error) {
	canonical, err := d.Canonical()
	if err != nil {
		return nil, err
	}
	if _, err := tokens.ParseGrant(canonical); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTooMuch, err)
	}
	return canonical, nil
}

// decideTools are the details of the tools that were chosen, in the order asked, not in the order
// ticked.
func (o Offer) decideTools(d Decision) (details []tokens.ToolDetail, names []string, err error) {
	for _, name := range d.Tools {
		i := slices.IndexFunc(o.Tools, func(t Tool) bool { return t.Detail.Tool == name })
		if i < 0 || slices.Contains(names, name) {
			return nil, nil, ErrNotOffered
		}
		names = append(names, name)
	}
	for _, t := range o.Tools {
		if !slices.Contains(names, t.Detail.Tool) {
			continue
		}
		detail, terms := t.Detail, d.Terms[t.Detail.Tool]
		if terms.MaxCalls < 0 {
			return nil, nil, ErrNotOffered
		}
		if terms.EachCall {
			detail.Approval = tokens.ApprovalEachCall
		}
		if terms.MaxCalls > 0 { // from now on; what is granted counts from the task's beginning
			detail.MaxCalls = Least(detail.MaxCalls, t.Used+terms.MaxCalls)
		}
		if limits := d.Limits[t.Detail.Tool]; len(limits) > 0 {
			detail.Constraints = detail.Constraints.And(limits)
		}
		details = append(details, detail)
	}
	if len(details) == 0 && len(d.Reads) == 0 {
		return nil, nil, ErrNothing
	}
	return details, names, nil
}

// decideReads refuses what was not offered to be read.
func (o Offer) decideReads(d Decision) error {
	for i, scope := range d.Reads {
		if slices.Contains(d.Reads[:i], scope) || !slices.ContainsFunc(o.Reads, func(r Read) bool { return r.Scope == scope }) {
			return ErrNotOffered
		}
	}
	return nil
}
