package mcpauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/mcpauth"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

const policy = `
version: 1
scopes: {tickets: {roles: [agent]}, docs: {roles: [reader]}}
roles:
  agent: {tools: {search: {}, comment: {}, fail: {}}}
  admin: {include: [agent], tools: {delete: {}}}
  reader: {resources: ["docs://handbook/**"], prompts: [summarise]}
`

type ticket struct {
	Project string `json:"project"`
	Text    string `json:"text,omitempty"`
}

// world is a server of the SDK under a Guard.
type world struct {
	*testing.T
	issuer *resourcetest.Issuer
	guard  *resource.Guard
	server *mcp.Server
	uri    string

	mu  sync.Mutex
	ran []string // "user tool project" of each tool that ran
}

func newWorld(t *testing.T) *world { return newWorldWith(t, nil) }

func newWorldWith(t *testing.T, opts *mcpauth.Options) *world {
	t.Helper()
	w := &world{T: t, issuer: resourcetest.New(t)}
	w.server = mcp.NewServer(&mcp.Implementation{Name: "tickets", Version: "1"}, nil)
	for _, name := range []string{"search", "comment", "fail", "delete"} {
		w.addTool(name, "Does "+name)
	}
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	t.Cleanup(server.Close)
	w.uri = server.URL + "/mcp"
	w.guard = w.issuer.Guard(w.issuer.Config(w.uri, policy, mcpauth.Tools(w.server)))
	handler = mcpauth.Protect(w.guard, w.server, opts)
	return w
}

func (w *world) addTool(name, description string) {
	mcp.AddTool(w.server, &mcp.Tool{Name: name, Description: description}, func(ctx context.Context, req *mcp.CallToolRequest, in ticket) (*mcp.CallToolResult, any, error) {
		p, ok := mcpauth.Principal(req)
		if !ok {
			return nil, nil, errors.New("nobody calls")
		}
		other, _ := resource.PrincipalFrom(ctx)
		if info := auth.TokenInfoFromContext(ctx); other.TokenID != p.TokenID || other.Execution != p.Execution || info != req.GetExtra().TokenInfo {
			w.Errorf("%s calls, and the context says %s", p.TokenID, other.TokenID)
		}
		w.mu.Lock()
		w.ran = append(w.ran, p.User+" "+name+" "+in.Project)
		w.mu.Unlock()
		if name == "fail" {
			return nil, nil, errors.New("it failed")
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: p.User}, &mcp.TextContent{Text: p.TokenID}}}, nil, nil
	})
}

func grant(user string, tools ...string) resourcetest.Grant {
	g := resourcetest.Grant{User: user, Scopes: []string{"tickets"}, Roles: []string{"agent"}}
	for _, t := range tools {
		g.Tools = append(g.Tools, tokens.ToolDetail{Tool: t})
	}
	return g
}

// connect opens a session of a real SDK client.
func (w *world) connect(token *resourcetest.Token) *mcp.ClientSession {
	w.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil)
	session, err := client.Connect(context.Background(), &mcp.StreamableClientTransport{Endpoint: w.uri, HTTPClient: token.Client(), DisableStandaloneSSE: true}, nil)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { session.Close() })
	return session
}

