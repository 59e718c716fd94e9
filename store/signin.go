package store

import (
	"context"
	"errors"
	"time"
)

// Sentinels of this file's nouns.
var (
	ErrPasskeyNotFound = errors.New("store: passkey unknown")
	ErrPasskeyExists   = errors.New("store: passkey is registered already")
	ErrPasskeyChanged  = errors.New("store: passkey was used by somebody else meanwhile")
	ErrNoSecondFactor  = errors.New("store: the user has no second factor")
	ErrFactorSpent     = errors.New("store: this code was used, or never was one")
	ErrSetUp           = errors.New("store: this server has users already")
)

// How a session began.
const (
	ByPassword = "password"
	ByCode     = "password+code" // a password and a one-time code
	ByPasskey  = "passkey"
	ByProvider = "provider" // an upstream OpenID provider
)

// Passkey is a WebAuthn credential of a user (WebAuthn Level 3 §4).
type Passkey struct {
	ID         []byte // the authenticator's name for it
	UserID     string
	Name       string // the user's name for it
	Credential []byte // public key, counter and flags, in the server's own encoding
	CreatedAt  time.Time
	UsedAt     time.Time // zero: never
}

// SecondFactor is what a user adds to a password: one-time codes by the clock (RFC 6238), and
// recovery codes for the day when the device is gone.
type SecondFactor struct {
	UserID       string
	Sealed       []byte // the shared secret, sealed
	RecoveryLeft int
	CreatedAt    time.Time
}

// Upstream is a user as an OpenID provider tells of them.
type Upstream struct {
	Issuer  string
	Subject string
	User    User        // added when the identity is new; ID, Email and Name
	Roles   []TaskRoles // the roles that the provider's groups stand for, all of them
}

// SignIns keeps what users sign in with.
type SignIns interface {
	// AddFirstAdmin stores u while there is no user at all; afterwards it is ErrSetUp.
	AddFirstAdmin(ctx context.Context, u User, recs ...Record) error
	// HasUsers reports whether there is any user, disabled or not.
	HasUsers(ctx context.Context) (bool, error)
	// SetPassword replaces the password's hash and signs the user out everywhere but in the session
	// keep (zero: everywhere). An unknown user is ErrUserNotFound.
	SetPassword(ctx context.Context, userID, hash string, keep Hash, recs ...Record) error

	// AddPasskey stores a passkey of a live user; an ID already taken, whoever's, is ErrPasskeyExists.
	AddPasskey(ctx context.Context, p Passkey, recs ...Record) error
	// PasskeysOf returns the user's passkeys, oldest first.
	PasskeysOf(ctx context.Context, userID string) ([]Passkey, error)
	// PasskeyByID returns the passkey with its user, disabled or not; ErrPasskeyNotFound.
	PasskeyByID(ctx context.Context, id []byte) (Passkey, User, error)
	// UsePasskey replaces the credential as it was by what it is after a use, so that of two uses of
	// one counter one alone succeeds: ErrPasskeyChanged for the other.
	UsePasskey(ctx context.Context, id, was, is []byte) error
	// RemovePasskey forgets a passkey of this user; ErrPasskeyNotFound for any other.
	RemovePasskey(ctx context.Context, userID string, id []byte, recs ...Record) error

	// PutSecondFactor stores the user's second factor with its recovery codes, in place of a former one.
	PutSecondFactor(ctx context.Context, f SecondFactor, recovery []Hash, recs ...Record) error
	// SecondFactorOf returns ErrNoSecondFactor for users without one.
	SecondFactorOf(ctx context.Context, userID string) (SecondFactor, error)
	// UseStep spends the time step of a right code (RFC 6238 §5.2): a step not later than the last one
	// spent is ErrFactorSpent.
	UseStep(ctx context.Context, userID string, step int64) error
	// UseRecoveryCode spends a recovery code; unknown or used it is ErrFactorSpent.
	UseRecoveryCode(ctx context.Context, userID string, code Hash, recs ...Record) error
	// RemoveSecondFactor forgets it and its recovery codes; ErrNoSecondFactor.
	RemoveSecondFactor(ctx context.Context, userID string, recs ...Record) error

	// SessionsOf returns the user's live sessions, newest first.
	SessionsOf(ctx context.Context, userID string) ([]Session, error)
	// EndSession forgets one session of this user; ErrSessionNotFound for any other.
	EndSession(ctx context.Context, userID string, id Hash, recs ...Record) error
	// SetPush keeps where a live session of this user takes push messages, or that it takes none;
	// ErrSessionNotFound for any other. It goes with the session.
	SetPush(ctx context.Context, userID string, id Hash, push []byte, recs ...Record) error
	// ForgetPush forgets that place of a session while it is still this one: the browser has left it.
	ForgetPush(ctx context.Context, id Hash, push []byte) error
	// SessionsOfUpstream returns the live sessions that the issuer's provider knows by this name.
	SessionsOfUpstream(ctx context.Context, issuer, sid string) ([]Session, error)
	// EndSessions forgets all sessions of the user but keep (zero: none is kept), and says how many.
	EndSessions(ctx context.Context, userID string, keep Hash, recs ...Record) (int, error)

	// AdmitUpstream returns the user who has this identity, adding user and identity in one step when
	// it is new, and makes the user's roles from upstream those of u: what an admin assigned stays. A role
	// that is lost takes with it what UnassignRole would.
	// An e-mail that a user of another identity has is ErrUserExists: identities are linked by the
	// signed-in user alone, with LinkUpstream. A disabled user is ErrUserDisabled. Roles at unknown
	// resources are left out. The records go with a new user alone.
	AdmitUpstream(ctx context.Context, u Upstream, recs ...Record) (User, error)
	// LinkUpstream gives the user this identity; one that somebody has already is ErrUserExists.
	LinkUpstream(ctx context.Context, userID, issuer, subject string, recs ...Record) error
	// UserByUpstream finds the user with this identity, disabled or not; ErrUserNotFound.
	UserByUpstream(ctx context.Context, issuer, subject string) (User, error)
}
