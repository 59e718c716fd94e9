package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Limits of one reading of the definitions.
const (
	listTime = 5 * time.Second
	maxPages = 100
	maxTools = 10_000
)

// definitions reads the live tools of a server, for its Guard.
type definitions struct{ backend backend }

// read returns all tools, or an error: never a part, never what was there before.
func (d *definitions) read(ctx context.Context) ([]json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
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
