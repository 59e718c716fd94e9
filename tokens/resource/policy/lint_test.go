package policy

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// desk is the manifest of tickets.
var desk = []ToolFacts{
	{Name: "search_tickets", ReadOnly: true, Arguments: []string{"query", "project", "limit"}},
	{Name: "get_ticket", ReadOnly: true, Arguments: []string{"id"}},
	{Name: "add_comment", Arguments: []string{"id", "text"}},
	{Name: "email_customer", OpenWorld: true, Arguments: []string{"id", "subject", "body"}},
	{Name: "delete_ticket", Destructive: true, Arguments: []string{"id"}},
}

func short(found []Finding) []string {
	var all []string
	for _, f := range found {
		all = append(all, fmt.Sprintf("%d:%d %s %s", f.Line, f.Column, f.Severity, f.Code))
	}
	return all
}

func TestLint(t *testing.T) {
	const good = "version: 1\nbaseline: [t.read]\nscopes:\n  t.read: {title: Read, roles: [reader]}\n  t.write: {roles: [writer]}\nroles:\n"
	tests := map[string]struct {
		src      string
		manifest []ToolFacts
		want     []string
	}{
		"nothing": {
			good + "  reader: {tools: {search_tickets: {limits: {limit: {maximum: 50}}}, get_ticket: {}}}\n" +
				"  writer: {tools: {add_comment: {}, email_customer: {}, delete_ticket: {max_calls: 1}}}\n", desk, nil,
		},
		"the demo's policy": {tickets, desk, []string{
			"10:3 note unreached-role", "10:38 warning unlimited-destructive", "10:57 warning undone-limit",
		}},
		"a baseline that destroys, a scope that lies, a mixed role": {
			"version: 1\nbaseline: [read_data]\nscopes:\n  read_data: {roles: [all]}\nroles:\n  all:\n    tools:\n      get_ticket: {}\n      delete_ticket: {}\n",
			[]ToolFacts{desk[1], desk[4]},
			[]string{
				"2:12 error baseline-destructive", "4:3 error read-scope-writes", "9:7 warning mixed-role", "9:7 warning unlimited-destructive",
			},
		},
		"a title that lies": {
			"version: 1\nscopes:\n  tickets: {title: View tickets, roles: [writer]}\nroles:\n  writer: {tools: {add_comment: {}}}\n", desk[2:3],
			[]string{"3:3 error read-scope-writes"},
		},
		"a baseline that writes, by the tool's own scope": {
			"version: 1\nbaseline: ['tool:add_comment']\nscopes: {s: {roles: [writer]}}\nroles:\n  writer: {tools: {add_comment: {}}}\n", desk[2:3],
			[]string{"2:12 warning baseline-writes"},
		},
		"tokens without a key that write": {
			"version: 1\nbearer: all\nscopes: {s: {roles: [writer]}}\nroles:\n  writer: {tools: {add_comment: {}}}\n", desk[2:3],
			[]string{"2:1 warning bearer-writes"},
		},
		"drift, both ways": {
			"version: 1\nscopes: {s: {roles: [r]}}\nroles:\n  r: {tools: {get_ticket: {}, old_tool: {}}}\n", desk[:2],
			[]string{"3:1 warning unreachable-tool", "4:31 warning missing-tool"},
		},
		"a limit of no argument": {
			"version: 1\nscopes: {s: {roles: [r]}}\nroles:\n  r:\n    tools:\n      get_ticket:\n        limits: {number: {maximum: 1}}\n", desk[1:2],
			[]string{"7:9 error impossible-limit"},
		},
		"a role with all": {
			"version: 1\nscopes: {s: {roles: [r]}}\nroles:\n  r: {tools: {get_ticket: {}, search_tickets: {}, add_comment: {}}}\n", desk[:3],
			[]string{"4:3 warning broad-role"},
		},
		"a limit that never applies": {
			"version: 1\nscopes: {s: {roles: [b]}}\nroles:\n  a: {tools: {get_ticket: {}}}\n  b:\n    include: [a]\n    tools: {get_ticket: {max_calls: 3}}\n", desk[1:2],
			[]string{"7:13 warning dead-limit"},
		},
		"a tool that belies its name": {
			"version: 1\nscopes: {s: {roles: [r]}}\nroles: {r: {tools: {purge_logs: {}}}}\n",
			[]ToolFacts{{Name: "purge_logs", ReadOnly: true}},
			[]string{"3:21 warning mislabelled-tool"},
		},
		"roles and scopes of nothing": {
			"version: 1\nscopes:\n  s: {roles: [r]}\nroles:\n  r:\n",
			[]ToolFacts{},
			[]string{"3:3 warning empty-scope", "5:3 warning empty-role"},
		},
		"conditions that never hold": {
			"version: 1\nscopes: {s: {roles: [a]}}\nroles:\n  a:\n    when: {addresses: [10.0.0.0/8]}\n    include: [b]\n    tools:\n      get_ticket:\n        when: {addresses: [192.168.0.0/16], client: [dcr]}\n" +
				"  b: {when: {addresses: [10.1.0.0/16, 172.16.0.0/12]}, include: [c], tools: {search_tickets: {}}}\n" +
				"  c: {when: {hours: [{days: [mon], from: '08:00', to: '09:00', zone: Europe/Berlin}], addresses: [172.16.1.0/24]}, tools: {add_comment: {when: {hours: [{days: [mon], from: '08:00', to: '09:00', zone: America/New_York}]}}}}\n",
			nil,
			[]string{"4:3 warning broad-role", "9:9 error condition-never", "11:138 error condition-never"},
		},
		"a condition undone, and one that matters not": {
			"version: 1\nscopes: {s: {roles: [b]}}\nroles:\n  a: {tools: {get_ticket: {when: {client: [registered]}}, search_tickets: {}}}\n" +
				"  b: {include: [a], tools: {get_ticket: {}, search_tickets: {when: {addresses: [10.0.0.0/8]}}, add_comment: {}}}\n",
			desk[:3],
			[]string{"5:3 warning broad-role", "5:29 warning undone-limit", "5:45 warning dead-limit"},
		},
		"a condition of its role is none of the other's": {
			"version: 1\nscopes: {s: {roles: [b]}}\nroles:\n  a: {when: {client: [registered]}, tools: {get_ticket: {}}}\n  b: {include: [a], tools: {get_ticket: {max_calls: 3}}}\n",
			desk[1:2], nil,
		},
		"a key for every token, a policy that is watched": {
			"version: 1\nmode: observe\nscopes: {s: {roles: [r]}}\nroles: {r: {when: {key_bound: true}, tools: {get_ticket: {}}}}\n",
			desk[1:2],
			[]string{"2:1 warning observe-mode", "4:13 note needless-condition"},
		},
		"reading": {
			"version: 1\nscopes: {s: {roles: [r]}}\nroles: {r: {resources: ['note://*', 'docs://a/*', 'file:///**', 'docs://a/b'], prompts: [p]}, x: {prompts: [q]}}\n",
			[]ToolFacts{},
			[]string{"3:25 warning unbounded-wildcard", "3:51 warning unbounded-wildcard", "3:95 note unreached-role"},
		},
		"names alone": {
			"version: 1\nbaseline: [view]\nscopes: {view: {roles: [r]}}\nroles: {r: {tools: {removeUser: {max_calls: 1}}}}\n", nil,
			[]string{"2:12 error baseline-destructive", "3:10 error read-scope-writes"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			found := Lint(parse(t, tt.src), tt.manifest)
			if diff := cmp.Diff(tt.want, short(found)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			for _, f := range found {
				if f.Message == "" || f.Mend == "" {
					t.Errorf("%s says nothing: %+v", f.Code, f)
				}
			}
		})
	}
}

// TestEveryCodeIsTested: no kind of finding is there for show.
func TestEveryCodeIsTested(t *testing.T) {
	src, err := os.ReadFile("lint_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Codes() {
		if !strings.Contains(string(src), fmt.Sprintf("%s %s", c.Severity, c.Name)) {
			t.Errorf("no test finds %s", c.Name)
		}
	}
}

func TestWithin(t *testing.T) {
	rule := func(limits string, calls int) Rule { return Rule{Limits: []byte(limits), MaxCalls: calls} }
	tests := map[string]struct {
		a, b Rule
		want bool
	}{
		"nothing":               {rule(`{}`, 0), rule(`{}`, 0), true},
		"a budget":              {rule(`{}`, 3), rule(`{}`, 0), true},
		"no budget":             {rule(`{}`, 0), rule(`{}`, 3), false},
		"a larger budget":       {rule(`{}`, 4), rule(`{}`, 3), false},
		"a limit":               {rule(`{"n":{"maximum":1}}`, 0), rule(`{}`, 0), true},
		"no limit":              {rule(`{}`, 0), rule(`{"n":{"maximum":1}}`, 0), false},
		"a lower maximum":       {rule(`{"n":{"maximum":9}}`, 0), rule(`{"n":{"maximum":10}}`, 0), true},
		"a higher maximum":      {rule(`{"n":{"maximum":10}}`, 0), rule(`{"n":{"maximum":9}}`, 0), false},
		"a lower minimum":       {rule(`{"n":{"minimum":1}}`, 0), rule(`{"n":{"minimum":2}}`, 0), false},
		"a const of the enum":   {rule(`{"n":{"const":"a"}}`, 0), rule(`{"n":{"enum":["a","b"]}}`, 0), true},
		"an enum beyond":        {rule(`{"n":{"enum":["a","c"]}}`, 0), rule(`{"n":{"enum":["a","b"]}}`, 0), false},
		"another pattern":       {rule(`{"n":{"pattern":"a"}}`, 0), rule(`{"n":{"pattern":"b"}}`, 0), false},
		"equal lists":           {rule(`{"n":[{"maximum":1},{"minimum":0}]}`, 0), rule(`{"n":[{"maximum":1},{"minimum":0}]}`, 0), true},
		"lists of another kind": {rule(`{"n":[{"maximum":1},{"minimum":0}]}`, 0), rule(`{"n":{"maximum":1}}`, 0), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := within(tt.a, tt.b); got != tt.want {
				t.Errorf("within = %t", got)
			}
		})
	}
}

