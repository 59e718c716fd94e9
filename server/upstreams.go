package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/upstream"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

const (
	purposeUpstream = "upstream"
	attemptLife     = 10 * time.Minute
)

// openUpstreams checks the providers that the operator named.
func (s *Server) openUpstreams(configs []upstream.Config, roots *x509.CertPool) error {
	s.upstreams = make(map[string]*upstream.Provider, len(configs))
	for _, c := range configs {
		p, err := upstream.New(c, s.url("/signin/from/"+c.Name), roots, s.insecure, s.now)
		if err != nil {
			return err
		}
		if s.upstreams[c.Name] != nil {
			return errors.New("server: two upstream providers are named " + c.Name)
		}
		s.upstreams[c.Name] = p
		s.providers = append(s.providers, c.Name)
	}
	return nil
}

// providerLinks are the ways to each provider; link: to link an identity instead of signing in.
func (s *Server) providerLinks(link, returnTo string) (links []web.Link) {
	for _, name := range s.providers {
		q := url.Values{}
		if link != "" {
			q.Set("link", link)
		}
		if returnTo != "" {
			q.Set(web.FieldReturnTo, returnTo)
		}
		links = append(links, web.Link{Text: s.upstreams[name].Title, Href: s.base + "/signin/with/" + name + "?" + q.Encode()})
	}
	return links
}

func (s *Server) attemptCookie(value string, maxAge int) *http.Cookie {
	name := "__Host-remit_attempt"
	if s.insecure {
		name = "remit_attempt"
	}
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		Secure: !s.insecure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// signInWith serves GET /signin/with/{provider}: off to the provider, with what must come back sealed
// in a cookie of this browser (OpenID Connect Core 1.0 §3.1.2.1).
func (s *Server) signInWith(w http.ResponseWriter, r *http.Request) error {
	p := s.upstreams[chi.URLParam(r, "provider")]
	if p == nil {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: say(r.Context(), textNoProvider), HTTPStatus: http.StatusNotFound}
	}
	attempt := upstream.Attempt{
		Provider: p.Name, State: rand.Text(), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text(),
		ReturnTo: s.safeReturn(r.URL.Query().Get(web.FieldReturnTo)),
	}
	if token := r.URL.Query().Get("link"); token != "" {
		v, err := s.visitor(r)
		if err != nil {
			return err
		}
		if v == nil || !s.fresh(v) || !hmac.Equal([]byte(token), []byte(s.formToken(v, "link"))) {
			return errForm
		}
		attempt.Link = v.User.ID
	}
	to, err := p.Start(r.Context(), attempt)
	if err != nil {
		return upstreamError(r.Context(), err)
	}
	sealed, err := s.sealFor(purposeUpstream, attempt, attemptLife)
	if err != nil {
		return err
	}
	http.SetCookie(w, s.attemptCookie(sealed, int(attemptLife.Seconds())))
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// signInFrom serves GET /signin/from/{provider}: the browser comes back with a code. It must be the
// browser that left, and the answer to what it left with, once (RFC 9700 §4.7, §4.4).
func (s *Server) signInFrom(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	cookies := r.CookiesNamed(s.attemptCookie("", 0).Name)
	if len(cookies) != 1 {
		return errSealed
	}
	var attempt upstream.Attempt
	if err := s.openedOnce(r.Context(), purposeUpstream, cookies[0].Value, &attempt, attemptLife); err != nil {
		return err
	}
	http.SetCookie(w, s.attemptCookie("", -1))
	p := s.upstreams[attempt.Provider]
	if p == nil || attempt.Provider != chi.URLParam(r, "provider") || len(q["state"]) != 1 || !hmac.Equal([]byte(q.Get("state")), []byte(attempt.State)) {
		return errSealed
	}
	if iss := q.Get("iss"); iss != "" && iss != p.Issuer { // RFC 9207 §2.4
		return errSealed
	}
	if q.Get("error") != "" || len(q["code"]) != 1 {
		return s.signInPage(w, r, http.StatusUnauthorized, "", say(r.Context(), textProviderDenied), "", attempt.ReturnTo)
	}
	who, err := p.Finish(r.Context(), attempt, q.Get("code"))
	if errors.Is(err, upstream.ErrNotAllowed) {
		return s.shutOut(w, r, p, who, attempt)
	}
	if err != nil {
		return upstreamError(r.Context(), err)
	}
	if attempt.Link != "" {
		return s.linkIdentity(w, r, p, who, attempt)
	}
	return s.admit(w, r, p, who, attempt)
}

func upstreamError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, upstream.ErrUnreachable):
		return &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: say(ctx, textProviderDown), Cause: err}
	case errors.Is(err, upstream.ErrRefused):
		return &oauth.Error{Code: oauth.AccessDenied, Description: say(ctx, textProviderRefused), HTTPStatus: http.StatusForbidden, Cause: err}
	}
	return err
}

