package resource_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

var tooOdd = resourcetest.Refusal{Status: http.StatusBadRequest, Code: "invalid_request", Text: "records[0]: too odd"}

// withText refuses a record with this text in it.
func withText(text string, r resourcetest.Refusal) func(json.RawMessage) *resourcetest.Refusal {
	return func(raw json.RawMessage) *resourcetest.Refusal {
		if bytes.Contains(raw, []byte(text)) {
			return &r
		}
		return nil
	}
}

// setAside are the files that keep what was refused.
func (w *world) setAside() []string {
	w.Helper()
	files, err := filepath.Glob(filepath.Join(w.config.StateDir, "quarantine", "*"))
	if err != nil {
		w.Fatal(err)
	}
	return files
}

func (w *world) unrecorded() (found []resourcetest.Execution) {
	for _, e := range w.issuer.Executions(w.uri, 0) {
		if e.Kind == "execution.unrecorded" {
			found = append(found, e)
		}
	}
	return found
}

// TestRefusedRecordIsSetAside: what the authorization server will never take holds nothing else up, does not
// vanish, and nobody can overlook it.
func TestRefusedRecordIsSetAside(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := newWorld(t, func(c *resource.Config) { c.Log = logTo(&log) })
	w.issuer.RefuseExecutions(withText(`"decision":"allowed","checks"`, tooOdd))
	token := w.token(reader())
	w.issuer.Down(true) // so that many go in one batch
	for _, tool := range []string{"search_tickets", "delete_ticket", "get_ticket"} {
		w.call(token, tool, web)
	}
	w.issuer.Down(false)
	records := w.issuer.Executions(w.uri, 5) // allowed and ended twice, refused once
	aside := w.unrecorded()
	if len(records) != 5 || len(aside) != 2 {
		t.Fatalf("%d records, %d stand-ins: %+v", len(records), len(aside), records)
	}
	files := w.setAside()
	if len(files) != 2 || w.guard.SetAside() != 2 {
		t.Fatalf("kept %v, counted %d", files, w.guard.SetAside())
	}
	for i, e := range aside {
		raw, err := os.ReadFile(files[i])
		if err != nil {
			t.Fatal(err)
		}
		var kept struct {
			Number int
			Record resourcetest.Execution
		}
		if err := json.Unmarshal(raw, &kept); err != nil || kept.Record.Tool == "" || kept.Record.Execution != e.Execution || kept.Record.Arguments == "" {
			t.Errorf("kept %s, %v", raw, err)
		}
		if records[kept.Number-1].Execution != e.Execution {
			t.Errorf("the stand-in is not in the place of record %d", kept.Number)
		}
		if e.Unrecorded != tokens.HashBytes(raw) || e.Of != "execution.decided" || e.Task == "" || e.JTI == "" || e.Size == 0 || e.Reason != tooOdd.Text || e.Tool != "" {
			t.Errorf("the ledger is told %+v", e)
		}
		if info, err := os.Stat(files[i]); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
	}
	if text := w.logged(&log); strings.Count(text, "UNRECORDED") != 2 || !strings.Contains(text, files[0]) || !strings.Contains(text, aside[0].Unrecorded) {
		t.Errorf("the log says %s", text)
	}
	w.issuer.RefuseExecutions(nil)
	w.good()
	w.issuer.Executions(w.uri, 7)
	w.restart() // sends again what is in the last segment
	w.ready()
	w.good()
	if got := len(w.issuer.Executions(w.uri, 9)); got != 9 || len(w.setAside()) != 2 || len(w.unrecorded()) != 2 {
		t.Errorf("after a restart %d records, %d kept", got, len(w.setAside()))
	}
}

// TestRestartAfterSettingAside: the record is sent again, and refused again, and its number is told once.
func TestRestartAfterSettingAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issuer.RefuseExecutions(withText("get_ticket", tooOdd))
	if a := w.call(w.token(reader()), "get_ticket", web); a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	w.issuer.Executions(w.uri, 2)
	before := w.setAside()
	w.restart()
	w.ready()
	w.good()
	if got := w.issuer.Executions(w.uri, 4); len(got) != 4 || !slices.Equal(before, w.setAside()) || w.guard.SetAside() != 0 {
		t.Errorf("%d records, kept %v and before %v, %d counted again", len(got), w.setAside(), before, w.guard.SetAside())
	}
	for _, path := range before { // somebody has looked at it
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	w.ready()
	w.good()
	if got := w.issuer.Executions(w.uri, 6); len(got) != 6 || len(w.setAside()) != 0 {
		t.Errorf("%d records, kept again %v", len(got), w.setAside())
	}
}

// TestStandInWithoutNames: what the record names may be what is wrong with it.
func TestStandInWithoutNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issuer.RefuseExecutions(withText(`"jti"`, tooOdd))
	w.good()
	w.issuer.Executions(w.uri, 2)
	for _, e := range w.unrecorded() {
		if e.JTI != "" || e.Execution == "" || e.Unrecorded == "" {
			t.Errorf("told %+v", e)
		}
	}
	if len(w.unrecorded()) == 0 {
		t.Error("nothing stands in")
	}
}

// TestNotTheRecordsFault: refusals for who sends, when, how much, or of everything set nothing aside; all
// arrives when they end.
func TestNotTheRecordsFault(t *testing.T) {
	for name, r := range map[string]resourcetest.Refusal{
		"not its resource":      {Status: 403, Code: "access_denied"},
		"a proxy in between":    {Status: 400, Code: ""},
		"all, whatever is said": tooOdd,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.issuer.RefuseExecutions(func(json.RawMessage) *resourcetest.Refusal { return &r })
			w.good()
			w.eventually("refusals", func() bool { return w.issuer.RefusedExecutions() >= 6 })
			if len(w.issuer.Executions(w.uri, 0)) != 0 || len(w.setAside()) != 0 {
				t.Fatalf("%d records were taken, %v set aside", len(w.issuer.Executions(w.uri, 0)), w.setAside())
			}
			w.issuer.RefuseExecutions(nil)
			w.good()
			w.issuer.Executions(w.uri, 4)
			if n := len(w.unrecorded()) + len(w.setAside()); n != 0 {
				t.Errorf("%d records are lost", n)
			}
		})
	}
}

// TestStandInIsRefused: a server that does not know of stand-ins gets none; the record waits.
func TestStandInIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issuer.RefuseExecutions(withText(`"execution.`, tooOdd))
	w.good()
	w.eventually("the file", func() bool { return len(w.setAside()) == 1 })
	w.eventually("refusals", func() bool { return w.issuer.RefusedExecutions() >= 9 })
	if got := w.issuer.Executions(w.uri, 0); len(got) != 0 || w.guard.SetAside() != 0 {
		t.Errorf("%+v", got)
	}
}
