package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// lent is a task with words that a spreadsheet would run.
var lent = Task{
	ID: "tsk_1", User: "usr_1", Client: "=client", Resources: []string{"https://a.example/mcp", "https://b.example/mcp"}, Purpose: "=HYPERLINK(\"x\")\nand more", State: "suspended",
	SuspendedBy: "rule", Reason: "-1", CallsUsed: 3, CreatedAt: at, EndsAt: at.Add(time.Hour),
}

func TestTasks(t *testing.T) {
	got := map[string]string{}
	for _, format := range Formats {
		var out bytes.Buffer
		w, err := NewTasks(format, &out)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := w.Write(lent); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got[format] = out.String()
	}
	rows, err := csv.NewReader(strings.NewReader(got["csv"])).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatal(err, got["csv"])
	}
	cells := map[string]string{}
	for i, name := range rows[0] {
		cells[name] = rows[1][i]
	}
	for name, want := range map[string]string{
		"id": "tsk_1", "client": "'=client", "purpose": "'" + lent.Purpose, "reason": "'-1", "resources": "https://a.example/mcp https://b.example/mcp",
		"max_calls": "", "calls_used": "3", "seen_at": "", "ends_at": "2026-03-01T13:00:00.000005Z",
	} {
		if cells[name] != want {
			t.Errorf("%s: %q", name, cells[name])
		}
	}
	var all []Task
	if json.Unmarshal([]byte(got["json"]), &all) != nil || len(all) != 2 || all[1].Purpose != lent.Purpose {
		t.Error(got["json"])
	}
	if strings.Count(got["jsonl"], "\n") != 2 || strings.Contains(got["jsonl"], "seen_at") {
		t.Error(got["jsonl"])
	}
	var e struct {
		ClassUID int    `json:"class_uid"`
		User     entity `json:"user"`
		Unmapped Task   `json:"unmapped"`
	}
	line, _, _ := strings.Cut(got["ocsf"], "\n")
	if json.Unmarshal([]byte(line), &e) != nil || e.ClassUID != 3003 || e.User.UID != "usr_1" || e.Unmapped.State != "suspended" || strings.Count(line, `"unmapped"`) != 1 {
		t.Error(line)
	}
	if _, err := NewTasks("xml", &bytes.Buffer{}); err == nil {
		t.Error("xml is written")
	}
}
