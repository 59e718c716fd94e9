package server

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/provider"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// Device authorization (RFC 8628) is for agents without a browser, and the grant that phishing likes
// best: whoever makes a code can send it to somebody else. So the proof at /device fixes the key that
// may poll, the page says that the origin is unknown, and both sides show the same words.

const (
	deviceLife   = 10 * time.Minute
	pollInterval = 5 // seconds
	// userCodeLetters are 20 consonants (RFC 8628 §6.1): no words, and none that looks like another.
	// Eight of them are 34 bits; a code lives ten minutes, and a user may try one every half minute.
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLength  = 8
)

// device serves POST /device (RFC 8628 §3.1).
func (s *Server) device(w http.ResponseWriter, r *http.Request) error {
	p, refused := oauth.ParseBody(r)
	if refused != nil {
		return refused
	}
	client, err := s.authenticateClient(r, p)
	if err != nil {
		return err
	}
	if !provider.MayUse(client, oauth.GrantDeviceCode) {
		return oauth.Refuse(oauth.UnauthorizedClient, "the client is not registered for the device grant, or its policy does not allow it")
	}
	jkt, err := s.proveKey(w, r, "/device", "", s.mayBearer(client))
	if err != nil {
		return err
	}
	ask, resources, err := s.readTargets(r.Context(), client, p, consent.Ask{ClientID: client.ID, JKT: jkt})
	if err != nil {
		return err
	}
	if ask.Details.Task != nil && ask.Details.Task.Task != "" {
		return oauth.Refuse(oauth.InvalidAuthorizationDetails, "a running task is extended at the authorization endpoint, not here")
	}
	if ask.Bearer, err = s.asksBearerAt(client, resources, jkt); err != nil {
		return err
	}
	secret := tokens.NewSecret("rd_")
	id := store.HashOf(secret)
	ask.Device, ask.Words = id.String(), pairingWords(id)
	code, err := s.addDevice(r, ask, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{
		"device_code": secret, "user_code": code, "verification_uri": s.url("/activate"),
		"verification_uri_complete": s.url("/activate?user_code=" + code), "expires_in": int(deviceLife.Seconds()), "interval": pollInterval,
		"pairing_words": ask.Words, "verification_qr": s.url("/activate/qr/" + code),
	})
}

// addDevice stores the request under a user code that is not in use.
func (s *Server) addDevice(r *http.Request, ask consent.Ask, id store.Hash) (code string, err error) {
	params, err := ask.Encode()
	if err != nil {
		return "", err
	}
	rec := store.NewRecord("device.asked", map[string]any{"purpose": ask.Purpose()})
	rec.Client, rec.Agent, rec.Resource = ask.ClientID, ask.JKT, ask.Resource
	now := s.now()
	for range 5 {
		code = newUserCode()
		err = s.store.AddDevice(r.Context(), store.Device{
			ID: id, UserCode: hashUserCode(code), ClientID: ask.ClientID, Params: params, JKT: ask.JKT, CreatedAt: now, ExpiresAt: now.Add(deviceLife),
		}, rec)
		if !errors.Is(err, store.ErrUserCodeTaken) {
			return code, err
		}
	}
	return "", err
}

// newUserCode returns a code in the form in which it is shown.
func newUserCode() string {
	var b strings.Builder
	for b.Len() < userCodeLength+1 {
		if b.Len() == userCodeLength/2 {
			b.WriteByte('-')
		}
		one := make([]byte, 1)
		rand.Read(one)
		if n := int(one[0]); n < 256-256%len(userCodeLetters) { // no letter likelier than another
			b.WriteByte(userCodeLetters[n%len(userCodeLetters)])
		}
	}
	return b.String()
}

// readUserCode reads a code as people type it (RFC 8628 §6.1): in any case, with or without hyphen.
func readUserCode(typed string) (code string, ok bool) {
	if len(typed) > 64 {
		return "", false
	}
	code = strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' || r == '.' || r == '_' {
			return -1
		}
		return r
	}, strings.ToUpper(typed))
	if len(code) != userCodeLength || strings.Trim(code, userCodeLetters) != "" {
		return "", false
	}
	return code[:userCodeLength/2] + "-" + code[userCodeLength/2:], true
}

func hashUserCode(code string) store.Hash { return store.HashOf("user_code:" + code) }

// deviceOf is the device code that a request decides about.
func deviceOf(ask consent.Ask) (id store.Hash) {
	if ask.Device != "" {
		id, _ = parseHash(ask.Device)
	}
	return id
}

// redeemDevice serves grant_type=…:device_code (RFC 8628 §3.4).
func (s *Server) redeemDevice(r *http.Request, g grantRequest) (provider.Response, error) {
	id := store.HashOf(g.params.Get("device_code"))
	d, err := s.store.DeviceByID(r.Context(), id)
	if errors.Is(err, store.ErrDeviceNotFound) {
		return provider.Response{}, s.provider.ForgottenDevice(r.Context(), g.client, id, g.jkt)
	}
	if err != nil {
		return provider.Response{}, err
	}
	if d.ClientID != g.client.ID || d.JKT != "" && d.JKT != g.jkt {
		return provider.Response{}, s.provider.ForeignDevice(r.Context(), g.client, d, g.jkt)
	}
	switch {
	case d.Allowed:
		return s.provider.RedeemDevice(r.Context(), provider.DeviceExchange{
			Client: g.client, Device: id, Scopes: g.scopes, Resources: g.params.All("resource"), JKT: g.jkt,
		})
	case d.Denied:
		return provider.Response{}, oauth.Refuse(oauth.AccessDenied, "the user did not allow it")
	case !s.now().Before(d.ExpiresAt):
		return provider.Response{}, oauth.Refuse(oauth.ExpiredToken, "the device code has expired; start again at the device endpoint")
	}
	// One poll per interval, with one to spare for clocks that differ.
	ok, _, err := s.ephemeral.Take(r.Context(), "poll:"+d.ID.String(), 1.0/pollInterval, 2)
	if err != nil {
		return provider.Response{}, replayUnknown(err)
	}
	if !ok {
		return provider.Response{}, oauth.Refuse(oauth.SlowDown, "wait five seconds longer between two polls from now on")
	}
	return provider.Response{}, oauth.Refuse(oauth.AuthorizationPending, "the user has not answered yet")
}
