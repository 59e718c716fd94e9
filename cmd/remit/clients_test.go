package main_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
)

// Clients of others, as released, against the running binary and the demo's MCP server, whose policy
// allows tokens without a key to tools that read: these clients know no DPoP.

// newClientWorld is a server with Mara and that one MCP server.
func newClientWorld(t *testing.T, opts *mcpauth.Options, env ...string) (*world, *transcript) {
	t.Helper()
	w := &world{process: serve(t, "", env...), mara: &blackbox.Browser{Email: "mara@acme.example", Password: blackbox.Random(12)}}
	var err error
	if w.server, err = blackbox.Discover(t.Context(), w.issuer); err != nil {
		t.Fatal(err)
	}
	w.remit(t, nil, w.mara.Password+"\n", "user", "add", "--email", w.mara.Email, "--name", "Mara", "--password-stdin")
	w.r1 = w.protectWith(t, "Tickets", "bearer: read_only\n", opts)
	s := &transcript{}
	mcpHost := strings.TrimSuffix(strings.TrimPrefix(w.r1.URL, "http://"), "/mcp")
	s.as(w.issuer, "http://localhost:8080")
	s.as("http://"+mcpHost, "http://localhost:9000")
	s.as(url.QueryEscape(w.issuer), url.QueryEscape("http://localhost:8080"))
	s.as(url.QueryEscape("http://"+mcpHost), url.QueryEscape("http://localhost:9000"))
	return w, s
}

// bearerClient adds a public client that may have tokens without a key.
func (w *world) bearerClient(t *testing.T, name string, redirects ...string) string {
	t.Helper()
	return w.client(t, name, map[string]any{
		"redirect_uris": redirects, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code", "refresh_token"}, "remit": map[string]any{"bearer": true},
	})
}

// errAway is what the client is told when nobody sits at the browser.
var errAway = errors.New("nobody is at the browser")

// sdkClient is the official SDK's client with its authorization-code handler, and Mara at the browser.
type sdkClient struct {
	*world
	*transcript
	test    *testing.T
	choices []blackbox.Choice // of Mara, one after the other; then what the page proposes

	mu    sync.Mutex
	away  bool
	src   oauth2.TokenSource
	renew func() oauth2.TokenSource // the same token, taken for expired
	task  string
}

// fetch is the AuthorizationCodeFetcher: what a desktop client does with a browser.
func (c *sdkClient) fetch(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
	c.mu.Lock()
	away := c.away
	c.mu.Unlock()
	u, err := url.Parse(args.URL)
	if err != nil {
		return nil, err
	}
	if away {
		c.write("  browser  is asked for %s; nobody is there", scopes(u))
		return nil, errAway
	}
	at, err := c.mara.Get(ctx, args.URL)
	if err != nil {
		return nil, err
	}
	if at, err = c.mara.SignIn(ctx, at); err != nil {
		return nil, err
	}
	_, form, ok := blackbox.ConsentForm(at)
	if !ok {
		return nil, fmt.Errorf("no consent page: %s", at.Response)
	}
	offered, _ := form.Values("tool")
	if !strings.Contains(string(at.Body), "Not key-bound") {
		c.test.Error("the consent page does not say that the token is not key-bound")
	}
	var choice blackbox.Choice
	if len(c.choices) > 0 {
		choice, c.choices = c.choices[0], c.choices[1:]
	}
	allowed := offered
	if choice.Tools != nil {
		allowed = choice.Tools
	}
	if at, err = c.mara.Decide(ctx, at, choice); err != nil {
		return nil, err
	}
	c.write("  browser  Mara is asked for %s: %s", scopes(u), strings.Join(offered, ", "))
	c.write("           she allows %s, and goes back to the client with code, state and iss", strings.Join(allowed, ", "))
	return &auth.AuthorizationResult{Code: at.Query("code"), State: at.Query("state"), Iss: at.Query("iss")}, nil
}

// scopes are those of an authorization request, sorted: the SDK keeps them in a map.
func scopes(u *url.URL) string {
	return strings.ReplaceAll(sorted(u.Query().Get("scope")), " ", " and ")
}

func sorted(scope string) string {
	return strings.Join(slices.Sorted(strings.FieldsSeq(scope)), " ")
}

// source keeps the token that was issued, so that the test can let it lapse.
func (c *sdkClient) source(ctx context.Context, config *oauth2.Config, token *oauth2.Token) (oauth2.TokenSource, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.task, _ = token.Extra("task_id").(string)
	c.src = config.TokenSource(ctx, token)
	c.renew = func() oauth2.TokenSource {
		old := *token
		old.Expiry = time.Now().Add(-time.Minute)
		return config.TokenSource(ctx, &old)
	}
	return c, nil
}

// Token implements oauth2.TokenSource.
func (c *sdkClient) Token() (*oauth2.Token, error) {
	c.mu.Lock()
	src := c.src
	c.mu.Unlock()
	return src.Token()
}

// lapse makes the client take its access token for expired.
func (c *sdkClient) lapse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.src = c.renew()
}

func (c *sdkClient) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = true
}

