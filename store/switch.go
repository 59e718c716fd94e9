package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Sentinels of this file's nouns.
var (
	ErrSwitched       = errors.New("store: a kill switch is thrown")
	ErrSwitchNotFound = errors.New("store: kill switch not found")
	ErrSwitchLifted   = errors.New("store: the kill switch is not in force, or does not wait any more")
	ErrSwitchSame     = errors.New("store: a second person must confirm the kill switch")
)

// BySwitch is who suspends a task while a kill switch holds it. Nobody resumes such a task: the switch
// is lifted, or its time runs out.
const BySwitch Actor = "switch"

// ReasonSwitch is why.
const ReasonSwitch = "kill_switch"

// Level is how much a kill switch is for.
type Level string

// The levels.
const (
	LevelTask       Level = "task"       // Subject is its id; all under it are held too
	LevelClient     Level = "client"     // Subject is the client_id
	LevelDomain     Level = "domain"     // Subject is the host of client_ids that are URLs, all hosts below it too
	LevelUser       Level = "user"       // Subject is the id
	LevelTool       Level = "tool"       // Subject is the resource, Tool the name of its tool
	LevelResource   Level = "resource"   // Subject is the URI
	LevelEverything Level = "everything" // Subject is empty
)

// Levels lists them, from little to all.
var Levels = []Level{LevelTask, LevelClient, LevelDomain, LevelUser, LevelTool, LevelResource, LevelEverything}

// SwitchState is where a kill switch stands.
type SwitchState string

// Switch states.
const (
	SwitchWaiting SwitchState = "waiting" // for a second person, until ConfirmBy
	SwitchThrown  SwitchState = "thrown"
	SwitchLifted  SwitchState = "lifted"
	SwitchVoid    SwitchState = "void" // nobody confirmed it in time, or it was taken back
)

// Switch is a kill switch: while it is in force what it covers is refused, and nothing ends. It goes
// back by itself at Until, whether or not anybody has written that down.
type Switch struct {
	ID        string // swt_…
	Level     Level
	Subject   string
	Tool      string
	State     SwitchState
	By        Actor
	Person    string // usr_… who threw it; empty: the socket, which knows no persons
	Second    string // who confirmed it
	Reason    string
	Tasks     []string // of LevelTask: the tasks under it that were live, which Guards cannot tell
	CreatedAt time.Time
	ConfirmBy time.Time // while it waits
	ThrownAt  time.Time
	Until     time.Time // zero: until it is lifted
	LiftedAt  time.Time
}

// Confirm puts a waiting switch in force in the name of a second person: for as long as the first meant
// it to be, from now on.
func (s *Switch) Confirm(person string, now time.Time) error {
	switch {
	case s.State != SwitchWaiting:
		return ErrSwitchLifted
	case s.Person == person:
		return ErrSwitchSame
	}
	if !s.Until.IsZero() {
		s.Until = s.Until.Add(now.Sub(s.CreatedAt))
	}
	s.State, s.Second, s.ThrownAt = SwitchThrown, person, now
	return nil
}

// AsOf is the switch as it stands now.
func (s Switch) AsOf(now time.Time) Switch {
	switch {
	case s.State == SwitchWaiting && !now.Before(s.ConfirmBy):
		s.State, s.LiftedAt = SwitchVoid, s.ConfirmBy
	case s.State == SwitchThrown && !s.Until.IsZero() && !now.Before(s.Until):
		s.State, s.LiftedAt = SwitchLifted, s.Until
	}
	return s
}

// Use is what somebody is about to do, as far as kill switches ask.
type Use struct {
	UserID    string
	Clients   []string // who acts: the client, and those that it acts for
	Tasks     []string // the task, and those that it hangs under
	Resources []string
	Tool      string // at the one resource
}

