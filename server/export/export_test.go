package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const secret = "SECRET-VALUE"

var at = time.Date(2026, 3, 1, 12, 0, 0, 5000, time.UTC)

// call is a refused call whose record holds values, and texts that a spreadsheet would run.
func call(seq int64, tool string) Record {
	payload, _ := json.Marshal(map[string]any{
		"tool": tool, "decision": "refused", "reason": "=1+1", "values": map[string]any{"a": secret}, "said": secret, "dispute": secret,
		"target": secret, "claimed": map[string]string{"user": secret}, "rule": map[string]any{"x": secret}, "duration_us": secret,
		"checks": []any{map[string]any{"value": secret}}, "granted": secret, secret: secret,
	})
	return Record{Seq: seq, At: at, Kind: "execution.decided", Task: "tsk_1", User: "usr_1", Client: "@client", Agent: "-jkt", Resource: "https://r.example/mcp", Execution: "exe_1", Payload: payload, Hash: "ab"}
}

func written(t *testing.T, format string, recs ...Record) string {
	t.Helper()
	var out bytes.Buffer
	w, err := New(format, &out)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range recs {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), secret) {
		t.Errorf("%s holds a value: %s", format, out.String())
	}
	return out.String()
}

func TestCSVHoldsNoFormula(t *testing.T) {
	for tool, want := range map[string]string{
		"=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t'=1", "\n=1": "'\n'=1",
		"get_ticket": "get_ticket", "a=1,\"b\"\nc": "a=1,\"b\"\nc", "": "",
	} {
		rows, err := csv.NewReader(strings.NewReader(written(t, "csv", call(1, tool)))).ReadAll()
		if err != nil || len(rows) != 2 || len(rows[1]) != len(records.columns) {
			t.Fatalf("%q: %v %q", tool, err, rows)
		}
		got := map[string]string{}
		for i, name := range rows[0] {
			got[name] = rows[1][i]
		}
		if got["tool"] != want || got["reason"] != "'=1+1" || got["client"] != "'@client" || got["agent"] != "'-jkt" || got["seq"] != "1" || got["at"] != "2026-03-01T12:00:00.000005Z" || got["duration_us"] != "" {
			t.Errorf("%q: %q", tool, got)
		}
	}
	// OWASP, CSV Injection: whoever writes the field separator begins a cell too.
	for text, want := range map[string]string{
		"notes;=HYPERLINK(\"https://evil.example\");x": "notes;'=HYPERLINK(\"https://evil.example\");x",
		"a;\"@SUM(1)\"": "a;\"'@SUM(1)\"", "a;;+1": "a;;'+1", "a\t-1": "a\t'-1", "a\n=1": "a\n'=1", "\"=1": "\"'=1",
		"a; b": "a; b", "a = b; c - d": "a = b; c - d", "a\n\nb;\nc": "a\n\nb;\nc", "x@example.com": "x@example.com",
	} {
		if got := inert(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := inert("\rx"); got != "'\rx" {
		t.Errorf("%q", got)
	}
}

func TestJSON(t *testing.T) {
	for _, n := range []int{0, 1, 3} {
		var recs []Record
		for i := range n {
			recs = append(recs, call(int64(i+1), "get_ticket"))
		}
		var rows []map[string]any
		if raw := written(t, "json", recs...); json.Unmarshal([]byte(raw), &rows) != nil || len(rows) != n {
			t.Errorf("%d: %s", n, raw)
		}
		lines := strings.Count(written(t, "jsonl", recs...), "\n")
		if lines != n {
			t.Errorf("%d lines for %d records", lines, n)
		}
	}
	erased := Record{Seq: 1, At: at, Kind: "consent.allowed", Payload: json.RawMessage("null"), Hash: "ab"}
	if got := written(t, "jsonl", erased); got != `{"seq":1,"at":"2026-03-01T12:00:00.000005Z","kind":"consent.allowed","hash":"ab"}`+"\n" {
		t.Error(got)
	}
	var out bytes.Buffer
	w, _ := New("json", &out)
	_ = w.Write(call(1, "x"))
	if json.Valid(out.Bytes()) {
		t.Error("an export that stopped looks whole")
	}
	if _, err := New("xml", &out); err == nil {
		t.Error("xml is written")
	}
}

// TestOCSF: each record is one event, with the members that its class requires.
func TestOCSF(t *testing.T) {
	for kind, want := range map[string]struct {
		class, activity int
		members         string
	}{
		"execution.decided": {6003, 99, "actor api src_endpoint"}, "execution.finished": {6003, 99, "actor api src_endpoint"},
		"consent.allowed": {3003, 1, "user"}, "consent.denied": {3003, 99, "user"}, "task.created": {3003, 1, "user"}, "token.revoked": {3003, 99, "user"},
		"user.added": {3001, 1, "user"}, "user.enabled": {3001, 2, "user"}, "password.changed": {3001, 3, "user"}, "user.disabled": {3001, 5, "user"}, "user.role_changed": {3001, 99, "user"},
		"key.rotated": {0, 99, ""}, "task.ended": {0, 99, ""}, "rule.fired": {0, 99, ""}, "nonsense": {0, 99, ""},
	} {
		for _, bare := range []bool{false, true} {
			rec := call(7, "get_ticket")
			if bare {
				rec = Record{Seq: 7, At: at, Payload: json.RawMessage("{}"), Hash: "ab"}
			}
			rec.Kind = kind
			raw := written(t, "ocsf", rec)
			var e event
			var members map[string]any
			if json.Unmarshal([]byte(raw), &e) != nil || json.Unmarshal([]byte(raw), &members) != nil {
				t.Fatal(raw)
			}
			if e.ClassUID != want.class || e.ActivityID != want.activity || e.TypeUID != 100*want.class+want.activity || e.CategoryUID != want.class/1000 || e.Time != at.UnixMilli() ||
				e.Metadata.Version != "1.7.0" || e.Metadata.Sequence != 7 || e.Metadata.UID != "ab" || e.Metadata.EventCode != kind || e.SeverityID == 0 {
				t.Errorf("%s: %s", kind, raw)
			}
			for _, name := range strings.Fields(want.members) {
				if members[name] == nil {
					t.Errorf("%s lacks %s: %s", kind, name, raw)
				}
			}
			if want.class == 6003 && (e.API.Operation == "" || e.SrcEndpoint.UID == "" || !bare && e.StatusID != 2) || want.members == "user" && e.User.UID == "" {
				t.Errorf("%s: %s", kind, raw)
			}
		}
	}
}
