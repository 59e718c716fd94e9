package agent_test

import (
	"context"
	"fmt"
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

// An agent without a browser shows a code and waits.
func ExampleClient_AskDevice() {
	var client *agent.Client // of NewClient
	_ = func(ctx context.Context) error {
		device, err := client.AskDevice(ctx, agent.Ask{Scopes: []string{"tickets.read"}})
		if err != nil {
			return err
		}
		fmt.Printf("Open %s, type %s, and see that the page says: %s\n", device.VerificationURI, device.UserCode, device.Words)
		token, err := client.Await(ctx, device)
		if err != nil {
			return err
		}
		return client.Session(token).CompleteTask(ctx)
	}
	// Output:
}

// An agent hands part of its task on to a sub-agent, which proves a key of its own.
func ExampleSession_Delegate() {
	var session *agent.Session   // of the agent
	var specialist *agent.Client // of the sub-agent, with its own key
	_ = func(ctx context.Context) error {
		delegation, err := session.Delegate(ctx, specialist.Key.JKT())
		if err != nil {
			return err
		}
		token, err := specialist.Take(ctx, delegation, agent.Ask{Details: tokens.Details{
			Task:  &tokens.TaskDetail{Purpose: "Look for duplicates", MaxDuration: 300},
			Tools: []tokens.ToolDetail{{Tool: "search_tickets", MaxCalls: 5}},
		}})
		if err != nil {
			return err
		}
		return specialist.Session(token).CompleteTask(ctx)
	}
	// Output:
}

// A service acts for itself, by the roles that an admin assigned to it.
func ExampleClient_Own() {
	var client *agent.Client // with Secret or ClientKey
	_ = func(ctx context.Context) (agent.Token, error) {
		return client.Own(ctx, agent.Ask{Scopes: []string{"tickets.read"}})
	}
	// Output:
}
