package mcpauth

import (
	"context"
	"encoding/json"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens/resource"
)

// answer is what came of a request.
type answer struct {
	result mcp.Result
	err    error
}

// whilePermitted runs what may last. When the permit ends its context does, and the agent is told at
// once: what it still does, whether it heeds its context or not, goes nowhere.
func whilePermitted(ctx context.Context, permit *resource.Permit, next mcp.MethodHandler, method string, req mcp.Request) (mcp.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answered, ended := make(chan answer, 1), make(chan resource.Code, 1)
	go func() {
		result, err := next(ctx, method, req)
		answered <- answer{result, err}
	}()
	go func() {
		if code := permit.Wait(ctx); code != "" {
			ended <- code
		}
	}()
	select {
	case code := <-ended:
		return nil, cutOff(permit.CutOff(code))
	case a := <-answered:
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
