package tokens

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	taskEntry = `{"type":"mcp_task","purpose":"Triage this week's bugs","max_duration":1800,"max_calls":60}`
	toolEntry = `{"type":"mcp_tool","locations":["https://tickets.example/mcp"],"tool":"add_comment","constraints":{"project":{"const":"WEB"}},"max_calls":20,"approval":"each_call"}`
)

func TestParseDetails(t *testing.T) {
	hash := HashBytes([]byte("x"))
	got, err := ParseDetails([]byte(`[` + toolEntry + `,` + taskEntry + `,` + edit(edit(toolEntry, "tool", `"b"`), "definition", `"`+hash+`"`) + `]`))
	if err != nil {
		t.Fatal(err)
	}
	limits := Constraints{"project": {{Const: json.RawMessage(`"WEB"`)}}}
	want := Details{
		Task: &TaskDetail{Purpose: "Triage this week's bugs", MaxDuration: 1800, MaxCalls: 60},
		Tools: []ToolDetail{
			{Locations: []string{testResource}, Tool: "add_comment", Constraints: limits, MaxCalls: 20, Approval: "each_call"},
			{Locations: []string{testResource}, Tool: "b", Constraints: limits, MaxCalls: 20, Approval: "each_call", Definition: hash},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	raw := must[[]byte](t)(json.Marshal(want))
	jsonEqual(t, raw, []byte(`[`+taskEntry+`,`+toolEntry+`,`+edit(edit(toolEntry, "tool", `"b"`), "definition", `"`+hash+`"`)+`]`))
	if none := must[[]byte](t)(json.Marshal(Details{})); string(none) != "[]" {
		t.Errorf("no details are %s", none)
	}
}

func TestParseDetailsRefuses(t *testing.T) {
	task := func(name, value string) string { return `[` + edit(taskEntry, name, value) + `]` }
	tool := func(name, value string) string { return `[` + edit(toolEntry, name, value) + `]` }
	many := make([]string, 65)
	for i := range many {
		many[i] = edit(toolEntry, "tool", fmt.Sprintf(`"t%d"`, i))
	}
	for name, raw := range map[string]string{
		"nothing":                          ``,
		"an object":                        toolEntry,
		"null":                             `null`,
		"an entry that is no object":       `["mcp_tool"]`,
		"no type":                          tool("type", ""),
		"an unknown type":                  tool("type", `"payment"`),
		"type in another case":             tool("type", `"MCP_TOOL"`),
		"type twice":                       `[{"type":"mcp_task","type":"mcp_tool","tool":"x"}]`,
		"an unknown member":                tool("actions", `["read"]`),
		"an unknown member of a task":      task("tool", `"x"`),
		"Tool":                             `[{"type":"mcp_tool","Tool":"x"}]`,
		"two tasks":                        `[` + taskEntry + `,` + taskEntry + `]`,
		"text behind":                      `[] []`,
		"purpose of 141":                   task("purpose", `"`+strings.Repeat("ü", 141)+`"`),
		"purpose with a line break":        task("purpose", `"a\nb"`),
		"purpose that turns the text":      task("purpose", `"a\u202eb"`),
		"purpose that is a number":         task("purpose", `1`),
		"no duration":                      task("max_duration", `0`),
		"a duration below zero":            task("max_duration", `-1`),
		"a duration in words":              task("max_duration", `"30m"`),
		"a duration with a fraction":       task("max_duration", `1.5`),
		"an absurd duration":               task("max_duration", `1e18`),
		"no calls at all, read as no end":  tool("max_calls", `0`),
		"calls null":                       tool("max_calls", `null`),
		"calls beyond the counter":         tool("max_calls", `9223372036854775808`),
		"a task that is none":              task("task", `"gnt_abc"`),
		"a task that is a path":            task("task", `"tsk_../../x"`),
		"no tool":                          tool("tool", ""),
		"a tool with a blank":              tool("tool", `"add comment"`),
		"a tool of 129":                    tool("tool", `"`+strings.Repeat("x", 129)+`"`),
		"all tools":                        tool("tool", `"*"`),
		"no locations in the list":         tool("locations", `[]`),
		"a location that is a string":      tool("locations", `"https://tickets.example/mcp"`),
		"a location without scheme":        tool("locations", `["tickets.example"]`),
		"a location with a fragment":       tool("locations", `["https://tickets.example/#x"]`),
		"nine locations":                   tool("locations", `["https://a/1","https://a/2","https://a/3","https://a/4","https://a/5","https://a/6","https://a/7","https://a/8","https://a/9"]`),
		"approval of another kind":         tool("approval", `"never"`),
		"approval empty":                   tool("approval", `""`),
		"a definition of another hash":     tool("definition", `"sha-1:abc"`),
		"a definition too short":           tool("definition", `"sha-256:abc"`),
		"a definition with stray bits":     tool("definition", `"sha-256:`+strings.Repeat("A", 42)+`B"`),
		"an unknown constraint":            tool("constraints", `{"a":{"not":{}}}`),
		"the same tool twice":              `[` + toolEntry + `,` + toolEntry + `]`,
		"the same location twice":          tool("locations", `["https://a/1","https://a/1"]`),
		"the same tool twice, no location": `[{"type":"mcp_tool","tool":"x"},{"type":"mcp_tool","tool":"x","max_calls":1}]`,
		"65 entries":                       `[` + strings.Join(many, ",") + `]`,
		"more than 64 KiB":                 `[` + strings.Repeat(" ", maxDetails) + `]`,
	} {
		t.Run(name, func(t *testing.T) {
			d, err := ParseDetails([]byte(raw))
			if !errors.Is(err, ErrDetails) {
				t.Fatalf("ParseDetails = %+v, %v", d, err)
			}
			if strings.ContainsAny(err.Error(), "\"\\\n") {
				t.Errorf("unfit for an error_description: %v", err)
			}
		})
	}
	if _, err := ParseDetails([]byte(`[` + strings.Join(many[:64], ",") + `]`)); err != nil {
		t.Errorf("64 entries: %v", err)
	}
}

func TestDetailsFor(t *testing.T) {
	d := must[Details](t)(ParseDetails([]byte(`[` + taskEntry + `,
		{"type":"mcp_tool","tool":"both","locations":["https://a/mcp","https://b/mcp"]},
		{"type":"mcp_tool","tool":"a","locations":["https://a/mcp"]},
		{"type":"mcp_tool","tool":"slash","locations":["https://a/mcp/"]},
		{"type":"mcp_tool","tool":"nowhere"}]`)))
	got := d.For("https://a/mcp")
	want := Details{Task: d.Task, Tools: []ToolDetail{{Tool: "both", Locations: []string{"https://a/mcp"}}, {Tool: "a", Locations: []string{"https://a/mcp"}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(d.Tools[0].Locations) != 2 {
		t.Error("For changed what it was called on")
	}
}

// TestDetailsPrint: parse(print(x)) = x, and the canonical form names one x only.
func TestDetailsPrint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDetails(t)
		for name, print := range map[string]func() ([]byte, error){"MarshalJSON": d.MarshalJSON, "Canonical": d.Canonical} {
			raw, err := print()
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseDetails(raw)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, raw)
			}
			if diff := cmp.Diff(d, again); diff != "" {
				t.Fatalf("%s (-want +got)\n%s", name, diff)
			}
		}
	})
}

