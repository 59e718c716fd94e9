package server

import (
	"crypto/hmac"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/provider"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// decide serves POST /consent: the person's answer to what showConsent showed. The form counts
// once, for the session, the request and the very offer that it was made for.
func (s *Server) decide(w http.ResponseWriter, r *http.Request) error {
	v, form, err := s.signedInForm(r)
	if err != nil {
		return err
	}
	secret, digest := form.Get("request"), form.Get("offer")
	if !hmac.Equal([]byte(form.Get("shown")), []byte(s.formToken(v, "consent", secret, digest))) {
		return errForm
	}
	client, err := s.store.ClientByID(r.Context(), form.Get("client_id"))
	if err != nil {
		return err
	}
	held, err := s.store.RequestByID(r.Context(), store.HashOf(secret), client.ID)
	if err != nil {
		return requestError(err)
	}
	ask, err := consent.DecodeAsk(held.Params)
	if err != nil {
		return err
	}
	if form.Get(web.FieldDecision) != web.Allow {
		return s.deny(w, r, v, ask, held.ID)
	}
	offer, err := s.offer(r, v, client, ask)
	if err != nil {
		return err
	}
	if shownDigest(offer, client) != digest {
		return s.showConsent(w, r, v, client, ask, secret, http.StatusConflict, textOfferChanged)
	}
	return s.allow(w, r, v, client, offer, held.ID, form)
}

// allow stores the decision and sends the code to the client.
func (s *Server) allow(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, offer consent.Offer, request store.Hash, form oauth.Params) error {
	seconds, err := strconv.Atoi(form.Get(web.FieldDuration))
	if err != nil {
		return oauth.Refuse(oauth.InvalidRequest, "Choose how long the task may last.")
	}
	granted, err := offer.Decide(consent.Decision{Tools: form.All(web.FieldTool), Duration: time.Duration(seconds) * time.Second}, v.User, s.now())
	if errors.Is(err, consent.ErrNothing) {
		return s.deny(w, r, v, offer.Ask, request)
	}
	if errors.Is(err, consent.ErrNotOffered) {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "The answer names something that was not offered.", Cause: err}
	}
	if err != nil {
		return err
	}
	code, err := s.provider.Approve(r.Context(), provider.Approval{
		Client: client, RedirectURI: offer.Ask.RedirectURI, RedirectSent: offer.Ask.RedirectSent,
		Challenge: offer.Ask.Challenge, JKT: offer.Ask.JKT,
		Decision: store.Approval{Request: request, Session: v.ID, Task: granted.Task, Grants: []store.Grant{granted.Grant}},
		Records:  consentRecords(client, offer, granted, seconds),
	})
	if err != nil {
		return requestError(err)
	}
	return s.redirectOut(w, offer.Ask.RedirectURI, offer.Ask.State, url.Values{"code": {code}, "iss": {s.issuer}})
}

// consentRecords tell the ledger what was shown and what was allowed.
func consentRecords(c store.Client, o consent.Offer, g consent.Granted, seconds int) []store.Record {
	shown := make([]string, len(o.Tools))
	for i, t := range o.Tools {
		shown[i] = t.Detail.Tool
	}
	allowed := store.NewRecord("consent.allowed", map[string]any{
		"shown": shown, "left_out": o.LeftOut, "granted": string(g.Grant.Details), "grant": g.Grant.Hash,
		"scope": g.Grant.Scopes, "seconds": seconds, "purpose": g.Task.Purpose, "redirect_uri": o.Ask.RedirectURI,
		"client_name": c.Metadata.ClientName, "client_metadata": metadataDigest(c),
	})
	created := store.NewRecord("task.created", map[string]any{"ends": g.Task.EndsAt.Unix(), "max_calls": g.Task.MaxCalls})
	recs := []store.Record{allowed, created}
	for i := range recs {
		recs[i].Task, recs[i].User, recs[i].Client, recs[i].Agent, recs[i].Resource = g.Task.ID, g.Task.UserID, g.Task.ClientID, g.Task.JKT, g.Grant.Resource
	}
	return recs
}

// deny stores the refusal and tells the client (OAuth 2.1 §4.1.2.1).
func (s *Server) deny(w http.ResponseWriter, r *http.Request, v *visitor, ask consent.Ask, request store.Hash) error {
	rec := store.NewRecord("consent.denied", map[string]any{"purpose": ask.Purpose(), "redirect_uri": ask.RedirectURI})
	rec.User, rec.Client, rec.Agent, rec.Resource = v.User.ID, ask.ClientID, ask.JKT, ask.Resource
	if err := s.store.Deny(r.Context(), request, v.ID, rec); err != nil {
		return requestError(err)
	}
	return s.redirectRefusal(w, r, ask.RedirectURI, ask.State, oauth.Refuse(oauth.AccessDenied, "the user did not allow it"))
}
