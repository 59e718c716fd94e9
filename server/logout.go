package server

import (
	"context"
	"crypto/hmac"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// leaving is a client's wish that its user signs out here (OpenID Connect RP-Initiated Logout 1.0 §2).
type leaving struct {
	client  store.Client
	back    string // registered for the client, exactly; empty: nowhere
	state   string
	vouched bool // the client showed an ID token of ours
}

// logout serves GET and POST /logout. Any site can send a browser here, so that nobody is signed out
// before they have said so on this server's own page; and no address is gone to that the client has not
// registered.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	p, err := authorizeParams(r)
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost && !p.Has(web.FieldCSRF) { // its browser brings no cookie across sites
		http.Redirect(w, r, s.base+"/logout?"+p.Encode(), http.StatusSeeOther)
		return nil
	}
	l, err := s.readLeaving(r.Context(), p)
	if err != nil {
		return err
	}
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if v == nil {
		return s.signedOut(w, r, l, l.vouched)
	}
	seal := s.formToken(v, "logout", l.client.ID, l.back, l.state)
	if r.Method == http.MethodPost {
		if !hmac.Equal([]byte(p.Get(web.FieldCSRF)), []byte(seal)) {
			return errForm
		}
		err = s.store.EndSession(r.Context(), v.User.ID, v.ID, about(store.NewRecord("session.ended", map[string]any{"client": l.client.ID}), v.User))
		if err != nil && !errors.Is(err, store.ErrSessionNotFound) {
			return err
		}
		http.SetCookie(w, s.sessionCookie("", -1))
		return s.signedOut(w, r, l, true)
	}
	page := s.frame(r.Context(), v)
	page.CSRF = seal
	view := web.Message{
		Page: page, Title: say(r.Context(), textLogoutTitle), Text: say(r.Context(), textLogout), Tone: web.ToneInfo,
		Form: &web.MessageForm{Action: s.base + "/logout", Button: say(r.Context(), textLogoutButton)},
	}
	for _, name := range []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state"} {
		if p.Has(name) {
			view.Form.Hidden = append(view.Form.Hidden, web.Field{Name: name, Value: p.Get(name)})
		}
	}
	return s.renderTo(w, r, http.StatusOK, web.MessagePage(view), l.back)
}

// readLeaving holds the request to what the client has registered.
func (s *Server) readLeaving(ctx context.Context, p oauth.Params) (l leaving, err error) {
	id := p.Get("client_id")
	if hint := p.Get("id_token_hint"); hint != "" {
		aud, err := s.openIDToken(hint)
		if err != nil || id != "" && id != aud {
			return l, &oauth.Error{Code: oauth.InvalidRequest, Description: "The id_token_hint is not one of this server's, or is another app's.", Cause: err}
		}
		id, l.vouched = aud, true
	}
	l.back, l.state = p.Get("post_logout_redirect_uri"), p.Get("state")
	if len(l.state) > maxState {
		return l, oauth.Refuse(oauth.InvalidRequest, "state is longer than 4 KiB")
	}
	if id == "" {
		if l.back != "" {
			return l, oauth.Refuse(oauth.InvalidRequest, "Nobody says which app wants you back.")
		}
		return l, nil
	}
	l.client, err = s.store.ClientByID(ctx, id)
	if errors.Is(err, store.ErrClientNotFound) || err == nil && l.client.Disabled {
		return l, &oauth.Error{Code: oauth.InvalidRequest, Description: "The app that sent you here is not known to this server."}
	}
	if err == nil && l.back != "" && (CheckRedirectURI(l.back) != nil || !slices.Contains(l.client.Metadata.PostLogoutRedirectURIs, l.back)) {
		return l, oauth.Refuse(oauth.InvalidRequest, "post_logout_redirect_uri is not registered for this client")
	}
	return l, err
}

// openIDToken returns whom an ID token of ours was issued to. An expired one still tells (§4).
func (s *Server) openIDToken(raw string) (aud string, err error) {
	payload, _, err := s.ring.Keys().Verify(raw, "JWT")
	if err != nil {
		return "", err
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
	}
	if err := tokens.CheckJSON(payload); err != nil {
		return "", err
	}
	m, err := readMembers(payload)
	if err == nil {
		err = errors.Join(m.read("iss", &claims.Issuer), m.read("aud", &claims.Audience))
	}
	if err == nil && (claims.Issuer != s.issuer || claims.Audience == "" || !m.has("auth_time")) {
		err = errors.New("server: no ID token of ours")
	}
	return claims.Audience, err
}

// signedOut goes back to the client, or says that it is done. Without a session, only a client that
// could show an ID token gets the browser: this is no way to bounce it anywhere.
func (s *Server) signedOut(w http.ResponseWriter, r *http.Request, l leaving, redirect bool) error {
	if l.back != "" && redirect {
		return s.redirectOut(w, l.back, strings.TrimSpace(l.state), url.Values{})
	}
	return s.render(w, r, http.StatusOK, web.MessagePage(web.Message{
		Page: s.frame(r.Context(), nil), Title: say(r.Context(), textSignedOutTitle), Text: say(r.Context(), textSignedOut), Tone: web.ToneOK,
	}))
}
