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
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// decide serves POST /consent: the person's answer to what showConsent showed. The form counts
// once, for the session, the request and the very offer that it was made for.
func (s *Server) decide(w http.ResponseWriter, r *http.Request) error {
	v, form, err := s.signedInForm(r)
	if err != nil {
		return err
	}
	if form.Has(fieldRemembered) {
		return s.decideContinued(w, r, v, form)
	}
	secret, digest, earlier := form.Get("request"), form.Get("offer"), form.Get(fieldEarlier)
	if !hmac.Equal([]byte(form.Get("shown")), []byte(s.formToken(v, "consent", secret, digest, earlier))) {
		return errForm
	}
	before, err := openAnswers(earlier)
	if err != nil {
		return errForm
	}
	client, held, ask, err := s.answered(r, form)
	if err != nil {
		return err
	}
	r = speak(r, ask.UILocales)
	if !s.freshEnough(ask, v) {
		return s.tooOld(w, r, v, client, ask, held.ID)
	}
	decision := form.Get(web.FieldDecision)
	if decision == web.More {
		return s.moreTime(w, r, v, client, ask, held, secret, form, before)
	}
	if parts := ask.Parts(); len(before) >= len(parts) {
		return errForm
	} else if len(parts) > 1 {
		return s.decidePart(w, r, v, client, ask, held, secret, form, before, decision == web.Allow)
	}
	if decision != web.Allow && decision != web.End {
		return s.deny(w, r, v, ask, held.ID)
	}
	offer, err := s.offer(r, v, client, ask)
	if errors.Is(err, errNotExtendable) {
		return s.refuseAsk(w, r, v, client, ask, held.ID)
	}
	if err != nil {
		return err
	}
	if decision == web.End {
		return s.endAsked(w, r, v, offer, held.ID)
	}
	if shownDigest(offer, client) != digest {
		return s.showConsent(w, r, v, client, ask, secret, http.StatusConflict, say(r.Context(), textOfferChanged))
	}
	if again, err := s.confirms(r, v, offer, ask, form.All(web.FieldTool)); err != nil {
		return err
	} else if again {
		return s.askAgain(w, r, v, client, ask, form)
	}
	return s.allow(w, r, v, client, offer, held, form)
}

// answered finds the request that a form answers.
func (s *Server) answered(r *http.Request, form oauth.Params) (client store.Client, held store.Request, ask consent.Ask, err error) {
	if client, err = s.store.ClientByID(r.Context(), form.Get("client_id")); err != nil {
		return client, held, ask, err
	}
	if held, err = s.store.RequestByID(r.Context(), store.HashOf(form.Get("request")), client.ID); err != nil {
		return client, held, ask, requestError(err)
	}
	ask, err = consent.DecodeAsk(held.Params)
	return client, held, ask, err
}

// allow stores the decision and sends the code to the client.
func (s *Server) allow(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, offer consent.Offer, held store.Request, form oauth.Params) error {
	d, err := readDecision(offer, form)
	if err != nil {
		return err
	}
	granted, err := offer.Decide(d, v.User, s.now())
	if errors.Is(err, consent.ErrNothing) {
		return s.deny(w, r, v, offer.Ask, held.ID)
	}
	if errors.Is(err, consent.ErrTooMuch) {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "This is more than one task can hold. Go back and allow fewer tools.", Cause: err}
	}
	if errors.Is(err, consent.ErrNotOffered) {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "The answer names something that was not offered.", Cause: err}
	}
	if err != nil {
		return err
	}
	decided := store.Approval{Request: held.ID, Session: v.ID, Task: granted.Task, Grants: []store.Grant{granted.Grant}}
	if offer.Extends != nil {
		decided.Extends = granted.Task.ID
	}
	recs := consentRecords(client, offer, granted, d, "")
	s.fatigue.answered(true, s.now().Sub(held.CreatedAt))
	switch {
	case offer.Ask.Own:
		return s.allowOwn(w, r, v, client, offer.Ask, decided, recs, form.Get("request"))
	case offer.Ask.Device != "":
		return s.allowDevice(w, r, v, offer.Ask, decided, recs)
	}
	kept, more, err := s.toRemember(r.Context(), v, client, offer, d, form)
	if err != nil {
		return err
	}
	decided.Remember = kept
	err = s.sendCode(w, r, v, client, offer.Ask, decided, append(recs, more...))
	if errors.Is(err, store.ErrGrantChanged) { // narrowed while this was read
		return s.showConsent(w, r, v, client, offer.Ask, form.Get("request"), http.StatusConflict, say(r.Context(), textOfferChanged))
	}
	return err
}

// sendCode stores what was decided, and sends the code to the client.
func (s *Server) sendCode(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, ask consent.Ask, decided store.Approval, recs []store.Record) error {
	identity, err := s.identityOf(v, ask, decided.Grants)
	if err != nil {
		return err
	}
	code, err := s.provider.Approve(r.Context(), provider.Approval{
		Client: client, RedirectURI: ask.RedirectURI, RedirectSent: ask.RedirectSent,
		Challenge: ask.Challenge, JKT: ask.JKT, KeyBound: !ask.Bearer, Identity: identity,
		Decision: decided, Records: recs,
	})
	if err != nil && decided.Extends != "" && notExtendable(err) {
		return s.refuseAsk(w, r, v, client, ask, decided.Request)
	}
	if err != nil {
		return requestError(err)
	}
	if decided.Extends == "" {
		s.tellFirst(r, v, client)
	}
	return s.redirectOut(w, ask.RedirectURI, ask.State, url.Values{"code": {code}, "iss": {s.issuer}})
}

