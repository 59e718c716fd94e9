package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// Introspection says whether the Guard listens for what ends, or asks about each token.
type Introspection string

// The ways to know what has ended.
const (
	// IntrospectTools asks about the tools of Config.IntrospectTools and those for which the policy says
	// introspect: always, before each call, besides listening to the feed.
	IntrospectTools Introspection = ""
	// IntrospectAlways asks about every request and does not listen to the feed (RFC 7662). Each
	// request then costs one to the authorization server, and the Guard keeps no checkpoints of the
	// ledger. A call that lasts, or an open stream, is asked about again and again, and ends with its token.
	IntrospectAlways Introspection = "always"
)

const (
	introspectTimeout = 3 * time.Second
	introspectEvery   = time.Second // of what lasts
)

// introspected is the answer about a token (RFC 7662 §2.2), as far as the Guard holds it to the token.
type introspected struct {
	Active   bool     `json:"active"`
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience string   `json:"aud"`
	ClientID string   `json:"client_id"`
	ID       string   `json:"jti"`
	Expires  int64    `json:"exp"`
	Roles    []string `json:"roles"`
	Confirm  *struct {
		JKT string `json:"jkt"`
	} `json:"cnf"`
	Task struct {
		ID string `json:"id"`
	} `json:"task"`
	GrantHash string   `json:"grant_hash"`
	Off       []string `json:"switched_off"` // tools

	raw []byte // all of the answer
}

// about reports whether the answer is about this very token.
func (a introspected) about(b *bearer) bool {
	jkt := ""
	if a.Confirm != nil {
		jkt = a.Confirm.JKT
	}
	return a.Issuer == b.Issuer && a.Subject == b.Subject && a.Audience == b.Audience && a.ClientID == b.ClientID &&
		a.ID == b.ID && a.Expires == b.Expires.Unix() && jkt == b.JKT && a.Task.ID == b.Task.ID && a.GrantHash == b.GrantHash
}

// off are the tools that are switched off.
func (a introspected) off() map[string]bool {
	if len(a.Off) == 0 {
		return nil
	}
	off := map[string]bool{}
	for _, tool := range a.Off {
		off[tool] = true
	}
	return off
}

// introspect asks the authorization server about a token, authenticated as the Guard (RFC 7662 §2.1,
// RFC 7523 §2.2). Nothing of the answer is remembered.
func (a *authority) introspect(ctx context.Context, raw string) (answer introspected, err error) {
	ctx, cancel := context.WithTimeout(ctx, introspectTimeout)
	defer cancel()
	assertion, err := a.key.Assertion(a.GuardID, a.issuer, a.now())
	if err != nil {
		return answer, err
	}
	form := url.Values{
		"token": {raw}, "token_type_hint": {"access_token"}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.Introspect, strings.NewReader(form.Encode()))
	if err != nil {
		return answer, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := a.client.Do(req)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 2*answerLimit))
	if err != nil {
		return answer, err
	}
	if resp.StatusCode != http.StatusOK {
		return answer, &answerError{Status: resp.StatusCode}
	}
	answer.raw = body
	return answer, json.Unmarshal(body, &answer)
}

var errInactive = errors.New("resource: the authorization server says that the token is not active")

var errOtherToken = errors.New("resource: the authorization server answered about another token")

// ask returns the token as it stands now, with the roles that the user still holds; nil: it is dead.
func (g *Guard) ask(ctx context.Context, b *bearer, raw string) (*bearer, error) {
	answer, err := g.authority.introspect(ctx, raw)
	switch {
	case err != nil:
		return nil, err
	case !answer.Active:
		return nil, nil
	case !answer.about(b):
		return nil, errOtherToken
	}
	held := slices.DeleteFunc(slices.Clone(b.Roles), func(r string) bool { return !slices.Contains(answer.Roles, r) })
	off := answer.off()
	if len(held) == len(b.Roles) && len(off) == 0 && len(b.off) == 0 {
		return b, nil
	}
	narrowed := &bearer{Claims: b.Claims, keys: b.keys, granted: b.granted, off: off}
	narrowed.Roles = held
	return narrowed, nil
}

// readOpaque learns what an opaque token stands for. Only the authorization server knows, so that it is
// asked each time; its answer is held to what a signed token is held to (RFC 9068 §4).
func (g *Guard) readOpaque(ctx context.Context, raw string, set *keySet) (*bearer, error) {
	answer, err := g.authority.introspect(ctx, raw)
	if err != nil {
		g.log.Error("an opaque token could not be asked about", "error", err)
		return nil, errNoKeys // refused as what cannot be known now
	}
	if !answer.Active {
		return nil, errInactive
	}
	claims, err := tokens.ParseClaims(answer.raw)
	jti, _ := tokens.OpaqueID(raw)
	switch {
	case err != nil:
		return nil, err
	case claims.ID != jti:
		return nil, errOtherToken
	case claims.Issuer != g.issuer:
		return nil, tokens.ErrWrongIssuer
	case claims.Audience != g.resource:
		return nil, tokens.ErrWrongAudience
	case !g.now().Before(claims.Expires):
		return nil, tokens.ErrExpired
	}
	b := &bearer{Claims: claims, keys: set, off: answer.off()}
	if b.GrantHash == "" {
		b.granted = newGranted(b.Details.For(g.resource))
	}
	b.Details = tokens.Details{}
	return b, nil
}

// askTool asks about the token before a call of a tool that the configuration or the policy names. Only
// watching the policy does not change that: asking is no refusal of its own.
func (c *call) askTool() *refusal {
	if c.g.introspects || !c.g.introspectTools[c.msg.tool] && !c.rules.Introspects(c.msg.tool) {
		return nil
	}
	if f := c.introspect(); f != nil {
		return f
	}
	c.reach = c.bearer.reaches(c.msg.tool, c.rules, c.granted, c.holding()) // the user may have lost a role
	return nil
}

func (c *call) introspect() *refusal {
	live, err := c.g.ask(c.r.Context(), c.bearer, c.raw)
	switch {
	case err != nil:
		c.g.log.Error("a token could not be asked about", "error", err, "task", c.bearer.Task.ID)
		return refuse(StaleView, "the authorization server cannot be asked about the access token; try again soon")
	case live == nil:
		return refuse(TokenRevoked, "the access token is no longer active")
	}
	c.bearer = live
	return nil
}

// waitAsking is Wait for a Guard without a feed.
func (p *Permit) waitAsking(ctx context.Context) Code {
	again := time.NewTicker(introspectEvery)
	defer again.Stop()
	good := p.g.now()
	for {
		left := p.bearer.Task.Ends.Sub(p.g.now())
		if left <= 0 {
			return TaskEnded // by the clock, also when nobody can be asked
		}
		asking, cancel := context.WithTimeout(ctx, left)
		live, err := p.g.ask(asking, p.bearer, p.raw)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ""
		case err == nil && live == nil:
			return TokenRevoked
		case err == nil && live.off[p.tool]:
			return SwitchedOff
		case err == nil:
			good = p.g.now()
		case p.g.now().Sub(good) > p.g.ends.staleAfter:
			return StaleView
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ""
		}
	}
}

// checkIntrospection takes up what the configuration says of it.
func (g *Guard) checkIntrospection(c Config) error {
	if c.Introspection != IntrospectTools && c.Introspection != IntrospectAlways {
		return fmt.Errorf("resource: Introspection %q is not known", c.Introspection)
	}
	g.introspects = c.Introspection == IntrospectAlways
	g.introspectTools = map[string]bool{}
	for _, tool := range c.IntrospectTools {
		g.introspectTools[tool] = true
	}
	return nil
}