func TestSaysReadOnly(t *testing.T) {
	for text, want := range map[string]bool{
		"read_data": true, "tickets.read": true, "View tickets": true, "listUsers": true, "tickets:viewer": true,
		"read_write": false, "tickets.write": false, "Read and edit": false, "readme": false, "": false, "thread": false, "getOrDelete": false,
	} {
		if saysReadOnly(text) != want {
			t.Errorf("saysReadOnly(%q) = %t", text, !want)
		}
	}
}

func drawFacts(t *rapid.T, tools []string) []ToolFacts {
	facts := []ToolFacts{}
	for _, name := range tools {
		kind := rapid.IntRange(0, 2).Draw(t, "kind of "+name)
		facts = append(facts, ToolFacts{Name: name, ReadOnly: kind == 0, Destructive: kind == 2})
	}
	return facts
}

// TestBaselineWithoutErrors: a policy that Lint finds no error in never lets a client that asked
// for nothing reach a tool that destroys, whoever its user is.
func TestBaselineWithoutErrors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		baseline := rapid.SliceOfNDistinct(rapid.SampledFrom(append([]string{"tool:t1", "tool:t5"}, someScopes...)), 0, 3, rapid.ID[string]).Draw(t, "baseline")
		src := strings.Replace(m.yaml(), "version: 1\n", fmt.Sprintf("version: 1\nbaseline: ['%s']\n", strings.Join(baseline, "', '")), 1)
		if len(baseline) == 0 {
			src = m.yaml()
		}
		p, err := Parse([]byte(src), nil)
		if err != nil {
			return // tool:t1, and no role has it
		}
		facts := drawFacts(t, someTools)
		clean := !slices.ContainsFunc(Lint(p, facts), func(f Finding) bool { return f.Severity == Error })
		for _, f := range facts {
			if clean && f.Destructive && m.allows(baseline, someRoles, f.Name) {
				t.Fatalf("the baseline reaches %s, and Lint finds no error:\n%s", f.Name, src)
			}
		}
	})
}

