package provider

import (
	"context"
	"errors"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// Lending is a request for a task that an admin allowed beforehand: by roles that were assigned to the
// client itself (OAuth 2.1 §4.2), or by trust in whoever signed an assertion (RFC 7523 §2.1).
type Lending struct {
	Client   store.Client
	Subject  string // whose rights they are: a user, or the client itself
	Resource string
	Scopes   []string
	Details  tokens.Details // of tools
	Asked    *tokens.TaskDetail
	Roles    []string // of the subject, at the resource
	JKT      string
	Once     *store.Once // what was presented, where it is good once
	Kind     string      // of the ledger's record
	Why      map[string]any
}

// Lend makes a task with one token, that ends with it: whoever wants to go on presents anew what the
// task began with, and finds the rights as they are then.
func (p *Provider) Lend(ctx context.Context, in Lending) (Response, error) {
	ends := p.now().Add(p.accessLife)
	for _, seconds := range []int{in.Client.Policy.AccessLife, in.Client.Policy.MaxDuration, in.Asked.MaxDuration} {
		if at := p.now().Add(time.Duration(seconds) * time.Second); seconds > 0 && at.Before(ends) {
			ends = at
		}
	}
	task := p.newTask(in.Subject, in.Client.ID, in.JKT, in.Asked.Purpose, ends)
	task.MaxCalls, task.Roles = in.Asked.MaxCalls, []store.TaskRoles{{Resource: in.Resource, Roles: in.Roles}}
	in.Details.Task = &tokens.TaskDetail{Purpose: task.Purpose, MaxDuration: max(1, int(ends.Sub(p.now())/time.Second)), MaxCalls: task.MaxCalls}
	grant, err := p.newGrant(task, in.Resource, in.Scopes, in.Details)
	if err != nil {
		return Response{}, err
	}
	why := map[string]any{"granted": string(grant.Details), "grant": grant.Hash, "scope": in.Scopes, "ends": ends.Unix()}
	for name, value := range in.Why {
		why[name] = value
	}
	response, err := p.begin(ctx, beginning{client: in.Client, task: task, grant: grant, detail: in.Details, once: in.Once, record: store.NewRecord(in.Kind, why)})
	if errors.Is(err, store.ErrGrantChanged) { // a role was lost meanwhile
		err = &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "these rights are being changed; try again"}
	}
	return response, err
}
