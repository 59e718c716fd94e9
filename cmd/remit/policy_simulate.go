package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/remit-auth/remit/tokens/resource/policy"
)

type policySimulateCmd struct {
	File     string `arg:"" help:"The changed policy; - is standard input."`
	Resource string `required:"" help:"The resource that it is for." placeholder:"URI"`
	Days     int    `default:"30" help:"How many days of calls to replay."`
}

// turned is a call that the changed policy would decide otherwise, as it is printed.
type turned struct {
	decided
	Turn policy.Turn `json:"turn"`
}

// Run prints every call that would turn. It ends with 1 when there is one.
func (c *policySimulateCmd) Run(ctx context.Context, a *app) (err error) {
	changed, err := a.readPolicy(c.File)
	if err != nil {
		return err
	}
	server, err := a.admin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	var r shownResource
	if err := server.do(ctx, "resources/show", url.Values{"uri": {c.Resource}}, nil, &r); err != nil {
		return unusable(err)
	}
	now, err := parsePolicy([]byte(r.Policy))
	if err != nil {
		now = nil // nothing to compare limits with
	}
	u, err := readUsage(ctx, server, c.Resource, time.Now().AddDate(0, 0, -c.Days))
	if err != nil {
		return err
	}
	calls := make([]policy.Call, len(u.calls))
	for i, d := range u.calls {
		calls[i] = d.Call
	}
	all := []turned{}
	for _, t := range policy.Replay(now, changed, calls) {
		all = append(all, turned{u.calls[t.Call], t})
	}
	if err := c.print(a, u, all); err != nil {
		return err
	}
	if len(all) > 0 {
		return errSilent
	}
	return nil
}

func (c *policySimulateCmd) print(a *app, u usage, all []turned) error {
	if a.json {
		return writeJSON(a.out, map[string]any{"resource": c.Resource, "days": c.Days, "replayed": len(u.calls), "not_replayed": u.unknown, "turns": all})
	}
	would := map[string]string{policy.Refuse: "allowed → refused", policy.Allow: "refused → allowed", policy.Doubt: "allowed → perhaps refused"}
	for _, t := range all {
		line := fmt.Sprintf("%6d  %s  %s: %s (%s)", t.Seq, shortTime(t.At), t.Tool, would[t.Turn.Would], t.Turn.Reason)
		if t.Turn.Detail != "" {
			line += ": " + t.Turn.Detail
		}
		fmt.Fprintf(a.out, "%s task=%s user=%s\n", plain(line), plain(t.Task), plain(t.User))
	}
	_, err := fmt.Fprintf(a.out, "%d of %d calls would turn; %d had no token of this resource and were left out\n", len(all), len(u.calls), u.unknown)
	return err
}
