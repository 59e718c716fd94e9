package store

import (
	"context"
	"errors"
	"time"
)

// Sentinels of this file's nouns.
var (
	ErrTokenNotFound   = errors.New("store: token unknown")
	ErrRefreshNotFound = errors.New("store: refresh token unknown")
	ErrRefreshReused   = errors.New("store: refresh token used before")
	ErrRefreshExpired  = errors.New("store: refresh token expired")
)

// RefreshToken is one generation of a task's refresh token.
type RefreshToken struct {
	ID        Hash
	TaskID    string
	ClientID  string
	JKT       string   // key it is bound to (RFC 9449 §5); empty: confidential bearer client
	Scopes    []string // of the consent that it came of; what it can be refreshed to are its task's grants
	Resource  string   // set when it can serve one resource alone; empty: all of the task
	ExpiresAt time.Time
	CreatedAt time.Time
	Spent     bool
	SpentAt   time.Time
}

// AccessToken is the record of an issued access token; the token itself is never stored. The JTI of an
// opaque one is made from its hash.
type AccessToken struct {
	JTI       string
	TaskID    string
	Resource  string
	ClientID  string
	JKT       string // empty: bearer
	KID       string // the key that signed it; empty: none did
	Claims    string // what an opaque token stands for, as JSON; empty: the token says it itself
	IssuedAt  time.Time
	ExpiresAt time.Time
	Revoked   bool

	// Generation is that of the task when it was read to make the token. RedeemCode and
	// RotateRefreshToken refuse another one (ErrGrantChanged): the task was narrowed meanwhile. Not kept.
	Generation int
}

// RefreshState is a refresh token with what its rotation depends on.
type RefreshState struct {
	Token  RefreshToken
	Task   Task
	Grants []Grant
	Client Client
	User   User
}

// AccessState is an issued access token with what its liveness depends on.
type AccessState struct {
	Token  AccessToken
	Task   Task
	Grants []Grant // the token's resource only
	User   User
	Held   bool // by a kill switch for its resource
}

// Live reports whether the token may still be used.
func (a AccessState) Live(now time.Time) bool {
	return !a.Token.Revoked && !a.Held && a.Task.State == TaskActive && now.Before(a.Token.ExpiresAt) && now.Before(a.Task.EndsAt) && !a.User.Disabled
}

// Rotation asks for the successor of a refresh token.
type Rotation struct {
	Old       Hash
	New       RefreshToken
	Successor []byte // New's secret, sealed under a key that only the holder of Old can derive
	Access    AccessToken
	Grace     time.Duration // how long the predecessor is answered with the same successor
	GraceUses int           // and how often
}

// Tokens keeps refresh and access tokens. Every verb, of this interface or another, that stores an
// access token whose KID is set does so only while that key is active, or retired for less than
// RetiredSigns; otherwise nothing happens, and it is ErrKeyStale: sign again with another key.
type Tokens interface {
	// RefreshByID returns the refresh token with all that its rotation depends on, in one read;
	// spent and expired ones too. Unknown: ErrRefreshNotFound.
	RefreshByID(ctx context.Context, id Hash) (RefreshState, error)
	// RotateRefreshToken spends Old and stores New and the access token, in one step. Presented again
	// within the grace it stores the access token alone and returns the sealed successor of the
	// first rotation (replayed true). Conditions, in this order: known (ErrRefreshNotFound), unexpired
	// (ErrRefreshExpired), user and client live (ErrUserDisabled, ErrClientDisabled), task not ended, nor
	// its leg at the access token's resource (ErrTaskEnded), which is live (ErrResourceNotFound) and not
	// switched off (ErrSwitched), task active or suspended by idleness alone, which wakes it (ErrTaskNotActive),
	// unspent or within the grace (ErrRefreshReused).
	RotateRefreshToken(ctx context.Context, r Rotation, recs ...Record) (successor []byte, replayed bool, err error)

	// AccessByJTI returns the issued token with its task; ErrTokenNotFound for the unknown. A token
	// for a leg that has ended (EndLeg), or signed by a killed key, is Revoked.
	AccessByJTI(ctx context.Context, jti string) (AccessState, error)
	// RevokeAccess kills one access token and tells its resource. Unknown: ErrTokenNotFound;
	// repeating it is fine, and leaves no records again.
	RevokeAccess(ctx context.Context, jti string, recs ...Record) error
}
