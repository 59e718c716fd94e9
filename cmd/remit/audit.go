package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

type auditCmd struct {
	Tail   auditTailCmd   `cmd:"" help:"Print the ledger's records in order."`
	Export auditExportCmd `cmd:"" help:"Write records as CSV, JSON, JSON Lines or OCSF events, without any argument's value."`
	Verify auditVerifyCmd `cmd:"" help:"Check the ledger of a database file, trusting nothing in it."`
}

type auditTailCmd struct {
	Follow bool  `short:"f" help:"Go on with new records."`
	Last   int64 `short:"n" help:"Begin with the last so many records." placeholder:"N"`
	After  int64 `help:"Begin after this record." placeholder:"SEQ"`
	recordsAsked
}

// recordsAsked are the records that are asked for.
type recordsAsked struct {
	Task     string `help:"Of this task."`
	User     string `help:"Of this user: e-mail or id."`
	Kind     string `help:"Of this kind, such as execution.decided."`
	Resource string `help:"Of this resource." placeholder:"URI"`
	Request  string `help:"Of this request, as its answer named it (X-Request-Id)." placeholder:"REQ"`
}

// pageSize is how many records are asked for at once; followEvery, how often for new ones.
const (
	pageSize    = 1000
	followEvery = 300 * time.Millisecond
)

// record is a line of the ledger, as far as a terminal shows it.
type record struct {
	Seq       int64           `json:"seq"`
	At        time.Time       `json:"at"`
	Kind      string          `json:"kind"`
	Task      string          `json:"task"`
	User      string          `json:"user"`
	Client    string          `json:"client"`
	Resource  string          `json:"resource"`
	Execution string          `json:"execution"`
	Request   string          `json:"request"`
	Payload   json.RawMessage `json:"payload"`
}

// Run prints records until there are no more or, following, until the context ends.
func (c *auditTailCmd) Run(ctx context.Context, a *app) (err error) {
	server, err := a.admin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	after, err := c.begin(ctx, server)
	if err != nil {
		return err
	}
	for {
		body, err := server.raw(ctx, "audit/records", c.query(after), nil)
		if err != nil {
			return unlessEnded(ctx, err)
		}
		n, last, err := c.print(a, body)
		if err != nil {
			return err
		}
		if after = max(after, last); n == pageSize {
			continue
		}
		if !c.Follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

// begin is the record after which to begin.
func (c *auditTailCmd) begin(ctx context.Context, server *admin) (int64, error) {
	if c.Last <= 0 {
		return c.After, nil
	}
	var status struct {
		Size int64 `json:"ledger_size"`
	}
	err := server.do(ctx, "status", nil, nil, &status)
	return max(c.After, status.Size-c.Last), err
}

func (c recordsAsked) query(after int64) url.Values {
	q := url.Values{"after": {strconv.FormatInt(after, 10)}, "limit": {strconv.Itoa(pageSize)}}
	for name, value := range map[string]string{"task": c.Task, "user": c.User, "kind": c.Kind, "resource": c.Resource, "request": c.Request} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// print writes a page and returns how many records it had, and the number of the last.
func (c *auditTailCmd) print(a *app, page []byte) (n int, last int64, err error) {
	for line := range bytes.Lines(page) {
		var rec record
		if err := json.Unmarshal(line, &rec); err != nil {
			return n, last, fmt.Errorf("a record of the server: %w", err)
		}
		n, last = n+1, rec.Seq
		if a.json {
			_, err = a.out.Write(line)
		} else {
			_, err = fmt.Fprintln(a.out, rec.line())
		}
		if err != nil {
			return n, last, err
		}
	}
	return n, last, nil
}

// line shows a record on one line: whatever it holds, it cannot look like two.
func (r record) line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%6d  %s  %-20s", r.Seq, r.At.UTC().Format("2006-01-02 15:04:05.000"), plain(r.Kind))
	for _, field := range []struct{ name, value string }{
		{"task", r.Task}, {"user", r.User}, {"client", r.Client}, {"resource", r.Resource}, {"execution", r.Execution}, {"request", r.Request},
	} {
		if field.value != "" {
			fmt.Fprintf(&b, " %s=%s", field.name, plain(field.value))
		}
	}
	if p := string(r.Payload); p != "{}" && p != "" {
		b.WriteString(" " + plain(p))
	}
	return b.String()
}

func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
