package resource

import (
	"context"
	"time"
)

// waitCheck is how often Wait looks though nothing was heard: a stale view makes no sound.
const waitCheck = time.Second

// Wait returns when the permit no longer stands, with the reason: the task has ended or is suspended,
// the token was revoked, or the view of all that is stale. It returns "" when ctx ends first. It is
// for answers that last: what has begun to stream must end with its task. That the token expires
// meanwhile ends nothing, unless the Guard knows of tasks by asking about tokens ([IntrospectAlways]).
func (p *Permit) Wait(ctx context.Context) Code {
	if p.g == nil {
		return BadToken
	}
	if p.g.introspects {
		return p.waitAsking(ctx)
	}
	for {
		_, next := p.g.ends.waiting()
		if code := p.g.ends.check(p.bearer); code != "" {
			return code
		}
		if p.tool != "" && p.g.ends.toolOff(p.tool) {
			return SwitchedOff
		}
		left := p.bearer.Task.Ends.Sub(p.g.now())
		if left <= 0 {
			return TaskEnded
		}
		timer := time.NewTimer(min(left, waitCheck))
		select {
		case <-next:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ""
		}
		timer.Stop()
	}
}