// Covers reports whether the switch, in force, refuses this use.
func (s Switch) Covers(u Use) bool {
	switch s.Level {
	case LevelEverything:
		return true
	case LevelUser:
		return s.Subject == u.UserID
	case LevelClient:
		return slices.Contains(u.Clients, s.Subject)
	case LevelDomain:
		return slices.ContainsFunc(u.Clients, func(id string) bool { return UnderDomain(id, s.Subject) })
	case LevelTask:
		return slices.Contains(u.Tasks, s.Subject)
	case LevelResource:
		return slices.Contains(u.Resources, s.Subject)
	case LevelTool:
		return u.Tool != "" && s.Tool == u.Tool && slices.Contains(u.Resources, s.Subject)
	}
	return true // a level that is not known refuses all
}

// UnderDomain reports whether the client_id is a URL at this host or at one below it.
func UnderDomain(clientID, domain string) bool {
	rest, ok := strings.CutPrefix(clientID, "https://")
	if !ok || domain == "" {
		return false
	}
	host, _, _ := strings.Cut(rest, "/")
	return strings.Contains("."+strings.ToLower(host)+":", "."+domain+":")
}

// Switches keeps kill switches. Each that is thrown or lifted is told to the resources that it can
// concern, and leaves a ledger record of kind switch.thrown or switch.lifted.
//
// While one is in force, every task that it covers, or that hangs under one that it covers, reads and
// is judged as suspended by BySwitch, unless it is suspended by somebody else, or has ended; no task
// that it would cover begins (ErrSwitched), and a resource that it covers is issued nothing
// (ErrSwitched), its tokens not being live; tasks in which it acts at its backends are held too. A tool is
// for Guards and the server to refuse.
type Switches interface {
	// ThrowSwitch puts the switch in force; or, when its State is SwitchWaiting, keeps it until a
	// second person confirms it. Unknown subjects are ErrTaskNotFound, ErrClientNotFound,
	// ErrUserNotFound or ErrResourceNotFound; a task that has ended is ErrTaskEnded.
	ThrowSwitch(ctx context.Context, s Switch, recs ...Record) (Switch, error)
	// ConfirmSwitch puts a waiting one in force, its Until as long after now as it was after its
	// making. The person who threw it does not count: ErrSwitchSame. Otherwise ErrSwitchNotFound,
	// ErrSwitchLifted.
	ConfirmSwitch(ctx context.Context, id, person string, recs ...Record) (Switch, error)
	// LiftSwitch takes it back, in force or waiting: ErrSwitchNotFound, ErrSwitchLifted.
	LiftSwitch(ctx context.Context, id string, by Actor, recs ...Record) (Switch, error)
	SwitchByID(ctx context.Context, id string) (Switch, error)
	// Switches returns those in force or waiting, newest first; all: then those that were, a hundred
	// in all at most.
	Switches(ctx context.Context, all bool) ([]Switch, error)
	// SwitchTold returns how resources were told that the switch was thrown.
	SwitchTold(ctx context.Context, id string) ([]Ending, error)
	// HeldBy returns the live tasks that the switch would hold, or holds.
	HeldBy(ctx context.Context, s Switch) ([]Task, error)
}

// Record is what the ledger is told of the switch.
func (s Switch) Record(kind string, by Actor) Record {
	said := map[string]any{"switch": s.ID, "level": s.Level, "subject": s.Subject, "by": by, "reason": s.Reason}
	if s.Tool != "" {
		said["tool"] = s.Tool
	}
	if s.Person != "" {
		said["person"] = s.Person
	}
	if s.Second != "" {
		said["confirmed_by"] = s.Second
	}
	if !s.Until.IsZero() {
		said["until"] = s.Until.Unix()
	}
	r := NewRecord(kind, said)
	switch s.Level {
	case LevelTask:
		r.Task = s.Subject
	case LevelClient:
		r.Client = s.Subject
	case LevelUser:
		r.User = s.Subject
	case LevelResource, LevelTool:
		r.Resource = s.Subject
	}
	return r
}

// Open is the list without those that have gone back, unless all are wanted.
func Open(list []Switch, all bool) []Switch {
	if all {
		return list
	}
	return slices.DeleteFunc(list, func(s Switch) bool { return s.State != SwitchThrown && s.State != SwitchWaiting })
}
