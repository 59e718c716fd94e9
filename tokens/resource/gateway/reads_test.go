package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens/resource/gateway"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// readable gives a server resources, templates and prompts, half of which the policy opens.
func readable(server *mcp.Server) {
	for _, uri := range []string{"docs://handbook/a", "docs://secret/a"} {
		server.AddResource(&mcp.Resource{URI: uri, Name: uri}, func(_ context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: r.Params.URI, Text: "read " + r.Params.URI}}}, nil
		})
	}
	for _, uri := range []string{"docs://handbook/{page}", "docs://{area}/a"} {
		server.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: uri, Name: uri}, func(_ context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: r.Params.URI, Text: "read " + r.Params.URI}}}, nil
		})
	}
	for _, name := range []string{"summarise", "rewrite"} {
		server.AddPrompt(&mcp.Prompt{Name: name}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return &mcp.GetPromptResult{Description: name}, nil
		})
	}
}

// reads plays a real client that reads what it may and what it may not.
func reads(t *testing.T, s *mcp.ClientSession) {
	t.Helper()
	ctx := t.Context()
	resources, err := s.ListResources(ctx, nil)
	if err != nil || len(resources.Resources) != 1 || resources.Resources[0].URI != "docs://handbook/a" {
		t.Errorf("resources/list: %+v %v", resources, err)
	}
	templates, err := s.ListResourceTemplates(ctx, nil)
	if err != nil || len(templates.ResourceTemplates) != 1 || templates.ResourceTemplates[0].URITemplate != "docs://handbook/{page}" {
		t.Errorf("resources/templates/list: %+v %v", templates, err)
	}
	prompts, err := s.ListPrompts(ctx, nil)
	if err != nil || len(prompts.Prompts) != 1 || prompts.Prompts[0].Name != "summarise" {
		t.Errorf("prompts/list: %+v %v", prompts, err)
	}
	for _, uri := range []string{"docs://handbook/a", "docs://handbook/b"} {
		if got, err := s.ReadResource(ctx, &mcp.ReadResourceParams{URI: uri}); err != nil || got.Contents[0].Text != "read "+uri {
			t.Errorf("%s: %+v %v", uri, got, err)
		}
	}
	if got, err := s.GetPrompt(ctx, &mcp.GetPromptParams{Name: "summarise"}); err != nil || got.Description != "summarise" {
		t.Errorf("a prompt: %+v %v", got, err)
	}
	if _, err := s.GetPrompt(ctx, &mcp.GetPromptParams{Name: "rewrite"}); err == nil {
		t.Error("a prompt of nobody is got")
	}
}

// readsNot plays what must be refused, one client for each: a refusal may end a session.
func readsNot(t *testing.T, connect func() *mcp.ClientSession) {
	t.Helper()
	for _, uri := range []string{"docs://secret/a", "docs://handbook/../secret/a", "docs://handbook/%2e%2e/secret/a", "DOCS://handbook/a"} {
		if got, err := connect().ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri}); err == nil {
			t.Errorf("%s is read: %+v", uri, got)
		}
	}
}

func TestReadsOfARemoteServer(t *testing.T) {
	server := mcp.NewServer(&mcp.Implementation{Name: "docs", Version: "1"}, nil)
	readable(server)
	mcp.AddTool(server, &mcp.Tool{Name: "search"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{}, nil, nil
	})
	upstream := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil))
	t.Cleanup(upstream.Close)
	w := newWorld(t, map[string]gateway.Upstream{"/mcp": {URL: upstream.URL}})
	token := w.issuer.Token(w.base+"/mcp", resourcetest.Grant{Scopes: []string{"docs"}, Roles: []string{"reader"}})
	s := w.connect("/mcp", token)
	if can := s.InitializeResult().Capabilities; can.Resources == nil || can.Prompts == nil || !reflect.ValueOf(*can).FieldByName("Logging").IsNil() || can.Resources.Subscribe {
		t.Errorf("capabilities %+v", can)
	}
	reads(t, s)
	readsNot(t, func() *mcp.ClientSession { return w.connect("/mcp", token) })
}
