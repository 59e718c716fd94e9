package provider

import (
	"bytes"
	"context"
	"slices"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// within cuts what a sub-task's token is made from to what the tasks above it hold now at this resource,
// scopes and details: its user may have narrowed one of them since it was handed on (DESIGN §2.4).
func (p *Provider) within(ctx context.Context, m *minting) error {
	if m.task.Parent == "" {
		return nil
	}
	_, grants, err := p.store.Above(ctx, m.task.ID)
	if err != nil {
		return err
	}
	cut, scopes := m.detail, m.scopes
	for _, held := range grants {
		i := slices.IndexFunc(held, func(g store.Grant) bool { return g.Resource == m.grant.Resource && g.EndedAt.IsZero() })
		if i < 0 {
			return store.ErrTaskNotActive
		}
		above, err := tokens.ParseGrant(held[i].Details)
		if err != nil {
			return err
		}
		cut.Tools = cutTools(cut.Tools, above.Tools)
		scopes = slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return !slices.Contains(held[i].Scopes, scope) })
	}
	if len(cut.Tools) == 0 || len(scopes) == 0 && len(m.scopes) > 0 {
		return oauth.Refuse(oauth.InvalidGrant, "the task above this one holds none of its tools any more")
	}
	m.scopes = scopes
	m.detail, err = readableCut(m.detail, cut)
	return err
}

// readableCut returns the details as they were where nothing was cut, so that what is stored under their
// hash is found, and otherwise what is left.
func readableCut(details, cut tokens.Details) (tokens.Details, error) {
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