// readDecision reads what the person chose: tools, how each may be used, and for how long.
func readDecision(o consent.Offer, form oauth.Params) (d consent.Decision, err error) {
	d.Tools, d.Reads, d.Terms, d.Limits = form.All(web.FieldTool), form.All(web.FieldRead), map[string]consent.Terms{}, map[string]tokens.Constraints{}
	if o.Extends == nil {
		seconds, err := strconv.Atoi(form.Get(web.FieldDuration))
		if err != nil {
			return d, oauth.Refuse(oauth.InvalidRequest, "Choose how long the task may last.")
		}
		d.Duration = time.Duration(seconds) * time.Second
	}
	for _, tool := range d.Tools {
		if d.Terms[tool], err = readTerms(form.Get(web.FieldMode + tool)); err != nil {
			return d, err
		}
		if d.Limits[tool], err = readLimits(o, tool, form); err != nil {
			return d, err
		}
	}
	return d, nil
}

// readTerms reads how one tool may be used: as offered, asked each time, or so many times.
func readTerms(mode string) (consent.Terms, error) {
	switch mode {
	case "", web.ModeTask:
		return consent.Terms{}, nil
	case web.ModeEachCall:
		return consent.Terms{EachCall: true}, nil
	}
	n, err := strconv.Atoi(mode)
	if err != nil || n < 1 || n > 1_000_000 {
		return consent.Terms{}, oauth.Refuse(oauth.InvalidRequest, "Choose how each tool may be used.")
	}
	return consent.Terms{MaxCalls: n}, nil
}

// notExtendable reports whether the store refused because of the task.
func notExtendable(err error) bool {
	return errors.Is(err, store.ErrTaskNotFound) || errors.Is(err, store.ErrTaskNotActive) || errors.Is(err, store.ErrTaskEnded)
}

// consentRecords tell the ledger what was shown and what was allowed.
func consentRecords(c store.Client, o consent.Offer, g consent.Granted, d consent.Decision, remembered string) []store.Record {
	shown := make([]string, len(o.Tools))
	for i, t := range o.Tools {
		shown[i] = t.Detail.Tool
	}
	said := map[string]any{
		"shown": shown, "left_out": o.LeftOut, "granted": string(g.Grant.Details), "grant": g.Grant.Hash,
		"scope": g.Grant.Scopes, "purpose": g.Task.Purpose, "redirect_uri": o.Ask.RedirectURI,
		"client_name": c.Metadata.ClientName, "client_metadata": metadataDigest(c),
	}
	if o.Ask.Own {
		said["asked_by"] = "user" // the client did not
	}
	if remembered != "" { // nothing was asked: it is the choice of that consent
		said["remembered"] = remembered
	}
	var recs []store.Record
	if o.Extends != nil {
		said["extends"] = g.Task.ID
		recs = append(recs, store.NewRecord("consent.allowed", said))
	} else {
		said["seconds"] = int(d.Duration / time.Second)
		recs = append(recs, store.NewRecord("consent.allowed", said),
			store.NewRecord("task.created", map[string]any{"ends": g.Task.EndsAt.Unix(), "max_calls": g.Task.MaxCalls}))
	}
	for i := range recs {
		recs[i].Task, recs[i].User, recs[i].Client, recs[i].Agent, recs[i].Resource = g.Task.ID, g.Task.UserID, g.Task.ClientID, g.Task.JKT, g.Grant.Resource
	}
	return recs
}

// refuseAsk decides a request about a task that cannot be extended any more, and tells the client.
func (s *Server) refuseAsk(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, ask consent.Ask, request store.Hash) error {
	if !redirectAllowed(client, ask.RedirectURI) {
		return errNotExtendable
	}
	return s.denyWith(w, r, v, ask, request, errNotExtendable)
}

// endAsked ends the task that a step-up would have extended, as the user chose instead.
func (s *Server) endAsked(w http.ResponseWriter, r *http.Request, v *visitor, offer consent.Offer, request store.Hash) error {
	if offer.Extends != nil {
		if _, err := s.endOne(r.Context(), offer.Extends.Task.ID, reasonByUser); err != nil {
			return err
		}
	}
	return s.deny(w, r, v, offer.Ask, request)
}

// deny stores the refusal and tells the client (OAuth 2.1 §4.1.2.1).
func (s *Server) deny(w http.ResponseWriter, r *http.Request, v *visitor, ask consent.Ask, request store.Hash) error {
	return s.denyWith(w, r, v, ask, request, oauth.Refuse(oauth.AccessDenied, "the user did not allow it"))
}

func (s *Server) denyWith(w http.ResponseWriter, r *http.Request, v *visitor, ask consent.Ask, request store.Hash, refused *oauth.Error) error {
	said := map[string]any{"purpose": ask.Purpose(), "redirect_uri": ask.RedirectURI}
	if ask.Own {
		said["asked_by"] = "user"
	}
	rec := store.NewRecord("consent.denied", said)
	rec.Task, rec.User, rec.Client, rec.Agent, rec.Resource = ask.Task(), v.User.ID, ask.ClientID, ask.JKT, ask.Resource
	if err := s.store.Deny(r.Context(), request, v.ID, rec); err != nil {
		return requestError(err)
	}
	s.fatigue.answered(false, 0)
	switch {
	case ask.Own:
		http.Redirect(w, r, s.base+"/agents", http.StatusSeeOther)
		return nil
	case ask.Device != "":
		return s.devicePage(w, r, v, say(r.Context(), textDeviceDenied), web.ToneInfo)
	}
	return s.redirectRefusal(w, r, ask.RedirectURI, ask.State, refused)
}
