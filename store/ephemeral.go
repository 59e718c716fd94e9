package store

import (
	"context"
	"errors"
	"time"
)

// ErrEpochOver means that a replay memory may have forgotten what it knew in the epoch named: a
// proof with a nonce of that epoch is to be made again with a new one, never accepted.
var ErrEpochOver = errors.New("store: this epoch of the replay memory is over")

// Ephemeral is memory that may be lost, and says so: Epoch changes whenever something may have
// been forgotten, so that a nonce made in an older epoch is never accepted (RFC 9449 §11.1).
type Ephemeral interface {
	// Epoch names this replay memory; it changes with every loss.
	Epoch(ctx context.Context) (string, error)
	// FirstUse remembers key for ttl and reports whether it was unseen, in one atomic step. An epoch
	// that is not the present one: ErrEpochOver. Any other error means unknown: refuse with 503.
	FirstUse(ctx context.Context, epoch, key string, ttl time.Duration) (first bool, err error)
	// Take draws one from a bucket of burst tokens that refills at rate per second, and reports
	// whether there was one, and else how long to wait.
	Take(ctx context.Context, key string, rate float64, burst int) (ok bool, wait time.Duration, err error)
}
