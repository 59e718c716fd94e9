package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/remit-auth/remit/server/export"
)

type auditExportCmd struct {
	Format string `required:"" enum:"csv,json,jsonl,ocsf" help:"csv, json, jsonl, or ocsf: events of the Open Cybersecurity Schema Framework, one a line."`
	After  int64  `help:"Begin after this record." placeholder:"SEQ"`
	recordsAsked
}

// Run writes the records that there are now. No argument's value is among what it writes.
func (c *auditExportCmd) Run(ctx context.Context, a *app) (err error) {
	server, err := a.admin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	out, err := export.New(c.Format, a.out)
	if err != nil {
		return err
	}
	for after, n := c.After, pageSize; n == pageSize; {
		page, err := server.raw(ctx, "audit/records", c.query(after), nil)
		if err != nil {
			return err
		}
		n = 0
		for line := range bytes.Lines(page) {
			var rec export.Record
			if err := json.Unmarshal(line, &rec); err != nil {
				return fmt.Errorf("a record of the server: %w", err)
			}
			if err := out.Write(rec); err != nil {
				return err
			}
			n, after = n+1, rec.Seq
		}
	}
	return out.Close()
}
