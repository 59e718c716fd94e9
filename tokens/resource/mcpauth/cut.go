package mcpauth

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime/debug"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens/resource"
)

// answer is what came of a request.
type answer struct {
	result   mcp.Result
	err      error
	panicked any
}

// run runs what may last, and keeps its panic for whoever waits for the answer. Where it came from is seen
// here alone, and after the call was cut off nobody waits.
func run(ctx context.Context, next mcp.MethodHandler, method string, req mcp.Request) (a answer) {
	defer func() {
		if a.panicked = recover(); a.panicked != nil {
			slog.ErrorContext(ctx, "what the guard let through has panicked", "method", method, "panic", a.panicked, "stack", string(debug.Stack()))
		}
	}()
	a.result, a.err = next(ctx, method, req)
	return a
}

// whilePermitted runs what may last. When the permit ends its context does, and the agent is told at
// once: what it still does, whether it heeds its context or not, goes nowhere.
func whilePermitted(ctx context.Context, permit *resource.Permit, next mcp.MethodHandler, method string, req mcp.Request) (mcp.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answered, ended := make(chan answer, 1), make(chan resource.Code, 1)
	go func() { answered <- run(ctx, next, method, req) }()
	go func() {
		if code := permit.Wait(ctx); code != "" {
			ended <- code
		}
	}()
	select {
	case code := <-ended:
		return nil, cutOff(permit.CutOff(code))
	case a := <-answered:
		if a.panicked != nil { // the server's own middleware may be there to catch it
			panic(a.panicked)
		}
		return a.result, a.err
	}
}

// cutOff is what the agent is told.
func cutOff(c resource.CutOff) error {
	data, err := json.Marshal(c)
	if err != nil {
		return denied(c.Message)
	}
	return &jsonrpc.Error{Code: codeDenied, Message: c.Message, Data: data}
}
