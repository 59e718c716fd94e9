package server

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// account serves GET /account: how the user signs in, and where they are signed in.
func (s *Server) account(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if v == nil {
		return s.signInPage(w, r, http.StatusOK, "", "", "", s.base+"/account")
	}
	return s.showAccount(w, r, v, http.StatusOK, say(r.Context(), textAccountTold[r.URL.Query().Get("told")]), web.ToneOK)
}

func (s *Server) showAccount(w http.ResponseWriter, r *http.Request, v *visitor, status int, notice, tone string) error {
	ctx := r.Context()
	party, held, err := s.passkeyParty(ctx, v.User)
	if err != nil {
		return err
	}
	factor, err := s.store.SecondFactorOf(ctx, v.User.ID)
	if err != nil && !errors.Is(err, store.ErrNoSecondFactor) {
		return err
	}
	sessions, err2 := s.store.SessionsOf(ctx, v.User.ID)
	if err2 != nil {
		return err2
	}
	view := web.Account{
		Page: s.frame(r.Context(), v), Action: s.base + "/account", Notice: notice, NoticeTone: tone,
		HasCodes: err == nil, Recovery: factor.RecoveryLeft, CodeURL: s.base + "/account/codes",
		Password: v.User.PasswordHash != "", ExportURL: s.base + "/account/export",
		Push: s.pushView(v),
	}
	if !s.fresh(v) {
		view.Stale = s.base + "/signin?" + url.Values{web.FieldReturnTo: {s.base + "/account"}}.Encode()
	} else {
		if view.Passkey, err = s.passkeyAdd(party); err != nil {
			return err
		}
		view.Identities = s.providerLinks(s.formToken(v, "link"), "")
	}
	for _, p := range held {
		row := web.PasskeyRow{ID: base64.RawURLEncoding.EncodeToString(p.ID), Name: p.Name, Added: clock(r.Context(), p.CreatedAt)}
		if !p.UsedAt.IsZero() {
			row.Used = clock(r.Context(), p.UsedAt)
		}
		view.Passkeys = append(view.Passkeys, row)
	}
	for _, session := range sessions {
		view.Sessions = append(view.Sessions, web.SessionRow{
			ID: session.ID.String(), Browser: session.Browser, How: say(r.Context(), textSignedInBy[session.Method]),
			Since: clock(r.Context(), session.AuthTime), Here: session.ID == v.ID,
		})
	}
	return s.renderLive(w, r, status, web.AccountPage(view))
}

// accountAction is one thing that the account page does.
type accountAction struct {
	do    func(*Server, *http.Request, *visitor, oauth.Params) (notice string, err error)
	fresh bool // for a browser that signed in just now
}

// accountActions are all of them, but for those that answer with a page of their own.
var accountActions = map[string]accountAction{
	web.ActionPasskeyAdd:    {(*Server).addPasskey, true},
	web.ActionPasskeyRemove: {(*Server).removePasskey, true},
	web.ActionCodesRemove:   {(*Server).removeCodes, true},
	web.ActionPassword:      {(*Server).changePassword, true},
	web.ActionSessionEnd:    {(*Server).endSession, false},
	web.ActionSessionsEnd:   {(*Server).endSessions, false},
	web.ActionPushOn:        {(*Server).addPush, false},
	web.ActionPushOff:       {(*Server).removePush, false},
}

// changeAccount serves POST /account.
func (s *Server) changeAccount(w http.ResponseWriter, r *http.Request) error {
	v, form, err := s.signedInForm(r)
	if err != nil {
		return err
	}
	name := form.Get(web.FieldAction)
	switch {
	case name == web.ActionStopAll:
		return s.stopAll(w, r, v)
	case name == web.ActionRecovery && s.fresh(v):
		return s.renewRecovery(w, r, v)
	}
	action, ok := accountActions[name]
	if !ok && name != web.ActionRecovery {
		return oauth.Refuse(oauth.InvalidRequest, "Choose what to do.")
	}
	if !ok || action.fresh && !s.fresh(v) {
		return s.showAccount(w, r, v, http.StatusForbidden, say(r.Context(), textSignInAgain), web.ToneWarn)
	}
	notice, err := action.do(s, r, v, form)
	if refusal, ok := errors.AsType[*oauth.Error](err); ok {
		s.note(r, refusal)
		return s.showAccount(w, r, v, refusal.Status(), refusal.Description, web.ToneBad)
	}
	if err != nil {
		return err
	}
	return s.showAccount(w, r, v, http.StatusOK, notice, web.ToneOK)
}

