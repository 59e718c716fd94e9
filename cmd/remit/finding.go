package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// findingCmd is about what a person should look at.
type findingCmd struct {
	List    findingListCmd    `cmd:"" help:"List findings, newest first."`
	Dismiss findingDismissCmd `cmd:"" help:"Say that a finding is no problem. The ledger keeps it, and who said so."`
}

type findingListCmd struct {
	Dismissed bool   `help:"Those that somebody has dismissed."`
	Before    int64  `help:"Older than this one." placeholder:"NUMBER"`
	Limit     string `help:"At most so many (100)." placeholder:"N"`
}

// Run lists the findings.
func (c *findingListCmd) Run(ctx context.Context, a *app) error {
	q := url.Values{}
	if c.Dismissed {
		q.Set("dismissed", "true")
	}
	if c.Before > 0 {
		q.Set("before", strconv.FormatInt(c.Before, 10))
	}
	if c.Limit != "" {
		q.Set("limit", c.Limit)
	}
	return ask(ctx, a, "findings", q, nil, func(out struct {
		Findings []struct {
			record
			Finding   int64 `json:"finding"`
			Dismissed *struct {
				At     time.Time `json:"at"`
				By     string    `json:"by"`
				Person string    `json:"person"`
				Reason string    `json:"reason"`
			} `json:"dismissed"`
		}
	},
	) error {
		var rows [][]string
		for _, f := range out.Findings {
			dismissed := ""
			if f.Dismissed != nil {
				dismissed = f.Dismissed.By + " " + f.Dismissed.Person + ": " + f.Dismissed.Reason
			}
			rows = append(rows, []string{strconv.FormatInt(f.Finding, 10), shortTime(f.At), f.Kind, f.Task, f.User, f.Client, f.Resource, dismissed})
		}
		return table(a.out, []string{"FINDING", "AT", "KIND", "TASK", "USER", "CLIENT", "RESOURCE", "DISMISSED"}, rows)
	})
}

type findingDismissCmd struct {
	Finding int64  `arg:"" help:"Its number, as remit finding list shows it."`
	Reason  string `required:"" help:"Why, for the ledger."`
}

// Run dismisses the finding.
func (c *findingDismissCmd) Run(ctx context.Context, a *app) error {
	in := map[string]any{"finding": c.Finding, "reason": c.Reason}
	return ask(ctx, a, "findings/dismiss", nil, in, func(out struct {
		Finding int64 `json:"finding"`
	},
	) error {
		_, err := fmt.Fprintf(a.out, "finding %d is dismissed\n", out.Finding)
		return err
	})
}
