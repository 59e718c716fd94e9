package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/fetch"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/provider"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// What an issuer may vouch for.
const (
	TrustIDJAG    = "id-jag"   // that a user may be acted for by a client (enterprise-managed authorization)
	TrustWorkload = "workload" // which workload a client is: Kubernetes service accounts, SPIFFE JWT-SVIDs
)

// TypeIDJAG is the typ of an identity assertion authorization grant.
const typeIDJAG = "oauth-id-jag+jwt"

// TrustedIssuer is somebody whose signed assertions are believed (RFC 7523 §2.1), and about what.
type TrustedIssuer struct {
	Issuer string `json:"issuer"`
	Kind   string `json:"kind"` // id-jag, workload
	// JWKSURI is where its keys are, over https; JWKS, the keys themselves. One of them is set.
	JWKSURI string          `json:"jwks_uri,omitempty"`
	JWKS    json.RawMessage `json:"jwks,omitempty"`
	// Audience is what its assertions may name in the place of this server's issuer (a workload's: of its
	// token endpoint, too), as platforms let one choose; empty: nothing else.
	Audience string `json:"audience,omitempty"`
	// Tenant is whose users an ID-JAG may be about, where the issuer serves several: its tenant claim; empty:
	// an issuer that names none.
	Tenant string `json:"tenant,omitempty"`
	// MaxAge is how long ago an assertion may have been made, in seconds; 0: 300 for an ID-JAG, and
	// not judged for a workload's, which platforms renew when they please.
	MaxAge int `json:"max_age,omitempty"`
	// Clients are those that an ID-JAG may be for; empty: none. "*" is any client of this server.
	Clients []string `json:"clients,omitempty"`
	// UserClaim is the claim of an ID-JAG that holds the user's e-mail address here; empty: email.
	UserClaim string `json:"user_claim,omitempty"`
	// Destructive lets an ID-JAG reach tools that delete: nobody ticks them one by one.
	Destructive bool `json:"destructive,omitempty"`
	// Rules say which client a workload is; the first that matches counts.
	Rules []WorkloadRule `json:"rules,omitempty"`
}

// WorkloadRule matches the claims of a workload's assertion.
type WorkloadRule struct {
	// Match holds a pattern for each claim, with * for any run of characters but a slash; all must match.
	// sub must be among them.
	Match  map[string]string `json:"match"`
	Client string            `json:"client"` // which it then is, with the roles that were assigned to it
	Scopes []string          `json:"scopes,omitempty"`
}

// ParseTrust reads the file of trusted issuers.
func ParseTrust(raw []byte) ([]TrustedIssuer, error) {
	var file struct {
		Issuers []TrustedIssuer `json:"trusted_issuers"`
	}
	if err := tokens.StrictUnmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("trusted issuers: %w", err)
	}
	return checkTrust(file.Issuers)
}

func checkTrust(all []TrustedIssuer) ([]TrustedIssuer, error) {
	for _, t := range all {
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("trusted issuer %q: %w", t.Issuer, err)
		}
	}
	return all, nil
}

func (t TrustedIssuer) check() error {
	switch {
	case t.Issuer == "":
		return errors.New("issuer is missing")
	case t.Kind != TrustIDJAG && t.Kind != TrustWorkload:
		return errors.New("kind is id-jag or workload")
	case (t.JWKSURI == "") == (len(t.JWKS) == 0):
		return errors.New("give jwks_uri or jwks, one of them")
	case t.Kind == TrustIDJAG && (len(t.Clients) == 0 || len(t.Rules) > 0):
		return errors.New("an id-jag issuer names clients, and no rules")
	case t.Kind == TrustWorkload && (len(t.Rules) == 0 || len(t.Clients) > 0):
		return errors.New("a workload issuer has rules, and names no clients")
	case t.Kind == TrustWorkload && t.Tenant != "":
		return errors.New("tenant is for id-jag; match the claim in rules")
	case t.MaxAge < 0:
		return errors.New("max_age is seconds")
	}
	if len(t.JWKS) > 0 {
		if _, err := tokens.ParseForeignKeys(t.JWKS); err != nil {
			return err
		}
	}
	for _, r := range t.Rules {
		if r.Match["sub"] == "" || r.Client == "" {
			return errors.New("a rule matches sub, and names a client")
		}
		for claim, pattern := range r.Match {
			if _, err := path.Match(pattern, ""); err != nil || strings.Trim(pattern, "*/") == "" {
				return fmt.Errorf("rule for %s: %q is no pattern, or matches anything", claim, pattern)
			}
		}
	}
	return nil
}

