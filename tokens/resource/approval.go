package resource

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/remit-auth/remit/tokens/resource/policy"
)

// approvalTimeout is how long a call waits for its approval to be spent, or asked for.
const approvalTimeout = 5 * time.Second

// asked is a call that waits for the user.
type asked struct {
	ID      string `json:"approval"`
	State   string `json:"state"`
	URL     string `json:"url"`
	Expires int    `json:"expires_in"` // seconds
}

// approval asks the authorization server about a call that the user, the client or the policy wants
// approved each time. A yes to exactly this call is spent there before the call runs here; spent is
// spent, also when the answer is lost. No answer, no call.
func (c *call) approval() *refusal {
	switch {
	case c.reach.detail.Approval != "":
	case !c.variant.eachCall:
		return nil
	case c.rules.Mode() == policy.Observe:
		return c.byPolicy(c.deny(ApprovalRequired))
	}
	if c.msg.besides != "" { // such as inputResponses: nobody would see it before the yes, or is asked about it
		return refuse(BadRequest, "a call that the user is asked about holds name, arguments and _meta alone")
	}
	a, code, err := c.g.askApproval(c.r.Context(), c.execution, c.bearer, c.live.definition, c.reach.detail.Tool, c.msg.canonical)
	switch {
	case err != nil:
		c.g.log.Error("an approval could not be asked for", "error", err, "task", c.bearer.Task.ID)
		return refuse(ApprovalUnavailable, "the user cannot be asked about this call now; try again soon")
	case code == "" && a.State == "spent":
		return nil
	case code == TaskEnded:
		if f := c.view(); f != nil { // perhaps it is only suspended
			return f
		}
		return refuse(TaskEnded, "the task has ended")
	case code != "":
		return c.deny(code)
	case a.State != "asked" || a.URL == "":
		return refuse(ApprovalUnavailable, "the user cannot be asked about this call now; try again soon")
	}
	f := c.deny(ApprovalRequired)
	f.asked = &a
	return f
}

// askApproval tells the authorization server of the call, in the form that was checked and will run.
func (g *Guard) askApproval(ctx context.Context, execution string, b *bearer, definition, tool string, canonical []byte) (a asked, code Code, err error) {
	ctx, cancel := context.WithTimeout(ctx, approvalTimeout)
	defer cancel()
	in := struct {
		Execution  string          `json:"execution"`
		Task       string          `json:"task"`
		JTI        string          `json:"jti"`
		Tool       string          `json:"tool"`
		Definition string          `json:"definition"`
		Arguments  json.RawMessage `json:"arguments"`
	}{execution, b.Task.ID, b.ID, tool, definition, canonical}
	err = g.authority.call(ctx, http.MethodPost, g.issuer+"/approvals", in, &a)
	answer, ok := errors.AsType[*answerError](err)
	switch {
	case !ok:
		return a, "", err
	case answer.Status == http.StatusForbidden && answer.Code == "approval_denied":
		return a, ApprovalDenied, nil
	case answer.Status == http.StatusForbidden:
		return a, ToolNotGranted, nil
	case answer.Status == http.StatusConflict && answer.Code == "definition_changed":
		return a, DefinitionChanged, nil
	case answer.Status == http.StatusTooManyRequests:
		return a, ApprovalsFull, nil
	case answer.Status == http.StatusRequestEntityTooLarge:
		return a, ApprovalTooLarge, nil
	case answer.Status == http.StatusGone:
		return a, TaskEnded, nil
	}
	return a, "", err
}

// elicitation is how MCP sends a person to a page (elicitation in URL mode).
type elicitation struct {
	Mode    string `json:"mode"`
	ID      string `json:"elicitationId"`
	URL     string `json:"url"`
	Message string `json:"message"`
}

// link adds to a denial where the user can lift it.
func (a *asked) link(d *denial, message string) {
	d.Approval, d.URL, d.Expires = a.ID, a.URL, a.Expires
	d.Elicitations = []elicitation{{Mode: "url", ID: a.ID, URL: a.URL, Message: message}}
}
