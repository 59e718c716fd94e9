package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"rsc.io/qr"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/onetime"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

const purposeNewFactor = "new-factor"

// newFactor is a shared secret that its user has not confirmed yet.
type newFactor struct {
	User   string `json:"u"`
	Secret string `json:"s"`
}

// setUpCodes serves GET and POST /account/codes: one-time codes are on once the user has shown that
// the app knows them.
func (s *Server) setUpCodes(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if v == nil {
		return s.signInPage(w, r, http.StatusOK, "", "", "", s.base+"/account")
	}
	if !s.fresh(v) {
		return s.showAccount(w, r, v, http.StatusForbidden, say(r.Context(), textSignInAgain), web.ToneWarn)
	}
	if r.Method == http.MethodGet {
		return s.codesPage(w, r, v, http.StatusOK, newFactor{v.User.ID, onetime.NewSecret()}, "")
	}
	v, form, err := s.signedInForm(r)
	if err != nil {
		return err
	}
	var fresh newFactor
	if err := s.opened(purposeNewFactor, form.Get(web.FieldSealed), &fresh); err != nil {
		return err
	}
	if fresh.User != v.User.ID {
		return errSealed
	}
	if _, ok := onetime.Check(fresh.Secret, form.Get(web.FieldCode), s.now()); !ok {
		return s.codesPage(w, r, v, http.StatusBadRequest, fresh, say(r.Context(), textCodeWrong))
	}
	return s.keepFactor(w, r, v, fresh.Secret, "factor.added")
}

func (s *Server) codesPage(w http.ResponseWriter, r *http.Request, v *visitor, status int, f newFactor, problem string) error {
	sealed, err := s.sealFor(purposeNewFactor, f, codeLife)
	if err != nil {
		return err
	}
	square, side, err := qrPath(onetime.URI(f.Secret, s.operator, v.User.Email))
	if err != nil {
		return err
	}
	return s.render(w, r, status, web.SetUpCodesPage(web.SetUpCodes{
		Page: s.frame(r.Context(), v), Action: s.base + "/account/codes", Hidden: []web.Field{{Name: web.FieldSealed, Value: sealed}},
		Square: square, Side: side, Secret: inGroups(f.Secret), Error: problem,
	}))
}

// keepFactor stores the second factor with new recovery codes, and shows them this once.
func (s *Server) keepFactor(w http.ResponseWriter, r *http.Request, v *visitor, secret, kind string) error {
	sealed, err := s.forms.Seal([]byte(secret), purposeFactor+":"+v.User.ID)
	if err != nil {
		return err
	}
	codes, hashes := newRecovery(v.User.ID)
	err = s.store.PutSecondFactor(r.Context(), store.SecondFactor{UserID: v.User.ID, Sealed: sealed, CreatedAt: s.now()}, hashes,
		about(store.NewRecord(kind, nil), v.User))
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, web.RecoveryPage(web.Recovery{Page: s.frame(r.Context(), v), Codes: codes, Back: s.base + "/account"}))
}

// renewRecovery replaces the recovery codes; the shared secret stays.
func (s *Server) renewRecovery(w http.ResponseWriter, r *http.Request, v *visitor) error {
	factor, err := s.store.SecondFactorOf(r.Context(), v.User.ID)
	if errors.Is(err, store.ErrNoSecondFactor) {
		return oauth.Refuse(oauth.InvalidRequest, "One-time codes are off.")
	}
	if err != nil {
		return err
	}
	secret, err := s.forms.Open(factor.Sealed, purposeFactor+":"+v.User.ID)
	if err != nil {
		return err
	}
	return s.keepFactor(w, r, v, string(secret), "factor.recovery_renewed")
}

// qrPath draws a text as a QR code: the dark squares as one SVG path.
func qrPath(text string) (path string, side int, err error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", 0, err
	}
	var b strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				b.WriteString("M" + strconv.Itoa(x) + " " + strconv.Itoa(y) + "h1v1h-1z")
			}
		}
	}
	return b.String(), code.Size, nil
}

// hasCodes reports whether the user has a second factor.
func (s *Server) hasCodes(ctx context.Context, userID string) (bool, error) {
	_, err := s.store.SecondFactorOf(ctx, userID)
	if errors.Is(err, store.ErrNoSecondFactor) {
		return false, nil
	}
	return err == nil, err
}
