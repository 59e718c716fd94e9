package store

import (
	"context"
	"errors"
	"time"
)

// ErrNotRemembered says that a choice is not remembered, or not any more, or by somebody else.
var ErrNotRemembered = errors.New("store: no such remembered choice")

// Remembered is what a user chose for one client at one resource and said may go on without being
// read anew. There is one for each User, Client, Grade and Resource: a newer one takes its place.
type Remembered struct {
	ID        string // rem_…, another for each choice
	UserID    string
	ClientID  string
	Grade     string // how far the client was certain, and where its redirect led
	Resource  string
	Choice    []byte // what was chosen, and on what, in the server's own encoding
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time // when it was last gone by; zero: never
	Uses      int
}

// Remembers keeps what users let go on. Approve stores a choice, goes by it, or lets a newer answer
// make it void. It is void, too, and forgotten in the same step, once its user has signed out
// everywhere, has another password or is disabled; its client or resource is disabled; one of the
// user's roles at the resource was taken away; a kill switch that covers it was thrown; or a task of this
// user and client was narrowed, or ended as revoked or was suspended (SuspendTask) by anybody but its agent.
type Remembers interface {
	// RememberedBy returns the user's live choices, newest first.
	RememberedBy(ctx context.Context, userID string) ([]Remembered, error)
	// RememberedFor returns the live choice of this user, client, grade and resource, or
	// ErrNotRemembered.
	RememberedFor(ctx context.Context, userID, clientID, grade, resource string) (Remembered, error)
	// Forget forgets one choice of this user; ErrNotRemembered for any other.
	Forget(ctx context.Context, userID, id string, recs ...Record) error
	// ForgetAll forgets all of the user's choices and says how many; with none it stores no records.
	ForgetAll(ctx context.Context, userID string, recs ...Record) (int, error)
}