// admit signs in whoever has this identity, and adds them where the operator lets the provider do so.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, p *upstream.Provider, who upstream.Person, attempt upstream.Attempt) error {
	_, err := s.store.UserByUpstream(r.Context(), who.Issuer, who.Subject)
	if errors.Is(err, store.ErrUserNotFound) && (!p.AddUsers || who.Email == "") {
		return s.signInPage(w, r, http.StatusUnauthorized, "", say(r.Context(), textProviderUnknown), "", attempt.ReturnTo)
	}
	if err != nil && !errors.Is(err, store.ErrUserNotFound) {
		return err
	}
	fresh := store.User{ID: tokens.NewID("usr_"), Email: who.Email, Name: cutName(who.Name), ConsoleRole: store.RoleUser, CreatedAt: s.now()}
	rec := about(store.NewRecord("user.added", map[string]any{"by": "provider", "provider": p.Name}), fresh)
	user, err := s.store.AdmitUpstream(r.Context(), store.Upstream{
		Issuer: who.Issuer, Subject: who.Subject, User: fresh, Roles: rolesOfGroups(p.Config, who.Groups),
	}, rec)
	switch {
	case errors.Is(err, store.ErrUserExists):
		return s.signInPage(w, r, http.StatusUnauthorized, "", say(r.Context(), textProviderTaken), "", attempt.ReturnTo)
	case errors.Is(err, store.ErrUserDisabled):
		return s.signInPage(w, r, http.StatusUnauthorized, "", say(r.Context(), textProviderUnknown), "", attempt.ReturnTo)
	case err != nil:
		return err
	}
	began := store.Session{Method: store.ByProvider, Upstream: who.Issuer, SID: who.SID}
	return s.signedInBy(w, r, user, began, attempt.ReturnTo)
}

// linkIdentity gives the signed-in user the identity, and nobody else: not by an e-mail that matches.
func (s *Server) linkIdentity(w http.ResponseWriter, r *http.Request, p *upstream.Provider, who upstream.Person, attempt upstream.Attempt) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if v == nil || v.User.ID != attempt.Link {
		return errSealed
	}
	err = s.store.LinkUpstream(r.Context(), v.User.ID, who.Issuer, who.Subject,
		about(store.NewRecord("identity.linked", map[string]any{"provider": p.Name}), v.User))
	if errors.Is(err, store.ErrUserExists) {
		return oauth.Refuse(oauth.InvalidRequest, say(r.Context(), textIdentityTaken))
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, s.base+"/account?told=linked", http.StatusSeeOther)
	return nil
}

// shutOut refuses somebody who is in none of the groups that may sign in, and disables the user they
// were: with that, their tasks end.
func (s *Server) shutOut(w http.ResponseWriter, r *http.Request, p *upstream.Provider, who upstream.Person, attempt upstream.Attempt) error {
	user, err := s.store.UserByUpstream(r.Context(), who.Issuer, who.Subject)
	if err == nil && !user.Disabled {
		rec := about(store.NewRecord("user.disabled", map[string]any{"by": "provider", "provider": p.Name}), user)
		_, err = s.store.DisableUser(r.Context(), user.ID, true, rec)
	}
	if err != nil && !errors.Is(err, store.ErrUserNotFound) && !errors.Is(err, store.ErrLastAdmin) {
		return err
	}
	return s.signInPage(w, r, http.StatusUnauthorized, "", say(r.Context(), textProviderUnknown), "", attempt.ReturnTo)
}

// rolesOfGroups are the roles here that these groups there stand for.
func rolesOfGroups(c upstream.Config, groups []string) (at []store.TaskRoles) {
	for _, g := range c.Roles {
		if !slices.Contains(groups, g.Group) {
			continue
		}
		i := slices.IndexFunc(at, func(r store.TaskRoles) bool { return r.Resource == g.Resource })
		if i < 0 {
			at, i = append(at, store.TaskRoles{Resource: g.Resource}), len(at)
		}
		at[i].Roles = append(at[i].Roles, g.Roles...)
	}
	return at
}
