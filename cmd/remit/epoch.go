package main

import (
	"context"
	"errors"
	"fmt"
)

type epochCmd struct {
	Raise epochRaiseCmd `cmd:"" help:"Declare that the database was restored from a backup: whatever was issued before is dead."`
}

type epochRaiseCmd struct {
	Reason string `help:"For the ledger." default:"a backup was restored" placeholder:"TEXT"`
	Yes    bool   `help:"Do not ask: every live task ends, and every user signs in again."`
}

// Run raises the epoch.
func (c *epochRaiseCmd) Run(ctx context.Context, a *app) error {
	if !c.Yes {
		return errors.New("this ends every task that lives in the database, and every session: say --yes")
	}
	a.restoring = true
	return ask(ctx, a, "epoch/raise", nil, map[string]string{"reason": c.Reason}, showEpoch(a))
}

// raisedEpoch is the server's answer.
type raisedEpoch struct {
	Epoch   int64 `json:"epoch"`
	Records int64 `json:"records"`
	Ended   int   `json:"tasks_ended"`
}

func showEpoch(a *app) func(raisedEpoch) error {
	return func(out raisedEpoch) error {
		_, err := fmt.Fprintf(a.out, "epoch %d begins after %d records: %d tasks ended, new keys sign, Guards are told when they connect\n", out.Epoch, out.Records, out.Ended)
		return err
	}
}
