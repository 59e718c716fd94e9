package resourcetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/remit-auth/remit/tokens"
)

const (
	eventURI  = "https://remit-auth.github.io/events/"
	beatEvery = 100 * time.Millisecond
)

// event is one thing that the Guards of a resource are told.
type event struct {
	Kind   string `json:"-"`
	Seq    int64  `json:"seq"`
	Task   string `json:"task,omitempty"`
	JTI    string `json:"jti,omitempty"`
	State  string `json:"state,omitempty"`
	Reason string `json:"reason,omitempty"`
	KID    string `json:"kid,omitempty"`
	At     int64  `json:"at"`

	Switch   *Switch `json:"switch,omitempty"`
	SwitchID string  `json:"switch_id,omitempty"`

	Epoch     int64 `json:"epoch,omitempty"`
	NotBefore int64 `json:"not_before,omitempty"`

	lost   bool                     // open feeds do not get it
	ledger *tokens.CheckpointClaims // that beats carry from now on
}

// EndTask ends the task and returns when every Guard that listens has acknowledged it.
func (i *Issuer) EndTask(tasks ...string) {
	i.t.Helper()
	var ended []event
	i.mu.Lock()
	for _, task := range tasks {
		if b := i.budgets[task]; b != nil {
			b.over = true
		}
		ended = append(ended, event{Kind: "task.ended", Task: task, State: "completed"})
	}
	i.mu.Unlock()
	i.tell(ended...)
}

// SuspendTask and ResumeTask do what they say, and wait like EndTask.
func (i *Issuer) SuspendTask(task string) {
	i.t.Helper()
	i.tell(event{Kind: "task.suspended", Task: task, State: "suspended"})
}

// ResumeTask ends a suspension.
func (i *Issuer) ResumeTask(task string) {
	i.t.Helper()
	i.tell(event{Kind: "task.resumed", Task: task, State: "active"})
}

// RevokeToken revokes one access token, and waits like EndTask.
func (i *Issuer) RevokeToken(jti string) {
	i.t.Helper()
	i.tell(event{Kind: "token.revoked", JTI: jti})
}

// Lose keeps the next n events from the feeds that are open: their sequence gets a gap.
func (i *Issuer) Lose(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, r := range i.resources {
		r.lose = n
	}
}

// tell tells of all events at once, and waits until the Guards have acted on them.
func (i *Issuer) tell(events ...event) {
	i.t.Helper()
	i.mu.Lock()
	wanted := map[*protected]int64{} // acknowledgements of the Guards that listen
	for _, r := range i.resources {
		for _, e := range events {
			if e.ledger != nil {
				i.ledger = *e.ledger
			}
			e.Seq, e.At, e.lost = int64(len(r.events)+1), i.now().UnixMilli(), r.lose > 0
			r.lose = max(0, r.lose-1)
			r.events = append(r.events, e)
			if r.streams > 0 && !i.silent {
				wanted[r] = e.Seq
			}
		}
	}
	i.change()
	i.mu.Unlock()
	i.until("the Guards' acknowledgement", func() bool {
		for r, seq := range wanted {
			if r.acked < seq {
				return false
			}
		}
		return true
	})
}

// SetLedger sets the checkpoint that beats carry from now on.
func (i *Issuer) SetLedger(size int64, head string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ledger = tokens.CheckpointClaims{Issuer: i.URL(), Size: size, Head: head, At: i.now()}
	i.change()
}

// feed serves GET /feed.
func (i *Issuer) feed(w http.ResponseWriter, r *http.Request, res *protected) {
	i.mu.Lock()
	res.streams++
	frames := [][]byte{i.snapshot(res)}
	seq := int64(len(res.events))
	i.change()
	i.mu.Unlock()
	defer func() {
		i.mu.Lock()
		res.streams--
		i.change()
		i.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		for _, f := range frames {
			if _, err := w.Write(f); err != nil {
				return
			}
		}
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		i.mu.Lock()
		changed := i.changed
		i.mu.Unlock()
		due := false
		select {
		case <-changed:
		case <-beat.C:
			due = true
		case <-r.Context().Done():
			return
		case <-i.done:
			return
		}
		i.mu.Lock()
		if i.down {
			i.mu.Unlock()
			return
		}
		frames, seq = i.next(res, seq, due)
		i.mu.Unlock()
	}
}

// next returns the frames that a feed still lacks; callers hold mu.
func (i *Issuer) next(res *protected, seq int64, due bool) ([][]byte, int64) {
	if i.silent {
		return nil, seq
	}
	var frames [][]byte
	for _, e := range res.events[seq:] {
		if !e.lost {
			frames = append(frames, i.frame(res, e.Seq, e.Kind, e))
		}
		seq = e.Seq
	}
	if due || len(frames) == 0 {
		b := map[string]any{"seq": seq, "at": i.now().UnixMilli()}
		if i.ledger.Size > 0 {
			checkpoint, err := i.key.SignCheckpoint(i.ledger)
			if err != nil {
				panic(err) // a checkpoint of the test's own
			}
			b["checkpoint"] = checkpoint
		}
		frames = append(frames, i.frame(res, seq, "beat", b))
	}
	return frames, seq
}

// snapshot is everything that has ended and is still ended; callers hold mu.
func (i *Issuer) snapshot(res *protected) []byte {
	type task struct {
		Task   string `json:"task"`
		State  string `json:"state"`
		Reason string `json:"reason"`
	}
	latest := map[string]event{}
	revoked, killed := []string{}, []string{}
	var epoch, notBefore int64
	for _, e := range res.events {
		switch e.Kind {
		case "token.revoked":
			revoked = append(revoked, e.JTI)
		case "key.killed":
			killed = append(killed, e.KID)
		case "switch.thrown", "switch.lifted":
		case "epoch.raised":
			epoch, notBefore = e.Epoch, e.NotBefore
		default:
			latest[e.Task] = e
		}
	}
	tasks := []task{}
	for _, e := range latest {
		if e.Kind != "task.resumed" {
			tasks = append(tasks, task{e.Task, e.State, e.Reason})
		}
	}
	seq := int64(len(res.events))
	return i.frame(res, seq, "snapshot", map[string]any{
		"seq": seq, "tasks": tasks, "tokens": revoked, "keys": killed, "epoch": epoch, "not_before": notBefore, "switches": switches(res.events), "at": i.now().UnixMilli(),
	})
}

func (i *Issuer) frame(res *protected, seq int64, kind string, payload any) []byte {
	raw, err := json.Marshal(payload)
	if err != nil {
		panic(err) // of our own types
	}
	set, err := i.key.SignSET(tokens.SET{
		Issuer: i.URL(), Audience: res.uri, ID: tokens.NewID("set_"), IssuedAt: i.now(),
		Events: map[string]json.RawMessage{eventURI + kind: raw},
	})
	if err != nil {
		panic(err) // complete by construction
	}
	name := "set"
	if kind == "beat" {
		name = "beat"
	}
	return fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", seq, name, set)
}
