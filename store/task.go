package store

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Sentinels of this file's nouns.
var (
	ErrTaskNotFound     = errors.New("store: task not found")
	ErrGrantNotFound    = errors.New("store: grant not found")
	ErrTaskEnded        = errors.New("store: task has ended")
	ErrTaskNotActive    = errors.New("store: task is not active")
	ErrTaskNotSuspended = errors.New("store: task is not suspended, or by somebody else")
	ErrToolBudget       = errors.New("store: no calls left for this tool")
	ErrTaskBudget       = errors.New("store: no calls left for this task")
)

// TaskState is a state of a task's life.
type TaskState string

// Task states. Completed, revoked and expired are terminal.
const (
	TaskPending   TaskState = "pending" // consent given, code not redeemed
	TaskActive    TaskState = "active"
	TaskSuspended TaskState = "suspended"
	TaskCompleted TaskState = "completed" // by its agent
	TaskRevoked   TaskState = "revoked"   // by user, admin, rule, reuse of a code or refresh token
	TaskExpired   TaskState = "expired"   // by the clock, a spent budget, or never redeemed
)

// Terminal reports whether the state is an end.
func (s TaskState) Terminal() bool {
	return s == TaskCompleted || s == TaskRevoked || s == TaskExpired
}

// Actor is who moved a task: "user", "admin", "revoker", "rule", "agent", "idle", "clock", "server".
type Actor string

// The actors.
const (
	ByUser    Actor = "user"
	ByAdmin   Actor = "admin"
	ByRevoker Actor = "revoker" // a person at the console who may take away, but not give
	ByRule    Actor = "rule"
	ByAgent   Actor = "agent"
	ByIdle    Actor = "idle"
	ByClock   Actor = "clock"
	ByServer  Actor = "server"
)

// Outranks reports whether the actor takes over a suspension by another, who could end it: the user that of the agent;
// an admin, a revoker and a rule these two.
func (a Actor) Outranks(other Actor) bool {
	rank := map[Actor]int{ByAgent: 1, ByUser: 2, ByAdmin: 3, ByRevoker: 3, ByRule: 3}
	return rank[other] > 0 && rank[a] > rank[other]
}

// IdleAfter is how long a task may go unused before it is suspended by idleness.
const IdleAfter = 30 * time.Minute

// KeepReplicas is how long after its last executions a replica of a Guard is remembered. One that comes
// back later counts as new: what it told before is in the ledger, and execution.lost says that the
// numbers before its next one are not known any more.
const KeepReplicas = 180 * 24 * time.Hour

// KeepEnded is how long what belonged to an ended task is kept: a Guard that was offline may tell of
// its calls until then without a dispute.
const KeepEnded = 72 * time.Hour

// Task is the delegated unit of work.
type Task struct {
	ID          string // tsk_…
	Parent      string // the task that it hangs under; empty: none
	UserID      string
	ClientID    string
	JKT         string // the agent's key, fixed at redemption
	Purpose     string // the agent's words
	State       TaskState
	SuspendedBy Actor  // while suspended
	Reason      string // why it was suspended or how it ended
	MaxCalls    int    // calls in all; 0: no budget
	CallsUsed   int
	Roles       []TaskRoles // the user's roles per resource, read live with the task
	Delegates   []Delegate  // who acts for the user, newest first; empty: the client itself
	CreatedAt   time.Time
	ActivatedAt time.Time
	SeenAt      time.Time // last issuance or execution
	SuspendedAt time.Time
	EndsAt      time.Time // deadline
	EndedAt     time.Time
	Generation  int // how often it, or a task that it hangs under, was narrowed
}

// TaskRoles is the user's roles at one of the task's resources, as they are now.
type TaskRoles struct {
	Resource string
	Roles    []string
}

// Within reports whether all of them are among those that are held.
func (r TaskRoles) Within(held []string) bool {
	return !slices.ContainsFunc(r.Roles, func(role string) bool { return !slices.Contains(held, role) })
}

