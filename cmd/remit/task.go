package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"
)

type taskCmd struct {
	List      taskListCmd      `cmd:"" help:"List tasks, newest first."`
	Export    taskExportCmd    `cmd:"" help:"Write tasks as CSV, JSON, JSON Lines or OCSF events, newest first."`
	Show      taskShowCmd      `cmd:"" help:"Show a task and what was granted."`
	End       taskEndCmd       `cmd:"" help:"End a task, and all under it, everywhere."`
	Reconsent taskReconsentCmd `cmd:"" help:"End all that the task's user has lent to its client, and forget what goes on: the next request asks anew."`
	Suspend   taskSuspendCmd   `cmd:"" help:"Suspend a task."`
	Resume    taskResumeCmd    `cmd:"" help:"Resume a suspended task."`
}

// task is a task as the server shows one.
type task struct {
	ID        string    `json:"id"`
	User      string    `json:"user"`
	Client    string    `json:"client"`
	Purpose   string    `json:"purpose"`
	State     string    `json:"state"`
	Reason    string    `json:"reason"`
	MaxCalls  int       `json:"max_calls"`
	CallsUsed int       `json:"calls_used"`
	CreatedAt time.Time `json:"created_at"`
	EndsAt    time.Time `json:"ends_at"`
	Grants    []struct {
		Resource string          `json:"resource"`
		Scopes   []string        `json:"scopes"`
		Details  json.RawMessage `json:"authorization_details"`
	} `json:"grants"`
}

// tasksAsked are the tasks that are asked for.
type tasksAsked struct {
	User     string `help:"Of this user: e-mail or id."`
	Client   string `help:"Of this client."`
	Resource string `help:"At this resource." placeholder:"URI"`
	Tool     string `help:"That may use this tool; with --live, --user or --client." placeholder:"NAME"`
	Bound    bool   `help:"Whose tokens need the agent's key." xor:"key"`
	Unbound  bool   `help:"Whose tokens work without a key." xor:"key"`
	State    string `help:"In this state: pending, active, suspended, completed, revoked, expired."`
	Live     bool   `help:"Not ended."`
}

func (c tasksAsked) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"user": c.User, "client": c.Client, "resource": c.Resource, "tool": c.Tool, "state": c.State} {
		if value != "" {
			q.Set(name, value)
		}
	}
	switch {
	case c.Bound:
		q.Set("key", "bound")
	case c.Unbound:
		q.Set("key", "unbound")
	}
	if c.Live {
		q.Set("live", "true")
	}
	return q
}

type taskListCmd struct {
	tasksAsked
	Limit string `help:"At most so many (100)." placeholder:"N"`
}

// Run lists the tasks.
func (c *taskListCmd) Run(ctx context.Context, a *app) error {
	q := c.query()
	if c.Limit != "" {
		q.Set("limit", c.Limit)
	}
	return ask(ctx, a, "tasks", q, nil, func(out struct{ Tasks []task }) error {
		var rows [][]string
		for _, t := range out.Tasks {
			rows = append(rows, []string{t.ID, t.state(), t.User, t.Client, shortTime(t.CreatedAt), shortTime(t.EndsAt), t.Purpose})
		}
		return table(a.out, []string{"TASK", "STATE", "USER", "CLIENT", "CREATED", "ENDS", "PURPOSE"}, rows)
	})
}

type taskExportCmd struct {
	Format string `required:"" enum:"csv,json,jsonl,ocsf" help:"csv, json, jsonl, or ocsf: events of the Open Cybersecurity Schema Framework, one a line."`
	tasksAsked
}

// Run writes the tasks, the newest 100,000 at most.
func (c *taskExportCmd) Run(ctx context.Context, a *app) (err error) {
	server, err := a.admin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	q := c.query()
	q.Set("format", c.Format)
	file, err := server.raw(ctx, "tasks/export", q, nil)
	if err != nil {
		return err
	}
	_, err = a.out.Write(file)
	return err
}

func (t task) state() string {
	if t.Reason == "" {
		return t.State
	}
	return t.State + " (" + t.Reason + ")"
}

type taskShowCmd struct {
	ID string `arg:"" help:"The task's id."`
}

// Run shows the task.
func (c *taskShowCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "tasks/show", url.Values{"id": {c.ID}}, nil, func(t task) error {
		fmt.Fprintf(a.out, "%s is %s\n", t.ID, plain(t.state()))
		fmt.Fprintf(a.out, "user %s, client %s\npurpose: %s\n", plain(t.User), plain(t.Client), orDash(t.Purpose))
		fmt.Fprintf(a.out, "created %s, ends %s\n", shortTime(t.CreatedAt), shortTime(t.EndsAt))
		if t.MaxCalls > 0 {
			fmt.Fprintf(a.out, "%d of %d calls used\n", t.CallsUsed, t.MaxCalls)
		}
		for _, g := range t.Grants {
			fmt.Fprintf(a.out, "\n%s\n  %s\n", plain(g.Resource), plain(string(g.Details)))
		}
		return nil
	})
}

type taskEndCmd struct {
	ID     string `arg:"" help:"The task's id."`
	Reason string `help:"Why, for the ledger." default:"admin"`
}

// Run ends the task.
func (c *taskEndCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "tasks/end", nil, map[string]string{"id": c.ID, "reason": c.Reason}, func(out struct {
		Ended []string `json:"ended_tasks"`
	},
	) error {
		for _, id := range out.Ended {
			fmt.Fprintf(a.out, "ended %s\n", plain(id))
		}
		return nil
	})
}

type taskReconsentCmd struct {
	ID     string `arg:"" help:"A task of that user and client."`
	Reason string `help:"Why, for the ledger." default:"admin"`
}

// Run has the user asked anew.
func (c *taskReconsentCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "tasks/reconsent", nil, map[string]string{"id": c.ID, "reason": c.Reason}, func(out struct {
		Ended     []string `json:"ended_tasks"`
		Forgotten int      `json:"forgotten_choices"`
	},
	) error {
		for _, id := range out.Ended {
			fmt.Fprintf(a.out, "ended %s\n", plain(id))
		}
		_, err := fmt.Fprintf(a.out, "%d remembered choices forgotten; the next request asks the user anew\n", out.Forgotten)
		return err
	})
}

type taskSuspendCmd struct {
	ID     string `arg:"" help:"The task's id."`
	Reason string `help:"Why, for the ledger." default:"admin"`
}

// Run suspends the task.
func (c *taskSuspendCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "tasks/suspend", nil, map[string]string{"id": c.ID, "reason": c.Reason}, func(t task) error {
		_, err := fmt.Fprintf(a.out, "%s is %s\n", t.ID, plain(t.state()))
		return err
	})
}

type taskResumeCmd struct {
	ID     string `arg:"" help:"The task's id."`
	Reason string `help:"Why, for the ledger." default:"admin"`
}

// Run resumes the task.
func (c *taskResumeCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "tasks/resume", nil, map[string]string{"id": c.ID, "reason": c.Reason}, func(t task) error {
		_, err := fmt.Fprintf(a.out, "%s is %s\n", t.ID, plain(t.state()))
		return err
	})
}
