package resource

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/remit-auth/remit/tokens/resource/policy"
)

// reserveTimeout is how long a call waits to be counted.
const reserveTimeout = 3 * time.Second

// budget counts the call at the authorization server where consent, task or policy set a budget. One
// of a policy that is only observed is counted here: nothing is refused by it.
func (c *call) budget() *refusal {
	detail, task, most := c.reach.detail, c.granted.task, c.variant.maxCalls
	if most > 0 && c.rules.Mode() == policy.Observe {
		if !c.g.counts.take(c.bearer.Task.ID+" "+detail.Tool, most, c.bearer.Task.Ends, c.now) {
			c.byPolicy(c.deny(ToolBudget))
		}
		most = 0
	}
	if detail.MaxCalls == 0 && most == 0 && (task == nil || task.MaxCalls == 0) {
		return nil
	}
	code, err := c.g.reserve(c.r.Context(), c.execution, c.bearer, detail.Tool, most)
	switch {
	case err != nil:
		c.g.log.Error("a call could not be counted", "error", err, "task", c.bearer.Task.ID)
		return refuse(BudgetUnavailable, "the call cannot be counted now; try again soon")
	case code == TaskEnded:
		if f := c.view(); f != nil { // perhaps it is only suspended
			return f
		}
		return refuse(TaskEnded, "the task has ended")
	case code != "":
		return c.deny(code)
	}
	return nil
}

// reserve counts one call at the authorization server; most is what the policy allows of the tool in
// this task, 0 for any number. No answer, no call.
func (g *Guard) reserve(ctx context.Context, execution string, b *bearer, tool string, most int) (Code, error) {
	ctx, cancel := context.WithTimeout(ctx, reserveTimeout)
	defer cancel()
	in := struct {
		Execution string `json:"execution"`
		Task      string `json:"task"`
		JTI       string `json:"jti"`
		Tool      string `json:"tool"`
		Most      int    `json:"max_calls,omitempty"`
	}{execution, b.Task.ID, b.ID, tool, most}
	err := g.authority.call(ctx, http.MethodPost, g.authority.Reserve, in, nil)
	answer, ok := errors.AsType[*answerError](err)
	switch {
	case !ok:
		return "", err
	case answer.Status == http.StatusConflict && answer.Code == "tool_budget_spent":
		return ToolBudget, nil
	case answer.Status == http.StatusConflict && answer.Code == "task_budget_spent":
		return TaskBudget, nil
	case answer.Status == http.StatusGone:
		return TaskEnded, nil
	}
	return "", err
}

// counts are calls by task and tool.
type counts struct {
	mu    sync.Mutex
	calls map[string]*counted
}

type counted struct {
	calls int
	ends  time.Time // of the task
}

// take counts one call, unless most have been counted.
func (n *counts) take(key string, most int, ends, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	one := n.calls[key]
	if one == nil {
		n.sweep(now)
		one = &counted{ends: ends}
		n.calls[key] = one
	}
	if one.calls >= most {
		return false
	}
	one.calls++
	return true
}

// sweep forgets ended tasks, now and then.
func (n *counts) sweep(now time.Time) {
	if n.calls == nil {
		n.calls = map[string]*counted{}
	}
	if len(n.calls)%256 != 0 {
		return
	}
	for key, one := range n.calls {
		if now.After(one.ends) {
			delete(n.calls, key)
		}
	}
}
