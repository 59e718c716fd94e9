package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// maxLargeBody is how much an authenticated Guard may send at once: a manifest, a batch.
const maxLargeBody = 1 << 20

// guardPrefix begins every Guard's id.
const guardPrefix = "grd_"

// authenticateGuard tells which resource's Guard sent the request. Its client assertion (RFC 7523
// §2.2) travels as the bearer credential, so that it is judged before any of the body is read.
func (s *Server) authenticateGuard(r *http.Request) (store.Resource, error) {
	raw, ok := bearerToken(r)
	if !ok {
		return store.Resource{}, errClient
	}
	return s.verifyGuard(r.Context(), raw)
}

// verifyGuard verifies and spends a Guard's client assertion.
func (s *Server) verifyGuard(ctx context.Context, raw string) (store.Resource, error) {
	id, err := tokens.PeekAssertionClient(raw)
	if err != nil || !strings.HasPrefix(id, guardPrefix) {
		return store.Resource{}, errClient
	}
	res, err := s.store.ResourceByGuard(ctx, id)
	switch {
	case errors.Is(err, store.ErrResourceNotFound):
		return store.Resource{}, errClient
	case err != nil:
		return store.Resource{}, err
	case res.GuardID != id: // a disabled resource's Guard goes on: it must hear of the ends, and tell of the calls
		return store.Resource{}, errClient
	}
	keys, err := tokens.ParseKeySet([]byte(`{"keys":[` + string(res.GuardKey) + `]}`))
	if err != nil {
		return store.Resource{}, fmt.Errorf("server: key of %s: %w", id, err)
	}
	if err := s.useAssertion(ctx, keys, raw, id); err != nil {
		return store.Resource{}, err
	}
	return res, s.limit(ctx, byGuard.of("guard:"+id))
}

// guardKey checks the public key that a Guard enrols with, and returns it in the form that is
// kept: the key's own members, named by its thumbprint (RFC 7638).
func guardKey(raw json.RawMessage) (json.RawMessage, error) {
	_, jkt, err := tokens.ParsePublicJWK(raw)
	if err != nil {
		return nil, &oauth.Error{Code: oauth.InvalidRequest, Description: "key is not a public ES256 JWK", Cause: err}
	}
	var key struct {
		Kty string `json:"kty"`
		Crv string `json:"crv"`
		X   string `json:"x"`
		Y   string `json:"y,omitempty"`
		Alg string `json:"alg"`
		Use string `json:"use"`
		Kid string `json:"kid"`
	}
	if err := json.Unmarshal(raw, &key); err != nil {
		return nil, err
	}
	key.Alg, key.Use, key.Kid = "ES256", "sig", jkt
	if key.Crv == "Ed25519" {
		key.Alg = "EdDSA"
	}
	return json.Marshal(key)
}

// readJSON reads a body of one JSON object, at most limit bytes, into v, strictly.
func readJSON(r *http.Request, limit int64, v any) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" || len(r.Header.Values("Content-Type")) != 1 {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "send the body as application/json", HTTPStatus: http.StatusUnsupportedMediaType}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge || int64(len(body)) > limit {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: fmt.Sprintf("the body is larger than %d KiB", limit>>10), HTTPStatus: http.StatusRequestEntityTooLarge}
	}
	if err != nil {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "the body could not be read", Cause: err}
	}
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return oauth.Refuse(oauth.InvalidRequest, "send one JSON object")
	}
	if err := tokens.StrictUnmarshal(body, v); err != nil {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "the body is not the JSON object expected here: " + oauth.Printable(err.Error()), Cause: err}
	}
	return nil
}

// protocolLarge serves an endpoint of authenticated Guards, which may send more at once.
func (s *Server) protocolLarge(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxLargeBody+1)
		if err := h(w, r); err != nil {
			s.refuse(w, r, wire(err))
		}
	}
}
