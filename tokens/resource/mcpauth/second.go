package mcpauth

import (
	"context"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens/resource"
)

// codeDenied is the JSON-RPC error code of a refusal.
const codeDenied = -32001

func denied(message string) error {
	return &jsonrpc.Error{Code: codeDenied, Message: message}
}

// secondCheck is the SDK's middleware around every method. Requests that came by no Guard are
// refused, whatever other handler the server may also be behind.
func secondCheck(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if isLive(req) {
			return next(ctx, method, req)
		}
		permit, ok := permitOf(req)
		if !ok || permit.Method() != method {
			return nil, denied("this request did not come through the guard")
		}
		ctx, ok = asOf(ctx, req, permit)
		if !ok {
			return nil, denied("it cannot be told who makes this request")
		}
		switch method {
		case "tools/call":
			return call(ctx, permit, next, method, req)
		case "tools/list":
			return list(ctx, permit, next, method, req)
		case "resources/list", "resources/templates/list", "prompts/list":
			return listReads(ctx, permit, next, method, req)
		}
		if permit.Target() != "" {
			return read(ctx, permit, next, method, req)
		}
		return next(ctx, method, req)
	}
}

// call runs the tool if it is the one that was allowed, with the arguments that were checked, once.
func call(ctx context.Context, permit *resource.Permit, next mcp.MethodHandler, method string, req mcp.Request) (mcp.Result, error) {
	params, ok := req.GetParams().(*mcp.CallToolParamsRaw)
	if !ok || params == nil || !permit.Use(params.Name, params.Arguments) {
		permit.SetOutcome(false)
		return nil, denied("this is not the call that the guard allowed")
	}
	permit.SetOutcome(false) // of a call that nobody waits for until its end
	result, err := whilePermitted(ctx, permit, next, method, req)
	answer, ok := result.(*mcp.CallToolResult)
	permit.SetOutcome(err == nil && ok && answer != nil && !answer.IsError)
	return result, err
}

// list leaves of tools/list what the caller could call now. The answer is the caller's alone.
func list(ctx context.Context, permit *resource.Permit, next mcp.MethodHandler, method string, req mcp.Request) (mcp.Result, error) {
	result, err := next(ctx, method, req)
	if err != nil {
		return nil, err
	}
	all, ok := result.(*mcp.ListToolsResult)
	if !ok {
		return nil, denied("the list of tools could not be read")
	}
	mine := *all
	mine.Tools = slices.DeleteFunc(slices.Clone(all.Tools), func(t *mcp.Tool) bool { return !permit.May(ctx, t.Name) })
	mine.CacheScope = "private"
	return &mine, nil
}
