package resource

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// Code is why a call was refused: in the answer, in the ledger and in the counts.
type Code string

// The codes.
const (
	NoToken           Code = "no_token"
	BadToken          Code = "bad_token"
	WrongAudience     Code = "wrong_audience"
	TokenExpired      Code = "token_expired"
	NotKeyBound       Code = "not_key_bound"
	BadProof          Code = "bad_proof"
	WrongKey          Code = "wrong_key" // a good proof, by another key than the token's: a copy is in other hands
	ProofReplayed     Code = "proof_replayed"
	UseNonce          Code = "use_dpop_nonce"
	StaleView         Code = "stale_view"
	TaskEnded         Code = "task_ended"
	TaskSuspended     Code = "task_suspended"
	TokenRevoked      Code = "token_revoked"
	SwitchedOff       Code = "switched_off" // by an admin, for now
	BadRequest        Code = "bad_request"
	BatchRefused      Code = "batch_refused"
	UnknownTool       Code = "unknown_tool"
	DefinitionChanged Code = "definition_changed"
	NoScope           Code = "scope"
	NoRole            Code = "role"
	NotNow            Code = "condition"        // a condition of the policy does not hold
	UnknownResource   Code = "unknown_resource" // a resource or prompt that no role of the policy names
	ToolNotGranted    Code = "tool_not_granted"
	ArgumentLimit     Code = "argument_limit"
	ToolBudget        Code = "tool_budget"
	TaskBudget        Code = "task_budget"
	BudgetUnavailable Code = "budget_unavailable"
	LogUnavailable    Code = "log_unavailable"
	GrantUnavailable  Code = "grant_unavailable"
	ReplayUnavailable Code = "replay_unavailable"
	ApprovalRequired  Code = "approval_required"
	ApprovalDenied    Code = "approval_denied"
	ApprovalsFull     Code = "too_many_approvals"
	ApprovalTooLarge  Code = "approval_too_large"

	ApprovalUnavailable Code = "approval_unavailable"
)

// answers says how each code is answered: the status, the error of the Bearer challenge (RFC 6750
// §3.1) and that of the DPoP challenge (RFC 9449 §7.1).
var answers = map[Code]struct {
	status       int
	bearer, dpop string
	challenge    bool
}{
	NoToken:           {http.StatusUnauthorized, "", "", true},
	BadToken:          {http.StatusUnauthorized, "invalid_token", "invalid_token", true},
	WrongAudience:     {http.StatusUnauthorized, "invalid_token", "invalid_token", true},
	TokenExpired:      {http.StatusUnauthorized, "invalid_token", "invalid_token", true},
	NotKeyBound:       {http.StatusUnauthorized, "invalid_token", "invalid_token", true},
	TaskEnded:         {http.StatusUnauthorized, "invalid_token", "invalid_token", true},
	TokenRevoked:      {http.StatusUnauthorized, "invalid_token", "invalid_token", true},
	BadProof:          {http.StatusUnauthorized, "", "invalid_dpop_proof", true},
	WrongKey:          {http.StatusUnauthorized, "", "invalid_dpop_proof", true},
	ProofReplayed:     {http.StatusUnauthorized, "", "invalid_dpop_proof", true},
	UseNonce:          {http.StatusUnauthorized, "", "use_dpop_nonce", true},
	StaleView:         {http.StatusServiceUnavailable, "", "", false},
	BudgetUnavailable: {http.StatusServiceUnavailable, "", "", false},
	LogUnavailable:    {http.StatusServiceUnavailable, "", "", false},
	GrantUnavailable:  {http.StatusServiceUnavailable, "", "", false},
	ReplayUnavailable: {http.StatusServiceUnavailable, "", "", false},
	BadRequest:        {http.StatusBadRequest, "invalid_request", "invalid_request", false},
	BatchRefused:      {http.StatusBadRequest, "invalid_request", "invalid_request", false},
	TaskSuspended:     {http.StatusForbidden, "", "", false},
	SwitchedOff:       {http.StatusForbidden, "", "", false},
	ApprovalRequired:  {http.StatusForbidden, "", "", false},
	ApprovalDenied:    {http.StatusForbidden, "", "", false},
	ApprovalsFull:     {http.StatusForbidden, "", "", false},
	ApprovalTooLarge:  {http.StatusForbidden, "", "", false},

	ApprovalUnavailable: {http.StatusServiceUnavailable, "", "", false},
	UnknownTool:         {http.StatusForbidden, "insufficient_scope", "insufficient_scope", true},
	DefinitionChanged:   {http.StatusForbidden, "insufficient_scope", "insufficient_scope", true},
	NoScope:             {http.StatusForbidden, "insufficient_scope", "insufficient_scope", true},
	NoRole:              {http.StatusForbidden, "insufficient_scope", "insufficient_scope", true},
	NotNow:              {http.StatusForbidden, "insufficient_scope", "insufficient_scope", true},
	UnknownResource:     {http.StatusForbidden, "insufficient_scope", "insufficient_scope", true},
	ToolNotGranted:      {http.StatusForbidden, "insufficient_scope", "insufficient_scope", true},
	ArgumentLimit:       {http.StatusForbidden, "insufficient_scope", "insufficient_scope", true},
	ToolBudget:          {http.StatusForbidden, "insufficient_scope", "insufficient_scope", true},
	TaskBudget:          {http.StatusForbidden, "insufficient_scope", "insufficient_scope", true},
}

