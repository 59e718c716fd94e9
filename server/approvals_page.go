package server

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// freshSignIn is how long ago a person may have signed in to allow a call that can destroy something.
const freshSignIn = 5 * time.Minute

var errNoApproval = &oauth.Error{Code: oauth.InvalidRequest, Description: textNoApproval, HTTPStatus: http.StatusNotFound}

// ownApproval returns an approval that this user may decide. Somebody else's does not exist.
func (s *Server) ownApproval(ctx context.Context, v *visitor, id string) (store.CallApproval, error) {
	a, err := s.store.ApprovalByID(ctx, id)
	if errors.Is(err, store.ErrApprovalNotFound) || err == nil && a.UserID != v.User.ID {
		return a, errNoApproval
	}
	return a, err
}

// approval serves GET /approvals/{id}: a waiting call with its real arguments.
func (s *Server) approval(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "id")
	if v == nil {
		return s.signInPage(w, r, http.StatusOK, "", "", "", s.base+"/approvals/"+url.PathEscape(id))
	}
	a, err := s.ownApproval(r.Context(), v, id)
	if err != nil {
		return err
	}
	return s.showCall(w, r, v, a, http.StatusOK, "")
}

// showCall renders the approval as it stands.
func (s *Server) showCall(w http.ResponseWriter, r *http.Request, v *visitor, a store.CallApproval, status int, notice string) error {
	t, grants, err := s.store.TaskByID(r.Context(), a.TaskID)
	if err != nil {
		return err
	}
	b, err := s.gatherTasks(r.Context(), []store.Task{t})
	if err != nil {
		return err
	}
	client, resource := b.clients[t.ClientID], b.resources[a.Resource]
	row, risk := approvedTool(r.Context(), resource, grants, a.Tool)
	view := web.Approval{
		Page: s.frame(r.Context(), v), Action: s.base + "/approvals/" + a.ID, Live: web.Live{Source: s.base + "/agents/live"},
		Hidden: []web.Field{{Name: "shown", Value: s.formToken(v, "approval", a.ID, a.Digest)}},
		Client: clientHost(r.Context(), client), Name: client.Metadata.ClientName, Purpose: t.Purpose,
		Resource: resource.Name, URI: a.Resource, Tool: row, Asked: clock(r.Context(), a.AskedAt), Notice: notice,
	}
	if view.Name == view.Client {
		view.Name = ""
	}
	if a.State != store.ApprovalAsked {
		view.Outcome, view.Tone = outcomeOf(r.Context(), a)
		return s.renderLive(w, r, status, web.ApprovalPage(view))
	}
	if view.Arguments, err = s.waitingArguments(r.Context(), a); err != nil {
		return err
	}
	view.NoWords = len(view.Arguments) == 0
	view.Left = say(r.Context(), textLeft, spanText(a.ExpiresAt.Sub(s.now())))
	view.SignAgain = s.mustSignAgain(v, risk)
	view.Live.Again = 60
	return s.renderLive(w, r, status, web.ApprovalPage(view))
}

// mustSignAgain reports whether a yes needs proof that it is still the user who sits there.
func (s *Server) mustSignAgain(v *visitor, risk consent.Risk) bool {
	return risk.Destructive && s.now().Sub(v.AuthTime) > freshSignIn
}

// approvedTool is what the admin approved of the tool. One that cannot be read counts as the worst.
func approvedTool(ctx context.Context, resource store.Resource, grants []store.Grant, name string) (web.ToolRow, consent.Risk) {
	row := web.ToolRow{Name: name, Title: name}
	worst := consent.Risk{Destructive: true, OpenWorld: true}
	i := slices.IndexFunc(resource.Tools, func(t store.Tool) bool { return t.Name == name })
	if i < 0 {
		return row, worst
	}
	def, err := tokens.ParseDefinition(resource.Tools[i].Definition)
	if err != nil {
		return row, worst
	}
	t := consent.Tool{Risk: consent.RiskOf(def)}
	for _, g := range grants {
		if details, err := tokens.ParseGrant(g.Details); err == nil && g.EndedAt.IsZero() && g.Resource == resource.URI {
			for _, d := range details.Tools {
				if d.Tool == name {
					t.Detail = d
				}
			}
		}
	}
	t.Detail.Approval = ""
	row.Description, row.Chips = def.Description, chips(ctx, t)
	if title := toolTitles(resource)[name]; title != "" {
		row.Title = title
	}
	return row, t.Risk
}

// waitingArguments opens the sealed arguments of a call that waits.
func (s *Server) waitingArguments(ctx context.Context, a store.CallApproval) ([]web.Argument, error) {
	sealer, err := s.approvalSealer()
	if err != nil {
		return nil, err
	}
	raw, err := sealer.Open(a.Arguments, a.ID)
	if err != nil {
		return nil, err
	}
	if tokens.HashBytes(raw) != a.Digest { // what is shown is what counts
		return nil, errors.New("server: sealed arguments of " + a.ID + " are not those of its digest")
	}
	return readArguments(ctx, raw)
}

