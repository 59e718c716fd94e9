package server

import (
	"net/http"
	"time"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// requestLife is how long a pushed request waits for its user's decision.
const requestLife = 10 * time.Minute

// par serves POST /par (RFC 9126 §2).
func (s *Server) par(w http.ResponseWriter, r *http.Request) error {
	p, refused := oauth.ParseBody(r)
	if refused != nil {
		return refused
	}
	client, err := s.authenticateClient(r, p)
	if err != nil {
		return err
	}
	jkt, err := s.proveKey(w, r, "/par", "", true)
	if err != nil {
		return err
	}
	if p.Has("request_uri") { // RFC 9126 §2.1
		return oauth.Refuse(oauth.InvalidRequest, "request_uri cannot be pushed")
	}
	redirect, sent, err := chooseRedirect(client, p)
	if err != nil {
		return err
	}
	ask, resources, err := s.readAsk(r.Context(), client, p)
	if err != nil {
		return err
	}
	if ask.JKT != "" && jkt != "" && ask.JKT != jkt { // RFC 9449 §10.1
		return oauth.Refuse(oauth.InvalidDPoPProof, "dpop_jkt names another key than the proof's")
	}
	if jkt != "" {
		ask.JKT = jkt
	}
	ask.RedirectURI, ask.RedirectSent = redirect, sent
	if ask.Bearer, err = s.asksBearerAt(client, resources, ask.JKT); err != nil {
		return err
	}
	if err := s.checkExtends(r.Context(), ask); err != nil {
		return err
	}
	uri, err := s.pushRequest(r, ask, store.Hash{})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, map[string]any{
		"request_uri": oauth.RequestURIPrefix + uri,
		"expires_in":  int(requestLife.Seconds()) - 1, // FAPI 2.0 Security Profile §5.3.2.2: less than 600
	})
}

// pushRequest stores a request and returns the secret that names it.
func (s *Server) pushRequest(r *http.Request, ask consent.Ask, session store.Hash) (secret string, err error) {
	params, err := ask.Encode()
	if err != nil {
		return "", err
	}
	secret = tokens.NewSecret("rq_")
	now := s.now()
	return secret, s.store.PushRequest(r.Context(), store.Request{
		ID: store.HashOf(secret), ClientID: ask.ClientID, Params: params, JKT: ask.JKT, Session: session, Device: deviceOf(ask),
		CreatedAt: now, ExpiresAt: now.Add(requestLife),
	})
}

// chooseRedirect vets redirect_uri; it may be left out by a client that registered exactly one
// (OAuth 2.1 §4.1.1).
func chooseRedirect(client store.Client, p oauth.Params) (uri string, sent bool, err error) {
	uri = p.Get("redirect_uri")
	if uri == "" {
		if len(client.Metadata.RedirectURIs) != 1 {
			return "", false, oauth.Refuse(oauth.InvalidRequest, "redirect_uri is missing")
		}
		return client.Metadata.RedirectURIs[0], false, nil
	}
	if !redirectAllowed(client, uri) {
		return "", false, oauth.Refuse(oauth.InvalidRequest, "redirect_uri is not registered for this client")
	}
	return uri, true, nil
}
