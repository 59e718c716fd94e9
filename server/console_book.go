package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// consoleBook is what the console tells of some tasks: a taskBook with the people.
type consoleBook struct {
	*taskBook
	people map[string]string // e-mails by id
}

func (s *Server) consoleBook(ctx context.Context, tasks ...store.Task) (*consoleBook, error) {
	b, err := s.gatherTasks(ctx, tasks)
	if err != nil {
		return nil, err
	}
	book := &consoleBook{b, map[string]string{}}
	for _, t := range tasks {
		if err := book.meet(ctx, t.UserID); err != nil {
			return nil, err
		}
	}
	return book, nil
}

// meet reads who this is, once.
func (b *consoleBook) meet(ctx context.Context, id string) error {
	if _, known := b.people[id]; known || id == "" {
		return nil
	}
	u, err := b.s.store.UserByID(ctx, id)
	if errors.Is(err, store.ErrUserNotFound) {
		b.people[id] = id
		return nil
	}
	b.people[id] = u.Email
	return err
}

// who names a client as the console does: never by the name that it gave itself.
func (b *consoleBook) who(ctx context.Context, clientID string) string {
	if name := clientHost(ctx, b.clients[clientID]); name != "" {
		return name
	}
	return clientID
}

func (b *consoleBook) userCell(id string) web.Cell {
	return web.Cell{Text: b.people[id], Href: b.s.at("/admin/user", web.FieldUser, id)}
}

func (b *consoleBook) clientCell(ctx context.Context, id string) web.Cell {
	c := b.clients[id]
	cell := web.Cell{Text: b.who(ctx, id), Href: b.s.at("/admin/client", web.FieldClient, id)}
	if c.Origin != store.ByAdmins {
		cell.Free = c.Metadata.ClientName
	}
	if c.Disabled {
		cell.Chip = web.Chip{Text: say(ctx, textDisabled), Tone: web.ToneBad, Icon: "cross"}
	}
	return cell
}

func (b *consoleBook) resourceCell(uri string) web.Cell {
	name := b.resources[uri].Name
	if name == "" {
		name = uri
	}
	return web.Cell{Text: name, Href: b.s.at("/admin/resource", web.FieldResource, uri)}
}

func (b *consoleBook) resourceNames(t store.Task) string {
	var names []string
	for _, leg := range t.Roles {
		names = append(names, b.resourceCell(leg.Resource).Text)
	}
	return strings.Join(names, ", ")
}

func (b *consoleBook) taskURL(id string) string { return b.s.base + "/admin/tasks/" + id }

// state is the task's state with who or what brought it there.
func (b *consoleBook) state(ctx context.Context, t store.Task) web.Chip {
	chip := web.Chip{Text: say(ctx, textConsoleStates[t.State]), Tone: stateTone(t), Icon: "check"}
	switch {
	case t.State == store.TaskSuspended:
		chip.Text, chip.Icon = say(ctx, "%s by %s", chip.Text, say(ctx, textBy[t.SuspendedBy])), "pause"
	case t.State.Terminal():
		chip.Icon = "stop"
		if why, known := textWhy[t.Reason]; known {
			chip.Text += ": " + say(ctx, why)
		}
	}
	return chip
}

// taskHeads are the columns of every list of tasks.
var taskHeads = []string{"User", "Agent", "Resource", "Task", "State", "Ends", "Last use"}

// table lists the tasks.
func (b *consoleBook) table(ctx context.Context, tasks []store.Task, tick bool) web.Table {
	t := web.Table{Name: say(ctx, textTasks), Heads: sayAll(ctx, taskHeads...), Empty: say(ctx, textNoTasks)}
	if tick {
		t.Tick = web.FieldTask
	}
	for _, task := range tasks {
		t.Rows = append(t.Rows, b.tableRow(ctx, task))
	}
	return t
}

func (b *consoleBook) tableRow(ctx context.Context, t store.Task) web.TableRow {
	row := web.TableRow{Label: b.who(ctx, t.ClientID) + ", " + b.people[t.UserID] + ", " + t.ID}
	task := web.Cell{Free: t.Purpose, Href: b.taskURL(t.ID)}
	if strings.TrimSpace(t.Purpose) == "" {
		task = web.Cell{Text: say(ctx, textNoPurpose), Href: b.taskURL(t.ID)}
	}
	if t.Parent != "" {
		task.Note = say(ctx, textUnderOther)
	}
	ends := clock(ctx, t.EndedAt)
	if !t.State.Terminal() {
		row.ID = t.ID
		ends = spanText(max(0, t.EndsAt.Sub(b.now)))
	}
	agent := b.clientCell(ctx, t.ClientID)
	if t.JKT == "" && !t.ActivatedAt.IsZero() {
		agent.Chip = web.Chip{Text: say(ctx, textUnbound), Tone: web.ToneWarn, Icon: "key"}
	}
	row.Cells = []web.Cell{
		b.userCell(t.UserID), agent,
		{Text: b.resourceNames(t)},
		task,
		{Chip: b.state(ctx, t)},
		{Text: ends},
		{Text: b.ago(ctx, t.SeenAt), Note: b.blocked(ctx, t)},
	}
	return row
}

