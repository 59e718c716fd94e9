package provider

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// RefreshExchange is a token request of grant type refresh_token, its client authenticated and its
// proof verified.
type RefreshExchange struct {
	Client    store.Client
	Token     string
	Scopes    []string // as asked; nil: what was granted
	Resources []string
	Details   []byte // as asked; nil: what was granted
	JKT       string
}

// Refresh rotates a refresh token and issues an access token (OAuth 2.1 §4.3). The access token
// may be narrower than the grant; the new refresh token never is, and never wider.
// One that was made while the user narrowed the task is made anew, from what is left.
func (p *Provider) Refresh(ctx context.Context, in RefreshExchange) (Response, error) {
	for range stepUpTries {
		response, err := p.refreshOnce(ctx, in)
		if !errors.Is(err, store.ErrGrantChanged) {
			return response, err
		}
	}
	return Response{}, &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "this task is being changed; try again"}
}

func (p *Provider) refreshOnce(ctx context.Context, in RefreshExchange) (Response, error) {
	st, err := p.store.RefreshByID(ctx, store.HashOf(in.Token))
	if err != nil {
		return Response{}, err
	}
	m, err := p.checkRefresh(ctx, in, st)
	if err != nil {
		return Response{}, err
	}
	if p.mayRefresh != nil {
		if err := p.mayRefresh(ctx, st.Task.ID); err != nil {
			return Response{}, err
		}
	}
	claims, err := p.claims(ctx, &m)
	if err != nil {
		return Response{}, err
	}
	rec := p.held(st.Client, m.grant, claims)
	rec.heldSig, rec.heldEnds = st.Token.ID.String(), st.Token.ExpiresAt
	form := url.Values{"grant_type": {oauth.GrantRefreshToken}, "client_id": {in.Client.ID}, "refresh_token": {in.Token}}
	if err := p.runToken(ctx, rec, form); err != nil {
		return Response{}, err
	}
	if err := p.rotate(ctx, in, st, rec, claims); err != nil {
		return Response{}, err
	}
	return p.respond(rec, claims, m.detail), nil
}

// rotate commits the rotation. When the predecessor was already exchanged within the grace, the
// holder gets the identical successor, opened with the secret that it holds.
func (p *Provider) rotate(ctx context.Context, in RefreshExchange, st store.RefreshState, rec *recorder, claims tokens.Claims) error {
	sealed, err := tokens.SealFor(in.Token, []byte(rec.refresh))
	if err != nil {
		return err
	}
	access, err := accessRow(claims, st.Task)
	if err != nil {
		return err
	}
	next := st.Token
	next.ID, next.CreatedAt, next.Spent, next.SpentAt = store.HashOf(rec.refresh), p.now(), false, time.Time{}
	next.ExpiresAt = st.Task.EndsAt
	successor, replayed, err := p.store.RotateRefreshToken(ctx, store.Rotation{
		Old: st.Token.ID, New: next, Successor: sealed, Access: access,
		Grace: grace(st.Client), GraceUses: graceUses,
	}, issued("token.refreshed", claims))
	if errors.Is(err, store.ErrRefreshReused) {
		return p.refreshReused(ctx, st)
	}
	if err != nil {
		return err
	}
	if replayed {
		same, err := tokens.OpenFor(in.Token, successor)
		if err != nil {
			return err
		}
		rec.refresh = string(same)
	}
	return nil
}

// checkRefresh makes every check that must come before the token is consumed, in order.
func (p *Provider) checkRefresh(ctx context.Context, in RefreshExchange, st store.RefreshState) (minting, error) {
	switch {
	case st.Token.ClientID != in.Client.ID:
		return minting{}, p.finding(ctx, in.Client, st.Task, in.JKT, "refresh_of_another_client", store.ErrRefreshNotFound)
	case st.Token.JKT != in.JKT: // RFC 9449 §5: the binding is the token's, not a client flag's
		return minting{}, p.finding(ctx, in.Client, st.Task, in.JKT, "refresh_with_another_key", oauth.Refuse(oauth.InvalidGrant, "the refresh token is bound to another DPoP key"))
	}
	grant, err := p.chooseGrant(st.Grants, in.Resources)
	if err != nil && !st.Task.State.Terminal() {
		return minting{}, err
	}
	m := minting{task: st.Task, grant: grant, client: st.Client, jkt: in.JKT, scopes: grant.Scopes}
	if in.Scopes != nil {
		narrowed, err := narrowScopes(grant.Scopes, in.Scopes)
		if err != nil {
			return minting{}, err
		}
		if len(narrowed) > 0 {
			m.scopes = narrowed
		}
	}
	switch {
	case st.Task.State.Terminal():
		return minting{}, store.ErrTaskEnded
	case !p.now().Before(st.Token.ExpiresAt):
		return minting{}, store.ErrRefreshExpired
	}
	if err := p.mayIssue(ctx, st.Client, grant, in.JKT); err != nil {
		return minting{}, err
	}
	if m.detail, err = tokens.ParseGrant(grant.Details); err != nil {
		return minting{}, err
	}
	if err = p.within(ctx, &m); err != nil {
		return minting{}, err
	}
	if in.Details != nil {
		if m.detail, err = narrowDetails(m.detail, in.Details); err != nil {
			return minting{}, err
		}
	}
	return m, nil
}

