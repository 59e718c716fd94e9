package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/mail"
	"net/url"
	"strings"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// setUpCode opens the page that makes the first admin. It is the same on every instance, and worth
// nothing once there is a user.
func (s *Server) setUpCode() string {
	mac := hmac.New(sha256.New, s.formKey)
	mac.Write([]byte("set-up"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

// SetUpURL is where the operator makes the first admin; empty when there are users.
func (s *Server) SetUpURL(ctx context.Context) (string, error) {
	found, err := s.store.HasUsers(ctx)
	if err != nil || found {
		return "", err
	}
	return s.url("/setup?" + url.Values{"code": {s.setUpCode()}}.Encode()), nil
}

// setUp serves GET and POST /setup. Without the code, or once there is a user, there is no such page.
func (s *Server) setUp(w http.ResponseWriter, r *http.Request) error {
	form, refused := oauth.ParseForm(r)
	code := form.Get("code")
	if r.Method == http.MethodGet {
		code, refused = r.URL.Query().Get("code"), nil
	}
	if refused != nil {
		return refused
	}
	open, err := s.SetUpURL(r.Context())
	if err != nil {
		return err
	}
	if open == "" || !hmac.Equal([]byte(code), []byte(s.setUpCode())) {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "There is no such page, or this server is set up already. Its operator makes a user an admin by `remit user role`.", HTTPStatus: http.StatusNotFound}
	}
	view := web.SetUp{
		Page: s.frame(r.Context(), nil), Action: s.base + "/setup", Hidden: []web.Field{{Name: "code", Value: code}},
		Email: strings.TrimSpace(form.Get(web.FieldEmail)), Name: cutName(form.Get(web.FieldName)),
	}
	if r.Method == http.MethodGet {
		return s.render(w, r, http.StatusOK, web.SetUpPage(view))
	}
	return s.firstAdmin(w, r, view, form.Get(web.FieldPassword))
}

func (s *Server) firstAdmin(w http.ResponseWriter, r *http.Request, view web.SetUp, password string) error {
	hash, err := HashPassword(password)
	if err != nil {
		view.Error = say(r.Context(), textPasswordLength)
	}
	if address, err := mail.ParseAddress(view.Email); err != nil || address.Address != view.Email || view.Name == "" {
		view.Error = say(r.Context(), textSetUpWrong)
	}
	if view.Error != "" {
		return s.render(w, r, http.StatusBadRequest, web.SetUpPage(view))
	}
	admin := store.User{
		ID: tokens.NewID("usr_"), Email: view.Email, Name: view.Name, PasswordHash: hash, ConsoleRole: store.RoleAdmin, CreatedAt: s.now(),
	}
	err = s.store.AddFirstAdmin(r.Context(), admin, about(store.NewRecord("user.added", map[string]any{"by": "set-up", "console_role": string(admin.ConsoleRole)}), admin))
	if errors.Is(err, store.ErrSetUp) {
		return oauth.Refuse(oauth.InvalidRequest, "This server is set up already. Sign in instead.")
	}
	if err != nil {
		return err
	}
	return s.signedIn(w, r, admin, store.ByPassword, s.base+"/account")
}
