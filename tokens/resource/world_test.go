package resource_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

const ticketsPolicy = `
version: 1
baseline: [tickets.read]
scopes:
  tickets.read:  {title: "Read tickets", roles: [reader]}
  tickets.write: {title: "Work on tickets", roles: [reader, agent]}
roles:
  reader: {tools: {search_tickets: {limits: {limit: {maximum: 50}}}, get_ticket: {}}}
  agent:  {include: [reader], tools: {add_comment: {max_calls: 2}, email_customer: {}}}
  admin:  {include: [agent], tools: {delete_ticket: {}, purge_cache: {}}}
`

const searchSchema = `{"type":"object","properties":{"query":{"type":"string"},"project":{"type":"string"},"limit":{"type":"integer"}},"required":["project"]}`

// world is an MCP server of the simplest kind under a Guard, with its issuer.
type world struct {
	*testing.T
	issuer *resourcetest.Issuer
	guard  *resource.Guard
	config resource.Config
	server *httptest.Server
	uri    string

	mu    sync.Mutex
	tools []json.RawMessage
	ran   []resource.Principal // one for each request that reached the server
	sent  []string             // its body
	serve http.HandlerFunc     // what the server does besides; may be nil
}

func newWorld(t *testing.T, adjust ...func(*resource.Config)) *world {
	t.Helper()
	w := &world{T: t, issuer: resourcetest.New(t)}
	for _, name := range []string{"search_tickets", "get_ticket", "add_comment", "email_customer", "delete_ticket", "unmapped_tool"} {
		w.tools = append(w.tools, definition(name, "Does "+name))
	}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mux := http.NewServeMux()
		mux.Handle("/.well-known/", w.guard.Metadata())
		mux.Handle("/mcp", w.guard.Protect(http.HandlerFunc(w.tool)))
		mux.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.server.Close)
	w.uri = w.server.URL + "/mcp"
	w.config = w.issuer.Config(w.uri, ticketsPolicy, w.list)
	for _, a := range adjust {
		a(&w.config)
	}
	w.guard = w.issuer.Guard(w.config)
	return w
}

func definition(name, description string) json.RawMessage {
	raw, err := json.Marshal(map[string]any{"name": name, "description": description, "inputSchema": json.RawMessage(searchSchema)})
	if err != nil {
		panic(err)
	}
	return raw
}

func (w *world) list(context.Context) ([]json.RawMessage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tools, nil
}

// tool is the protected server.
func (w *world) tool(rw http.ResponseWriter, r *http.Request) {
	p, ok := resource.PrincipalFrom(r.Context())
	body, _ := io.ReadAll(r.Body)
	if !ok || r.Header.Get("Authorization") != "" || r.Header.Get("DPoP") != "" {
		w.Error("the server saw a request without principal or with credentials")
	}
	w.mu.Lock()
	w.ran, w.sent = append(w.ran, p), append(w.sent, string(body))
	serve := w.serve
	w.mu.Unlock()
	if serve != nil {
		serve(rw, r)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	json.NewEncoder(rw).Encode(map[string]any{"jsonrpc": "2.0", "id": 1, "result": map[string]any{"user": p.User}})
}

func (w *world) calls() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.ran)
}

// reader is a plain grant: two tools of a reader.
func reader() resourcetest.Grant {
	return resourcetest.Grant{
		Scopes: []string{"tickets.read"}, Roles: []string{"agent"},
		Tools: []tokens.ToolDetail{{Tool: "search_tickets"}, {Tool: "get_ticket"}},
	}
}

func (w *world) token(g resourcetest.Grant) *resourcetest.Token {
	w.Helper()
	return w.issuer.Token(w.uri, g)
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   string
	denial struct {
		ID    json.RawMessage `json:"id"`
		Error struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
			Data    struct {
				Reason, Code, Remediation, Tool, Task, Hint string
			} `json:"data"`
		} `json:"error"`
	}
}

func (w *world) do(client *http.Client, r *http.Request) answer {
	w.Helper()
	resp, err := client.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(raw)}
	_ = json.Unmarshal(raw, &a.denial)
	return a
}

func (w *world) request(body []byte) *http.Request {
	w.Helper()
	r, err := http.NewRequest(http.MethodPost, w.uri, bytes.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

// call sends one tools/call the right way.
func (w *world) call(t *resourcetest.Token, tool string, arguments any) answer {
	w.Helper()
	return w.send(t, resourcetest.Call(tool, arguments))
}

func (w *world) send(t *resourcetest.Token, body []byte) answer {
	w.Helper()
	return w.do(t.Client(), w.request(body))
}

// nonce asks the Guard for one.
func (w *world) nonce(t *resourcetest.Token) string {
	w.Helper()
	r := w.request([]byte("{}"))
	if err := t.Sign(r, ""); err != nil {
		w.Fatal(err)
	}
	return w.do(http.DefaultClient, r).header.Get("DPoP-Nonce")
}

// signed is a good request that is not sent yet.
func (w *world) signed(t *resourcetest.Token, body []byte) *http.Request {
	w.Helper()
	r := w.request(body)
	if err := t.Sign(r, w.nonce(t)); err != nil {
		w.Fatal(err)
	}
	return r
}

// wants checks status and code; the challenge of a refusal begins with Bearer.
func (w *world) wants(a answer, status int, code resource.Code) {
	w.Helper()
	if a.status != status || a.denial.Error.Data.Code != string(code) {
		w.Errorf("got %d %q, want %d %q: %s", a.status, a.denial.Error.Data.Code, status, code, a.body)
	}
	if c := a.header.Values("WWW-Authenticate"); status == http.StatusUnauthorized &&
		(len(c) != 2 || !strings.HasPrefix(c[0], "Bearer ") || !strings.HasPrefix(c[1], "DPoP ")) {
		w.Errorf("challenges %q, want Bearer, then DPoP", c)
	}
}

// good checks that a good request is answered: what came before it has broken nothing.
func (w *world) good() {
	w.Helper()
	if a := w.call(w.token(reader()), "search_tickets", web); a.status != http.StatusOK {
		w.Fatalf("the good request got %d: %s", a.status, a.body)
	}
}

// web are arguments within every limit.
var web = map[string]any{"project": "WEB", "limit": 5}
