package resource

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"
)

// Kinds and values of execution records.
const (
	kindDecided  = "execution.decided"
	kindFinished = "execution.finished"
	// kindUnrecorded stands in the place of a record that the authorization server would not take.
	kindUnrecorded = "execution.unrecorded"

	allowed = "allowed"
	refused = "refused"

	outcomeOK      = "ok"
	outcomeError   = "error"
	outcomeUnknown = "unknown"
)

// execution is one record of a tools/call: the decision, or how it ended.
type execution struct {
	Kind       string          `json:"kind"`
	Execution  string          `json:"execution"`
	At         int64           `json:"at"` // µs since 1970
	Task       string          `json:"task,omitempty"`
	JTI        string          `json:"jti,omitempty"`
	Client     string          `json:"client_id,omitempty"`
	User       string          `json:"user,omitempty"`
	JKT        string          `json:"jkt,omitempty"`
	Tool       string          `json:"tool,omitempty"`
	Method     string          `json:"method,omitempty"` // of a read: what is not tools/call
	Target     string          `json:"target,omitempty"` // the resource's URI, or the prompt's name
	Decision   string          `json:"decision,omitempty"`
	Reason     Code            `json:"reason,omitempty"`
	Observed   Code            `json:"observed,omitempty"` // why it would have been refused, were the policy not only observed
	Checks     []check         `json:"checks,omitempty"`   // nil of an allowed call: it has passed them all
	Definition string          `json:"definition,omitempty"`
	Policy     string          `json:"policy,omitempty"`
	Arguments  string          `json:"arguments_digest,omitempty"`
	Values     json.RawMessage `json:"values,omitempty"` // of arguments that the operator has recorded
	Outcome    string          `json:"outcome,omitempty"`
	Duration   int64           `json:"duration_us,omitempty"` // of the decision, or of the call with it
	Trace      string          `json:"trace,omitempty"`
}

// openedBy is the execution that a record begins; empty: it begins none.
func openedBy(record []byte) (id string, err error) {
	var e execution
	if err = json.Unmarshal(record, &e); err == nil && e.Kind == kindDecided && e.Decision == allowed {
		id = e.Execution
	}
	return id, err
}

// check is one step of the decision.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// append appends the record as one line of JSON. It is written by hand, for it is written twice in
// every call; a test compares it with encoding/json.
func (e *execution) append(b []byte) []byte {
	b = append(b, `{"kind":`...)
	b = appendText(b, e.Kind)
	b = append(b, `,"execution":`...)
	b = appendText(b, e.Execution)
	b = append(b, `,"at":`...)
	b = strconv.AppendInt(b, e.At, 10)
	b = appendMember(b, `,"task":`, e.Task)
	b = appendMember(b, `,"jti":`, e.JTI)
	b = appendMember(b, `,"client_id":`, e.Client)
	b = appendMember(b, `,"user":`, e.User)
	b = appendMember(b, `,"jkt":`, e.JKT)
	b = appendMember(b, `,"tool":`, e.Tool)
	b = appendMember(b, `,"method":`, e.Method)
	b = appendMember(b, `,"target":`, e.Target)
	b = appendMember(b, `,"decision":`, e.Decision)
	b = appendMember(b, `,"reason":`, string(e.Reason))
	b = appendMember(b, `,"observed":`, string(e.Observed))
	switch {
	case e.Checks != nil:
		b = appendChecks(b, e.Checks)
	case e.Decision == allowed && e.JKT == "":
		b = append(b, unboundJSON...)
	case e.Decision == allowed:
		b = append(b, passedJSON...)
	}
	b = appendMember(b, `,"definition":`, e.Definition)
	b = appendMember(b, `,"policy":`, e.Policy)
	b = appendMember(b, `,"arguments_digest":`, e.Arguments)
	if len(e.Values) > 0 {
		b = append(append(b, `,"values":`...), e.Values...)
	}
	b = appendMember(b, `,"outcome":`, e.Outcome)
	if e.Duration != 0 {
		b = append(b, `,"duration_us":`...)
		b = strconv.AppendInt(b, e.Duration, 10)
	}
	b = appendMember(b, `,"trace":`, e.Trace)
	return append(b, '}')
}

func appendChecks(b []byte, checks []check) []byte {
	for i, c := range checks {
		if i == 0 {
			b = append(b, `,"checks":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(b, `{"name":`...)
		b = appendText(b, c.Name)
		b = append(b, `,"ok":`...)
		b = strconv.AppendBool(b, c.OK)
		b = appendMember(b, `,"detail":`, c.Detail)
		b = append(b, '}')
	}
	if len(checks) > 0 {
		b = append(b, ']')
	}
	return b
}

func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendText(append(b, name...), value)
}

// appendText appends a JSON string. Plain text, which is nearly all there is, is copied.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			if err != nil { // a string always marshals
				return append(b, `""`...)
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// refusalRate is how many refusals of one task are recorded one by one: a burst, then one a second.
const (
	refusalBurst = 20
	refusalTasks = 10_000 // tasks remembered
)

// limiter bounds the records that refused calls of one task can cause, so that an agent that keeps
// knocking cannot fill the disk.
type limiter struct {
	mu    sync.Mutex
	tasks map[string]*bucket
}

type bucket struct {
	left       float64
	at         time.Time
	suppressed int
}

// allow reports whether a refusal may be recorded, and how many before it were not.
func (l *limiter) allow(task string, now time.Time) (ok bool, suppressed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.tasks[task]
	if b == nil {
		if l.tasks == nil || len(l.tasks) >= refusalTasks {
			l.tasks = map[string]*bucket{}
		}
		b = &bucket{left: refusalBurst, at: now}
		l.tasks[task] = b
	}
	b.left = min(refusalBurst, b.left+max(0, now.Sub(b.at).Seconds()))
	b.at = now
	if b.left < 1 {
		b.suppressed++
		return false, 0
	}
	b.left--
	suppressed, b.suppressed = b.suppressed, 0
	return true, suppressed
}
