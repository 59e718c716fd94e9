package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/passkey"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// The purposes of a sealed ceremony.
const (
	purposePasskeyIn  = "passkey-signin"
	purposePasskeyAdd = "passkey-add"
)

// ceremony is what is known between the two steps of one.
type ceremony struct {
	User  string `json:"u,omitempty"` // who adds a passkey
	State []byte `json:"s"`
}

// passkeySignIn begins a ceremony for the sign-in page.
func (s *Server) passkeySignIn() (web.Ceremony, error) {
	if !s.passkeys.Able() {
		return web.Ceremony{}, nil
	}
	options, state, err := s.passkeys.BeginSignIn()
	if err != nil {
		return web.Ceremony{}, err
	}
	sealed, err := s.sealFor(purposePasskeyIn, ceremony{State: state}, passkey.Life)
	return web.Ceremony{Action: s.base + "/signin/passkey", Options: string(options), State: sealed}, err
}

// signInPasskey serves POST /signin/passkey. A passkey with its user's presence and verification is
// two factors, so nothing more is asked.
func (s *Server) signInPasskey(w http.ResponseWriter, r *http.Request) error {
	form, refused := oauth.ParseForm(r)
	if refused != nil {
		return refused
	}
	returnTo := s.safeReturn(form.Get(web.FieldReturnTo))
	wait, err := s.draw(r, bucket{"signin:address:" + s.clientAddress(r), 1, 60})
	if err != nil {
		return err
	}
	if wait > 0 {
		return s.signInPage(w, r, http.StatusTooManyRequests, "", say(r.Context(), textSignInTooMany), "", returnTo)
	}
	user, err := s.passkeyUser(r.Context(), form)
	if errors.Is(err, passkey.ErrRefused) || errors.Is(err, passkey.ErrCloned) || errors.Is(err, store.ErrPasskeyNotFound) ||
		errors.Is(err, store.ErrPasskeyChanged) || errors.Is(err, store.ErrUserDisabled) {
		s.refusals.count("/signin/passkey", "refused")
		s.log.Info("passkey refused", "err", err)
		return s.signInPage(w, r, http.StatusUnauthorized, "", say(r.Context(), textPasskeyWrong), "", returnTo)
	}
	if err != nil {
		return err
	}
	return s.signedIn(w, r, user, store.ByPasskey, returnTo)
}

// passkeyUser checks the answer to a ceremony of ours, spends both, and returns whose passkey it is.
func (s *Server) passkeyUser(ctx context.Context, form oauth.Params) (store.User, error) {
	var c ceremony
	if err := s.openedOnce(ctx, purposePasskeyIn, form.Get(web.FieldSealed), &c, passkey.Life); err != nil {
		return store.User{}, err
	}
	var held store.Passkey
	var user store.User
	id, is, err := s.passkeys.SignIn(c.State, []byte(form.Get(web.FieldCredential)), func(id []byte) (passkey.User, error) {
		var err error
		held, user, err = s.store.PasskeyByID(ctx, id)
		return passkey.User{ID: user.ID, Email: user.Email, Name: user.Name, Credentials: [][]byte{held.Credential}}, err
	})
	if err != nil {
		return store.User{}, err
	}
	if user.Disabled {
		return store.User{}, store.ErrUserDisabled
	}
	return user, s.store.UsePasskey(ctx, id, held.Credential, is)
}

// passkeyParty is the user as the ceremonies know one.
func (s *Server) passkeyParty(ctx context.Context, u store.User) (passkey.User, []store.Passkey, error) {
	held, err := s.store.PasskeysOf(ctx, u.ID)
	party := passkey.User{ID: u.ID, Email: u.Email, Name: u.Name}
	for _, p := range held {
		party.Credentials = append(party.Credentials, p.Credential)
	}
	return party, held, err
}

// passkeyAdd begins a ceremony for the account page.
func (s *Server) passkeyAdd(party passkey.User) (web.Ceremony, error) {
	if !s.passkeys.Able() {
		return web.Ceremony{}, nil
	}
	options, state, err := s.passkeys.BeginCreate(party)
	if err != nil {
		return web.Ceremony{}, err
	}
	sealed, err := s.sealFor(purposePasskeyAdd, ceremony{User: party.ID, State: state}, passkey.Life)
	return web.Ceremony{Action: s.base + "/account", Options: string(options), State: sealed}, err
}

// maxPasskeys bounds how many passkeys one user has.
const maxPasskeys = 20

// addPasskey keeps the passkey that the browser has made.
func (s *Server) addPasskey(r *http.Request, v *visitor, form oauth.Params) (string, error) {
	var c ceremony
	if err := s.openedOnce(r.Context(), purposePasskeyAdd, form.Get(web.FieldSealed), &c, passkey.Life); err != nil {
		return "", err
	}
	if c.User != v.User.ID {
		return "", errSealed
	}
	party, held, err := s.passkeyParty(r.Context(), v.User)
	if err != nil {
		return "", err
	}
	if len(held) >= maxPasskeys {
		return "", oauth.Refuse(oauth.InvalidRequest, "You have as many passkeys as this server keeps. Remove one first.")
	}
	id, credential, err := s.passkeys.Create(party, c.State, []byte(form.Get(web.FieldCredential)))
	if errors.Is(err, passkey.ErrRefused) {
		s.log.Info("passkey not added", "err", err)
		return "", oauth.Refuse(oauth.InvalidRequest, "The browser's answer was not accepted. Try again.")
	}
	if err != nil {
		return "", err
	}
	name := cutName(form.Get(web.FieldName))
	err = s.store.AddPasskey(r.Context(), store.Passkey{ID: id, UserID: v.User.ID, Name: name, Credential: credential, CreatedAt: s.now()},
		about(store.NewRecord("passkey.added", map[string]any{"name": name}), v.User))
	if errors.Is(err, store.ErrPasskeyExists) {
		return "", oauth.Refuse(oauth.InvalidRequest, "This passkey is registered already.")
	}
	return say(r.Context(), textPasskeyAdded), err
}

// cutName is a name that a person gave, cut to what is kept.
func cutName(name string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.TrimSpace(name)))
	return string(runes[:min(len(runes), 64)])
}

// freshFor is how long after signing in a person may change how they sign in.
const freshFor = 10 * time.Minute

// fresh reports whether the browser signed in just now.
func (s *Server) fresh(v *visitor) bool { return s.now().Sub(v.AuthTime) <= freshFor }
