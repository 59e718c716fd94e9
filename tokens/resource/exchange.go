package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// The last hop: what an MCP server does to reach a server behind it. The token that it was called with
// is for itself alone and is never passed on; it is exchanged (RFC 8693) for one to the backend, for the
// same user, bound to a key of this Guard, narrower and no longer.

// ErrNoPermit means that a context is not that of a request which Protect let through.
var ErrNoPermit = errors.New("resource: no permit in this context")

// Grant type and token type of an exchange (RFC 8693 §2.1, §3).
const (
	grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeAccess    = "urn:ietf:params:oauth:token-type:access_token"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// exchangeMargin is how long before its end an exchanged token is no longer used; maxExchanged bounds
// how many are remembered.
const (
	exchangeMargin = 10 * time.Second
	maxExchanged   = 10_000
)

// Exchanged is an access token for a backend, bound to a key that this Guard holds in memory.
type Exchanged struct {
	Backend string
	Scopes  []string
	Task    string // the short task under the caller's
	Expires time.Time

	access string
	key    tokens.ProofKey
	now    func() time.Time
}

// Authorize puts the token and a fresh proof on a request to the backend (RFC 9449 §7.1), in place of
// whatever credentials it carries; nonce is the backend's newest, or empty. A request that does not go
// to the backend is refused.
func (e Exchanged) Authorize(r *http.Request, nonce string) error {
	if err := within(r.URL, e.Backend); err != nil {
		return err
	}
	htu := *r.URL
	htu.RawQuery, htu.ForceQuery, htu.Fragment, htu.RawFragment = "", false, "", ""
	proof, err := e.key.Proof(r.Method, htu.String(), nonce, e.access, e.now())
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "DPoP "+e.access)
	r.Header.Set("DPoP", proof)
	return nil
}

// within refuses a URL that is not the backend's, or not under it.
func within(u *url.URL, backend string) error {
	b, err := url.Parse(backend)
	if err != nil {
		return err
	}
	root := strings.TrimSuffix(b.EscapedPath(), "/")
	path := u.EscapedPath()
	if !strings.EqualFold(u.Scheme, b.Scheme) || !strings.EqualFold(u.Host, b.Host) || u.User != nil ||
		strings.Contains(strings.ToLower(path), "..") || strings.Contains(strings.ToLower(path), "%2e") ||
		path != b.EscapedPath() && path != root && !strings.HasPrefix(path, root+"/") {
		return fmt.Errorf("resource: a token for %s is not sent to %s", backend, u.Redacted())
	}
	return nil
}

// exchanges remembers tokens for backends, by the caller's token, backend and scopes.
type exchanges struct {
	mu    sync.Mutex
	held  map[string]Exchanged
	key   tokens.ProofKey
	made  bool
	nonce string
}

// Exchange returns an access token for a backend of this resource, on behalf of whoever made the
// request that ctx belongs to. The authorization server must know the backend, and an admin must let
// this resource reach it (remit resource backend). Without scopes it gets all that the admin allows.
func (g *Guard) Exchange(ctx context.Context, backend string, scopes ...string) (Exchanged, error) {
	permit, ok := PermitFrom(ctx)
	if !ok || permit.g != g || permit.raw == "" {
		return Exchanged{}, ErrNoPermit
	}
	id := permit.bearer.ID + " " + backend + " " + strings.Join(scopes, " ")
	e, err := g.exchanged.known(id, g.now())
	if err != nil || e.access != "" {
		return e, err
	}
	if e, err = g.exchange(ctx, permit.raw, backend, scopes); err != nil {
		return Exchanged{}, fmt.Errorf("resource: exchange for %s: %w", backend, err)
	}
	g.exchanged.keep(id, e, g.now())
	return e, nil
}

// known returns what is remembered, or a key to ask with.
func (x *exchanges) known(id string, now time.Time) (Exchanged, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.made {
		key, err := tokens.NewProofKey()
		if err != nil {
			return Exchanged{}, err
		}
		x.key, x.made, x.held = key, true, map[string]Exchanged{}
	}
	if e, ok := x.held[id]; ok && now.Add(exchangeMargin).Before(e.Expires) {
		return e, nil
	}
	return Exchanged{}, nil
}

func (x *exchanges) keep(id string, e Exchanged, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.held) >= maxExchanged {
		for id, e := range x.held {
			if !now.Before(e.Expires) {
				delete(x.held, id)
			}
		}
		if len(x.held) >= maxExchanged {
			clear(x.held)
		}
	}
	x.held[id] = e
}

