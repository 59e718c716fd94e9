package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// readAccess reads an access token that this server issued, signed or opaque, with what became of it.
// What is none, or not the one that was issued under its jti, is store.ErrTokenNotFound; any other error
// means that nothing is known.
func (s *Server) readAccess(ctx context.Context, raw string) (claims tokens.Claims, state store.AccessState, err error) {
	if jti, ok := tokens.OpaqueID(raw); ok {
		if state, err = s.store.AccessByJTI(ctx, jti); err != nil {
			return claims, state, err
		}
		if state.Token.Claims == "" {
			return claims, state, store.ErrTokenNotFound
		}
		claims, err = tokens.ParseClaims([]byte(state.Token.Claims))
		return claims, state, err
	}
	if claims, err = s.ring.Keys().OpenAccessToken(raw, s.issuer); err != nil {
		return claims, state, fmt.Errorf("%w: %w", store.ErrTokenNotFound, err)
	}
	state, err = s.store.AccessByJTI(ctx, claims.ID)
	if err == nil && (state.Token.Claims != "" || !signedAsStored(claims, state.Token)) {
		err = store.ErrTokenNotFound // a stolen key cannot sign what was never signed, nor for another key
	}
	return claims, state, err
}

// opaqueLooks is how long what a resource's policy says of its tokens is believed without a look.
const opaqueLooks = 5 * time.Second

// opaqueKinds remembers what policies say of their tokens.
type opaqueKinds struct{ known sync.Map } // resource URI → opaqueKind

type opaqueKind struct {
	opaque bool
	at     time.Time
}

// opaqueAt tells whether access tokens for the resource are opaque, by its policy.
func (s *Server) opaqueAt(ctx context.Context, uri string) (bool, error) {
	now := s.now()
	if held, ok := s.opaqueKinds.known.Load(uri); ok && now.Sub(held.(opaqueKind).at) < opaqueLooks {
		return held.(opaqueKind).opaque, nil
	}
	resource, err := s.store.ResourceByURI(ctx, uri)
	if err != nil {
		return false, err
	}
	p, err := policyOf(resource)
	if err != nil {
		return false, err
	}
	s.opaqueKinds.known.Store(uri, opaqueKind{p.Opaque(), now})
	return p.Opaque(), nil
}
