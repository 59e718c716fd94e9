package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

type clientCmd struct {
	Add     clientAddCmd     `cmd:"" help:"Register a client."`
	List    clientListCmd    `cmd:"" help:"List clients."`
	Disable clientDisableCmd `cmd:"" help:"Disable a client and end its tasks."`
	Enable  clientEnableCmd  `cmd:"" help:"Enable a client again."`

	Policy   clientPolicyCmd `cmd:"" help:"Show or replace what a client may ask for."`
	Assign   clientRoleCmd   `cmd:"" help:"Give a client that acts for itself a role at a resource."`
	Unassign clientUnroleCmd `cmd:"" help:"Take such a role away."`
}

// client is a client as the server shows one.
type client struct {
	ID        string    `json:"client_id"`
	Name      string    `json:"client_name"`
	Auth      string    `json:"token_endpoint_auth_method"`
	Redirects []string  `json:"redirect_uris"`
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
	Secret    string    `json:"client_secret"`
}

type clientAddCmd struct {
	File string `arg:"" help:"RFC 7591 metadata in JSON, with a remit member for policy; - is standard input."`
}

// Run registers the client.
func (c *clientAddCmd) Run(ctx context.Context, a *app) error {
	raw, err := a.readFile(c.File)
	if err != nil {
		return err
	}
	if !json.Valid(raw) {
		return fmt.Errorf("%s is not JSON", c.File)
	}
	return ask(ctx, a, "clients", nil, json.RawMessage(raw), func(out client) error {
		fmt.Fprintf(a.out, "client_id      %s\n", out.ID)
		if out.Secret != "" {
			fmt.Fprintf(a.out, "client_secret  %s\n\nThe secret is not shown again.\n", out.Secret)
		}
		return nil
	})
}

type clientListCmd struct{}

// Run lists the clients.
func (c *clientListCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "clients", nil, nil, func(out struct{ Clients []client }) error {
		var rows [][]string
		for _, c := range out.Clients {
			rows = append(rows, []string{c.ID, c.Name, c.Auth, able(c.Disabled), strings.Join(c.Redirects, " ")})
		}
		return table(a.out, []string{"CLIENT ID", "NAME", "AUTHENTICATION", "STATE", "REDIRECT URIS"}, rows)
	})
}

type clientDisableCmd struct {
	ClientID string `arg:"" help:"The client's id."`
	disabling
}

// Run disables the client.
func (c *clientDisableCmd) Run(ctx context.Context, a *app) error {
	return c.run(ctx, a, "clients/disable", map[string]string{"client_id": c.ClientID}, url.Values{"client": {c.ClientID}}, c.ClientID)
}

type clientEnableCmd struct {
	ClientID string `arg:"" help:"The client's id."`
	Reason   string `help:"Why, for the ledger."`
}

// Run enables the client.
func (c *clientEnableCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "clients/enable", nil, map[string]string{"client_id": c.ClientID, "reason": c.Reason}, func(struct{}) error {
		_, err := fmt.Fprintf(a.out, "enabled %s\n", plain(c.ClientID))
		return err
	})
}
