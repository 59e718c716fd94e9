package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// sessionLife is how long a browser stays signed in.
const sessionLife = 8 * time.Hour

// cookieName is host-bound (RFC 6265bis §4.1.3.2) wherever cookies can be Secure.
func (s *Server) cookieName() string {
	if s.insecure {
		return "remit_session"
	}
	return "__Host-remit_session"
}

// visitor is a signed-in browser.
type visitor struct {
	store.Session
	User   store.User
	secret string // the cookie's value
}

// visitor returns who is signed in; nobody is no error.
func (s *Server) visitor(r *http.Request) (*visitor, error) {
	cookies := r.CookiesNamed(s.cookieName())
	if len(cookies) != 1 || cookies[0].Value == "" {
		return nil, nil
	}
	secret := cookies[0].Value
	session, user, err := s.store.SessionByID(r.Context(), store.HashOf(secret))
	if errors.Is(err, store.ErrSessionNotFound) || errors.Is(err, store.ErrUserDisabled) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &visitor{Session: session, User: user, secret: secret}, nil
}

// startSession signs the user in with a new cookie; one set before is never kept. How it began is told:
// its method, the password that was right, and the provider that vouched.
func (s *Server) startSession(w http.ResponseWriter, r *http.Request, user store.User, began store.Session) error {
	old, err := s.visitor(r)
	if err != nil {
		old = nil
	}
	if old != nil {
		if err := s.store.RemoveSession(r.Context(), old.ID); err != nil {
			return err
		}
	}
	secret := tokens.NewSecret("sid_")
	now := s.now()
	id := store.HashOf(secret)
	push, err := s.keptPush(old, user, id)
	if err != nil {
		return err
	}
	rec := about(store.NewRecord("session.started", map[string]any{"method": began.Method}), user)
	err = s.store.AddSession(r.Context(), store.Session{
		ID: id, UserID: user.ID, AuthTime: now, ExpiresAt: now.Add(sessionLife),
		Method: began.Method, Browser: browserName(r.UserAgent()), Push: push, Upstream: began.Upstream, SID: began.SID, Password: began.Password,
	}, rec)
	if err != nil {
		return err
	}
	http.SetCookie(w, s.sessionCookie(secret, int(sessionLife.Seconds())))
	return nil
}

func (s *Server) sessionCookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: s.cookieName(), Value: value, Path: "/", MaxAge: maxAge,
		Secure: !s.insecure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// signOut serves POST /signout.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) error {
	v, _, err := s.signedInForm(r)
	if err != nil {
		return err
	}
	err = s.store.EndSession(r.Context(), v.User.ID, v.ID, about(store.NewRecord("session.ended", nil), v.User))
	if err != nil && !errors.Is(err, store.ErrSessionNotFound) { // it has ended already
		return err
	}
	http.SetCookie(w, s.sessionCookie("", -1))
	http.Redirect(w, r, s.safeReturn(r.URL.Query().Get("return_to")), http.StatusSeeOther)
	return nil
}

// formToken ties a form to the browser session that it was made for, to its purpose, and to what
// it showed.
func (s *Server) formToken(v *visitor, purpose string, shown ...string) string {
	mac := hmac.New(sha256.New, s.formKey)
	for _, part := range append([]string{v.secret, purpose}, shown...) {
		mac.Write([]byte{byte(len(part) >> 16), byte(len(part) >> 8), byte(len(part))})
		mac.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// errForm is what a form without a right token is told.
var errForm = &oauth.Error{Code: oauth.AccessDenied, Description: "this form was made for another session, or has been used; go back and start again", HTTPStatus: http.StatusForbidden}

// signedInForm reads the form of a signed-in browser and checks that a page of this session made it.
func (s *Server) signedInForm(r *http.Request) (*visitor, oauth.Params, error) {
	form, refused := oauth.ParseForm(r)
	if refused != nil {
		return nil, form, refused
	}
	v, err := s.visitor(r)
	if err != nil {
		return nil, form, err
	}
	if v == nil || !hmac.Equal([]byte(form.Get(web.FieldCSRF)), []byte(s.formToken(v, "page"))) {
		return nil, form, errForm
	}
	return v, form, s.limit(r.Context(), byUser.of("user:"+v.User.ID))
}

// safeReturn keeps only the server's own pages as a place to return to; anything else leads to the
// user's agents.
func (s *Server) safeReturn(raw string) string {
	for _, page := range []string{"/authorize", "/activate", "/agents", "/admin", "/account"} {
		if raw == s.base+page || strings.HasPrefix(raw, s.base+page+"?") || page == "/admin" && s.consolePage(raw) {
			if !strings.ContainsAny(raw, "\\\r\n\t") {
				return raw
			}
		}
	}
	if id, ok := strings.CutPrefix(raw, s.base+"/approvals/"); ok && validID(id, "apv_") {
		return raw
	}
	return s.base + "/agents"
}
