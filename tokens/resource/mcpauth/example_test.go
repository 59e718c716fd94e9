package mcpauth_test

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
)

// A server of the MCP Go SDK with one tool, every call of which the Guard checks and records.
func ExampleProtect() {
	server := mcp.NewServer(&mcp.Implementation{Name: "tickets", Version: "1.0.0"}, nil)
	type query struct {
		Project string `json:"project"`
	}
	mcp.AddTool(server, &mcp.Tool{Name: "search_tickets", Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true}},
		func(_ context.Context, req *mcp.CallToolRequest, in query) (*mcp.CallToolResult, any, error) {
			who, ok := mcpauth.Principal(req) // of this very request
			if !ok {
				return nil, nil, os.ErrPermission
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Project + " as seen by " + who.User}}}, nil, nil
		})

	guard, err := resource.New(context.Background(), resource.Config{
		Issuer:        "https://id.acme.example",
		Resource:      "https://tickets.acme.example/mcp",
		StateDir:      "/var/lib/tickets/remit",
		PolicyFile:    "remit.yaml",
		EnrolmentCode: os.Getenv("REMIT_ENROLMENT_CODE"), // once, from `remit resource add`
		Tools:         mcpauth.Tools(server),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer guard.Close()
	http.Handle("/mcp", mcpauth.Protect(guard, server, nil))
	http.Handle("/.well-known/", guard.Metadata())
	log.Fatal(http.ListenAndServe(":8090", nil))
}

// The caller of a request, as any middleware of the SDK can ask for it.
func ExamplePrincipal() {
	server := mcp.NewServer(&mcp.Implementation{Name: "tickets", Version: "1.0.0"}, nil)
	server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if who, ok := mcpauth.Principal(req); ok {
				log.Printf("%s for %s in task %s", method, who.User, who.Task)
			}
			return next(ctx, method, req)
		}
	})
}

// The live definitions that a Guard compares with what was consented to.
func ExampleTools() {
	server := mcp.NewServer(&mcp.Implementation{Name: "tickets", Version: "1.0.0"}, nil)
	list := mcpauth.Tools(server)
	definitions, err := list(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("%d tools", len(definitions))
}
