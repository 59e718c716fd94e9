package mcpauth_test

import (
	"context"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens/resource/mcpauth"
)

// RS13: a call that has begun to stream is cut when its task ends: its tool is told, and its client
// gets no answer.
func TestStreamEndsWithItsTask(t *testing.T) {
	for name, opts := range map[string]*mcpauth.Options{"stateless": nil, "stateful": {Stateful: true}} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, opts)
			began, told := make(chan struct{}), make(chan error, 1)
			mcp.AddTool(w.server, &mcp.Tool{Name: "comment", Description: "Does comment"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ ticket) (*mcp.CallToolResult, any, error) {
				close(began)
				select {
				case <-ctx.Done():
					told <- ctx.Err()
				case <-time.After(20 * time.Second):
					told <- nil
				}
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "too late"}}}, nil, nil
			})
			w.issuer.Advance(2 * time.Second) // so that the live tools are read again
			token, other := w.token(grant("mara", "comment")), w.token(grant("mara", "search"))
			session, bystander := w.connect(token), w.connect(other)
			answered := make(chan error, 1)
			go func() {
				result, err := call(session, "comment", ticket{Project: "WEB"})
				if err == nil && !result.IsError {
					t.Errorf("the call was answered with %v", result.Content)
				}
				answered <- err
			}()
			<-began
			ended := time.Now()
			w.issuer.EndTask(token.Claims.Task.ID)
			if err := <-told; err == nil {
				t.Error("the tool was not told")
			}
			<-answered
			if took := time.Since(ended); took > 2*time.Second { // P1
				t.Errorf("it took %v", took)
			}
			if result, err := call(bystander, "search", ticket{Project: "WEB"}); err != nil || result.IsError {
				t.Errorf("another task's call: %v %v", result, err)
			}
		})
	}
}
