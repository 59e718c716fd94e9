package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// Config is what a Client is made of.
type Config struct {
	ClientID    string
	RedirectURI string             // where the user's browser comes back to; empty: no browser is used
	Secret      string             // of a client that authenticates by a secret; empty: it does not
	ClientKey   *tokens.SigningKey // of a client that authenticates by private_key_jwt; nil: it does not
	Server      Metadata           // of Discover
	Resource    string             // the MCP server, as Discover found it
	Key         tokens.ProofKey    // the agent's own key; it never leaves the process
	HTTP        *http.Client       // nil: http.DefaultClient; redirects are never followed

	Now func() time.Time // nil: time.Now
}

// Client is an OAuth client that acts for one agent at one resource: public, with PKCE, pushed
// requests and DPoP throughout. It is safe for concurrent use.
type Client struct {
	Config
	http   *http.Client
	nonces *nonces
}

// NewClient checks the configuration.
func NewClient(c Config) (*Client, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ClientID == "" {
		return nil, errors.New("agent: a client needs its id")
	}
	if _, err := checkEndpoint(c.Resource); err != nil {
		return nil, fmt.Errorf("agent: resource: %w", err)
	}
	if err := c.Server.check(c.Server.Issuer); err != nil {
		return nil, err
	}
	return &Client{Config: c, http: steady(c.HTTP), nonces: &nonces{}}, nil
}

// Ask is what the agent asks the user for. Details alone, scopes alone, both or neither are fine:
// with neither the server offers its baseline.
type Ask struct {
	Details tokens.Details
	Scopes  []string
}

// Request is an authorization request under way. The verifier and the state are its secrets.
type Request struct {
	URI      string // request_uri
	State    string
	Verifier string
	Expires  time.Time
}

// Push sends the request to the authorization server before the browser sees anything of it
// (RFC 9126), bound to the agent's key by its proof (RFC 9449 §10.1).
func (c *Client) Push(ctx context.Context, a Ask) (Request, error) {
	if c.RedirectURI == "" {
		return Request{}, errors.New("agent: push: the client has no redirect URI")
	}
	r := Request{State: tokens.NewSecret(""), Verifier: tokens.NewSecret("")}
	form := url.Values{
		"client_id": {c.ClientID}, "response_type": {"code"}, "redirect_uri": {c.RedirectURI}, "state": {r.State},
		"code_challenge": {tokens.S256(r.Verifier)}, "code_challenge_method": {"S256"}, "resource": {c.Resource},
	}
	if a.Details.Task != nil || len(a.Details.Tools) > 0 {
		details, err := a.Details.Canonical()
		if err != nil {
			return Request{}, fmt.Errorf("agent: push: %w", err)
		}
		form.Set("authorization_details", string(details))
	}
	if len(a.Scopes) > 0 {
		form.Set("scope", strings.Join(a.Scopes, " "))
	}
	var pushed struct {
		RequestURI string `json:"request_uri"`
		ExpiresIn  int    `json:"expires_in"`
	}
	if err := c.post(ctx, c.Server.PAREndpoint, form, http.StatusCreated, &pushed); err != nil {
		return Request{}, fmt.Errorf("agent: push: %w", err)
	}
	if pushed.RequestURI == "" {
		return Request{}, errors.New("agent: push: the server returned no request_uri")
	}
	r.URI, r.Expires = pushed.RequestURI, c.Now().Add(time.Duration(pushed.ExpiresIn)*time.Second)
	return r, nil
}

// AuthorizeURL is the page that the user decides on (RFC 9126 §4).
func (c *Client) AuthorizeURL(r Request) string {
	q := url.Values{"client_id": {c.ClientID}, "request_uri": {r.URI}}
	sep := "?"
	if strings.Contains(c.Server.AuthorizationEndpoint, "?") {
		sep = "&"
	}
	return c.Server.AuthorizationEndpoint + sep + q.Encode()
}

// Callback reads the parameters that the browser brought back, and returns the code. An answer for
// another request, or from another server, is refused before anything in it is believed: the
// issuer is compared as a string (RFC 9207 §2.4), and its absence, where it was promised, too.
func (c *Client) Callback(r Request, got url.Values) (code string, err error) {
	for _, name := range []string{"state", "iss", "code", "error"} {
		if len(got[name]) > 1 {
			return "", fmt.Errorf("agent: callback: %s stands more than once", name)
		}
	}
	iss, promised := got.Get("iss"), c.Server.IssParameter
	switch {
	case r.State == "" || got.Get("state") != r.State:
		return "", errors.New("agent: callback: state is not the request's")
	case promised && !got.Has("iss"):
		return "", errors.New("agent: callback: iss is missing although the server promises it")
	case got.Has("iss") && iss != c.Server.Issuer:
		return "", fmt.Errorf("agent: callback: the answer comes from %q, not from %q", iss, c.Server.Issuer)
	case got.Has("error"):
		return "", &Error{Status: http.StatusSeeOther, Code: got.Get("error"), Description: got.Get("error_description")}
	case got.Get("code") == "":
		return "", errors.New("agent: callback: there is no code")
	}
	return got.Get("code"), nil
}

