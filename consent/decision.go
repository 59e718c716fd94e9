package consent

import (
	"errors"
	"slices"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// Sentinels of a decision that does not fit its offer.
var (
	ErrNotOffered = errors.New("consent: decided on what was not offered")
	ErrNothing    = errors.New("consent: no tool was allowed")
)

// Decision is what the person chose.
type Decision struct {
	Tools    []string
	Duration time.Duration
}

// Granted is what a decision makes.
type Granted struct {
	Task  store.Task
	Grant store.Grant
}

// Decide turns a decision on this offer into a pending task and its grant. Nothing is granted that
// was not offered.
func (o Offer) Decide(d Decision, user store.User, now time.Time) (Granted, error) {
	if !slices.Contains(o.Durations, d.Duration) {
		return Granted{}, ErrNotOffered
	}
	details := tokens.Details{Task: &tokens.TaskDetail{
		Purpose: o.Ask.Purpose(), MaxDuration: int(d.Duration / time.Second), MaxCalls: o.MaxCalls,
	}}
	var names []string
	for _, name := range d.Tools {
		i := slices.IndexFunc(o.Tools, func(t Tool) bool { return t.Detail.Tool == name })
		if i < 0 || slices.Contains(names, name) {
			return Granted{}, ErrNotOffered
		}
		names = append(names, name)
	}
	for _, t := range o.Tools { // in the order asked, not in the order ticked
		if slices.Contains(names, t.Detail.Tool) {
			details.Tools = append(details.Tools, t.Detail)
		}
	}
	if len(details.Tools) == 0 {
		return Granted{}, ErrNothing
	}
	canonical, err := details.Canonical()
	if err != nil {
		return Granted{}, err
	}
	task := store.Task{
		ID: tokens.NewID("tsk_"), UserID: user.ID, ClientID: o.Ask.ClientID, JKT: o.Ask.JKT,
		Purpose: o.Ask.Purpose(), State: store.TaskPending, MaxCalls: o.MaxCalls,
		CreatedAt: now, SeenAt: now, EndsAt: now.Add(d.Duration),
	}
	return Granted{Task: task, Grant: store.Grant{
		ID: tokens.NewID("gnt_"), TaskID: task.ID, Resource: o.Resource.URI,
		Scopes: o.rights.Scopes(names), Details: canonical, Hash: tokens.HashBytes(canonical), CreatedAt: now,
	}}, nil
}
