package resource

import (
	"context"
	"time"
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
	Execution string // the id of this tools/call; empty for other methods
}

// PrincipalFrom returns the principal of a request that Protect let through.
func PrincipalFrom(ctx context.Context) (Principal, bool) {
	p, ok := PermitFrom(ctx)
	if !ok {
		return Principal{}, false
	}
	return p.Principal(), true
}

// Permit is what the Guard allowed for one request, for adapters that check it a second time.
type Permit struct{}

// PermitFrom returns the permit of a request that Protect let through.
func PermitFrom(ctx context.Context) (*Permit, bool) { return nil, false }

// Principal returns who calls.
func (p *Permit) Principal() Principal { return Principal{} }

// Method returns the JSON-RPC method that was allowed.
func (p *Permit) Method() string { return "" }

// Use reports whether the permit covers this call. It covers one call only: the second is refused.
func (p *Permit) Use(tool string, arguments []byte) bool { return false }

// May reports whether the principal could call the tool: it is what tools/list should show.
func (p *Permit) May(tool string) bool { return false }

// SetOutcome records how the call ended. Without it, the HTTP status decides.
func (p *Permit) SetOutcome(ok bool) {}
