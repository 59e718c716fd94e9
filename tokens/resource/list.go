package resource

import (
	"context"
	"encoding/json"
	"errors"
)

// FilterTools leaves of a result of tools/list the tools that the principal could call now, for
// servers whose answers no adapter sees. Protect alone does not: it reads no answers. What the
// principal may not call is refused in any case; a list without it keeps agents from trying.
func (p *Permit) FilterTools(ctx context.Context, result json.RawMessage) (json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	var tools []json.RawMessage
	if err := errors.Join(json.Unmarshal(result, &members), json.Unmarshal(members["tools"], &tools)); err != nil {
		return nil, err
	}
	mine := []json.RawMessage{}
	for _, raw := range tools {
		var tool struct {
			Name string `json:"name"`
		}
		if json.Unmarshal(raw, &tool) == nil && p.May(ctx, tool.Name) {
			mine = append(mine, raw)
		}
	}
	var err error
	if members["tools"], err = json.Marshal(mine); err != nil {
		return nil, err
	}
	members["cacheScope"] = json.RawMessage(`"private"`) // MCP 2026-07-28: the list is this caller's
	return json.Marshal(members)
}