// Grant is what the user allowed at one resource: immutable once stored.
type Grant struct {
	ID        string // gnt_…
	TaskID    string
	Resource  string
	Scopes    []string
	Details   []byte // authorization_details granted here, as a JSON array in RFC 8785 form
	Hash      string // "sha-256:…" of Details
	CreatedAt time.Time
	EndedAt   time.Time // set when the resource ended its leg, or a wider grant took its place
	Waiting   bool      // for the code of its step-up: not in force
}

// End is how a task ends.
type End struct {
	TaskID string
	State  TaskState // a terminal one
	By     Actor
	Reason string
}

// ReasonNarrowed is why a resource's part in a task ends of which its user left nothing there.
const ReasonNarrowed = "narrowed"

// Narrowing is what its user leaves of a task.
type Narrowing struct {
	TaskID   string
	UserID   string
	Replaces []string  // the ids of all grants in force
	Grants   []Grant   // in their place, one for a resource at most; without one, its part ends
	EndsAt   time.Time // zero: the deadline stays; it never moves away
}

// Fits refuses what is somebody else's, has ended, or is not what the caller has read.
func (n Narrowing) Fits(t Task, grants []Grant) error {
	var inForce, resources []string
	for _, g := range grants {
		if g.EndedAt.IsZero() {
			inForce, resources = append(inForce, g.ID), append(resources, g.Resource)
		}
	}
	switch {
	case t.UserID != n.UserID:
		return ErrTaskNotFound
	case t.State.Terminal():
		return ErrTaskEnded
	case !slices.Equal(slices.Sorted(slices.Values(inForce)), slices.Sorted(slices.Values(n.Replaces))):
		return ErrGrantChanged
	}
	for _, g := range n.Grants {
		i := slices.Index(resources, g.Resource)
		if i < 0 {
			return ErrGrantChanged
		}
		resources = slices.Delete(resources, i, i+1) // one for each
	}
	return nil
}

// TaskFilter selects tasks; zero fields select all.
type TaskFilter struct {
	UserID   string
	ClientID string
	JKT      string
	Resource string
	Tool     string // granted, by name
	State    TaskState
	Live     bool   // pending, active or suspended
	Ended    bool   // completed, revoked or expired
	Begun    bool   // not pending
	Bound    bool   // to an agent's key
	Unbound  bool   // begun without one
	Before   string // made before the task with this id; the unknown has none before it
	Limit    int    // 0: 100
}

// Target is whose tasks are meant; one field is set.
type Target struct {
	TaskIDs  []string
	UserID   string
	ClientID string
	Resource string
}

// Reservation asks for one call of a budgeted tool.
type Reservation struct {
	Execution string // exe_…; repeating it counts once
	TaskID    string
	Resource  string
	Tool      string
	JTI       string
	ToolMax   int // calls allowed for this tool; 0: no budget
	// Above are the tasks that TaskID hangs under and that lent it the tool, nearest first, each with
	// its own limit for it: the call counts against all of them.
	Above []Share
}

// Share is one of the tasks that a call counts against.
type Share struct {
	TaskID  string
	ToolMax int
}

