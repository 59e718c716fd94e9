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
	return s.showSignIn(w, r, status, web.SignIn{Email: email, Error: problem, ClientHost: clientHost}, returnTo)
}

// showSignIn completes the page with all ways to sign in.
func (s *Server) showSignIn(w http.ResponseWriter, r *http.Request, status int, view web.SignIn, returnTo string) error {
	passkey, err := s.passkeySignIn()
	if err != nil {
		return err
	}
	view.Page, view.Action, view.Passkey = s.frame(r.Context(), nil), s.base+"/signin"+wish(r), passkey
	view.Hidden = []web.Field{{Name: web.FieldReturnTo, Value: returnTo}}
	view.Providers = s.providerLinks("", returnTo)
	return s.renderScripted(w, r, status, web.SignInPage(view))
}

// askSignIn serves GET /signin, for those who want to sign in, or must again.
func (s *Server) askSignIn(w http.ResponseWriter, r *http.Request) error {
	returnTo := s.safeReturn(r.URL.Query().Get(web.FieldReturnTo))
	view := web.SignIn{}
	if hint := r.URL.Query().Get("login_hint"); len(hint) <= maxHint {
		view.Email = hint
	}
	if v, err := s.visitor(r); err != nil {
		return err
	} else if v != nil {
		view.Notice = say(r.Context(), textSignInAgain)
		if view.Email == "" {
			view.Email = v.User.Email
		}
	}
	return s.showSignIn(w, r, http.StatusOK, view, returnTo)
}

// signIn serves POST /signin: the password, and after it a code where the user has a second factor.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) error {
	form, refused := oauth.ParseForm(r)
	if refused != nil {
		return refused
	}
	email, returnTo := strings.TrimSpace(form.Get(web.FieldEmail)), s.safeReturn(form.Get(web.FieldReturnTo))
	if wait, err := s.signInAllowed(r, email); err != nil {
		return err
	} else if wait > 0 {
		seconds := int(wait/time.Second) + 1
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		return s.signInPage(w, r, http.StatusTooManyRequests, email, say(r.Context(), textSignInHeld, seconds), "", returnTo)
	}
	user, err := s.store.UserByEmail(r.Context(), email)
	if err != nil && !errors.Is(err, store.ErrUserNotFound) {
		return err
	}
	ok, err := s.passwords.verify(r.Context(), form.Get(web.FieldPassword), user.PasswordHash)
	if err != nil {
		return err
	}
	if ok && !user.Disabled {
		err = s.passwordRight(w, r, user, returnTo)
	}
	if !ok || user.Disabled || errors.Is(err, store.ErrPasswordChanged) {
		s.refusals.count("/signin", "wrong_password")
		return s.signInPage(w, r, http.StatusUnauthorized, email, say(r.Context(), textSignInWrong), "", returnTo)
	}
	return err
}

// passwordRight signs in who has no second factor, and asks the others for a code.
func (s *Server) passwordRight(w http.ResponseWriter, r *http.Request, user store.User, returnTo string) error {
	_, err := s.store.SecondFactorOf(r.Context(), user.ID)
	if errors.Is(err, store.ErrNoSecondFactor) {
		return s.signedIn(w, r, user, store.ByPassword, returnTo)
	}
	if err != nil {
		return err
	}
	return s.askCode(w, r, user, returnTo)
}

// signedIn begins the session and sends the browser back to where it was: by 303, never 307, so that
// no password travels on.
func (s *Server) signedIn(w http.ResponseWriter, r *http.Request, user store.User, method, returnTo string) error {
	began := store.Session{Method: method}
	if method == store.ByPassword || method == store.ByCode {
		began.Password = user.PasswordHash
	}
	return s.signedInBy(w, r, user, began, returnTo)
}

// signedInBy is signedIn for a session that a provider may end.
func (s *Server) signedInBy(w http.ResponseWriter, r *http.Request, user store.User, began store.Session, returnTo string) error {
	if err := s.startSession(w, r, user, began); err != nil {
		return err
	}
	s.rememberBrowser(w, user.Email)
	http.Redirect(w, r, returnTo, http.StatusSeeOther)
	return nil
}

// signInAllowed slows down guessing: per address, and per account or browser known to it, refilling,
// so that nobody can be locked out for ever. What an address may no longer try counts against no account.
func (s *Server) signInAllowed(r *http.Request, email string) (time.Duration, error) {
	who := "signin:account:" + store.EmailKey(email)
	if mark := s.knownBrowser(r, email); mark != "" {
		who = "signin:known:" + mark
	}
	return s.draw(r, bucket{"signin:address:" + s.clientAddress(r), 1, 60}, bucket{who, 1.0 / 6, 10})
}

// bucket is what attempts draw from.
type bucket struct {
	key   string
	rate  float64 // per second
	burst int
}

// draw takes one from each bucket in turn, and says how long to wait for the first that is empty.
func (s *Server) draw(r *http.Request, buckets ...bucket) (time.Duration, error) {
	for _, b := range buckets {
		ok, wait, err := s.ephemeral.Take(r.Context(), b.key, b.rate, b.burst)
		if err != nil {
			return 0, replayUnknown(err)
		}
		if !ok {
			return max(wait, time.Second), nil
		}
	}
	return 0, nil
}