// identifyBearer tells who presents an assertion: with an ID-JAG the client that authenticates, which it
// must name; with a workload's assertion the client that a rule makes of it (RFC 7523 §3).
func (s *Server) identifyBearer(r *http.Request, p oauth.Params) (caller, error) {
	raw := p.Get("assertion")
	typ, issuer, err := tokens.PeekForeign(raw)
	if err != nil {
		return caller{}, badAssertion(err)
	}
	kind := TrustWorkload
	if typ == typeIDJAG {
		kind = TrustIDJAG
	}
	i := slices.IndexFunc(s.trust, func(t TrustedIssuer) bool { return t.Issuer == issuer && t.Kind == kind })
	if i < 0 {
		return caller{}, badAssertion(errors.New("the issuer is not trusted for this"))
	}
	t := s.trust[i]
	if kind == TrustIDJAG {
		client, err := s.authenticateClient(r, p)
		if err != nil {
			return caller{}, err
		}
		v, err := s.readIDJAG(r.Context(), t, raw, client)
		return caller{client: client, vouched: v}, err
	}
	return s.readWorkload(r, p, t, raw)
}

func badAssertion(cause error) error {
	return &oauth.Error{Code: oauth.InvalidGrant, Description: "the assertion is not valid here", Cause: cause}
}

// verifyForeign verifies an assertion and names it for being spent once.
func (s *Server) verifyForeign(ctx context.Context, t TrustedIssuer, raw string, want tokens.ForeignWant) (tokens.ForeignAssertion, *store.Once, error) {
	keys, err := s.foreignKeys(ctx, t)
	if err != nil {
		return tokens.ForeignAssertion{}, nil, err
	}
	want.Issuer, want.Now = t.Issuer, s.now()
	if want.Audiences = append(want.Audiences, s.issuer); t.Audience != "" {
		want.Audiences = append(want.Audiences, t.Audience)
	}
	a, err := keys.Verify(raw, want)
	if err != nil {
		return a, nil, badAssertion(err)
	}
	// A JWT has many spellings, so its jti names it; one without is named by its claims.
	id := a.ID
	if id == "" {
		id = tokens.HashBytes(a.Raw)
	}
	return a, &store.Once{ID: store.HashOf("assertion\n" + t.Issuer + "\n" + id), Until: a.Expires.Add(2 * time.Minute)}, nil
}

// foreignKeys are the issuer's keys: configured, or fetched and kept for a while.
func (s *Server) foreignKeys(ctx context.Context, t TrustedIssuer) (tokens.ForeignKeys, error) {
	if len(t.JWKS) > 0 {
		return tokens.ParseForeignKeys(t.JWKS)
	}
	if keys, ok := s.foreign.get(t.JWKSURI, s.now()); ok {
		return keys, nil
	}
	return s.foreign.load(ctx, t.JWKSURI, s.now, func(ctx context.Context) (keys tokens.ForeignKeys, doc fetch.Document, err error) {
		if err := s.strangers.unreadOf.of(t.JWKSURI, s.now()); err != nil {
			return keys, doc, err
		}
		if doc, err = s.strangers.named.Keys(ctx, t.JWKSURI); err == nil {
			keys, err = tokens.ParseForeignKeys(doc.Body)
		}
		if err != nil {
			err = &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "the issuer's keys cannot be read now; try again", Cause: err}
		}
		if !errors.Is(err, fetch.ErrBusy) {
			s.strangers.unreadOf.note(t.JWKSURI, s.now(), err)
		}
		return keys, doc, err
	})
}

