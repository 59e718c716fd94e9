package provider

import (
	"context"
	"errors"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// DeviceExchange is a token request of grant type device_code (RFC 8628 §3.4), its client
// authenticated and its proof verified; the user has allowed it.
type DeviceExchange struct {
	Client    store.Client
	Device    store.Hash
	Scopes    []string
	Resources []string
	JKT       string
}

// ForeignDevice notes that a device code came from a wrong client or key, and returns the refusal.
func (p *Provider) ForeignDevice(ctx context.Context, c store.Client, device store.Device, jkt string) error {
	about := store.Task{ClientID: device.ClientID, JKT: device.JKT} // there is no task yet
	if device.ClientID != c.ID {
		return p.finding(ctx, c, about, jkt, "device_of_another_client", store.ErrDeviceNotFound)
	}
	return p.finding(ctx, c, about, jkt, "device_with_another_key", oauth.Refuse(oauth.InvalidGrant, "the device code is bound to another DPoP key"))
}

// ForgottenDevice is the answer to a device code whose request is no longer kept. The code that the user
// allowed is, while its task lives and for days after, and who presents it again is told as before.
func (p *Provider) ForgottenDevice(ctx context.Context, c store.Client, device store.Hash, jkt string) error {
	st, err := p.store.CodeByID(ctx, device)
	switch {
	case errors.Is(err, store.ErrCodeNotFound), err == nil && st.Code.Challenge != "": // an authorization code is no device code
		return store.ErrDeviceNotFound
	case err != nil:
		return err
	}
	if d := (store.Device{ClientID: st.Code.ClientID, JKT: st.Code.JKT}); d.ClientID != c.ID || d.JKT != "" && d.JKT != jkt {
		return p.ForeignDevice(ctx, c, d, jkt)
	}
	if !st.Code.Spent || st.Code.KeyBound && jkt == "" {
		return store.ErrDeviceNotFound
	}
	return p.deviceReused(ctx, c, st, jkt)
}

// deviceReused is codeReused for a device code, of which no verifier tells its owner from who has merely seen
// it. Where a secret or a key does, it ends the task whenever it comes again. Where neither does, only as long as its
// owner may still be polling: a code that is found in a log later hurts nobody.
func (p *Provider) deviceReused(ctx context.Context, c store.Client, st store.CodeState, jkt string) error {
	if public(c) && (jkt == "" || jkt != st.Task.JKT) && !p.now().Before(st.Code.ExpiresAt) {
		return store.ErrCodeSpent
	}
	return p.codeReused(ctx, st)
}

// public reports whether a client proves nothing of itself (RFC 6749 §2.1).
func public(c store.Client) bool {
	return c.Metadata.TokenEndpointAuthMethod == oauth.AuthNone || c.Metadata.TokenEndpointAuthMethod == "" && c.SecretHash.IsZero()
}

// RedeemDevice exchanges a device code that the user has allowed for tokens. fosite knows no such
// grant; the store's verb is that of codes. Tokens that were made while the user narrowed the task are
// made anew, from what is left.
func (p *Provider) RedeemDevice(ctx context.Context, in DeviceExchange) (Response, error) {
	for range stepUpTries {
		response, err := p.redeemDeviceOnce(ctx, in)
		if !errors.Is(err, store.ErrGrantChanged) {
			return response, err
		}
	}
	return Response{}, &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "this task is being changed; try again"}
}

func (p *Provider) redeemDeviceOnce(ctx context.Context, in DeviceExchange) (Response, error) {
	st, err := p.store.CodeByID(ctx, in.Device)
	if err != nil {
		return Response{}, err
	}
	grant, err := p.chooseGrant(st.Grants, in.Resources)
	if err != nil && !st.Task.State.Terminal() {
		return Response{}, err
	}
	if st.Code.KeyBound && in.JKT == "" { // as with codes: what the user read stays true
		return Response{}, errKeyPromised
	}
	switch {
	case st.Code.Spent:
		return Response{}, p.deviceReused(ctx, in.Client, st, in.JKT)
	case !p.now().Before(st.Code.ExpiresAt):
		return Response{}, oauth.Refuse(oauth.ExpiredToken, "the device code has expired; start again at the device endpoint")
	case st.Task.State.Terminal():
		return Response{}, store.ErrTaskEnded
	}
	if err := p.mayIssue(ctx, st.Client, grant, in.JKT); err != nil {
		return Response{}, err
	}
	if _, err := narrowScopes(grant.Scopes, in.Scopes); err != nil {
		return Response{}, err
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
	access, err := p.text(claims)
	if err != nil {
		return Response{}, err
	}
	row, err := accessRow(claims, st.Task)
	if err != nil {
		return Response{}, err
	}
	rec := &recorder{access: access}
	redemption := store.Redemption{Code: st.Code.ID, JKT: in.JKT, Access: row}
	if MayUse(st.Client, oauth.GrantRefreshToken) {
		rec.refresh = tokens.NewSecret("rr_")
		redemption.Refresh = &store.RefreshToken{
			ID: store.HashOf(rec.refresh), TaskID: st.Task.ID, ClientID: in.Client.ID, JKT: in.JKT,
			Scopes: grant.Scopes, ExpiresAt: st.Task.EndsAt, CreatedAt: p.now(),
		}
	}
	err = p.store.RedeemCode(ctx, redemption, issued("token.issued", claims))
	if errors.Is(err, store.ErrCodeSpent) {
		return Response{}, p.deviceReused(ctx, in.Client, st, in.JKT)
	}
	if err != nil {
		return Response{}, err
	}
	response := p.respond(rec, claims, m.detail)
	response.IDToken, err = p.idToken(st)
	return response, err
}
