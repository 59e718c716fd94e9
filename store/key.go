package store

import (
	"context"
	"errors"
	"time"
)

// Sentinels of this file's nouns.
var (
	ErrKeyNotFound = errors.New("store: key not found")
	ErrKeyChanged  = errors.New("store: somebody else has changed the key ring")
	ErrKeyStale    = errors.New("store: the key that signed this does not sign any more")
)

// KeyState is where a key stands in its life.
type KeyState string

// Key states: published but not yet signing; signing; kept for what it signed; worth nothing, now
// and for what it has signed.
const (
	KeyNext    KeyState = "next"
	KeyActive  KeyState = "active"
	KeyRetired KeyState = "retired"
	KeyKilled  KeyState = "killed"
)

// RetiredSigns is how long an instance that has not heard yet may still sign with a retired key.
const RetiredSigns = 60 * time.Second

// Key is a signing or sealing key, sealed under another key.
type Key struct {
	ID        string // kid
	Use       string // "sig"; "enc" for server secrets; "wrap" for the data keys that seal the others
	Algorithm string // ES256, EdDSA, HKDF, A256GCM
	Sealed    []byte
	State     KeyState
	CreatedAt time.Time
	ActiveAt  time.Time // since when it signs, or signed; zero: never
	RetiredAt time.Time
	KilledAt  time.Time
}

// Rewrap replaces the sealed bytes of a key by others that hold the same key.
type Rewrap struct {
	ID       string
	Old, New []byte
}

// Keys keeps the key ring. A use has at most one active key and at most one next. Keys are never
// deleted: the ledger's old checkpoints are verified by them.
type Keys interface {
	// AddFirstKey stores k as active unless an active key with this use exists; either way it
	// returns the active one, so that instances which start together agree. The records go with k.
	AddFirstKey(ctx context.Context, k Key, recs ...Record) (Key, error)
	// StageKey stores k as next unless its use has a next key; either way it returns the next one.
	// The records go with k.
	StageKey(ctx context.Context, k Key, recs ...Record) (Key, error)
	// Keys returns all keys, oldest first.
	Keys(ctx context.Context) ([]Key, error)
	// RotateKey makes the key with this id, which must be the next one of fresh's use, the active one,
	// retires the former, and stores fresh as next. When it is not the next one nothing changes:
	// ErrKeyChanged. Of two who rotate at once one succeeds.
	RotateKey(ctx context.Context, id string, fresh Key, recs ...Record) error
	// KillKey makes a key worthless at once: no verb stores a token that it signed from here on, what
	// it signed is Revoked (AccessByJTI), and every resource is told (EventKeyKilled, the kid as JTI).
	// When it was active, the next one becomes active; in the place of a next one that was killed or
	// promoted stands fresh, which is not stored otherwise. An active key without a next one to take
	// its place is ErrKeyChanged; unknown: ErrKeyNotFound; killed before: nothing happens.
	KillKey(ctx context.Context, id string, fresh Key, recs ...Record) error
	// RewrapKeys replaces the sealed bytes of all these keys, or of none: ErrKeyChanged when one of
	// them has other bytes than Old.
	RewrapKeys(ctx context.Context, rewraps []Rewrap, recs ...Record) error
}

// Epoch counts how often this store was restored from a backup. What was issued before the last
// time is dead.
type Epoch struct {
	N    int64     // 0: never restored
	At   time.Time // when it was declared
	Size int64     // records that the ledger had then
}

// Epochs keeps the history of restorations.
type Epochs interface {
	// LastEpoch returns the newest epoch, zero when the store was never restored.
	LastEpoch(ctx context.Context) (Epoch, error)
	// RaiseEpoch declares that the store was restored from a backup, in one step: the epoch's number
	// is one more than the last; every live task ends as revoked, by the server, with reason
	// "restored"; sessions and requests are forgotten; the active and the next key of use "sig" retire,
	// active and next take their place; AppendExecutions lets every Guard skip numbers once; every
	// resource is told (EventEpochRaised, the epoch's number as JTI); one record of kind epoch.raised
	// is left beside recs and those of the tasks. It returns the epoch and how many tasks it ended.
	RaiseEpoch(ctx context.Context, active, next Key, recs ...Record) (e Epoch, ended int, err error)
}
