package server

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// policyFacts say in words what an admin set for the client.
func policyFacts(ctx context.Context, p store.ClientPolicy) (facts []web.Fact) {
	add := func(name string, values ...string) {
		for _, v := range values {
			facts = append(facts, web.Fact{Name: name, Cells: []web.Cell{{Text: v}}})
		}
	}
	add(say(ctx, "Only grant"), p.Grants...)
	add(say(ctx, "Only scope"), p.Scopes...)
	add(say(ctx, "May work in tasks of"), p.ExchangeFrom...)
	if p.MaxDuration > 0 {
		add(say(ctx, "Tasks last at most"), durationText(time.Duration(p.MaxDuration)*time.Second))
	}
	if p.AccessLife > 0 {
		add(say(ctx, "Access tokens live at most"), durationText(time.Duration(p.AccessLife)*time.Second))
	}
	return facts
}