// TestDraftIsClean: what Draft writes parses, names every tool, and Lint finds nothing in it.
func TestDraftIsClean(t *testing.T) {
	names := append([]string{"null", "true", "1", "1e3", "~", ".", "a_b", "delete_all", "Get-It", "no", "drop"}, someTools...)
	names = slices.DeleteFunc(names, func(n string) bool { return !toolName.MatchString(n) })
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SampledFrom([]string{"tickets", "read", "view.all", "x"}).Draw(t, "prefix")
		facts := drawFacts(t, rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 8, rapid.ID[string]).Draw(t, "tools"))
		src := Draft(prefix, facts)
		p, err := Parse(src, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, src)
		}
		for _, f := range Lint(p, facts) {
			if f.Code != "mislabelled-tool" { // the server's own fault
				t.Fatalf("%+v\n%s", f, src)
			}
		}
	})
	if Draft("x", nil) != nil {
		t.Error("a policy for a server without tools")
	}
}

// TestLintIsBounded: whoever writes the file chooses neither how long Lint works nor how much it says.
func TestLintIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("version: 1\nscopes: {s: {roles: [r000]}}\nroles:\n")
	rules := 0
	for i := range maxRoles {
		fmt.Fprintf(&b, "  r%03d: {", i)
		if i+1 < maxRoles {
			fmt.Fprintf(&b, "include: [r%03d], ", i+1)
		}
		b.WriteString("tools: {")
		for tool := range 15 {
			fmt.Fprintf(&b, "t%d: {}, ", tool)
			rules++
		}
		b.WriteString("}}\n")
	}
	p := parse(t, b.String())
	if found := Lint(p, desk); len(found) > 2*rules {
		t.Errorf("%d findings in %d rules", len(found), rules)
	}
	b.WriteString("  one_more: {}\n")
	if _, err := Parse([]byte(b.String()), nil); err == nil {
		t.Errorf("%d roles are taken", maxRoles+1)
	}
}

