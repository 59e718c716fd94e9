package server

import (
	"context"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// textLimits are the labels of the limits that a person may set, by their kind.
var textLimits = map[string]string{
	consent.LimitOnly:   "Only these, one a line",
	consent.LimitPrefix: "Begins with",
	consent.LimitMin:    "At least",
	consent.LimitMax:    "At most",
	consent.LimitItems:  "At most so many entries",
}

// limitName is the field of one limit.
func limitName(tool, argument, kind string) string {
	return web.FieldLimit + tool + "." + argument + "." + kind
}

// limitNames are the fields of all limits of a tool.
func limitNames(t consent.Tool) (names []string) {
	for _, a := range t.Arguments {
		for _, kind := range a.Kinds {
			names = append(names, limitName(t.Detail.Tool, a.Name, kind))
		}
	}
	return names
}

// Bounds of a form's fields: what package oauth reads.
const (
	maxLimitName   = 128
	maxLimitFields = 200 // of one page
)

// limitFields offer each argument of the tool to be limited, as long as the page's form has room.
// offered are the names of the fields before; two arguments never share one.
func limitFields(ctx context.Context, t consent.Tool, offered map[string]bool) (all []web.Limit) {
	for _, a := range t.Arguments {
		limit := web.Limit{Argument: a.Name}
		for _, kind := range a.Kinds {
			name := limitName(t.Detail.Tool, a.Name, kind)
			if len(name) > maxLimitName || len(offered) >= maxLimitFields || offered[name] {
				continue
			}
			offered[name] = true
			limit.Fields = append(limit.Fields, web.LimitField{Name: name, Label: say(ctx, textLimits[kind])})
		}
		if len(limit.Fields) > 0 {
			all = append(all, limit)
		}
	}
	return all
}

// readLimits reads what the person wrote for one tool. It joins what was offered, so that nothing
// written here can give more.
func readLimits(o consent.Offer, tool string, form oauth.Params) (tokens.Constraints, error) {
	var limits tokens.Constraints
	for _, t := range o.Tools {
		if t.Detail.Tool != tool {
			continue
		}
		for _, a := range t.Arguments {
			for _, kind := range a.Kinds {
				one, err := consent.LimitArgument(a.Name, kind, form.Get(limitName(tool, a.Name, kind)))
				if err != nil {
					return nil, &oauth.Error{Code: oauth.InvalidRequest, Description: "A limit cannot be understood. Go back and write it differently.", Cause: err}
				}
				limits = limits.And(one)
			}
		}
	}
	return limits, nil
}
