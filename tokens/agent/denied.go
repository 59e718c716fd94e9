package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// Approval is one call that waits for the user's word.
type Approval struct {
	ID      string // apv_…
	URL     string // the page that the user answers on
	Tool    string
	Message string
	Expires time.Time
}

// pollEvery is how often the server is asked whether the user has answered.
const pollEvery = 2 * time.Second

// denied is a 403 of the resource, read.
type denied struct {
	scopes []string // tool:… that a consent could add
	wait   Approval // set when the call waits for the user
}

// denial is what a Remit Guard says in the JSON-RPC error.
type denial struct {
	Message string `json:"message"`
	Data    struct {
		Code        string `json:"code"`
		Remediation string `json:"remediation"`
		Tool        string `json:"tool"`
		Approval    string `json:"approval"`
		URL         string `json:"url"`
		Expires     int    `json:"expires_in"`
	} `json:"data"`
}

// readDenied finds out what could lift a 403, and leaves its body to be read again. A challenge that
// names scopes is believed unless the denial says that no consent can help.
func (t *Transport) readDenied(res *http.Response) (d denied) {
	var told struct {
		Error denial `json:"error"`
	}
	if media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); media == "application/json" {
		body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument))
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), res.Body), res.Body}
		if err != nil || json.Unmarshal(body, &told) != nil {
			told.Error = denial{}
		}
	}
	data := told.Error.Data
	if data.Code == "approval_required" {
		if t.Session.client.ownPage(data.URL) && validApproval(data.Approval) {
			d.wait = Approval{
				ID: data.Approval, URL: data.URL, Tool: data.Tool, Message: told.Error.Message,
				Expires: t.Session.client.Now().Add(time.Duration(max(0, data.Expires)) * time.Second),
			}
		}
		return d
	}
	if data.Remediation != "" && data.Remediation != "available" {
		return d
	}
	challenges := ParseChallenges(res.Header.Values("WWW-Authenticate"))
	if find(challenges, "error") != "insufficient_scope" {
		return d
	}
	for _, scope := range strings.Fields(find(challenges, "scope")) {
		if strings.HasPrefix(scope, "tool:") {
			d.scopes = append(d.scopes, scope)
		}
	}
	return d
}

// ownPage reports whether a page belongs to the authorization server: a resource must not send the
// user anywhere else.
func (c *Client) ownPage(raw string) bool {
	page, err := checkEndpoint(raw)
	issuer, err2 := url.Parse(c.Server.Issuer)
	return err == nil && err2 == nil && within(page, issuer)
}

func validApproval(id string) bool {
	rest, ok := strings.CutPrefix(id, "apv_")
	return ok && rest != "" && len(rest) <= 64 && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// lift tries what may turn a 403 around: consent to more tools, or the user's word on this call.
// It reports whether to send the request again.
func (t *Transport) lift(ctx context.Context, base http.RoundTripper, token Token, d denied) bool {
	switch {
	case d.wait.ID != "" && t.Approve != nil:
		return t.Approve(ctx, d.wait) == nil && t.await(ctx, base, d.wait)
	case len(d.scopes) > 0 && t.StepUp != nil:
		return t.Session.stepUp(ctx, t.StepUp, token, d.scopes) == nil
	}
	return false
}

// StepUp asks the user for more tools of the running task (scopes tool:…), and takes up the tokens
// that carry them with those that the task had before. open shows the user a page and returns the
// parameters that their browser brought back to the redirect URI.
func (s *Session) StepUp(ctx context.Context, open func(ctx context.Context, page string) (url.Values, error), scopes ...string) error {
	return s.stepUp(ctx, open, Token{}, scopes)
}

// stepUp asks once for what several calls miss at the same time, and never again for what the user
// did not allow.
func (s *Session) stepUp(ctx context.Context, open func(context.Context, string) (url.Values, error), old Token, scopes []string) error {
	select {
	case s.stepping <- struct{}{}:
		defer func() { <-s.stepping }()
	case <-ctx.Done():
		return ctx.Err()
	}
	held := s.Held()
	if old.Access != "" && held.Access != old.Access && held.covers(scopes) && !old.covers(scopes) {
		return nil // another call has asked meanwhile
	}
	s.mu.Lock()
	unwanted := slices.ContainsFunc(scopes, func(scope string) bool { return s.unwanted[scope] })
	s.mu.Unlock()
	if unwanted && old.Access != "" {
		return errUnwanted
	}
	token, err := s.widen(ctx, open, held.TaskID, scopes)
	e, _ := asError(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.token = token
		if !token.covers(scopes) {
			err = errUnwanted
		}
	}
	if err == errUnwanted || e != nil && e.Code == "access_denied" {
		if s.unwanted == nil {
			s.unwanted = map[string]bool{}
		}
		for _, scope := range scopes {
			s.unwanted[scope] = true
		}
	}
	return err
}

// widen runs the flow that extends the task.
func (s *Session) widen(ctx context.Context, open func(context.Context, string) (url.Values, error), task string, scopes []string) (Token, error) {
	r, err := s.client.Push(ctx, Ask{Details: tokens.Details{Task: &tokens.TaskDetail{Task: task}}, Scopes: scopes})
	if err != nil {
		return Token{}, err
	}
	back, err := open(ctx, s.client.AuthorizeURL(r))
	if err != nil {
		return Token{}, err
	}
	code, err := s.client.Callback(r, back)
	if err != nil {
		return Token{}, err
	}
	token, err := s.client.Redeem(ctx, r, code)
	if err == nil && token.TaskID != task {
		err = fmt.Errorf("agent: step-up: the tokens are of task %q, not of %q", token.TaskID, task)
	}
	return token, err
}

// covers reports whether the details name the tools of all these scopes.
func (t Token) covers(scopes []string) bool {
	for _, scope := range scopes {
		name := strings.TrimPrefix(scope, "tool:")
		if !slices.ContainsFunc(t.Details.Tools, func(d tokens.ToolDetail) bool { return d.Tool == name }) {
			return false
		}
	}
	return true
}

// await asks how the approval stands until the user has answered, and reports whether it was a yes.
func (t *Transport) await(ctx context.Context, base http.RoundTripper, a Approval) bool {
	every := t.PollEvery
	if every <= 0 {
		every = pollEvery
	}
	for t.Session.client.Now().Before(a.Expires) {
		state, err := t.Session.approval(ctx, base, a.ID)
		if err != nil || state != "asked" {
			return err == nil && state == "allowed"
		}
		timer := time.NewTimer(every)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
	return false
}

// approval asks the authorization server how an approval of this task stands.
func (s *Session) approval(ctx context.Context, base http.RoundTripper, id string) (state string, err error) {
	address, err := s.address("/approvals/" + id)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept", "application/json")
	res, err := (&Transport{Session: s, Base: base}).RoundTrip(req)
	if err != nil {
		return "", err
	}
	var told struct {
		State string `json:"state"`
	}
	err = answer(res, http.StatusOK, &told)
	return told.State, err
}
