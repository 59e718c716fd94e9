package provider

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// beginning is a task that begins at once, with its first token. fosite has no part in it: it knows
// none of these grants.
type beginning struct {
	client  store.Client // who gets the token: its client_id
	task    store.Task
	grant   store.Grant
	detail  tokens.Details
	subject string // jti of the token that is exchanged
	once    *store.Once
	refresh bool
	record  store.Record // why there is a task
}

// begin stores the task with its tokens, in one step.
func (p *Provider) begin(ctx context.Context, b beginning) (Response, error) {
	if err := p.mayIssue(ctx, b.client, b.grant, b.task.JKT); err != nil {
		return Response{}, err
	}
	m := minting{task: b.task, grant: b.grant, client: b.client, jkt: b.task.JKT, scopes: b.grant.Scopes, detail: b.detail}
	claims, err := p.claims(ctx, &m)
	if err != nil {
		return Response{}, err
	}
	access, err := p.text(claims)
	if err != nil {
		return Response{}, err
	}
	row, err := accessRow(claims, b.task)
	if err != nil {
		return Response{}, err
	}
	rec := &recorder{access: access}
	start := store.Start{Task: b.task, Grants: []store.Grant{b.grant}, Access: row, Subject: b.subject, Once: b.once}
	if b.refresh {
		rec.refresh = tokens.NewSecret("rr_")
		start.Refresh = &store.RefreshToken{
			ID: store.HashOf(rec.refresh), TaskID: b.task.ID, ClientID: b.client.ID, JKT: b.task.JKT,
			Scopes: b.grant.Scopes, ExpiresAt: b.task.EndsAt, CreatedAt: b.task.CreatedAt,
		}
	}
	b.record.Task, b.record.User, b.record.Client = b.task.ID, b.task.UserID, b.client.ID
	b.record.Agent, b.record.Resource = b.task.JKT, b.grant.Resource
	if err := p.store.StartTask(ctx, start, b.record, issued("token.issued", claims)); err != nil {
		return Response{}, err
	}
	return p.respond(rec, claims, m.detail), nil
}

// newTask is an active task of this user and client, from now on.
func (p *Provider) newTask(userID, clientID, jkt, purpose string, ends time.Time) store.Task {
	now := p.now()
	return store.Task{
		ID: tokens.NewID("tsk_"), UserID: userID, ClientID: clientID, JKT: jkt, Purpose: purpose, State: store.TaskActive,
		CreatedAt: now, ActivatedAt: now, SeenAt: now, EndsAt: ends,
	}
}

// newGrant is the task's grant at the resource.
func (p *Provider) newGrant(t store.Task, resource string, scopes []string, detail tokens.Details) (store.Grant, error) {
	canonical, err := detail.Canonical()
	return store.Grant{
		ID: tokens.NewID("gnt_"), TaskID: t.ID, Resource: resource, Scopes: scopes,
		Details: canonical, Hash: tokens.HashBytes(canonical), CreatedAt: t.CreatedAt,
	}, err
}