// readArguments lists the members of a JSON object in RFC 8785 form.
func readArguments(ctx context.Context, raw []byte) (all []web.Argument, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		kind, text := argumentText(ctx, value)
		all = append(all, web.Argument{Name: fmt.Sprint(name), Kind: kind, Text: text})
	}
	return all, nil
}

// argumentText is a value as a person reads it: text as it is, anything else as JSON.
func argumentText(ctx context.Context, raw json.RawMessage) (kind, text string) {
	switch raw[0] {
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err == nil {
			return say(ctx, textKindText), s
		}
	case 't', 'f':
		return say(ctx, textKindBool), string(raw)
	case 'n':
		return say(ctx, textKindNull), string(raw)
	case '[', '{':
		kind = say(ctx, textKindList)
		if raw[0] == '{' {
			kind = say(ctx, textKindObject)
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, raw, "", "  "); err == nil {
			return kind, indented.String()
		}
		return kind, string(raw)
	}
	return say(ctx, textKindNumber), string(raw)
}

// decideApproval serves POST /approvals/{id}: the user's word on the call that was shown.
func (s *Server) decideApproval(w http.ResponseWriter, r *http.Request) error {
	v, form, err := s.signedInForm(r)
	if err != nil {
		return err
	}
	a, err := s.ownApproval(r.Context(), v, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	if !hmac.Equal([]byte(form.Get("shown")), []byte(s.formToken(v, "approval", a.ID, a.Digest))) {
		return errForm
	}
	here, allow, life := s.base+"/approvals/"+a.ID, false, approvalQuiet
	switch form.Get(web.FieldDecision) {
	case web.Again:
		return s.signInPage(w, r, http.StatusOK, v.User.Email, "", "", here)
	case web.Allow:
		if err := s.toolOn(r.Context(), a.Resource, a.Tool); err != nil {
			return err
		}
		resource, err := s.store.ResourceByURI(r.Context(), a.Resource)
		if err != nil {
			return err
		}
		if _, risk := approvedTool(r.Context(), resource, nil, a.Tool); s.mustSignAgain(v, risk) {
			return s.showCall(w, r, v, a, http.StatusForbidden, say(r.Context(), textSignAgain))
		}
		allow, life = true, approvalLife
	case web.Deny:
	default:
		return oauth.Refuse(oauth.InvalidRequest, "Allow the call, or do not.")
	}
	_, err = s.store.DecideApproval(r.Context(), a.ID, v.User.ID, allow, s.now().Add(life))
	if err != nil && !errors.Is(err, store.ErrApprovalDecided) && !errors.Is(err, store.ErrTaskEnded) && !errors.Is(err, store.ErrTaskNotActive) {
		return err
	}
	http.Redirect(w, r, here, http.StatusSeeOther) // the page says what became of it
	return nil
}

// outcomeOf says how a decided approval stands.
func outcomeOf(ctx context.Context, a store.CallApproval) (text, tone string) {
	switch a.State {
	case store.ApprovalAllowed:
		return say(ctx, textApprovalAllowed), web.ToneOK
	case store.ApprovalSpent:
		return say(ctx, textApprovalSpent), web.ToneOK
	case store.ApprovalDenied:
		return say(ctx, textApprovalDenied), web.ToneInfo
	case store.ApprovalExpired:
		return say(ctx, textApprovalExpired), web.ToneInfo
	}
	return say(ctx, textApprovalVoid), web.ToneInfo
}

// waiting lists the calls that wait for the user.
func (s *Server) waiting(ctx context.Context, v *visitor) (rows []web.Waiting, err error) {
	all, err := s.store.WaitingApprovals(ctx, v.User.ID)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	for _, a := range all {
		t, _, err := s.store.TaskByID(ctx, a.TaskID)
		if err != nil {
			return nil, err
		}
		if t.State != store.TaskActive {
			continue
		}
		b, err := s.gatherTasks(ctx, []store.Task{t})
		if err != nil {
			return nil, err
		}
		row := web.Waiting{
			Href: s.base + "/approvals/" + a.ID, Client: clientHost(ctx, b.clients[t.ClientID]), Tool: a.Tool, Title: b.titles[a.Resource][a.Tool],
			Resource: b.resources[a.Resource].Name, Asked: clock(ctx, a.AskedAt), Until: callClock(ctx, a.ExpiresAt, s.now()),
		}
		if row.Title == "" {
			row.Title = a.Tool
		}
		rows = append(rows, row)
	}
	return rows, nil
}

const (
	textNoApproval      = "There is no such call to decide on."
	textSignAgain       = "Sign in again to allow this call: it can destroy something."
	textApprovalAllowed = "You allowed this call. It may run once, within the next minutes; your agent has to make it again."
	textApprovalSpent   = "You allowed this call, and it has been made."
	textApprovalDenied  = "You did not allow this call."
	textApprovalExpired = "Too late: this call does not wait any more. Your agent can ask again."
	textApprovalVoid    = "The task was ended or paused, so this call does not wait any more."

	textKindText   = "text"
	textKindNumber = "number"
	textKindBool   = "yes or no"
	textKindNull   = "nothing"
	textKindList   = "list"
	textKindObject = "group of values"
)
