package server

import (
	"context"
	"crypto/hmac"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// A user may let a choice go on for some days (consent.Memory). A request that it answers wholly is
// shown on a short page with a button to go on; where an admin said so for a client of theirs, not even
// that. Whatever is not as it was leads to the page that asks.

// Where a redirect leads, as far as it matters how certain a client is.
const (
	leadsWeb   = "https"
	leadsLocal = "loopback"
	leadsApp   = "scheme"
)

// fieldRemembered names a remembered choice; fieldChange asks for the whole page in its place.
const (
	fieldRemembered = "remembered"
	fieldChange     = "change"
)

// redirectLeads says where a redirect goes; "" where nothing can be said for certain.
func redirectLeads(raw string) (where, host string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || raw == "":
		return "", ""
	case u.Host == "":
		return leadsApp, u.Scheme
	case isLoopbackHost(u.Hostname()):
		return leadsLocal, ""
	case u.Scheme == "https":
		return leadsWeb, u.Host
	}
	return "", ""
}

// rememberGrade is under which grade a choice for this client is remembered; "": under none. A client
// that registered itself can be anybody, and so can whoever answers at another site's address.
func rememberGrade(c store.Client, ask consent.Ask) string {
	where, host := redirectLeads(ask.RedirectURI)
	if where == "" || !ask.Redirects() {
		return ""
	}
	switch c.Origin {
	case store.ByAdmins:
		return c.Grade() + "/" + where
	case store.ByDocument:
		id, err := url.Parse(c.ID)
		if err != nil || where == leadsWeb && !sameSite(id.Hostname(), hostname(host)) {
			return ""
		}
		return c.Grade() + "/" + where
	}
	return ""
}

// rememberLife is for how long a choice for this client may go on; 0: nothing is remembered.
func (s *Server) rememberLife(c store.Client) time.Duration {
	return consent.RememberFor(s.remember, c.Policy.RememberDays)
}

// matchOf names what a choice about this offer is made on: also the client as it describes itself, the
// place that the answer goes to, and the user's roles.
func (s *Server) matchOf(ctx context.Context, v *visitor, client store.Client, offer consent.Offer) (string, error) {
	roles, err := s.store.RolesOf(ctx, v.User.ID, offer.Resource.URI)
	if err != nil {
		return "", err
	}
	where, host := redirectLeads(offer.Ask.RedirectURI)
	return offer.Match(append([]string{client.ID, client.Grade(), metadataDigest(client), where, host}, roles...)...), nil
}

// recalled is what is remembered of one request.
type recalled struct {
	stored store.Remembered
	memory consent.Memory
	offer  consent.Offer
	until  time.Time // when it is over, by what an admin says now
	same   bool      // the offer is the one that was answered
	covers bool      // and nothing is left to ask
}

// recall finds what is remembered for a request; nil: nothing is, or it cannot be read.
func (s *Server) recall(r *http.Request, v *visitor, client store.Client, offer consent.Offer) (*recalled, error) {
	ask := offer.Ask
	grade, life := rememberGrade(client, ask), s.rememberLife(client)
	if grade == "" || life == 0 || s.isIdentity(ask.Resource) || !offer.Memorable() {
		return nil, nil
	}
	stored, err := s.store.RememberedFor(r.Context(), v.User.ID, client.ID, grade, ask.Resource)
	if errors.Is(err, store.ErrNotRemembered) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k := &recalled{stored: stored, offer: offer, until: stored.ExpiresAt}
	if k.memory, err = consent.DecodeMemory(stored.Choice); err != nil {
		s.log.Error("a remembered choice cannot be read", "id", stored.ID, "err", err)
		return nil, nil // ask
	}
	match, err := s.matchOf(r.Context(), v, client, offer)
	if err != nil {
		return nil, err
	}
	if soon := stored.CreatedAt.Add(life); soon.Before(k.until) {
		k.until = soon
	}
	k.same = match != "" && k.memory.Match == match && s.now().Before(k.until)
	k.covers = k.same && !ask.Anew && k.memory.Covers(offer, match) &&
		!k.until.Before(s.now().Add(k.memory.Duration)) && redirectAllowed(client, ask.RedirectURI)
	return k, nil
}

// consider answers the request of somebody who is signed in: by what they let go on, or with the page
// that asks.
func (s *Server) consider(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, ask consent.Ask, secret string) error {
	if len(ask.Targets) == 0 && ask.Task() == "" && !r.URL.Query().Has(fieldChange) {
		offer, err := s.offer(r, v, client, ask)
		switch {
		case errors.Is(err, errNotExtendable): // which the page answers
		case err != nil:
			return err
		default:
			k, err := s.recall(r, v, client, offer)
			if err != nil {
				return err
			}
			if k != nil && k.covers {
				return s.goOn(w, speak(r, ask.UILocales), v, client, k, secret)
			}
		}
	}
	return s.showConsent(w, r, v, client, ask, secret, http.StatusOK, "")
}

