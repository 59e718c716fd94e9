package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// An authorization request may be about several resources (RFC 8707 §2). Each has a page of its own and
// a decision of its own; what was decided so far travels in the form, under the same seal as what the
// form showed, and only the last page stores anything: one task, with one grant per resource.

// maxResources of one request; each is a page to read.
const maxResources = 5

// fieldEarlier holds what was decided on the pages before.
const fieldEarlier = "earlier"

// answered is the decision about one resource; without a Form, nothing is allowed there.
type answered struct {
	Offer string `json:"offer"` // digest of what was shown
	Form  string `json:"form,omitempty"`
}

// decisionFields of the form are what readDecision reads.
func decisionFields(form oauth.Params, o consent.Offer) string {
	return form.Only(func(name string) bool {
		return name == web.FieldDuration || name == web.FieldTool || name == web.FieldRead ||
			slices.ContainsFunc(o.Tools, func(t consent.Tool) bool {
				return name == web.FieldMode+t.Detail.Tool || slices.Contains(limitNames(t), name)
			})
	}).Encode()
}

// sealAnswers makes the answers a hidden field's value; none is the empty one.
func sealAnswers(all []answered) string {
	if len(all) == 0 {
		return ""
	}
	raw, err := json.Marshal(all)
	if err != nil {
		return "?" // never read
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// openAnswers reads them back; whoever calls has checked the seal.
func openAnswers(field string) (all []answered, err error) {
	if field == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(field)
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	return all, err
}

// partChosen is what was decided about one resource, with the offer that it was decided on.
type partChosen struct {
	offer   consent.Offer
	choice  consent.Decision
	granted consent.Granted
}

// errOfferChanged says that what was shown before is not what would be shown now.
var errOfferChanged = errors.New("server: an earlier part of the request would be shown differently now")

// chosen rebuilds the offers that were answered, and returns those of which something was allowed, with
// how long the task may last by what was chosen so far.
func (s *Server) chosen(r *http.Request, v *visitor, client store.Client, parts []consent.Ask, all []answered) (kept []partChosen, limit time.Duration, err error) {
	for i, a := range all {
		if a.Form == "" {
			continue
		}
		offer, err := s.offerPart(r, v, client, parts[i], limit)
		if err != nil {
			return nil, 0, err
		}
		if shownDigest(offer, client) != a.Offer {
			return nil, 0, errOfferChanged
		}
		form, refused := oauth.ParseFields(a.Form)
		if refused != nil {
			return nil, 0, refused
		}
		d, err := readDecision(offer, form)
		if err != nil {
			return nil, 0, err
		}
		kept, limit = append(kept, partChosen{offer: offer, choice: d}), d.Duration
	}
	return kept, limit, nil
}

// offerPart is the offer of one of several resources.
func (s *Server) offerPart(r *http.Request, v *visitor, client store.Client, part consent.Ask, limit time.Duration) (consent.Offer, error) {
	offer, err := s.offer(r, v, client, part)
	offer.Within(limit)
	return offer, err
}

// decidePart takes the answer about one of several resources, and goes on to the next.
func (s *Server) decidePart(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, ask consent.Ask, held store.Request, secret string, form oauth.Params, all []answered, allow bool) error {
	parts := ask.Parts()
	kept, limit, err := s.chosen(r, v, client, parts, all)
	if errors.Is(err, errOfferChanged) {
		return s.showConsent(w, r, v, client, ask, secret, http.StatusConflict, say(r.Context(), textOfferChanged))
	}
	if err != nil {
		return err
	}
	one := answered{Offer: form.Get("offer")}
	if allow {
		offer, err := s.offerPart(r, v, client, parts[len(all)], limit)
		if err != nil {
			return err
		}
		if shownDigest(offer, client) != one.Offer {
			return s.showPart(w, r, v, client, ask, secret, http.StatusConflict, say(r.Context(), textOfferChanged), all)
		}
		if again, err := s.confirms(r, v, offer, ask, form.All(web.FieldTool)); err != nil {
			return err
		} else if again {
			return s.askAgain(w, r, v, client, ask, form)
		}
		d, err := readDecision(offer, form)
		if err != nil {
			return err
		}
		switch _, err := offer.Decide(d, v.User, s.now()); {
		case errors.Is(err, consent.ErrNotOffered):
			return &oauth.Error{Code: oauth.InvalidRequest, Description: "The answer names something that was not offered.", Cause: err}
		case errors.Is(err, consent.ErrNothing):
		case err != nil:
			return err
		default:
			one.Form = decisionFields(form, offer)
			kept, limit = append(kept, partChosen{offer: offer, choice: d}), d.Duration
		}
	}
	if all = append(all, one); len(all) < len(parts) {
		return s.showPart(w, r, v, client, ask, secret, http.StatusOK, "", all)
	}
	return s.allowParts(w, r, v, client, ask, held, kept, limit)
}

// allowParts stores what was decided about all resources: one task, one grant each.
func (s *Server) allowParts(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, ask consent.Ask, held store.Request, kept []partChosen, life time.Duration) error {
	if len(kept) == 0 {
		return s.deny(w, r, v, ask, held.ID)
	}
	decided := store.Approval{Request: held.ID, Session: v.ID}
	var recs []store.Record
	for i := range kept {
		k := &kept[i]
		k.choice.Duration = life
		var err error
		if k.granted, err = k.offer.Decide(k.choice, v.User, s.now()); err != nil {
			return err
		}
		if i == 0 {
			decided.Task = k.granted.Task
		}
		k.granted.Task, k.granted.Grant.TaskID = decided.Task, decided.Task.ID
		decided.Grants = append(decided.Grants, k.granted.Grant)
		said := consentRecords(client, k.offer, k.granted, k.choice, "")
		if i > 0 {
			said = said[:1] // the task is created once
		}
		recs = append(recs, said...)
	}
	for _, part := range ask.Parts() {
		if !slices.ContainsFunc(decided.Grants, func(g store.Grant) bool { return g.Resource == part.Resource }) {
			rec := store.NewRecord("consent.denied", map[string]any{"purpose": ask.Purpose(), "redirect_uri": ask.RedirectURI})
			rec.Task, rec.User, rec.Client, rec.Agent, rec.Resource = decided.Task.ID, v.User.ID, ask.ClientID, ask.JKT, part.Resource
			recs = append(recs, rec)
		}
	}
	s.fatigue.answered(true, s.now().Sub(held.CreatedAt))
	if ask.Device != "" {
		return s.allowDevice(w, r, v, ask, decided, recs)
	}
	return s.sendCode(w, r, v, client, ask, decided, recs)
}

// readParts aims a request at each of its resources.
func (s *Server) readParts(ctx context.Context, client store.Client, ask consent.Ask, uris []string) (consent.Ask, []store.Resource, error) {
	switch {
	case len(uris) > maxResources:
		return ask, nil, oauth.Refuse(oauth.InvalidTarget, fmt.Sprintf("ask for at most %d resources", maxResources))
	case ask.Task() != "":
		return ask, nil, oauth.Refuse(oauth.InvalidAuthorizationDetails, "a running task is extended at one resource at a time")
	case slices.ContainsFunc(ask.Details.Tools, func(t tokens.ToolDetail) bool { return len(t.Locations) == 0 }):
		return ask, nil, oauth.Refuse(oauth.InvalidAuthorizationDetails, "with several resources, each mcp_tool names its own in locations")
	}
	known := map[string]bool{"offline_access": true}
	ask.Resource = uris[0]
	var resources []store.Resource
	theirs := slices.DeleteFunc(slices.Clone(ask.Scopes), func(scope string) bool { return scope == "offline_access" || isIdentityScope(scope) })
	for _, uri := range uris {
		resource, err := s.findResource(ctx, client, uri)
		if err != nil {
			return ask, nil, err
		}
		pol, err := policyOf(resource)
		if err != nil {
			return ask, nil, err
		}
		target := consent.Target{Resource: uri}
		for _, scope := range ask.Scopes {
			if pol.ScopeKnown(scope) && mayHave(client, scope) {
				known[scope], target.Scopes = true, append(target.Scopes, scope)
			}
		}
		part := ask.Details.For(uri)
		if len(theirs) > 0 && len(target.Scopes) == 0 && len(part.Tools) == 0 {
			return ask, nil, oauth.Refuse(oauth.InvalidScope, "none of the scopes is known at one of the resources; ask for it by itself")
		}
		if err := checkTools(part, resource); err != nil {
			return ask, nil, err
		}
		ask.Targets, resources = append(ask.Targets, target), append(resources, resource)
	}
	if slices.ContainsFunc(ask.Scopes, func(scope string) bool { return !known[scope] }) {
		return ask, nil, oauth.Refuse(oauth.InvalidScope, "a scope is not known at these resources, or not open to this client")
	}
	return ask, resources, nil
}
