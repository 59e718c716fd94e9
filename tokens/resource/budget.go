package resource

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// reserveTimeout is how long a call waits to be counted.
const reserveTimeout = 3 * time.Second

// budget counts the call where a budget was set: at the authorization server for those of the
// consent, here for those of the policy that the consent does not already keep.
func (c *call) budget() *refusal {
	detail, task := c.reach.detail, c.granted.task
	if most := c.variant.maxCalls; most > 0 && (detail.MaxCalls == 0 || detail.MaxCalls > most) {
		if !c.g.counts.take(c.bearer.Task.ID+" "+detail.Tool, most, c.bearer.Task.Ends, c.now) {
			return c.deny(ToolBudget)
		}
	}
	if detail.MaxCalls == 0 && (task == nil || task.MaxCalls == 0) {
		return nil
	}
	code, err := c.g.reserve(c.r.Context(), c.execution, c.bearer, detail.Tool)
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

// reserve counts one call at the authorization server. No answer, no call.
func (g *Guard) reserve(ctx context.Context, execution string, b *bearer, tool string) (Code, error) {
	ctx, cancel := context.WithTimeout(ctx, reserveTimeout)
	defer cancel()
	in := struct {
		Execution string `json:"execution"`
		Task      string `json:"task"`
		JTI       string `json:"jti"`
		Tool      string `json:"tool"`
	}{execution, b.Task.ID, b.ID, tool}
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
