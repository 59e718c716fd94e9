package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/remit-auth/remit/cmd/remit/doctor"
)

type doctorCmd struct {
	URL string `arg:"" help:"URL of the MCP server."`
}

// Run examines the server and ends with 1 when a link is broken.
func (c *doctorCmd) Run(ctx context.Context, a *app) error {
	report := doctor.Examine(ctx, &http.Client{Timeout: 10 * time.Second}, c.URL, time.Now)
	if a.json {
		if err := writeJSON(a.out, report); err != nil {
			return err
		}
	} else if err := printReport(a, report); err != nil {
		return err
	}
	if !report.OK {
		return errSilent
	}
	return nil
}

func printReport(a *app, r doctor.Report) error {
	for _, l := range r.Links {
		fmt.Fprintf(a.out, "%-7s %-22s %s\n", l.State, l.Name, plain(l.Detail))
		if l.Fix != "" {
			fmt.Fprintf(a.out, "        fix: %s\n", plain(l.Fix))
		}
	}
	if r.OK {
		_, err := fmt.Fprintln(a.out, "OK")
		return err
	}
	_, err := fmt.Fprintf(a.out, "broken at: %s\n", plain(r.Broken))
	return err
}