func FuzzLint(f *testing.F) {
	f.Add([]byte(tickets))
	f.Add([]byte("version: 1\nbaseline: ['tool:delete_ticket']\nroles: {r: {tools: {delete_ticket: {limits: {id: [{const: 1}]}}}}}"))
	f.Add([]byte("version: 1\nscopes: {view: {roles: [a]}}\nroles: {a: {include: [b]}, b: {tools: {get_ticket: }}}"))
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := Parse(src, nil)
		if err != nil {
			return
		}
		lines := strings.Count(string(src), "\n") + strings.Count(string(src), "\r") + strings.Count(string(src), "\u0085") + strings.Count(string(src), "\u2028") + strings.Count(string(src), "\u2029") + 1
		for _, manifest := range [][]ToolFacts{nil, {}, desk} {
			for _, found := range Lint(p, manifest) {
				if found.Line < 1 || found.Column < 1 || found.Line > lines {
					t.Errorf("%+v is nowhere in a file of %d lines", found, lines)
				}
			}
		}
		for _, tool := range append(p.Tools(), "nothing") {
			steps := p.Explain(Question{Scopes: p.Baseline(), Roles: p.Roles(), Tool: tool})
			if steps[len(steps)-1].OK != p.Decide(p.Baseline(), p.Roles(), tool).Allowed {
				t.Errorf("Explain and Decide differ about %q", tool)
			}
		}
	})
}
