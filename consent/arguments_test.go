package consent

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remit-auth/remit/tokens"
)

func TestArguments(t *testing.T) {
	tests := map[string]struct {
		schema string
		want   []Argument
	}{
		"of each type": {
			`{"properties":{"b":{"type":"integer"},"a":{"type":"string"},"c":{"type":"array"},"d":{"type":"object"},"e":{"type":"boolean"}}}`,
			[]Argument{{"a", []string{LimitOnly, LimitPrefix}}, {"b", []string{LimitMin, LimitMax}}, {"c", []string{LimitItems}}},
		},
		"several types":        {`{"properties":{"a":{"type":["null","number"]}}}`, []Argument{{"a", []string{LimitMin, LimitMax}}}},
		"no properties":        {`{"type":"object"}`, nil},
		"no type":              {`{"properties":{"a":{}}}`, nil},
		"properties no object": {`{"properties":[]}`, nil},
		"a property no object": {`{"properties":{"a":true}}`, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Arguments(tokens.Definition{InputSchema: []byte(tt.schema)})); diff != "" {
				t.Errorf("Arguments:\n%s", diff)
			}
		})
	}
}

// TestLimitArgument: what a person writes admits what they mean, and nothing else.
func TestLimitArgument(t *testing.T) {
	tests := map[string]struct{ kind, written, good, bad string }{
		"only one":            {LimitOnly, "WEB", `"WEB"`, `"OPS"`},
		"only some":           {LimitOnly, " WEB \r\n\r\n OPS\n", `"OPS"`, `"WEB "`},
		"only, like a quote":  {LimitOnly, `a"b\`, `"a\"b\\"`, `"a"`},
		"prefix":              {LimitPrefix, "WEB-", `"WEB-1"`, `"XWEB-1"`},
		"prefix, of pattern":  {LimitPrefix, ".*", `".*x"`, `"x"`},
		"prefix, then a line": {LimitPrefix, "a", `"a\nb"`, `"b\na"`},
		"at least":            {LimitMin, "-1.5", `-1`, `-2`},
		"at most":             {LimitMax, "100", `100`, `101`},
		"items":               {LimitItems, "2", `[1,2]`, `[1,2,3]`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := LimitArgument("a", tt.kind, tt.written)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.CheckArguments([]byte(`{"a":`+tt.good+`}`), []byte(`{"type":"object","properties":{"a":{}}}`)); err != nil {
				t.Errorf("%s is refused: %v", tt.good, err)
			}
			for _, bad := range []string{`{"a":` + tt.bad + `}`, `{}`} {
				if _, err := c.CheckArguments([]byte(bad), []byte(`{"type":"object","properties":{"a":{}}}`)); err == nil {
					t.Errorf("%s is let through", bad)
				}
			}
		})
	}
}

func manyLines() string {
	var b strings.Builder
	for i := range 300 {
		b.WriteString(strings.Repeat("x", i+1) + "\n")
	}
	return b.String()
}

func TestLimitArgumentRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ kind, written string }{
		"no number":        {LimitMax, "ten"},
		"two numbers":      {LimitMax, "1,2"},
		"not JSON":         {LimitMin, "0x10"},
		"half an item":     {LimitItems, "1.5"},
		"negative items":   {LimitItems, "-1"},
		"unknown kind":     {"pattern", ".*"},
		"too many values":  {LimitOnly, manyLines()},
		"an endless value": {LimitOnly, strings.Repeat("x", 5<<10)},
		"an endless start": {LimitPrefix, strings.Repeat("x", 600)},
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := LimitArgument("a", tt.kind, tt.written); !errors.Is(err, ErrLimit) {
				t.Errorf("LimitArgument = %v, %v", c, err)
			}
		})
	}
	if c, err := LimitArgument("a", LimitMax, " \n"); c != nil || err != nil {
		t.Errorf("nothing written = %v, %v", c, err)
	}
}

func FuzzLimitArgument(f *testing.F) {
	f.Add(LimitOnly, "WEB\nOPS")
	f.Add(LimitPrefix, ".*(")
	f.Add(LimitMax, "1e3")
	f.Fuzz(func(t *testing.T, kind, written string) {
		c, err := LimitArgument("a", kind, written)
		if err != nil || c == nil {
			return
		}
		if _, err := c.CheckArguments([]byte(`{}`), []byte(`{"type":"object","properties":{"a":{}}}`)); err == nil {
			t.Errorf("LimitArgument(%q, %q) = %v limits nothing", kind, written, c)
		}
	})
}
