package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/remit-auth/remit/tokens/resource/policy"
)

type resourceAccessCmd struct {
	URI string `arg:"" help:"URI of the resource."`
}

// accessRow is a role, user or client with the tools of a resource.
type accessRow struct {
	Name  string   `json:"name"`
	Roles []string `json:"roles"`
	Off   bool     `json:"disabled"`
	Tools map[string]struct {
		Allowed bool   `json:"allowed"`
		Why     string `json:"why"`
	} `json:"tools"`
}

// Run prints who can call what.
func (c *resourceAccessCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "resources/access", url.Values{"uri": {c.URI}}, nil, func(out struct {
		Mode         string
		Tools        []string
		Roles, Users []accessRow
	},
	) error {
		heads := append([]string{"WHO", "ROLES"}, out.Tools...)
		var rows [][]string
		for _, one := range append(out.Roles, out.Users...) {
			row := []string{one.Name, strings.Join(one.Roles, ", ")}
			for _, tool := range out.Tools {
				row = append(row, one.Tools[tool].Why)
			}
			rows = append(rows, row)
		}
		if out.Mode == "observe" {
			fmt.Fprintln(a.out, "The policy is only observed: nothing of this is refused.")
		}
		return table(a.out, heads, rows)
	})
}

type resourceSimulateCmd struct {
	URI       string   `arg:"" help:"URI of the resource."`
	Tool      string   `arg:"" help:"The tool that would be called."`
	User      string   `required:"" help:"Of this user: e-mail or id."`
	Client    string   `required:"" help:"By this client."`
	Scope     []string `help:"Scopes of the token; none: the tool by its name."`
	Arguments string   `help:"The tool's arguments, a JSON object." placeholder:"JSON"`
	Bearer    bool     `name:"unbound" help:"With a token that is bound to no key."`
}

// Run prints each check. It ends with 1 when the call would be refused.
func (c *resourceSimulateCmd) Run(ctx context.Context, a *app) error {
	in := map[string]any{"uri": c.URI, "tool": c.Tool, "user": c.User, "client": c.Client, "bearer": c.Bearer}
	if len(c.Scope) > 0 {
		in["scopes"] = c.Scope
	}
	if c.Arguments != "" {
		if !json.Valid([]byte(c.Arguments)) {
			return fmt.Errorf("--arguments: not JSON")
		}
		in["arguments"] = json.RawMessage(c.Arguments)
	}
	var out struct {
		Allowed bool          `json:"allowed"`
		Steps   []policy.Step `json:"steps"`
	}
	client, err := a.admin(ctx)
	if err != nil {
		return err
	}
	defer client.close()
	body, err := client.raw(ctx, "resources/simulate", nil, in)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return err
	}
	if a.json {
		_, err = a.out.Write(body)
	} else {
		err = c.print(a, out.Allowed, out.Steps)
	}
	if err == nil && !out.Allowed {
		return errSilent
	}
	return err
}

func (c *resourceSimulateCmd) print(a *app, allowed bool, steps []policy.Step) error {
	for _, s := range steps {
		fmt.Fprintf(a.out, "%-4s %-15s %s\n", passed(s.OK), s.Check, plain(s.Detail))
		for _, n := range s.Notes {
			fmt.Fprintf(a.out, "       %-4s role %s: %s\n", passed(n.OK), plain(n.Role), plain(n.Text))
		}
		if s.Mend != "" {
			fmt.Fprintf(a.out, "     mend: %s\n", plain(s.Mend))
		}
	}
	said := "allowed"
	if !allowed {
		said = "refused: " + steps[len(steps)-1].Check
	}
	_, err := fmt.Fprintln(a.out, said)
	return err
}
