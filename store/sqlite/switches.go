package sqlite

import (
	"context"
	"time"

	"github.com/remit-auth/remit/store"
)

const (
	// The tasks that t hangs under, itself among them.
	upSQL = `WITH RECURSIVE up (id, parent, user_id, client_id, delegates, n) AS (
	SELECT t.id, t.parent, t.user_id, t.client_id, t.delegates, 0
	UNION ALL SELECT p.id, p.parent, p.user_id, p.client_id, p.delegates, up.n + 1 FROM up JOIN tasks p ON p.id = up.parent WHERE up.parent <> '' AND up.n < 16)`
	// coversSQL says of the switch s and one of those tasks what store.Switch.Covers does; of a resource,
	// whether it acts there.
	coversSQL = `(s.level = 'everything' OR s.level = 'user' AND s.subject = up.user_id OR s.level = 'task' AND s.subject = up.id
	OR s.level = 'resource' AND EXISTS (SELECT 1 FROM json_each(up.delegates) d WHERE d.value ->> 'sub' = s.subject)
	OR s.level = 'client' AND s.subject = up.client_id OR s.level = 'domain' AND substr(up.client_id, 1, 8) = 'https://' AND
	instr('.' || lower(substr(up.client_id, 9, instr(substr(up.client_id, 9) || '/', '/') - 1)) || ':', '.' || s.subject || ':') > 0)`
	untilSQL = `CASE s.until WHEN 0 THEN 9223372036854775807 ELSE s.until END`
	// heldUntil is when the last switch that holds t goes back; 0: none does. Without any switch it
	// costs one look at an empty index.
	heldUntil = `CASE WHEN EXISTS (SELECT 1 FROM switches WHERE state = 'thrown') THEN COALESCE((` + upSQL + `
	SELECT MAX(` + untilSQL + `) FROM switches s, up WHERE s.state = 'thrown' AND ` + coversSQL + `), 0) ELSE 0 END`
	// resourceUntil is the same of the resource ?2.
	resourceUntil     = resourceUntilHead + `?2` + resourceUntilTail
	resourceUntilHead = `COALESCE((SELECT MAX(` + untilSQL + `) FROM switches s
	WHERE s.state = 'thrown' AND (s.level = 'everything' OR s.level = 'resource' AND s.subject = `
	resourceUntilTail = `)), 0)`

	switchColumns = `s.id, s.level, s.subject, s.tool, s.state, s.actor, s.person, s.confirmer, s.reason, s.tasks,
s.created_at, s.confirm_by, s.thrown_at, s.until, s.lifted_at`
	switchSQL     = `SELECT ` + switchColumns + ` FROM switches s WHERE s.id = ?`
	openSwitchSQL = `SELECT ` + switchColumns + ` FROM switches s WHERE s.state IN ('thrown', 'waiting') ORDER BY s.rowid DESC`
	allSwitchSQL  = `SELECT ` + switchColumns + ` FROM switches s ORDER BY s.state NOT IN ('thrown', 'waiting'), s.rowid DESC LIMIT 100`
	addSwitchSQL  = `INSERT INTO switches (id, level, subject, tool, state, actor, person, confirmer, reason, tasks,
created_at, confirm_by, thrown_at, until, lifted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`
	moveSwitchSQL = `UPDATE switches SET state = ?, confirmer = ?, thrown_at = ?, until = ?, lifted_at = ?, tasks = ? WHERE id = ?`
)

func switchFields(s *store.Switch) []any {
	return []any{
		&s.ID, &s.Level, &s.Subject, &s.Tool, &s.State, &s.By, &s.Person, &s.Second, &s.Reason,
		jsonColumn{&s.Tasks},
		at(&s.CreatedAt), at(&s.ConfirmBy), at(&s.ThrownAt), at(&s.Until), at(&s.LiftedAt),
	}
}

func (c *conn) switches(now time.Time, query string, args ...any) (all []store.Switch, err error) {
	err = c.each(query, args, func(scan func(...any) error) error {
		var s store.Switch
		err := scan(switchFields(&s)...)
		all = append(all, s.AsOf(now))
		return err
	})
	return all, err
}

// unswitched refuses a use that a kill switch covers.
func (tx *tx) unswitched(u store.Use) error {
	all, err := tx.switches(tx.now, openSwitchSQL)
	for _, s := range all {
		if s.State == store.SwitchThrown && s.Covers(u) {
			return store.ErrSwitched
		}
	}
	return err
}

// use is what a task that begins is about to do.
func use(t store.Task, grants []store.Grant) store.Use {
	u := store.Use{UserID: t.UserID, Clients: []string{t.ClientID}, Tasks: []string{t.ID, t.Parent}}
	for _, d := range t.Delegates {
		u.Clients = append(u.Clients, d.ClientID)
		u.Resources = append(u.Resources, d.Subject) // one that acts at its backend
	}
	for _, g := range grants {
		u.Resources = append(u.Resources, g.Resource)
	}
	return u
}

