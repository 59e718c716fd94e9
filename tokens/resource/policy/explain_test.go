package policy

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestExplain(t *testing.T) {
	p := parse(t, tickets)
	narrow := func(limits json.RawMessage) error {
		if string(limits) == "{}" {
			return nil
		}
		return errors.New("limit is above 50")
	}
	tests := map[string]struct {
		scopes, roles []string
		tool          string
		judge         func(json.RawMessage) error
		failed        string // the check, or none
		says          string // in the last step
	}{
		"a tool that nobody names": {[]string{"tickets.read"}, []string{"admin"}, "drop", nil, CheckTool, "no role of the policy names drop"},
		"an unknown scope":         {[]string{"tickets.reed"}, []string{"admin"}, "get_ticket", nil, CheckScope, "does not know tickets.reed"},
		"another scope":            {[]string{"tickets.read"}, []string{"admin"}, "add_comment", nil, CheckScope, "ask for tickets.write"},
		"no scope has it":          {[]string{"tickets.read"}, []string{"admin"}, "delete_ticket", nil, CheckScope, "ask for tool:delete_ticket"},
		"a user without the role":  {[]string{"tickets.write"}, []string{"reader"}, "add_comment", nil, CheckRole, "give the user agent"},
		"an unknown role":          {[]string{"tickets.write"}, []string{"boss"}, "add_comment", nil, CheckRole, "does not know boss"},
		"beyond the limits":        {[]string{"tickets.read"}, []string{"reader"}, "search_tickets", narrow, CheckLimits, "limit is above 50"},
		"within the wider rule":    {[]string{"tool:search_tickets"}, []string{"admin"}, "search_tickets", narrow, "", "keep to the limits"},
		"allowed":                  {[]string{"tickets.write"}, []string{"admin"}, "add_comment", nil, "", "at most 20 calls"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			steps := p.Explain(Question{Scopes: tt.scopes, Roles: tt.roles, Tool: tt.tool, Judge: tt.judge})
			last := steps[len(steps)-1]
			if last.OK != (tt.failed == "") || !last.OK && last.Check != tt.failed {
				t.Errorf("ended at %s, %t", last.Check, last.OK)
			}
			said := last.Detail + " " + last.Mend
			for _, n := range last.Notes {
				said += " " + n.Text
				if n.Line == 0 {
					t.Errorf("no place for %+v", n)
				}
			}
			if !strings.Contains(said, tt.says) {
				t.Errorf("it says %q, not %q", said, tt.says)
			}
		})
	}
	steps := p.Explain(Question{Scopes: []string{"tickets.write"}, Roles: []string{"admin"}, Tool: "get_ticket"})
	if got := steps[2].Notes[0].Text; got != "held: admin → agent → reader" {
		t.Errorf("how the role is held: %q", got)
	}
}

func TestExplainAgreesWithDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		p, err := Parse([]byte(m.yaml()), nil)
		if err != nil {
			t.Fatal(err)
		}
		scopes, roles := drawNames(t, "scopes", someScopes), drawNames(t, "roles", someRoles)
		for _, tool := range append(slices.Clone(someTools), ghosts...) {
			d, steps := p.Decide(scopes, roles, tool), p.Explain(Question{Scopes: scopes, Roles: roles, Tool: tool})
			if last := steps[len(steps)-1]; last.OK != d.Allowed || !last.OK && last.Check != d.Check {
				t.Fatalf("Explain ends with %+v, Decide says %+v", last, d)
			}
			if last := steps[len(steps)-1]; last.Check == CheckScope && !last.OK {
				better := strings.Fields(strings.TrimPrefix(last.Mend, "ask for "))
				if p.Decide(better, p.Roles(), tool).Check != "" {
					t.Fatalf("the mend %q does not mend", last.Mend)
				}
			}
		}
	})
}

func TestTighten(t *testing.T) {
	p := parse(t, tickets)
	uses := []Use{{"mara", "get_ticket"}, {"mara", "search_tickets"}, {"otto", "add_comment"}, {"otto", "gone_tool"}}
	held := map[string][]string{"mara": {"admin"}, "otto": {"agent", "old"}, "vera": {"reader"}}
	var got []string
	for _, f := range Tighten(p, uses, held) {
		got = append(got, f.Code+": "+f.Mend)
	}
	want := []string{
		`unused-tool: take delete_ticket out of "admin"`,
		`unused-tool: take email_customer out of "agent"`,
		`wide-role: give mara "reader" in place of "admin"`,
		`unused-role: take "reader" from vera`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, f := range Tighten(p, uses[2:], nil) {
		if f.Code == UnusedScope && f.Line != 5 {
			t.Errorf("%+v", f)
		}
	}
}

func TestReplay(t *testing.T) {
	now := parse(t, tickets)
	changed := parse(t, strings.NewReplacer("maximum: 50", "maximum: 5", "max_calls: 20", "max_calls: 1", "email_customer: {}", "close_ticket: {}").Replace(tickets))
	write, agent := []string{"tickets.write"}, []string{"agent"}
	calls := []Call{
		{Task: "t1", Tool: "get_ticket", Scopes: write, Roles: agent, Allowed: true, Reason: ""},
		{Task: "t1", Tool: "search_tickets", Scopes: write, Roles: agent, Allowed: true, Reason: ""},
		{Task: "t1", Tool: "add_comment", Scopes: write, Roles: agent, Allowed: true, Reason: ""},
		{Task: "t1", Tool: "add_comment", Scopes: write, Roles: agent, Allowed: true, Reason: ""},
		{Task: "t2", Tool: "add_comment", Scopes: write, Roles: agent, Allowed: true, Reason: ""},
		{Task: "t2", Tool: "email_customer", Scopes: write, Roles: agent, Allowed: true, Reason: ""},
		{Task: "t2", Tool: "close_ticket", Scopes: write, Roles: agent, Allowed: false, Reason: CheckTool},
		{Task: "t2", Tool: "close_ticket", Scopes: write, Roles: agent, Allowed: false, Reason: "tool_not_granted"},
		{Task: "t2", Tool: "delete_ticket", Scopes: write, Roles: agent, Allowed: false, Reason: CheckScope},
	}
	want := []Turn{
		{1, Doubt, CheckLimits, "the limits are narrower, and arguments are not in the ledger"},
		{3, Refuse, "tool_budget", "the task would have had 1 calls of it"},
		{5, Refuse, CheckTool, ""},
		{6, Allow, CheckTool, "the policy would no longer refuse it: role agent permits it"},
	}
	if diff := cmp.Diff(want, Replay(now, changed, calls)); diff != "" {
		t.Error(diff)
	}
	if turns := Replay(now, now, calls); turns != nil {
		t.Errorf("the same policy turns %v", turns)
	}
}
