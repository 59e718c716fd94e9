package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ory/fosite"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// Approval is a consented authorization request.
type Approval struct {
	Client       store.Client
	RedirectURI  string // vetted
	RedirectSent bool
	Challenge    string
	JKT          string // the key that the code is bound to; empty: fixed by the redeemer
	KeyBound     bool   // the user was told that the tokens work with a key alone
	Identity     string // what the code keeps for an ID token; empty: none comes of it
	Decision     store.Approval
	Records      []store.Record
}

// Approve makes the code and stores the decision, in one step. The code is returned only once it
// is durable.
func (p *Provider) Approve(ctx context.Context, a Approval) (code string, err error) {
	grant := a.Decision.Grants[0]
	rec := &recorder{
		client:  &client{Client: a.Client, redirect: a.RedirectURI, scopes: grant.Scopes, resource: grant.Resource},
		session: &session{}, redirectURI: a.RedirectURI, now: p.now,
	}
	query := url.Values{
		"response_type": {"code"}, "client_id": {a.Client.ID}, "redirect_uri": {a.RedirectURI},
		"scope": {strings.Join(grant.Scopes, " ")}, "audience": {grant.Resource},
		"code_challenge": {a.Challenge}, "code_challenge_method": {"S256"},
		"state": {"state-is-echoed-by-the-edge"}, // T7
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.issuer+"/authorize?"+query.Encode(), nil)
	if err != nil {
		return "", err
	}
	f := p.engine(rec)
	ar, err := f.NewAuthorizeRequest(ctx, r)
	if err != nil {
		return "", engineError(err)
	}
	for _, scope := range grant.Scopes {
		ar.GrantScope(scope)
	}
	ar.GrantAudience(grant.Resource)
	resp, err := f.NewAuthorizeResponse(ctx, ar, rec.session)
	if err != nil {
		return "", engineError(err)
	}
	if code = resp.GetCode(); code == "" || !rec.pkceRecorded {
		return "", errors.New("provider: fosite made no code")
	}
	now := p.now()
	a.Decision.Code = store.Code{
		ID: store.HashOf(code), TaskID: a.Decision.Task.ID, ClientID: a.Client.ID,
		RedirectURI: a.RedirectURI, RedirectSent: a.RedirectSent, Challenge: a.Challenge, JKT: a.JKT, KeyBound: a.KeyBound, Identity: a.Identity,
		CreatedAt: now, ExpiresAt: now.Add(CodeLife),
	}
	if err := p.store.Approve(ctx, a.Decision, a.Records...); err != nil {
		return "", err
	}
	return code, nil
}

// CodeExchange is a token request of grant type authorization_code, its client authenticated and
// its proof verified.
type CodeExchange struct {
	Client      store.Client
	Code        string
	Verifier    string
	RedirectURI string   // as sent; empty: not sent
	Scopes      []string // as sent, where it should not be; nil: not sent
	Resources   []string
	JKT         string
}

// errKeyPromised refuses tokens without a key where the consent page said that they are bound to one.
var errKeyPromised = oauth.Refuse(oauth.InvalidDPoPProof, "send a DPoP proof: the user was told that these tokens are bound to a key")

// RedeemCode exchanges a code for tokens (OAuth 2.1 §4.1.3). The code of a step-up puts what was
// granted there and what was granted before in force as one grant; if another step-up of the task
// comes first, it is made anew.
func (p *Provider) RedeemCode(ctx context.Context, in CodeExchange) (Response, error) {
	for range stepUpTries {
		response, err := p.redeemOnce(ctx, in)
		if !errors.Is(err, store.ErrGrantChanged) {
			return response, err
		}
	}
	return Response{}, &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "this task is being changed; try again"}
}

