package server

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
)

// authorize serves GET and POST /authorize (OAuth 2.1 §4.1.1). Until the redirect URI is vetted a
// refusal is a page; until somebody is signed in, nothing is redirected at all (§7.12.2).
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) error {
	p, err := authorizeParams(r)
	if err != nil {
		return err
	}
	client, err := s.authorizeClient(r, p)
	if err != nil {
		return err
	}
	redirect := ""
	if !p.Has("request_uri") {
		if redirect, _, err = chooseRedirect(client, p); err != nil {
			return err
		}
	}
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if v == nil {
		return s.nobodyYet(w, r, client, p, redirect)
	}
	if p.Has("request_uri") {
		return s.resumeRequest(w, r, v, client, p.Get("request_uri"))
	}
	return s.frontChannel(w, r, v, client, p, redirect)
}

// authorizeParams reads the request from the query, or from the body of a POST.
func authorizeParams(r *http.Request) (oauth.Params, error) {
	if r.Method == http.MethodPost {
		p, refused := oauth.ParseBody(r)
		if refused != nil {
			return p, refused
		}
		return p, nil
	}
	p, refused := oauth.ParseQuery(r.URL.RawQuery)
	if refused != nil {
		return p, refused
	}
	return p, nil
}

// authorizeClient finds the client; the unknown and the disabled get a page.
func (s *Server) authorizeClient(r *http.Request, p oauth.Params) (store.Client, error) {
	client, err := s.findClient(r, p.Get("client_id"))
	if errors.Is(err, store.ErrClientNotFound) || err == nil && client.Disabled {
		return client, &oauth.Error{Code: oauth.InvalidRequest, Description: "The app that sent you here is not known to this server."}
	}
	if err != nil {
		return client, err
	}
	if uri := p.Get("request_uri"); uri != "" && !strings.HasPrefix(uri, oauth.RequestURIPrefix) {
		return client, oauth.Refuse(oauth.RequestURINotSupported, "A request_uri must come from this server's PAR endpoint.")
	}
	if client.Policy.RequirePAR && !p.Has("request_uri") {
		return client, oauth.Refuse(oauth.InvalidRequest, "This app must push its request first (RFC 9126).")
	}
	return client, nil
}

// returnHere is where the browser goes on after signing in: the request itself, nothing else.
func (s *Server) returnHere(p oauth.Params) string {
	if uri := p.Get("request_uri"); uri != "" {
		return s.requestPage(p.Get("client_id"), strings.TrimPrefix(uri, oauth.RequestURIPrefix))
	}
	if _, ok := s.openAsked(p); !ok {
		p = p.With(fieldAsked, s.askedMark(p, s.now().UnixMicro()))
	}
	return s.base + "/authorize?" + p.Encode()
}

// requestPage is the address of a stored request's page.
func (s *Server) requestPage(clientID, secret string) string {
	return s.base + "/authorize?" + url.Values{"client_id": {clientID}, "request_uri": {oauth.RequestURIPrefix + secret}}.Encode()
}

// resumeRequest shows a pushed request. Of the front channel only client_id and request_uri count
// (RFC 9126 §4), and the request is tied to the first browser session that sees it.
func (s *Server) resumeRequest(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, uri string) error {
	secret := strings.TrimPrefix(uri, oauth.RequestURIPrefix)
	held, ask, err := s.pushedAsk(r.Context(), client, uri)
	switch {
	case err != nil:
		return err
	case ask.Silent:
		return s.refuseSilently(w, r, v, client, ask)
	case s.freshEnough(ask, v):
	case held.Session.IsZero(): // nobody has seen it yet, and nobody does before they have signed in
		return s.signInAnew(w, r, client, ask, secret)
	case held.Session == v.ID:
		return s.tooOld(w, r, v, client, ask, held.ID)
	}
	if _, err := s.store.BindRequest(r.Context(), held.ID, client.ID, v.ID); err != nil {
		return requestError(err)
	}
	return s.consider(w, r, v, client, ask, secret)
}

