package memory

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash/maphash"
	"time"
)

// bucket is a token bucket kept as one number (GCRA): the time at which it will be full again.
type bucket time.Duration

// take draws one token, or says how long until there is one.
func (b bucket) take(now time.Duration, rate float64, burst int) (left bucket, wait time.Duration) {
	each := time.Duration(float64(time.Second) / rate) // how long one token takes to grow back
	full := max(time.Duration(b), now) + each
	if wait = full - now - each*time.Duration(burst); wait > 0 {
		return b, wait
	}
	return bucket(full), 0
}

// Take draws one from the key's bucket. When there is no room for another bucket, keys share some
// by their hash: a flood of keys makes limits stricter, never looser.
func (e *Ephemeral) Take(ctx context.Context, key string, rate float64, burst int) (bool, time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return false, 0, err
	}
	if rate < 1e-6 || burst < 1 {
		return false, 0, errors.New("memory: a rate limit needs a rate and a burst")
	}
	d := digest(sha256.Sum256([]byte(key)))
	e.limits.Lock()
	defer e.limits.Unlock()
	now := e.elapsed()
	b, known := e.buckets[d]
	if !known && len(e.buckets) >= e.maxBuckets {
		e.dropFull(now)
	}
	if !known && len(e.buckets) >= e.maxBuckets {
		i := maphash.String(e.seed, key) % sharedBuckets
		var wait time.Duration
		e.shared[i], wait = e.shared[i].take(now, rate, burst)
		return wait == 0, wait, nil
	}
	b, wait := b.take(now, rate, burst)
	e.buckets[d] = b
	return wait == 0, wait, nil
}

// dropFull forgets buckets that are full again: they are as good as new ones. It looks at all of
// them, so a flood of keys may make it do so once a second at most.
func (e *Ephemeral) dropFull(now time.Duration) {
	if now-e.dropped < time.Second && e.dropped != 0 {
		return
	}
	e.dropped = now
	for key, b := range e.buckets {
		if time.Duration(b) <= now {
			delete(e.buckets, key)
		}
	}
}
