package resource

import (
	"bytes"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

// Principal is who calls, as the verified token says.
type Principal struct {
	Issuer    string
	User      string // sub
	Client    string // client_id
	Task      string
	JKT       string // thumbprint of the agent's key
	TokenID   string // jti
	Scopes    []string
	Roles     []string
	Expires   time.Time
	TaskEnds  time.Time
	Execution string  // the id of this tools/call; empty for other methods
	Actors    []Actor // who acts for the user, newest first (RFC 8693 §4.1); empty: Client itself
}

// Actor is one of those who act for a user.
type Actor struct {
	Subject string // a client_id, or the URI of a resource on its way to a backend
	Client  string
}

// actors is the act claim as a list.
func actors(a *tokens.Actor) (all []Actor) {
	for ; a != nil; a = a.Act {
		all = append(all, Actor{a.Subject, a.ClientID})
	}
	return all
}

// PrincipalFrom returns the principal of a request that Protect let through.
func PrincipalFrom(ctx context.Context) (Principal, bool) {
	p, ok := PermitFrom(ctx)
	if !ok {
		return Principal{}, false
	}
	return p.Principal(), true
}

// Permit is what the Guard allowed for one request, for adapters that check it a second time where
// the tool is really run. A zero Permit allows nothing.
type Permit struct {
	g         *Guard
	bearer    *bearer
	granted   *granted
	raw       string // where it may have to be asked about
	rules     *ruleset
	holding   policy.Holding
	method    string
	tool      string
	target    string
	arguments []byte
	execution string
	used      atomic.Bool
	outcome   atomic.Pointer[string]
}

type permitKey struct{}

func newPermit(c *call) *Permit {
	return &Permit{
		g: c.g, bearer: c.bearer, granted: c.granted, rules: c.rules, holding: c.holding(), raw: c.raw, method: c.msg.method,
		tool: c.msg.tool, target: c.msg.target, arguments: c.msg.canonical, execution: c.execution,
	}
}

// PermitFrom returns the permit of a request that Protect let through.
func PermitFrom(ctx context.Context) (*Permit, bool) {
	p, ok := ctx.Value(permitKey{}).(*Permit)
	return p, ok
}

// Context returns ctx with this permit in it, for adapters of frameworks that run a tool in another
// context than its request's.
func (p *Permit) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, permitKey{}, p)
}

// Principal returns who calls.
func (p *Permit) Principal() Principal {
	b := p.bearer
	if b == nil {
		return Principal{}
	}
	return Principal{
		Issuer: b.Issuer, User: b.Subject, Client: b.ClientID, Task: b.Task.ID, JKT: b.JKT, TokenID: b.ID,
		Scopes: slices.Clone(b.Scope), Roles: slices.Clone(b.Roles),
		Expires: b.Expires, TaskEnds: b.Task.Ends, Execution: p.execution, Actors: actors(b.Act),
	}
}

// Method returns the JSON-RPC method that was allowed.
func (p *Permit) Method() string { return p.method }

// Target returns what the request reads: a resource's URI, a template of one, or a prompt's name;
// empty for requests that read none.
func (p *Permit) Target() string { return p.target }

// Use reports whether the permit covers this call of a tool: the one that was checked, with the
// arguments that were checked. It covers it once.
func (p *Permit) Use(tool string, arguments []byte) bool {
	if p.method != methodCall || tool != p.tool {
		return false
	}
	if len(bytes.TrimSpace(arguments)) == 0 {
		arguments = []byte("{}")
	}
	if canonical, err := tokens.Canonical(arguments); err != nil || !bytes.Equal(canonical, p.arguments) {
		return false
	}
	return p.used.CompareAndSwap(false, true)
}

// May reports whether the principal could call the tool as it is now: what tools/list should show.
func (p *Permit) May(ctx context.Context, tool string) bool {
	if p.g == nil {
		return false
	}
	live, ok, err := p.g.tools.lookup(ctx, tool)
	return err == nil && ok && p.bearer.may(tool, live, p.rules, p.granted, p.holding)
}

// SetOutcome tells how the call ended. Without it, the status of the answer decides.
func (p *Permit) SetOutcome(ok bool) {
	said := outcomeError
	if ok {
		said = outcomeOK
	}
	p.outcome.Store(&said)
}
