package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

// fileURI is a file's name as a URI reference.
func fileURI(name string) string { return (&url.URL{Path: filepath.ToSlash(name)}).String() }

type policyExplainCmd struct {
	File string `arg:"" help:"Policy file; - is standard input."`
	manifestFlags
	Scope     []string `help:"Scopes of the token; none: the baseline."`
	Role      []string `help:"Roles of the user."`
	Tool      string   `required:"" help:"The tool that is called."`
	Arguments string   `help:"Its arguments, a JSON object." placeholder:"JSON"`
}

// Run prints each check. It ends with 1 when the call would be refused.
func (c *policyExplainCmd) Run(ctx context.Context, a *app) error {
	p, err := a.readPolicy(c.File)
	if err != nil {
		return err
	}
	m, err := c.read(ctx, a)
	if err != nil {
		return err
	}
	judge, err := c.judge(m)
	if err != nil {
		return unusable(err)
	}
	if c.Scope == nil {
		c.Scope = p.Baseline()
	}
	steps := p.Explain(c.Scope, c.Role, c.Tool, judge)
	if _, offered := m.schemas[c.Tool]; m.schemas != nil && !offered {
		steps = []policy.Step{{Check: policy.CheckTool, Detail: "the server does not offer " + c.Tool, Mend: "correct the tool's name"}}
	}
	allowed := steps[len(steps)-1].OK
	if a.json {
		err = writeJSON(a.out, map[string]any{"allowed": allowed, "tool": c.Tool, "scopes": append([]string{}, c.Scope...), "roles": append([]string{}, c.Role...), "steps": steps})
	} else {
		err = printSteps(a, c.File, steps)
	}
	if err == nil && !allowed {
		return errSilent
	}
	return err
}

// judge is how arguments are held to limits; nil when none are given.
func (c *policyExplainCmd) judge(m manifest) (func(json.RawMessage) error, error) {
	if c.Arguments == "" {
		return nil, nil
	}
	given := []byte(c.Arguments)
	if err := tokens.CheckJSON(given); err != nil {
		return nil, fmt.Errorf("--arguments: %w", err)
	}
	schema := m.schemas[c.Tool]
	if schema == nil { // not known: one that has what is given
		var members map[string]json.RawMessage
		if err := json.Unmarshal(given, &members); err != nil {
			return nil, fmt.Errorf("--arguments: %w", err)
		}
		for name := range members {
			members[name] = json.RawMessage("{}")
		}
		raw, err := json.Marshal(map[string]any{"type": "object", "properties": members})
		if err != nil {
			return nil, err
		}
		schema = raw
	}
	return func(limits json.RawMessage) error {
		constraints, err := tokens.ParseConstraints(limits)
		if err != nil {
			return err
		}
		_, err = constraints.CheckArguments(given, schema)
		return err
	}, nil
}

func printSteps(a *app, file string, steps []policy.Step) error {
	for _, s := range steps {
		fmt.Fprintf(a.out, "%-4s %-15s %s\n", passed(s.OK), s.Check, plain(s.Detail))
		for _, n := range s.Notes {
			fmt.Fprintf(a.out, "       %-4s %s:%d: role %s: %s\n", passed(n.OK), plain(file), n.Line, plain(n.Role), plain(n.Text))
		}
		if s.Mend != "" {
			fmt.Fprintf(a.out, "     mend: %s\n", plain(s.Mend))
		}
	}
	verdict := "refused: " + steps[len(steps)-1].Check
	if steps[len(steps)-1].OK {
		verdict = "allowed by the policy; token, task, consent and the tool's definition are judged besides"
	}
	_, err := fmt.Fprintln(a.out, verdict)
	return err
}

func passed(ok bool) string {
	if ok {
		return "ok"
	}
	return "NO"
}
