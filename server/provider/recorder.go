package provider

import (
	"context"
	"errors"
	"time"

	"github.com/ory/fosite"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// recorder is fosite's storage and token strategy for one request: it answers from what was loaded
// and remembers what fosite wanted written. It has no way to a database.
type recorder struct {
	client      *client
	session     *session
	redirectURI string
	now         func() time.Time
	mint        func() (token, jti string, err error)

	held     fosite.Requester // the loaded code or refresh token
	heldSig  string
	heldEnds time.Time

	access, jti  string // issued access token
	refresh      string // issued refresh token
	consumed     bool   // fosite spent the held credential
	pkceRecorded bool
}

var errForeign = errors.New("provider: fosite asked for what was not loaded")

// GetClient returns the one client of this request.
func (r *recorder) GetClient(_ context.Context, id string) (fosite.Client, error) {
	if id != r.client.ID {
		return nil, fosite.ErrNotFound
	}
	return r.client, nil
}

// ClientAssertionJWTValid and SetClientAssertionJWT are never reached: the edge authenticates (T33).
func (r *recorder) ClientAssertionJWTValid(context.Context, string) error { return errForeign }

func (r *recorder) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return errForeign
}

// The code strategy: opaque values of ours, looked up by their hash.

func (r *recorder) AuthorizeCodeSignature(_ context.Context, code string) string {
	return store.HashOf(code).String()
}

func (r *recorder) GenerateAuthorizeCode(ctx context.Context, _ fosite.Requester) (string, string, error) {
	code := tokens.NewSecret("rc_")
	return code, r.AuthorizeCodeSignature(ctx, code), nil
}

func (r *recorder) ValidateAuthorizeCode(context.Context, fosite.Requester, string) error {
	return r.validHeld()
}

func (r *recorder) validHeld() error {
	if r.held == nil || !r.now().Before(r.heldEnds) {
		return fosite.ErrTokenExpired
	}
	return nil
}

// The refresh strategy, likewise.

func (r *recorder) RefreshTokenSignature(_ context.Context, token string) string {
	return store.HashOf(token).String()
}

func (r *recorder) GenerateRefreshToken(ctx context.Context, _ fosite.Requester) (string, string, error) {
	token := tokens.NewSecret("rr_")
	r.refresh = token
	return token, r.RefreshTokenSignature(ctx, token), nil
}

func (r *recorder) ValidateRefreshToken(context.Context, fosite.Requester, string) error {
	return r.validHeld()
}

// The access strategy: a fresh RFC 9068 token each time (T27), named by its jti, never by a hash
// of its malleable text.

func (r *recorder) GenerateAccessToken(context.Context, fosite.Requester) (string, string, error) {
	token, jti, err := r.mint()
	r.access, r.jti = token, jti
	return token, jti, err
}

func (r *recorder) AccessTokenSignature(context.Context, string) string { return r.jti }
func (r *recorder) ValidateAccessToken(context.Context, fosite.Requester, string) error {
	return errForeign
}

// Code storage.

func (r *recorder) CreateAuthorizeCodeSession(_ context.Context, _ string, _ fosite.Requester) error {
	return nil
}

func (r *recorder) GetAuthorizeCodeSession(_ context.Context, sig string, _ fosite.Session) (fosite.Requester, error) {
	return r.get(sig)
}

func (r *recorder) InvalidateAuthorizeCodeSession(_ context.Context, sig string) error {
	return r.consume(sig)
}

func (r *recorder) get(sig string) (fosite.Requester, error) {
	if r.held == nil || sig != r.heldSig {
		return nil, fosite.ErrNotFound
	}
	return r.held, nil
}

func (r *recorder) consume(sig string) error {
	if r.held == nil || sig != r.heldSig || r.consumed {
		return errForeign
	}
	r.consumed = true
	return nil
}

// PKCE storage: the challenge stands in the held request's form.

func (r *recorder) CreatePKCERequestSession(_ context.Context, _ string, _ fosite.Requester) error {
	r.pkceRecorded = true
	return nil
}

func (r *recorder) GetPKCERequestSession(_ context.Context, sig string, _ fosite.Session) (fosite.Requester, error) {
	return r.get(sig)
}

func (r *recorder) DeletePKCERequestSession(context.Context, string) error { return nil }

// Access and refresh storage: the verb that follows stores both.

func (r *recorder) CreateAccessTokenSession(context.Context, string, fosite.Requester) error {
	return nil
}

func (r *recorder) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, errForeign
}
func (r *recorder) DeleteAccessTokenSession(context.Context, string) error { return errForeign }

func (r *recorder) CreateRefreshTokenSession(context.Context, string, string, fosite.Requester) error {
	return nil
}

func (r *recorder) GetRefreshTokenSession(_ context.Context, sig string, _ fosite.Session) (fosite.Requester, error) {
	return r.get(sig)
}
func (r *recorder) DeleteRefreshTokenSession(context.Context, string) error { return errForeign }

func (r *recorder) RotateRefreshToken(_ context.Context, _ string, sig string) error {
	return r.consume(sig)
}

// RevokeRefreshToken and RevokeAccessToken are never reached: reuse is ours to react to (T21, T25).
func (r *recorder) RevokeRefreshToken(context.Context, string) error { return errForeign }
func (r *recorder) RevokeAccessToken(context.Context, string) error  { return errForeign }
