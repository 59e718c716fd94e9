package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// killCmd throws and lifts kill switches: what one is for is stopped for a while, and nothing ends.
type killCmd struct {
	Task       killTaskCmd       `cmd:"" help:"Stop a task, and all under it."`
	Client     killClientCmd     `cmd:"" help:"Stop an agent, by its client_id."`
	Domain     killDomainCmd     `cmd:"" help:"Stop all agents whose client_id is a URL at this host or below it."`
	User       killUserCmd       `cmd:"" help:"Stop all agents of a user."`
	Tool       killToolCmd       `cmd:"" help:"Stop one tool of a resource."`
	Resource   killResourceCmd   `cmd:"" help:"Stop all use of a resource."`
	Everything killEverythingCmd `cmd:"" help:"Stop everything."`
	List       killListCmd       `cmd:"" help:"List kill switches that are in force or wait for a second person."`
	Show       killShowCmd       `cmd:"" help:"Show a kill switch, and where it is in force."`
	Confirm    killConfirmCmd    `cmd:"" help:"Confirm a kill switch that waits for a second person."`
	Lift       killLiftCmd       `cmd:"" help:"Take a kill switch back at once; what it held goes on."`
}

// killing is what every level takes.
type killing struct {
	For    time.Duration `help:"For how long, as in 1h; 0 is until it is lifted." default:"0s" placeholder:"1h"`
	Reason string        `help:"Why, for the ledger. Needed unless --dry-run."`
	DryRun bool          `help:"Only say which tasks would be stopped."`
}

// killSwitch is a kill switch as the server shows one.
type killSwitch struct {
	ID        string     `json:"id"`
	Level     string     `json:"level"`
	Subject   string     `json:"subject"`
	Tool      string     `json:"tool"`
	State     string     `json:"state"`
	By        string     `json:"by"`
	Reason    string     `json:"reason"`
	CreatedAt time.Time  `json:"created_at"`
	ConfirmBy *time.Time `json:"confirm_by"`
	Until     *time.Time `json:"until"`
	Told      []struct {
		Resource string     `json:"resource"`
		At       time.Time  `json:"at"`
		InForce  *time.Time `json:"in_force_at"`
	} `json:"told"`
}

// what says what the switch is for.
func (k killSwitch) what() string {
	return strings.TrimSpace(k.Level + " " + strings.TrimSpace(k.Tool+" "+k.Subject))
}

func (c *killing) run(ctx context.Context, a *app, level, subject, tool string) error {
	if c.DryRun {
		q := url.Values{"level": {level}}
		if subject != "" {
			q.Set("subject", subject)
		}
		if tool != "" {
			q.Set("tool", tool)
		}
		return ask(ctx, a, "switches/dryrun", q, nil, func(out struct {
			WouldHold []string `json:"would_hold"`
		},
		) error {
			fmt.Fprintf(a.out, "%s: %d tasks would be stopped\n", plain(cmp.Or(subject, level)), len(out.WouldHold))
			for _, id := range out.WouldHold {
				fmt.Fprintln(a.out, plain(id))
			}
			return nil
		})
	}
	if c.For < 0 || c.For%time.Second != 0 {
		return errors.New("--for is whole seconds, as in 90s or 1h")
	}
	in := map[string]any{"level": level, "subject": subject, "tool": tool, "seconds": int64(c.For / time.Second), "reason": c.Reason}
	return ask(ctx, a, "switches", nil, in, func(k killSwitch) error {
		until := "until it is lifted"
		if k.Until != nil {
			until = "until " + shortTime(*k.Until)
		}
		if k.State == "waiting" {
			_, err := fmt.Fprintf(a.out, "%s waits: another admin confirms it with remit kill confirm %s\n", plain(k.what()), k.ID)
			return err
		}
		_, err := fmt.Fprintf(a.out, "stopped %s %s; back with remit kill lift %s\n", plain(k.what()), until, k.ID)
		return err
	})
}

type killTaskCmd struct {
	ID string `arg:"" help:"The task's id."`
	killing
}

// Run stops the task.
func (c *killTaskCmd) Run(ctx context.Context, a *app) error { return c.run(ctx, a, "task", c.ID, "") }

