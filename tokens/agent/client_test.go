package agent_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/agent"
)

func ask(w *world) agent.Ask {
	return agent.Ask{
		Scopes: []string{"tickets.read"},
		Details: tokens.Details{
			Task:  &tokens.TaskDetail{Purpose: "Triage", MaxDuration: 1800},
			Tools: []tokens.ToolDetail{{Locations: []string{w.rs.URL + "/mcp"}, Tool: "get_ticket", Constraints: tokens.Constraints{"project": {{Const: json.RawMessage(`"WEB"`)}}}}},
		},
	}
}

func TestFlow(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	r, err := c.Push(t.Context(), ask(w))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"client_id": "cli_1", "response_type": "code", "redirect_uri": "http://127.0.0.1:7/callback", "code_challenge_method": "S256",
		"resource": w.rs.URL + "/mcp", "scope": "tickets.read", "state": r.State, "code_challenge": tokens.S256(r.Verifier),
		"authorization_details": `[{"max_duration":1800,"purpose":"Triage","type":"mcp_task"},{"constraints":{"project":{"const":"WEB"}},"locations":["` + w.rs.URL + `/mcp"],"tool":"get_ticket","type":"mcp_tool"}]`,
	} {
		if got := w.pushed[name]; got != want {
			t.Errorf("pushed %s = %q, want %q", name, got, want)
		}
	}
	if u := c.AuthorizeURL(r); u != w.as.URL+"/authorize?client_id=cli_1&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Arq_1" {
		t.Errorf("AuthorizeURL = %s", u)
	}
	code, err := c.Callback(r, url.Values{"code": {"rc_1"}, "state": {r.State}, "iss": {w.as.URL}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := c.Redeem(t.Context(), r, code)
	if err != nil {
		t.Fatal(err)
	}
	if token.Access != "at-0" || token.Refresh != "rr-0" || token.TaskID != "tsk_1" {
		t.Errorf("Redeem = %+v", token)
	}
	next, err := c.Refresh(t.Context(), token)
	if err != nil || next.Access != "at-1" || next.Refresh != "rr-1" {
		t.Errorf("Refresh = %+v, %v", next, err)
	}
	if _, err := c.Refresh(t.Context(), token); !agent.Over(err) {
		t.Errorf("refresh with the predecessor = %v, want the end", err)
	}
}

// TestCallbackRefuses: mix-up and forged answers end before the code is used (attacks.md 4.22).
func TestCallbackRefuses(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	r := agent.Request{State: "s", Verifier: "v"}
	good := func() url.Values { return url.Values{"code": {"rc_1"}, "state": {"s"}, "iss": {w.as.URL}} }
	tests := map[string]func(url.Values){
		"iss missing though promised": func(q url.Values) { q.Del("iss") },
		"iss empty":                   func(q url.Values) { q.Set("iss", "") },
		"another issuer":              func(q url.Values) { q.Set("iss", "https://evil.example") },
		"issuer in another case":      func(q url.Values) { q.Set("iss", strings.ToUpper(w.as.URL)) },
		"issuer with a slash":         func(q url.Values) { q.Set("iss", w.as.URL+"/") },
		"iss twice":                   func(q url.Values) { q.Add("iss", w.as.URL) },
		"another state":               func(q url.Values) { q.Set("state", "t") },
		"no state":                    func(q url.Values) { q.Del("state") },
		"code twice":                  func(q url.Values) { q.Add("code", "rc_2") },
		"no code":                     func(q url.Values) { q.Del("code") },
		"an error":                    func(q url.Values) { q.Set("error", "access_denied") },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			q := good()
			change(q)
			if code, err := c.Callback(r, q); err == nil {
				t.Errorf("Callback = %q", code)
			}
		})
	}
	if code, err := c.Callback(r, good()); err != nil || code != "rc_1" {
		t.Errorf("the good answer: %q, %v", code, err)
	}
	if _, err := c.Callback(agent.Request{}, url.Values{"code": {"x"}, "iss": {w.as.URL}}); err == nil {
		t.Error("an answer to no request was taken")
	}
	denied := good()
	denied.Set("error", "access_denied")
	if _, err := c.Callback(r, denied); !isCode(err, "access_denied") {
		t.Errorf("denied: %v", err)
	}
}

func isCode(err error, code string) bool {
	e, ok := errors.AsType[*agent.Error](err)
	return ok && e.Code == code
}

func TestRedeemRefusesABearerToken(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"bearer":           func(m map[string]any) { m["token_type"] = "Bearer" },
		"no type":          func(m map[string]any) { delete(m, "token_type") },
		"no access token":  func(m map[string]any) { delete(m, "access_token") },
		"unknown details":  func(m map[string]any) { m["authorization_details"] = []any{map[string]any{"type": "payment"}} },
		"details no array": func(m map[string]any) { m["authorization_details"] = "mcp_tool" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.answer = change
			c := w.client()
			r, err := c.Push(t.Context(), ask(w))
			if err != nil {
				t.Fatal(err)
			}
			if token, err := c.Redeem(t.Context(), r, "rc_1"); err == nil {
				t.Errorf("Redeem = %+v", token)
			}
		})
	}
}

func TestRedeemTellsTheServersError(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	r, err := c.Push(t.Context(), ask(w))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Redeem(t.Context(), r, "rc_other"); !isCode(err, "invalid_grant") || !agent.Over(err) {
		t.Errorf("Redeem = %v", err)
	}
}

func TestNewClientRefuses(t *testing.T) {
	w := newWorld(t)
	good := w.client().Config
	for name, change := range map[string]func(*agent.Config){
		"no client id":          func(c *agent.Config) { c.ClientID = "" },
		"resource over http":    func(c *agent.Config) { c.Resource = "http://mcp.example" },
		"endpoint over http":    func(c *agent.Config) { c.Server.TokenEndpoint = "http://id.example/token" },
		"metadata without DPoP": func(c *agent.Config) { c.Server.DPoPAlgs = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			change(&c)
			if _, err := agent.NewClient(c); err == nil {
				t.Error("NewClient took it")
			}
		})
	}
}

func TestTask(t *testing.T) {
	w := newWorld(t)
	s, _ := w.session(300e9)
	task, err := s.Task(t.Context())
	if err != nil || task.ID != "tsk_1" || task.State != "active" || task.CallsUsed != 3 || task.Ends.Unix() != 1800000000 || len(task.Details.Tools) != 1 {
		t.Errorf("Task = %+v, %v", task, err)
	}
	if err := s.CompleteTask(t.Context()); err != nil || w.complete != 1 {
		t.Errorf("CompleteTask = %v, %d", err, w.complete)
	}
}
