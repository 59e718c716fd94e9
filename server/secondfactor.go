package server

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/onetime"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

const (
	purposeCode   = "signin-code"   // a password was right
	purposeFactor = "second-factor" // the shared secret at rest, by its user
	codeLife      = 5 * time.Minute
	recoveryCodes = 10
)

// afterPassword is what is known between the password and the code.
type afterPassword struct {
	User     string `json:"u"`
	ReturnTo string `json:"r"`
	Hash     string `json:"h"` // of the password that was right: a changed one voids the step
}

// askCode shows the second step.
func (s *Server) askCode(w http.ResponseWriter, r *http.Request, user store.User, returnTo string) error {
	sealed, err := s.sealFor(purposeCode, afterPassword{user.ID, returnTo, tokens.HashBytes([]byte(user.PasswordHash))}, codeLife)
	if err != nil {
		return err
	}
	return s.codePage(w, r, http.StatusOK, sealed, "")
}

func (s *Server) codePage(w http.ResponseWriter, r *http.Request, status int, sealed, problem string) error {
	return s.render(w, r, status, web.SignInCodePage(web.SignInCode{
		Page: s.frame(r.Context(), nil), Action: s.base + "/signin/code" + wish(r), Error: problem,
		Hidden: []web.Field{{Name: web.FieldSealed, Value: sealed}},
	}))
}

// signInCode serves POST /signin/code.
func (s *Server) signInCode(w http.ResponseWriter, r *http.Request) error {
	form, refused := oauth.ParseForm(r)
	if refused != nil {
		return refused
	}
	var step afterPassword
	if err := s.opened(purposeCode, form.Get(web.FieldSealed), &step); err != nil {
		return err
	}
	// Six digits are few: an account's codes are tried slowly, whoever knows the password.
	wait, err := s.draw(r, bucket{"code:user:" + step.User, 1.0 / 30, 5})
	if err != nil {
		return err
	}
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		return s.codePage(w, r, http.StatusTooManyRequests, form.Get(web.FieldSealed), say(r.Context(), textSignInTooMany))
	}
	user, err := s.store.UserByID(r.Context(), step.User)
	if err != nil {
		return err
	}
	if user.Disabled || tokens.HashBytes([]byte(user.PasswordHash)) != step.Hash {
		return errSealed
	}
	right, err := s.rightCode(r, user, form.Get(web.FieldCode))
	if err != nil {
		return err
	}
	if !right {
		s.refusals.count("/signin/code", "wrong_code")
		return s.codePage(w, r, http.StatusUnauthorized, form.Get(web.FieldSealed), say(r.Context(), textCodeWrong))
	}
	err = s.signedIn(w, r, user, store.ByCode, s.safeReturn(step.ReturnTo))
	if errors.Is(err, store.ErrPasswordChanged) {
		return errSealed
	}
	return err
}

// rightCode spends a one-time or a recovery code of the user.
func (s *Server) rightCode(r *http.Request, user store.User, code string) (bool, error) {
	factor, err := s.store.SecondFactorOf(r.Context(), user.ID)
	if errors.Is(err, store.ErrNoSecondFactor) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	secret, err := s.forms.Open(factor.Sealed, purposeFactor+":"+user.ID)
	if err != nil {
		return false, err
	}
	if step, ok := onetime.Check(string(secret), code, s.now()); ok {
		err = s.store.UseStep(r.Context(), user.ID, step)
	} else {
		rec := about(store.NewRecord("factor.recovery_used", nil), user)
		err = s.store.UseRecoveryCode(r.Context(), user.ID, recoveryHash(user.ID, code), rec)
	}
	if errors.Is(err, store.ErrFactorSpent) {
		return false, nil
	}
	return err == nil, err
}

// recoveryHash is a recovery code as it is kept: of one user, however it was typed.
func recoveryHash(userID, code string) store.Hash {
	return store.HashOf("recovery:" + userID + ":" + onetime.Recovery(code))
}

// about makes the user the subject of a record.
func about(rec store.Record, u store.User) store.Record {
	rec.User = u.ID
	return rec
}

// newRecovery makes recovery codes and what is kept of them.
func newRecovery(userID string) (codes []string, hashes []store.Hash) {
	codes = onetime.RecoveryCodes(recoveryCodes)
	for _, c := range codes {
		hashes = append(hashes, recoveryHash(userID, c))
	}
	return codes, hashes
}

// inGroups writes a secret so that people can copy it.
func inGroups(secret string) string {
	var b strings.Builder
	for i, r := range secret {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
