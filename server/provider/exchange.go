package provider

import (
	"context"
	"slices"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// maxActors bounds how often a task is handed on: the agent that the user lent it to, and four below.
const maxActors = 5

// Exchange is a token request of grant type token-exchange (RFC 8693 §2.1): the client is
// authenticated, its new key proven, and the holder of the subject token agreed to this very key.
type Exchange struct {
	Client  store.Client
	Subject tokens.Claims     // of the subject token
	State   store.AccessState // of the same
	Scopes  []string          // as asked; nil: all of the subject token's
	Details []byte            // as asked; nil: all of the subject token's
	JKT     string
}

// Exchange hands a task on to a sub-agent: a task under it, for the same user, with its own key, never
// wider or longer, and dead with it.
func (p *Provider) Exchange(ctx context.Context, in Exchange) (Response, error) {
	chain, err := p.checkExchange(ctx, in)
	if err != nil {
		return Response{}, err
	}
	detail, err := subTask(in)
	if err != nil {
		return Response{}, err
	}
	scopes := allowed(in.Client, in.Subject.Scope)
	if in.Scopes != nil {
		if scopes, err = narrowScopes(in.Subject.Scope, in.Scopes); err != nil {
			return Response{}, err
		}
	}
	if len(scopes) == 0 {
		return Response{}, oauth.Refuse(oauth.InvalidScope, "none of the scopes is open to this client")
	}
	ends := p.subTaskEnds(in, detail)
	detail.Task.MaxDuration = max(1, int(ends.Sub(p.now())/time.Second))
	task := p.newTask(in.State.Task.UserID, in.Client.ID, in.JKT, detail.Task.Purpose, ends)
	task.Parent, task.Delegates, task.Roles, task.MaxCalls = in.State.Task.ID, chain, in.State.Task.Roles, detail.Task.MaxCalls
	grant, err := p.newGrant(task, in.Subject.Audience, scopes, detail)
	if err != nil {
		return Response{}, err
	}
	response, err := p.begin(ctx, beginning{
		client: in.Client, task: task, grant: grant, detail: detail, subject: in.Subject.ID,
		refresh: MayUse(in.Client, oauth.GrantRefreshToken),
		record: store.NewRecord("task.delegated", map[string]any{
			"parent": task.Parent, "from": in.Subject.ID, "actors": chain, "granted": string(grant.Details), "grant": grant.Hash,
			"scope": scopes, "ends": ends.Unix(), "max_calls": task.MaxCalls,
		}),
	})
	response.Issued = oauth.TokenTypeAccess
	return response, err
}

// checkExchange holds the exchange to its bindings, and returns who acts from now on, newest first.
func (p *Provider) checkExchange(ctx context.Context, in Exchange) ([]store.Delegate, error) {
	parent := in.State.Task
	switch {
	case parent.ClientID != in.Client.ID && !slices.Contains(in.Client.Policy.ExchangeFrom, parent.ClientID):
		return nil, p.finding(ctx, in.Client, parent, in.JKT, "exchange_by_another_client", oauth.Refuse(oauth.InvalidGrant, "the token was issued to another client, from which this one may take none"))
	case in.State.Token.Revoked, !p.now().Before(in.State.Token.ExpiresAt):
		return nil, store.ErrTokenNotFound
	case parent.State.Terminal():
		return nil, store.ErrTaskEnded
	case parent.State != store.TaskActive:
		return nil, store.ErrTaskNotActive
	}
	chain := parent.Delegates
	if len(chain) == 0 {
		chain = []store.Delegate{{Subject: parent.ClientID, ClientID: parent.ClientID, JKT: parent.JKT}}
	}
	switch {
	case len(chain) >= maxActors:
		return nil, oauth.Refuse(oauth.InvalidRequest, "the task has been handed on too often")
	case slices.ContainsFunc(chain, func(d store.Delegate) bool { return d.JKT == in.JKT }):
		return nil, oauth.Refuse(oauth.InvalidRequest, "a sub-agent proves a key of its own, not one of those that it acts for")
	}
	return append([]store.Delegate{{Subject: in.Client.ID, ClientID: in.Client.ID, JKT: in.JKT}}, chain...), nil
}

// subTask cuts the subject token's details to what was asked, and its budget to what is left.
func subTask(in Exchange) (tokens.Details, error) {
	granted, err := heldDetails(in.Subject, in.State.Grants)
	if err != nil {
		return tokens.Details{}, err
	}
	task := tokens.TaskDetail{Purpose: in.State.Task.Purpose}
	if most := in.State.Task.MaxCalls; most > 0 {
		if task.MaxCalls = most - in.State.Task.CallsUsed; task.MaxCalls <= 0 {
			return tokens.Details{}, oauth.Refuse(oauth.InvalidGrant, "no calls are left in the task")
		}
	}
	detail := granted
	if in.Details != nil {
		asked, err := tokens.ParseDetails(in.Details)
		if err != nil {
			return tokens.Details{}, &oauth.Error{Code: oauth.InvalidAuthorizationDetails, Description: "authorization_details: " + err.Error(), Cause: err}
		}
		if len(asked.Tools) > 0 {
			if detail, err = cut(granted, asked); err != nil {
				return tokens.Details{}, err
			}
			for i, t := range asked.Tools {
				detail.Tools[i].MaxCalls = least(detail.Tools[i].MaxCalls, t.MaxCalls)
			}
		}
		if t := asked.Task; t != nil {
			if t.Task != "" && t.Task != in.State.Task.ID {
				return tokens.Details{}, oauth.Refuse(oauth.InvalidAuthorizationDetails, "task is not the one that the token is for")
			}
			task.MaxCalls, task.MaxDuration = least(task.MaxCalls, t.MaxCalls), t.MaxDuration
			if t.Purpose != "" {
				task.Purpose = t.Purpose
			}
		}
	}
	detail.Task = &task
	if len(detail.Tools) == 0 {
		return tokens.Details{}, oauth.Refuse(oauth.InvalidAuthorizationDetails, "name at least one tool")
	}
	return detail, checkReadable(detail)
}

// heldDetails are those that the token carries, or names by their hash.
func heldDetails(c tokens.Claims, grants []store.Grant) (tokens.Details, error) {
	if c.GrantHash == "" {
		return c.Details, nil
	}
	for _, g := range grants {
		if g.Hash == c.GrantHash {
			return tokens.ParseGrant(g.Details)
		}
	}
	return tokens.Details{}, store.ErrTokenNotFound
}

// checkReadable refuses what no Guard could read: two sets of limits can be too many together.
func checkReadable(d tokens.Details) error {
	canonical, err := d.Canonical()
	if err == nil {
		_, err = tokens.ParseGrant(canonical)
	}
	if err != nil {
		return &oauth.Error{Code: oauth.InvalidAuthorizationDetails, Description: "authorization_details: " + err.Error(), Cause: err}
	}
	return nil
}

// subTaskEnds is the deadline: the parent's, or an earlier one that was asked for or that the policy sets.
func (p *Provider) subTaskEnds(in Exchange, d tokens.Details) time.Time {
	ends := in.State.Task.EndsAt
	for _, seconds := range []int{d.Task.MaxDuration, in.Client.Policy.MaxDuration} {
		if at := p.now().Add(time.Duration(seconds) * time.Second); seconds > 0 && at.Before(ends) {
			ends = at
		}
	}
	return ends
}

// least is the smaller budget, where 0 is none.
func least(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
