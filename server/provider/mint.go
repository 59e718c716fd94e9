package provider

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// minting is what one access token is made from.
type minting struct {
	task   store.Task
	grant  store.Grant
	client store.Client
	jkt    string
	scopes []string
	detail tokens.Details // granted, or narrowed by the request
}

// claims are those of a fresh token (RFC 9068 §2.2): never longer than the task, one audience, and
// only that audience's details.
func (p *Provider) claims(ctx context.Context, m *minting) (tokens.Claims, error) {
	var err error
	if m.detail, err = p.on(ctx, m.grant.Resource, m.detail); err != nil {
		return tokens.Claims{}, err
	}
	grade, err := p.grade(ctx, m)
	if err != nil {
		return tokens.Claims{}, err
	}
	now := p.now().Truncate(time.Second)
	life := p.accessLife
	if most := time.Duration(m.client.Policy.AccessLife) * time.Second; most > 0 {
		life = min(life, most)
	}
	if m.jkt == "" {
		life = min(life, maxBearerLife)
	}
	expires := now.Add(life)
	if m.task.EndsAt.Before(expires) {
		expires = m.task.EndsAt.Truncate(time.Second)
	}
	c := tokens.Claims{
		Issuer: p.issuer, Subject: m.task.UserID, Audience: m.grant.Resource, ClientID: m.client.ID,
		ID: tokens.NewID("at_"), IssuedAt: now, Expires: expires,
		Scope: allowed(m.client, m.scopes), Roles: m.task.RolesAt(m.grant.Resource), Grade: grade, JKT: m.jkt,
		Act:     actors(m.task.Delegates),
		Task:    tokens.TaskClaim{ID: m.task.ID, Ends: m.task.EndsAt},
		Details: m.detail, KeyID: p.signer("").ID(),
	}
	if raw, err := m.detail.Canonical(); err == nil && len(raw) > maxTokenGrants {
		c.Details, c.GrantHash = tokens.Details{}, tokens.HashBytes(raw)
	}
	if p.opaque == nil {
		return c, nil
	}
	opaque, err := p.opaque(ctx, c.Audience)
	if err == nil && opaque {
		c.KeyID = ""
		c.Opaque, c.ID = tokens.NewOpaque()
	}
	return c, err
}

// grade is how the client came to be known, and so of each client that it acts for: what a policy asks of a
// client must be true of all, or a task would be worth more to whom it is handed on. A resource in
// between, which acts under its URI, is one that an admin enrolled.
func (p *Provider) grade(ctx context.Context, m *minting) (string, error) {
	all := []string{m.client.Grade()}
	for _, d := range m.task.Delegates {
		if d.ClientID == m.client.ID || d.Subject != d.ClientID {
			continue
		}
		c, err := p.store.ClientByID(ctx, d.ClientID)
		if err != nil {
			return "", err
		}
		if g := c.Grade(); !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	if slices.Contains(all, "") {
		return "", nil // not known holds no condition
	}
	return strings.Join(all, " "), nil
}

// on leaves out the tools that are switched off for now: refused by Guards, whatever a token says, and
// not promised by one. A token with no tool left is not issued.
func (p *Provider) on(ctx context.Context, resource string, d tokens.Details) (tokens.Details, error) {
	if p.switched == nil || len(d.Tools) == 0 {
		return d, nil
	}
	off, err := p.switched(ctx, resource)
	if err != nil || len(off) == 0 {
		return d, err
	}
	on := d
	on.Tools = slices.DeleteFunc(slices.Clone(d.Tools), func(t tokens.ToolDetail) bool { return off[t.Tool] })
	if len(on.Tools) == 0 {
		return d, store.ErrSwitched
	}
	// What is too large for a token travels as the hash of a stored grant, and this one is not stored.
	if raw, err := on.Canonical(); err != nil || len(raw) > maxTokenGrants {
		return d, nil
	}
	return on, nil
}

// text is the token that stands for these claims: signed, or saying nothing.
func (p *Provider) text(c tokens.Claims) (string, error) {
	if c.Opaque != "" {
		return c.Opaque, nil
	}
	return p.signer(c.KeyID).SignAccessToken(c)
}

// actors is the act claim (RFC 8693 §4.1): who acts, and inside it who acted before; nil when it is the
// client itself.
func actors(chain []store.Delegate) *tokens.Actor {
	if len(chain) == 0 {
		return nil
	}
	return &tokens.Actor{Subject: chain[0].Subject, ClientID: chain[0].ClientID, Act: actors(chain[1:])}
}

// allowed returns those of the scopes that the client's policy allows now, whatever was granted before.
func allowed(c store.Client, scopes []string) []string {
	if len(c.Policy.Scopes) == 0 {
		return scopes
	}
	var kept []string
	for _, s := range scopes {
		if slices.Contains(c.Policy.Scopes, s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// accessRow is the row of the token that these claims describe.
func accessRow(c tokens.Claims, t store.Task) (store.AccessToken, error) {
	row := store.AccessToken{
		JTI: c.ID, TaskID: c.Task.ID, Resource: c.Audience, ClientID: c.ClientID, JKT: c.JKT, KID: c.KeyID,
		IssuedAt: c.IssuedAt, ExpiresAt: c.Expires, Generation: t.Generation,
	}
	if c.Opaque == "" {
		return row, nil
	}
	said, err := c.MarshalJSON()
	row.Claims = string(said)
	return row, err
}

// issued is the ledger record of an issued token.
func issued(kind string, c tokens.Claims) store.Record {
	rec := store.NewRecord(kind, map[string]any{"scope": c.Scope, "roles": c.Roles, "client_grade": c.Grade, "expires": c.Expires.Unix()})
	rec.Task, rec.User, rec.Client, rec.Agent, rec.Resource, rec.JTI = c.Task.ID, c.Subject, c.ClientID, c.JKT, c.Audience, c.ID
	return rec
}