func (s *Server) removePasskey(r *http.Request, v *visitor, form oauth.Params) (string, error) {
	id, err := base64.RawURLEncoding.DecodeString(form.Get(web.FieldID))
	if err == nil {
		err = s.store.RemovePasskey(r.Context(), v.User.ID, id, about(store.NewRecord("passkey.removed", nil), v.User))
	}
	if err != nil && !errors.Is(err, store.ErrPasskeyNotFound) {
		return "", err
	}
	return say(r.Context(), textPasskeyRemoved), nil
}

func (s *Server) removeCodes(r *http.Request, v *visitor, _ oauth.Params) (string, error) {
	err := s.store.RemoveSecondFactor(r.Context(), v.User.ID, about(store.NewRecord("factor.removed", nil), v.User))
	if err != nil && !errors.Is(err, store.ErrNoSecondFactor) {
		return "", err
	}
	return say(r.Context(), textCodesRemoved), nil
}

// changePassword asks for the old one again: who holds a browser for a minute must not keep the account.
func (s *Server) changePassword(r *http.Request, v *visitor, form oauth.Params) (string, error) {
	if v.User.PasswordHash != "" {
		wait, err := s.signInAllowed(r, v.User.Email)
		if err != nil {
			return "", err
		}
		if wait > 0 {
			return "", errTooMany
		}
		right, err := s.passwords.verify(r.Context(), form.Get(web.FieldPassword), v.User.PasswordHash)
		if err != nil {
			return "", err
		}
		if !right {
			return "", oauth.Refuse(oauth.InvalidRequest, say(r.Context(), textPasswordWrong))
		}
	}
	hash, err := HashPassword(form.Get(web.FieldNewPassword))
	if err != nil {
		return "", oauth.Refuse(oauth.InvalidRequest, say(r.Context(), textPasswordLength))
	}
	v.User.PasswordHash = hash
	return say(r.Context(), textPasswordChanged), s.store.SetPassword(r.Context(), v.User.ID, hash, v.ID, about(store.NewRecord("password.changed", nil), v.User))
}

func (s *Server) endSession(r *http.Request, v *visitor, form oauth.Params) (string, error) {
	var id store.Hash
	if n, err := hex.Decode(id[:], []byte(form.Get(web.FieldID)[:min(len(form.Get(web.FieldID)), 2*len(id))])); err != nil || n != len(id) {
		return "", oauth.Refuse(oauth.InvalidRequest, "There is no such session.")
	}
	err := s.store.EndSession(r.Context(), v.User.ID, id, about(store.NewRecord("session.ended", nil), v.User))
	if err != nil && !errors.Is(err, store.ErrSessionNotFound) {
		return "", err
	}
	return say(r.Context(), textSessionEnded), nil
}

func (s *Server) endSessions(r *http.Request, v *visitor, _ oauth.Params) (string, error) {
	_, err := s.store.EndSessions(r.Context(), v.User.ID, v.ID, about(store.NewRecord("session.ended", map[string]any{"all_but": "this"}), v.User))
	return say(r.Context(), textSessionsEnded), err
}

// stopAll signs the user out everywhere and ends all their tasks: tasks first, so that no agent goes
// on while nobody is there to see it.
func (s *Server) stopAll(w http.ResponseWriter, r *http.Request, v *visitor) error {
	if _, err := s.endAll(r.Context(), v); err != nil {
		return err
	}
	if _, err := s.store.EndSessions(r.Context(), v.User.ID, store.Hash{}, about(store.NewRecord("session.ended", map[string]any{"all": true}), v.User)); err != nil {
		return err
	}
	http.SetCookie(w, s.sessionCookie("", -1))
	http.Redirect(w, r, s.base+"/agents", http.StatusSeeOther)
	return nil
}