// goOn shows the short page, or does without where an admin said so and nobody is worn out yet.
func (s *Server) goOn(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, k *recalled, secret string) error {
	if silent(client, k) {
		worn, err := s.tired(r, v)
		if err != nil {
			return err
		}
		if !worn {
			held, err := s.store.RequestByID(r.Context(), store.HashOf(secret), client.ID)
			if err != nil {
				return requestError(err)
			}
			return s.continueBy(w, r, v, client, k, held, secret)
		}
	}
	s.fatigue.asked(v.User.ID, s.now())
	return s.renderTo(w, r, http.StatusOK, web.ContinuePage(s.continueView(r, v, client, k, secret)), k.offer.Ask.RedirectURI)
}

// silent reports whether the choice goes on without a page: a client of the admin's, told so by name,
// answers at its own place on the web, its token is bound to a key, and nothing leaves the server.
func silent(c store.Client, k *recalled) bool {
	where, _ := redirectLeads(k.offer.Ask.RedirectURI)
	return c.Origin == store.ByAdmins && c.Policy.RememberSilently && where == leadsWeb && !k.offer.Ask.Bearer && k.memory.Inside(k.offer)
}

// continueView is the short page.
func (s *Server) continueView(r *http.Request, v *visitor, client store.Client, k *recalled, secret string) web.Continue {
	ctx, ask, digest := r.Context(), k.offer.Ask, shownDigest(k.offer, client)
	view := web.Continue{
		Page: s.frame(ctx, v), Action: s.base + "/consent",
		Hidden: []web.Field{
			{Name: "request", Value: secret},
			{Name: "client_id", Value: client.ID},
			{Name: "offer", Value: digest},
			{Name: fieldRemembered, Value: k.stored.ID},
			{Name: "shown", Value: s.formToken(v, "continue", secret, digest, k.stored.ID)},
		},
		Client: clientCard(ctx, client, ask),
		Task:   web.TaskCard{Purpose: ask.Purpose(), Resource: k.offer.Resource.Name, ResourceURI: k.offer.Resource.URI},
		For:    durationText(k.memory.Duration), AgentsURL: s.base + "/agents",
		Change: s.requestPage(client.ID, secret) + "&" + fieldChange + "=1",
		Since:  say(ctx, textRememberedSince, sayTime(ctx, k.stored.CreatedAt, formDay), sayTime(ctx, k.until, formMinute)),
	}
	view.SignOut += "?" + url.Values{"return_to": {s.requestPage(client.ID, secret)}}.Encode()
	granted, left := memoryTools(ctx, k.memory, k.offer)
	view.Tools, view.Left = granted, left
	return view
}

// memoryTools are what goes on, with its terms, and what was not allowed.
func memoryTools(ctx context.Context, m consent.Memory, o consent.Offer) (granted []web.LentTool, left []string) {
	titles := toolTitles(o.Resource)
	for _, t := range o.Tools {
		name := t.Detail.Tool
		if !slices.Contains(m.Tools, name) {
			left = append(left, name)
			continue
		}
		d := t.Detail
		d.Constraints = d.Constraints.And(m.Limits[name])
		d.MaxCalls = consent.Least(d.MaxCalls, m.Terms[name].MaxCalls)
		if m.Terms[name].EachCall {
			d.Approval = tokens.ApprovalEachCall
		}
		granted = append(granted, web.LentTool{Name: name, Title: titles[name], Chips: termChips(ctx, d, t.PolicyLimit, notRunning)})
	}
	for _, read := range o.Reads {
		if slices.Contains(m.Reads, read.Scope) {
			granted = append(granted, web.LentTool{Name: read.Scope, Title: read.Title})
		} else {
			left = append(left, read.Scope)
		}
	}
	return granted, left
}

// decideContinued takes the answer to the short page. What has changed since it was shown is asked about.
func (s *Server) decideContinued(w http.ResponseWriter, r *http.Request, v *visitor, form oauth.Params) error {
	secret, digest, id := form.Get("request"), form.Get("offer"), form.Get(fieldRemembered)
	if !hmac.Equal([]byte(form.Get("shown")), []byte(s.formToken(v, "continue", secret, digest, id))) {
		return errForm
	}
	client, held, ask, err := s.answered(r, form)
	if err != nil {
		return err
	}
	r = speak(r, ask.UILocales)
	switch {
	case !s.freshEnough(ask, v):
		return s.tooOld(w, r, v, client, ask, held.ID)
	case form.Get(web.FieldDecision) != web.Allow: // a no to what goes on ends that too
		if err := s.forgetChoice(r.Context(), v, id); err != nil && !errors.Is(err, store.ErrNotRemembered) {
			return err
		}
		return s.deny(w, r, v, ask, held.ID)
	}
	offer, err := s.offer(r, v, client, ask)
	if err != nil {
		return err
	}
	k, err := s.recall(r, v, client, offer)
	if err != nil {
		return err
	}
	if k == nil || !k.covers || k.stored.ID != id || shownDigest(offer, client) != digest {
		return s.showConsent(w, r, v, client, ask, secret, http.StatusConflict, say(r.Context(), textOfferChanged))
	}
	if _, err := s.tired(r, v); err != nil { // it is one more yes
		return err
	}
	return s.continueBy(w, r, v, client, k, held, secret)
}

