package tokens

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckAnswers(t *testing.T) {
	limits, err := ParseConstraints([]byte(`{"project":{"const":"WEB"},"limit":{"maximum":5},"action":{"enum":["read"]},"list":{"maxItems":2},"straße":{"maxLength":3}}`))
	if err != nil {
		t.Fatal(err)
	}
	in := func(responses string) []Member { return []Member{{"inputResponses", []byte(responses)}} }
	for name, good := range map[string][]Member{
		"none":                    nil,
		"no content":              in(`{"q1":{"action":"accept"}}`),
		"declined":                in(`{"q1":{"action":"decline"},"q2":{"action":"cancel"}}`),
		"within the limits":       in(`{"q1":{"action":"accept","content":{"project":"WEB","limit":5,"list":[1,2]}}}`),
		"what is not limited":     in(`{"q1":{"action":"accept","content":{"comment":"SECRET","sure":true}}}`),
		"an id like an argument":  in(`{"project":{"action":"accept","content":{"sure":true}},"action":{"action":"accept"}}`),
		"a sampled message":       in(`{"q1":{"role":"assistant","content":{"type":"text","text":"project"},"model":"m","stopReason":"endTurn"}}`),
		"a state":                 {{"requestState", []byte(`"opaque"`)}},
		"a limited word as value": in(`{"q1":{"action":"accept","content":{"comment":"project"}}}`),
	} {
		if err := limits.CheckAnswers(good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, bad := range map[string][]Member{
		"another value":              in(`{"q1":{"action":"accept","content":{"project":"SECRET"}}}`),
		"more than allowed":          in(`{"q1":{"action":"accept","content":{"limit":6}}}`),
		"a number as text":           in(`{"q1":{"action":"accept","content":{"limit":"5"}}}`),
		"nothing":                    in(`{"q1":{"action":"accept","content":{"project":null}}}`),
		"another case":               in(`{"q1":{"action":"accept","content":{"Project":"WEB"}}}`),
		"another case beyond ASCII":  in(`{"q1":{"action":"accept","content":{"STRAẞE":"abc"}}}`),
		"an escape":                  in(`{"q1":{"action":"accept","content":{"\u0070roject":"SECRET"}}}`),
		"deep":                       in(`{"q1":{"action":"accept","content":{"a":{"b":[{"c":{"project":"SECRET"}}]}}}}`),
		"in a list":                  in(`{"q1":{"action":"accept","content":[{"project":"SECRET"}]}}`),
		"within a limited one":       in(`{"q1":{"action":"accept","content":{"list":[{"project":"SECRET"}]}}}`),
		"within, though allowed":     in(`{"q1":{"action":"accept","content":{"list":[{"project":"WEB"}]}}}`),
		"the second answer":          in(`{"q1":{"action":"accept"},"q2":{"action":"accept","content":{"project":"SECRET"}}}`),
		"the protocol's, deeper":     in(`{"q1":{"action":"accept","content":{"action":"delete"}}}`),
		"beside the content":         in(`{"q1":{"action":"accept","project":"SECRET"}}`),
		"an id that is no answer":    in(`{"project":"SECRET"}`),
		"answers in a list":          in(`[{"project":"SECRET"}]`),
		"answers in a list, nested":  in(`[{"q":{"project":"SECRET"}}]`),
		"a member of the call":       {{"project", []byte(`"SECRET"`)}},
		"in an unknown member":       {{"task", []byte(`{"ttl":1,"project":"SECRET"}`)}},
		"in an unknown object":       {{"x", []byte(`{"y":{"action":"delete"}}`)}},
		"in a state that is open":    {{"requestState", []byte(`{"project":"SECRET"}`)}},
		"twice":                      in(`{"q1":{"action":"accept","content":{"project":"WEB","project":"SECRET"}}}`),
		"after another member":       {{"requestState", []byte(`"s"`)}, {"inputResponses", []byte(`{"q":{"content":{"project":"SECRET"}}}`)}},
		"answers in another case":    {{"InputResponses", []byte(`{"q":{"action":"accept"}}`)}},
		"a list of too many":         in(`{"q1":{"content":{"list":[1,2,3]}}}`),
		"meta with a limited member": in(`{"q1":{"action":"accept","_meta":{"project":"SECRET"}}}`),
	} {
		var e *ArgumentError
		if err := limits.CheckAnswers(bad); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
		if err := Constraints(nil).CheckAnswers(bad); err != nil {
			t.Errorf("%s, without limits: %v", name, err)
		}
	}
	deep := strings.Repeat(`{"list":[`, 30) + strings.Repeat(`]}`, 30)
	if err := limits.CheckAnswers(in(`{"q":{"content":` + deep + `}}`)); err == nil {
		t.Error("limited values within limited values pass")
	}
}

func FuzzCheckAnswers(f *testing.F) {
	limits, err := ParseConstraints([]byte(`{"project":{"const":"WEB"},"list":{"maxItems":2}}`))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{`{"q":{"action":"accept","content":{"project":"WEB"}}}`, `{"q":{"content":{"list":[{"project":"X"}]}}}`, `[`, `{"Project":1}`, `"x"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if limits.CheckAnswers([]Member{{"inputResponses", raw}}) != nil {
			return
		}
		canonical, err := Canonical(raw)
		if err != nil { // whole numbers that a double would change are refused in arguments alone
			return
		}
		if strings.Contains(string(canonical), `{"project":"X"`) {
			t.Errorf("%s passes", raw)
		}
	})
}
