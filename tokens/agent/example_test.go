package agent_test

import (
	"context"
	"net/http"
	"net/url"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/agent"
)

// An agent asks for two tools for half an hour, works, and says that it has finished.
func Example() {
	ctx := context.Background()
	openBrowser := func(url string) (callback url.Values) { return nil } // and wait for the redirect
	_ = func() error {
		found, err := agent.Discover(ctx, nil, "https://tickets.example/mcp")
		if err != nil {
			return err
		}
		key, err := tokens.NewProofKey()
		if err != nil {
			return err
		}
		client, err := agent.NewClient(agent.Config{
			ClientID: "cli_…", RedirectURI: "http://127.0.0.1:53121/callback",
			Server: found.Server, Resource: found.Resource, Key: key,
		})
		if err != nil {
			return err
		}
		request, err := client.Push(ctx, agent.Ask{Details: tokens.Details{
			Task: &tokens.TaskDetail{Purpose: "Triage this week's bugs", MaxDuration: 1800},
			Tools: []tokens.ToolDetail{
				{Locations: []string{found.Resource}, Tool: "search_tickets"},
				{Locations: []string{found.Resource}, Tool: "add_comment", MaxCalls: 20},
			},
		}})
		if err != nil {
			return err
		}
		code, err := client.Callback(request, openBrowser(client.AuthorizeURL(request)))
		if err != nil {
			return err
		}
		token, err := client.Redeem(ctx, request, code)
		if err != nil {
			return err
		}
		session := client.Session(token)
		web := &http.Client{Transport: &agent.Transport{Session: session}} // for an MCP client
		_ = web
		return session.CompleteTask(ctx)
	}
	// Output:
}
