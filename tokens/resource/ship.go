package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/remit-auth/remit/tokens"
)

// One batch of records (the authorization server's own limits).
const (
	batchRecords = 500
	batchBytes   = 512 << 10
	batchDelay   = 25 * time.Millisecond // between two batches, unless they are full
)

// shipRecords sends the spool's records, in order, until ctx ends.
func (g *Guard) shipRecords(ctx context.Context) {
	retry := backoff{least: 100 * time.Millisecond, most: 5 * time.Second}
	company := time.NewTimer(0)
	defer company.Stop()
	next, most, at, refusals := g.spool.shipped, batchRecords, cursor{}, 0
	for ctx.Err() == nil {
		first, records, err := g.spool.read(next, most, batchBytes, &at)
		if err == nil && len(records) == 0 {
			select {
			case <-g.spool.fresh:
			case <-ctx.Done():
			}
			continue
		}
		if err == nil && first != next {
			err = fmt.Errorf("resource: the authorization server has lost the records from %d on", next)
		}
		if err == nil {
			next, err = g.shipBatch(ctx, next, records)
		}
		if err == nil {
			retry.reset()
			refusals = 0
			g.spool.ship(next)
			if most = batchRecords; len(records) < most {
				company.Reset(batchDelay)
				select {
				case <-company.C:
				case <-ctx.Done():
				}
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		var answer *answerError
		isAnswer := errors.As(err, &answer)
		switch {
		case isAnswer && answer.Status/100 == 4 && len(records) > 1:
			most, refusals = answer.before(len(records)), 0 // one record of them may be what is refused
		case !isAnswer || !answer.ofContent() || len(records) == 0:
			refusals = 0
		default:
			if refusals++; refusals < contentTries {
				break
			}
			after, asideErr := g.setAside(ctx, next, records[0])
			if asideErr == nil {
				next, most, refusals = after, batchRecords, 0
				retry.reset()
				g.spool.ship(next)
				continue
			}
			err = errors.Join(err, asideErr)
		}
		g.log.Error("execution records could not be sent", "error", err, "first", first, "records", len(records))
		retry.wait(ctx)
	}
}

// before is how many of n records to send next, so that what is refused is found.
func (e *answerError) before(n int) int {
	if e.Record != nil && *e.Record > 0 && *e.Record < n {
		return *e.Record
	}
	if e.Record != nil && *e.Record == 0 {
		return 1
	}
	return max(1, n/2)
}

// shipBatch sends one batch and returns the number that the authorization server expects next.
func (g *Guard) shipBatch(ctx context.Context, first int64, records []json.RawMessage) (next int64, err error) {
	size := 64
	for _, r := range records {
		size += len(r) + 1
	}
	body := make([]byte, 0, size)
	if g.authority.replica != "" {
		body = fmt.Appendf(body, `{"first":%d,"replica":%q,"records":[`, first, g.authority.replica)
	} else {
		body = fmt.Appendf(body, `{"first":%d,"records":[`, first)
	}
	digests := make([]string, len(records))
	for i, r := range records {
		if i > 0 {
			body = append(body, ',')
		}
		body, digests[i] = append(body, r...), tokens.HashBytes(r)
	}
	signature, err := g.authority.key.SignBatch(tokens.BatchClaims{
		Guard: g.authority.GuardID, Issuer: g.issuer, Replica: g.authority.replica,
		First: first, Count: int64(len(records)), Digest: tokens.BatchDigest(digests), At: g.now(),
	})
	if err != nil {
		return first, err
	}
	body = fmt.Appendf(body, `],"signature":%q}`, signature)
	var out struct {
		Next int64 `json:"next"`
	}
	err = g.authority.call(ctx, http.MethodPost, g.authority.Executions, encoded(body), &out)
	var answer *answerError
	if errors.As(err, &answer) && answer.Status == http.StatusConflict && answer.Next > 0 && answer.Next != first {
		return answer.Next, nil // it has other records than we thought: go on from there
	}
	if err != nil {
		return first, err
	}
	if out.Next <= first && len(records) > 0 {
		return first, fmt.Errorf("resource: the authorization server took none of the records from %d on", first)
	}
	return out.Next, nil
}
