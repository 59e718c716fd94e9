package resource

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

const (
	leeway       = 30 * time.Second // on iat and nbf; none on exp
	proofMaxAge  = 5 * time.Minute  // with a nonce, which bounds it closer (RFC 9449 §11.1)
	nonceLife    = time.Minute      // two in a row are accepted
	maxAuthority = 16 << 10         // bytes of the Authorization header
)

// bearer is a verified token, with what was worked out about it.
type bearer struct {
	tokens.Claims
	keys    *keySet         // that it was verified with
	granted *granted        // nil: the token names it by its hash
	off     map[string]bool // tools that are switched off, as far as the token was asked about

	mu    sync.Mutex
	rules *ruleset
	reach map[reachKey]reach // under rules
}

// token takes the access token from the Authorization header, and only from there (RFC 6750 §2.1
// and §2.2 are left out on purpose), and verifies it.
func (c *call) token() *refusal {
	raw, refusal := credentials(c.r)
	if refusal != nil {
		return refusal
	}
	c.raw = raw
	id := sha256.Sum256([]byte(raw))
	b, err := c.g.verifyToken(c.r.Context(), raw, id, c.now)
	switch {
	case err == nil:
	case errors.Is(err, errNoKeys):
		c.g.log.Warn("a token cannot be verified", "error", err)
		return refuse(StaleView, "the authorization server's keys are not known; try again soon")
	case errors.Is(err, tokens.ErrExpired):
		return refuse(TokenExpired, "the access token has expired")
	case errors.Is(err, tokens.ErrWrongAudience):
		return refuse(WrongAudience, "the access token is for another resource")
	default:
		return refuse(BadToken, "the access token is not valid here")
	}
	if b.Task.ID == "" {
		return refuse(BadToken, "the access token is not for a task")
	}
	c.bearer, c.ath = b, base64.RawURLEncoding.EncodeToString(id[:])
	if b.JKT == "" {
		return c.unbound()
	}
	if !c.dpop { // RFC 9449 §7.2: no downgrade
		return refuse(NotKeyBound, "this access token is used with the DPoP scheme and a proof")
	}
	return nil
}

// unbound lets a token that is bound to no key pass only as what it is, and only where this server's
// policy has such tokens (RFC 6750): whoever copies it could use it.
func (c *call) unbound() *refusal {
	if c.dpop || len(c.r.Header.Values("DPoP")) > 0 || c.rules.Bearer() == policy.BearerNone {
		return refuse(NotKeyBound, "the access token is not bound to a key")
	}
	return nil
}

// credentials returns the token text of the one Authorization header.
func credentials(r *http.Request) (raw string, _ *refusal) {
	headers := r.Header.Values("Authorization")
	switch {
	case len(headers) == 0:
		return "", refuse(NoToken, "this resource needs an access token")
	case len(headers) > 1: // OAuth 2.1 §5.2.2: one method at a time
		return "", refuse(BadRequest, "more than one Authorization header")
	case len(headers[0]) > maxAuthority:
		return "", refuse(BadRequest, "the Authorization header is too long")
	}
	_, raw, ok := strings.Cut(headers[0], " ")
	if _, known := scheme(r); !known || !ok {
		return "", refuse(NoToken, "this resource needs an access token")
	}
	raw = strings.TrimLeft(raw, " ")
	if strings.Contains(raw, " ") || strings.Contains(raw, ",") || strings.Contains(raw, "\t") { // a second scheme, or no token68 (RFC 9110 §11.4)
		return "", refuse(BadRequest, "the Authorization header must hold one token")
	}
	return raw, nil
}

// scheme tells whether the request uses DPoP, and whether it uses a scheme that we know. Schemes
// have no case (RFC 9110 §11.1).
func scheme(r *http.Request) (dpop, known bool) {
	word, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	dpop = strings.EqualFold(word, "DPoP")
	return dpop, dpop || strings.EqualFold(word, "Bearer")
}

// verifyToken verifies an access token (RFC 9068 §4), or finds that exactly this text was verified
// before. The memory answers for what cannot change: the signature. Time is judged every time, and
// what was revoked by jti and task, never by text.
func (g *Guard) verifyToken(ctx context.Context, raw string, id [sha256.Size]byte, now time.Time) (*bearer, error) {
	set, err := g.keys.usable(ctx)
	if err != nil {
		return nil, err
	}
	if _, opaque := tokens.OpaqueID(raw); opaque {
		return g.readOpaque(ctx, raw, set)
	}
	if b := g.verified.get(id); b != nil && b.keys.serial == set.serial {
		switch {
		case !now.Before(b.Expires):
			return nil, tokens.ErrExpired
		case b.Issuer != g.issuer:
			return nil, tokens.ErrWrongIssuer
		case b.Audience != g.resource:
			return nil, tokens.ErrWrongAudience
		}
		return b, nil
	}
	b := &bearer{}
	want := tokens.AccessWant{Issuer: g.issuer, Audience: g.resource, Now: now, Leeway: leeway}
	b.keys, err = g.keys.verify(ctx, func(k tokens.KeySet) (err error) {
		b.Claims, err = k.VerifyAccessToken(raw, want)
		return err
	})
	if err != nil {
		return nil, err
	}
	if b.GrantHash == "" {
		b.granted = newGranted(b.Details.For(g.resource))
	}
	b.Details = tokens.Details{} // granted has all of it
	g.verified.put(id, b, now)
	return b, nil
}

// proof verifies the DPoP proof (RFC 9449 §4.3, §7.1): made for this request and this token, by the
// key that the token is bound to, with a nonce of this replay memory, and never seen before.
func (c *call) proof() *refusal {
	if c.bearer.JKT == "" {
		return nil // by policy, see unbound; the record says so
	}
	p, err := tokens.ParseProof(c.r.Header.Values("DPoP"), tokens.ProofWant{
		Method: c.r.Method, URL: c.g.htu, // the configured URL: no header can change it
		TokenHash: c.ath, Now: c.now, MaxAge: proofMaxAge, MaxAhead: proofMaxAge,
	})
	switch {
	case err != nil:
		return refuse(BadProof, "the proof is not valid for this request: "+err.Error())
	case p.JKT != c.bearer.JKT:
		return refuse(WrongKey, "the DPoP proof is made with another key than the access token is bound to")
	}
	switch c.g.replay.use(c.r.Context(), p.Nonce, p.ReplayKey(), c.now) {
	case ReplayUnavailable:
		return refuse(ReplayUnavailable, "used proofs cannot be told from fresh ones now; try again soon")
	case UseNonce:
		return refuse(UseNonce, "the DPoP proof needs the nonce given here")
	case ProofReplayed:
		return refuse(ProofReplayed, "the DPoP proof was used before")
	}
	c.nonce = p.Nonce
	return nil
}
