package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Limits of one reading of the definitions.
const (
	listTime = 5 * time.Second
	maxPages = 100
	maxTools = 10_000
	failTime = time.Second // how long a failure stands for the next readings
)

// definitions reads the live tools of a server, for its Guard.
type definitions struct {
	backend backend

	mu     sync.Mutex
	failed error
	at     time.Time
	bound  map[string][]binding // by tool, those that have any
}

// bindings returns what the tool wants repeated in headers.
func (d *definitions) bindings(tool string) []binding {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bound[tool]
}

// errUpstream says that the definitions could not be read.
var errUpstream = errors.New("gateway: the server's tools cannot be read")

// read returns all tools, or an error: never a part, never what was there before. Those who come
// right after a failure share it: they do not wait for a server that hangs, one after the other.
func (d *definitions) read(ctx context.Context) ([]json.RawMessage, error) {
	d.mu.Lock()
	failed := d.failed
	if time.Since(d.at) >= failTime {
		failed = nil
	}
	d.mu.Unlock()
	if failed != nil {
		return nil, failed
	}
	limited, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	all, err := d.list(limited)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		err = errors.Join(errUpstream, err)
		if ctx.Err() == nil {
			d.failed, d.at = err, time.Now()
		}
		return nil, err
	}
	d.bound = map[string][]binding{}
	for _, entry := range all {
		if tool, bound := bindingsOf(entry); len(bound) > 0 {
			d.bound[tool] = bound
		}
	}
	return all, nil
}

func (d *definitions) list(ctx context.Context) ([]json.RawMessage, error) {
	all := []json.RawMessage{}
	var params struct {
		Cursor string `json:"cursor,omitempty"`
	}
	size := 0
	for range maxPages {
		raw, err := d.backend.call(ctx, methodList, params)
		if err != nil {
			return nil, err
		}
		var page struct {
			Tools      []json.RawMessage `json:"tools"`
			NextCursor string            `json:"nextCursor"`
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			return nil, fmt.Errorf("gateway: tools/list: %w", err)
		}
		all = append(all, page.Tools...)
		if size += len(raw); size > maxMessage || len(all) > maxTools {
			return nil, errors.New("gateway: tools/list: there are too many tools")
		}
		if page.NextCursor == "" {
			return all, nil
		}
		if page.NextCursor == params.Cursor {
			break
		}
		params.Cursor = page.NextCursor
	}
	return nil, errors.New("gateway: tools/list: the pages do not end")
}
