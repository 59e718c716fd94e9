package resourcetest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// Grant is what the user allowed. Empty fields get a plain value.
type Grant struct {
	User, Client string
	Task         string // an id; empty: a new task
	Grade        string // how the client is known: registered, cimd or dcr
	Scopes       []string
	Roles        []string // of the user, at this resource
	Tools        []tokens.ToolDetail
	MaxCalls     int           // of the task; 0: no budget
	Life         time.Duration // of the token; 0: 300 s
	Key          *tokens.ProofKey
	Bearer       bool // a token that is bound to no key
}

// largest is how many bytes of details a token carries; above, it names them by their hash.
const largest = 4 << 10

// Token is an access token with the key it is bound to.
type Token struct {
	Raw    string
	Key    tokens.ProofKey
	Claims tokens.Claims

	issuer *Issuer
}

// Token mints a token for the resource. Each tool gets its location and, unless the test names
// another, the definition that the Guard published.
func (i *Issuer) Token(uri string, g Grant) *Token {
	i.t.Helper()
	claims := i.Claims(uri, g)
	key, err := tokens.NewProofKey()
	if err != nil {
		i.t.Fatal(err)
	}
	if g.Key != nil {
		key = *g.Key
	}
	if !g.Bearer {
		claims.JKT = key.JKT()
	}
	if details, err := claims.Details.Canonical(); err != nil {
		i.t.Fatal(err)
	} else if len(details) > largest {
		claims.Details, claims.GrantHash = tokens.Details{}, tokens.HashBytes(details)
		i.SetGrant(uri, claims.GrantHash, details)
	}
	return i.sign(claims, key)
}

// Sign mints a token of these very claims, bound to a key of its own.
func (i *Issuer) Sign(claims tokens.Claims) *Token {
	i.t.Helper()
	key, err := tokens.NewProofKey()
	if err != nil {
		i.t.Fatal(err)
	}
	claims.JKT = key.JKT()
	return i.sign(claims, key)
}

func (i *Issuer) sign(claims tokens.Claims, key tokens.ProofKey) *Token {
	i.t.Helper()
	raw, err := i.Key().SignAccessToken(claims)
	if err != nil {
		i.t.Fatal(err)
	}
	return &Token{Raw: raw, Key: key, Claims: claims, issuer: i}
}

// Claims returns what Token would sign, without the key.
func (i *Issuer) Claims(uri string, g Grant) tokens.Claims {
	i.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.now()
	c := tokens.Claims{
		Issuer: i.URL(), Subject: or(g.User, "usr_test"), Audience: uri, ClientID: or(g.Client, "cli_test"),
		ID: tokens.NewID("at_"), IssuedAt: now, Expires: now.Add(5 * time.Minute), Scope: g.Scopes, Roles: g.Roles, Grade: or(g.Grade, "registered"),
		Task: tokens.TaskClaim{ID: or(g.Task, tokens.NewID("tsk_")), Ends: now.Add(time.Hour)},
	}
	if g.Life != 0 {
		c.Expires = now.Add(g.Life)
	}
	c.Details.Task = &tokens.TaskDetail{MaxCalls: g.MaxCalls}
	for _, t := range g.Tools {
		t.Locations = []string{uri}
		if t.Definition == "" {
			t.Definition = i.definition(uri, t.Tool)
		}
		c.Details.Tools = append(c.Details.Tools, t)
	}
	i.grant(c)
	return c
}

// definition returns the hash of the published tool; a tool that was not published has none.
func (i *Issuer) definition(uri, tool string) string {
	if r := i.resources[uri]; r != nil {
		for _, raw := range r.tools {
			if d, err := tokens.ParseDefinition(raw); err == nil && d.Name == tool {
				hash, err := d.Hash()
				if err != nil {
					i.t.Fatal(err)
				}
				return hash
			}
		}
	}
	return tokens.HashBytes([]byte(tool))
}

// grant opens the task's budgets.
func (i *Issuer) grant(c tokens.Claims) {
	b := i.budgets[c.Task.ID]
	if b == nil {
		b = &budget{task: -1, tools: map[string]int{}, called: map[string]int{}, seen: map[string]bool{}}
		i.budgets[c.Task.ID] = b
	}
	if n := c.Details.Task.MaxCalls; n > 0 && b.task < 0 {
		b.task = n
	}
	for _, t := range c.Details.Tools {
		if _, known := b.tools[t.Tool]; !known && t.MaxCalls > 0 {
			b.tools[t.Tool] = t.MaxCalls
		}
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Client returns an HTTP client that sends every request with the token and a proof, and repeats it
// when the resource asks for a nonce.
func (t *Token) Client() *http.Client { return &http.Client{Transport: &transport{token: t}} }

// Sign puts the token and a fresh proof on a request.
func (t *Token) Sign(r *http.Request, nonce string) error {
	u := *r.URL
	u.RawQuery, u.Fragment = "", ""
	proof, err := t.Key.Proof(r.Method, u.String(), nonce, t.Raw, t.issuer.Now())
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "DPoP "+t.Raw)
	r.Header.Set("DPoP", proof)
	return nil
}

// transport signs requests (RFC 9449 §7, §8).
type transport struct {
	token *Token
	mu    sync.Mutex
	nonce string
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.try(r)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !t.learn(resp) {
		return resp, err
	}
	if r.Body != nil && r.GetBody == nil {
		return nil, errors.New("resourcetest: the request cannot be repeated with a nonce")
	}
	if r.Body != nil {
		if r.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	resp.Body.Close()
	resp, err = t.try(r)
	if err == nil {
		t.learn(resp)
	}
	return resp, err
}

func (t *transport) try(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	nonce := t.nonce
	t.mu.Unlock()
	signed := r.Clone(r.Context())
	if err := t.token.Sign(signed, nonce); err != nil {
		return nil, err
	}
	resp, err := t.token.issuer.conns.RoundTrip(signed)
	if err == nil && resp.StatusCode/100 == 2 {
		t.learn(resp)
	}
	return resp, err
}

// learn keeps a nonce and reports whether it is a new one.
func (t *transport) learn(resp *http.Response) bool {
	nonce := resp.Header.Get("DPoP-Nonce")
	t.mu.Lock()
	defer t.mu.Unlock()
	if nonce == "" || nonce == t.nonce {
		return false
	}
	t.nonce = nonce
	return true
}

// Call is the body of a tools/call.
func Call(tool string, arguments any) []byte {
	body, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": 1, "method": "tools/call",
		"params": map[string]any{"name": tool, "arguments": arguments},
	})
	if err != nil {
		panic(err) // the test's own values
	}
	return body
}
