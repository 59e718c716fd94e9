package server

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/remit-auth/remit/consent"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// stepUpCard says which task would get more, and what of it stays as it is.
func (s *Server) stepUpCard(ctx context.Context, o consent.Offer) (*web.StepUp, error) {
	r := *o.Extends
	calls, err := s.store.TaskCalls(ctx, r.Task.ID)
	if err != nil {
		return nil, err
	}
	card := &web.StepUp{
		Left:  say(ctx, textLeft, spanText(r.Task.EndsAt.Sub(s.now()))),
		Calls: say(ctx, textCallsSoFar, calls[r.Task.ID].All),
	}
	if calls[r.Task.ID].All == 1 {
		card.Calls = say(ctx, textOneCallSoFar)
	}
	titles := toolTitles(o.Resource)
	for _, d := range r.Before.Tools {
		if slices.ContainsFunc(o.Tools, func(t consent.Tool) bool { return t.Detail.Tool == d.Tool }) {
			continue // asked about anew
		}
		card.Lent = append(card.Lent, web.LentTool{Name: d.Tool, Title: titles[d.Tool], Chips: termChips(ctx, d, nil, o.Extends.Used[d.Tool])})
	}
	return card, nil
}

// changeNote says how a tool that the task has already would be another.
func changeNote(ctx context.Context, t consent.Tool) string {
	switch t.Change {
	case consent.ChangedTool:
		return say(ctx, textToolChanged)
	case consent.ChangedTerms:
		var terms []string
		for _, c := range termChips(ctx, *t.Was, nil, t.Used) {
			terms = append(terms, c.Text)
		}
		if len(terms) == 0 {
			terms = []string{say(ctx, textNoLimits)}
		}
		return say(ctx, textTermsChanged, strings.Join(terms, ", "))
	}
	return ""
}

// notRunning stands for the calls made in a task that has not begun.
const notRunning = -1

// termChips are the limits of a detail, in words. A budget counts from the task's beginning, so in
// one that runs it says how many of its calls were made.
func termChips(ctx context.Context, d tokens.ToolDetail, more tokens.Constraints, used int) (all []web.Chip) {
	for _, limit := range d.Constraints.And(more).TextIn(func(format string, args ...any) string { return say(ctx, format, args...) }) {
		all = append(all, web.Chip{Text: limit, Tone: web.ToneInfo, Icon: "limit"})
	}
	if d.MaxCalls > 0 {
		text := say(ctx, textAtMost, d.MaxCalls)
		if used != notRunning {
			text = say(ctx, textAtMostMade, d.MaxCalls, used)
		}
		all = append(all, web.Chip{Text: text, Tone: web.ToneInfo, Icon: "count"})
	}
	if d.Approval != "" {
		all = append(all, web.Chip{Text: say(ctx, textEachCall), Tone: web.ToneInfo, Icon: "limit"})
	}
	return all
}

// counts are the numbers of calls that a person may choose from.
var counts = []int{1, 5, 20}

// modes are the ways in which a tool may be used: never more than is offered.
func modes(ctx context.Context, t consent.Tool) []web.Mode {
	if t.Detail.Approval != "" {
		return nil // nothing is left to choose: each call is asked about
	}
	all := []web.Mode{{Value: web.ModeTask, Text: say(ctx, textModeTask)}, {Value: web.ModeEachCall, Text: say(ctx, textModeEachCall)}}
	once, calls := textModeOnce, textModeCalls
	if t.Running {
		once, calls = textModeOnceMore, textModeMoreCalls
	}
	switch {
	case t.Detail.MaxCalls > 0 && t.Running:
		all[0].Text = say(ctx, textModeTaskMore, max(0, t.Detail.MaxCalls-t.Used))
	case t.Detail.MaxCalls > 0:
		all[0].Text = say(ctx, textModeTaskMost, t.Detail.MaxCalls)
	}
	for _, n := range counts {
		if t.Detail.MaxCalls > 0 && t.Used+n >= t.Detail.MaxCalls {
			continue
		}
		text := say(ctx, calls, n)
		if n == 1 {
			text = say(ctx, once)
		}
		all = append(all, web.Mode{Value: strconv.Itoa(n), Text: text})
	}
	for i := range all {
		all[i].Selected = all[i].Value == chosenMode(t.Chosen)
	}
	if !slices.ContainsFunc(all, func(m web.Mode) bool { return m.Selected }) {
		all[0].Selected = true
	}
	return all
}

// chosenMode is the mode that these terms are chosen by.
func chosenMode(t consent.Terms) string {
	switch {
	case t.EachCall:
		return web.ModeEachCall
	case t.MaxCalls > 0:
		return strconv.Itoa(t.MaxCalls)
	}
	return web.ModeTask
}

const (
	textLeft         = "%s left"
	textCallsSoFar   = "%d calls so far"
	textOneCallSoFar = "1 call so far"
	textToolChanged  = "The server has changed this tool since you allowed it."
	textTermsChanged = "You allowed this before: %s. Your answer here replaces that."
	textNoLimits     = "without limits of your own"
	textAtMost       = "At most %d calls"
	textAtMostMade   = "At most %d calls, %d of them made so far"
	textModeTask     = "For this task"
	textModeTaskMost = "For this task, at most %d calls"
	textModeEachCall = "Ask me each time"
	textModeCalls    = "For %d calls"
	textModeOnce     = "For 1 call only"

	textModeTaskMore  = "For this task, at most %d more calls from now on"
	textModeMoreCalls = "For %d more calls from now on"
	textModeOnceMore  = "For 1 more call from now on"
)
