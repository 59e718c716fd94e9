package store

import (
	"context"
	"time"
)

// The kinds of feed event.
const (
	EventTaskEnded     = "task.ended"
	EventTaskSuspended = "task.suspended"
	EventTaskResumed   = "task.resumed"
	EventTokenRevoked  = "token.revoked"
	EventKeyKilled     = "key.killed"    // JTI is the key's id
	EventEpochRaised   = "epoch.raised"  // JTI is the epoch's number, see Epochs
	EventSwitchThrown  = "switch.thrown" // JTI is the switch's id
	EventSwitchLifted  = "switch.lifted" // the same
)

// Event is one thing that a resource is told. Seq is gapless per resource and starts at 1.
type Event struct {
	Resource string
	Seq      int64
	Kind     string
	TaskID   string
	JTI      string // token.revoked
	State    TaskState
	Reason   string
	At       time.Time
}

// Ending is the end of a task as one of its resources was told it.
type Ending struct {
	Event
	AckedAt   time.Time // when the Guard said that it is in force there; zero: not yet
	LastToken time.Time // when the newest token for this resource expires by itself; zero: none was issued
}

// Feed keeps what resources are told. Events are written by the verbs that cause them. Prune forgets
// old ones, but never a resource's newest.
type Feed interface {
	// FeedSince returns the events after seq, oldest first, at most limit.
	FeedSince(ctx context.Context, resource string, seq int64, limit int) ([]Event, error)
	// FeedSnapshot returns the newest sequence and the events since the given time that still
	// matter: tasks that ended or are suspended, tokens that were revoked. Keys, epochs
	// and switches are for the caller to tell.
	FeedSnapshot(ctx context.Context, resource string, since time.Time) (seq int64, events []Event, err error)
	// ListenFeed notes that a replica of the Guard hears the feed, or may act on what it has heard,
	// until the given time (the latest counts). Unknown: ErrResourceNotFound.
	ListenFeed(ctx context.Context, resource, replica string, until time.Time) error
	// AckFeed notes that a replica of the Guard has applied everything up to seq: never less than
	// before, never more than was said. What every replica that listens has applied is acknowledged
	// at the resource; AckFeed returns up to where, and ListenFeed too acknowledges what only a
	// replica that no longer listens had held back. Enrolling a Guard forgets all listeners. Unknown:
	// ErrResourceNotFound.
	AckFeed(ctx context.Context, resource, replica string, seq int64) (acked int64, err error)
	// TaskEndings returns how the resources of these tasks were told of their ends, in no order: the
	// newest for each task and resource. Of a task that goes on it returns the legs that have ended.
	TaskEndings(ctx context.Context, taskIDs ...string) ([]Ending, error)
	// WatchFeed returns a channel that receives after each commit that may have added events, or
	// acknowledgements, of the resource; stop releases it.
	WatchFeed(resource string) (changed <-chan struct{}, stop func())
}
