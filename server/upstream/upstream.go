// Package upstream signs users in with OpenID providers that the operator named (OpenID Connect Core
// 1.0 §3.1): the code flow with PKCE, state and nonce, and nothing else. It is the only importer of
// the OpenID library. It says who somebody is at the provider; who that is here, the caller decides.
package upstream

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/remit-auth/remit/server/fetch"
)

// Errors of this package.
var (
	ErrUnreachable = errors.New("upstream: the provider does not answer")
	ErrRefused     = errors.New("upstream: the provider's answer is not accepted")
	ErrNotAllowed  = errors.New("upstream: the user is in none of the groups that may sign in")
)

// algorithms are what ID tokens may be signed with; never none, never a shared secret.
var algorithms = []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.EdDSA}

// Config is one provider.
type Config struct {
	Name         string   `koanf:"name" json:"name"`     // in URLs and in the ledger: lower-case letters, digits, dashes
	Title        string   `koanf:"title" json:"title"`   // on the sign-in page; empty: the name
	Issuer       string   `koanf:"issuer" json:"issuer"` // OpenID Connect Discovery 1.0 §3
	ClientID     string   `koanf:"client_id" json:"client_id"`
	ClientSecret string   `koanf:"client_secret" json:"-"`
	Scopes       []string `koanf:"scopes" json:"scopes"`             // besides openid, profile, email
	GroupsClaim  string   `koanf:"groups_claim" json:"groups_claim"` // empty: groups
	AddUsers     bool     `koanf:"add_users" json:"add_users"`       // add who was never here before
	// Groups may sign in; empty: everybody. Whoever is in none of them any more is disabled at the
	// next attempt, and so are their tasks.
	Groups []string `koanf:"groups" json:"groups"`
	// LogoutEndsTasks: who signs out at the provider ends their tasks here too, not just their session.
	LogoutEndsTasks bool `koanf:"logout_ends_tasks" json:"logout_ends_tasks"`
	// Roles are the roles here that a group there stands for.
	Roles []GroupRoles `koanf:"roles" json:"roles"`
}

// GroupRoles are the roles at one resource that membership in a group gives.
type GroupRoles struct {
	Group    string   `koanf:"group" json:"group"`
	Resource string   `koanf:"resource" json:"resource"`
	Roles    []string `koanf:"roles" json:"roles"`
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// Provider is one provider, discovered at its first use.
type Provider struct {
	Config
	redirect string
	http     *http.Client
	now      func() time.Time

	mu    sync.Mutex
	found *oidc.Provider
}

// New checks the configuration; the provider itself is asked when it is needed. roots are the
// certificate authorities trusted, nil for the system's; insecure allows http, in development.
func New(c Config, redirect string, roots *x509.CertPool, insecure bool, now func() time.Time) (*Provider, error) {
	u, err := url.Parse(c.Issuer)
	switch {
	case !nameForm.MatchString(c.Name):
		return nil, fmt.Errorf("upstream: %q is no name: lower-case letters, digits and dashes", c.Name)
	case err != nil || u.Host == "" || u.Scheme != "https" && !(insecure && u.Scheme == "http") || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("upstream: %s: the issuer is an https URL", c.Name)
	case c.ClientID == "" || c.ClientSecret == "":
		return nil, fmt.Errorf("upstream: %s: client_id and client_secret are needed", c.Name)
	}
	for _, g := range c.Roles {
		if g.Group == "" || g.Resource == "" || len(g.Roles) == 0 {
			return nil, fmt.Errorf("upstream: %s: each entry of roles names a group, a resource and roles", c.Name)
		}
	}
	if c.Title == "" {
		c.Title = c.Name
	}
	if c.GroupsClaim == "" {
		c.GroupsClaim = "groups"
	}
	return &Provider{Config: c, redirect: redirect, http: fetch.Named(roots), now: now}, nil
}

// Attempt is what one browser must bring back: kept from everybody else between the two steps.
type Attempt struct {
	Provider string `json:"provider"`
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // RFC 7636
	ReturnTo string `json:"return_to"`
	Link     string `json:"link,omitempty"` // the user who wants this identity besides their own
	Expires  int64  `json:"expires"`        // Unix seconds
}

// Start returns where to send the browser.
func (p *Provider) Start(ctx context.Context, a Attempt) (string, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	return p.oauth(found).AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

func (p *Provider) oauth(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: found.Endpoint(), RedirectURL: p.redirect,
		Scopes: append([]string{oidc.ScopeOpenID, "profile", "email"}, p.Scopes...),
	}
}

// Person is who the provider says that somebody is.
type Person struct {
	Issuer, Subject string
	SID             string // its name for the session there; empty: it told none
	Email           string // verified by the provider; empty: none is
	Name            string
	Groups          []string
}

// Finish redeems the code and checks the ID token (OpenID Connect Core 1.0 §3.1.3.7). Somebody who
// is in none of the groups that may sign in is returned with ErrNotAllowed.
func (p *Provider) Finish(ctx context.Context, a Attempt, code string) (Person, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return Person{}, err
	}
	ctx = oidc.ClientContext(ctx, p.http)
	token, err := p.oauth(found).Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		if _, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
			return Person{}, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return Person{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Person{}, fmt.Errorf("%w: no id_token", ErrRefused)
	}
	verifier := found.VerifierContext(ctx, &oidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: algorithms, Now: p.now})
	id, err := verifier.Verify(ctx, raw)
	if err != nil {
		return Person{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if id.Nonce != a.Nonce || a.Nonce == "" {
		return Person{}, fmt.Errorf("%w: the nonce is another's", ErrRefused)
	}
	return p.person(id)
}

// person reads the claims that matter.
func (p *Provider) person(id *oidc.IDToken) (Person, error) {
	var claims struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"` // a boolean (§5.1); a text "true" is not one
		Name     string `json:"name"`
		Azp      string `json:"azp"`
		SID      string `json:"sid"` // Back-Channel Logout 1.0 §2.1
	}
	var all map[string]any
	if err := errors.Join(id.Claims(&claims), id.Claims(&all)); err != nil {
		return Person{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if len(id.Audience) > 1 && claims.Azp != p.ClientID || claims.Azp != "" && claims.Azp != p.ClientID {
		return Person{}, fmt.Errorf("%w: it was issued to another party", ErrRefused)
	}
	who := Person{Issuer: id.Issuer, Subject: id.Subject, SID: claims.SID, Name: claims.Name}
	if who.Subject == "" || len(who.SID) > maxSID {
		return Person{}, fmt.Errorf("%w: no subject, or too long a session", ErrRefused)
	}
	if verified, _ := claims.Verified.(bool); verified {
		who.Email = claims.Email
	}
	groups, _ := all[p.GroupsClaim].([]any)
	for _, g := range groups {
		if name, ok := g.(string); ok {
			who.Groups = append(who.Groups, name)
		}
	}
	if len(p.Groups) > 0 && !slices.ContainsFunc(who.Groups, func(g string) bool { return slices.Contains(p.Groups, g) }) {
		return who, ErrNotAllowed
	}
	return who, nil
}

// discover reads the provider's metadata once it answers. Its keys are read, and read again, by the library.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	// The context lives on in the provider, for its keys: it must not end with this request.
	found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.http), p.Issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	p.found = found
	return found, nil
}
