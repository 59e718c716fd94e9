package provider

import (
	"bytes"
	"context"
	"slices"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// within cuts a sub-task's details to what the tasks above it hold now at this resource: its user may
// have narrowed one of them since it was handed on (DESIGN §2.4).
func (p *Provider) within(ctx context.Context, task store.Task, resource string, details tokens.Details) (tokens.Details, error) {
	if task.Parent == "" {
		return details, nil
	}
	_, grants, err := p.store.Above(ctx, task.ID)
	if err != nil {
		return details, err
	}
	cut := details
	for _, held := range grants {
		i := slices.IndexFunc(held, func(g store.Grant) bool { return g.Resource == resource && g.EndedAt.IsZero() })
		if i < 0 {
			return details, store.ErrTaskNotActive
		}
		above, err := tokens.ParseGrant(held[i].Details)
		if err != nil {
			return details, err
		}
		cut.Tools = cutTools(cut.Tools, above.Tools)
	}
	if len(cut.Tools) == 0 {
		return details, oauth.Refuse(oauth.InvalidGrant, "the task above this one holds none of its tools any more")
	}
	before, err1 := details.Canonical()
	after, err2 := cut.Canonical()
	if err1 == nil && err2 == nil && bytes.Equal(before, after) {
		return details, nil
	}
	// What is too large for a token travels as the hash of a stored grant, and this one is not stored.
	if err2 != nil || len(after) > maxTokenGrants {
		return details, oauth.Refuse(oauth.InvalidGrant, "the task above this one was narrowed; ask it for a token again")
	}
	return cut, checkReadable(cut)
}

// cutTools are those tools that the task above has too, as it knows them, under the limits of both.
func cutTools(own, above []tokens.ToolDetail) (both []tokens.ToolDetail) {
	for _, tool := range own {
		i := slices.IndexFunc(above, func(a tokens.ToolDetail) bool { return a.Tool == tool.Tool && a.Definition == tool.Definition })
		if i < 0 {
			continue
		}
		if above[i].Approval != "" {
			tool.Approval = above[i].Approval
		}
		tool.Constraints = tool.Constraints.And(above[i].Constraints)
		both = append(both, tool)
	}
	return both
}
