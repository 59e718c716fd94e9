package chaos

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Result is what a client was told.
type Result string

// The results. Unknown is no answer, or one that says that the outcome is not known.
const (
	OK      Result = "ok"
	Refused Result = "refused"
	Unknown Result = "unknown"
)

// The operations that may succeed once for a key.
var onceOps = []string{"proof", "assertion", "request_uri", "code", "approval"}

// Event is one line of a client's notes.
type Event struct {
	Start, End time.Time
	Op, Key    string
	Result     Result
	Detail     string // of a refresh: the successor; of a call: its task
}

// Probe is one try of a client that wants nothing but an answer.
type Probe struct {
	Start, End time.Time
	OK         bool
	Why        string
}

// History is the notes of all clients.
type History struct {
	mu     sync.Mutex
	events []Event
	probes []Probe
}

// Note adds a line.
func (h *History) Note(e Event) {
	if e.End.IsZero() {
		e.End = time.Now()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

// Probed adds a probe.
func (h *History) Probed(p Probe) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.probes = append(h.probes, p)
}

// Counts tells, for the table, how often each operation had each result.
func (h *History) Counts() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := map[string]int{}
	for _, e := range h.events {
		what := e.Op + " " + string(e.Result)
		if e.Op == "refresh" && e.Result == Refused {
			what += " (" + e.Detail + ")"
		}
		counts[what]++
	}
	var lines []string
	for what, n := range counts {
		lines = append(lines, fmt.Sprintf("%s %d", what, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

// Unknowns counts the operations that began between two times and had no outcome.
func (h *History) Unknowns(from, to time.Time) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if e.Result == Unknown && e.Start.After(from) && e.Start.Before(to) {
			n++
		}
	}
	return n
}

// Keys returns the keys of an operation's successes.
func (h *History) Keys(op string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var keys []string
	for _, e := range h.events {
		if e.Op == op && e.Result == OK {
			keys = append(keys, e.Key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Check returns what must not be. A call, or a refresh, that began longer than fence after its task's
// end was acknowledged is one such thing; late is how long after it the last good call began.
func (h *History) Check(fence time.Duration) (wrong []string, late []time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	successes, successors, ends := map[string]int{}, map[string]string{}, map[string]time.Time{}
	for _, e := range h.events {
		if e.Result != OK {
			continue
		}
		switch {
		case slices.Contains(onceOps, e.Op):
			if successes[e.Op+" "+e.Key]++; successes[e.Op+" "+e.Key] == 2 {
				wrong = append(wrong, fmt.Sprintf("%s %s succeeded twice, the second time at %s", e.Op, e.Key, e.End.Format(time.StampMilli)))
			}
		case e.Op == "refresh":
			if before, ok := successors[e.Key]; ok && before != e.Detail {
				wrong = append(wrong, fmt.Sprintf("refresh token %s has two successors", e.Key))
			}
			successors[e.Key] = e.Detail
		case e.Op == "end":
			if at, ok := ends[e.Key]; !ok || e.End.Before(at) {
				ends[e.Key] = e.End
			}
		}
	}
	last := map[string]time.Duration{}
	for _, e := range h.events {
		if e.Result != OK {
			continue
		}
		end, ended := ends[e.Detail]
		if e.Op == "refresh of" {
			end, ended = ends[e.Key]
		}
		if !ended || !e.Start.After(end) {
			continue
		}
		switch e.Op {
		case "refresh of":
			wrong = append(wrong, fmt.Sprintf("task %s was refreshed %v after its end", e.Key, e.Start.Sub(end)))
		case "call":
			last[e.Detail] = max(last[e.Detail], e.Start.Sub(end))
		}
	}
	for task := range ends {
		late = append(late, last[task])
		if last[task] > fence {
			wrong = append(wrong, fmt.Sprintf("task %s was served %v after its end", task, last[task]))
		}
	}
	slices.Sort(late)
	return wrong, late
}

// Window is what the probes say of a stretch of time.
type Window struct {
	Probes, Failed int
	Error          time.Duration // tenths of seconds in which a probe failed
	Recovered      time.Duration // from healed to the end of the last probe that failed after it
	Why            map[string]int
}

// Window looks at the probes that began between two times; what was done to the world was taken back
// at healed.
func (h *History) Window(from, healed, to time.Time) Window {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := Window{Why: map[string]int{}}
	bad := map[int64]bool{}
	for _, p := range h.probes {
		if p.Start.Before(from) || p.Start.After(to) {
			continue
		}
		w.Probes++
		if p.OK {
			continue
		}
		w.Failed++
		w.Why[p.Why]++
		for t := p.Start.UnixMilli() / 100; t <= p.End.UnixMilli()/100; t++ {
			bad[t] = true
		}
		if p.End.After(healed) {
			w.Recovered = max(w.Recovered, p.End.Sub(healed))
		}
	}
	w.Error = time.Duration(len(bad)) * 100 * time.Millisecond
	return w
}
