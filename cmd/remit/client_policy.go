package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

type clientPolicyCmd struct {
	ClientID string `arg:"" help:"The client's id."`
	File     string `arg:"" optional:"" help:"The remit member in JSON; - is standard input. Without it the policy is shown."`
	Reason   string `help:"Why, for the ledger."`
}

// Run shows the policy, or replaces it.
func (c *clientPolicyCmd) Run(ctx context.Context, a *app) error {
	type policied struct {
		ID    string          `json:"client_id"`
		Remit json.RawMessage `json:"remit"`
	}
	show := func(out policied) error {
		_, err := fmt.Fprintf(a.out, "%s\n", out.Remit)
		return err
	}
	if c.File == "" {
		return ask(ctx, a, "clients", nil, nil, func(out struct{ Clients []policied }) error {
			for _, one := range out.Clients {
				if one.ID == c.ClientID {
					return show(one)
				}
			}
			return fmt.Errorf("there is no client %s; see remit client list", plain(c.ClientID))
		})
	}
	raw, err := a.readFile(c.File)
	if err != nil {
		return err
	}
	if !json.Valid(raw) {
		return fmt.Errorf("%s is not JSON", c.File)
	}
	return ask(ctx, a, "clients/policy", nil, map[string]any{"client_id": c.ClientID, "remit": json.RawMessage(raw), "reason": c.Reason}, show)
}

// clientRole is a role that a client has for itself.
type clientRole struct {
	Client   string `required:"" help:"The client's id."`
	Resource string `required:"" help:"URI of the resource."`
	Role     string `required:"" help:"A role of the resource's policy."`
}

func (c clientRole) run(ctx context.Context, a *app, path string) error {
	in := map[string]string{"client_id": c.Client, "resource": c.Resource, "role": c.Role}
	return ask(ctx, a, path, nil, in, func(out struct{ Roles []string }) error {
		_, err := fmt.Fprintf(a.out, "%s has at %s: %s\n", plain(c.Client), plain(c.Resource), plain(strings.Join(out.Roles, ", ")))
		return err
	})
}

type clientRoleCmd struct{ clientRole }

// Run gives the role.
func (c *clientRoleCmd) Run(ctx context.Context, a *app) error {
	return c.run(ctx, a, "clients/assign")
}

type clientUnroleCmd struct{ clientRole }

// Run takes it away.
func (c *clientUnroleCmd) Run(ctx context.Context, a *app) error {
	return c.run(ctx, a, "clients/unassign")
}

type resourceBackendCmd struct {
	Resource string   `arg:"" help:"URI of the resource that calls."`
	Backend  string   `arg:"" help:"URI of the resource that is called."`
	Scopes   []string `help:"Scopes of the backend that it may have; none: it no longer may."`
}

// Run lets the resource reach the backend, or no longer.
func (c *resourceBackendCmd) Run(ctx context.Context, a *app) error {
	in := map[string]any{"resource": c.Resource, "backend": c.Backend, "scopes": append([]string{}, c.Scopes...)}
	return ask(ctx, a, "resources/backend", nil, in, func(out struct{ Backends map[string][]string }) error {
		for backend, scopes := range out.Backends {
			fmt.Fprintf(a.out, "%s may reach %s with %s\n", plain(c.Resource), plain(backend), plain(strings.Join(scopes, " ")))
		}
		return nil
	})
}
