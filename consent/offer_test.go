package consent

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// table is a policy as a test writes it down: what each tool answers.
type table struct {
	named   []string
	refuses map[string]string
	calls   map[string]int
	moves   string // the tool whose terms another scope would change
}

func (r table) Tools() []string { return r.named }
func (r table) Reach(tool string) (Reach, string) {
	return Reach{MaxCalls: r.calls[tool]}, r.refuses[tool]
}
func (r table) BearerAllowed(readOnly bool) bool  { return readOnly }
func (r table) Scopes(names, _ []string) []string { return names }
func (r table) Reads() []Read                     { return nil }
func (r table) Observed() bool                    { return false }

func approved(t interface{ Fatal(...any) }, name, annotations string) store.Tool {
	d, err := tokens.ParseDefinition([]byte(`{"name":"` + name + `","inputSchema":{"type":"object"},"annotations":` + annotations + `}`))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := d.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return store.Tool{Name: name, Definition: raw, Hash: tokens.HashBytes(raw)}
}

func TestRiskDefaults(t *testing.T) {
	for annotations, want := range map[string]struct {
		risk        Risk
		plain, onOK bool // ticked, and ticked when the admin says default:on
	}{
		`{}`: {Risk{false, true, true}, false, false},
		`{"readOnlyHint":true,"openWorldHint":false}`:                         {Risk{true, false, false}, true, true},
		`{"readOnlyHint":true}`:                                               {Risk{true, false, true}, false, false},
		`{"destructiveHint":false,"openWorldHint":false}`:                     {Risk{false, false, false}, false, true},
		`{"destructiveHint":false,"openWorldHint":true}`:                      {Risk{false, false, true}, false, false},
		`{"readOnlyHint":false,"destructiveHint":true,"openWorldHint":false}`: {Risk{false, true, false}, false, false},
	} {
		d, err := tokens.ParseDefinition([]byte(`{"name":"x","inputSchema":{"type":"object"},"annotations":` + annotations + `}`))
		if err != nil {
			t.Fatal(err)
		}
		risk := RiskOf(d)
		if risk != want.risk || risk.Ticked(false) != want.plain || risk.Ticked(true) != want.onOK {
			t.Errorf("%s: %+v, ticked %t and %t", annotations, risk, risk.Ticked(false), risk.Ticked(true))
		}
	}
}

func TestLeftOut(t *testing.T) {
	changed := approved(t, "changed", `{}`)
	changed.LiveHash = "sha-256:other"
	resource := store.Resource{URI: "https://r.example/mcp", Tools: []store.Tool{
		approved(t, "fine", `{}`), changed, {Name: "new", LiveHash: "sha-256:x"}, approved(t, "role", `{}`), approved(t, "scope", `{}`),
	}}
	rights := table{
		named:   []string{"fine", "changed", "new", "role", "scope", "ghost"},
		refuses: map[string]string{"role": "role", "scope": "scope"},
	}
	o := NewOffer(Ask{Resource: resource.URI}, resource, rights, 0)
	if len(o.Tools) != 1 || o.Tools[0].Detail.Tool != "fine" || o.Tools[0].Detail.Definition != resource.Tools[0].Hash {
		t.Errorf("offered: %+v", o.Tools)
	}
	want := []LeftOut{{"changed", OutChanged}, {"new", OutUnapproved}, {"role", OutOfRole}, {"scope", OutOfScope}, {"ghost", OutUnknown}}
	if !slices.Equal(o.LeftOut, want) {
		t.Errorf("left out: %v, want %v", o.LeftOut, want)
	}
}

func TestDurations(t *testing.T) {
	const m = time.Minute
	for name, tt := range map[string]struct {
		asked   int // seconds
		limit   time.Duration
		offered []time.Duration
		preset  time.Duration
	}{
		"nothing asked":            {0, 0, []time.Duration{15 * m, 30 * m, 120 * m, 480 * m}, 30 * m},
		"asked for half an hour":   {1800, 0, []time.Duration{15 * m, 30 * m}, 30 * m},
		"asked for ten minutes":    {600, 0, []time.Duration{10 * m}, 10 * m},
		"asked for a day":          {86400, 0, []time.Duration{15 * m, 30 * m, 120 * m, 480 * m}, 30 * m},
		"limited by the admin":     {0, 30 * m, []time.Duration{15 * m, 30 * m}, 30 * m},
		"limited to five minutes":  {0, 5 * m, []time.Duration{5 * m}, 5 * m},
		"asked for less than that": {60, 5 * m, []time.Duration{m}, m},
	} {
		ask := Ask{Details: tokens.Details{Task: &tokens.TaskDetail{MaxDuration: tt.asked}}}
		o := NewOffer(ask, store.Resource{}, table{}, tt.limit)
		if !slices.Equal(o.Durations, tt.offered) || o.Default != tt.preset {
			t.Errorf("%s: %v, default %v", name, o.Durations, o.Default)
		}
	}
}

