package policy

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const tickets = `
version: 1
baseline: [tickets.read]
scopes:
  tickets.read:  {title: "Read tickets", roles: [reader]}
  tickets.write: {title: "Work on tickets", roles: [reader, agent]}
roles:
  reader: {tools: {search_tickets: {limits: {limit: {maximum: 50}}}, get_ticket: {}}}
  agent:  {include: [reader], tools: {add_comment: {max_calls: 20}, email_customer: {}}}
  admin:  {include: [agent], tools: {delete_ticket: {}, search_tickets: {}}}
`

func parse(t testing.TB, src string) *Policy {
	t.Helper()
	p, err := Parse([]byte(src), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParse(t *testing.T) {
	p := parse(t, tickets)
	if got, want := p.Baseline(), []string{"tickets.read"}; !cmp.Equal(got, want) {
		t.Errorf("Baseline = %v, want %v", got, want)
	}
	if got, want := p.Roles(), []string{"admin", "agent", "reader"}; !cmp.Equal(got, want) {
		t.Errorf("Roles = %v, want %v", got, want)
	}
	if got, want := p.Tools(), []string{"add_comment", "delete_ticket", "email_customer", "get_ticket", "search_tickets"}; !cmp.Equal(got, want) {
		t.Errorf("Tools = %v, want %v", got, want)
	}
	want := []Scope{
		{Name: "tickets.read", Title: "Read tickets", Roles: []string{"reader"}},
		{Name: "tickets.write", Title: "Work on tickets", Roles: []string{"reader", "agent"}},
	}
	if got := p.Scopes(); !cmp.Equal(got, want) {
		t.Errorf("Scopes: %s", cmp.Diff(want, got))
	}
	if !strings.HasPrefix(p.Version(), "sha-256:") || p.Version() == parse(t, tickets+"\n").Version() {
		t.Errorf("Version = %q does not name the exact bytes", p.Version())
	}
	for s, known := range map[string]bool{"tickets.read": true, "tool:get_ticket": true, "tool:nothing": false, "tickets": false, "": false} {
		if p.ScopeKnown(s) != known {
			t.Errorf("ScopeKnown(%q) = %t", s, !known)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	roles := "version: 1\nroles:\n"
	tests := map[string]string{
		"an empty file":               "",
		"another version":             "version: 2\nroles: {r: {tools: {t: {}}}}",
		"no version":                  "roles: {r: {tools: {t: {}}}}",
		"no roles":                    "version: 1",
		"an unknown key at the top":   "version: 1\nrolls: {}\nroles: {r: {}}",
		"an unknown key in a scope":   "version: 1\nscopes: {s: {role: [r]}}\nroles: {r: {}}",
		"an unknown key in a role":    roles + "  r: {tool: {t: {}}}",
		"an unknown key in a tool":    roles + "  r: {tools: {t: {limit: {}}}}",
		"a role given twice":          roles + "  r: {tools: {t: {}}}\n  r: {tools: {u: {}}}",
		"a tool given twice":          roles + "  r: {tools: {t: {}, t: {}}}",
		"a limit given twice":         roles + "  r: {tools: {t: {limits: {a: {maximum: 1}, a: {maximum: 9}}}}}",
		"an unknown role in a scope":  "version: 1\nscopes: {s: {roles: [x]}}\nroles: {r: {}}",
		"a scope that reaches none":   "version: 1\nscopes: {s: {title: S}}\nroles: {r: {}}",
		"an unknown role included":    roles + "  r: {include: [x]}",
		"a role that includes itself": roles + "  r: {include: [r]}",
		"a cycle of three":            roles + "  a: {include: [b]}\n  b: {include: [c]}\n  c: {include: [a]}",
		"an unknown baseline":         "version: 1\nbaseline: [s]\nroles: {r: {}}",
		"an unknown baseline tool":    "version: 1\nbaseline: [\"tool:t\"]\nroles: {r: {}}",
		"a baseline given twice":      "version: 1\nbaseline: [\"tool:t\", \"tool:t\"]\nroles: {r: {tools: {t: {}}}}",
		"a scope called tool:":        "version: 1\nscopes: {\"tool:t\": {roles: [r]}}\nroles: {r: {tools: {t: {}}}}",
		"a scope with a space":        "version: 1\nscopes: {\"a b\": {roles: [r]}}\nroles: {r: {}}",
		"a tool with a space":         roles + "  r: {tools: {\"a b\": {}}}",
		"a role with a slash":         roles + "  a/b: {tools: {t: {}}}",
		"max_calls of none":           roles + "  r: {tools: {t: {max_calls: 0}}}",
		"max_calls below none":        roles + "  r: {tools: {t: {max_calls: -1}}}",
		"limits that are a list":      roles + "  r: {tools: {t: {limits: [1]}}}",
		"limits that are nothing":     roles + "  r: {tools: {t: {limits: null}}}",
		"a hexadecimal limit":         roles + "  r: {tools: {t: {limits: {a: {maximum: 0x10}}}}}",
		"an infinite limit":           roles + "  r: {tools: {t: {limits: {a: {maximum: .inf}}}}}",
		"an anchor and its alias":     roles + "  r: {tools: &t {t: {}}}\n  s: {tools: *t}",
		"a merge key":                 roles + "  r: {<<: {tools: {t: {}}}}",
		"a second document":           "version: 1\nroles: {r: {}}\n---\nversion: 1\nroles: {r: {}}",
		"deep nesting":                roles + "  r: {tools: {t: {limits: {a: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}}}}",
		"more than 256 KiB":           "version: 1\nroles: {r: {}}\n#" + strings.Repeat("x", MaxSize),
	}
	for name, src := range tests {
		t.Run(name, func(t *testing.T) {
			if p, err := Parse([]byte(src), nil); err == nil {
				t.Errorf("Parse accepted it: %+v", p)
			}
		})
	}
}

func TestParseLimits(t *testing.T) {
	p := parse(t, `{version: 1, roles: {r: {tools: {t: {limits: {
		n: {maximum: 1.50, minimum: -2}, s: {enum: [a, "1", 2026-01-02]}, b: {const: true}, z: {const: null}}}}}}}`)
	want := `{"n":{"maximum":1.50,"minimum":-2},"s":{"enum":["a","1","2026-01-02"]},"b":{"const":true},"z":{"const":null}}`
	if got := string(p.Decide([]string{"tool:t"}, []string{"r"}, "t").Rules[0].Limits); got != want {
		t.Errorf("limits = %s, want %s", got, want)
	}
	refused := errors.New("no such limit")
	_, err := Parse([]byte(tickets), func(raw json.RawMessage) error {
		if strings.Contains(string(raw), "maximum") {
			return refused
		}
		return nil
	})
	if !errors.Is(err, refused) {
		t.Errorf("Parse with a refused limit: %v", err)
	}
}

func TestDecide(t *testing.T) {
	p := parse(t, tickets)
	read, write := "tickets.read", "tickets.write"
	tests := map[string]struct {
		scopes, roles []string
		tool          string
		check         string
		by            []string // the roles whose rules permit
	}{
		"scope and role reach it":                {[]string{read}, []string{"reader"}, "get_ticket", "", []string{"reader"}},
		"the user's role includes it":            {[]string{read}, []string{"admin"}, "get_ticket", "", []string{"reader"}},
		"a wider scope, a wider role":            {[]string{write}, []string{"agent"}, "add_comment", "", []string{"agent"}},
		"no scope":                               {nil, []string{"admin"}, "get_ticket", CheckScope, nil},
		"a scope that does not reach it":         {[]string{read}, []string{"admin"}, "add_comment", CheckScope, nil},
		"an unknown scope":                       {[]string{"tickets.admin"}, []string{"admin"}, "delete_ticket", CheckScope, nil},
		"no role":                                {[]string{write}, nil, "get_ticket", CheckRole, nil},
		"a role that does not hold it":           {[]string{write}, []string{"reader"}, "add_comment", CheckRole, nil},
		"an unknown role":                        {[]string{write}, []string{"root"}, "add_comment", CheckRole, nil},
		"an unknown tool":                        {[]string{write}, []string{"admin"}, "drop_table", CheckTool, nil},
		"an unknown tool, asked for by name":     {[]string{"tool:drop_table"}, []string{"admin"}, "drop_table", CheckTool, nil},
		"by name":                                {[]string{"tool:delete_ticket"}, []string{"admin"}, "delete_ticket", "", []string{"admin"}},
		"by name, but no role":                   {[]string{"tool:delete_ticket"}, []string{"agent"}, "delete_ticket", CheckRole, nil},
		"by name reaches no other tool":          {[]string{"tool:delete_ticket"}, []string{"admin"}, "add_comment", CheckScope, nil},
		"by name reaches every role of the user": {[]string{"tool:search_tickets"}, []string{"admin"}, "search_tickets", "", []string{"admin", "reader"}},
		"by name, the lesser role":               {[]string{"tool:search_tickets"}, []string{"agent"}, "search_tickets", "", []string{"reader"}},
		"the scope leaves the wider rule out":    {[]string{read}, []string{"admin"}, "search_tickets", "", []string{"reader"}},
		"another case":                           {[]string{"Tickets.Read"}, []string{"reader"}, "get_ticket", CheckScope, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := p.Decide(tt.scopes, tt.roles, tt.tool)
			var by []string
			for _, r := range d.Rules {
				by = append(by, r.Role)
			}
			if d.Allowed != (tt.check == "") || d.Check != tt.check || !cmp.Equal(by, tt.by) {
				t.Errorf("Decide = %+v, want check %q by %v", d, tt.check, tt.by)
			}
		})
	}
	if rules := p.Decide([]string{write}, []string{"agent"}, "add_comment").Rules; rules[0].MaxCalls != 20 {
		t.Errorf("max_calls = %d, want 20", rules[0].MaxCalls)
	}
}

func TestReach(t *testing.T) {
	p := parse(t, tickets)
	var got []string
	for tool := range p.Reach([]string{"tickets.write", "tool:delete_ticket"}, []string{"agent"}) {
		got = append(got, tool)
	}
	want := map[string]bool{"search_tickets": true, "get_ticket": true, "add_comment": true, "email_customer": true}
	if len(got) != len(want) {
		t.Errorf("Reach = %v, want %v", got, want)
	}
	for _, tool := range got {
		if !want[tool] {
			t.Errorf("Reach gives %s", tool)
		}
	}
}

func TestScopesFor(t *testing.T) {
	p := parse(t, tickets)
	tests := map[string]struct{ tools, want []string }{
		"no tool":                   {nil, nil},
		"the narrowest scope":       {[]string{"get_ticket"}, []string{"tickets.read"}},
		"one scope for both":        {[]string{"get_ticket", "add_comment"}, []string{"tickets.write"}},
		"a tool no scope covers":    {[]string{"delete_ticket"}, []string{"tool:delete_ticket"}},
		"both kinds":                {[]string{"delete_ticket", "search_tickets"}, []string{"tickets.read", "tool:delete_ticket"}},
		"a tool nobody knows":       {[]string{"drop_table"}, []string{"tool:drop_table"}},
		"the same tool given twice": {[]string{"get_ticket", "get_ticket"}, []string{"tickets.read"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := p.ScopesFor(tt.tools); !cmp.Equal(got, tt.want) {
				t.Errorf("ScopesFor = %v, want %v", got, tt.want)
			}
		})
	}
}
