package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

type policyCmd struct {
	Lint     policyLintCmd     `cmd:"" help:"Find what is wrong with a policy file, and what to write instead."`
	Explain  policyExplainCmd  `cmd:"" help:"Say why a call is allowed or refused, check by check."`
	Suggest  policySuggestCmd  `cmd:"" help:"Draft a first policy from a server's tools, or tighten one by its use."`
	Simulate policySimulateCmd `cmd:"" help:"Replay the ledger's calls against a changed policy."`
	Schema   policySchemaCmd   `cmd:"" help:"Print the JSON Schema of policy files, for editors."`
}

// statusError ends the command with this status.
type statusError struct {
	error
	status int
}

// unusable is an error that leaves nothing to judge.
func unusable(err error) error {
	if err == nil {
		return nil
	}
	return statusError{err, 2}
}

// readPolicy reads a policy file as a server does.
func (a *app) readPolicy(name string) (*policy.Policy, error) {
	src, err := a.readFile(name)
	if err != nil {
		return nil, unusable(err)
	}
	p, err := parsePolicy(src)
	if err != nil {
		return nil, unusable(fmt.Errorf("%s: %w", name, err))
	}
	return p, nil
}

// parsePolicy parses a policy whose limits Guards and pages understand.
func parsePolicy(src []byte) (*policy.Policy, error) {
	return policy.Parse(src, func(raw json.RawMessage) error {
		_, err := tokens.ParseConstraints(raw)
		return err
	})
}

// manifest is a server's tools, from a file or from the running server.
type manifest struct {
	facts   []policy.ToolFacts         // nil: not known
	schemas map[string]json.RawMessage // input schemas by tool
}

// manifestFlags say where the tools are told.
type manifestFlags struct {
	Manifest string `help:"The server's tools: an answer to tools/list, its tools alone, or a file for remit resource add." placeholder:"FILE" xor:"tools"`
	Resource string `help:"Take the tools of this resource from the server." placeholder:"URI" xor:"tools"`
}

func (f manifestFlags) read(ctx context.Context, a *app) (manifest, error) {
	switch {
	case f.Manifest != "":
		raw, err := a.readFile(f.Manifest)
		if err != nil {
			return manifest{}, unusable(err)
		}
		m, err := parseManifest(raw)
		if err != nil {
			return manifest{}, unusable(fmt.Errorf("%s: %w", f.Manifest, err))
		}
		return m, nil
	case f.Resource != "":
		r, err := a.showResource(ctx, f.Resource)
		if err != nil {
			return manifest{}, unusable(err)
		}
		return r.manifest()
	}
	return manifest{}, nil
}

// parseManifest reads tools/list in the forms in which people keep it.
func parseManifest(raw []byte) (manifest, error) {
	var entries []json.RawMessage
	if json.Unmarshal(raw, &entries) == nil {
		return newManifest(entries)
	}
	var named struct {
		Tools  []json.RawMessage `json:"tools"`
		Result struct {
			Tools []json.RawMessage `json:"tools"`
		} `json:"result"`
	}
	if err := json.Unmarshal(raw, &named); err != nil {
		return manifest{}, err
	}
	if named.Tools == nil {
		named.Tools = named.Result.Tools
	}
	if named.Tools == nil {
		return manifest{}, errors.New("it has no tools: want an answer to tools/list")
	}
	return newManifest(named.Tools)
}

func newManifest(entries []json.RawMessage) (manifest, error) {
	m := manifest{facts: []policy.ToolFacts{}, schemas: map[string]json.RawMessage{}}
	for _, raw := range entries {
		d, err := tokens.ParseDefinition(raw)
		if err != nil {
			return manifest{}, err
		}
		if _, twice := m.schemas[d.Name]; twice {
			return manifest{}, fmt.Errorf("the tool %s is there twice", d.Name)
		}
		facts, err := factsOf(d)
		if err != nil {
			return manifest{}, err
		}
		m.facts, m.schemas[d.Name] = append(m.facts, facts), d.InputSchema
	}
	return m, nil
}

// factsOf reads the hints as MCP wants them read: what writes and says no more may destroy.
func factsOf(d tokens.Definition) (policy.ToolFacts, error) {
	hint := func(given *bool, otherwise bool) bool {
		if given == nil {
			return otherwise
		}
		return *given
	}
	h := tokens.Annotations{}
	if d.Annotations != nil {
		h = *d.Annotations
	}
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(d.InputSchema, &schema); err != nil {
		return policy.ToolFacts{}, fmt.Errorf("the input schema of %s: %w", d.Name, err)
	}
	f := policy.ToolFacts{Name: d.Name, ReadOnly: hint(h.ReadOnlyHint, false), OpenWorld: hint(h.OpenWorldHint, true)}
	f.Destructive = !f.ReadOnly && hint(h.DestructiveHint, true)
	for name := range schema.Properties {
		f.Arguments = append(f.Arguments, name)
	}
	slices.Sort(f.Arguments)
	return f, nil
}

// shownResource is what the server shows of a resource, with its policy's text.
type shownResource struct {
	URI    string `json:"uri"`
	Policy string `json:"policy"`
	Tools  []tool `json:"tools"`
}

func (a *app) showResource(ctx context.Context, uri string) (r shownResource, err error) {
	server, err := a.admin(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	return r, server.do(ctx, "resources/show", url.Values{"uri": {uri}}, nil, &r)
}

// manifest is the resource's approved tools; one that waits for approval is as its server has it.
func (r shownResource) manifest() (manifest, error) {
	entries := []json.RawMessage{}
	for _, t := range r.Tools {
		if len(t.Definition) > 0 {
			entries = append(entries, t.Definition)
		} else if len(t.Live) > 0 {
			entries = append(entries, t.Live)
		}
	}
	m, err := newManifest(entries)
	return m, unusable(err)
}

type policySchemaCmd struct{}

// Run prints the schema.
func (c *policySchemaCmd) Run(a *app) error {
	_, err := a.out.Write(policy.Schema)
	return err
}
