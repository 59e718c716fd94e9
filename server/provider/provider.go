// Package provider runs the grants: it is the only importer of fosite, and fosite never touches a
// database. Each grant loads its state in one read, makes the checks in the one order that is
// right (found → this client's → key, PKCE, redirect, target → live → unspent), runs fosite over
// an in-memory recorder as a second pair of eyes, and commits what the recorder holds as one verb
// of the store, together with its ledger record. Only then does the caller hear of a token.
//
//	code.go      approving a request, redeeming its code   OAuth 2.1 §4.1
//	refresh.go   rotating a refresh token                  OAuth 2.1 §4.3
//	begin.go     tasks that begin at once, without a code
//	exchange.go  handing a task on to a sub-agent          RFC 8693
//	mint.go      what an access token says                 RFC 9068, RFC 9396 §9, RFC 9449 §6
//	engine.go    fosite, configured                        recorder.go its storage
package provider

import (
	"context"
	"slices"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// Config is what the grants depend on.
type Config struct {
	Issuer     string
	Store      store.Store
	Now        func() time.Time
	AccessLife time.Duration // 0: 300 s
	// Signer returns the signing key with this id; for "" the one that signs now.
	Signer func(kid string) tokens.SigningKey
	// BearerAllowed tells whether a token of this grant may go to this client without a key, by the
	// policies of client and resource as they are now. nil: never.
	BearerAllowed func(ctx context.Context, c store.Client, g store.Grant) (bool, error)
	// Opaque tells whether access tokens for the resource say nothing to their holder. nil: none do.
	Opaque func(ctx context.Context, resource string) (bool, error)
	// Findings tells whether one more finding about this task is worth a record: whoever holds one
	// stolen credential can present it for ever. nil: always.
	Findings func(ctx context.Context, task string) bool
	// MayRefresh refuses a task that is refreshed too often; nil: none is.
	MayRefresh func(ctx context.Context, task string) error
	// Switched names the tools of the resource that a kill switch is thrown for; nil: there are none.
	Switched func(ctx context.Context, resource string) (map[string]bool, error)
}

// Provider issues tokens for one issuer.
type Provider struct {
	issuer     string
	store      store.Store
	now        func() time.Time
	accessLife time.Duration
	signer     func(kid string) tokens.SigningKey
	bearer     func(context.Context, store.Client, store.Grant) (bool, error)
	opaque     func(ctx context.Context, resource string) (bool, error)
	findings   func(ctx context.Context, task string) bool
	mayRefresh func(ctx context.Context, task string) error
	switched   func(ctx context.Context, resource string) (map[string]bool, error)
}

// Lives of what is issued (DESIGN §4); a refresh token lives as long as its task.
const (
	CodeLife       = 60 * time.Second
	maxAccessLife  = 300 * time.Second
	maxBearerLife  = 120 * time.Second
	defaultGrace   = 10 * time.Second
	graceUses      = 3
	maxTokenGrants = 4 << 10 // bytes of authorization_details inside a token; above, grant_hash
)

// New returns a provider.
func New(c Config) *Provider {
	p := &Provider{issuer: c.Issuer, store: c.Store, now: c.Now, accessLife: c.AccessLife, signer: c.Signer, bearer: c.BearerAllowed, opaque: c.Opaque, findings: c.Findings, mayRefresh: c.MayRefresh, switched: c.Switched}
	if p.accessLife <= 0 || p.accessLife > maxAccessLife {
		p.accessLife = maxAccessLife
	}
	return p
}

// mayIssue refuses a grant that the client's policy no longer allows, whatever it allowed when the
// grant was made, and a request that proves no key, unless client and resource both allow tokens
// without one.
func (p *Provider) mayIssue(ctx context.Context, c store.Client, g store.Grant, jkt string) error {
	if len(c.Policy.Resources) > 0 && !slices.Contains(c.Policy.Resources, g.Resource) {
		return oauth.Refuse(oauth.InvalidTarget, "the resource is not open to this client")
	}
	if len(g.Scopes) > 0 && len(allowed(c, g.Scopes)) == 0 {
		return oauth.Refuse(oauth.InvalidScope, "the client may no longer have any of the scopes that were granted")
	}
	if jkt != "" {
		return nil
	}
	if p.bearer != nil {
		if ok, err := p.bearer(ctx, c, g); ok || err != nil {
			return err
		}
	}
	return oauth.Refuse(oauth.InvalidDPoPProof, "send a DPoP proof: these tokens must be bound to a key")
}

// Response is a successful answer of the token endpoint (OAuth 2.1 §3.2.3, RFC 9396 §7).
type Response struct {
	AccessToken  string         `json:"access_token"`
	TokenType    string         `json:"token_type"`
	ExpiresIn    int            `json:"expires_in"` // seconds
	RefreshToken string         `json:"refresh_token,omitempty"`
	IDToken      string         `json:"id_token,omitempty"` // OpenID Connect Core 1.0 §3.1.3.3
	Scope        string         `json:"scope"`
	Details      tokens.Details `json:"authorization_details"`
	TaskID       string         `json:"task_id"`
	Issued       string         `json:"issued_token_type,omitempty"` // RFC 8693 §2.2.1
}
