package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/web"
)

// taskBook is what the agents pages tell of some tasks, with each client and resource read once.
type taskBook struct {
	s          *Server
	now        time.Time
	calls      map[string]store.Calls
	reach      map[string]reached // of tasks that have ended
	clients    map[string]store.Client
	registered map[string]int // how often apps have registered themselves: agents_twins.go
	resources  map[string]store.Resource
	titles     map[string]map[string]string // of the tools of a resource
	widenable  map[string]bool              // tasks that may be given more
	grants     map[string][]store.Grant     // of those that have a refused call
}

func (s *Server) gatherTasks(ctx context.Context, tasks []store.Task) (*taskBook, error) {
	b := &taskBook{
		s: s, now: s.now(), reach: map[string]reached{}, clients: map[string]store.Client{},
		resources: map[string]store.Resource{}, titles: map[string]map[string]string{}, widenable: map[string]bool{}, grants: map[string][]store.Grant{},
	}
	var ids, ended []string
	for _, t := range tasks {
		ids = append(ids, t.ID)
		b.widenable[t.ID] = widenable(t)
		if t.State.Terminal() {
			ended = append(ended, t.ID)
		}
		if err := b.gather(ctx, t); err != nil {
			return nil, err
		}
	}
	b.registered = b.twins()
	var err error
	if b.calls, err = s.store.TaskCalls(ctx, ids...); err != nil {
		return nil, err
	}
	endings, err := s.store.TaskEndings(ctx, ended...)
	for _, e := range endings {
		r := b.reach[e.TaskID]
		r.add(e, b.resources[e.Resource].Name, b.now)
		b.reach[e.TaskID] = r
	}
	return b, err
}

// gather reads the client and the resources of the task.
func (b *taskBook) gather(ctx context.Context, t store.Task) error {
	if _, known := b.clients[t.ClientID]; !known {
		client, err := b.s.store.ClientByID(ctx, t.ClientID)
		if err != nil && !errors.Is(err, store.ErrClientNotFound) {
			return err
		}
		b.clients[t.ClientID] = client
	}
	for _, leg := range t.Roles {
		if _, known := b.resources[leg.Resource]; known {
			continue
		}
		resource, err := b.s.store.ResourceByURI(ctx, leg.Resource)
		if err != nil && !errors.Is(err, store.ErrResourceNotFound) {
			return err
		}
		b.resources[leg.Resource] = resource
		b.titles[leg.Resource] = toolTitles(resource)
	}
	return nil
}

// toolTitles are what the approved definitions call the tools.
func toolTitles(r store.Resource) map[string]string {
	titles := make(map[string]string, len(r.Tools))
	for _, t := range r.Tools {
		def, err := tokens.ParseDefinition(t.Definition)
		switch {
		case len(t.Definition) == 0 || err != nil:
		case def.Title != "":
			titles[t.Name] = def.Title
		case def.Annotations != nil && def.Annotations.Title != "":
			titles[t.Name] = def.Annotations.Title
		}
	}
	return titles
}

// again is after how many seconds a page about these tasks asks for itself anew though nothing has
// moved: the minutes that are left, and the seconds that a token still lives, go by without an event.
func (b *taskBook) again(tasks ...store.Task) int {
	again := 0
	for _, t := range tasks {
		switch {
		case b.reach[t.ID].waiting():
			return 5
		case !t.State.Terminal():
			again = 60
		}
	}
	return again
}

// pausable reports whether the user may pause the task, or take over a pause that its agent could end.
func pausable(t store.Task) bool {
	return t.State == store.TaskActive || t.State == store.TaskSuspended && (t.SuspendedBy == store.ByIdle || store.ByUser.Outranks(t.SuspendedBy))
}

// row is what is told of every task.
func (b *taskBook) row(ctx context.Context, t store.Task) web.TaskRow {
	client := b.clients[t.ClientID]
	calls := b.calls[t.ID]
	row := web.TaskRow{
		ID: t.ID, Client: clientHost(ctx, client), Purpose: t.Purpose, State: stateText(ctx, t), StateTone: stateTone(t),
		Started: clock(ctx, t.CreatedAt), Ends: clock(ctx, t.EndsAt), Calls: calls.All, Blocked: calls.Blocked, Missing: calls.Unrecorded,
		CallsURL: b.s.base + "/agents/" + t.ID, Unbound: t.JKT == "" && t.State != store.TaskPending,
		CanEnd: !t.State.Terminal(), CanSuspend: pausable(t),
		ChangeURL: b.changeURL(t),
		CanResume: t.State == store.TaskSuspended && t.SuspendedBy == store.ByUser,
	}
	if name := client.Metadata.ClientName; name != row.Client {
		row.Name = name
	}
	if row.Client == "" {
		row.Client = t.ClientID
	}
	var names []string
	for _, leg := range t.Roles {
		names = append(names, b.resources[leg.Resource].Name)
	}
	row.Resource = strings.Join(names, ", ")
	b.uses(ctx, t, &row)
	if t.State.Terminal() {
		row.Ends, row.HowEnded = clock(ctx, t.EndedAt), row.State
		row.Reached, row.ReachedTone = b.reach[t.ID].text(ctx, b.now)
	}
	return row
}

