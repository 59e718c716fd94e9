package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// A proof's iat may be this far off; the nonce, not the client's clock, is what proves freshness.
const (
	proofWindow = 300 * time.Second
	// replayLife outlives every nonce, and a proof without a live nonce is refused before its jti
	// is looked at.
	replayLife = 3 * nonceLife
)

// proofHeader is where RFC 9449 §4.1 puts the proof.
const proofHeader = "DPoP"

// proveKey verifies the request's DPoP proof for one of the server's own endpoints and spends it
// (RFC 9449 §4.3). accessToken is the token that the proof must cover, "" at PAR and token endpoint.
// Without a proof it returns "" when optional. The proof stays spent whatever happens later.
func (s *Server) proveKey(w http.ResponseWriter, r *http.Request, path, accessToken string, optional bool) (jkt string, err error) {
	headers := r.Header.Values(proofHeader)
	if len(headers) == 0 && optional {
		return "", nil
	}
	now := s.now()
	epoch, err := s.ephemeral.Epoch(r.Context())
	if err != nil {
		return "", replayUnknown(err)
	}
	proof, err := tokens.ParseProof(headers, tokens.ProofWant{
		Method: r.Method, URL: s.url(path), AccessToken: accessToken,
		Now: now, MaxAge: proofWindow, MaxAhead: proofWindow,
		Nonce: func(nonce string) bool { return s.nonces.Check(nonce, epoch, now) },
	})
	if errors.Is(err, tokens.ErrProofNonce) {
		return "", s.askForNonce(w, epoch, now)
	}
	if err != nil {
		return "", &oauth.Error{Code: oauth.InvalidDPoPProof, Description: "the DPoP proof is not valid: " + proofText(err), Cause: err}
	}
	first, err := s.ephemeral.FirstUse(r.Context(), epoch, proof.ReplayKey(), replayLife)
	if errors.Is(err, store.ErrEpochOver) { // the memory has forgotten something since the nonce was made
		if epoch, err = s.ephemeral.Epoch(r.Context()); err == nil {
			return "", s.askForNonce(w, epoch, now)
		}
	}
	if err != nil {
		return "", replayUnknown(err)
	}
	if !first {
		return "", &oauth.Error{Code: oauth.InvalidDPoPProof, Description: "the DPoP proof was used before; make a new one for every request", Cause: errors.New("replay")}
	}
	s.offerNonce(w, epoch, now)
	return proof.JKT, nil
}

// askForNonce refuses a proof for its nonce alone.
func (s *Server) askForNonce(w http.ResponseWriter, epoch string, now time.Time) error {
	s.offerNonce(w, epoch, now)
	return oauth.Refuse(oauth.UseDPoPNonce, "make the proof again with the nonce of the DPoP-Nonce header")
}

// offerNonce hands out the current nonce (RFC 9449 §8.2), readable by browser clients too.
func (s *Server) offerNonce(w http.ResponseWriter, epoch string, now time.Time) {
	w.Header().Set("DPoP-Nonce", s.nonces.Issue(epoch, now))
	w.Header().Set("Access-Control-Expose-Headers", "DPoP-Nonce, WWW-Authenticate")
	w.Header().Set("Cache-Control", "no-store")
}

// proofText says what is wrong with a proof in words that help its maker.
func proofText(err error) string {
	for _, m := range []struct {
		err  error
		text string
	}{
		{tokens.ErrProofMissing, "there is none"},
		{tokens.ErrProofMany, "send exactly one DPoP header"},
		{tokens.ErrProofMethod, "htm is not this request's method"},
		{tokens.ErrProofURI, "htu is not this endpoint's URL"},
		{tokens.ErrProofTime, "iat, nbf or exp is outside the allowed window"},
		{tokens.ErrProofSignature, "the signature does not verify"},
		{tokens.ErrProofAlgorithm, "use ES256 or EdDSA"},
		{tokens.ErrProofType, "typ must be dpop+jwt"},
		{tokens.ErrProofKey, "jwk is not a usable public key"},
		{tokens.ErrProofID, "jti must be a string of 1 to 255 characters"},
		{tokens.ErrProofToken, "ath does not match the access token"},
	} {
		if errors.Is(err, m.err) {
			return m.text
		}
	}
	return "it is not a compact JWT with the required members"
}

// bearerOfTask reads the key-bound access token of a request to a task endpoint and proves its key.
func (s *Server) bearerOfTask(w http.ResponseWriter, r *http.Request, path string) (tokens.Claims, error) {
	raw, err := dpopToken(r)
	if err != nil {
		return tokens.Claims{}, err
	}
	claims, state, err := s.readAccess(r.Context(), raw)
	if err != nil && !errors.Is(err, store.ErrTokenNotFound) {
		return tokens.Claims{}, err
	}
	// A token of a task that has ended may still ask how it ended; a revoked one may nothing.
	if err != nil || state.Token.Revoked || !s.now().Before(claims.Expires) {
		return tokens.Claims{}, &oauth.Error{Code: oauth.InvalidToken, Description: "the access token is not valid or has expired", Cause: err}
	}
	jkt, err := s.proveKey(w, r, path, raw, false)
	if err != nil {
		return tokens.Claims{}, err
	}
	if claims.JKT == "" || claims.JKT != jkt {
		return tokens.Claims{}, oauth.Refuse(oauth.InvalidToken, "the access token is bound to another key, or to none")
	}
	return claims, nil
}

// dpopToken returns the token of the one Authorization header, of scheme DPoP alone (RFC 9449 §7.1).
func dpopToken(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) > 1 {
		return "", oauth.Refuse(oauth.InvalidRequest, "send one Authorization header")
	}
	const scheme = "DPoP "
	if len(values) == 0 || len(values[0]) <= len(scheme) || !strings.EqualFold(values[0][:len(scheme)], scheme) {
		return "", oauth.Refuse(oauth.InvalidToken, "send the task's access token with the DPoP scheme and a proof")
	}
	return values[0][len(scheme):], nil
}

// bearerToken is the token of the one Authorization header, of scheme Bearer alone (RFC 6750 §2.1).
func bearerToken(r *http.Request) (token string, ok bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// ready reports whether single use can be judged at all.
func (s *Server) ready(ctx context.Context) error {
	if s.behind.proof.Load() != nil {
		return errBehind
	}
	if _, err := s.ephemeral.Epoch(ctx); err != nil {
		return err
	}
	return s.store.Ping(ctx)
}