// What a client can do about a denial (SEP-2643).
const (
	available   = "available"
	unavailable = "unavailable"
	undisclosed = "undisclosed"
)

// Error codes of JSON-RPC: of an invalid message, of a denial (COAZ-MCP), and of one that a page lifts
// (MCP, elicitation in URL mode).
const (
	rpcInvalid = -32600
	rpcDenied  = -32001
	rpcElicit  = -32042
)

// retryAfter is how many seconds to wait after a 503.
const retryAfter = 2

// refusal is an answer that is no.
type refusal struct {
	Code
	text        string // what is wrong, for the client
	hint        string // what to do about it
	remediation string // for denials: available, unavailable or undisclosed
	http        int    // the status; 0: that of the code
	shown       Code   // the code that the client sees; empty: the code
	asked       *asked // what waits for the user; nil: nothing
}

func refuse(code Code, text string) *refusal { return &refusal{Code: code, text: text} }

func (f *refusal) status(status int) *refusal {
	f.http = status
	return f
}

func (f *refusal) with(remediation, hint string) *refusal {
	f.remediation, f.hint = remediation, hint
	return f
}

// write answers the request: the challenges a client can act on, and a structured denial.
func (f *refusal) write(c *call) {
	answer := answers[f.Code]
	status := answer.status
	if f.http != 0 {
		status = f.http
	}
	h := c.w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Access-Control-Expose-Headers", "DPoP-Nonce, WWW-Authenticate")
	switch {
	case answer.challenge && status == answer.status:
		c.g.challenge(h, answer.bearer, answer.dpop, f.scope(c), f.text)
	case answer.challenge: // the token is good, though not for this tool
		c.g.challenge(h, "", "", "", f.text)
	}
	if status == http.StatusUnauthorized {
		if nonce := c.g.replay.issue(c.r.Context(), c.now); nonce != "" {
			h.Set("DPoP-Nonce", nonce)
		}
	}
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	h.Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(f.body(c)) // nobody is left to tell
}

// scope names what the client should ask for: for a denial that consent can lift, the one tool.
func (f *refusal) scope(c *call) string {
	switch {
	case answers[f.Code].status == http.StatusUnauthorized:
		return c.g.baseline()
	case f.remediation == available && c.msg.tool != "":
		return "tool:" + c.msg.tool
	case f.remediation == available:
		return c.msg.opener
	}
	return ""
}

// challenge writes the two challenges, Bearer first: some clients read no other, some take the
// first error=, scope= and resource_metadata= of the whole header.
func (g *Guard) challenge(h http.Header, bearer, dpop, scope, text string) {
	var common strings.Builder
	common.WriteString(`resource_metadata="` + g.metadataURL + `"`)
	if scope != "" {
		common.WriteString(`, scope="` + scope + `"`)
	}
	if bearer != "" {
		h.Add("WWW-Authenticate", `Bearer error="`+bearer+`", error_description="`+quotable(text)+`", `+common.String())
	} else {
		h.Add("WWW-Authenticate", "Bearer "+common.String())
	}
	if dpop != "" {
		h.Add("WWW-Authenticate", `DPoP error="`+dpop+`", error_description="`+quotable(text)+`", algs="ES256 EdDSA", `+common.String())
	} else {
		h.Add("WWW-Authenticate", `DPoP algs="ES256 EdDSA", `+common.String())
	}
}

// quotable leaves what error_description may hold (RFC 6750 §3).
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '\''
		}
		return r
	}, s)
}

// denial is the data of a JSON-RPC error.
type denial struct {
	Reason      string `json:"reason"`
	Code        Code   `json:"code"`
	Remediation string `json:"remediation,omitempty"`
	Tool        string `json:"tool,omitempty"`
	Target      string `json:"target,omitempty"` // the resource or prompt
	Task        string `json:"task,omitempty"`
	Hint        string `json:"hint,omitempty"`

	Approval     string        `json:"approval,omitempty"`
	URL          string        `json:"url,omitempty"` // where the user answers
	Expires      int           `json:"expires_in,omitempty"`
	Elicitations []elicitation `json:"elicitations,omitempty"`
}

func (f *refusal) body(c *call) []byte {
	var out struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
			Data    denial `json:"data"`
		} `json:"error"`
	}
	out.Version, out.ID = "2.0", json.RawMessage("null")
	if c.msg.id != nil {
		out.ID = c.msg.id
	}
	out.Error.Code, out.Error.Message = rpcDenied, f.text
	out.Error.Data = denial{
		Reason: "insufficient_authorization", Code: f.Code, Remediation: f.remediation,
		Tool: c.msg.tool, Target: c.msg.target, Task: c.task(), Hint: f.hint,
	}
	if f.shown != "" {
		out.Error.Data.Code = f.shown
	}
	if f.asked != nil {
		out.Error.Code = rpcElicit
		f.asked.link(&out.Error.Data, f.text)
	}
	switch f.Code {
	case BadRequest, BatchRefused:
		out.Error.Code, out.Error.Data.Reason = rpcInvalid, "invalid_request"
	case StaleView, ApprovalUnavailable, BudgetUnavailable, LogUnavailable, GrantUnavailable, ReplayUnavailable:
		out.Error.Data.Reason = "temporarily_unavailable"
	}
	body, err := json.Marshal(out)
	if err != nil { // an id that is no JSON never gets here
		return []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}`)
	}
	return body
}
