// Package consent is what is asked, shown and decided: it turns a validated authorization request
// into an offer that a person can read, and the person's decision into a task with its grant. What
// is granted is never more than what was offered, and what is offered never more than what was
// asked, what the user's roles reach, and what the admin approved. It reads no request and renders
// no page.
//
//	ask.go       the validated request, as it is kept
//	risk.go      what a tool can do, from its approved annotations
//	offer.go     what is shown
//	stepup.go    what a running task does not have yet
//	decision.go  what was decided
//	memory.go    what of it goes on without being read anew
package consent

import (
	"encoding/json"
	"fmt"

	"github.com/remit-auth/remit/tokens"
)

// Ask is a validated authorization request (OAuth 2.1 §4.1.1 with RFC 8707, 9396 and 9449).
type Ask struct {
	ClientID     string         `json:"client_id"`
	RedirectURI  string         `json:"redirect_uri"`
	RedirectSent bool           `json:"redirect_sent,omitempty"`
	State        string         `json:"state,omitempty"`
	Challenge    string         `json:"code_challenge"`
	Resource     string         `json:"resource"`
	Targets      []Target       `json:"targets,omitempty"` // of several resources; none: Resource is the only one
	Part         bool           `json:"part,omitempty"`    // this is what the request asks of one of several resources
	Scopes       []string       `json:"scopes,omitempty"`  // nil: derive them from the tools
	Details      tokens.Details `json:"-"`
	JKT          string         `json:"jkt,omitempty"`
	Bearer       bool           `json:"bearer,omitempty"` // the token may come without a key
	Device       string         `json:"device,omitempty"` // hash of the device code that is decided about (RFC 8628); empty: none
	Words        string         `json:"words,omitempty"`  // that the device shows
	Own          bool           `json:"own,omitempty"`    // the user asks, on a page of ours: no client waits for a code

	// What the client says of the sign-in (OpenID Connect Core 1.0 §3.1.2.1).
	AskedAt   int64  `json:"asked_at,omitempty"` // Unix µs
	Silent    bool   `json:"silent,omitempty"`   // prompt=none: no page may be shown
	Anew      bool   `json:"anew,omitempty"`     // prompt=consent: what is remembered does not count
	SignIn    bool   `json:"sign_in,omitempty"`  // prompt=login, select_account: the sign-in must be newer than the request
	MaxAge    *int64 `json:"max_age,omitempty"`  // seconds; nil: any sign-in will do
	LoginHint string `json:"login_hint,omitempty"`
	UILocales string `json:"ui_locales,omitempty"`
	Nonce     string `json:"nonce,omitempty"`

	// Choices are the fields of a page that its user had filled in before they were asked to sign in
	// again, and ChosenBy is that user. They fill in the next page, and decide nothing.
	Choices  string `json:"choices,omitempty"`
	ChosenBy string `json:"chosen_by,omitempty"`
}

// askForm is Ask as it is stored.
type askForm struct {
	Version int `json:"v"`
	Ask
	RawDetails json.RawMessage `json:"authorization_details"`
}

// Encode returns the request in the form that DecodeAsk reads.
func (a Ask) Encode() ([]byte, error) {
	details, err := a.Details.Canonical()
	if err != nil {
		return nil, err
	}
	return json.Marshal(askForm{Version: 1, Ask: a, RawDetails: details})
}

// DecodeAsk reads a stored request.
func DecodeAsk(raw []byte) (Ask, error) {
	var f askForm
	if err := json.Unmarshal(raw, &f); err != nil {
		return Ask{}, err
	}
	if f.Version != 1 {
		return Ask{}, fmt.Errorf("consent: request of unknown version %d", f.Version)
	}
	var err error
	f.Ask.Details, err = tokens.ParseDetails(f.RawDetails)
	return f.Ask, err
}

// offered is the request without what its user wrote on the page.
func (a Ask) offered() Ask {
	a.Choices, a.ChosenBy = "", ""
	return a
}

// Task is the running task that the request names, "" when it names none.
func (a Ask) Task() string {
	if a.Details.Task == nil {
		return ""
	}
	return a.Details.Task.Task
}

// Redirects reports whether the answer travels to the client with the user's browser.
func (a Ask) Redirects() bool { return a.Device == "" && !a.Own }

// Purpose is the task in the agent's words, "" when it gave none.
func (a Ask) Purpose() string {
	if a.Details.Task == nil {
		return ""
	}
	return a.Details.Task.Purpose
}
