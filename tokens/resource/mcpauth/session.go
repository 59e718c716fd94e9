package mcpauth

import (
	"context"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens/resource"
)

// asOf returns ctx with the caller of this very request in it. In a session the SDK runs every
// request in the context of the one that opened it, so that resource.PrincipalFrom and
// auth.TokenInfoFromContext would name the caller of that time to tools and middleware behind us.
func asOf(ctx context.Context, req mcp.Request, permit *resource.Permit) (context.Context, bool) {
	if held, ok := resource.PermitFrom(ctx); ok && held == permit {
		return ctx, true
	}
	info := req.GetExtra().TokenInfo
	verifier := func(context.Context, string, *http.Request) (*auth.TokenInfo, error) { return info, nil }
	// The SDK keeps the key of its TokenInfo to itself; its own middleware can set it.
	done := false
	auth.RequireBearerToken(verifier, judged)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx, done = r.Context(), true
	})).ServeHTTP(nowhere{}, (&http.Request{Header: http.Header{"Authorization": {noToken}}}).WithContext(permit.Context(ctx)))
	return ctx, done
}

// nowhere is the answer to a request that was never sent.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}
