package provider

import (
	"context"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// Behind is the exchange of a resource's incoming token for one to its own backend (RFC 8693 §2.1):
// the resource is authenticated, the token is for it, and an admin lets it reach the backend.
type Behind struct {
	Guard    store.Client // stands for the resource: its id is the Guard's
	Resource string
	Subject  tokens.Claims
	State    store.AccessState
	Backend  string
	Scopes   []string
	Details  tokens.Details // of the backend's tools
	Roles    []string       // of the user at the backend
	JKT      string
}

// ExchangeBehind makes a short task under the caller's, for the same user, in which the resource acts.
// It lives no longer than the token that it was called with.
func (p *Provider) ExchangeBehind(ctx context.Context, in Behind) (Response, error) {
	parent := in.State.Task
	switch {
	case parent.State.Terminal():
		return Response{}, store.ErrTaskEnded
	case parent.State != store.TaskActive:
		return Response{}, store.ErrTaskNotActive
	}
	chain := parent.Delegates
	if len(chain) == 0 {
		chain = []store.Delegate{{Subject: parent.ClientID, ClientID: parent.ClientID, JKT: parent.JKT}}
	}
	if len(chain) >= maxActors {
		return Response{}, oauth.Refuse(oauth.InvalidRequest, "the task has been handed on too often")
	}
	task := p.newTask(parent.UserID, parent.ClientID, in.JKT, parent.Purpose, in.Subject.Expires)
	task.Parent, task.Roles = parent.ID, []store.TaskRoles{{Resource: in.Backend, Roles: in.Roles}}
	task.Delegates = append([]store.Delegate{{Subject: in.Resource, ClientID: in.Guard.ID, JKT: in.JKT}}, chain...)
	in.Details.Task = &tokens.TaskDetail{Purpose: parent.Purpose}
	grant, err := p.newGrant(task, in.Backend, in.Scopes, in.Details)
	if err != nil {
		return Response{}, err
	}
	response, err := p.begin(ctx, beginning{
		client: in.Guard, task: task, grant: grant, detail: in.Details, subject: in.Subject.ID,
		record: store.NewRecord("task.delegated", map[string]any{
			"parent": task.Parent, "from": in.Subject.ID, "actors": task.Delegates, "granted": string(grant.Details), "grant": grant.Hash,
			"scope": in.Scopes, "ends": task.EndsAt.Unix(),
		}),
	})
	response.Issued = oauth.TokenTypeAccess
	return response, err
}
