package mcpauth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens/resource/mcpauth"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// RS13: a call that has begun to stream is cut when its task ends: its tool is told, and so is its client.
func TestStreamEndsWithItsTask(t *testing.T) {
	for name, opts := range map[string]*mcpauth.Options{"stateless": nil, "stateful": {Stateful: true}} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, opts)
			told := make(chan error, 1)
			began, answered := w.longCall(func(ctx context.Context) {
				select {
				case <-ctx.Done():
					told <- ctx.Err()
				case <-time.After(20 * time.Second):
					told <- nil
				}
			})
			ended := w.endTask(began)
			if err := <-told; err == nil {
				t.Error("the tool was not told")
			}
			err := <-answered
			if took := time.Since(ended); took > 2*time.Second { // P1
				t.Errorf("it took %v", took)
			}
			e, ok := errors.AsType[*jsonrpc.Error](err)
			if !ok || e.Code != -32001 || !strings.Contains(string(e.Data), `"code":"task_ended"`) {
				t.Errorf("the client was told %v", err)
			}
			w.searchAsAnother()
		})
	}
}

// TestDeafToolIsCutOff is RS13 for a tool that does not heed its context: its client does not wait for it.
func TestDeafToolIsCutOff(t *testing.T) {
	for name, opts := range map[string]*mcpauth.Options{"stateless": nil, "stateful": {Stateful: true}} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, opts)
			release := make(chan struct{})
			began, answered := w.longCall(func(context.Context) { <-release })
			ended := w.endTask(began)
			err := <-answered
			if took := time.Since(ended); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			close(release)
			if e, ok := errors.AsType[*jsonrpc.Error](err); !ok || !strings.Contains(string(e.Data), `"code":"task_ended"`) {
				t.Errorf("the client was told %v", err)
			}
			w.searchAsAnother()
		})
	}
}

// TestReadIsCutOff is RS13 for what reads.
func TestReadIsCutOff(t *testing.T) {
	w := newWorld(t)
	began, revoked, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	defer close(release)
	uri := "docs://handbook/a"
	w.server.AddResource(&mcp.Resource{URI: uri, Name: uri}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		close(began)
		<-release
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: uri, Text: "too late"}}}, nil
	})
	token := w.issuer.Token(w.uri, resourcetest.Grant{Scopes: []string{"docs"}, Roles: []string{"reader"}})
	session := w.connect(token)
	go func() {
		<-began
		w.issuer.RevokeToken(token.Claims.ID)
		close(revoked)
	}()
	got, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
	if e, ok := errors.AsType[*jsonrpc.Error](err); !ok || !strings.Contains(string(e.Data), `"code":"token_revoked"`) {
		t.Errorf("the client was told %v %v", got, err)
	}
	<-revoked
}

// longCall calls a tool that lasts until run returns. It says which token has begun, and how the call ended.
func (w *world) longCall(run func(context.Context)) (began chan *resourcetest.Token, answered chan error) {
	began, answered = make(chan *resourcetest.Token, 1), make(chan error, 1)
	token := w.token(grant("mara", "comment"))
	mcp.AddTool(w.server, &mcp.Tool{Name: "comment", Description: "Does comment"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ ticket) (*mcp.CallToolResult, any, error) {
		began <- token
		run(ctx)
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "too late"}}}, nil, nil
	})
	w.issuer.Advance(2 * time.Second) // so that the live tools are read again
	session := w.connect(token)
	go func() {
		result, err := call(session, "comment", ticket{Project: "WEB"})
		if err == nil && !result.IsError {
			w.Errorf("the call was answered with %v", result.Content)
		}
		answered <- err
	}()
	return began, answered
}

// endTask ends the task of the call that has begun, and returns when.
func (w *world) endTask(began chan *resourcetest.Token) time.Time {
	token := <-began
	now := time.Now()
	w.issuer.EndTask(token.Claims.Task.ID)
	return now
}

// searchAsAnother sees that another task's calls go on.
func (w *world) searchAsAnother() {
	w.Helper()
	result, err := call(w.connect(w.token(grant("mara", "search"))), "search", ticket{Project: "WEB"})
	if err != nil || result.IsError {
		w.Errorf("another task's call: %v %v", result, err)
	}
}

// TestPanicReachesItsMiddleware: a server that survives the panics of its tools by a middleware of its own
// still does, with the Guard between the two.
func TestPanicReachesItsMiddleware(t *testing.T) {
	w := newWorld(t)
	w.server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (result mcp.Result, err error) {
			defer func() {
				if why := recover(); why != nil {
					err = &jsonrpc.Error{Code: 7, Message: fmt.Sprint("caught: ", why)}
				}
			}()
			return next(ctx, method, req)
		}
	})
	mcp.AddTool(w.server, &mcp.Tool{Name: "comment", Description: "Does comment"}, func(context.Context, *mcp.CallToolRequest, ticket) (*mcp.CallToolResult, any, error) {
		panic("the tool is broken")
	})
	w.issuer.Advance(2 * time.Second) // so that the live tools are read again
	_, err := call(w.connect(w.token(grant("mara", "comment"))), "comment", ticket{Project: "WEB"})
	if e, ok := errors.AsType[*jsonrpc.Error](err); !ok || e.Message != "caught: the tool is broken" {
		t.Errorf("the client was told %v", err)
	}
	w.searchAsAnother()
	for _, e := range w.issuer.Executions(w.uri, 4) {
		if e.Tool == "comment" && e.Outcome != "" && e.Outcome != "error" {
			t.Errorf("the outcome is %q", e.Outcome)
		}
	}
}
