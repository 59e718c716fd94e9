package server

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// signInPage asks who is there; afterwards the browser returns to where it was.
func (s *Server) signInPage(w http.ResponseWriter, r *http.Request, status int, email, problem, clientHost, returnTo string) error {
	return s.render(w, r, status, web.SignInPage(web.SignIn{
		Page: s.frame(nil), Action: s.base + "/signin",
		Hidden: []web.Field{{Name: "return_to", Value: returnTo}},
		Email:  email, Error: problem, ClientHost: clientHost,
	}))
}

// signIn serves POST /signin.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) error {
	form, refused := oauth.ParseForm(r)
	if refused != nil {
		return refused
	}
	email, returnTo := strings.TrimSpace(form.Get("email")), s.safeReturn(form.Get("return_to"))
	if wait, err := s.signInAllowed(r, email); err != nil {
		return err
	} else if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		return s.signInPage(w, r, http.StatusTooManyRequests, email, textSignInTooMany, "", returnTo)
	}
	user, err := s.store.UserByEmail(r.Context(), email)
	if err != nil && !errors.Is(err, store.ErrUserNotFound) {
		return err
	}
	ok, err := s.passwords.verify(r.Context(), form.Get("password"), user.PasswordHash)
	if err != nil {
		return err
	}
	if !ok || user.Disabled {
		s.refusals.count("/signin", "wrong_password")
		return s.signInPage(w, r, http.StatusUnauthorized, email, textSignInWrong, "", returnTo)
	}
	if err := s.startSession(w, r, user); err != nil {
		return err
	}
	s.rememberBrowser(w, email)
	http.Redirect(w, r, returnTo, http.StatusSeeOther) // 303, never 307: the password must not travel on
	return nil
}

// signInAllowed slows down guessing: per address, and per account or browser known to it, refilling,
// so that nobody can be locked out for ever. What an address may no longer try counts against no account.
func (s *Server) signInAllowed(r *http.Request, email string) (time.Duration, error) {
	who := "signin:account:" + strings.ToLower(email)
	if mark := s.knownBrowser(r, email); mark != "" {
		who = "signin:known:" + mark
	}
	for _, bucket := range []struct {
		key   string
		rate  float64 // per second
		burst int
	}{
		{"signin:address:" + s.clientAddress(r), 1, 60},
		{who, 1.0 / 6, 10},
	} {
		ok, wait, err := s.ephemeral.Take(r.Context(), bucket.key, bucket.rate, bucket.burst)
		if err != nil {
			return 0, replayUnknown(err)
		}
		if !ok {
			return max(wait, time.Second), nil
		}
	}
	return 0, nil
}