// exchange asks the authorization server, once more when it wants its nonce in the proof (RFC 9449 §8).
func (g *Guard) exchange(ctx context.Context, subject, backend string, scopes []string) (Exchanged, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	endpoint := g.issuer + "/token"
	for try := 0; ; try++ {
		assertion, err := g.authority.key.Assertion(g.authority.GuardID, g.issuer, g.now())
		if err != nil {
			return Exchanged{}, err
		}
		form := url.Values{
			"grant_type": {grantExchange}, "subject_token": {subject}, "subject_token_type": {typeAccess}, "resource": {backend},
			"client_assertion_type": {assertionType}, "client_assertion": {assertion},
		}
		if len(scopes) > 0 {
			form.Set("scope", strings.Join(scopes, " "))
		}
		g.exchanged.mu.Lock()
		nonce, key := g.exchanged.nonce, g.exchanged.key
		g.exchanged.mu.Unlock()
		proof, err := key.Proof(http.MethodPost, endpoint, nonce, "", g.now())
		if err != nil {
			return Exchanged{}, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
		if err != nil {
			return Exchanged{}, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("DPoP", proof)
		res, err := g.http.Do(req)
		if err != nil {
			return Exchanged{}, err
		}
		if next := res.Header.Get("DPoP-Nonce"); next != "" {
			g.exchanged.mu.Lock()
			g.exchanged.nonce = next
			g.exchanged.mu.Unlock()
		}
		e, err := g.readExchanged(res)
		if refused, ok := errors.AsType[*answerError](err); ok && refused.Code == "use_dpop_nonce" && try == 0 {
			continue
		}
		e.Backend, e.key, e.now = backend, key, g.now
		return e, err
	}
}

func (g *Guard) readExchanged(res *http.Response) (Exchanged, error) {
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	if err != nil {
		return Exchanged{}, err
	}
	if res.StatusCode != http.StatusOK {
		refused := &answerError{Status: res.StatusCode}
		_ = json.Unmarshal(raw, refused) // an answer that is no JSON is told by its status
		return Exchanged{}, refused
	}
	var said struct {
		Access  string `json:"access_token"`
		Type    string `json:"token_type"`
		Expires int    `json:"expires_in"`
		Scope   string `json:"scope"`
		Task    string `json:"task_id"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return Exchanged{}, err
	}
	if said.Access == "" || !strings.EqualFold(said.Type, "DPoP") {
		return Exchanged{}, errors.New("the token is not bound to this Guard's key")
	}
	return Exchanged{
		Scopes: strings.Fields(said.Scope), Task: said.Task, Expires: g.now().Add(time.Duration(said.Expires) * time.Second), access: said.Access,
	}, nil
}

// Backend returns a transport for requests to a backend, each on behalf of the caller in its context.
// Whatever credentials a request carries are replaced; one without a permit in its context, or to
// anywhere else, is not sent. base nil is http.DefaultTransport.
func (g *Guard) Backend(backend string, base http.RoundTripper, scopes ...string) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &lastHop{guard: g, backend: backend, base: base, scopes: scopes}
}

type lastHop struct {
	guard   *Guard
	backend string
	base    http.RoundTripper
	scopes  []string

	mu    sync.Mutex
	nonce string
}

// RoundTrip sends the request with the exchanged token, and once more when the backend wants its nonce
// in the proof (RFC 9449 §9).
func (h *lastHop) RoundTrip(r *http.Request) (*http.Response, error) {
	e, err := h.guard.Exchange(r.Context(), h.backend, h.scopes...)
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	for try := 0; ; try++ {
		h.mu.Lock()
		nonce := h.nonce
		h.mu.Unlock()
		out := r.Clone(r.Context())
		if try > 0 && r.GetBody != nil {
			if out.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
		if err := e.Authorize(out, nonce); err != nil {
			if out.Body != nil {
				out.Body.Close()
			}
			return nil, err
		}
		res, err := h.base.RoundTrip(out)
		if err != nil {
			return nil, err
		}
		next := res.Header.Get("DPoP-Nonce")
		if next != "" {
			h.mu.Lock()
			h.nonce = next
			h.mu.Unlock()
		}
		again := res.StatusCode == http.StatusUnauthorized && next != "" && next != nonce && try == 0 && (r.Body == nil || r.GetBody != nil)
		if !again {
			return res, nil
		}
		res.Body.Close()
	}
}
