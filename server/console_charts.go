package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

const (
	chartMinutes = 60
	chartEnds    = 60              // propagations shown
	hourRead     = 20000           // decisions read for an hour at most; the newest are left out beyond that
	hourAge      = 5 * time.Second // how old the numbers of the overview may be
)

// overview is what the console's first page counts.
type overview struct {
	until time.Time // the minute that is not over yet
	calls [chartMinutes]web.Bar
	ends  []propagated // oldest first
}

// propagated is how long one end took until the last Guard said that it is in force.
type propagated struct {
	task string
	took time.Duration
}

// overviews remembers the newest for a moment: many people may look at once.
type overviews struct {
	mu   sync.Mutex
	at   time.Time
	held overview
}

// overview counts anew when the numbers have grown old.
func (s *Server) overview(ctx context.Context) (overview, error) {
	o := &s.overviews
	o.mu.Lock()
	defer o.mu.Unlock()
	now := s.now()
	if !o.at.IsZero() && now.Sub(o.at) < hourAge && !now.Before(o.at) {
		return o.held, nil
	}
	v := overview{until: now.UTC().Truncate(time.Minute)}
	if err := s.countCalls(ctx, &v); err != nil {
		return v, err
	}
	if err := s.measureEnds(ctx, &v); err != nil {
		return v, err
	}
	o.at, o.held = now, v
	return v, nil
}

// countCalls counts the last hour's decisions of Guards, by the minute.
func (s *Server) countCalls(ctx context.Context, v *overview) error {
	since := v.until.Add(-(chartMinutes - 1) * time.Minute)
	after, err := s.placeAt(ctx, since)
	if err != nil {
		return err
	}
	for read := 0; read < hourRead; {
		const page = 2000
		recs, err := s.store.Records(ctx, store.RecordFilter{AfterSeq: after, Kind: kindDecided, Limit: page})
		if err != nil {
			return err
		}
		for _, rec := range recs {
			if i := int(rec.At.Sub(since) / time.Minute); !rec.At.Before(since) && i < chartMinutes {
				v.calls[i].Value++
				var p executionPayload
				if json.Unmarshal(rec.Payload, &p) == nil && p.Decision == "refused" {
					v.calls[i].Bad++
				}
			}
			after = rec.Seq
		}
		if read += len(recs); len(recs) < page {
			return nil
		}
	}
	return nil
}

// placeAt returns a place in the chain before which all is older. Records stand in the order of their
// times but for what instances chain together, a few seconds apart.
func (s *Server) placeAt(ctx context.Context, since time.Time) (int64, error) {
	since = since.Add(-time.Minute)
	low, high := int64(0), int64(0)
	high, _, err := s.store.Head(ctx)
	for err == nil && low < high {
		mid := low + (high-low)/2
		var recs []store.Record
		recs, err = s.store.Records(ctx, store.RecordFilter{AfterSeq: mid, Limit: 1})
		if len(recs) == 0 || !recs[0].At.Before(since) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low, err
}

// measureEnds reads of the newest ended tasks how long their ends took to be in force everywhere.
func (s *Server) measureEnds(ctx context.Context, v *overview) error {
	tasks, err := s.store.TaskList(ctx, store.TaskFilter{State: store.TaskRevoked, Limit: chartEnds})
	if err != nil || len(tasks) == 0 {
		return err
	}
	slices.SortStableFunc(tasks, func(a, b store.Task) int { return a.EndedAt.Compare(b.EndedAt) })
	endings, err := s.store.TaskEndings(ctx, taskIDs(tasks)...)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		p := propagated{task: t.ID, took: -1}
		for _, e := range endings {
			if e.TaskID == t.ID && !e.AckedAt.IsZero() {
				p.took = max(p.took, e.AckedAt.Sub(e.At))
			}
		}
		if p.took >= 0 {
			v.ends = append(v.ends, p)
		}
	}
	return nil
}

// p99 is the propagation that at most one in a hundred was slower than; false: nothing was measured.
func (v overview) p99() (time.Duration, bool) {
	if len(v.ends) == 0 {
		return 0, false
	}
	all := make([]time.Duration, 0, len(v.ends))
	for _, p := range v.ends {
		all = append(all, p.took)
	}
	slices.Sort(all)
	return all[(len(all)*99+99)/100-1], true
}

// overviewOf adds numbers and charts to the first page.
func (s *Server) overviewOf(ctx context.Context, view *web.ConsoleTasks) error {
	v, err := s.overview(ctx)
	if err != nil {
		return err
	}
	many, err := s.countTasks(ctx, store.TaskFilter{State: store.TaskActive})
	if err != nil {
		return err
	}
	calls, blocked := 0, 0
	for _, b := range v.calls {
		calls, blocked = calls+b.Value, blocked+b.Bad
	}
	slow := "–"
	if took, measured := v.p99(); measured {
		slow = tookText(ctx, took)
	}
	view.Figures = []web.Figure{
		{Value: many, Text: say(ctx, textRunningTasks)},
		{Value: fmt.Sprint(calls), Text: say(ctx, textCallsHour)},
		{Value: fmt.Sprint(blocked), Text: say(ctx, textBlockedHour)},
		{Value: slow, Text: say(ctx, textSlowest)},
	}
	if blocked > 0 {
		view.Figures[2].Tone = web.ToneBad
	}
	view.Charts = []web.Chart{v.callsChart(ctx)}
	if len(v.ends) > 0 {
		view.Charts = append(view.Charts, s.endsChart(ctx, v))
	}
	return nil
}

func (v overview) callsChart(ctx context.Context) web.Chart {
	c := web.Chart{
		ID: "calls", Title: say(ctx, textCallsChart), Note: say(ctx, textCallsNote), Bars: v.calls[:],
		Table: web.Table{Name: say(ctx, textCallsChart), Heads: sayAll(ctx, "Minute", "Calls", "Blocked"), Empty: say(ctx, textNoCallsHour)},
	}
	for i, b := range v.calls {
		if b.Value > 0 {
			at := v.until.Add(time.Duration(i-chartMinutes+1) * time.Minute)
			c.Table.Rows = append(c.Table.Rows, web.TableRow{Cells: []web.Cell{{Text: at.Format("15:04 UTC")}, {Text: fmt.Sprint(b.Value)}, {Text: fmt.Sprint(b.Bad)}}})
		}
	}
	return c
}

func (s *Server) endsChart(ctx context.Context, v overview) web.Chart {
	c := web.Chart{
		ID: "ends", Title: say(ctx, textEndsChart), Note: say(ctx, textEndsNote),
		Table: web.Table{Name: say(ctx, textEndsChart), Heads: sayAll(ctx, "Task", "Took")},
	}
	for _, p := range v.ends {
		c.Bars = append(c.Bars, web.Bar{Value: int(max(1, p.took.Milliseconds()))})
		c.Table.Rows = append(c.Table.Rows, web.TableRow{Cells: []web.Cell{{Text: strings.TrimSpace(p.task), Href: s.base + "/admin/tasks/" + p.task}, {Text: tookText(ctx, p.took)}}})
	}
	return c
}
