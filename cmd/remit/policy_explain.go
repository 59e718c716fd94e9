package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"time"

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
	Tool      string   `help:"The tool that is called." xor:"what" required:""`
	URI       string   `name:"uri" help:"Not a tool: the MCP resource that is read." xor:"what" required:"" placeholder:"URI"`
	Prompt    string   `help:"Not a tool: the prompt that is read." xor:"what" required:"" placeholder:"NAME"`
	Arguments string   `help:"The tool's arguments, a JSON object." placeholder:"JSON"`

	Address string `help:"Judge conditions: the client's address." placeholder:"IP"`
	At      string `help:"Judge conditions: the time, as in 2026-07-06T08:30:00Z; now when another is judged." placeholder:"TIME"`
	Grade   string `help:"Judge conditions: registered, cimd or dcr." placeholder:"GRADE" enum:",registered,cimd,dcr" default:""`
	Bearer  bool   `name:"unbound" help:"Judge conditions: the token is bound to no key."`
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
	q := policy.Question{Scopes: c.Scope, Roles: c.Role, Tool: c.Tool, Judge: judge}
	switch {
	case c.URI != "":
		q.Tool, q.Read = c.URI, policy.Resources
	case c.Prompt != "":
		q.Tool, q.Read = c.Prompt, policy.Prompts
	}
	if q.Context, err = c.context(); err != nil {
		return unusable(err)
	}
	steps := p.Explain(q)
	if q.Read != "" {
		m.schemas = nil
	}
	if _, offered := m.schemas[c.Tool]; m.schemas != nil && !offered {
		steps = []policy.Step{{Check: policy.CheckTool, Detail: "the server does not offer " + c.Tool, Mend: "correct the tool's name"}}
	}
	allowed := steps[len(steps)-1].OK
	if a.json {
		err = writeJSON(a.out, map[string]any{"allowed": allowed, "tool": q.Tool, "mode": modeOf(p), "scopes": append([]string{}, c.Scope...), "roles": append([]string{}, c.Role...), "steps": steps})
	} else {
		err = printSteps(a, c.File, p.Mode(), steps)
	}
	if err == nil && !allowed {
		return errSilent
	}
	return err
}

// context is what conditions are judged by; nil when nothing of it is given.
func (c *policyExplainCmd) context() (*policy.Context, error) {
	if c.Address == "" && c.At == "" && c.Grade == "" && !c.Bearer {
		return nil, nil
	}
	in := &policy.Context{At: time.Now(), Grade: policy.Grade(c.Grade), KeyBound: !c.Bearer}
	var err error
	if c.Address != "" {
		if in.Address, err = netip.ParseAddr(c.Address); err != nil {
			return nil, fmt.Errorf("--address: %w", err)
		}
	}
	if c.At != "" {
		if in.At, err = time.Parse(time.RFC3339, c.At); err != nil {
			return nil, fmt.Errorf("--at: %w", err)
		}
	}
	return in, nil
}

// modeOf spells the policy's mode out.
func modeOf(p *policy.Policy) string {
	if p.Mode() == policy.Observe {
		return "observe"
	}
	return "enforce"
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
	parsed, err := tokens.ParseSchema(schema)
	if err != nil {
		return nil, err
	}
	return func(limits json.RawMessage) error {
		constraints, err := tokens.ParseConstraints(limits)
		if err != nil {
			return err
		}
		_, err = tokens.Constraints(nil).CheckUnder(constraints, given, parsed)
		return err
	}, nil
}

func printSteps(a *app, file string, mode policy.Mode, steps []policy.Step) error {
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
	if mode == policy.Observe {
		verdict = "would be refused: " + steps[len(steps)-1].Check + "; the policy is only observed, so it runs if token, task and consent allow it"
	}
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