// requestError says what is wrong with a request_uri.
func requestError(err error) error {
	switch {
	case errors.Is(err, store.ErrRequestNotFound):
		return &oauth.Error{Code: oauth.InvalidRequestURI, Description: "This request is not known, or has expired. Go back to the app and start again.", Cause: err}
	case errors.Is(err, store.ErrRequestDecided):
		return &oauth.Error{Code: oauth.InvalidRequestURI, Description: "This request has been answered already.", Cause: err}
	case errors.Is(err, store.ErrRequestBound):
		return &oauth.Error{Code: oauth.InvalidRequestURI, Description: "This request was opened in another browser or account. Go back to the app and start again.", Cause: err}
	}
	return err
}

// frontChannel validates a request that was not pushed, now that somebody is signed in.
func (s *Server) frontChannel(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, p oauth.Params, redirect string) error {
	ask, resources, err := s.readAsk(r.Context(), client, p)
	if err != nil {
		refused := wire(err)
		s.note(r, refused)
		return s.redirectRefusal(w, r, redirect, p.Get("state"), refused)
	}
	ask.RedirectURI, ask.RedirectSent = redirect, p.Has("redirect_uri")
	if ask.Bearer, err = s.asksBearerAt(client, resources, ask.JKT); err != nil {
		return err
	}
	if err := s.checkExtends(r.Context(), ask); err != nil {
		refused := wire(err)
		s.note(r, refused)
		return s.redirectRefusal(w, r, redirect, p.Get("state"), refused)
	}
	if ask.Silent {
		return s.refuseSilently(w, r, v, client, ask)
	}
	if !s.freshEnough(ask, v) {
		secret, err := s.pushRequest(r, ask, store.Hash{})
		if err != nil {
			return err
		}
		return s.signInAnew(w, r, client, ask, secret)
	}
	secret, err := s.pushRequest(r, ask, v.ID)
	if err != nil {
		return err
	}
	return s.consider(w, r, v, client, ask, secret)
}

// redirectRefusal sends a refusal to the vetted redirect URI (OAuth 2.1 §4.1.2.1), naming the issuer
// (RFC 9207 §2).
func (s *Server) redirectRefusal(w http.ResponseWriter, r *http.Request, redirect, state string, e *oauth.Error) error {
	params := url.Values{"error": {string(e.Code)}, "iss": {s.issuer}}
	if e.Description != "" {
		params.Set("error_description", oauth.Printable(e.Description))
	}
	return s.redirectOut(w, redirect, state, params)
}

// redirectOut leaves for the client, by 303 and without a trace in caches or referrers.
func (s *Server) redirectOut(w http.ResponseWriter, redirect, state string, params url.Values) error {
	if len(state) > 0 && len(state) <= maxState {
		params.Set("state", state)
	}
	h := w.Header()
	h.Set("Location", redirectTo(redirect, params))
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// offer rebuilds what the request may be granted, from live state.
func (s *Server) offer(r *http.Request, v *visitor, client store.Client, ask consent.Ask) (consent.Offer, error) {
	resource, err := s.store.ResourceByURI(r.Context(), ask.Resource)
	if errors.Is(err, store.ErrResourceNotFound) || err == nil && resource.Disabled {
		return consent.Offer{}, errors.Join(err, oauth.Refuse(oauth.InvalidTarget, "The server that this request is about is not available."))
	}
	if err != nil {
		return consent.Offer{}, err
	}
	roles, err := s.store.RolesOf(r.Context(), v.User.ID, resource.URI)
	if err != nil {
		return consent.Offer{}, err
	}
	if s.isIdentity(resource.URI) {
		roles = []string{identityRole} // everybody may say who they are
	}
	pol, err := policyOf(resource)
	if err != nil {
		return consent.Offer{}, err
	}
	limit := time.Duration(client.Policy.MaxDuration) * time.Second
	if err := s.unswitched(r.Context(), store.Use{UserID: v.User.ID, Clients: []string{client.ID}, Resources: []string{resource.URI}}); err != nil {
		return consent.Offer{}, err
	}
	rights := newRights(pol, ask, client, roles)
	if rights.off, err = s.toolsOff(r.Context(), resource.URI); err != nil {
		return consent.Offer{}, err
	}
	o := consent.NewOffer(ask, resource, rights, limit)
	if ask.Device != "" || ask.Part || s.isIdentity(ask.Resource) { // always a task of its own
		return o, nil
	}
	return o, s.stepUp(r.Context(), v, &o)
}