type killClientCmd struct {
	ID string `arg:"" help:"The client_id."`
	killing
}

// Run stops the agent.
func (c *killClientCmd) Run(ctx context.Context, a *app) error {
	return c.run(ctx, a, "client", c.ID, "")
}

type killDomainCmd struct {
	Host string `arg:"" help:"Host name, such as agent.example."`
	killing
}

// Run stops the agents of the domain.
func (c *killDomainCmd) Run(ctx context.Context, a *app) error {
	return c.run(ctx, a, "domain", c.Host, "")
}

type killUserCmd struct {
	Email string `arg:"" help:"E-mail address or id."`
	killing
}

// Run stops the user's agents.
func (c *killUserCmd) Run(ctx context.Context, a *app) error {
	return c.run(ctx, a, "user", c.Email, "")
}

type killToolCmd struct {
	URI  string `arg:"" help:"URI of the resource."`
	Tool string `arg:"" help:"The tool's name."`
	killing
}

// Run stops the tool.
func (c *killToolCmd) Run(ctx context.Context, a *app) error {
	return c.run(ctx, a, "tool", c.URI, c.Tool)
}

type killResourceCmd struct {
	URI string `arg:"" help:"URI of the resource."`
	killing
}

// Run stops all use of the resource.
func (c *killResourceCmd) Run(ctx context.Context, a *app) error {
	return c.run(ctx, a, "resource", c.URI, "")
}

type killEverythingCmd struct{ killing }

// Run stops everything.
func (c *killEverythingCmd) Run(ctx context.Context, a *app) error {
	return c.run(ctx, a, "everything", "", "")
}

type killListCmd struct {
	All bool `help:"Those that were, too."`
}

// Run lists the switches.
func (c *killListCmd) Run(ctx context.Context, a *app) error {
	q := url.Values{}
	if c.All {
		q.Set("all", "true")
	}
	return ask(ctx, a, "switches", q, nil, func(out struct{ Switches []killSwitch }) error {
		var rows [][]string
		for _, k := range out.Switches {
			until := "lifted"
			if k.Until != nil {
				until = shortTime(*k.Until)
			}
			rows = append(rows, []string{k.ID, k.State, k.what(), shortTime(k.CreatedAt), until, k.By, k.Reason})
		}
		return table(a.out, []string{"SWITCH", "STATE", "STOPS", "MADE", "UNTIL", "BY", "REASON"}, rows)
	})
}

type killShowCmd struct {
	ID string `arg:"" help:"The switch's id."`
}

// Run shows the switch.
func (c *killShowCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "switches/show", url.Values{"id": {c.ID}}, nil, func(k killSwitch) error {
		fmt.Fprintf(a.out, "%s is %s: %s\nby %s: %s\n", k.ID, plain(k.State), plain(k.what()), plain(k.By), orDash(k.Reason))
		var rows [][]string
		for _, t := range k.Told {
			in := "not yet"
			if t.InForce != nil {
				in = "after " + t.InForce.Sub(t.At).Round(time.Millisecond).String()
			}
			rows = append(rows, []string{t.Resource, in})
		}
		return table(a.out, []string{"RESOURCE", "IN FORCE"}, rows)
	})
}

// moving is what confirming and lifting take.
type moving struct {
	ID     string `arg:"" help:"The switch's id."`
	Reason string `required:"" help:"Why, for the ledger."`
}

func (c *moving) run(ctx context.Context, a *app, path string) error {
	return ask(ctx, a, path, nil, map[string]string{"id": c.ID, "reason": c.Reason}, func(k killSwitch) error {
		_, err := fmt.Fprintf(a.out, "%s is %s: %s\n", k.ID, plain(k.State), plain(k.what()))
		return err
	})
}

type killConfirmCmd struct{ moving }

// Run confirms the switch.
func (c *killConfirmCmd) Run(ctx context.Context, a *app) error {
	return c.run(ctx, a, "switches/confirm")
}

type killLiftCmd struct{ moving }

// Run lifts the switch.
func (c *killLiftCmd) Run(ctx context.Context, a *app) error { return c.run(ctx, a, "switches/lift") }