func drawDetails(t *rapid.T) Details {
	var d Details
	if rapid.Bool().Draw(t, "task") {
		d.Task = &TaskDetail{
			Purpose:     rapid.StringMatching(`[a-zäß€"\\<😀 ]{0,140}`).Draw(t, "purpose"),
			MaxDuration: rapid.IntRange(0, maxSeconds).Draw(t, "duration"),
			MaxCalls:    rapid.IntRange(0, maxCount).Draw(t, "calls"),
			Task:        rapid.SampledFrom([]string{"", NewID("tsk_")}).Draw(t, "extends"),
		}
	}
	tools := rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Za-z0-9_.-]{1,128}`), 0, 4, rapid.ID).Draw(t, "tools")
	for _, tool := range tools {
		d.Tools = append(d.Tools, ToolDetail{
			Tool:        tool,
			Locations:   rapid.SampledFrom([][]string{nil, {testResource}, {testResource, "https://b.example/?x=<1>"}}).Draw(t, "locations"),
			Constraints: drawConstraints(t),
			MaxCalls:    rapid.IntRange(0, maxCount).Draw(t, "calls"),
			Approval:    rapid.SampledFrom([]string{"", ApprovalEachCall}).Draw(t, "approval"),
			Definition:  rapid.SampledFrom([]string{"", HashBytes([]byte(tool))}).Draw(t, "definition"),
		})
	}
	return d
}

// What was granted may be as much as scopes expand to, and is read as strictly as what is asked.
func TestParseGrant(t *testing.T) {
	entries := func(n int) []byte {
		d := Details{Task: &TaskDetail{Purpose: "much"}}
		for i := range n {
			d.Tools = append(d.Tools, ToolDetail{Tool: fmt.Sprintf("tool_%d", i)})
		}
		return must[[]byte](t)(d.Canonical())
	}
	if d, err := ParseGrant(entries(1000)); err != nil || len(d.Tools) != 1000 {
		t.Errorf("a thousand tools: %d, %v", len(d.Tools), err)
	}
	for name, raw := range map[string][]byte{
		"one tool more":    entries(1001),
		"more than 1 MiB":  append(entries(1), make([]byte, 1<<20)...),
		"a tool twice":     []byte(`[{"type":"mcp_tool","tool":"x"},{"type":"mcp_tool","tool":"x"}]`),
		"an unknown type":  []byte(`[{"type":"payment"}]`),
		"something behind": append(entries(1), '1'),
	} {
		if _, err := ParseGrant(raw); !errors.Is(err, ErrDetails) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseDetails(entries(64)); !errors.Is(err, ErrDetails) {
		t.Errorf("a request for 64 tools and a task: %v", err)
	}
}

func FuzzParseGrant(f *testing.F) {
	f.Add([]byte(`[` + taskEntry + `,` + toolEntry + `]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := ParseGrant(raw)
		if err != nil {
			return
		}
		printed := must[[]byte](t)(d.Canonical())
		if again, err := ParseGrant(printed); err == nil && !bytes.Equal(must[[]byte](t)(again.Canonical()), printed) {
			t.Fatalf("%s is printed as %s", raw, printed)
		}
	})
}
