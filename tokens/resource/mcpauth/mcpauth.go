// Package mcpauth puts a Guard around a server of the official MCP Go SDK, on streamable HTTP:
// stateless (spec 2026-07-28 and before) or, where the author asks for sessions, stateful (up to
// spec 2025-11-25). The Guard decides on each HTTP request; this package checks a second time inside
// the SDK, where the tool is really run, that it runs what the Guard allowed. What it knows of a
// caller comes from the request itself, never from the context of a session, which in the SDK is
// that of the request that opened it.
//
//	mcpauth.go  the handler, and who calls as the SDK's TokenInfo
//	second.go   the second check, the filtered tools/list, the outcome
//	cut.go      what lasts ends with its task
//	session.go  the caller of this request in the context of a session
//	live.go     the live definitions of the server's tools
package mcpauth

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens/resource"
)

// Options are what may differ from the defaults.
type Options struct {
	// HTTP is handed to the SDK's handler. Its Stateless does not count: Stateful decides.
	HTTP *mcp.StreamableHTTPOptions
	// Stateful keeps a session for each client between its requests, as the SDK does for clients of
	// spec 2025-11-25 and before. A session belongs to one user of one client, and each request in it
	// is judged by its own token. It ends when it has not been used for HTTP.SessionTimeout; 0: 30 min.
	// Streams that the server opens (GET) are not served, so it cannot ask clients anything.
	Stateful bool
}

// sessionTimeout is how long an unused session is kept: as long as an idle task stays active.
const sessionTimeout = 30 * time.Minute

// permitKey is where TokenInfo.Extra holds the permit.
const permitKey = "github.com/remit-auth/remit/permit"

// Protect returns the whole handler of a protected MCP server. Tools find the caller by
// [Principal], or in the TokenInfo that the SDK gives them with each request.
func Protect(g *resource.Guard, server *mcp.Server, opts *Options) http.Handler {
	options := mcp.StreamableHTTPOptions{}
	if opts != nil && opts.HTTP != nil {
		options = *opts.HTTP
	}
	options.Stateless = opts == nil || !opts.Stateful
	if options.SessionTimeout == 0 {
		options.SessionTimeout = sessionTimeout
	}
	server.AddReceivingMiddleware(secondCheck)
	sdk := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &options)
	return g.Protect(withTokenInfo(sdk))
}

// withTokenInfo hands the caller on in the way that the SDK's own middleware does. That middleware
// knows the Bearer scheme alone and keeps its context key to itself, so the request is given a
// Bearer header that names no token; the real one never leaves the Guard.
func withTokenInfo(next http.Handler) http.Handler {
	inner := auth.RequireBearerToken(tokenInfo, judged)(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", noToken)
		inner.ServeHTTP(w, r)
	})
}

// noToken is the credential that the SDK's middleware is shown.
const noToken = "Bearer judged-by-the-guard"

// judged is how the SDK's middleware looks at tokens: the Guard has judged their times by its own clock.
var judged = &auth.RequireBearerTokenOptions{ClockSkew: 24 * time.Hour}

// tokenInfo describes the caller that the Guard let through.
func tokenInfo(_ context.Context, _ string, r *http.Request) (*auth.TokenInfo, error) {
	permit, ok := resource.PermitFrom(r.Context())
	if !ok {
		return nil, fmt.Errorf("mcpauth: %w: no permit", auth.ErrInvalidToken)
	}
	p := permit.Principal()
	return &auth.TokenInfo{
		Scopes: p.Scopes, Expiration: p.Expires,
		// The SDK compares nothing but UserID when it guards sessions, and nothing at all when it is
		// empty.
		UserID: p.Issuer + "|" + p.User + "|" + p.Client,
		Extra:  map[string]any{permitKey: permit},
	}, nil
}

// permitOf returns the permit that came with this very request.
func permitOf(req mcp.Request) (*resource.Permit, bool) {
	extra := req.GetExtra()
	if extra == nil || extra.TokenInfo == nil {
		return nil, false
	}
	permit, ok := extra.TokenInfo.Extra[permitKey].(*resource.Permit)
	return permit, ok && permit != nil
}

// Principal returns who makes this request of the SDK.
func Principal(req mcp.Request) (resource.Principal, bool) {
	permit, ok := permitOf(req)
	if !ok {
		return resource.Principal{}, false
	}
	return permit.Principal(), true
}