// Tasks keeps tasks, their grants and their budgets.
//
// A task's state is what the clock makes it, read or judged, whether or not SweepTasks has written
// it down: past its deadline it is expired (reason "deadline"), pending past its code's life it is
// expired ("not_redeemed"), active but unused for IdleAfter it is suspended by idleness ("idle"), held
// by a kill switch it is suspended by that (see Switches).
type Tasks interface {
	// TaskByID returns the task with its grants, none of them waiting; ErrTaskNotFound for the unknown.
	TaskByID(ctx context.Context, id string) (Task, []Grant, error)
	// GrantByHash returns a grant of the resource with this hash of its details, whatever became of
	// its task; ErrGrantNotFound for the unknown.
	GrantByHash(ctx context.Context, resource, hash string) (Grant, error)
	// TaskHistory tells how many tasks the user has lent to the client, and when the last one began
	// (zero when none).
	TaskHistory(ctx context.Context, userID, clientID string) (n int, last time.Time, err error)
	// TaskList returns tasks, newest first.
	TaskList(ctx context.Context, f TaskFilter) ([]Task, error)
	// TaskCount tells how many tasks the filter selects, Limit at most.
	TaskCount(ctx context.Context, f TaskFilter) (int, error)
	// EndTask ends the task and all under it, and tells every resource of theirs, in one step.
	// It returns the tasks that it ended. A task that had ended is returned alone, unchanged, with
	// ErrTaskEnded. Each ended task gets a ledger record of kind task.ended; recs are added to them.
	EndTask(ctx context.Context, e End, recs ...Record) ([]Task, error)
	// WouldEnd returns the tasks that EndTask of each, or disabling the user, the client or the
	// resource, would end now: each once, those under them included. It changes nothing.
	WouldEnd(ctx context.Context, target Target) ([]Task, error)
	// SuspendTask suspends an active task (ErrTaskNotActive otherwise, ErrTaskEnded if ended) and
	// tells its resources, and so for every active task under it. A task asleep by idleness, or paused by
	// who ranks lower and could wake it, counts as active. Suspending and resuming leave ledger
	// records of kind task.suspended and task.resumed, one for each task.
	SuspendTask(ctx context.Context, id string, by Actor, reason string, recs ...Record) (Task, error)
	// ResumeTask wakes a suspended task. Only the actor who suspended it or an admin may:
	// ErrTaskNotSuspended otherwise. The tasks under it that were suspended with it wake with it.
	// While the task above is suspended, but for idleness, nobody may resume a task, nor redeem its
	// code: ErrTaskNotActive.
	ResumeTask(ctx context.Context, id string, by Actor, recs ...Record) (Task, error)
	// EndLeg ends one resource's part of the task; the last leg ends the task as revoked. A resource
	// with no part in the task is ErrResourceNotFound; a part, or a task, that has ended is
	// ErrTaskEnded. An ended leg gets no more tokens, and those that it has are dead.
	EndLeg(ctx context.Context, id, resource, reason string, recs ...Record) (Task, error)
	// NarrowTask puts other grants in place of those in force, in one step with all that follows from
	// it: every access token of the task, and of all under it, is revoked and its resource told, of an
	// expired one too, because a call that it began may run on; the code
	// of a step-up that nobody has redeemed is expired; approvals of single calls are void; deadlines are
	// no later. The caller has made the grants from those named in Replaces and nothing else: with others
	// in force by now it is ErrGrantChanged. A task of another user is ErrTaskNotFound, one that has ended
	// ErrTaskEnded. It stays in its state; tokens that are being made from what was read before are
	// refused (AccessToken.Generation).
	NarrowTask(ctx context.Context, n Narrowing, recs ...Record) (Task, error)
	// SweepTasks expires tasks past their deadline, pending ones whose code was not redeemed
	// within its life, and suspends idle ones; it returns how many it moved. It also forgets
	// requests and sessions that expired over an hour ago.
	SweepTasks(ctx context.Context) (int, error)
	// Prune forgets what nothing asks for any more, a bounded number of rows at a time, and returns how
	// many tasks, events and replicas it dealt with: codes, refresh and access tokens and reservations of tasks
	// that ended at least KeepEnded ago, feed events as old, but for each resource's newest, and where
	// replicas of Guards were that have told of nothing for KeepReplicas. What
	// replay detection needs while a task lives is never forgotten, nor are tasks, grants and records.
	Prune(ctx context.Context) (int, error)
	// ReserveCall counts one call against the tool's and the task's budget, in one step. A spent
	// tool budget is ErrToolBudget; a spent task budget, its own or that of one above, is ErrTaskBudget
	// and has ended that task as expired with reason "budget". The task must be active and the token ours, live and of this
	// task and resource (ErrTaskNotActive, ErrTaskEnded, ErrTokenNotFound). Left is what remains
	// for tool and task, -1 for no budget. A budget is spent for the call after the last that it
	// allowed. Repeating an execution answers what is left now and stores no records again.
	ReserveCall(ctx context.Context, r Reservation, recs ...Record) (toolLeft, taskLeft int, err error)
	// CountedCalls returns how many calls ReserveCall has counted for a task at a resource, by tool, its
	// own and those of tasks under it; a tool without any is left out.
	CountedCalls(ctx context.Context, taskID, resource string) (map[string]int, error)
}
