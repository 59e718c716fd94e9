package mcpauth

import (
	"context"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens/resource"
)

// read runs what reads a resource or a prompt, if it is the one that was allowed.
func read(ctx context.Context, permit *resource.Permit, next mcp.MethodHandler, method string, req mcp.Request) (mcp.Result, error) {
	target := ""
	switch p := req.GetParams().(type) {
	case *mcp.ReadResourceParams:
		target = p.URI
	case *mcp.SubscribeParams:
		target = p.URI
	case *mcp.UnsubscribeParams:
		target = p.URI
	case *mcp.GetPromptParams:
		target = p.Name
	case *mcp.CompleteParams:
		if p.Ref != nil {
			target = p.Ref.Name + p.Ref.URI
		}
	}
	permit.SetOutcome(false)
	if target == "" || target != permit.Target() {
		return nil, denied("this is not what the guard allowed to be read")
	}
	result, err := whilePermitted(ctx, permit, next, method, req)
	permit.SetOutcome(err == nil)
	return result, err
}

// listReads leaves of a list what the caller could read now. The answer is the caller's alone.
func listReads(ctx context.Context, permit *resource.Permit, next mcp.MethodHandler, method string, req mcp.Request) (mcp.Result, error) {
	result, err := next(ctx, method, req)
	if err != nil {
		return nil, err
	}
	switch all := result.(type) {
	case *mcp.ListResourcesResult:
		mine := *all
		mine.Resources = slices.DeleteFunc(slices.Clone(all.Resources), func(r *mcp.Resource) bool { return !permit.MayRead(r.URI) })
		mine.CacheScope = "private"
		return &mine, nil
	case *mcp.ListResourceTemplatesResult:
		mine := *all
		mine.ResourceTemplates = slices.DeleteFunc(slices.Clone(all.ResourceTemplates), func(t *mcp.ResourceTemplate) bool { return !permit.MayReadTemplate(t.URITemplate) })
		mine.CacheScope = "private"
		return &mine, nil
	case *mcp.ListPromptsResult:
		mine := *all
		mine.Prompts = slices.DeleteFunc(slices.Clone(all.Prompts), func(p *mcp.Prompt) bool { return !permit.MayPrompt(p.Name) })
		mine.CacheScope = "private"
		return &mine, nil
	}
	return nil, denied("the list could not be read")
}