func TestAskSurvivesItsEncoding(t *testing.T) {
	details, err := tokens.ParseDetails([]byte(`[{"type":"mcp_task","purpose":"p","max_calls":3},{"type":"mcp_tool","tool":"a","constraints":{"x":{"const":1}}}]`))
	if err != nil {
		t.Fatal(err)
	}
	ask := Ask{ClientID: "c", RedirectURI: "https://app.example/cb", State: "s", Challenge: "ch", Resource: "r", Scopes: []string{"a"}, Details: details, JKT: "k"}
	raw, err := ask.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeAsk(raw)
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.Encode()
	if err != nil || string(again) != string(raw) {
		t.Errorf("%s became %s, %v", raw, again, err)
	}
}

// TestGrantedIsShown is promise P10 and P11 in the small: whatever is ticked, nothing is granted
// that was not offered, asked for and reached, and nothing for longer.
func TestGrantedIsShown(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e"}
	resource := store.Resource{URI: "https://r.example/mcp"}
	for _, n := range names[:4] {
		resource.Tools = append(resource.Tools, approved(t, n, `{"destructiveHint":false}`))
	}
	rapid.Check(t, func(t *rapid.T) {
		some := func(label string) []string {
			return rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID[string]).Draw(t, label)
		}
		rights := table{named: some("named"), refuses: map[string]string{}, calls: map[string]int{}}
		for _, n := range some("out of role") {
			rights.refuses[n] = "role"
		}
		for _, n := range some("budgeted") {
			rights.calls[n] = rapid.IntRange(1, 9).Draw(t, "calls")
		}
		ask := Ask{Resource: resource.URI}
		if rapid.Bool().Draw(t, "named in details") {
			for _, n := range some("asked") {
				ask.Details.Tools = append(ask.Details.Tools, tokens.ToolDetail{Tool: n, MaxCalls: rapid.IntRange(0, 9).Draw(t, "max")})
			}
		}
		asked := rapid.IntRange(0, 40000).Draw(t, "seconds")
		ask.Details.Task = &tokens.TaskDetail{MaxDuration: asked}
		limit := time.Duration(rapid.IntRange(0, 40000).Draw(t, "limit")) * time.Second
		o := NewOffer(ask, resource, rights, limit)
		ticked := some("ticked")
		chosen := time.Duration(rapid.IntRange(0, 40000).Draw(t, "chosen")) * time.Second
		if rapid.Bool().Draw(t, "an offered duration") {
			chosen = rapid.SampledFrom(o.Durations).Draw(t, "duration")
		}
		got, err := o.Decide(Decision{Tools: ticked, Duration: chosen}, store.User{ID: "u"}, time.Unix(0, 0))
		if err != nil {
			return
		}
		details, err := tokens.ParseGrant(got.Grant.Details)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range details.Tools {
			wanted := len(ask.Details.Tools) == 0 && slices.Contains(rights.named, d.Tool) ||
				slices.ContainsFunc(ask.Details.Tools, func(a tokens.ToolDetail) bool {
					return a.Tool == d.Tool && (a.MaxCalls == 0 || d.MaxCalls > 0 && d.MaxCalls <= a.MaxCalls)
				})
			if !wanted || rights.refuses[d.Tool] != "" || !slices.Contains(ticked, d.Tool) || d.Tool == "e" || d.Definition == "" {
				raw, _ := json.Marshal(d)
				t.Fatalf("granted %s", raw)
			}
			if c := rights.calls[d.Tool]; c > 0 && (d.MaxCalls == 0 || d.MaxCalls > c) {
				t.Fatalf("%s may be called %d times, the policy says %d", d.Tool, d.MaxCalls, c)
			}
		}
		life := got.Task.EndsAt.Sub(time.Unix(0, 0))
		if asked > 0 && life > time.Duration(asked)*time.Second || limit > 0 && life > limit || life > maxDuration {
			t.Fatalf("granted %v, asked %d s, limit %v", life, asked, limit)
		}
	})
}

// Moves never: the table has one answer for each tool.
func (r table) Moves(_, _ []string, tool string) bool { return r.moves == tool }