// changeURL is where the task can be cut down.
func (b *taskBook) changeURL(t store.Task) string {
	if t.State.Terminal() || t.State == store.TaskPending {
		return ""
	}
	return b.s.base + "/agents/" + t.ID + "/tools"
}

// running is the row of a live task, with its newest calls and the time that it has left.
func (b *taskBook) running(ctx context.Context, t store.Task) (web.TaskRow, error) {
	row := b.row(ctx, t)
	if total, left := t.EndsAt.Sub(t.CreatedAt), t.EndsAt.Sub(b.now); total > 0 && left > 0 {
		row.Left = say(ctx, textTimeLeft, spanText(left), spanText(total))
		row.SecondsUsed, row.SecondsInAll = int((total - left).Seconds()), int(total.Seconds())
	}
	if row.Calls == 0 {
		return row, nil
	}
	recs, err := b.s.store.NewestCalls(ctx, t.ID, 0, newestShown)
	if err != nil {
		return row, err
	}
	row.Newest, err = b.callRows(ctx, recs)
	return row, err
}

// callRows tells the decisions on calls: which tool, when, and why it was blocked. Arguments are
// nobody's to read here; the ledger itself has only their digest.
func (b *taskBook) callRows(ctx context.Context, recs []store.Record) ([]web.CallRow, error) {
	rows := make([]web.CallRow, 0, len(recs))
	for _, rec := range recs {
		var p executionPayload
		if err := json.Unmarshal(rec.Payload, &p); err != nil {
			p = executionPayload{} // erased
		}
		at := callTime(rec, p)
		row := web.CallRow{Title: b.titles[rec.Resource][p.Tool], Tool: p.Tool, At: at.Format(time.RFC3339), Time: callClock(ctx, at, b.now), Blocked: p.Decision == "refused"}
		switch {
		case len(rec.Payload) == 0:
			row.Title = say(ctx, textErased)
		case p.Target != "":
			row.Title, row.Tool = p.Target, p.Method
		case p.Tool == "":
			row.Title = say(ctx, textNoTool)
		}
		if p.Observed != "" && row.Title == "" {
			row.Title = p.Tool
		}
		if p.Observed != "" { // it ran: nothing was blocked
			row.Title = say(ctx, textObservedCall, row.Title)
		}
		if row.Blocked {
			row.Reason = blockedText(ctx, p.Reason)
			var err error
			if row.MoreURL, err = b.moreURL(ctx, rec, p); err != nil {
				return nil, err
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// callTime is when the Guard says that it decided, unless that cannot be: it cannot have been after
// we were told, nor has it taken the Guard more than a day to tell.
func callTime(rec store.Record, p executionPayload) time.Time {
	at := time.UnixMicro(p.GuardAt).UTC()
	if at.After(rec.At) || rec.At.Sub(at) > 24*time.Hour {
		return rec.At
	}
	return at
}

// blockedText says in plain words why a call was refused.
func blockedText(ctx context.Context, code string) string {
	if text, known := textBlocked[code]; known {
		return say(ctx, text)
	}
	return say(ctx, textBlockedOther, code)
}

func stateTone(t store.Task) string {
	switch t.State {
	case store.TaskActive, store.TaskCompleted:
		return web.ToneOK
	case store.TaskSuspended:
		return web.ToneWarn
	case store.TaskRevoked:
		if t.Reason == reasonByUser {
			return web.ToneInfo
		}
		return web.ToneBad
	}
	return web.ToneInfo
}

// stateText names the state, with who paused the task or how it ended.
func stateText(ctx context.Context, t store.Task) string {
	text := say(ctx, textStates[string(t.State)])
	switch {
	case t.State == store.TaskSuspended:
		by, known := textSuspended[t.SuspendedBy]
		if why := ruleTexts[t.Reason]; known && why != "" {
			return say(ctx, by) + ": " + say(ctx, why)
		}
		if known {
			return say(ctx, by)
		}
	case t.State.Terminal() && t.State != store.TaskCompleted && t.Reason != "":
		if why, known := textEnded[t.Reason]; known {
			return say(ctx, why)
		}
		return fmt.Sprintf("%s (%s)", text, t.Reason)
	}
	return text
}

func clock(ctx context.Context, t time.Time) string { return sayTime(ctx, t, formMinute) }

// callClock is clock with seconds, and without the day when it is today.
func callClock(ctx context.Context, t, now time.Time) string {
	if t.UTC().Format(time.DateOnly) == now.UTC().Format(time.DateOnly) {
		return sayTime(ctx, t, formSeconds)
	}
	return sayTime(ctx, t, formSecond)
}

// spanText is a stretch of time in the two units that matter.
func spanText(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d%time.Hour < time.Minute:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}