// narrowScopes returns what was asked, if it was granted (OAuth 2.1 §4.3.1). Scopes that reach no
// tool, and so are never among those granted, are no reason to refuse.
func narrowScopes(granted, asked []string) ([]string, error) {
	narrowed := make([]string, 0, len(asked))
	for _, s := range asked {
		switch {
		case slices.Contains(granted, s):
			narrowed = append(narrowed, s)
		case s != "offline_access" && s != "openid":
			return nil, oauth.Refuse(oauth.InvalidScope, "a scope was not granted; start again at the authorization endpoint")
		}
	}
	return narrowed, nil
}

// narrowDetails returns the granted details cut down to what was asked (RFC 9396 §6): a subset of
// the tools, each under the granted limits and the asked ones.
func narrowDetails(granted tokens.Details, raw []byte) (tokens.Details, error) {
	asked, err := tokens.ParseDetails(raw)
	if err != nil {
		return tokens.Details{}, &oauth.Error{Code: oauth.InvalidAuthorizationDetails, Description: "authorization_details: " + err.Error(), Cause: err}
	}
	narrowed, err := cut(granted, asked)
	if err != nil {
		return tokens.Details{}, err
	}
	// What is too large for a token travels as the hash of a stored grant, and this one is not stored.
	if canonical, err := narrowed.Canonical(); err != nil || len(canonical) > maxTokenGrants {
		return tokens.Details{}, oauth.Refuse(oauth.InvalidAuthorizationDetails, "ask for fewer tools, or leave authorization_details out")
	} else if _, err := tokens.ParseDetails(canonical); err != nil { // what no Guard could read is never signed
		return tokens.Details{}, &oauth.Error{Code: oauth.InvalidAuthorizationDetails, Description: "authorization_details: " + err.Error(), Cause: err}
	}
	return narrowed, nil
}

// cut returns, of the tools granted, those asked for, each under the granted limits and the asked ones.
func cut(granted, asked tokens.Details) (tokens.Details, error) {
	narrowed := tokens.Details{Task: granted.Task}
	for _, want := range asked.Tools {
		i := slices.IndexFunc(granted.Tools, func(g tokens.ToolDetail) bool { return g.Tool == want.Tool })
		if i < 0 || want.Definition != "" && want.Definition != granted.Tools[i].Definition ||
			len(want.Locations) > 0 && !slices.Equal(want.Locations, granted.Tools[i].Locations) {
			return tokens.Details{}, oauth.Refuse(oauth.InvalidAuthorizationDetails, "a tool was not granted: "+want.Tool)
		}
		tool := granted.Tools[i]
		tool.Constraints = tool.Constraints.And(want.Constraints)
		if want.Approval != "" {
			tool.Approval = want.Approval
		}
		narrowed.Tools = append(narrowed.Tools, tool)
	}
	return narrowed, nil
}

// grace is how long a predecessor is answered with the same successor.
func grace(c store.Client) time.Duration {
	if c.Policy.RefreshGrace == nil {
		return defaultGrace
	}
	return time.Duration(*c.Policy.RefreshGrace) * time.Second
}

// refreshReused reacts to a correctly bound reuse after the grace: the family ends (OAuth 2.1
// §4.3.1). A wrong client or key never comes this far, so a thief cannot hurt the owner.
func (p *Provider) refreshReused(ctx context.Context, st store.RefreshState) error {
	_, err := p.store.EndTask(ctx, store.End{TaskID: st.Task.ID, State: store.TaskRevoked, By: store.ByServer, Reason: "refresh_reuse"})
	if err != nil && !errors.Is(err, store.ErrTaskEnded) {
		return err
	}
	return store.ErrRefreshReused
}
