package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// manyPatterns are so many members, each an argument with this pattern.
func manyPatterns(n int, pattern string) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"a%d":{"pattern":%q}`, i, pattern))
	}
	return strings.Join(all, ",")
}

func TestParseConstraints(t *testing.T) {
	for raw, want := range map[string]string{
		``:                      `null`,
		` `:                     `null`,
		`{}`:                    `null`,
		`{"a":{"const":null}}`:  `{"a":{"const":null}}`,
		`{"a":[{"const":1.0}]}`: `{"a":{"const":1}}`,
		`{"b":{"enum":["x", {"z":1,"y":2}]},"a":[{"minimum":-1e1},{"maximum":5,"maxItems":0}]}`: `{"a":[{"minimum":-10},{"maximum":5,"maxItems":0}],"b":{"enum":["x",{"y":2,"z":1}]}}`,
		`{"a":{"maxLength":3,"pattern":"[a-z]+"}}`:                                              `{"a":{"maxLength":3,"pattern":"[a-z]+"}}`,
	} {
		c, err := ParseConstraints([]byte(raw))
		if err != nil {
			t.Errorf("ParseConstraints(%s) = %v", raw, err)
			continue
		}
		if got := must[[]byte](t)(json.Marshal(c)); string(got) != want {
			t.Errorf("ParseConstraints(%s) prints %s", raw, got)
		}
	}
}

func TestParseConstraintsRefuses(t *testing.T) {
	for name, raw := range map[string]string{
		"a list":                           `[]`,
		"null":                             `null`,
		"an argument without name":         `{"":{"const":1}}`,
		"a name that turns the text":       `{"a\u202e":{"const":1}}`,
		"an argument twice":                `{"a":{"const":1},"a":{"const":2}}`,
		"a keyword twice":                  `{"a":{"const":1,"const":2}}`,
		"nothing said":                     `{"a":{}}`,
		"nothing said in a list":           `{"a":[]}`,
		"an argument that is a value":      `{"a":"WEB"}`,
		"an unknown keyword":               `{"a":{"exclusiveMaximum":5}}`,
		"Const":                            `{"a":{"Const":5}}`,
		"an enum without values":           `{"a":{"enum":[]}}`,
		"an enum that is no list":          `{"a":{"enum":"x"}}`,
		"a bound in words":                 `{"a":{"minimum":"5"}}`,
		"a bound null":                     `{"a":{"maximum":null}}`,
		"a bound that would change":        `{"a":{"maximum":9007199254740993}}`,
		"a bound that no double holds":     `{"a":{"maximum":1e999}}`,
		"a const that would change":        `{"a":{"const":9007199254740993}}`,
		"a length below zero":              `{"a":{"maxLength":-1}}`,
		"a length with a fraction":         `{"a":{"maxLength":1.5}}`,
		"an empty pattern":                 `{"a":{"pattern":""}}`,
		"a pattern that is none":           `{"a":{"pattern":"("}}`,
		"a pattern beyond RE2":             `{"a":{"pattern":"(?=x)"}}`,
		"a pattern out of its anchors":     `{"a":{"pattern":"WEB)|(?:.*"}}`,
		"a pattern that quotes its end":    `{"a":{"pattern":"a\\Qb"}}`,
		"a pattern that turns the text":    `{"a":{"pattern":"a\u202eb"}}`,
		"a pattern too long":               `{"a":{"pattern":"` + strings.Repeat("x", 513) + `"}}`,
		"a value too large":                `{"a":{"const":"` + strings.Repeat("x", 4096) + `"}}`,
		"65 constraints":                   `{"a":[` + strings.Repeat(`{"const":1},`, 64) + `{"const":1}]}`,
		"257 values":                       `{"a":{"enum":[` + strings.Repeat(`1,`, 256) + `1]}}`,
		"65 arguments":                     `{` + strings.ReplaceAll(manyMembers(65), `:0`, `:{"const":0}`) + `}`,
		"more than 64 KiB":                 `{` + strings.Repeat(" ", maxLimits) + `}`,
		"a pattern that repeats too much":  `{"a":{"pattern":"[^a]{999}[^b]{999}"}}`,
		"patterns that do so together":     `{` + manyPatterns(9, "a{999}") + `}`,
		"tables of letters":                `{"a":{"pattern":"` + strings.Repeat(`\\pL`, 60) + `"}}`,
		"a pattern that explodes in space": `{"a":{"pattern":"((x{100}){100}){100}"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := ParseConstraints([]byte(raw)); !errors.Is(err, ErrConstraints) {
				t.Errorf("ParseConstraints = %v, %v", c, err)
			}
		})
	}
}

