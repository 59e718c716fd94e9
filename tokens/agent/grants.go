package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Grant types (OAuth 2.1 §4.2, RFC 7523 §2.1, RFC 8628 §3.4, RFC 8693 §2.1).
const (
	grantClientCredentials = "client_credentials"
	grantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
	grantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeAccessToken        = "urn:ietf:params:oauth:token-type:access_token"
	assertionType          = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// Own gets a token for the client itself (OAuth 2.1 §4.2): what the roles reach that an admin assigned to
// it. Each token is a task of its own and cannot be refreshed: ask again.
func (c *Client) Own(ctx context.Context, a Ask) (Token, error) {
	return c.grant(ctx, "own", grantClientCredentials, a, nil)
}

// Present gets a token for an assertion of an issuer that the server trusts (RFC 7523 §2.1): an identity
// assertion grant about a user, or the token by which a platform names this workload. It is good once.
func (c *Client) Present(ctx context.Context, assertion string, a Ask) (Token, error) {
	return c.grant(ctx, "present", grantJWTBearer, a, url.Values{"assertion": {assertion}})
}

// grant sends a token request that names what is wanted.
func (c *Client) grant(ctx context.Context, what, grantType string, a Ask, more url.Values) (Token, error) {
	form := url.Values{"grant_type": {grantType}, "client_id": {c.ClientID}, "resource": {c.Resource}}
	if err := a.fill(form); err != nil {
		return Token{}, fmt.Errorf("agent: %s: %w", what, err)
	}
	for name, values := range more {
		form[name] = values
	}
	t, err := c.take(ctx, form)
	if err != nil {
		return Token{}, fmt.Errorf("agent: %s: %w", what, err)
	}
	return t, nil
}

// fill puts what is asked for into a request.
func (a Ask) fill(form url.Values) error {
	if a.Details.Task != nil || len(a.Details.Tools) > 0 {
		details, err := a.Details.Canonical()
		if err != nil {
			return err
		}
		form.Set("authorization_details", string(details))
	}
	if len(a.Scopes) > 0 {
		form.Set("scope", strings.Join(a.Scopes, " "))
	}
	return nil
}

// Delegation lets the holder of one key, and nobody else, work in a task within the next minute. It
// holds the agent's access token, which is worth nothing without the agent's own key.
type Delegation struct {
	Access string
	Proof  string
}

// Delegate hands the session's task on to a sub-agent with the key of this thumbprint.
func (s *Session) Delegate(ctx context.Context, jkt string) (Delegation, error) {
	t, err := s.Token(ctx)
	if err != nil {
		return Delegation{}, err
	}
	c := s.client
	endpoint, err := url.Parse(c.Server.TokenEndpoint)
	if err != nil {
		return Delegation{}, fmt.Errorf("agent: delegate: %w", err)
	}
	proof, err := c.Key.Delegation(c.Server.TokenEndpoint, c.nonces.of(endpoint), t.Access, jkt, c.Now())
	if err != nil {
		return Delegation{}, fmt.Errorf("agent: delegate: %w", err)
	}
	return Delegation{Access: t.Access, Proof: proof}, nil
}

// Take begins a sub-task by a delegation (RFC 8693): with this client's own key, never wider or longer
// than the task that it hangs under, and dead with it. Without details and scopes it gets all of it.
func (c *Client) Take(ctx context.Context, d Delegation, a Ask) (Token, error) {
	return c.grant(ctx, "take", grantTokenExchange, a, url.Values{
		"subject_token": {d.Access}, "subject_token_type": {typeAccessToken}, "subject_token_proof": {d.Proof},
	})
}

// Device is a device authorization under way (RFC 8628 §3.2). Show the user UserCode, VerificationURI and
// Words: the page shows the same words, and nobody should go on who sees others.
type Device struct {
	UserCode        string
	VerificationURI string
	Complete        string // the address with the code in it, to be scanned or clicked
	Words           string
	Expires         time.Time
	Interval        time.Duration

	code string
}

// AskDevice asks for a code, where the agent has no browser. The proof fixes the key that may poll.
func (c *Client) AskDevice(ctx context.Context, a Ask) (Device, error) {
	if _, err := checkEndpoint(c.Server.DeviceEndpoint); err != nil {
		return Device{}, fmt.Errorf("agent: device: %w", err)
	}
	form := url.Values{"client_id": {c.ClientID}, "resource": {c.Resource}}
	if err := a.fill(form); err != nil {
		return Device{}, fmt.Errorf("agent: device: %w", err)
	}
	var said struct {
		Code     string `json:"device_code"`
		User     string `json:"user_code"`
		URI      string `json:"verification_uri"`
		Complete string `json:"verification_uri_complete"`
		Words    string `json:"pairing_words"`
		Expires  int    `json:"expires_in"`
		Interval int    `json:"interval"`
	}
	if err := c.post(ctx, c.Server.DeviceEndpoint, form, http.StatusOK, &said); err != nil {
		return Device{}, fmt.Errorf("agent: device: %w", err)
	}
	if said.Code == "" || said.User == "" {
		return Device{}, errors.New("agent: device: the server returned no code")
	}
	if said.Interval <= 0 {
		said.Interval = 5 // RFC 8628 §3.2
	}
	return Device{
		UserCode: said.User, VerificationURI: said.URI, Complete: said.Complete, Words: said.Words,
		Expires: c.Now().Add(time.Duration(said.Expires) * time.Second), Interval: time.Duration(said.Interval) * time.Second, code: said.Code,
	}, nil
}

// Await polls until the user has answered (RFC 8628 §3.5), the code has expired, or ctx ends.
func (c *Client) Await(ctx context.Context, d Device) (Token, error) {
	wait := time.NewTimer(d.Interval)
	defer wait.Stop()
	for {
		select {
		case <-wait.C:
		case <-ctx.Done():
			return Token{}, ctx.Err()
		}
		t, err := c.take(ctx, url.Values{"grant_type": {grantDeviceCode}, "client_id": {c.ClientID}, "device_code": {d.code}})
		refused, ok := errors.AsType[*Error](err)
		switch {
		case ok && refused.Code == "authorization_pending":
		case ok && refused.Code == "slow_down":
			d.Interval += 5 * time.Second
		case err != nil:
			return Token{}, fmt.Errorf("agent: device: %w", err)
		default:
			return t, nil
		}
		wait.Reset(d.Interval)
	}
}

// authenticate puts the client's own credential into a request, fresh for each (OAuth 2.1 §2.4).
func (c *Client) authenticate(form url.Values) error {
	switch {
	case c.ClientKey != nil:
		assertion, err := c.ClientKey.Assertion(c.ClientID, c.Server.Issuer, c.Now())
		if err != nil {
			return err
		}
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", assertion)
	case c.Secret != "":
		form.Set("client_secret", c.Secret)
	}
	return nil
}