func (p *Provider) redeemOnce(ctx context.Context, in CodeExchange) (Response, error) {
	st, err := p.store.CodeByID(ctx, store.HashOf(in.Code))
	if err != nil {
		return Response{}, err
	}
	grant, err := p.checkCode(ctx, in, st)
	if err != nil {
		return Response{}, err
	}
	redemption := store.Redemption{Code: st.Code.ID, JKT: in.JKT}
	if st.Code.Extends {
		if grant, redemption.Replaces, err = Widen(grant, st.Grants, p.now()); err != nil {
			return Response{}, err
		}
		redemption.Widened = &grant
	}
	detail, err := tokens.ParseGrant(grant.Details)
	if err != nil {
		return Response{}, err
	}
	m := minting{task: st.Task, grant: grant, client: st.Client, jkt: in.JKT, scopes: grant.Scopes, detail: detail}
	claims, err := p.claims(ctx, &m)
	if err != nil {
		return Response{}, err
	}
	rec := p.heldCode(st, grant, claims)
	form := url.Values{
		"grant_type": {oauth.GrantAuthorizationCode}, "client_id": {in.Client.ID},
		"code": {in.Code}, "code_verifier": {in.Verifier}, "redirect_uri": {st.Code.RedirectURI},
	}
	if err := p.runToken(ctx, rec, form); err != nil {
		return Response{}, err
	}
	if redemption.Access, err = accessRow(claims, st.Task); err != nil {
		return Response{}, err
	}
	if rec.refresh != "" {
		redemption.Refresh = &store.RefreshToken{
			ID: store.HashOf(rec.refresh), TaskID: st.Task.ID, ClientID: in.Client.ID, JKT: in.JKT,
			Scopes: grant.Scopes, ExpiresAt: st.Task.EndsAt, CreatedAt: p.now(),
		}
	}
	err = p.store.RedeemCode(ctx, redemption, redeemed(st, grant, claims)...)
	if errors.Is(err, store.ErrCodeSpent) {
		return Response{}, p.codeReused(ctx, st)
	}
	if err != nil {
		return Response{}, err
	}
	response := p.respond(rec, claims, m.detail)
	response.IDToken, err = p.idToken(st)
	return response, err
}

// checkCode makes every check that must come before the code is consumed, in order.
func (p *Provider) checkCode(ctx context.Context, in CodeExchange, st store.CodeState) (store.Grant, error) {
	switch {
	case st.Code.ClientID != in.Client.ID:
		return store.Grant{}, p.finding(ctx, in.Client, st.Task, in.JKT, "code_of_another_client", store.ErrCodeNotFound)
	case st.Code.JKT != "" && st.Code.JKT != in.JKT: // RFC 9449 §10
		return store.Grant{}, p.finding(ctx, in.Client, st.Task, in.JKT, "code_with_another_key", oauth.Refuse(oauth.InvalidGrant, "the authorization code is bound to another DPoP key"))
	case !tokens.VerifyPKCE(in.Verifier, st.Code.Challenge): // RFC 7636 §4.6
		return store.Grant{}, oauth.Refuse(oauth.InvalidGrant, "code_verifier does not match the code_challenge")
	case in.RedirectURI != "" && in.RedirectURI != st.Code.RedirectURI:
		return store.Grant{}, oauth.Refuse(oauth.InvalidGrant, "redirect_uri is not the one of the authorization request")
	}
	if st.Code.KeyBound && in.JKT == "" { // what the user read stays true, whatever the policy says by now
		return store.Grant{}, errKeyPromised
	}
	if st.Code.Extends && in.JKT != st.Task.JKT {
		return store.Grant{}, p.finding(ctx, in.Client, st.Task, in.JKT, "code_with_another_key", oauth.Refuse(oauth.InvalidGrant, "the task that this code extends is bound to another DPoP key"))
	}
	grant, err := p.chooseGrant(granted(st), in.Resources)
	if err != nil {
		return store.Grant{}, err
	}
	if err := p.mayIssue(ctx, st.Client, grant, in.JKT); err != nil {
		return store.Grant{}, err
	}
	if _, err := narrowScopes(grant.Scopes, in.Scopes); err != nil { // never widened here, and never in silence
		return store.Grant{}, err
	}
	switch {
	case st.Code.Spent:
		return store.Grant{}, p.codeReused(ctx, st)
	case !p.now().Before(st.Code.ExpiresAt):
		return store.Grant{}, store.ErrCodeExpired
	case st.Task.State.Terminal():
		return store.Grant{}, store.ErrTaskEnded
	}
	return grant, nil
}