func TestAnd(t *testing.T) {
	a := must[Constraints](t)(ParseConstraints([]byte(`{"limit":{"maximum":50},"project":{"const":"WEB"}}`)))
	b := must[Constraints](t)(ParseConstraints([]byte(`{"limit":{"maximum":20},"project":{"const":"WEB"},"id":{"minimum":1}}`)))
	before := fmt.Sprint(a, b)
	got := must[[]byte](t)(json.Marshal(a.And(b)))
	if want := `{"id":{"minimum":1},"limit":[{"maximum":50},{"maximum":20}],"project":{"const":"WEB"}}`; string(got) != want {
		t.Errorf("And = %s", got)
	}
	if fmt.Sprint(a, b) != before {
		t.Error("And changed what it was given")
	}
	if c := Constraints(nil).And(nil); c != nil {
		t.Errorf("nothing and nothing is %v", c)
	}
	if d := cmp.Diff(a, Constraints(nil).And(a)); d != "" {
		t.Error(d)
	}
}

// TestAndNarrows: what both limits together let pass, each lets pass alone, and the other way round.
func TestAndNarrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawConstraints(t), drawConstraints(t)
		arguments := drawArguments(t)
		passes := func(c Constraints) bool {
			_, err := c.CheckArguments(arguments, []byte(testSchema))
			return err == nil
		}
		if both := passes(a.And(b)); both != (passes(a) && passes(b)) {
			t.Fatalf("%s\na %v: %v\nb %v: %v\nboth: %v", arguments, a, passes(a), b, passes(b), both)
		}
		if passes(a) != passes(a.And(a)) || passes(a.And(b)) != passes(b.And(a)) {
			t.Fatal("And is not idempotent or not commutative")
		}
	})
}

// TestConstraintsPrint: parse(print(x)) = x.
func TestConstraintsPrint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConstraints(t).And(drawConstraints(t))
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if c == nil {
			raw = nil
		}
		again, err := ParseConstraints(raw)
		if err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		if d := cmp.Diff(c, again); d != "" {
			t.Fatal(d)
		}
	})
}

func drawConstraints(t *rapid.T) Constraints {
	var c Constraints
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(testProperties), 0, 3, rapid.ID).Draw(t, "limited") {
		if c == nil {
			c = Constraints{}
		}
		c[name] = AllOf{drawConstraint(t)}
	}
	return c
}

func drawConstraint(t *rapid.T) (c Constraint) {
	number := func() *json.Number {
		n := json.Number(fmt.Sprint(rapid.IntRange(-3, 3).Draw(t, "bound")))
		return &n
	}
	count := func() *int { n := rapid.IntRange(0, 3).Draw(t, "count"); return &n }
	switch rapid.IntRange(0, 6).Draw(t, "keyword") {
	case 0:
		c.Const = drawValue(t)
	case 1:
		for range rapid.IntRange(1, 4).Draw(t, "values") {
			c.Enum = append(c.Enum, drawValue(t))
		}
	case 2:
		c.Minimum = number()
	case 3:
		c.Maximum = number()
	case 4:
		c.MaxLength = count()
	case 5:
		c.MaxItems = count()
	default:
		c.Pattern = rapid.SampledFrom([]string{"a*", "a|b", "[ab]{1,2}", "(?i)A", "ab|"}).Draw(t, "pattern")
	}
	return c
}

// drawValue draws from few values, so that they meet.
func drawValue(t *rapid.T) json.RawMessage {
	return json.RawMessage(rapid.SampledFrom([]string{
		`"a"`, `"ab"`, `"b"`, `""`, `"😀"`, `1`, `-2`, `0.5`, `true`, `null`, `[]`, `["a"]`, `[1,2]`, `{"x":1}`,
	}).Draw(t, "value"))
}

func drawArguments(t *rapid.T) []byte {
	var all []string
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(testProperties), 0, len(testProperties), rapid.ID).Draw(t, "given") {
		all = append(all, fmt.Sprintf("%q:%s", name, drawValue(t)))
	}
	return []byte("{" + strings.Join(all, ",") + "}")
}

func TestText(t *testing.T) {
	c := must[Constraints](t)(ParseConstraints([]byte(`{
		"project":{"const":"WEB"},"limit":[{"maximum":50},{"maximum":50,"minimum":1}],"text":{"maxLength":200,"pattern":"[A-Z].*"},
		"ids":{"maxItems":5},"state":{"enum":["open","won't fix",1,null]},"x y":{"const":"a, b"},"e":{"const":""}}`)))
	want := []string{
		`At least 1 for limit`, `At most 200 characters of text`, `At most 5 items of ids`, `At most 50 for limit`,
		`Only "x y": "a, b"`, `Only e: ""`, `Only project: WEB`, `Only state: open, "won't fix", 1, null`, `Only text like [A-Z].*`,
	}
	if d := cmp.Diff(want, c.Text()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if Constraints(nil).Text() != nil {
		t.Error("no limits have a text")
	}
}
