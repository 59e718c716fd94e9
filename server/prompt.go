package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// What a client may say of the sign-in (OpenID Connect Core 1.0 §3.1.2.1). With prompt=consent nothing
// that is remembered counts, and prompt=none can only be refused.
const (
	promptNone          = "none"
	promptLogin         = "login"
	promptConsent       = "consent"
	promptSelectAccount = "select_account"
)

// Bounds of what is only kept.
const (
	maxHint  = 320 // an e-mail address
	maxNonce = 1 << 10
)

// fieldAsked carries, through a sign-in, when a request came that was not pushed.
const fieldAsked = "remit_asked"

// readPrompt reads what the client says of the sign-in.
func (s *Server) readPrompt(p oauth.Params, ask *consent.Ask) error {
	prompts := strings.Fields(p.Get("prompt"))
	for _, one := range prompts {
		switch one {
		case promptNone:
			ask.Silent = true
		case promptLogin, promptSelectAccount: // one browser has one account: choosing is signing in
			ask.SignIn = true
		case promptConsent:
			ask.Anew = true
		default:
			return oauth.Refuse(oauth.InvalidRequest, "prompt is none, or of login, consent and select_account")
		}
	}
	if ask.Silent && len(prompts) > 1 {
		return oauth.Refuse(oauth.InvalidRequest, "prompt=none stands alone")
	}
	if raw := p.Get("max_age"); raw != "" {
		seconds, err := strconv.ParseInt(raw, 10, 32)
		if err != nil || seconds < 0 {
			return oauth.Refuse(oauth.InvalidRequest, "max_age is a number of seconds")
		}
		ask.MaxAge = &seconds
	}
	ask.LoginHint, ask.UILocales, ask.Nonce = p.Get("login_hint"), p.Get("ui_locales"), p.Get("nonce")
	if len(ask.LoginHint) > maxHint || len(ask.UILocales) > maxHint {
		return oauth.Refuse(oauth.InvalidRequest, "login_hint or ui_locales is too long")
	}
	if len(ask.Nonce) > maxNonce {
		return oauth.Refuse(oauth.InvalidRequest, "nonce is longer than 1 KiB")
	}
	ask.AskedAt = s.now().UnixMicro()
	if !p.Has("request_uri") {
		if at, ok := s.openAsked(p); ok {
			ask.AskedAt = at
		}
	}
	return nil
}

// freshEnough reports whether the session is as new as the request wants it: made for this very
// request, or, where the request only says how old it may be, young enough now.
func (s *Server) freshEnough(ask consent.Ask, v *visitor) bool {
	if !v.AuthTime.Before(time.UnixMicro(ask.AskedAt)) {
		return true
	}
	if ask.SignIn {
		return false
	}
	return ask.MaxAge == nil || s.now().Sub(v.AuthTime) <= time.Duration(*ask.MaxAge)*time.Second
}

// askedMark says when a request came that was not pushed, so that a sign-in on the way counts for it.
func (s *Server) askedMark(p oauth.Params, at int64) string {
	mac := hmac.New(sha256.New, s.formKey)
	mac.Write([]byte("asked\x00" + strconv.FormatInt(at, 10) + "\x00" + p.Without(fieldAsked).Encode()))
	return strconv.FormatInt(at, 10) + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// openAsked reads the mark, while the request would still wait had it been pushed.
func (s *Server) openAsked(p oauth.Params) (int64, bool) {
	mark := p.Get(fieldAsked)
	text, _, _ := strings.Cut(mark, ".")
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !hmac.Equal([]byte(mark), []byte(s.askedMark(p, at))) {
		return 0, false
	}
	age := s.now().Sub(time.UnixMicro(at))
	return at, age >= 0 && age < requestLife
}

// refuseSilently answers prompt=none (OpenID Connect Core 1.0 §3.1.2.6): no page is ever shown for it,
// and Remit never lends without asking.
func (s *Server) refuseSilently(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, ask consent.Ask) error {
	refused := oauth.Refuse(oauth.ConsentRequired, "every task is asked about; send the user without prompt=none")
	if v == nil || !s.freshEnough(ask, v) {
		refused = oauth.Refuse(oauth.LoginRequired, "the user has to sign in; send the user without prompt=none")
	}
	// An app that nobody vouched for does not get to bounce a browser off this server before anybody
	// has signed in (OAuth 2.1 §7.12.2).
	if !redirectAllowed(client, ask.RedirectURI) || v == nil && client.Origin != store.ByAdmins {
		return refused
	}
	s.note(r, refused)
	return s.redirectRefusal(w, r, ask.RedirectURI, ask.State, refused)
}

// signInAnew sends the browser to sign in once more, and back to the stored request.
func (s *Server) signInAnew(w http.ResponseWriter, r *http.Request, client store.Client, ask consent.Ask, secret string) error {
	to := url.Values{web.FieldReturnTo: {s.requestPage(client.ID, secret)}}
	if ask.LoginHint != "" {
		to.Set("login_hint", ask.LoginHint)
	}
	if ask.UILocales != "" {
		to.Set(fieldLocales, ask.UILocales)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, s.base+"/signin?"+to.Encode(), http.StatusSeeOther)
	return nil
}

// tooOld answers the client of a request whose page was open for longer than its max_age. The request
// is tied to a session that cannot become younger, so it is over.
func (s *Server) tooOld(w http.ResponseWriter, r *http.Request, v *visitor, client store.Client, ask consent.Ask, request store.Hash) error {
	refused := oauth.Refuse(oauth.LoginRequired, "the sign-in is older than this request allows; ask again")
	if !redirectAllowed(client, ask.RedirectURI) {
		return refused
	}
	return s.denyWith(w, r, v, ask, request, refused)
}

// pushedAsk reads a pushed request without touching it.
func (s *Server) pushedAsk(ctx context.Context, client store.Client, uri string) (store.Request, consent.Ask, error) {
	held, err := s.store.RequestByID(ctx, store.HashOf(strings.TrimPrefix(uri, oauth.RequestURIPrefix)), client.ID)
	if err != nil {
		return held, consent.Ask{}, requestError(err)
	}
	ask, err := consent.DecodeAsk(held.Params)
	return held, ask, err
}

// nobodyYet answers a request before anybody has signed in: with the page to do so, or, where no page
// may be shown, with a refusal.
func (s *Server) nobodyYet(w http.ResponseWriter, r *http.Request, client store.Client, p oauth.Params, redirect string) error {
	hint, locales := p.Get("login_hint"), p.Get(fieldLocales)
	if uri := p.Get("request_uri"); uri != "" {
		_, ask, err := s.pushedAsk(r.Context(), client, uri)
		if err == nil && ask.Silent {
			return s.refuseSilently(w, r, nil, client, ask)
		}
		hint, locales = ask.LoginHint, ask.UILocales // an unknown request is refused once somebody has signed in
	} else if slices.Contains(strings.Fields(p.Get("prompt")), promptNone) {
		return s.refuseSilently(w, r, nil, client, consent.Ask{RedirectURI: redirect, State: p.Get("state")})
	}
	return s.signInPage(w, speak(r, locales), http.StatusOK, hint, "", clientHost(r.Context(), client), s.returnHere(p))
}
