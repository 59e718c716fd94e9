package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/web"
)

// reached is how far the end of a task has got: dead where its Guard acknowledged the end, or where
// no token of the task lives any more.
type reached struct {
	resources int           // where tokens had been given out
	dead      time.Duration // how long the slowest acknowledgement took
	outlived  []string      // names of resources that were not reached before the last token expired
	unreached []string      // names of resources where a token may still work
	expires   time.Time     // the last of those tokens
}

// add counts one resource in.
func (r *reached) add(e store.Ending, name string, now time.Time) {
	if !e.LastToken.After(e.At) {
		return // no token was alive when the task ended
	}
	r.resources++
	switch {
	case !e.AckedAt.IsZero() && e.AckedAt.Before(e.LastToken):
		r.dead = max(r.dead, e.AckedAt.Sub(e.At))
	case !now.Before(e.LastToken):
		r.outlived = append(r.outlived, name)
	default:
		r.unreached = append(r.unreached, name)
		if e.LastToken.After(r.expires) {
			r.expires = e.LastToken
		}
	}
}

// join is what is true of two tasks together.
func (r reached) join(o reached) reached {
	r.resources += o.resources
	r.dead = max(r.dead, o.dead)
	r.outlived = union(r.outlived, o.outlived)
	r.unreached = union(r.unreached, o.unreached)
	if o.expires.After(r.expires) {
		r.expires = o.expires
	}
	return r
}

func union(a, b []string) []string {
	seen := map[string]bool{}
	var all []string
	for _, list := range [][]string{a, b} {
		for _, s := range list {
			if !seen[s] {
				seen[s] = true
				all = append(all, s)
			}
		}
	}
	return all
}

// waiting reports whether something may still work.
func (r reached) waiting() bool { return len(r.unreached) > 0 }

// text says it; "" when there was nothing to kill.
func (r reached) text(ctx context.Context, now time.Time) (text, tone string) {
	switch {
	case r.resources == 0:
		return "", ""
	case len(r.unreached) > 0:
		return say(ctx, textUnreached, strings.Join(r.unreached, ", "), max(1, int(r.expires.Sub(now).Seconds()))), web.ToneWarn
	case len(r.outlived) > 0:
		return say(ctx, textOutlived, strings.Join(r.outlived, ", ")), web.ToneInfo
	}
	return say(ctx, textDead, tookText(ctx, r.dead)), web.ToneOK
}

// tookText rounds up, so that nothing is said to be faster than it was.
func tookText(ctx context.Context, d time.Duration) string {
	const tenth = 100 * time.Millisecond
	d = max(tenth, (d+tenth-1)/tenth*tenth)
	if d < time.Minute {
		return sayNumber(ctx, fmt.Sprintf("%.1f s", d.Seconds()))
	}
	return spanText(d)
}

// recentEnds is how long after an end "Stop everything" still answers for it: longer than any token.
const recentEnds = maxAccessLife

// notice says what became of the end that the user has just asked for.
func (b *taskBook) notice(ctx context.Context, which string, ended []store.Task) (text, tone string) {
	var r reached
	var found bool
	for _, t := range ended {
		if t.ID == which || which == endedAll && b.now.Sub(t.EndedAt) < recentEnds {
			r, found = r.join(b.reach[t.ID]), true
			text = say(ctx, textTaskEnded, t.Purpose)
			if t.Purpose == "" {
				text = say(ctx, textUnnamedEnded)
			}
		}
	}
	if !found {
		return "", ""
	}
	if which == endedAll {
		text = say(ctx, textAllEnded)
	}
	how, tone := r.text(ctx, b.now)
	if how == "" {
		return text + ".", web.ToneOK
	}
	return text + ": " + how + ".", tone
}
