package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/server/provider"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// subjectProof is the parameter by which the holder of a key-bound token agrees that somebody with
// another key exchanges it: a DPoP proof for the token endpoint with the token's hash, and in
// delegate_jkt the thumbprint of that other key.
const subjectProof = "subject_token_proof"

// identifyExchanger tells who exchanges a token: a client, or a resource that was called with it.
func (s *Server) identifyExchanger(r *http.Request, p oauth.Params) (caller, error) {
	if id, err := tokens.PeekAssertionClient(p.Get("client_assertion")); err == nil && strings.HasPrefix(id, guardPrefix) {
		return s.identifyGuard(r, p)
	}
	client, err := s.authenticateClient(r, p)
	return caller{client: client}, err
}

// exchange serves grant_type=…:token-exchange (RFC 8693 §2).
func (s *Server) exchange(r *http.Request, g grantRequest) (provider.Response, error) {
	none := provider.Response{}
	switch {
	case g.params.Get("subject_token_type") != oauth.TokenTypeAccess:
		return none, oauth.Refuse(oauth.InvalidRequest, "the only subject_token_type is "+oauth.TokenTypeAccess)
	case g.params.Has("requested_token_type") && g.params.Get("requested_token_type") != oauth.TokenTypeAccess:
		return none, oauth.Refuse(oauth.InvalidRequest, "the only requested_token_type is "+oauth.TokenTypeAccess)
	case g.params.Has("actor_token"), g.params.Has("actor_token_type"):
		return none, oauth.Refuse(oauth.InvalidRequest, "the actor is the client that authenticates; send no actor_token")
	}
	subject, state, err := s.readSubject(r.Context(), g.params.Get("subject_token"))
	if err != nil {
		return none, err
	}
	if g.guard != nil {
		return s.exchangeBehind(r, g, subject, state)
	}
	for _, uri := range append(g.params.All("resource"), g.params.All("audience")...) {
		if uri != subject.Audience {
			return none, oauth.Refuse(oauth.InvalidTarget, "the token is for another resource")
		}
	}
	if !mayAsk(g.client, store.Resource{URI: subject.Audience}) {
		return none, oauth.Refuse(oauth.InvalidTarget, "the token's resource is not open to this client")
	}
	if err := s.agreed(r, g, subject); err != nil {
		return none, err
	}
	in := provider.Exchange{Client: g.client, Subject: subject, State: state, Scopes: g.scopes, JKT: g.jkt}
	if raw := g.params.Get("authorization_details"); raw != "" {
		in.Details = []byte(raw)
	}
	return s.provider.Exchange(r.Context(), in)
}

// readSubject verifies a subject token of ours and reads what became of it (RFC 8693 §2.1).
func (s *Server) readSubject(ctx context.Context, raw string) (tokens.Claims, store.AccessState, error) {
	claims, state, err := s.readAccess(ctx, raw)
	if err == nil && state.Token.Revoked {
		err = store.ErrTokenNotFound
	}
	if errors.Is(err, store.ErrTokenNotFound) && claims.ID == "" || err == nil && !s.now().Before(claims.Expires) {
		return claims, state, &oauth.Error{Code: oauth.InvalidGrant, Description: "the subject_token is not valid or has expired", Cause: err}
	}
	return claims, state, err
}

// agreed checks that the holder of the subject token's key hands it on to the key of this request.
func (s *Server) agreed(r *http.Request, g grantRequest, subject tokens.Claims) error {
	if subject.JKT == "" {
		return oauth.Refuse(oauth.InvalidGrant, "only tokens that are bound to a key are handed on")
	}
	var values []string
	if g.params.Has(subjectProof) {
		values = []string{g.params.Get(subjectProof)}
	}
	now := s.now()
	proof, err := tokens.ParseProof(values, tokens.ProofWant{
		Method: http.MethodPost, URL: s.url("/token"), AccessToken: g.params.Get("subject_token"),
		Now: now, MaxAge: proofWindow, MaxAhead: proofWindow,
	})
	if err != nil {
		return &oauth.Error{Code: oauth.InvalidDPoPProof, Description: subjectProof + " is not valid: " + proofText(err), Cause: err}
	}
	switch {
	case proof.JKT != subject.JKT:
		return oauth.Refuse(oauth.InvalidDPoPProof, subjectProof+" is not by the key that the subject_token is bound to")
	case proof.Delegate == "" || proof.Delegate != g.jkt:
		return oauth.Refuse(oauth.InvalidDPoPProof, subjectProof+" does not name this request's key in delegate_jkt")
	}
	epoch, err := s.ephemeral.Epoch(r.Context())
	if err != nil {
		return replayUnknown(err)
	}
	if !s.nonces.Check(proof.Nonce, epoch, now) { // the header with a fresh one is on its way already
		return oauth.Refuse(oauth.UseDPoPNonce, "make "+subjectProof+" again with the nonce of the DPoP-Nonce header")
	}
	if *g.agreed {
		return nil
	}
	first, err := s.ephemeral.FirstUse(r.Context(), epoch, proof.ReplayKey(), replayLife)
	if err != nil {
		return replayUnknown(err)
	}
	if !first {
		return &oauth.Error{Code: oauth.InvalidDPoPProof, Description: subjectProof + " was used before; make a new one", Cause: errors.New("replay")}
	}
	*g.agreed = true
	return nil
}