// subject refuses what there is not, and returns the tasks under a task that the switch is for.
func (tx *tx) subject(s store.Switch) (under []string, err error) {
	switch s.Level {
	case store.LevelTask:
		t, _, err := tx.task(s.Subject, tx.now)
		if err == nil && t.State.Terminal() {
			err = store.ErrTaskEnded
		}
		if err != nil {
			return nil, err
		}
		tree, err := tx.under(s.Subject)
		for _, t := range tree {
			under = append(under, t.ID)
		}
		return under, err
	case store.LevelClient:
		return nil, tx.known(liveClientSQL, s.Subject, store.ErrClientNotFound)
	case store.LevelUser:
		return nil, tx.known(liveUserSQL, s.Subject, store.ErrUserNotFound)
	case store.LevelResource, store.LevelTool:
		return nil, tx.known(liveResourceSQL, s.Subject, store.ErrResourceNotFound)
	}
	return nil, nil
}

func (tx *tx) known(query, id string, unknown error) error {
	return tx.live(query, id, unknown, nil)
}

// ThrowSwitch puts the switch in force, or keeps it until a second person confirms it.
func (s *Store) ThrowSwitch(ctx context.Context, sw store.Switch, recs ...store.Record) (kept store.Switch, err error) {
	err = s.write(ctx, func(tx *tx) (err error) {
		kept = sw
		if kept.Tasks, err = tx.subject(sw); err != nil {
			return err
		}
		kept.CreatedAt = orNow(sw.CreatedAt, tx.now)
		if kept.State != store.SwitchWaiting {
			kept.State, kept.ThrownAt, kept.ConfirmBy = store.SwitchThrown, tx.now, time.Time{}
		}
		_, err = tx.exec(addSwitchSQL, kept.ID, string(kept.Level), kept.Subject, kept.Tool, string(kept.State), string(kept.By), kept.Person, kept.Second,
			kept.Reason, words(kept.Tasks), micros(kept.CreatedAt), micros(kept.ConfirmBy), micros(kept.ThrownAt), micros(kept.Until))
		if err == nil && kept.State == store.SwitchThrown {
			err = tx.tellSwitch(store.EventSwitchThrown, kept, kept.By)
		}
		return errOr(err, func() error { return tx.record(recs...) })
	})
	return kept, err
}

func (tx *tx) openSwitch(id string) (s store.Switch, err error) {
	all, err := tx.switches(tx.now, switchSQL, id)
	switch {
	case err != nil:
		return s, err
	case len(all) == 0:
		return s, store.ErrSwitchNotFound
	case all[0].State != store.SwitchThrown && all[0].State != store.SwitchWaiting:
		return s, store.ErrSwitchLifted
	}
	return all[0], nil
}

func (tx *tx) moveSwitch(s store.Switch) error {
	_, err := tx.exec(moveSwitchSQL, string(s.State), s.Second, micros(s.ThrownAt), micros(s.Until), micros(s.LiftedAt), words(s.Tasks), s.ID)
	return err
}

// ConfirmSwitch puts a waiting switch in force.
func (s *Store) ConfirmSwitch(ctx context.Context, id, person string, recs ...store.Record) (sw store.Switch, err error) {
	err = s.write(ctx, func(tx *tx) (err error) {
		if sw, err = tx.openSwitch(id); err != nil {
			return err
		}
		if err := sw.Confirm(person, tx.now); err != nil {
			return err
		}
		if sw.Tasks, err = tx.subject(sw); err != nil {
			return err
		}
		if err := tx.moveSwitch(sw); err != nil {
			return err
		}
		if err := tx.tellSwitch(store.EventSwitchThrown, sw, sw.By); err != nil {
			return err
		}
		return tx.record(recs...)
	})
	return sw, err
}

// LiftSwitch takes the switch back.
func (s *Store) LiftSwitch(ctx context.Context, id string, by store.Actor, recs ...store.Record) (sw store.Switch, err error) {
	err = s.write(ctx, func(tx *tx) (err error) {
		if sw, err = tx.openSwitch(id); err != nil {
			return err
		}
		if sw, err = tx.lift(sw, by, tx.now); err != nil {
			return err
		}
		return tx.record(recs...)
	})
	return sw, err
}

func (tx *tx) lift(sw store.Switch, by store.Actor, since time.Time) (store.Switch, error) {
	waited := sw.ThrownAt.IsZero()
	if sw.State, sw.LiftedAt = store.SwitchLifted, since; waited {
		sw.State = store.SwitchVoid
	}
	if err := tx.moveSwitch(sw); err != nil || waited {
		return sw, err
	}
	return sw, tx.tellSwitch(store.EventSwitchLifted, sw, by)
}

