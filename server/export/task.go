package export

import (
	"io"
	"strconv"
	"strings"
	"time"
)

// Task is what is written of a task. Its purpose is in the agent's words.
type Task struct {
	ID          string    `json:"id"`
	Parent      string    `json:"parent,omitempty"`
	User        string    `json:"user"`
	Client      string    `json:"client"`
	Agent       string    `json:"agent,omitempty"` // empty: not bound to a key
	Resources   []string  `json:"resources"`
	Purpose     string    `json:"purpose,omitempty"`
	State       string    `json:"state"`
	SuspendedBy string    `json:"suspended_by,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	MaxCalls    int       `json:"max_calls,omitempty"`
	CallsUsed   int       `json:"calls_used"`
	CreatedAt   time.Time `json:"created_at"`
	SeenAt      time.Time `json:"seen_at,omitzero"`
	EndsAt      time.Time `json:"ends_at"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
}

// NewTasks writes tasks to w in this format.
func NewTasks(format string, w io.Writer) (Writer[Task], error) { return open(format, w, tasks) }

var tasks = shape[Task]{
	columns: []string{
		"id", "parent", "user", "client", "agent", "resources", "purpose", "state", "suspended_by", "reason",
		"max_calls", "calls_used", "created_at", "seen_at", "ends_at", "ended_at",
	},
	cells: func(t Task) []string {
		return []string{
			t.ID, t.Parent, t.User, t.Client, t.Agent, strings.Join(t.Resources, " "), t.Purpose, t.State, t.SuspendedBy, t.Reason,
			number(int64(t.MaxCalls)), strconv.Itoa(t.CallsUsed), stamp(t.CreatedAt), stamp(t.SeenAt), stamp(t.EndsAt), stamp(t.EndedAt),
		}
	},
	row:   func(t Task) any { return t },
	event: func(t Task) any { return taskEvent(t) },
}

// taskEvent tells that the user gave the client what the task allows.
func taskEvent(t Task) any {
	class, activity, name := classOf("task.created")
	return struct {
		event
		Unmapped Task `json:"unmapped"`
	}{event{
		ActivityID: activity, ActivityName: name, CategoryUID: class / 1000, ClassUID: class, TypeUID: class*100 + activity, SeverityID: 1, Time: t.CreatedAt.UnixMilli(),
		Metadata: metadata{Version: ocsfVersion, Product: product{"Remit", "Remit"}, UID: t.ID, EventCode: "task." + t.State, CorrelationUID: t.ID},
		StatusID: 1, StatusDetail: t.Reason, User: &entity{first(t.User, t.Client, "unknown")}, Actor: &actor{User: &entity{first(t.User, "unknown")}, AppUID: t.Client},
	}, t}
}