// continueBy begins a task by what was remembered: by the very same decision, taken on the offer as it
// stands.
func (s *Server) continueBy(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, k *recalled, held store.Request, secret string) error {
	granted, err := k.offer.Decide(k.memory.Decision, v.User, s.now())
	if err == nil {
		recs := consentRecords(client, k.offer, granted, k.memory.Decision, k.stored.ID)
		decided := store.Approval{Request: held.ID, Session: v.ID, Task: granted.Task, Grants: []store.Grant{granted.Grant}, Continues: k.stored.ID}
		err = s.sendCode(w, r, v, client, k.offer.Ask, decided, recs)
	}
	if errors.Is(err, store.ErrNotRemembered) || errors.Is(err, consent.ErrNotOffered) || errors.Is(err, consent.ErrTooMuch) {
		return s.showConsent(w, r, v, client, k.offer.Ask, secret, http.StatusConflict, say(r.Context(), textOfferChanged))
	}
	if err == nil {
		s.fatigue.answered(true, s.now().Sub(held.CreatedAt))
	}
	return err
}

// toRemember is what an answer on the whole page leaves remembered: what only reads, where the user
// ticked that, and otherwise nothing; a former choice is void either way.
func (s *Server) toRemember(ctx context.Context, v *visitor, client store.Client, offer consent.Offer, d consent.Decision, form oauth.Params) (*store.Remembered, []store.Record, error) {
	grade := rememberGrade(client, offer.Ask)
	if grade == "" || offer.Extends != nil || s.isIdentity(offer.Resource.URI) {
		return nil, nil, nil
	}
	kept := &store.Remembered{UserID: v.User.ID, ClientID: client.ID, Grade: grade, Resource: offer.Resource.URI}
	life := s.rememberLife(client)
	if form.Get(web.FieldRemember) == "" || life == 0 {
		return kept, nil, nil
	}
	match, err := s.matchOf(ctx, v, client, offer)
	if err != nil {
		return nil, nil, err
	}
	memory, ok := offer.Remember(d, match)
	if !ok {
		return kept, nil, nil
	}
	memory.Typed = typedLimits(form, memory)
	if kept.Choice, err = memory.Encode(); err != nil {
		return nil, nil, err
	}
	kept.ID, kept.CreatedAt = tokens.NewID("rem_"), s.now()
	kept.ExpiresAt = kept.CreatedAt.Add(life)
	rec := store.NewRecord("consent.remembered", map[string]any{
		"remembered": kept.ID, "tools": memory.Tools, "reads": memory.Reads, "grade": grade, "until": kept.ExpiresAt.Unix(),
	})
	rec.User, rec.Client, rec.Resource = kept.UserID, kept.ClientID, kept.Resource
	return kept, []store.Record{rec}, nil
}

// canRemember is for how many days the page may offer to remember; 0: it does not.
func (s *Server) canRemember(client store.Client, offer consent.Offer) int {
	if rememberGrade(client, offer.Ask) == "" || s.isIdentity(offer.Resource.URI) || !offer.Memorable() {
		return 0
	}
	return int(s.rememberLife(client) / (24 * time.Hour))
}

// typedLimits are the fields of the form that limit what is remembered.
func typedLimits(form oauth.Params, m consent.Memory) string {
	return form.Only(func(name string) bool {
		limit, ok := strings.CutPrefix(name, web.FieldLimit)
		return ok && slices.ContainsFunc(m.Tools, func(tool string) bool { return strings.HasPrefix(limit, tool+".") })
	}).Encode()
}

// fillIn ticks what was allowed before, where the page asks about the same, and returns it; or says that
// it is not the same.
func (s *Server) fillIn(r *http.Request, v *visitor, client store.Client, offer *consent.Offer, notice string) (*consent.Memory, string, error) {
	k, err := s.recall(r, v, client, *offer)
	if err != nil || k == nil {
		return nil, notice, err
	}
	if k.same {
		k.memory.Fill(offer)
		return &k.memory, notice, nil
	}
	return nil, strings.TrimSpace(notice + " " + say(r.Context(), textRememberedNot)), nil
}

// asRemembered fills in what else was chosen: which scopes may be read, and the limits as they were typed.
func asRemembered(m *consent.Memory, view *web.Consent) {
	if m == nil {
		return
	}
	form, refused := oauth.ParseFields(m.Typed)
	if refused != nil {
		return // it was made from a form that was read
	}
	for _, g := range view.Groups {
		for i := range g.Tools {
			switch row := &g.Tools[i]; {
			case row.Field == web.FieldRead:
				row.Ticked = slices.Contains(m.Reads, row.Name)
			case m.Typed != "" && slices.Contains(m.Tools, row.Name):
				fillLimits(form, row)
			}
		}
	}
}
