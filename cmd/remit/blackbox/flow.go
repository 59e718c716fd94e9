package blackbox

import (
	"context"
	"fmt"
	"net/url"
)

// Flow is one run of the good flow: push, consent, redeem, refresh. Every step can be taken apart:
// the forms are built by one method and sent by another, and what a step yields is a field.
type Flow struct {
	Server   *Server
	Person   *Browser
	ClientID string
	Redirect string
	Resource string
	Details  string // authorization_details, JSON; empty: none
	Scope    string
	Key      Key
	Choice   Choice

	Verifier, State string
	RequestURI      string  // after Push
	Landing         Landing // after Consent
	Code            string  // after Consent
	Issued          Object  // after Redeem and Refresh: the token response
	RequestID       string  // after Redeem and Refresh: what the server named the request
}

// Access and Refresh are the tokens issued last; TaskID is their task.
func (f *Flow) Access() string { return f.issued("access_token") }

// RefreshToken is the refresh token issued last.
func (f *Flow) RefreshToken() string { return f.issued("refresh_token") }

// TaskID is the task of the tokens.
func (f *Flow) TaskID() string { return f.issued("task_id") }

func (f *Flow) issued(name string) string { s, _ := f.Issued[name].(string); return s }

// PushForm is a good pushed authorization request (RFC 9126 §2.1).
func (f *Flow) PushForm() Form {
	if f.Verifier == "" {
		f.Verifier, f.State = Random(32), Random(16)
	}
	form := Form{
		{"client_id", f.ClientID},
		{"response_type", "code"},
		{"redirect_uri", f.Redirect},
		{"state", f.State},
		{"code_challenge", Digest(f.Verifier)},
		{"code_challenge_method", "S256"},
		{"resource", f.Resource},
	}
	if f.Scope != "" {
		form = form.Add("scope", f.Scope)
	}
	if f.Details != "" {
		form = form.Add("authorization_details", f.Details)
	}
	return form
}

// Push sends the form to the PAR endpoint with a good proof.
func (f *Flow) Push(ctx context.Context) error {
	res, err := f.Server.Send(ctx, f.Key, f.Server.PAR, f.PushForm())
	if err != nil {
		return err
	}
	if f.RequestURI = res.Text("request_uri"); res.Status != 201 || f.RequestURI == "" {
		return fmt.Errorf("blackbox: push: %s", res)
	}
	return nil
}

// AuthorizeURL is where the person is sent.
func (f *Flow) AuthorizeURL() string {
	return f.Server.Authorize + "?" + Form{{"client_id", f.ClientID}, {"request_uri", f.RequestURI}}.Encode()
}

// Consent lets the person decide, and takes the code from the redirect.
func (f *Flow) Consent(ctx context.Context) error {
	at, err := f.Person.Consent(ctx, f.AuthorizeURL(), f.Choice)
	f.Landing = at
	if err != nil {
		return err
	}
	got, err := url.Parse(at.URL)
	if err != nil {
		return err
	}
	q := got.Query()
	switch {
	case !at.Left || at.Status != 303 && at.Status != 302:
		return fmt.Errorf("blackbox: consent came to rest at %s: %s", at.URL, at.Response)
	case q.Get("iss") != f.Server.Issuer: // RFC 9207 §2.4
		return fmt.Errorf("blackbox: iss %q in %s", q.Get("iss"), at.URL)
	case q.Get("state") != f.State:
		return fmt.Errorf("blackbox: state %q in %s", q.Get("state"), at.URL)
	case f.Choice.Deny:
		return nil
	}
	if f.Code = q.Get("code"); f.Code == "" {
		return fmt.Errorf("blackbox: no code in %s", at.URL)
	}
	return nil
}

// RedeemForm is a good token request for the code (OAuth 2.1 §4.1.3).
func (f *Flow) RedeemForm() Form {
	return Form{
		{"grant_type", "authorization_code"},
		{"client_id", f.ClientID},
		{"code", f.Code},
		{"code_verifier", f.Verifier},
		{"redirect_uri", f.Redirect},
		{"resource", f.Resource},
	}
}

// Redeem exchanges the code.
func (f *Flow) Redeem(ctx context.Context) error { return f.take(ctx, f.RedeemForm()) }

// RefreshForm is a good refresh request.
func (f *Flow) RefreshForm() Form {
	return Form{{"grant_type", "refresh_token"}, {"client_id", f.ClientID}, {"refresh_token", f.RefreshToken()}}
}

// Refresh rotates the refresh token.
func (f *Flow) Refresh(ctx context.Context) error { return f.take(ctx, f.RefreshForm()) }

func (f *Flow) take(ctx context.Context, form Form) error {
	res, err := f.Server.Send(ctx, f.Key, f.Server.Token, form)
	if err != nil {
		return err
	}
	issued := Object(res.JSON())
	if res.Status != 200 || issued["token_type"] != "DPoP" {
		return fmt.Errorf("blackbox: %s: %s", form.Get("grant_type"), res)
	}
	f.Issued, f.RequestID = issued, res.Header.Get("X-Request-Id")
	return nil
}

// ToCode runs the flow until there is a code.
func (f *Flow) ToCode(ctx context.Context) error {
	if err := f.Push(ctx); err != nil {
		return err
	}
	return f.Consent(ctx)
}

// ToToken runs the whole flow.
func (f *Flow) ToToken(ctx context.Context) error {
	if err := f.ToCode(ctx); err != nil {
		return err
	}
	return f.Redeem(ctx)
}
