package store

import "context"

type requestKey struct{}

// WithRequest names the HTTP request that ctx belongs to: each record that is written under it tells that name.
func WithRequest(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestOf is the name that WithRequest gave; empty: none.
func RequestOf(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}
