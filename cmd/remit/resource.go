package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"
)

type resourceCmd struct {
	Backend  resourceBackendCmd  `cmd:"" help:"Let a resource get tokens for a backend of its own, on behalf of its callers."`
	Add      resourceAddCmd      `cmd:"" help:"Register an MCP server and print its enrolment code."`
	List     resourceListCmd     `cmd:"" help:"List resources."`
	Show     resourceShowCmd     `cmd:"" help:"Show a resource with its tools."`
	Enrol    resourceEnrolCmd    `cmd:"" help:"Print a new enrolment code, in place of the outstanding one."`
	Drift    resourceDriftCmd    `cmd:"" help:"Show new, changed and removed tools as a diff."`
	Approve  resourceApproveCmd  `cmd:"" help:"Approve a new or changed tool."`
	Access   resourceAccessCmd   `cmd:"" help:"Show who can call what, and why."`
	Simulate resourceSimulateCmd `cmd:"" help:"Say whether a call would be allowed, check by check."`
	Disable  resourceDisableCmd  `cmd:"" help:"Switch a resource off and end the tasks with a part there."`
	Enable   resourceEnableCmd   `cmd:"" help:"Switch a resource on again."`
}

// resource is a resource as the server shows one.
type resource struct {
	URI     string     `json:"uri"`
	Name    string     `json:"name"`
	GuardID string     `json:"guard_id"`
	Off     bool       `json:"disabled"`
	Policy  string     `json:"policy_version"`
	AckAt   *time.Time `json:"ack_at"`
	Tools   []tool     `json:"tools"`
}

type tool struct {
	Name       string          `json:"name"`
	State      string          `json:"state"`
	Hash       string          `json:"hash"`
	LiveHash   string          `json:"live_hash"`
	Definition json.RawMessage `json:"definition"`
	Live       json.RawMessage `json:"live"`
}

type resourceAddCmd struct {
	File string `arg:"" help:"JSON with uri, name, policy (YAML text) or policy_file, tools (entries of tools/list), default_on; - is standard input."`
}

// Run registers the resource.
func (c *resourceAddCmd) Run(ctx context.Context, a *app) error {
	raw, err := a.readFile(c.File)
	if err != nil {
		return err
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &members); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if err := inlinePolicy(members, filepath.Dir(c.File)); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	return ask(ctx, a, "resources", nil, members, func(out struct {
		Resource resource  `json:"resource"`
		Code     string    `json:"enrolment_code"`
		Expires  time.Time `json:"expires_at"`
	},
	) error {
		fmt.Fprintf(a.out, "added %s with %d tools\n", plain(out.Resource.URI), len(out.Resource.Tools))
		return showCode(a, out.Code, out.Expires)
	})
}

// inlinePolicy replaces policy_file, a path beside the resource's file, by the file's text.
func inlinePolicy(members map[string]json.RawMessage, dir string) error {
	raw, ok := members["policy_file"]
	if !ok {
		return nil
	}
	if _, both := members["policy"]; both {
		return fmt.Errorf("give policy or policy_file, not both")
	}
	var name string
	if err := json.Unmarshal(raw, &name); err != nil {
		return fmt.Errorf("policy_file: %w", err)
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	delete(members, "policy_file")
	members["policy"], err = json.Marshal(string(text))
	return err
}

func showCode(a *app, code string, expires time.Time) error {
	_, err := fmt.Fprintf(a.out, "enrolment code  %s\n\nGive it to the server's Guard before %s; it works once and is not shown again.\n", code, shortTime(expires))
	return err
}

type resourceListCmd struct{}

// Run lists the resources.
func (c *resourceListCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "resources", nil, nil, func(out struct{ Resources []resource }) error {
		var rows [][]string
		for _, r := range out.Resources {
			heard := ""
			if r.AckAt != nil {
				heard = shortTime(*r.AckAt)
			}
			rows = append(rows, []string{r.URI, r.Name, able(r.Off), toolSummary(r.Tools), r.GuardID, heard})
		}
		return table(a.out, []string{"URI", "NAME", "STATE", "TOOLS", "GUARD", "LAST ACKNOWLEDGED"}, rows)
	})
}

func toolSummary(tools []tool) string {
	waiting := 0
	for _, t := range tools {
		if t.State != "approved" {
			waiting++
		}
	}
	if waiting == 0 {
		return fmt.Sprint(len(tools))
	}
	return fmt.Sprintf("%d, %d to approve", len(tools), waiting)
}

type resourceShowCmd struct {
	URI string `arg:"" help:"URI of the resource."`
}

// Run shows the resource.
func (c *resourceShowCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "resources/show", url.Values{"uri": {c.URI}}, nil, func(r resource) error {
		fmt.Fprintf(a.out, "%s (%s)\nguard   %s\npolicy  %s\n\n", plain(r.URI), plain(r.Name), orDash(r.GuardID), orDash(r.Policy))
		var rows [][]string
		for _, t := range r.Tools {
			rows = append(rows, []string{t.Name, t.State, t.Hash, t.LiveHash})
		}
		if err := table(a.out, []string{"TOOL", "STATE", "APPROVED DEFINITION", "LIVE DEFINITION"}, rows); err != nil {
			return err
		}
		if slices.ContainsFunc(r.Tools, func(t tool) bool { return t.State != "approved" }) {
			_, err := fmt.Fprintf(a.out, "\nsee what differs: remit resource drift %s\n", plain(r.URI))
			return err
		}
		return nil
	})
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return plain(s)
}

type resourceEnrolCmd struct {
	URI string `arg:"" help:"URI of the resource."`
}

// Run makes a new enrolment code.
func (c *resourceEnrolCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "resources/enrol", nil, map[string]string{"uri": c.URI}, func(out struct {
		Code    string    `json:"enrolment_code"`
		Expires time.Time `json:"expires_at"`
	},
	) error {
		return showCode(a, out.Code, out.Expires)
	})
}

type resourceDisableCmd struct {
	URI string `arg:"" help:"URI of the resource."`
	disabling
}

// Run switches the resource off.
func (c *resourceDisableCmd) Run(ctx context.Context, a *app) error {
	return c.run(ctx, a, "resources/disable", map[string]string{"uri": c.URI}, url.Values{"resource": {c.URI}}, c.URI)
}

type resourceEnableCmd struct {
	URI    string `arg:"" help:"URI of the resource."`
	Reason string `help:"Why, for the ledger."`
}

// Run switches the resource on.
func (c *resourceEnableCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "resources/enable", nil, map[string]string{"uri": c.URI, "reason": c.Reason}, func(struct{}) error {
		_, err := fmt.Fprintf(a.out, "enabled %s\n", plain(c.URI))
		return err
	})
}
