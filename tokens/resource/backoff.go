package resource

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff waits longer after each failure, with jitter.
type backoff struct {
	least, most time.Duration
	next        time.Duration
}

func (b *backoff) reset() { b.next = 0 }

// wait reports whether the wait ended before ctx did.
func (b *backoff) wait(ctx context.Context) bool {
	b.next = min(max(b.least, 2*b.next), b.most)
	t := time.NewTimer(b.next/2 + rand.N(b.next/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
