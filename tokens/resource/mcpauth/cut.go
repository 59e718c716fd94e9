package mcpauth

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens/resource"
)

// cut ends the answer when its permit no longer stands, whatever the tool does meanwhile.
func cut(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		permit, ok := resource.PermitFrom(r.Context())
		if !ok {
			next.ServeHTTP(w, r) // which refuses it
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() {
			if permit.Wait(ctx) != "" {
				cancel()
			}
		}()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// whilePermitted runs what may last: its context ends when the permit no longer stands, and then its
// result goes nowhere. In a session the context is not that of the request, so it has to be told.
func whilePermitted(ctx context.Context, permit *resource.Permit, next mcp.MethodHandler, method string, req mcp.Request) (mcp.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var ended atomic.Bool
	go func() {
		if permit.Wait(ctx) != "" {
			ended.Store(true)
			cancel()
		}
	}()
	result, err := next(ctx, method, req)
	if ended.Load() {
		return nil, denied("the call was cut off: its task has ended")
	}
	return result, err
}
