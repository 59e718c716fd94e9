package server

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/remit-auth/remit/store"
)

// Rules watch the ledger as it grows and suspend a task before a person looks. They are few, fixed
// and explained; what fired is a record of its own, and the task's user reads it on the agents page.
// A task that a rule suspended is resumed by an admin, or ended by anybody who may end it.

// The rules.
const (
	ruleWrongKey = "wrong_key" // the token came with a proof by another key: a copy is in other hands
	ruleReplay   = "proof_replayed"
	ruleBurst    = "refusal_burst"
)

// burstOf is how many refused calls of one task within burstSpan are a burst.
const (
	burstOf   = 10
	burstSpan = time.Minute
	// maxWatched bounds the tasks whose refusals are remembered at once.
	maxWatched = 10000
)

// ruleTexts tells the user why.
var ruleTexts = map[string]string{
	ruleWrongKey: "somebody used a copy of its token with another key",
	ruleReplay:   "one of its requests was sent a second time",
	ruleBurst:    "ten of its calls were refused within a minute",
}

// rules is what the rules remember. One goroutine uses it.
type rules struct {
	off     bool
	read    int64 // place in the ledger up to which was judged
	started bool
	refused map[string][]time.Time // by task, newest last
}

// applyRules judges what was chained since the last time.
func (s *Server) applyRules(ctx context.Context) error {
	r := &s.rules
	if r.off {
		return nil
	}
	size, _, err := s.store.Head(ctx)
	if err != nil {
		return err
	}
	if !r.started { // what was before has been judged, or is too old to matter
		r.read, r.started, r.refused = size, true, map[string][]time.Time{}
	}
	for r.read < size {
		recs, err := s.store.Records(ctx, store.RecordFilter{AfterSeq: r.read, Limit: 500})
		if err != nil {
			return err
		}
		if len(recs) == 0 {
			return nil
		}
		for _, rec := range recs {
			if rule := r.judge(rec); rule != "" {
				if err := s.fire(ctx, rule, rec); err != nil {
					return err // judged again the next time
				}
			}
			r.read = rec.Seq
		}
	}
	return nil
}

// judge returns the rule that this record fires; "" for none.
func (r *rules) judge(rec store.Record) string {
	var p executionPayload
	if rec.Kind != kindDecided || json.Unmarshal(rec.Payload, &p) != nil || p.Decision != "refused" {
		return ""
	}
	switch p.Reason {
	case ruleWrongKey, ruleReplay:
		return p.Reason
	case "task_ended", "task_suspended", "switched_off", "token_expired", "token_revoked":
		return "" // an agent that has not heard yet
	}
	if r.burst(rec.Task, rec.At) {
		return ruleBurst
	}
	return ""
}

// burst notes one refusal and reports whether it completes a burst.
func (r *rules) burst(task string, at time.Time) bool {
	if len(r.refused) >= maxWatched {
		for id, times := range r.refused {
			if at.Sub(times[len(times)-1]) > burstSpan {
				delete(r.refused, id)
			}
		}
		if len(r.refused) >= maxWatched {
			clear(r.refused)
		}
	}
	times := append(r.refused[task], at)
	for len(times) > 0 && at.Sub(times[0]) > burstSpan {
		times = times[1:]
	}
	r.refused[task] = times
	if len(times) < burstOf {
		return false
	}
	delete(r.refused, task)
	return true
}

// fire suspends the task and says why, in one step. A task that is no longer active needs nothing.
func (s *Server) fire(ctx context.Context, rule string, cause store.Record) error {
	rec := store.NewRecord("rule.fired", map[string]any{"rule": rule, "cause": cause.Seq, "execution": cause.Execution})
	rec.Task, rec.User, rec.Client, rec.Agent, rec.Resource = cause.Task, cause.User, cause.Client, cause.Agent, cause.Resource
	_, err := s.store.SuspendTask(ctx, cause.Task, store.ByRule, rule, rec)
	if errors.Is(err, store.ErrTaskNotActive) || errors.Is(err, store.ErrTaskEnded) || errors.Is(err, store.ErrTaskNotFound) {
		return nil
	}
	if err == nil {
		s.log.Warn("a rule suspended a task", "rule", rule, "task", cause.Task, "user", cause.User, "client", cause.Client)
	}
	return err
}
