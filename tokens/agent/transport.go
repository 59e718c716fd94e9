package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"
)

// Transport is an http.RoundTripper that acts within a task: requests to the task's resource, and
// to the server's task endpoint, carry the access token and a fresh proof over it (RFC 9449 §7.1).
// Requests to anywhere else pass untouched: the token goes nowhere else.
//
// A request is sent again, at most once for each reason, when the resource wants its nonce in the
// proof, or refuses the token and a refresh yields another. That needs a body that can be read
// twice (http.Request.GetBody, which http.NewRequest sets for buffers and strings); without one
// the refusal is returned.
type Transport struct {
	Session *Session
	Base    http.RoundTripper // nil: http.DefaultTransport

	// StepUp, when set, lets a call that the task lacks a tool for end in a question to the user, and
	// then run. It opens the page and returns the parameters that the browser brought back to the
	// redirect URI. It is not called where no consent can help, and not again for what was refused.
	StepUp func(ctx context.Context, page string) (url.Values, error)
	// Approve, when set, is told of a call that waits for the user's word, and brings them to its URL.
	// When it returns nil, the transport waits for the answer and makes the same call again.
	Approve func(ctx context.Context, a Approval) error
	// PollEvery is how often it is asked whether the user has answered; 0: 2 s.
	PollEvery time.Duration
}

// RoundTrip sends the request.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	if !t.Session.client.concerns(req.URL) {
		return base.RoundTrip(req)
	}
	return t.attempt(base, req)
}

// concerns reports whether the token may travel to u.
func (c *Client) concerns(u *url.URL) bool {
	for _, base := range []string{c.Resource, c.taskEndpoint()} {
		if b, err := url.Parse(base); err == nil && within(u, b) {
			return true
		}
	}
	return false
}

func (t *Transport) attempt(base http.RoundTripper, req *http.Request) (*http.Response, error) {
	ctx, body := req.Context(), req.Body
	var noncedOnce, renewedOnce, steppedOnce, approvedOnce bool
	token, err := t.Session.Token(ctx)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	for {
		again := req.Clone(ctx) // a RoundTripper leaves its request alone
		again.Body = body
		res, err := t.Session.client.prove(base.RoundTrip, again, token.Access)
		if err != nil || res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusForbidden {
			return res, err
		}
		next := token
		if res.StatusCode == http.StatusForbidden {
			if t.StepUp == nil && t.Approve == nil {
				return res, nil
			}
			d, once := t.readDenied(res), &steppedOnce
			if d.wait.ID != "" {
				once = &approvedOnce
			}
			if *once || !rewindable(req) || !t.lift(ctx, base, token, d) {
				return res, nil
			}
			*once, noncedOnce, renewedOnce = true, false, false // minutes may have passed
			discard(res)
			if token, err = t.Session.Token(ctx); err != nil {
				return nil, err
			}
			if body, _ = rewind(req); body == nil && req.GetBody != nil {
				return nil, errBody
			}
			continue
		}
		switch refused := refusedWith(res); {
		case !noncedOnce && wantsNonce(res):
			noncedOnce = true
		case refused == "invalid_token" && res.StatusCode == http.StatusUnauthorized && !renewedOnce && token.Refresh != "":
			renewedOnce = true
			if next, err = t.Session.Renew(ctx, token); err != nil {
				return res, nil // the resource's own word is the better answer
			}
		default:
			return res, nil
		}
		fresh, ok := rewind(req)
		if !ok {
			return res, nil
		}
		discard(res)
		token, body = next, fresh
	}
}

// wantsNonce reports whether the answer asks for its nonce: a resource says so in any of its
// challenges (RFC 9449 §9), the authorization server in its JSON body (§8).
func wantsNonce(res *http.Response) bool {
	if res.Header.Get("DPoP-Nonce") == "" {
		return false
	}
	for _, c := range ParseChallenges(res.Header.Values("WWW-Authenticate")) {
		if c.Params["error"] == "use_dpop_nonce" {
			return true
		}
	}
	return bodyError(res) == "use_dpop_nonce"
}

// refusedWith is the error code of a 401: of its challenge, or else of its body.
func refusedWith(res *http.Response) string {
	if code := find(ParseChallenges(res.Header.Values("WWW-Authenticate")), "error"); code != "" {
		return code
	}
	return bodyError(res)
}

// bodyError reads the error member of a JSON body, and leaves the body to be read again.
func bodyError(res *http.Response) string {
	if media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); media != "application/json" {
		return ""
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument))
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), res.Body), res.Body}
	var told struct {
		Error any `json:"error"`
	}
	if err != nil || json.Unmarshal(body, &told) != nil {
		return ""
	}
	code, _ := told.Error.(string) // JSON-RPC has an object here
	return code
}

// errBody says that a body could be read once, and then not again.
var errBody = errors.New("agent: the request's body cannot be read again")

// rewindable reports whether the request can be sent again.
func rewindable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// rewind returns the request's body once more.
func rewind(req *http.Request) (io.ReadCloser, bool) {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return req.Body, true
	case req.GetBody == nil:
		return nil, false
	}
	body, err := req.GetBody()
	return body, err == nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// discard reads what is left of an answer, so that its connection serves the next request.
func discard(res *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	res.Body.Close()
}
