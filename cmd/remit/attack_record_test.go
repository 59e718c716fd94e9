package main_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// What the black-box client saw of each row of the catalogue, engine by engine, is kept in
// testdata/observed: the tests compare it with what they see, and write it anew with -update.
// docs/security-tests.md is made of it.
const observedDir = "testdata/observed"

// sightings are, per answer, the attacks that got it.
type sightings map[string][]string

// sheet is what was seen of an engine: by id, by test.
type sheet map[string]map[string]sightings

// recorder collects what is seen in this run.
var recorder = struct {
	sync.Mutex
	seen, done sheet
}{seen: sheet{}, done: sheet{}}

var (
	rowName  = regexp.MustCompile(`^([A-Z]{2}\d+)(?:_(.*))?$`)
	testName = regexp.MustCompile(`^TestAttack([A-Z]{2}\d+)$`)
)

// raceRows are the races by the rows of the catalogue that they play.
var raceRows = map[string]string{
	"code": "TK6", "refresh_token": "RF1", "refresh_token_within_the_grace": "RF1", "proof": "DP15", "proof_at_the_resource": "RS3", "assertion": "RC1", "request_uri": "RC2",
	"device_code": "DV5", "decision_on_a_call": "SU5", "approval": "SU4", "rotation": "RC7",
}

// rowOf finds the row that a test plays, the test's name, and that of the attack within the row.
func rowOf(t *testing.T) (id, test, attack string) {
	parts := strings.Split(t.Name(), "/")
	words := func(s []string) string { return strings.ReplaceAll(strings.Join(s, ", "), "_", " ") }
	if m := testName.FindStringSubmatch(parts[0]); m != nil {
		return m[1], parts[0], words(parts[1:])
	}
	if parts[0] == "TestFAPI" && len(parts) > 1 {
		return parts[1], parts[0], words(parts[2:])
	}
	for i, part := range parts[1:] {
		if m := rowName.FindStringSubmatch(part); m != nil {
			before := slices.Clone(parts[:i+1])
			if m[2] != "" {
				before = append(before, m[2])
			}
			return m[1], words(before), words(parts[i+2:])
		}
		if id := raceRows[part]; id != "" && parts[0] == "TestRace" {
			return id, words(parts[:i+2]), words(parts[i+2:])
		}
	}
	return "", "", ""
}

// plays says that this test plays a row: what it sees is compared with what is written, or written.
func plays(t *testing.T) {
	t.Helper()
	id, test, _ := rowOf(t)
	if id == "" {
		t.Fatalf("%s names no row of the catalogue", t.Name())
	}
	t.Cleanup(func() {
		recorder.Lock()
		defer recorder.Unlock()
		saw := recorder.seen.of(id, test)
		if len(saw) == 0 {
			saw["all as it should be"] = nil
		}
		if t.Failed() || strings.Count(flag.Lookup("test.run").Value.String(), "/") > 1 {
			return
		}
		if maps.Copy(recorder.done.of(id, test), saw); *update {
			return
		}
		was := written(t, *engine).of(id, test)
		if len(was) == 0 { // nothing is written of this engine yet: it has to answer as a file does
			was = written(t, "sqlite").of(id, test)
		}
		if !reflect.DeepEqual(was, saw) {
			t.Errorf("%s of %s: seen\n%v\nwritten (-update writes it anew)\n%v", id, test, saw, was)
		}
	})
}

func (s sheet) of(id, test string) sightings {
	if s[id] == nil {
		s[id] = map[string]sightings{}
	}
	if s[id][test] == nil {
		s[id][test] = sightings{}
	}
	return s[id][test]
}

// seen notes an answer to the attack that the test is named for.
func seen(t *testing.T, res blackbox.Response) {
	said := fmt.Sprint(res.Status)
	code := res.Code()
	if d, ok := blackbox.Denial(res)["code"].(string); ok {
		code = d
	}
	for _, c := range blackbox.Challenges(res) {
		if code == "" {
			code = c.Params["error"]
		}
	}
	switch {
	case code != "":
		said += " " + code
	case strings.HasPrefix(res.Header.Get("Content-Type"), "text/html"):
		said += " page"
	}
	jot(t, said)
}

// jot notes what was seen of the attack that the test is named for.
func jot(t *testing.T, said string) {
	id, test, attack := rowOf(t)
	if id == "" {
		return
	}
	recorder.Lock()
	defer recorder.Unlock()
	saw := recorder.seen.of(id, test)
	all := saw[said]
	if attack != "" && !slices.Contains(all, attack) {
		all = append(all, attack)
		slices.Sort(all)
	}
	saw[said] = all
}

// written is what is kept of an engine.
func written(t testing.TB, engine string) sheet {
	t.Helper()
	kept, err := readSheet(engine)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func readSheet(engine string) (sheet, error) {
	kept := sheet{}
	raw, err := os.ReadFile(filepath.Join(observedDir, engine+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return kept, nil
	}
	if err != nil {
		return nil, err
	}
	return kept, json.Unmarshal(raw, &kept)
}

// keep writes what was seen in this run over what is kept of the rows that it played.
func keep() error {
	recorder.Lock()
	defer recorder.Unlock()
	if len(recorder.done) == 0 {
		return nil
	}
	kept, err := readSheet(*engine)
	if err != nil {
		return err
	}
	for id, tests := range recorder.done {
		for test, saw := range tests {
			kept.of(id, test)
			kept[id][test] = saw
		}
	}
	raw, err := json.MarshalIndent(kept, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(observedDir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(observedDir, *engine+".json"), append(raw, '\n'), 0o644)
}
