package tokens

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestCheckJSON(t *testing.T) {
	bad := map[string]string{
		"nothing":                         ``,
		"space":                           ` `,
		"two values":                      `1 2`,
		"a repeated member":               `{"a":1,"a":2}`,
		"a member repeated by an escape":  `{"a":1,"\u0061":2}`,
		"a repeated member, deep":         `[{"x":{"a":1,"a":2}}]`,
		"no UTF-8":                        "\"\xff\"",
		"a lone high surrogate":           `"\ud800"`,
		"a lone low surrogate":            `"\udc00"`,
		"two high surrogates":             `"\ud800\ud800"`,
		"a high surrogate and text":       `"\ud800x"`,
		"a control character":             "\"a\nb\"",
		"a control behind an escape":      "\"\\n\n\"",
		"an unknown escape":               `"\x"`,
		"a short escape":                  `"\u12"`,
		"a signed escape":                 `"\u+123"`,
		"a string without end":            `"abc`,
		"an escape without end":           `"abc\`,
		"an object without end":           `{"a":1`,
		"an array without end":            `[1`,
		"a comma too many":                `[1,]`,
		"a comma too many in an object":   `{"a":1,}`,
		"no comma":                        `[1 2]`,
		"no colon":                        `{"a" 1}`,
		"a name that is no string":        `{a:1}`,
		"a leading zero":                  `01`,
		"a plus":                          `+1`,
		"a bare point":                    `1.`,
		"no digit before the point":       `.5`,
		"a bare exponent":                 `1e`,
		"hexadecimal":                     `0x10`,
		"NaN":                             `NaN`,
		"a minus alone":                   `-`,
		"True":                            `True`,
		"nul":                             `nul`,
		"a comment":                       `{} // x`,
		"a byte order mark":               "\ufeff{}",
		"65 levels":                       strings.Repeat("[", 65) + strings.Repeat("]", 65),
		"a hundred thousand levels":       strings.Repeat("[", 100_000),
		"a repeated member among hundred": `{` + manyMembers(100) + `,"m50":0}`,
	}
	for name, raw := range bad {
		t.Run(name, func(t *testing.T) {
			if err := CheckJSON([]byte(raw)); !errors.Is(err, errJSON) {
				t.Errorf("CheckJSON = %v", err)
			}
		})
	}
	for _, raw := range []string{
		`null`, ` {} `, `[]`, `[{}]`, `-0`, `-1.5E+10`, `1e5`, `"\ud83d\ude00\/\b"`, `{"a":1,"A":2}`, "\t{\"a\" :\r\n[ true , false ]}",
		strings.Repeat("[", 64) + strings.Repeat("]", 64), `{` + manyMembers(100) + `}`, `{"":1}`,
	} {
		if err := CheckJSON([]byte(raw)); err != nil {
			t.Errorf("CheckJSON(%.40s) = %v", raw, err)
		}
		if !json.Valid([]byte(raw)) {
			t.Errorf("encoding/json says that %.40s is no JSON", raw)
		}
	}
}

func manyMembers(n int) string {
	var all []string
	for i := range n {
		all = append(all, `"m`+json.Number(rune2(i)).String()+`":0`)
	}
	return strings.Join(all, ",")
}

func rune2(i int) string { b, _ := json.Marshal(i); return string(b) }

// TestCheckJSONLinear: ten times as many members cost about ten times as much, not a hundred times.
func TestCheckJSONLinear(t *testing.T) {
	few, many := checkTime(t, 6_000), checkTime(t, 60_000)
	if many > 40*few {
		t.Errorf("6,000 members took %v, 60,000 took %v", few, many)
	}
}

// checkTime is the shortest of some checks of an object with n members.
func checkTime(t *testing.T, n int) time.Duration {
	t.Helper()
	raw := []byte(`{` + manyMembers(n) + `}`)
	shortest := time.Duration(math.MaxInt64)
	for range 5 {
		start := time.Now()
		if err := CheckJSON(raw); err != nil {
			t.Fatal(err)
		}
		shortest = min(shortest, time.Since(start))
	}
	return shortest
}

type strictOuter struct {
	Name  string                 `json:"name"`
	Plain int                    // by its own name
	List  []strictInner          `json:"list,omitempty"`
	Map   map[string]strictInner `json:"map"`
	Raw   json.RawMessage        `json:"raw"`
	When  *time.Time             `json:"when"`
	Skip  string                 `json:"-"`
	Any   any                    `json:"any"`
	strictEmbedded
}

type strictInner struct {
	A int `json:"a"`
}

type strictEmbedded struct {
	Deep string `json:"deep"`
}

func TestStrictUnmarshal(t *testing.T) {
	bad := map[string]string{
		"another case":                     `{"Name":"x"}`,
		"another case by Kelvin":           "{\"\u212aey\":1}",
		"an unknown member":                `{"nome":"x"}`,
		"a repeated member":                `{"name":"x","name":"y"}`,
		"a repeated member in raw":         `{"raw":{"a":1,"a":1}}`,
		"a repeated member in any":         `{"any":{"a":1,"a":1}}`,
		"another case in a list":           `{"list":[{"A":1}]}`,
		"another case in a map":            `{"map":{"k":{"A":1}}}`,
		"another case of a field's own":    `{"plain":1}`,
		"another case of an embedded":      `{"Deep":"x"}`,
		"a field that is not for JSON":     `{"Skip":"x"}`,
		"a field that is not for JSON, -":  `{"-":"x"}`,
		"a wrong kind":                     `{"name":1}`,
		"text behind":                      `{"name":"x"}{}`,
		"a number too large for its field": `{"Plain":1e99}`,
	}
	for name, raw := range bad {
		t.Run(name, func(t *testing.T) {
			var v strictOuter
			if err := StrictUnmarshal([]byte(raw), &v); !errors.Is(err, errJSON) {
				t.Errorf("StrictUnmarshal = %v", err)
			}
		})
	}
	var v strictOuter
	err := StrictUnmarshal([]byte(`{"name":"x","Plain":1,"list":[{"a":1}],"map":{"K":{"a":2},"k":{"a":3}},
		"raw":{"X":1},"when":"2026-08-20T12:00:00Z","deep":"d","any":[{"Y":1}]}`), &v)
	if err != nil || v.Name != "x" || v.List[0].A != 1 || v.Map["k"].A != 3 || v.Deep != "d" || v.When == nil {
		t.Errorf("StrictUnmarshal = %v, %+v", err, v)
	}
}

func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                   "plain",
		"a\"b\\c\nd\u202e":        "a?b?c?d?",
		strings.Repeat("x", 1000): strings.Repeat("x", 40) + "...",
	} {
		if got := shown(in); got != want {
			t.Errorf("shown(%q) = %q", in, got)
		}
	}
}
