package store

import (
	"context"
	"errors"
	"time"
)

// Sentinels of this file's nouns.
var (
	ErrRequestNotFound = errors.New("store: authorization request unknown or expired")
	ErrRequestDecided  = errors.New("store: authorization request already decided")
	ErrRequestBound    = errors.New("store: authorization request belongs to another browser session")
	ErrCodeNotFound    = errors.New("store: authorization code unknown")
	ErrCodeSpent       = errors.New("store: authorization code already used")
	ErrCodeExpired     = errors.New("store: authorization code expired")
	ErrGrantChanged    = errors.New("store: the task's grant was changed meanwhile")
)

// Request is an authorization request that waits for its user (RFC 9126 §2.2, or made from the
// front channel once the user is signed in).
type Request struct {
	ID        Hash // of the secret part of request_uri
	ClientID  string
	Params    []byte // the validated parameters, in the server's own encoding
	JKT       string // key named by the proof at PAR or by dpop_jkt; empty: none
	Session   Hash   // browser session that it was shown to; zero: none yet
	Device    Hash   // the device code that is decided about; zero: none
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Code is an authorization code (OAuth 2.1 §4.1.2).
type Code struct {
	ID           Hash
	TaskID       string
	ClientID     string
	RedirectURI  string // as requested, exact
	RedirectSent bool   // the authorization request named it, so the token request may have to
	Challenge    string // code_challenge, S256
	JKT          string // key it is bound to (RFC 9449 §10); empty: fixed by the redeemer
	KeyBound     bool   // the user was told that the token works with the agent's key alone
	Identity     string // what the id_token says that comes of it, as JSON; empty: none does
	Extends      bool   // its task was running when the code was made (step-up); set by Approve
	CreatedAt    time.Time
	ExpiresAt    time.Time
	Spent        bool
}

// Requests keeps authorization requests and the codes that come of them.
type Requests interface {
	// PushRequest stores a new request of a live client (ErrClientNotFound, ErrClientDisabled).
	PushRequest(ctx context.Context, r Request, recs ...Record) error
	// RequestByID returns a live, undecided request of this client. A request of another client is
	// ErrRequestNotFound and stays usable; a decided one is ErrRequestDecided.
	RequestByID(ctx context.Context, id Hash, clientID string) (Request, error)
	// BindRequest ties the request to the browser session that is about to see it, and returns it.
	// Bound to another session it is ErrRequestBound; repeating it is fine.
	BindRequest(ctx context.Context, id Hash, clientID string, session Hash) (Request, error)
	// ProlongRequest lets the request wait until this time, if that is later, under the conditions of
	// Deny.
	ProlongRequest(ctx context.Context, id Hash, session Hash, until time.Time) error
	// Approve decides the request, stores the pending task with its grants and the code, in one
	// step. The request must be undecided, unexpired and bound to the session (sentinels above);
	// user, client and every resource must be live (ErrUserDisabled, ErrClientDisabled, ErrResourceNotFound),
	// and the task's client the request's (ErrRequestNotFound). A parent must be running, and the task
	// ends no later than it. With Extends, of Task count user, client and Generation; that task must be
	// theirs and running (ErrTaskNotFound, ErrTaskNotActive, ErrTaskEnded), and not narrowed since
	// (ErrGrantChanged), and the grants wait there until the code is redeemed with the task's key; with Widened there is no
	// code, and that grant is in force at once under the conditions of RedeemCode. With Continues, that choice must be live, the
	// user's and for the request's client and the one resource of the grants, and the task must end no
	// later than it: ErrNotRemembered. It counts as used.
	Approve(ctx context.Context, a Approval, recs ...Record) error
	// Deny decides the request without a task, under the same conditions.
	Deny(ctx context.Context, id Hash, session Hash, recs ...Record) error

	// CodeByID returns the code with all that its redemption depends on, in one read; spent and
	// expired codes too, marked. Unknown: ErrCodeNotFound.
	CodeByID(ctx context.Context, id Hash) (CodeState, error)
	// RedeemCode spends the code, activates its task, fixes the task's key, and stores the tokens,
	// in one step (OAuth 2.1 §4.1.3). Conditions, in this order: the code is known (ErrCodeNotFound),
	// unspent (ErrCodeSpent), unexpired (ErrCodeExpired); user, client and the access token's resource
	// live (ErrResourceNotFound); task pending (ErrTaskEnded). With any of them unmet nothing changes.
	//
	// A code that extends a task needs the task's own key, and the task running (ErrTaskNotActive,
	// ErrTaskEnded). Its waiting grants come into force as they are or, with Widened, as that one
	// grant, which takes the place of the grants named in Replaces. Those must be all that are in
	// force at its resource, and at least one: another step-up may have come first (ErrGrantChanged:
	// read anew), or the leg have ended (ErrTaskEnded).
	RedeemCode(ctx context.Context, r Redemption, recs ...Record) error
}

// Approval is what Approve stores.
type Approval struct {
	Request Hash
	Session Hash
	Task    Task // State is pending
	Grants  []Grant
	Code    Code
	// Extends names the running task that this consent widens (step-up); empty: a new task.
	Extends string
	// Widened is what was granted before and now, together, where nobody waits for a code: it takes the
	// place of the grants named in Replaces at once, as in RedeemCode. Nil: a code is made.
	Widened  *Grant
	Replaces []string
	// Continues is the remembered choice that a new task goes by; empty: the user chose anew.
	Continues string
	// Remember takes the place of what was remembered for the same user, client, grade and resource;
	// without an ID nothing is remembered there any more. Nil: what is remembered stays.
	Remember *Remembered
}

// CodeState is a code with what its redemption depends on.
type CodeState struct {
	Code   Code
	Task   Task
	Grants []Grant
	Client Client
	User   User
}

// Redemption is what RedeemCode stores.
type Redemption struct {
	Code    Hash
	JKT     string // the proof's key; empty: a bearer client
	Access  AccessToken
	Refresh *RefreshToken // nil: the client may not refresh

	Widened  *Grant   // of a step-up: what was granted before and now, together
	Replaces []string // ids of the grants that Widened was made from
}
