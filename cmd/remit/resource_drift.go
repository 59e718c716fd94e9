package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/remit-auth/remit/consent"
)

type resourceDriftCmd struct {
	URI      string `arg:"" help:"URI of the resource."`
	ExitCode bool   `help:"End with status 1 when a tool is not as it was approved."`
}

// drifted is what the server says of a resource's tools.
type drifted struct {
	URI   string          `json:"uri"`
	Drift []consent.Drift `json:"drift"`
}

// Run shows what differs from what was approved.
func (c *resourceDriftCmd) Run(ctx context.Context, a *app) error {
	found, err := a.drift(ctx, c.URI)
	if err != nil {
		return err
	}
	if a.json {
		err = writeJSON(a.out, found)
	} else {
		err = printDrift(a.out, found)
	}
	if err == nil && c.ExitCode && len(found.Drift) > 0 {
		return errSilent
	}
	return err
}

func (a *app) drift(ctx context.Context, uri string) (found drifted, err error) {
	quiet := *a
	quiet.json = false
	return found, ask(ctx, &quiet, "resources/drift", url.Values{"uri": {uri}}, nil, func(out drifted) error {
		found = out
		return nil
	})
}

func printDrift(w io.Writer, found drifted) error {
	if len(found.Drift) == 0 {
		_, err := fmt.Fprintf(w, "every tool of %s is as it was approved\n", plain(found.URI))
		return err
	}
	for i, d := range found.Drift {
		if i > 0 {
			fmt.Fprintln(w)
		}
		printTool(w, d)
		if d.State != consent.DriftRemoved {
			fmt.Fprintf(w, "\napprove with: remit resource approve %s %s --hash %s\n", plain(found.URI), plain(d.Tool), plain(d.LiveHash))
		}
	}
	return nil
}

// printTool shows one difference as diff does, with what to weigh first at the head.
func printTool(w io.Writer, d consent.Drift) {
	fmt.Fprintf(w, "%s is %s\n", plain(d.Tool), plain(d.State))
	for _, alarm := range d.Alarms {
		mark := "note"
		if alarm.Bad {
			mark = "RISK"
		}
		fmt.Fprintf(w, "  %s  %s\n", mark, plain(alarm.Text))
	}
	for _, f := range d.Fields {
		fmt.Fprintf(w, "@@ %s @@\n", plain(f.Name))
		for _, l := range f.Lines {
			fmt.Fprintf(w, "%s %s\n", plain(l.Op), plain(l.Text))
		}
	}
}

type resourceApproveCmd struct {
	URI  string `arg:"" help:"URI of the resource."`
	Tool string `arg:"" optional:"" help:"Name of the tool; without it, all that wait are shown and asked about together."`
	Hash string `help:"The definition that is approved, and no other (see remit resource drift); without it you are shown what differs and asked." placeholder:"sha-256:…"`
}

// Run approves tools as they were looked at.
func (c *resourceApproveCmd) Run(ctx context.Context, a *app) error {
	if hash := strings.TrimSpace(c.Hash); hash != "" {
		if c.Tool == "" {
			return statusError{errors.New("--hash is the definition of one tool: name it"), 2}
		}
		return c.approve(ctx, a, c.Tool, hash)
	}
	if a.json {
		return statusError{errors.New("with --json, name the tool, and its definition with --hash (see remit resource drift)"), 2}
	}
	found, err := a.drift(ctx, c.URI)
	if err != nil {
		return err
	}
	waiting := slices.DeleteFunc(found.Drift, func(d consent.Drift) bool { return d.LiveHash == "" || c.Tool != "" && d.Tool != c.Tool })
	if len(waiting) == 0 {
		return fmt.Errorf("%s has no new or changed tool %s to approve", c.URI, c.Tool)
	}
	if err := c.confirm(a, waiting); err != nil {
		return err
	}
	for _, d := range waiting {
		if err := c.approve(ctx, a, d.Tool, d.LiveHash); err != nil {
			return err
		}
	}
	return nil
}

func (c *resourceApproveCmd) approve(ctx context.Context, a *app, tool, hash string) error {
	in := map[string]string{"uri": c.URI, "tool": tool, "hash": hash}
	return ask(ctx, a, "resources/approve", nil, in, func(out struct{ Hash string }) error {
		_, err := fmt.Fprintf(a.out, "approved %s as %s\n", plain(tool), plain(out.Hash))
		return err
	})
}

// confirm shows what differs, and lets the person who has looked say so: with the hash of the one
// tool that they named, or with the number of those that wait. What is approved is what was shown.
func (c *resourceApproveCmd) confirm(a *app, waiting []consent.Drift) error {
	for _, d := range waiting {
		printTool(a.out, d)
		fmt.Fprintf(a.out, "definition offered now: %s\n\n", plain(d.LiveHash))
	}
	want := fmt.Sprintf("approve %d", len(waiting))
	if c.Tool != "" {
		want = waiting[0].LiveHash
	}
	fmt.Fprintf(a.out, "Type “%s” to go on: ", plain(want))
	line, err := bufio.NewReader(io.LimitReader(a.in, 256)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	fmt.Fprintln(a.out)
	if strings.TrimSpace(line) != want {
		return errors.New("nothing was approved")
	}
	return nil
}