// Token is what the agent holds of a task.
type Token struct {
	Access  string
	Refresh string // empty: the task cannot be refreshed
	TaskID  string
	Scopes  []string
	Details tokens.Details // what the user granted, which may be less than was asked
	Issued  time.Time
	Expires time.Time
}

// Redeem exchanges the code for tokens (OAuth 2.1 §4.1.3).
func (c *Client) Redeem(ctx context.Context, r Request, code string) (Token, error) {
	t, err := c.take(ctx, url.Values{
		"grant_type": {"authorization_code"}, "client_id": {c.ClientID}, "code": {code}, "code_verifier": {r.Verifier},
		"redirect_uri": {c.RedirectURI}, "resource": {c.Resource},
	})
	if err != nil {
		return Token{}, fmt.Errorf("agent: redeem: %w", err)
	}
	return t, nil
}

// Refresh exchanges the refresh token for its successor and a new access token (OAuth 2.1 §4.3).
// What the answer leaves out stays as it was.
func (c *Client) Refresh(ctx context.Context, old Token) (Token, error) {
	if old.Refresh == "" {
		return Token{}, errors.New("agent: refresh: there is no refresh token")
	}
	t, err := c.take(ctx, url.Values{"grant_type": {"refresh_token"}, "client_id": {c.ClientID}, "refresh_token": {old.Refresh}, "resource": {c.Resource}})
	if err != nil {
		return Token{}, fmt.Errorf("agent: refresh: %w", err)
	}
	if t.Refresh == "" {
		t.Refresh = old.Refresh
	}
	if t.TaskID == "" {
		t.TaskID = old.TaskID
	}
	if t.Scopes == nil {
		t.Scopes = old.Scopes
	}
	if t.Details.Task == nil && t.Details.Tools == nil {
		t.Details = old.Details
	}
	return t, nil
}

// tokenResponse is OAuth 2.1 §3.2.3 with RFC 9396 §7 and Remit's task_id.
type tokenResponse struct {
	AccessToken  string     `json:"access_token"`
	TokenType    string     `json:"token_type"`
	ExpiresIn    int        `json:"expires_in"`
	RefreshToken string     `json:"refresh_token"`
	Scope        string     `json:"scope"`
	Details      rawDetails `json:"authorization_details"`
	TaskID       string     `json:"task_id"`
}

type rawDetails struct{ tokens.Details }

// UnmarshalJSON reads authorization_details as strictly as the server does.
func (d *rawDetails) UnmarshalJSON(raw []byte) (err error) {
	d.Details, err = tokens.ParseGrant(raw)
	return err
}

func (c *Client) take(ctx context.Context, form url.Values) (Token, error) {
	now := c.Now()
	var r tokenResponse
	if err := c.post(ctx, c.Server.TokenEndpoint, form, http.StatusOK, &r); err != nil {
		return Token{}, err
	}
	if !strings.EqualFold(r.TokenType, "DPoP") { // RFC 9449 §5: a token of another type is not bound to the key
		return Token{}, fmt.Errorf("agent: the server issued a %q token, not one bound to the agent's key", r.TokenType)
	}
	if r.AccessToken == "" {
		return Token{}, errors.New("agent: the server issued no access token")
	}
	t := Token{Access: r.AccessToken, Refresh: r.RefreshToken, TaskID: r.TaskID, Details: r.Details.Details, Issued: now, Expires: now.Add(time.Duration(r.ExpiresIn) * time.Second)}
	if r.Scope != "" {
		t.Scopes = strings.Fields(r.Scope)
	}
	return t, nil
}

// post sends a form with a fresh proof, and once more when the server wants its nonce in it
// (RFC 9449 §8).
func (c *Client) post(ctx context.Context, endpoint string, form url.Values, want int, v any) error {
	for try := 0; ; try++ {
		if err := c.authenticate(form); err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
		res, err := c.prove(c.http.Do, req, "")
		if err != nil {
			return err
		}
		err = answer(res, want, v)
		if e, ok := errors.AsType[*Error](err); ok && e.Code == "use_dpop_nonce" && e.Status == http.StatusBadRequest && try == 0 {
			continue
		}
		return err
	}
}

// prove puts a fresh proof on the request, and the access token if there is one, and sends it.
func (c *Client) prove(send func(*http.Request) (*http.Response, error), req *http.Request, access string) (*http.Response, error) {
	htu := *req.URL // RFC 9449 §4.2: without query and fragment
	htu.RawQuery, htu.ForceQuery, htu.Fragment, htu.RawFragment = "", false, "", ""
	proof, err := c.Key.Proof(req.Method, htu.String(), c.nonces.of(req.URL), access, c.Now())
	if err != nil {
		return nil, fmt.Errorf("agent: proof: %w", err)
	}
	req.Header.Set("DPoP", proof)
	if access != "" {
		req.Header.Set("Authorization", "DPoP "+access)
	}
	res, err := send(req)
	if err != nil {
		return nil, err
	}
	c.nonces.learn(req.URL, res.Header)
	return res, nil
}
