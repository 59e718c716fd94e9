package server

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// activatePage serves GET /activate: where the code that a device shows is typed (RFC 8628 §3.3). A code
// in the address is only filled in: the person still sends it.
func (s *Server) activatePage(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	code, _ := readUserCode(r.URL.Query().Get(web.FieldUserCode))
	if v == nil {
		back := s.base + "/activate"
		if code != "" {
			back += "?user_code=" + code
		}
		return s.signInPage(w, r, http.StatusOK, "", "", "", back)
	}
	return s.askUserCode(w, r, v, http.StatusOK, code, "")
}

func (s *Server) askUserCode(w http.ResponseWriter, r *http.Request, v *visitor, status int, code, problem string) error {
	view := web.Activate{Page: s.frame(r.Context(), v), Action: s.base + "/activate", UserCode: code, Error: problem}
	if spelled, ok := readUserCode(code); ok && problem == "" {
		var err error
		if view.Square, view.Side, err = qrPath(s.url("/activate?user_code=" + spelled)); err != nil {
			return err
		}
	}
	return s.render(w, r, status, web.ActivatePage(view))
}

// activate serves POST /activate: a right code leads to the consent page, as any request does.
func (s *Server) activate(w http.ResponseWriter, r *http.Request) error {
	v, form, err := s.signedInForm(r)
	if err != nil {
		return err
	}
	typed := form.Get(web.FieldUserCode)
	if err := s.limit(r.Context(), limit{"activate:user:" + v.User.ID, 1.0 / 30, 10}, limit{"activate:address:" + s.clientAddress(r), 0.2, 30}); err != nil {
		return err
	}
	code, ok := readUserCode(typed)
	if !ok {
		return s.askUserCode(w, r, v, http.StatusBadRequest, typed, say(r.Context(), textDeviceCode))
	}
	d, err := s.store.DeviceByUserCode(r.Context(), hashUserCode(code))
	if errors.Is(err, store.ErrUserCodeNotFound) {
		return s.askUserCode(w, r, v, http.StatusBadRequest, typed, say(r.Context(), textDeviceCode))
	}
	if err != nil {
		return err
	}
	client, err := s.store.ClientByID(r.Context(), d.ClientID)
	if err != nil {
		return err
	}
	if client.Disabled {
		return s.askUserCode(w, r, v, http.StatusBadRequest, typed, say(r.Context(), textDeviceCode))
	}
	ask, err := consent.DecodeAsk(d.Params)
	if err != nil {
		return err
	}
	secret, err := s.pushRequest(r, ask, v.ID)
	if err != nil {
		return err
	}
	return s.showConsent(w, r, v, client, ask, secret, http.StatusOK, "")
}

// activateQR serves GET /activate/qr/{code}: the page's address with the code, as an image to scan.
func (s *Server) activateQR(w http.ResponseWriter, r *http.Request) error {
	code, ok := readUserCode(chi.URLParam(r, "code"))
	if !ok {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "this is no user code", HTTPStatus: http.StatusNotFound}
	}
	image, err := qrImage(s.url("/activate?user_code=" + code))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_, err = w.Write([]byte(image))
	return err
}

// qrImage draws text as an SVG with the border that scanners want.
func qrImage(text string) (string, error) {
	path, side, err := qrPath(text)
	if err != nil {
		return "", err
	}
	all := side + 8
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="-4 -4 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M-4-4h%dv%dh-%dz"/><path d="%s"/></svg>`, all, all, all, all, all, path), nil
}

// allowDevice stores the decision; the device hears of it when it polls next.
func (s *Server) allowDevice(w http.ResponseWriter, r *http.Request, v *visitor, ask consent.Ask, decided store.Approval, recs []store.Record) error {
	id, ok := parseHash(ask.Device)
	if !ok {
		return errors.New("server: a device code that is no hash")
	}
	d, err := s.store.DeviceByID(r.Context(), id)
	if err != nil {
		return err
	}
	identity, err := s.identityOf(v, ask, decided.Grants)
	if err != nil {
		return err
	}
	decided.Code = store.Code{
		ID: id, TaskID: decided.Task.ID, ClientID: ask.ClientID, JKT: ask.JKT, KeyBound: !ask.Bearer, Identity: identity,
		CreatedAt: s.now(), ExpiresAt: d.ExpiresAt,
	}
	if err := s.store.Approve(r.Context(), decided, recs...); err != nil {
		return requestError(err)
	}
	return s.devicePage(w, r, v, say(r.Context(), textDeviceAllowed), web.ToneOK)
}

func (s *Server) devicePage(w http.ResponseWriter, r *http.Request, v *visitor, text, tone string) error {
	return s.render(w, r, http.StatusOK, web.MessagePage(web.Message{
		Page: s.frame(r.Context(), v), Title: web.ActivateTitle(r.Context()), Text: text, Tone: tone, Links: []web.Link{{Text: web.YourAgentsTitle(r.Context()), Href: s.base + "/agents"}},
	}))
}

func parseHash(text string) (h store.Hash, ok bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(h) {
		return h, false
	}
	copy(h[:], raw)
	return h, true
}

// pairingWords are three short words that follow from the device code alone, so that page and device
// show the same without telling each other.
func pairingWords(id store.Hash) string {
	sum := tokens.HashBytes([]byte("pairing:" + id.String()))
	raw := store.HashOf(sum)
	return words[raw[0]%64] + " " + words[64+raw[1]%64] + " " + words[raw[2]%64]
}
