package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/gateway"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

const policy = `
version: 1
scopes: {tickets: {roles: [agent]}, docs: {roles: [reader]}}
roles:
  agent: {tools: {search: {}, comment: {limits: {project: {const: WEB}}}, fail: {}, watch: {}, ask: {}, echo: {}, crash: {}, env: {}, slow: {}}}
  admin: {include: [agent], tools: {delete: {}}}
  reader: {resources: ["docs://handbook/**"], prompts: [summarise]}
`

// patience is how long anything is waited for.
const patience = 10 * time.Second

// world is a gateway with an issuer.
type world struct {
	testing.TB
	issuer  *resourcetest.Issuer
	gateway *gateway.Gateway
	base    string
	log     *journal
}

// journal collects a log.
type journal struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.changed)
	j.changed = make(chan struct{})
	return j.text.Write(b)
}

// wait waits until the log holds the text n times.
func (j *journal) wait(t testing.TB, text string, n int) {
	t.Helper()
	timeout := time.After(patience)
	for {
		j.mu.Lock()
		found, changed := strings.Count(j.text.String(), text) >= n, j.changed
		j.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("%q is not %d times in the log:\n%s", text, n, j.text.String())
		}
	}
}

// newWorld starts a gateway; paths are those of the resources on it.
func newWorld(t testing.TB, upstreams map[string]gateway.Upstream) *world {
	t.Helper()
	w := &world{TB: t, issuer: resourcetest.New(t), log: &journal{changed: make(chan struct{})}}
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	w.base = server.URL
	config := gateway.Config{Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for path, u := range upstreams {
		u.Guard = w.issuer.Config(w.base+path, policy, nil)
		config.Upstreams = append(config.Upstreams, u)
	}
	var err error
	if w.gateway, err = gateway.New(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := w.gateway.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := w.ready(); err != nil {
		t.Fatal(err)
	}
	handler = w.gateway
	return w
}

// ready waits until every Guard's view is fresh.
func (w *world) ready() error {
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	return w.gateway.Ready(ctx)
}

func (w *world) token(path, user string, tools ...string) *resourcetest.Token {
	w.Helper()
	g := resourcetest.Grant{User: user, Scopes: []string{"tickets"}, Roles: []string{"agent"}}
	for _, t := range tools {
		g.Tools = append(g.Tools, tokens.ToolDetail{Tool: t})
	}
	return w.issuer.Token(w.base+path, g)
}

// connect opens a session of a real SDK client.
func (w *world) connect(path string, token *resourcetest.Token) *mcp.ClientSession {
	w.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil)
	session, err := client.Connect(w.Context(), &mcp.StreamableClientTransport{Endpoint: w.base + path, HTTPClient: token.Client(), DisableStandaloneSSE: true}, nil)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { session.Close() })
	return session
}

// post sends a raw message; headers come in pairs.
func (w *world) post(path string, client *http.Client, body string, header ...string) *http.Response {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.base+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { resp.Body.Close() })
	return resp
}

func text(t testing.TB, resp *http.Response) string {
	t.Helper()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func body(tool string, arguments any) string { return string(resourcetest.Call(tool, arguments)) }

// outcome waits for how the only call of a resource ended.
func (w *world) outcome(path string, records int) string {
	w.Helper()
	for _, e := range w.issuer.Executions(w.base+path, records) {
		if e.Outcome != "" {
			return e.Outcome
		}
	}
	w.Fatal("no outcome was recorded")
	return ""
}

type ticket struct {
	Project string `json:"project"`
	Text    string `json:"text,omitempty"`
}

// remote is a server of the SDK on streamable HTTP, and all that reached it.
type remote struct {
	server  *mcp.Server
	web     *httptest.Server
	release chan struct{} // ends watch

	mu     sync.Mutex
	seen   []http.Header // of tools/call
	bodies []string
	asked  error // what became of the question that ask asked
}

func newRemote(t testing.TB, stateful bool) *remote {
	u := &remote{release: make(chan struct{}), server: mcp.NewServer(&mcp.Implementation{Name: "tickets", Version: "1"}, &mcp.ServerOptions{PageSize: 3})}
	for _, name := range []string{"search", "comment", "fail", "delete", "watch", "ask"} {
		u.add(name)
	}
	sdk := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return u.server }, &mcp.StreamableHTTPOptions{Stateless: !stateful})
	u.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if bytes.Contains(raw, []byte(`"tools/call"`)) {
			u.mu.Lock()
			u.seen, u.bodies = append(u.seen, r.Header.Clone()), append(u.bodies, string(raw))
			u.mu.Unlock()
		}
		r.Body = io.NopCloser(bytes.NewReader(raw))
		w.Header().Set("Set-Cookie", "a=b")
		sdk.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		u.web.CloseClientConnections()
		u.web.Close()
	})
	t.Cleanup(func() { close(u.release) })
	return u
}

func (u *remote) add(name string) {
	mcp.AddTool(u.server, &mcp.Tool{Name: name, Description: "Does " + name}, func(ctx context.Context, req *mcp.CallToolRequest, in ticket) (*mcp.CallToolResult, any, error) {
		switch name {
		case "fail":
			return nil, nil, errors.New("it failed")
		case "watch":
			for range 2 {
				if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: 1}); err != nil {
					return nil, nil, err
				}
			}
			<-u.release
		case "ask":
			_, err := req.Session.Elicit(ctx, &mcp.ElicitParams{Message: "Your password?", RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{}}})
			u.mu.Lock()
			u.asked = err
			u.mu.Unlock()
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: name + " " + in.Project}}}, nil, nil
	})
}

func (u *remote) upstream() gateway.Upstream { return gateway.Upstream{URL: u.web.URL} }

func names(t testing.TB, session *mcp.ClientSession) []string {
	t.Helper()
	var all []string
	for tool, err := range session.Tools(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tool.Name)
	}
	slices.Sort(all)
	return all
}

func call(t testing.TB, session *mcp.ClientSession, tool string, arguments any) (*mcp.CallToolResult, error) {
	return session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
}

// rpcOf reads the error of an answer, from JSON or from its last event.
func rpcOf(raw string) (message, code string) {
	var e struct {
		Error struct {
			Message string
			Data    struct {
				Reason string
				Code   resource.Code
			}
		}
	}
	for line := range strings.Lines(raw) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			raw = data
		}
	}
	if json.Unmarshal([]byte(raw), &e) != nil {
		return raw, ""
	}
	if e.Error.Data.Code != "" {
		return e.Error.Message, string(e.Error.Data.Code)
	}
	return e.Error.Message, e.Error.Data.Reason
}