// chooseGrant finds the one grant that the request's resource names (RFC 8707 §2.2). Who the user is
// needs no name of its own: a client that asked for openid besides one resource means that resource.
func (p *Provider) chooseGrant(grants []store.Grant, resources []string) (store.Grant, error) {
	var live []store.Grant
	for _, g := range grants {
		if g.EndedAt.IsZero() {
			live = append(live, g)
		}
	}
	if other := slices.DeleteFunc(slices.Clone(live), func(g store.Grant) bool { return g.Resource == p.identityResource() }); len(resources) == 0 && len(other) == 1 {
		return other[0], nil
	}
	switch {
	case len(resources) > 1:
		return store.Grant{}, oauth.Refuse(oauth.InvalidTarget, "name one resource per token request")
	case len(resources) == 0 && len(live) == 1:
		return live[0], nil
	case len(resources) == 0:
		return store.Grant{}, oauth.Refuse(oauth.InvalidTarget, "name the resource that the token is for")
	}
	for _, g := range live {
		if g.Resource == resources[0] {
			return g, nil
		}
	}
	return store.Grant{}, oauth.Refuse(oauth.InvalidTarget, "the resource is not among those granted")
}

// heldCode loads the recorder with the code, so that fosite checks client, PKCE, redirect and
// lifetime once more.
func (p *Provider) heldCode(st store.CodeState, grant store.Grant, claims tokens.Claims) *recorder {
	rec := p.held(st.Client, grant, claims)
	rec.redirectURI = st.Code.RedirectURI
	rec.heldSig, rec.heldEnds = st.Code.ID.String(), st.Code.ExpiresAt
	rec.held.(*fosite.Request).Form = url.Values{
		"redirect_uri": {st.Code.RedirectURI}, "code_challenge": {st.Code.Challenge}, "code_challenge_method": {"S256"},
	}
	return rec
}

// held returns a recorder that holds a grant of this client.
func (p *Provider) held(c store.Client, grant store.Grant, claims tokens.Claims) *recorder {
	adapted := &client{Client: c, scopes: claims.Scope, resource: grant.Resource}
	sess := &session{claims: claims}
	rec := &recorder{client: adapted, session: sess, now: p.now}
	rec.mint = func() (string, string, error) {
		token, err := p.text(claims)
		return token, claims.ID, err
	}
	rec.held = &fosite.Request{
		ID: grant.TaskID, RequestedAt: p.now(), Client: adapted, Session: sess, Form: url.Values{},
		RequestedScope: claims.Scope, GrantedScope: claims.Scope,
		RequestedAudience: fosite.Arguments{grant.Resource}, GrantedAudience: fosite.Arguments{grant.Resource},
	}
	return rec
}

// codeReused reacts to a code that was presented again with everything right: what it issued ends
// (OAuth 2.1 §4.1.3). If the ending cannot be stored, the answer is that nothing is known.
func (p *Provider) codeReused(ctx context.Context, st store.CodeState) error {
	_, err := p.store.EndTask(ctx, store.End{TaskID: st.Task.ID, State: store.TaskRevoked, By: store.ByServer, Reason: "code_reuse"})
	if err != nil && !errors.Is(err, store.ErrTaskEnded) {
		return err
	}
	return store.ErrCodeSpent
}

// finding records that a credential came from a wrong client or key; nothing else changes. The
// refusal is returned once the record is durable, or when there are enough of them already.
func (p *Provider) finding(ctx context.Context, c store.Client, t store.Task, jkt, what string, refusal error) error {
	if p.findings != nil && !p.findings(ctx, t.ID) {
		return refusal
	}
	rec := store.NewRecord("finding."+what, map[string]string{"presented_by": c.ID, "presented_key": jkt})
	rec.Task, rec.User, rec.Client, rec.Agent = t.ID, t.UserID, t.ClientID, t.JKT
	if err := p.store.Append(ctx, rec); err != nil {
		return err
	}
	return refusal
}

func (p *Provider) respond(rec *recorder, c tokens.Claims, detail tokens.Details) Response {
	kind := "DPoP"
	if c.JKT == "" {
		kind = "Bearer"
	}
	return Response{
		AccessToken: rec.access, TokenType: kind, ExpiresIn: max(0, int(c.Expires.Sub(p.now()).Seconds())),
		RefreshToken: rec.refresh, Scope: strings.Join(c.Scope, " "), Details: detail, TaskID: c.Task.ID,
	}
}
