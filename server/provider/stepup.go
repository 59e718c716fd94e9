package provider

import (
	"slices"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// stepUpTries is how often a step-up is put together anew because another one came first.
const stepUpTries = 8

// granted are the grants that the code itself brought: of a step-up those that wait for it.
func granted(st store.CodeState) []store.Grant {
	if !st.Code.Extends {
		return st.Grants
	}
	return slices.DeleteFunc(slices.Clone(st.Grants), func(g store.Grant) bool { return !g.Waiting })
}

// Widen joins what a step-up grants with what is in force at its resource. Of a tool that both name,
// the newer entry holds, whole: it is what the user read last. Purpose, deadline and budget of the task
// stay as they are.
func Widen(more store.Grant, all []store.Grant, now time.Time) (store.Grant, []string, error) {
	wide := store.Grant{ID: tokens.NewID("gnt_"), TaskID: more.TaskID, Resource: more.Resource, CreatedAt: now}
	before := slices.DeleteFunc(slices.Clone(all), func(g store.Grant) bool {
		return g.Waiting || g.Resource != more.Resource || !g.EndedAt.IsZero()
	})
	if len(before) == 0 {
		return wide, nil, store.ErrTaskEnded // its part at this resource
	}
	var details tokens.Details
	var replaces []string
	for _, g := range append(before, more) {
		d, err := tokens.ParseGrant(g.Details)
		if err != nil {
			return wide, nil, err
		}
		details = details.Widen(d)
		for _, scope := range g.Scopes {
			if !slices.Contains(wide.Scopes, scope) {
				wide.Scopes = append(wide.Scopes, scope)
			}
		}
		if g.ID != more.ID {
			replaces = append(replaces, g.ID)
		}
	}
	canonical, err := details.Canonical()
	if err != nil {
		return wide, nil, err
	}
	if _, err := tokens.ParseGrant(canonical); err != nil { // what no Guard could read is never in force
		return wide, nil, &oauth.Error{Code: oauth.InvalidGrant, Description: "the task has too many tools; ask for a new one", Cause: err}
	}
	wide.Details, wide.Hash = canonical, tokens.HashBytes(canonical)
	return wide, replaces, nil
}

// Widened is the record of a task that may do more.
func Widened(t store.Task, g store.Grant) store.Record {
	rec := store.NewRecord("task.widened", map[string]any{"grant": g.Hash, "granted": string(g.Details), "scope": g.Scopes})
	rec.Task, rec.User, rec.Client, rec.Agent, rec.Resource = t.ID, t.UserID, t.ClientID, t.JKT, g.Resource
	return rec
}

// redeemed are the records of a redeemed code.
func redeemed(st store.CodeState, g store.Grant, c tokens.Claims) []store.Record {
	recs := []store.Record{issued("token.issued", c)}
	if st.Code.Extends {
		recs = append(recs, Widened(st.Task, g))
	}
	return recs
}