// connect opens a session with this client identity.
func (c *sdkClient) connect(t *testing.T, config auth.AuthorizationCodeHandlerConfig) *mcp.ClientSession {
	t.Helper()
	c.test = t
	web := &http.Client{Transport: wiretap{c.transcript, c.issuer}}
	config.AuthorizationCodeFetcher, config.NewTokenSource, config.Client = c.fetch, c.source, web
	config.RequestRefreshToken = true
	handler, err := auth.NewAuthorizationCodeHandler(&config)
	if err != nil {
		t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: c.r1.URL, HTTPClient: web, OAuthHandler: handler}, nil)
	if err != nil {
		t.Fatalf("connect: %v\n%s", err, c)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

// calls calls a tool and writes what the program that uses the SDK sees.
func (c *sdkClient) calls(t *testing.T, session *mcp.ClientSession, tool string, arguments map[string]any) error {
	t.Helper()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	switch {
	case err != nil:
		c.write("=> %s: %v\n", tool, err)
	case result.IsError:
		c.write("=> %s: it failed\n", tool)
		err = errors.New("the tool failed")
	default:
		c.write("=> %s: ok\n", tool)
	}
	return err
}

var aTicket = map[string]any{"project": "WEB", "id": "WEB-118"}

// run is the whole life of a connection: authorize, call, be refused, refresh, be ended.
func (c *sdkClient) run(t *testing.T, session *mcp.ClientSession) {
	t.Helper()
	c.write("=> connected\n")
	listed, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range listed.Tools {
		names = append(names, tool.Name)
	}
	c.write("=> tools: %s\n", strings.Join(names, ", "))
	if !slices.Contains(names, "search_tickets") || slices.Contains(names, "add_comment") {
		t.Errorf("the client is shown %v", names)
	}
	if err := c.calls(t, session, "search_tickets", map[string]any{"project": "WEB", "query": "safari", "limit": 5}); err != nil {
		t.Errorf("a good call: %v", err)
	}
	if err := c.calls(t, session, "get_ticket", aTicket); err != nil {
		t.Errorf("a call that was allowed first or now: %v", err) // the SDK asks for what is missing
	}
	if err := c.calls(t, session, "add_comment", map[string]any{"project": "WEB", "id": "WEB-118", "text": "no"}); err == nil {
		t.Error("a tool that writes was called without a key")
	}
	c.lapse()
	c.write("(The access token has expired.)")
	if err := c.calls(t, session, "get_ticket", aTicket); err != nil {
		t.Errorf("after the refresh: %v", err)
	}
	c.leave()
	c.remit(t, nil, "", "task", "end", c.task, "--reason", "the test is over")
	c.write("(An admin ends the task.)")
	eventually(t, 2*time.Second, "the Guard refuses the ended task", func() bool {
		tok, err := c.Token()
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.r1.Post(t.Context(), "tools/call", "get_ticket", blackbox.CallBody("get_ticket", aTicket), blackbox.Header{Name: "Authorization", Value: "Bearer " + tok.AccessToken})
		return err == nil && res.Status == http.StatusUnauthorized
	})
	if err := c.calls(t, session, "get_ticket", aTicket); !errors.Is(err, errAway) {
		t.Errorf("after the end: %v, want the client to ask for consent again", err)
	}
}

func TestGoSDKClientPreregistered(t *testing.T) {
	t.Parallel()
	w, s := newClientWorld(t, nil)
	c := &sdkClient{world: w, transcript: s, choices: []blackbox.Choice{{Tools: []string{"search_tickets"}}}}
	id := w.bearerClient(t, "Go SDK agent", "http://127.0.0.1/callback")
	session := c.connect(t, auth.AuthorizationCodeHandlerConfig{
		PreregisteredClient: &oauthex.ClientCredentials{ClientID: id, Issuer: w.issuer}, RedirectURL: "http://127.0.0.1:49152/callback",
	})
	c.run(t, session)
	s.golden(t, "go-sdk")
}

func TestGoSDKClientRegistersItself(t *testing.T) {
	t.Parallel()
	w, s := newClientWorld(t, nil, "REMIT_REGISTRATION=open", "REMIT_BEARER=all")
	c := &sdkClient{world: w, transcript: s}
	session := c.connect(t, auth.AuthorizationCodeHandlerConfig{DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{
		Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "Go SDK agent", RedirectURIs: []string{"http://127.0.0.1:49152/callback"},
			TokenEndpointAuthMethod: "none", GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		},
	}})
	c.run(t, session)
	s.golden(t, "go-sdk-dcr")
}

// A server that keeps sessions speaks the protocol up to 2025-11-25.
func TestGoSDKClientOfAStatefulServer(t *testing.T) {
	t.Parallel()
	w, s := newClientWorld(t, &mcpauth.Options{Stateful: true})
	c := &sdkClient{world: w, transcript: s}
	id := w.bearerClient(t, "Go SDK agent", "http://127.0.0.1/callback")
	session := c.connect(t, auth.AuthorizationCodeHandlerConfig{
		PreregisteredClient: &oauthex.ClientCredentials{ClientID: id}, RedirectURL: "http://127.0.0.1:49152/callback",
	})
	if session.ID() == "" {
		t.Error("the server keeps no session")
	}
	c.run(t, session)
	s.golden(t, "go-sdk-stateful")
}

// The SDK sends a secret in the form, also where the admin said nothing, which means the header.
func TestGoSDKClientWithASecret(t *testing.T) {
	t.Parallel()
	w, s := newClientWorld(t, nil)
	c := &sdkClient{world: w, transcript: s}
	var added struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	w.remit(t, &added, `{"client_name":"Go SDK agent","redirect_uris":["http://127.0.0.1/callback"],"grant_types":["authorization_code","refresh_token"],"remit":{"bearer":true}}`, "client", "add", "-")
	session := c.connect(t, auth.AuthorizationCodeHandlerConfig{
		PreregisteredClient: &oauthex.ClientCredentials{ClientID: added.ID, ClientSecretAuth: &oauthex.ClientSecretAuth{ClientSecret: added.Secret}},
		RedirectURL:         "http://127.0.0.1:49152/callback",
	})
	for range 2 {
		if err := c.calls(t, session, "get_ticket", aTicket); err != nil {
			t.Errorf("%v\n%s", err, s)
		}
		c.lapse() // the second call refreshes first
	}
}
