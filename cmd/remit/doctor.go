package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/remit-auth/remit/cmd/remit/doctor"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

type doctorCmd struct {
	URL       string `arg:"" help:"URL of the MCP server."`
	Policy    string `help:"Judge this policy file too." placeholder:"FILE" xor:"policy"`
	Manifest  string `help:"The server's tools, to judge the policy by: an answer to tools/list." placeholder:"FILE" xor:"tools"`
	Published bool   `help:"Judge the policy and the tools that the server's Guard published; on the authorization server's machine." xor:"policy,tools"`
}

// Run examines the server. It ends with 1 when a link is broken, and with 2 when the policy that it
// was given cannot be read.
func (c *doctorCmd) Run(ctx context.Context, a *app) error {
	found, judged, where, err := c.lint(ctx, a)
	if err != nil {
		return err
	}
	report := doctor.Examine(ctx, &http.Client{Timeout: 10 * time.Second}, c.URL, time.Now)
	if judged {
		report.Judge(where, found)
	}
	if a.json {
		if err := writeJSON(a.out, report); err != nil {
			return err
		}
	} else if err := printReport(a, report); err != nil {
		return err
	}
	if !report.OK {
		return errSilent
	}
	return nil
}

// lint judges the policy, where there is one to judge.
func (c *doctorCmd) lint(ctx context.Context, a *app) (found []policy.Finding, judged bool, where string, err error) {
	switch {
	case c.Policy != "":
		p, err := a.readPolicy(c.Policy)
		if err != nil {
			return nil, false, "", err
		}
		m, err := manifestFlags{Manifest: c.Manifest}.read(ctx, a)
		return policy.Lint(p, m.facts), err == nil, c.Policy, err
	case c.Published:
		r, err := a.showResource(ctx, c.URL)
		if err != nil {
			return nil, false, "", unusable(err)
		}
		m, err := r.manifest()
		if err != nil {
			return nil, false, "", err
		}
		p, err := parsePolicy([]byte(r.Policy))
		if err != nil {
			return nil, false, "", unusable(fmt.Errorf("the published policy: %w", err))
		}
		return policy.Lint(p, m.facts), true, "the published policy", nil
	}
	return nil, false, "", nil
}

func printReport(a *app, r doctor.Report) error {
	for _, l := range r.Links {
		fmt.Fprintf(a.out, "%-7s %-22s %s\n", l.State, l.Name, plain(l.Detail))
		if l.Fix != "" {
			fmt.Fprintf(a.out, "        fix: %s\n", plain(l.Fix))
		}
	}
	if r.OK {
		_, err := fmt.Fprintln(a.out, "OK")
		return err
	}
	_, err := fmt.Fprintf(a.out, "broken at: %s\n", plain(r.Broken))
	return err
}
