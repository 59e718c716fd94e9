package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/remit-auth/remit/tokens/resource/policy"
)

// decided is a call that a Guard decided on, with the token it was made with.
type decided struct {
	policy.Call
	Seq       int64     `json:"seq"`
	At        time.Time `json:"at"`
	User      string    `json:"user"`
	Execution string    `json:"execution"`
}

// ledgerLine is a record, as far as calls and tokens need it.
type ledgerLine struct {
	record
	JTI   string `json:"jti"`
	Agent string `json:"agent"` // the thumbprint of its key
}

// usage is what the ledger tells of a resource's calls since a time.
type usage struct {
	calls   []decided
	unknown int // calls whose token the ledger no longer shows
}

// readUsage reads the calls at a resource, oldest first, each with its token's scopes and roles.
func readUsage(ctx context.Context, server *admin, resource string, since time.Time) (usage, error) {
	type rights struct {
		scopes, roles []string
		grade         policy.Grade
	}
	issued := map[string]rights{}
	for _, kind := range []string{"token.issued", "token.refreshed"} {
		err := eachRecord(ctx, server, kind, func(rec ledgerLine) error {
			var p struct {
				Scope, Roles []string
				Grade        policy.Grade `json:"client_grade"`
			}
			if rec.Resource == resource && json.Unmarshal(rec.Payload, &p) == nil {
				issued[rec.JTI] = rights{p.Scope, p.Roles, p.Grade}
			}
			return nil
		})
		if err != nil {
			return usage{}, err
		}
	}
	var u usage
	err := eachRecord(ctx, server, "execution.decided", func(rec ledgerLine) error {
		if rec.Resource != resource || rec.At.Before(since) {
			return nil
		}
		var p struct{ Tool, Method, Target, Decision, Reason string }
		token, known := issued[rec.JTI]
		err := json.Unmarshal(rec.Payload, &p)
		kind := readKind(p.Method, p.Target)
		if kind != "" {
			p.Tool = p.Target
		}
		if err != nil || p.Tool == "" || !known {
			u.unknown++
			return nil
		}
		call := policy.Call{
			Task: rec.Task, Tool: p.Tool, Read: kind, At: rec.At, Grade: token.grade, Bound: rec.Agent != "",
			Scopes: token.scopes, Roles: token.roles, Allowed: p.Decision == "allowed", Reason: p.Reason,
		}
		u.calls = append(u.calls, decided{call, rec.Seq, rec.At, rec.User, rec.Execution})
		return nil
	})
	return u, err
}

// readKind is what was read by this method; empty: a tool was called.
func readKind(method, target string) policy.Kind {
	switch {
	case target == "":
		return ""
	case strings.HasPrefix(method, "prompts/"):
		return policy.Prompts
	case strings.HasPrefix(method, "resources/"):
		return policy.Resources
	}
	return "" // completions are asked for while a read is prepared; they are no use of their own
}

// eachRecord calls f with every record of a kind, in the order of the ledger.
func eachRecord(ctx context.Context, server *admin, kind string, f func(ledgerLine) error) error {
	for after := int64(0); ; {
		q := url.Values{"after": {strconv.FormatInt(after, 10)}, "limit": {strconv.Itoa(pageSize)}, "kind": {kind}}
		page, err := server.raw(ctx, "audit/records", q, nil)
		if err != nil {
			return err
		}
		n := 0
		for line := range bytes.Lines(page) {
			var rec ledgerLine
			if err := json.Unmarshal(line, &rec); err != nil {
				return fmt.Errorf("a record of the server: %w", err)
			}
			if err := f(rec); err != nil {
				return err
			}
			n, after = n+1, rec.Seq
		}
		if n < pageSize {
			return nil
		}
	}
}

type policySuggestCmd struct {
	Manifest string `help:"Draft a first policy for these tools: an answer to tools/list." placeholder:"FILE" xor:"source" required:""`
	Prefix   string `default:"tools" help:"What the draft's scopes begin with."`
	Resource string `help:"Tighten the policy of this resource by its use." placeholder:"URI" xor:"source" required:""`
	Days     int    `default:"30" help:"How many days of use to look at."`
}

// Run drafts or tightens.
func (c *policySuggestCmd) Run(ctx context.Context, a *app) error {
	if c.Manifest != "" {
		return c.draft(ctx, a)
	}
	return c.tighten(ctx, a)
}

func (c *policySuggestCmd) draft(ctx context.Context, a *app) error {
	m, err := manifestFlags{Manifest: c.Manifest}.read(ctx, a)
	if err != nil {
		return err
	}
	src := policy.Draft(c.Prefix, m.facts)
	if src == nil {
		return unusable(fmt.Errorf("%s has no tools", c.Manifest))
	}
	if _, err := parsePolicy(src); err != nil {
		return unusable(fmt.Errorf("--prefix %s: %w", c.Prefix, err))
	}
	if a.json {
		return writeJSON(a.out, map[string]string{"policy": string(src)})
	}
	_, err = fmt.Fprintf(a.out, "# A first policy, drafted from what the server says of its tools. Hints are not proof: look at each.\n%s", src)
	return err
}

func (c *policySuggestCmd) tighten(ctx context.Context, a *app) (err error) {
	server, err := a.admin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	var r shownResource
	if err := server.do(ctx, "resources/show", url.Values{"uri": {c.Resource}}, nil, &r); err != nil {
		return err
	}
	p, err := parsePolicy([]byte(r.Policy))
	if err != nil {
		return unusable(fmt.Errorf("%s: %w", c.Resource, err))
	}
	held, emails, err := holders(ctx, server, c.Resource)
	if err != nil {
		return err
	}
	u, err := readUsage(ctx, server, c.Resource, time.Now().AddDate(0, 0, -c.Days))
	if err != nil {
		return err
	}
	var uses []policy.Use
	for _, call := range u.calls {
		if call.Allowed {
			uses = append(uses, policy.Use{User: emails[call.User], Tool: call.Tool})
		}
	}
	found := policy.Tighten(p, uses, held)
	if a.json {
		return writeJSON(a.out, map[string]any{"resource": c.Resource, "days": c.Days, "calls": len(uses), "findings": append([]policy.Finding{}, found...)})
	}
	fmt.Fprintf(a.out, "%d allowed calls in %d days\n", len(uses), c.Days)
	return printFindings(a.out, "policy", found)
}

// holders are the roles of each user at a resource, by e-mail, and the users' e-mails by id.
func holders(ctx context.Context, server *admin, resource string) (held map[string][]string, emails map[string]string, err error) {
	held, emails = map[string][]string{}, map[string]string{}
	var out struct{ Users []user }
	if err := server.do(ctx, "users", nil, nil, &out); err != nil {
		return nil, nil, err
	}
	for _, u := range out.Users {
		var full user
		if err := server.do(ctx, "users/show", url.Values{"user": {u.ID}}, nil, &full); err != nil {
			return nil, nil, err
		}
		emails[u.ID] = u.Email
		if roles := full.Roles[resource]; len(roles) > 0 {
			held[u.Email] = roles
		}
	}
	return held, emails, nil
}