// readWorkload makes a client of a workload, by the first rule that matches all of its claims.
func (s *Server) readWorkload(r *http.Request, p oauth.Params, t TrustedIssuer, raw string) (caller, error) {
	a, once, err := s.verifyForeign(r.Context(), t, raw, tokens.ForeignWant{
		Types: []string{"", "JWT"}, Audiences: []string{s.url("/token")}, MaxAge: time.Duration(t.MaxAge) * time.Second, MaxLife: 24 * time.Hour,
	})
	if err != nil {
		return caller{}, err
	}
	var claims map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(a.Raw, &claims), tokens.CheckJSON(a.Raw)); err != nil {
		return caller{}, badAssertion(err)
	}
	i := slices.IndexFunc(t.Rules, func(rule WorkloadRule) bool { return rule.matches(claims) })
	if i < 0 {
		return caller{}, badAssertion(errors.New("no rule matches"))
	}
	rule := t.Rules[i]
	jkt, err := confirmedKey(claims)
	if err != nil {
		return caller{}, err
	}
	client, err := s.store.ClientByID(r.Context(), rule.Client)
	if errors.Is(err, store.ErrClientNotFound) || err == nil && (client.Disabled || p.Has("client_id") && p.Get("client_id") != client.ID) {
		return caller{}, errClient
	}
	if err != nil {
		return caller{}, err
	}
	return caller{client: client, vouched: &vouched{
		subject: client.ID, scopes: rule.Scopes, once: once, jkt: jkt, why: map[string]any{"issuer": t.Issuer, "subject": a.Subject, "assertion": a.ID},
	}}, nil
}

// matches reports whether all patterns match; a claim that is no string matches none.
func (r WorkloadRule) matches(claims map[string]json.RawMessage) bool {
	for name, pattern := range r.Match {
		var value string
		if json.Unmarshal(claims[name], &value) != nil {
			return false
		}
		if ok, err := path.Match(pattern, value); err != nil || !ok {
			return false
		}
	}
	return true
}

// jwtBearer serves grant_type=…:jwt-bearer (RFC 7523 §2.1).
func (s *Server) jwtBearer(r *http.Request, g grantRequest) (provider.Response, error) {
	v := g.vouched
	if v.jkt != "" && v.jkt != g.jkt {
		return provider.Response{}, badAssertion(errors.New("it confirms another key than the proof's, or there is no proof"))
	}
	if v.details != nil && g.params.Has("authorization_details") {
		return provider.Response{}, oauth.Refuse(oauth.InvalidAuthorizationDetails, "the assertion says what is granted; leave authorization_details out")
	}
	if len(v.resources) > 0 && slices.ContainsFunc(g.params.All("resource"), func(uri string) bool { return !slices.Contains(v.resources, uri) }) {
		return provider.Response{}, oauth.Refuse(oauth.InvalidTarget, "the assertion is for another resource")
	}
	var refuse []func(consent.Tool) bool
	if v.refuse != nil {
		refuse = append(refuse, v.refuse)
	}
	return s.lendTo(r, g, provider.Lending{Subject: v.subject, Once: v.once, Kind: "task.lent_by_assertion", Why: v.why}, func(ask *consent.Ask) error {
		if len(v.scopes) == 0 && v.details != nil && len(ask.Scopes) > 0 {
			return oauth.Refuse(oauth.InvalidScope, "the assertion grants tools one by one, and no scope")
		}
		if len(v.scopes) == 0 {
			return nil
		}
		if len(ask.Scopes) == 0 {
			ask.Scopes = v.scopes
		}
		for _, scope := range ask.Scopes {
			if !slices.Contains(v.scopes, scope) {
				return oauth.Refuse(oauth.InvalidScope, "a scope is not among those of the assertion")
			}
		}
		return nil
	}, refuse...)
}