func (b *consoleBook) ago(ctx context.Context, at time.Time) string {
	if at.IsZero() {
		return "–"
	}
	return say(ctx, "%s ago", spanText(max(0, b.now.Sub(at))))
}

func (b *consoleBook) blocked(ctx context.Context, t store.Task) string {
	if n := b.calls[t.ID].Blocked; n > 0 {
		return say(ctx, "%d of %d calls blocked", n, b.calls[t.ID].All)
	}
	return ""
}

// propagation says for each resource of these tasks how far their ends have got there.
func (s *Server) propagation(ctx context.Context, ids []string) (*web.Section, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	endings, err := s.store.TaskEndings(ctx, ids...)
	if err != nil {
		return nil, err
	}
	now, reach, told := s.now(), map[string]reached{}, map[string]int{}
	var uris []string
	for _, e := range endings {
		if told[e.Resource]++; told[e.Resource] == 1 {
			uris = append(uris, e.Resource)
		}
		r := reach[e.Resource]
		r.add(e, e.Resource, now)
		reach[e.Resource] = r
	}
	slices.Sort(uris)
	table := &web.Table{Name: say(ctx, textPropagation), Heads: []string{say(ctx, "Resource"), say(ctx, "Tasks"), say(ctx, "In force")}, Empty: say(ctx, textNoneTold)}
	for _, uri := range uris {
		table.Rows = append(table.Rows, web.TableRow{Cells: []web.Cell{
			{Text: uri, Href: s.at("/admin/resource", web.FieldResource, uri)}, {Text: fmt.Sprint(told[uri])}, {Chip: reach[uri].there(ctx, now)},
		}})
	}
	return &web.Section{ID: "propagation", Title: say(ctx, textPropagation), Note: say(ctx, textPropagationNote), Table: table}, nil
}

// there says it of one resource.
func (r reached) there(ctx context.Context, now time.Time) web.Chip {
	chip := web.Chip{Text: say(ctx, textInForce, tookText(ctx, r.dead)), Tone: web.ToneOK, Icon: "check"}
	switch {
	case r.resources == 0:
		chip.Text, chip.Tone, chip.Icon = say(ctx, textNoTokenThere), web.ToneInfo, "info"
	case len(r.unreached) > 0:
		chip.Text, chip.Tone, chip.Icon = say(ctx, textNotReached, max(1, int(r.expires.Sub(now).Seconds()))), web.ToneWarn, "alert"
	case len(r.outlived) > 0:
		chip.Text, chip.Tone, chip.Icon = say(ctx, textExpiredThere), web.ToneInfo, "info"
	}
	return chip
}

// acknowledged waits a moment, after act has ended tasks of these resources, until the Guards that
// listen say that they know.
func (s *Server) acknowledged(ctx context.Context, tasks []store.Task, act func() error) error {
	changed, stop := s.watchLegs(tasks)
	defer stop()
	if err := act(); err != nil {
		return err
	}
	ids := make([]string, 0, len(tasks))
	for _, t := range tasks {
		ids = append(ids, t.ID)
	}
	s.awaitGuards(ctx, changed, ids)
	return nil
}

// watchLegs is WatchFeed for all resources of the tasks.
func (s *Server) watchLegs(tasks []store.Task) (changed <-chan struct{}, stop func()) {
	all, done, watched := make(chan struct{}, 1), make(chan struct{}), map[string]bool{}
	var stops []func()
	for _, t := range tasks {
		for _, leg := range t.Roles {
			if watched[leg.Resource] {
				continue
			}
			watched[leg.Resource] = true
			one, stopOne := s.store.WatchFeed(leg.Resource)
			stops = append(stops, stopOne)
			go func() {
				for {
					select {
					case <-one:
						select {
						case all <- struct{}{}:
						default:
						}
					case <-done:
						return
					}
				}
			}()
		}
	}
	return all, func() {
		close(done)
		for _, stop := range stops {
			stop()
		}
	}
}