// tellSwitch tells the resources that the switch can concern, and the ledger.
func (tx *tx) tellSwitch(kind string, s store.Switch, by store.Actor) error {
	if kind == store.EventSwitchThrown {
		if err := tx.forgetSwitched(s); err != nil {
			return err
		}
	}
	e := store.Event{Resource: s.Subject, Kind: kind, TaskID: s.ID, JTI: s.ID, Reason: s.Reason}
	tell := tx.tellAll
	if s.Level == store.LevelTool {
		tell = tx.tell
	}
	if err := tell(e); err != nil {
		return err
	}
	return tx.record(s.Record(kind, by))
}

// liftDue writes down which switches have gone back by themselves.
func (tx *tx) liftDue() (moved int, err error) {
	all, err := tx.switches(tx.now, openSwitchSQL)
	for _, s := range all {
		if err != nil {
			break
		}
		if s.State == store.SwitchLifted || s.State == store.SwitchVoid {
			_, err = tx.lift(s, store.ByClock, s.LiftedAt)
			moved++
		}
	}
	return min(moved, sweepBatch-1), err // all of them, at once
}

// SwitchByID returns the switch as it stands.
func (s *Store) SwitchByID(ctx context.Context, id string) (sw store.Switch, err error) {
	err = s.read(ctx, func(c *conn) error {
		all, err := c.switches(s.clock(), switchSQL, id)
		if err == nil && len(all) == 0 {
			err = store.ErrSwitchNotFound
		}
		return errOr(err, func() error { sw = all[0]; return nil })
	})
	return sw, err
}

// Switches returns those in force or waiting, or the newest of all.
func (s *Store) Switches(ctx context.Context, all bool) (list []store.Switch, err error) {
	query := openSwitchSQL
	if all {
		query = allSwitchSQL
	}
	err = s.read(ctx, func(c *conn) error {
		list, err = c.switches(s.clock(), query)
		return err
	})
	return store.Open(list, all), err
}

const (
	liveTasksDomainSQL = `SELECT t.id FROM tasks t WHERE t.ended_at = 0 AND substr(t.client_id, 1, 8) = 'https://' AND
instr('.' || lower(substr(t.client_id, 9, instr(substr(t.client_id, 9) || '/', '/') - 1)) || ':', '.' || ?1 || ':') > 0`
	// Details are in RFC 8785 form: a member's name is followed by its value, and quotes inside of
	// strings are escaped.
	toolGrantedSQL   = `instr(CAST(g.details AS TEXT), '"tool":' || ?2 || ',') > 0`
	liveTasksToolSQL = `SELECT t.id FROM tasks t WHERE t.ended_at = 0 AND EXISTS (SELECT 1 FROM grants g
WHERE g.task_id = t.id AND g.resource = ?1 AND g.ended_at = 0 AND g.code IS NULL AND ` + toolGrantedSQL + `)`
)

// HeldBy returns the live tasks that the switch would hold.
func (s *Store) HeldBy(ctx context.Context, sw store.Switch) (tasks []store.Task, err error) {
	err = s.snapshot(ctx, func(c *conn) error {
		tasks = nil
		ids, err := c.heldBy(sw)
		seen := make(map[string]bool)
		for _, id := range ids {
			var tree []store.Task
			if err == nil {
				tree, err = c.taskRows(s.clock(), treeSQL, id)
			}
			for _, t := range tree {
				if !seen[t.ID] && !t.State.Terminal() {
					seen[t.ID] = true
					tasks = append(tasks, t)
				}
			}
		}
		return err
	})
	return tasks, err
}

// heldBy returns the tasks at the top of those.
func (c *conn) heldBy(sw store.Switch) ([]string, error) {
	switch sw.Level {
	case store.LevelTask:
		return []string{sw.Subject}, nil
	case store.LevelClient:
		return c.liveTasks(liveTasksClientSQL, sw.Subject)
	case store.LevelDomain:
		return c.liveTasks(liveTasksDomainSQL, sw.Subject)
	case store.LevelUser:
		return c.liveTasks(liveTasksUserSQL, sw.Subject)
	case store.LevelResource:
		return c.liveTasks(liveTasksResourceSQL, sw.Subject)
	case store.LevelTool:
		return c.liveTasks(liveTasksToolSQL, sw.Subject, toJSON(sw.Tool))
	}
	return c.liveTasks(everyLiveTaskSQL, "")
}

const switchToldSQL = `SELECT ` + eventColumns + `, acked_at FROM feed f WHERE f.task_id = ? AND f.kind = 'switch.thrown' ORDER BY f.resource`

// SwitchTold returns how resources were told that the switch was thrown.
func (s *Store) SwitchTold(ctx context.Context, id string) (told []store.Ending, err error) {
	err = s.read(ctx, func(c *conn) error {
		told = nil
		return c.each(switchToldSQL, []any{id}, func(scan func(...any) error) error {
			var e store.Ending
			err := scan(append(eventFields(&e.Event), at(&e.AckedAt))...)
			told = append(told, e)
			return err
		})
	})
	return told, err
}
