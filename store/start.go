package store

import (
	"context"
	"errors"
	"time"
)

// Sentinels of this file's nouns.
var (
	ErrSpent            = errors.New("store: single-use credential used before")
	ErrBackendNotFound  = errors.New("store: the resource may not reach this backend")
	ErrDeviceNotFound   = errors.New("store: device code unknown")
	ErrUserCodeNotFound = errors.New("store: user code unknown, used or expired")
	ErrUserCodeTaken    = errors.New("store: user code is in use")
)

// Delegate is one of those who act for a task's user (RFC 8693 §4.1).
type Delegate struct {
	Subject  string `json:"sub"` // client_id, or the URI of a resource
	ClientID string `json:"client_id"`
	JKT      string `json:"jkt"`
}

// Once is a credential that is good once, and for how long it must be remembered.
type Once struct {
	ID    Hash
	Until time.Time
}

// Start is a task that begins at once, with its first token: no user is asked, because it hangs under
// a task that one allowed, or because an admin said so before.
type Start struct {
	Task    Task // State is active
	Grants  []Grant
	Access  AccessToken
	Refresh *RefreshToken // nil: the client may not refresh
	Subject string        // jti of the token of Task.Parent that was exchanged; empty without a parent
	Once    *Once         // what was presented, where it is good once
}

// Starts begins tasks without a code.
type Starts interface {
	// StartTask stores the active task with its grants and tokens, in one step. Conditions, in this
	// order: Once unseen (ErrSpent); user, client and every resource live (ErrUserDisabled,
	// ErrClientDisabled, ErrResourceNotFound); the task's Roles still held (ErrGrantChanged); a parent active (ErrTaskEnded, ErrTaskNotActive), its leg
	// and the token Subject live (ErrTokenNotFound). With any of them unmet nothing changes, and Once is
	// not spent. A task ends no later than its parent.
	StartTask(ctx context.Context, s Start, recs ...Record) error
	// Spend notes a credential that is good once, by itself; used before: ErrSpent.
	Spend(ctx context.Context, o Once) error
	// Above returns the tasks that a task hangs under, nearest first, each with its grants.
	Above(ctx context.Context, id string) ([]Task, [][]Grant, error)

	// AssignClientRole gives the client, acting for itself, a role at a resource; repeating it changes
	// nothing. Its principal is a user with the client's own id that cannot sign in; UnassignRole and
	// RolesOf take that id. Unknown: ErrClientNotFound, ErrResourceNotFound.
	AssignClientRole(ctx context.Context, clientID, resource, role string, recs ...Record) error

	// PutBackend lets the resource get tokens for a backend with these scopes, on behalf of its callers;
	// without scopes it no longer may. Unknown: ErrResourceNotFound.
	PutBackend(ctx context.Context, resource, backend string, scopes []string, recs ...Record) error
	// Backend returns the scopes that the resource may have at the backend, or ErrBackendNotFound;
	// Backends all of them, by backend.
	Backend(ctx context.Context, resource, backend string) (scopes []string, err error)
	Backends(ctx context.Context, resource string) (map[string][]string, error)
}

// Device is a device authorization request (RFC 8628 §3.1).
type Device struct {
	ID        Hash // of device_code
	UserCode  Hash // of user_code in its one spelling
	ClientID  string
	Params    []byte // the validated parameters, in the server's own encoding
	JKT       string // the key that the code is bound to; empty: fixed by the redeemer
	CreatedAt time.Time
	ExpiresAt time.Time
	Denied    bool // by the user
	Allowed   bool // by the user: a Code with the same ID waits to be redeemed, or was
}

// Devices keeps device codes. A Request with Device set decides about one: Approve stores the Code
// under that ID, Deny marks it; once decided or expired, both are ErrRequestDecided or
// ErrRequestNotFound, whichever request it was decided by.
type Devices interface {
	// AddDevice stores a new one of a live client (ErrClientNotFound, ErrClientDisabled). A user code
	// that is in use is ErrUserCodeTaken.
	AddDevice(ctx context.Context, d Device, recs ...Record) error
	// DeviceByID returns it, expired or decided too; ErrDeviceNotFound for the unknown.
	DeviceByID(ctx context.Context, id Hash) (Device, error)
	// DeviceByUserCode returns a live, undecided one; ErrUserCodeNotFound otherwise.
	DeviceByUserCode(ctx context.Context, code Hash) (Device, error)
}
