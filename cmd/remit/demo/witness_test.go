package demo

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// The witness must not nod everything through: each judge refuses what the scene must not be.

func TestJudgeTheft(t *testing.T) {
	good := func() []attempt {
		return []attempt{{"as a bearer token", 401, "invalid_token"}, {"without a proof", 401, "invalid_dpop_proof"}, {"with a key of its own", 401, "invalid_dpop_proof"}}
	}
	if err := judgeTheft(good()); err != nil {
		t.Error(err)
	}
	tests := map[string]func([]attempt) []attempt{
		"a try got through":   func(a []attempt) []attempt { a[1] = attempt{"without a proof", 200, ""}; return a },
		"another refusal":     func(a []attempt) []attempt { a[2].Error = "use_dpop_nonce"; return a },
		"another status":      func(a []attempt) []attempt { a[0].Status = 503; return a },
		"a try is missing":    func(a []attempt) []attempt { return a[:2] },
		"nothing was tried":   func([]attempt) []attempt { return nil },
		"one more than asked": func(a []attempt) []attempt { return append(a, a[0]) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			if judgeTheft(change(good())) == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestJudgeDetails(t *testing.T) {
	entry := func(tool string) any {
		return map[string]any{"type": "mcp_tool", "tool": tool, "definition": "sha-256:x", "constraints": map[string]any{"project": map[string]any{"const": "WEB"}}}
	}
	without := func(member string) any {
		e := entry("get_ticket").(map[string]any)
		delete(e, member)
		return e
	}
	if err := judgeDetails([]any{entry("search_tickets"), entry("get_ticket"), entry("add_comment"), map[string]any{"type": "mcp_task"}}); err != nil {
		t.Error(err)
	}
	for name, details := range map[string]any{
		"none": nil, "one too few": []any{entry("search_tickets"), entry("get_ticket")},
		"one too many":  []any{entry("search_tickets"), entry("get_ticket"), entry("add_comment"), entry("delete_ticket")},
		"no limit":      []any{entry("search_tickets"), without("constraints"), entry("add_comment")},
		"no definition": []any{entry("search_tickets"), without("definition"), entry("add_comment")},
	} {
		t.Run(name, func(t *testing.T) {
			if judgeDetails(details) == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestJudgeLedger(t *testing.T) {
	decided := func(tool, decision, reason string) record {
		return record{Kind: "execution.decided", Payload: map[string]any{"tool": tool, "decision": decision, "reason": reason}}
	}
	var good []record
	for _, e := range errands {
		decision := "allowed"
		if e.want != "" {
			decision = "refused"
		}
		good = append(good, decided(e.tool, decision, e.want))
	}
	good = append(good, record{Kind: "execution.finished"}, record{Kind: "task.ended", Payload: map[string]any{"state": "completed"}})
	holds := verdict{OK: true, Records: 20, Head: "3f9c"}
	if err := judgeLedger(holds, read(good)); err != nil {
		t.Error(err)
	}
	told := read(good)
	if told.String() != "3 calls allowed, 2 refused, task completed" {
		t.Errorf("story: %s", told)
	}
	swapped := append([]record{good[1], good[0]}, good[2:]...)
	allowed := append([]record{}, good...)
	allowed[4] = decided("delete_ticket", "allowed", "")
	revoked := append(append([]record{}, good[:6]...), record{Kind: "task.ended", Payload: map[string]any{"state": "revoked"}})
	for name, tt := range map[string]struct {
		v       verdict
		records []record
	}{
		"the chain is broken": {verdict{Records: 20, Head: "3f9c"}, good}, "an empty ledger": {verdict{OK: true}, good}, "another order": {holds, swapped}, "a delete went through": {holds, allowed}, "ended by another": {holds, revoked},
	} {
		t.Run(name, func(t *testing.T) {
			if judgeLedger(tt.v, read(tt.records)) == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestJudgeConsent(t *testing.T) {
	page := func(change func(string) string) blackbox.Landing {
		text := `<p>Demo Agent, Tickets, ` + purpose + `, ` + maraEmail + `, http://127.0.0.1:1</p><form method="post" action="/consent">
			<input type="checkbox" name="tool" value="search_tickets" checked><input type="checkbox" name="tool" value="get_ticket" checked><input type="checkbox" name="tool" value="add_comment" checked>
			<input type="checkbox" name="tool" value="email_customer"><input type="checkbox" name="tool" value="delete_ticket">
			<input type="radio" name="duration" value="900"><input type="radio" name="duration" value="1800" checked><button name="decision" value="deny"></button><button name="decision" value="allow"></button></form>`
		return blackbox.Landing{Page: blackbox.ParsePage("http://localhost/authorize", []byte(change(text)))}
	}
	swap := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	if err := judgeConsent(page(func(s string) string { return s })); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(string) string{
		"delete is ticked":    swap(`"delete_ticket"`, `"delete_ticket" checked`),
		"a tool is missing":   swap(`value="email_customer"`, `value="email"`),
		"longer than asked":   swap(`"1800" checked`, `"28800" checked`),
		"no purpose":          swap(purpose, ""),
		"no name":             swap("Demo Agent", ""),
		"no redirect host":    swap("127.0.0.1", ""),
		"no form to decide":   swap(`name="decision"`, ""),
		"nothing is proposed": swap(`value="get_ticket" checked`, `value="get_ticket"`),
	} {
		t.Run(name, func(t *testing.T) {
			if name == "no form to decide" {
				change = func(s string) string { return strings.ReplaceAll(s, `name="decision"`, "") }
			}
			if judgeConsent(page(change)) == nil {
				t.Error("accepted")
			}
		})
	}
}

// TestThiefNeedsItsLoot: the hidden subcommand does nothing without what it stole.
func TestThiefNeedsItsLoot(t *testing.T) {
	var out bytes.Buffer
	if err := Thief(context.Background(), strings.NewReader("x"), &out); err == nil || out.Len() != 0 {
		t.Errorf("Thief = %v, %q", err, out.String())
	}
}

func TestNarratorWithoutATerminal(t *testing.T) {
	var out bytes.Buffer
	n := newNarrator(&out)
	n.heading("Act")
	n.allowed("a", "b", "c")
	n.refused("ä", "b", "c")
	want := "\n1  Act\n ✓ a                b                                            c\n ✕ ä                b                                            c\n"
	if out.String() != want {
		t.Errorf("%q", out.String())
	}
}
