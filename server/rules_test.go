package server

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

func refusedAt(task, reason string, at time.Time) store.Record {
	rec := store.NewRecord(kindDecided, executionPayload{Decision: "refused", Reason: reason})
	rec.Task, rec.At = task, at
	return rec
}

func TestRulesJudge(t *testing.T) {
	start := time.Unix(1700000000, 0)
	for reason, want := range map[string]string{
		"wrong_key": ruleWrongKey, "proof_replayed": ruleReplay,
		"scope": "", "argument_limit": "", "task_ended": "", "token_expired": "",
	} {
		r := rules{refused: map[string][]time.Time{}}
		if got := r.judge(refusedAt("tsk_a", reason, start)); got != want {
			t.Errorf("one %s fires %q, want %q", reason, got, want)
		}
	}
	allowed := store.NewRecord(kindDecided, executionPayload{Decision: "allowed"})
	broken := store.Record{Kind: kindDecided, Payload: json.RawMessage("{")}
	r := rules{refused: map[string][]time.Time{}}
	if r.judge(allowed) != "" || r.judge(broken) != "" || r.judge(store.NewRecord("task.ended", nil)) != "" {
		t.Error("a rule fired at what is no refusal")
	}
}

func TestRulesBurst(t *testing.T) {
	start := time.Unix(1700000000, 0)
	slow, fast := rules{refused: map[string][]time.Time{}}, rules{refused: map[string][]time.Time{}}
	for i := range 50 {
		if got := slow.judge(refusedAt("tsk_a", "scope", start.Add(time.Duration(i)*10*time.Second))); got != "" {
			t.Fatalf("one refusal in ten seconds fires %q at the %dth", got, i+1)
		}
	}
	for i := range burstOf {
		got := fast.judge(refusedAt("tsk_a", "scope", start.Add(time.Duration(i)*time.Second)))
		if (got == ruleBurst) != (i == burstOf-1) {
			t.Errorf("refusal %d fires %q", i+1, got)
		}
		if other := fast.judge(refusedAt("tsk_b", "task_ended", start)); other != "" {
			t.Errorf("calls after the end fire %q", other)
		}
	}
}
