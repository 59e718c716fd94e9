package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxSize is the largest policy file that Parse reads.
const MaxSize = 256 << 10

// What a file may hold of each: every role is held against every other and against every scope, and
// who sends a policy must not choose how long that takes.
const (
	maxRoles  = 256
	maxScopes = 1024
)

// maxDepth is how deep the file's mappings and lists may nest.
const maxDepth = 32

var (
	toolName   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)
	roleName   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	promptName = regexp.MustCompile(`^[^\x00-\x1F\x7F]{1,128}$`)
	scopeName  = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]{1,128}$`) // RFC 6749 §3.3
)

// file is the policy file as written.
type file struct {
	Version  int                  `yaml:"version"`
	Mode     Mode                 `yaml:"mode"`
	Bearer   Bearer               `yaml:"bearer"`
	Access   string               `yaml:"access_token"`
	Baseline []string             `yaml:"baseline"`
	Scopes   map[string]fileScope `yaml:"scopes"`
	Roles    map[string]fileRole  `yaml:"roles"`

	at map[string]Position
}

type fileScope struct {
	Title string   `yaml:"title"`
	Roles []string `yaml:"roles"`
}

type fileRole struct {
	Include   []string            `yaml:"include"`
	When      *fileWhen           `yaml:"when"`
	Tools     map[string]fileTool `yaml:"tools"`
	Resources []string            `yaml:"resources"`
	Prompts   []string            `yaml:"prompts"`
}

type fileTool struct {
	When     *fileWhen `yaml:"when"`
	Limits   yaml.Node `yaml:"limits"`
	MaxCalls *int      `yaml:"max_calls"`
	Approval *string   `yaml:"approval"`
	Ask      *string   `yaml:"introspect"`
}

// Parse reads a policy file, strictly: unknown or duplicate keys, aliases, unknown roles, cycles of
// includes and unknown baseline scopes are errors. checkLimits, when not nil, judges each tool's
// limits, given as a JSON object.
func Parse(src []byte, checkLimits func(json.RawMessage) error) (*Policy, error) {
	if len(src) > MaxSize {
		return nil, fmt.Errorf("policy: the file has %d bytes, the most is %d", len(src), MaxSize)
	}
	f, err := decode(src)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	sum := sha256.Sum256(src)
	p := &Policy{
		version: "sha-256:" + base64.RawURLEncoding.EncodeToString(sum[:]),
		bearer:  f.Bearer,
		opaque:  f.Access == "opaque",
		at:      f.at,
		include: map[string][]string{},
		scopes:  map[string]scope{},
		rules:   map[string][]Rule{},
		closure: map[string]map[string]bool{},

		mode: f.Mode, roleWhen: map[string]int{}, reads: map[string]readings{},
	}
	addRules := func(f file) error { return p.addRules(f, checkLimits) }
	for _, step := range []func(file) error{p.addRoles, p.addScopes, addRules, p.addReads, p.addBaseline} {
		if err := step(f); err != nil {
			return nil, fmt.Errorf("policy: %w", err)
		}
	}
	return p, nil
}

// decode reads exactly one YAML document into its known fields.
func decode(src []byte) (file, error) {
	var root yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(src))
	if err := dec.Decode(&root); errors.Is(err, io.EOF) {
		return file{}, errors.New("the file is empty")
	} else if err != nil {
		return file{}, err
	}
	if err := checkNode(&root, 0); err != nil {
		return file{}, err
	}
	var f file
	strict := yaml.NewDecoder(bytes.NewReader(src))
	strict.KnownFields(true)
	if err := strict.Decode(&f); err != nil {
		return file{}, err
	}
	if err := strict.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return file{}, errors.New("the file must hold one document")
	}
	if f.Version != 1 {
		return file{}, fmt.Errorf("version is %d, want 1", f.Version)
	}
	if f.Mode == "enforce" { // the default, spelt out
		f.Mode = Enforce
	} else if f.Mode != Enforce && f.Mode != Observe {
		return file{}, fmt.Errorf("mode is %q, want enforce or observe, or leave it out", f.Mode)
	}
	if f.Bearer != BearerNone && f.Bearer != BearerReadOnly && f.Bearer != BearerAll {
		return file{}, fmt.Errorf("bearer is %q, want read_only or all, or leave it out", f.Bearer)
	}
	if f.Access != "" && f.Access != "jwt" && f.Access != "opaque" {
		return file{}, fmt.Errorf("access_token is %q, want jwt or opaque, or leave it out", f.Access)
	}
	if len(f.Roles) == 0 {
		return file{}, errors.New("no roles are defined")
	}
	f.at = positions(&root)
	return f, checkWhens(&root)
}

// checkNode refuses aliases, merge keys, duplicate keys, keys that are not strings, and depth.
func checkNode(n *yaml.Node, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("line %d: nested too deep", n.Line)
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return fmt.Errorf("line %d: anchors and aliases are not allowed", n.Line)
	}
	seen := map[string]bool{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if child.Kind != yaml.ScalarNode || child.Tag == "!!merge" {
				return fmt.Errorf("line %d: a key must be a plain name", child.Line)
			}
			if seen[child.Value] {
				return fmt.Errorf("line %d: %q is given twice", child.Line, child.Value)
			}
			seen[child.Value] = true
		}
		if err := checkNode(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (p *Policy) addRoles(f file) error {
	if len(f.Roles) > maxRoles || len(f.Scopes) > maxScopes {
		return fmt.Errorf("%d roles and %d scopes, the most are %d and %d", len(f.Roles), len(f.Scopes), maxRoles, maxScopes)
	}
	for _, name := range sortedKeys(f.Roles) {
		if !roleName.MatchString(name) {
			return fmt.Errorf("role %q: a role's name is 1 to 64 of A-Z a-z 0-9 _ . -", name)
		}
		reach := map[string]bool{}
		if err := include(f, name, reach, nil); err != nil {
			return err
		}
		p.closure[name], p.include[name] = reach, f.Roles[name].Include
		switch i, err := p.condition(f.Roles[name].When); {
		case err != nil:
			return fmt.Errorf("role %q: %w", name, err)
		case i >= 0:
			p.roleWhen[name] = i
		}
	}
	return nil
}

// include adds the role and all that it includes to reach; path is how it was got to.
func include(f file, name string, reach map[string]bool, path []string) error {
	role, known := f.Roles[name]
	if !known {
		return fmt.Errorf("role %q includes the unknown role %q", path[len(path)-1], name)
	}
	if slices.Contains(path, name) {
		return fmt.Errorf("role %q includes itself: %s", name, strings.Join(append(path, name), " → "))
	}
	if reach[name] {
		return nil
	}
	path = append(path, name)
	for _, inner := range role.Include {
		if err := include(f, inner, reach, path); err != nil {
			return err
		}
	}
	reach[name] = true
	return nil
}

func (p *Policy) addScopes(f file) error {
	for _, name := range sortedKeys(f.Scopes) {
		if _, ok := toolOf(name); ok || !scopeName.MatchString(name) {
			return fmt.Errorf("scope %q: not a scope's name, or it begins with %q", name, ToolScope)
		}
		s := scope{Scope: Scope{Name: name, Title: f.Scopes[name].Title, Roles: f.Scopes[name].Roles}, reach: map[string]bool{}}
		if len(s.Roles) == 0 {
			return fmt.Errorf("scope %q reaches no role", name)
		}
		for _, role := range s.Roles {
			if p.closure[role] == nil {
				return fmt.Errorf("scope %q reaches the unknown role %q", name, role)
			}
			maps.Copy(s.reach, p.closure[role])
		}
		p.scopes[name] = s
		p.listed = append(p.listed, s.Scope)
	}
	return nil
}

// addBaseline comes last: tool:<name> is known only once the rules are.
func (p *Policy) addBaseline(f file) error {
	for _, s := range f.Baseline {
		if slices.Contains(p.baseline, s) {
			return fmt.Errorf("baseline: %q is given twice", s)
		}
		if !p.ScopeKnown(s) {
			return fmt.Errorf("baseline: unknown scope %q", s)
		}
		p.baseline = append(p.baseline, s)
	}
	return nil
}

func (p *Policy) addRules(f file, checkLimits func(json.RawMessage) error) error {
	for _, role := range sortedKeys(f.Roles) { // so that each tool's rules are sorted by role
		for _, tool := range sortedKeys(f.Roles[role].Tools) { // and its conditions always numbered alike
			t := f.Roles[role].Tools[tool]
			rule, err := t.rule(role)
			if err == nil {
				rule.when, err = p.condition(t.When)
			}
			if err == nil && !toolName.MatchString(tool) {
				err = errors.New("a tool's name is 1 to 128 of A-Z a-z 0-9 _ . -")
			}
			if err == nil && checkLimits != nil {
				err = checkLimits(rule.Limits)
			}
			if err != nil {
				return fmt.Errorf("role %q, tool %q: %w", role, tool, err)
			}
			p.rules[tool] = append(p.rules[tool], rule)
		}
	}
	return nil
}

func (t fileTool) rule(role string) (Rule, error) {
	rule := Rule{Role: role, Limits: json.RawMessage("{}"), when: -1}
	if t.MaxCalls != nil {
		if rule.MaxCalls = *t.MaxCalls; rule.MaxCalls < 1 {
			return Rule{}, errors.New("max_calls must be at least 1")
		}
	}
	if t.Approval != nil {
		if rule.EachCall = *t.Approval == "each_call"; !rule.EachCall {
			return Rule{}, errors.New("approval can only be each_call")
		}
	}
	if t.Ask != nil {
		if rule.Introspect = *t.Ask == "always"; !rule.Introspect {
			return Rule{}, errors.New("introspect can only be always")
		}
	}
	if t.Limits.IsZero() {
		return rule, nil
	}
	if t.Limits.Kind != yaml.MappingNode {
		return Rule{}, errors.New("limits must map argument names to constraints")
	}
	var err error
	rule.Limits, err = appendJSON(nil, &t.Limits)
	return rule, err
}