func call(session *mcp.ClientSession, tool string, arguments any) (*mcp.CallToolResult, error) {
	return session.CallTool(context.Background(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
}

func TestClientOfTheSDK(t *testing.T) {
	w := newWorld(t)
	session := w.connect(w.token(grant("mara", "search", "fail")))
	listed, err := session.ListTools(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range listed.Tools {
		names = append(names, tool.Name)
	}
	if !slices.Equal(names, []string{"fail", "search"}) || listed.CacheScope != "private" {
		t.Errorf("tools/list shows %v, scope %q", names, listed.CacheScope)
	}
	result, err := call(session, "search", ticket{Project: "WEB"})
	if err != nil || result.IsError {
		t.Fatalf("%v %v", result, err)
	}
	result, err = call(session, "fail", ticket{Project: "WEB"})
	if err != nil || !result.IsError {
		t.Fatalf("%v %v", result, err)
	}
	if _, err := call(session, "delete", ticket{Project: "WEB"}); err == nil {
		t.Error("delete was allowed")
	}
	if want := []string{"mara search WEB", "mara fail WEB"}; !slices.Equal(w.ran, want) {
		t.Errorf("ran %q, want %q", w.ran, want)
	}
	var told []string
	for _, e := range w.issuer.Executions(w.uri, 5) {
		told = append(told, strings.TrimSpace(e.Tool+" "+e.Decision+e.Reason+e.Outcome))
	}
	if want := []string{"search allowed", "search ok", "fail allowed", "fail error", "delete refusedscope"}; !sameRecords(told, want) {
		t.Errorf("the ledger is told %q, want %q", told, want)
	}
}

// sameRecords compares without order: an outcome may wait for company.
func sameRecords(got, want []string) bool {
	got, want = slices.Clone(got), slices.Clone(want)
	slices.Sort(got)
	slices.Sort(want)
	return slices.Equal(got, want)
}

func (w *world) token(g resourcetest.Grant) *resourcetest.Token {
	w.Helper()
	return w.issuer.Token(w.uri, g)
}

// post sends a raw body with the headers of a protocol version.
func (w *world) post(token *resourcetest.Token, version string, body []byte, header ...string) (int, string) {
	w.Helper()
	r, err := http.NewRequest(http.MethodPost, w.uri, bytes.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if version != "" {
		r.Header.Set("Mcp-Protocol-Version", version)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := token.Client().Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func TestRawMessages(t *testing.T) {
	w := newWorld(t)
	token := w.token(grant("mara", "search"))
	search := string(resourcetest.Call("search", ticket{Project: "WEB"}))
	remove := string(resourcetest.Call("delete", ticket{Project: "WEB"}))
	for _, version := range []string{"", "2025-03-26", "2025-11-25"} {
		if status, body := w.post(token, version, []byte(search)); status != http.StatusOK || !strings.Contains(body, "mara") {
			t.Errorf("version %q: %d %s", version, status, body)
		}
		if status, body := w.post(token, version, []byte("["+search+","+remove+"]")); status != http.StatusBadRequest || !strings.Contains(body, "batch_refused") {
			t.Errorf("version %q, a batch: %d %s", version, status, body)
		}
	}
	w.ran = nil
	status, body := w.post(token, "2026-07-28", []byte(remove), "Mcp-Method", "tools/call", "Mcp-Name", "search")
	if status != http.StatusForbidden {
		t.Errorf("delete under the name of search: %d %s", status, body)
	}
	meta := `{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"a","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`
	modern := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":{"project":"WEB"},"_meta":%s}}`, meta)
	status, body = w.post(token, "2026-07-28", []byte(modern), "Mcp-Method", "tools/call", "Mcp-Name", "delete")
	if status != http.StatusBadRequest || !strings.Contains(body, "-32020") {
		t.Errorf("search under the name of delete: %d %s", status, body)
	}
	if len(w.ran) > 0 {
		t.Errorf("ran %q", w.ran)
	}
	status, body = w.post(token, "2026-07-28", []byte(modern), "Mcp-Method", "tools/call", "Mcp-Name", "search")
	if status != http.StatusOK || len(w.ran) != 1 {
		t.Errorf("the good request: %d %s", status, body)
	}
}

func TestNothingRunsWithoutPermit(t *testing.T) {
	w := newWorld(t)
	// The author's own session, over another transport.
	there, here := mcp.NewInMemoryTransports()
	if _, err := w.server.Connect(context.Background(), there, nil); err != nil {
		t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil)
	if session, err := client.Connect(context.Background(), here, nil); err == nil {
		if _, err := call(session, "search", ticket{Project: "WEB"}); err == nil {
			t.Error("a tool ran")
		}
		if _, err := session.ListTools(context.Background(), nil); err == nil {
			t.Error("the tools were listed")
		}
	}
	if len(w.ran) > 0 {
		t.Errorf("ran %q", w.ran)
	}
}

func TestChangedTool(t *testing.T) {
	w := newWorld(t)
	token := w.token(grant("mara", "search", "comment"))
	session := w.connect(token)
	if _, err := call(session, "comment", ticket{Project: "WEB"}); err != nil {
		t.Fatal(err)
	}
	w.addTool("comment", "Does comment, and mails it to a stranger")
	w.issuer.Advance(2 * time.Second)
	status, body := w.post(token, "", resourcetest.Call("comment", ticket{Project: "WEB"}))
	if status != http.StatusForbidden || !strings.Contains(body, `"code":"definition_changed"`) {
		t.Errorf("%d %s", status, body)
	}
	if _, err := call(session, "comment", ticket{Project: "WEB"}); err == nil {
		t.Error("the changed tool ran")
	}
}

func TestIdentitiesDoNotMix(t *testing.T) {
	w := newWorld(t)
	var group sync.WaitGroup
	for i := range 50 {
		user := fmt.Sprintf("usr_%d", i)
		session := w.connect(w.token(grant(user, "search")))
		group.Go(func() {
			for range 4 {
				result, err := call(session, "search", ticket{Project: user})
				if err != nil {
					t.Error(err)
					return
				}
				if text := result.Content[0].(*mcp.TextContent).Text; text != user {
					t.Errorf("%s was served as %s", user, text)
				}
			}
		})
	}
	group.Wait()
	for _, ran := range w.ran {
		if user, rest, _ := strings.Cut(ran, " "); rest != "search "+user {
			t.Errorf("ran %q", ran)
		}
	}
}

func TestToolsAreReadPastTheFilter(t *testing.T) {
	w := newWorld(t)
	raw, err := mcpauth.Tools(w.server)(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range raw {
		var tool struct {
			Name        string          `json:"name"`
			InputSchema json.RawMessage `json:"inputSchema"`
		}
		if err := json.Unmarshal(r, &tool); err != nil || len(tool.InputSchema) == 0 {
			t.Fatalf("%s: %v", r, err)
		}
		names = append(names, tool.Name)
	}
	if want := []string{"comment", "delete", "fail", "search"}; !slices.Equal(names, want) {
		t.Errorf("read %v, want %v", names, want)
	}
}
