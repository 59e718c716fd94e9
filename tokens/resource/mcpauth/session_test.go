package mcpauth_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens/resource/mcpauth"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

const legacy = "2025-11-25"

// session is a client's session at a stateful server, raw: any token may be sent in it.
type session struct {
	*world
	id string
}

// open opens a session with this token.
func (w *world) open(token *resourcetest.Token) *session {
	w.Helper()
	s := &session{world: w}
	resp := s.send(token, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"`+legacy+`","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}`)
	if s.id = resp.Header.Get("Mcp-Session-Id"); resp.StatusCode != http.StatusOK || s.id == "" {
		w.Fatalf("initialize: %d, session %q", resp.StatusCode, s.id)
	}
	if resp := s.send(token, `{"jsonrpc":"2.0","method":"notifications/initialized"}`); resp.StatusCode != http.StatusAccepted {
		w.Fatalf("initialized: %d", resp.StatusCode)
	}
	return s
}

func (s *session) send(token *resourcetest.Token, body string) *http.Response {
	s.Helper()
	r, err := http.NewRequest(http.MethodPost, s.uri, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if s.id != "" {
		r.Header.Set("Mcp-Session-Id", s.id)
		r.Header.Set("Mcp-Protocol-Version", legacy)
	}
	resp, err := token.Client().Do(r)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { resp.Body.Close() })
	return resp
}

// calls calls search and returns the status, and the token that the tool was called with.
func (s *session) calls(token *resourcetest.Token, id string) (int, string) {
	s.Helper()
	resp := s.send(token, `{"jsonrpc":"2.0","id":"`+id+`","method":"tools/call","params":{"name":"search","arguments":{"project":"WEB"}}}`)
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	var answer struct {
		Result struct{ Content []struct{ Text string } }
	}
	for line := range strings.Lines(string(raw)) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			_ = json.Unmarshal([]byte(data), &answer) // events without data are told apart below
		}
	}
	if len(answer.Result.Content) != 2 {
		return resp.StatusCode, string(raw)
	}
	return resp.StatusCode, answer.Result.Content[1].Text
}

// In a session, the SDK keeps the context of the request that opened it.
func TestSessionKnowsEachCaller(t *testing.T) {
	w := newWorldWith(t, &mcpauth.Options{Stateful: true})
	first, second := w.token(grant("mara", "search")), w.token(grant("mara", "search")) // two tasks of one client
	s := w.open(first)
	for _, token := range []*resourcetest.Token{first, second, first, second} {
		if status, caller := s.calls(token, "x"); status != http.StatusOK || caller != token.Claims.ID {
			t.Errorf("%d, called as %s, want %s", status, caller, token.Claims.ID)
		}
	}
	var group sync.WaitGroup
	for i := range 20 {
		token := []*resourcetest.Token{first, second}[i%2]
		group.Go(func() {
			if status, caller := s.calls(token, "r"+string(rune('a'+i))); status != http.StatusOK || caller != token.Claims.ID {
				t.Errorf("at once: %d, called as %s, want %s", status, caller, token.Claims.ID)
			}
		})
	}
	group.Wait()

	w.ran = nil
	reach := w.token(grant("mara", "comment")) // opened by who may search, used by who may not
	if status, body := s.calls(reach, "y"); status != http.StatusForbidden {
		t.Errorf("a token without the tool: %d %s", status, body)
	}
	stranger := w.token(grant("noor", "search"))
	if status, body := s.calls(stranger, "z"); status != http.StatusForbidden {
		t.Errorf("another user: %d %s", status, body)
	}
	w.issuer.EndTask(first.Claims.Task.ID)
	if status, body := s.calls(first, "e"); status != http.StatusUnauthorized {
		t.Errorf("an ended task, whose token opened the session: %d %s", status, body)
	}
	if len(w.ran) > 0 {
		t.Errorf("ran %q", w.ran)
	}
	if status, caller := s.calls(second, "l"); status != http.StatusOK || caller != second.Claims.ID {
		t.Errorf("the other task: %d, called as %s", status, caller)
	}
}

func TestSessionOfTheSDK(t *testing.T) {
	w := newWorldWith(t, &mcpauth.Options{Stateful: true})
	session := w.connect(w.token(grant("mara", "search")))
	if session.ID() == "" {
		t.Error("the server keeps no session")
	}
	listed, err := session.ListTools(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if names := slices.Collect(func(yield func(string) bool) {
		for _, tool := range listed.Tools {
			yield(tool.Name)
		}
	}); !slices.Equal(names, []string{"search"}) {
		t.Errorf("tools/list shows %v", names)
	}
	for range 3 {
		result, err := call(session, "search", ticket{Project: "WEB"})
		if err != nil || result.Content[0].(*mcp.TextContent).Text != "mara" {
			t.Fatalf("%v %v", result, err)
		}
	}
	if _, err := call(session, "delete", ticket{Project: "WEB"}); err == nil {
		t.Error("delete was allowed")
	}
}
