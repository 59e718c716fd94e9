// Package memory is replay memory and rate limits within one process: a store.Ephemeral for a
// server that is the only one of its issuer. It forgets with the process, and says so by an epoch
// that is random per process.
//
// It never forgets a key before its time. When there is no room it refuses to remember more,
// which the caller answers with 503, rather than let a proof be used twice.
package memory

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/remit-auth/remit/store"
)

// Reasons why FirstUse does not know.
var (
	ErrEpoch = fmt.Errorf("memory: %w", store.ErrEpochOver)
	ErrFull  = errors.New("memory: no room to remember another key")
)

var _ store.Ephemeral = (*Ephemeral)(nil)

// Options bound the memory; zero values are the defaults.
type Options struct {
	Now        func() time.Time // nil: time.Now
	MaxKeys    int              // keys remembered at once, about 100 bytes each; 0: 1<<20
	MaxBuckets int              // rate limits with a bucket of their own; 0: 1<<16
}

// Ephemeral is the memory. Its methods may be called from any goroutine.
type Ephemeral struct {
	now   func() time.Time
	start time.Time
	epoch string
	seed  maphash.Seed

	mu      sync.Mutex
	maxKeys int
	seen    map[digest]struct{}
	expiry  map[int64][]digest // by the second after which they may be forgotten
	swept   int64              // the newest second that has been forgotten

	limits     sync.Mutex
	maxBuckets int
	buckets    map[digest]bucket // keys are the callers' words, of any length
	shared     []bucket          // for keys that found no room
	dropped    time.Duration     // when full buckets were last looked for
}

// digest is what is kept of a key.
type digest [sha256.Size]byte

// sharedBuckets is how many buckets the keys share that found no room for one of their own.
const sharedBuckets = 4096

// New returns an empty memory with a fresh epoch.
func New(opts Options) *Ephemeral {
	e := &Ephemeral{
		now: opts.Now, epoch: rand.Text(), seed: maphash.MakeSeed(),
		maxKeys: opts.MaxKeys, seen: make(map[digest]struct{}), expiry: make(map[int64][]digest),
		maxBuckets: opts.MaxBuckets, buckets: make(map[digest]bucket), shared: make([]bucket, sharedBuckets),
	}
	if e.now == nil {
		e.now = time.Now
	}
	if e.maxKeys <= 0 {
		e.maxKeys = 1 << 20
	}
	if e.maxBuckets <= 0 {
		e.maxBuckets = 1 << 16
	}
	e.start = e.now()
	return e
}

// Epoch names this replay memory.
func (e *Ephemeral) Epoch(context.Context) (string, error) { return e.epoch, nil }

// elapsed is the time since the start. time.Now carries a monotonic reading, so that a clock set
// back does not make keys live longer, nor one set forward shorter.
func (e *Ephemeral) elapsed() time.Duration { return e.now().Sub(e.start) }

// FirstUse remembers the key for ttl and reports whether it was unseen.
func (e *Ephemeral) FirstUse(ctx context.Context, epoch, key string, ttl time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if epoch != e.epoch {
		return false, ErrEpoch
	}
	if ttl <= 0 {
		return false, errors.New("memory: a key is remembered for some time")
	}
	d := digest(sha256.Sum256([]byte(key)))
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.elapsed()
	e.sweep(int64(now / time.Second))
	if _, ok := e.seen[d]; ok {
		return false, nil
	}
	if len(e.seen) >= e.maxKeys {
		return false, ErrFull
	}
	e.seen[d] = struct{}{}
	last := max(int64((now+ttl)/time.Second), e.swept) // remembered to the end of this second
	e.expiry[last] = append(e.expiry[last], d)
	return true, nil
}

// sweep forgets the keys whose last second lies before this one.
func (e *Ephemeral) sweep(second int64) {
	if second-e.swept > int64(len(e.expiry)) { // after a long rest, look at what there is
		for last, keys := range e.expiry {
			if last < second {
				e.forget(last, keys)
			}
		}
		e.swept = second
	}
	for ; e.swept < second; e.swept++ {
		if keys, ok := e.expiry[e.swept]; ok {
			e.forget(e.swept, keys)
		}
	}
}

func (e *Ephemeral) forget(last int64, keys []digest) {
	for _, d := range keys {
		delete(e.seen, d)
	}
	delete(e.expiry, last)
}
