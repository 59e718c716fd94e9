package gateway_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens/resource/gateway"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// keeper is a server that keeps sessions and streams, by hand, so that it can do what no SDK does.
type keeper struct {
	testing.TB
	web *httptest.Server

	mu       sync.Mutex
	tools    string // entries of tools/list
	sessions int
	ended    []string
	seen     []http.Header // of GET
	streams  map[string]chan string
	answer   func(id string) string // of tools/call, whole events; "": JSON
}

const keeperTools = `{"name":"search","inputSchema":{"type":"object","properties":{"project":{"type":"string","x-mcp-header":"Project"},"text":{}}}},{"name":"delete","inputSchema":{"type":"object"}}`

func newKeeper(t testing.TB) *keeper {
	k := &keeper{TB: t, tools: keeperTools, streams: map[string]chan string{}}
	k.web = httptest.NewServer(k)
	t.Cleanup(func() {
		k.web.CloseClientConnections()
		k.web.Close()
	})
	return k
}

func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	session := r.Header.Get("Mcp-Session-Id")
	switch r.Method {
	case http.MethodGet:
		k.stream(w, r, session)
	case http.MethodDelete:
		k.mu.Lock()
		k.ended = append(k.ended, session)
		k.mu.Unlock()
	default:
		k.message(w, r)
	}
}

func (k *keeper) message(w http.ResponseWriter, r *http.Request) {
	var m struct {
		ID     json.RawMessage
		Method string
	}
	if json.NewDecoder(r.Body).Decode(&m) != nil || len(m.ID) == 0 {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	result := `{}`
	switch m.Method {
	case "initialize":
		k.sessions++
		w.Header().Set("Mcp-Session-Id", fmt.Sprintf("upstream-%d", k.sessions))
		result = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"keeper","version":"1"}}`
	case "tools/list":
		result = `{"tools":[` + k.tools + `]}`
	case "tools/call":
		result = `{"content":[]}`
		k.seen = append(k.seen, r.Header.Clone())
		if k.answer != nil {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, k.answer(string(m.ID)))
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)
}

func (k *keeper) stream(w http.ResponseWriter, r *http.Request, session string) {
	said := k.channel(session + r.Header.Get("Last-Event-Id"))
	k.mu.Lock()
	k.seen = append(k.seen, r.Header.Clone())
	k.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case text, open := <-said:
			if !open {
				return
			}
			io.WriteString(w, text)
		case <-r.Context().Done():
			return
		}
	}
}

// channel is what is said on a stream, named by its session and the event that it begins after.
func (k *keeper) channel(stream string) chan string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.streams[stream] == nil {
		k.streams[stream] = make(chan string, 10)
	}
	return k.streams[stream]
}

// say says something on a stream, once somebody listens.
func (k *keeper) say(stream, text string) { k.channel(stream) <- text }

// opened is an agent's session at the gateway.
func (w *world) opened(client *http.Client) string {
	w.Helper()
	resp := w.post("/mcp", client, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}`)
	id := resp.Header.Get("Mcp-Session-Id")
	if raw := text(w, resp); id == "" || strings.HasPrefix(id, "upstream") || !strings.Contains(raw, `"listChanged":true`) {
		w.Fatalf("session %q: %s", id, raw)
	}
	return id
}

// get opens a stream; headers come in pairs.
func (w *world) get(client *http.Client, method string, header ...string) *http.Response {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, w.base+"/mcp", nil)
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { resp.Body.Close() })
	return resp
}

// frame reads one event off a stream.
func frame(t testing.TB, lines *bufio.Scanner) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for lines.Scan() {
		if lines.Text() == "" && len(fields) > 0 {
			return fields
		}
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			fields[name] = strings.TrimPrefix(value, " ")
		}
	}
	return fields
}

func TestStreams(t *testing.T) {
	k := newKeeper(t)
	w := newWorld(t, map[string]gateway.Upstream{"/mcp": {URL: k.web.URL}})
	token := w.token("/mcp", "mara", "search")
	client := token.Client()
	session := w.opened(client)
	resp := w.get(client, http.MethodGet, "Mcp-Session-Id", session, "Mcp-Protocol-Version", "2025-11-25", "Cookie", "a=b", "X-Api-Key", "x")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" || !strings.HasPrefix(resp.Header.Get("Cache-Control"), "private") {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	const upstream = "upstream-2" // the first session is the gateway's own
	for _, text := range []string{
		": still here\n\n",
		"id: one\nretry: 500\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":1}}\n\n",
		"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/strange\"}\n\n",
		"data: {\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{\"content\":[]}}\n\n", // an answer where none is due
		"data: {\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"sampling/createMessage\",\"params\":{}}\n\n",
		"id: two\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":2}}\n\n",
	} {
		k.say(upstream, text)
	}
	if e := frame(t, lines); len(e) != 1 {
		t.Errorf("the comment came as %v", e)
	}
	first, second := frame(t, lines), frame(t, lines)
	if !strings.Contains(first["data"], `"data":1`) || first["retry"] != "500" || first["id"] == "" || first["id"] == "one" || !strings.Contains(second["data"], `"data":2`) {
		t.Errorf("came %v, then %v", first, second)
	}
	for _, h := range k.seen {
		if h.Get("Authorization")+h.Get("Dpop")+h.Get("Cookie")+h.Get("X-Api-Key") != "" {
			t.Errorf("the server gets %v", h)
		}
	}

	// The agent resumes after the first event; lists that it missed show what it may see.
	again := w.get(client, http.MethodGet, "Mcp-Session-Id", session, "Last-Event-ID", first["id"])
	k.say(upstream+"one", "id: three\ndata: {\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{\"tools\":["+strings.ReplaceAll(keeperTools, `"`, `"`)+"]}}\n\n")
	missed := frame(t, bufio.NewScanner(again.Body))
	if !strings.Contains(missed["data"], `"search"`) || strings.Contains(missed["data"], `"delete"`) {
		t.Errorf("the list that was missed is %s", missed["data"])
	}

	// Nobody else gets into it: another task of the same user and client, another session's event ids.
	other := w.token("/mcp", "mara", "search")
	if resp := w.get(other.Client(), http.MethodGet, "Mcp-Session-Id", session); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another task's stream: %d", resp.StatusCode)
	}
	if resp := w.get(other.Client(), http.MethodDelete, "Mcp-Session-Id", session); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another task's end of the session: %d", resp.StatusCode)
	}
	ofOther := w.opened(other.Client())
	for name, id := range map[string]string{"another session's": first["id"], "the server's own": "one", "forged": "b25l.AAAA"} {
		if resp := w.get(other.Client(), http.MethodGet, "Mcp-Session-Id", ofOther, "Last-Event-ID", id); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s event id: %d", name, resp.StatusCode)
		}
	}
	if resp := w.get(client, http.MethodGet); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != http.MethodPost {
		t.Errorf("a stream without a session: %d", resp.StatusCode)
	}

	// The stream ends with its task; the other's goes on, and its session ends when it says so.
	w.issuer.EndTask(token.Claims.Task.ID)
	if lines.Scan() {
		t.Errorf("after the end comes %q", lines.Text())
	}
	if resp := w.get(other.Client(), http.MethodDelete, "Mcp-Session-Id", ofOther); resp.StatusCode != http.StatusNoContent {
		t.Errorf("ending a session: %d", resp.StatusCode)
	}
	if resp := w.get(other.Client(), http.MethodGet, "Mcp-Session-Id", ofOther); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a stream in an ended session: %d", resp.StatusCode)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.ended) != 1 || k.ended[0] != "upstream-3" {
		t.Errorf("the server is told of the end of %v", k.ended)
	}
}

// TestBrokenAnswerIsResumed: a server closes the stream of a call before its answer, and the agent
// fetches it later (SEP-1699).
func TestBrokenAnswerIsResumed(t *testing.T) {
	k := newKeeper(t)
	k.answer = func(string) string { return "id: prime\ndata: \n\nretry: 10\n\n" }
	w := newWorld(t, map[string]gateway.Upstream{"/mcp": {URL: k.web.URL}})
	client := w.token("/mcp", "mara", "search").Client()
	session := w.opened(client)
	resp := w.post("/mcp", client, body("search", ticket{Project: "WEB"}), "Mcp-Session-Id", session)
	e := frame(t, bufio.NewScanner(resp.Body))
	if resp.StatusCode != http.StatusOK || e["id"] == "" || e["data"] != "" {
		t.Fatalf("%d %v", resp.StatusCode, e)
	}
	again := w.get(client, http.MethodGet, "Mcp-Session-Id", session, "Last-Event-ID", e["id"])
	k.say("upstream-2prime", "id: a\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"late\"}]}}\n\n")
	if e := frame(t, bufio.NewScanner(again.Body)); !strings.Contains(e["data"], "late") {
		t.Errorf("the late answer is %v", e)
	}

	// Without a session there is nothing to resume in: the broken stream is an error.
	if resp := w.post("/mcp", client, body("search", ticket{Project: "WEB"})); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("without a session: %d %s", resp.StatusCode, text(t, resp))
	}
}

// TestNewsOfTools: a server that says that its tools have changed is asked at once, and the
// administrator's picture follows, though nobody calls.
func TestNewsOfTools(t *testing.T) {
	k := newKeeper(t)
	w := newWorld(t, map[string]gateway.Upstream{"/mcp": {URL: k.web.URL}})
	k.mu.Lock()
	k.tools = strings.Replace(keeperTools, `"name":"search"`, `"name":"search","description":"Searches, and tells a stranger."`, 1)
	k.mu.Unlock()
	k.say("upstream-1", "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n")
	w.published("tells a stranger")
}

// published waits until the issuer has been told of a definition with these words.
func (w *world) published(words string) {
	w.Helper()
	w.issuer.WaitManifest(w.base+"/mcp", func(_ string, tools []json.RawMessage) bool {
		return slices.ContainsFunc(tools, func(raw json.RawMessage) bool { return strings.Contains(string(raw), words) })
	})
}

// TestPolling: a server that says nothing is asked now and then.
func TestPolling(t *testing.T) {
	u := newRemote(t, false)
	up := u.upstream()
	up.Poll = 10 * time.Millisecond
	w := newWorld(t, map[string]gateway.Upstream{"/mcp": up})
	u.add("search2")
	w.published("Does search2")
}

func TestArgumentsInHeaders(t *testing.T) {
	k := newKeeper(t)
	w := newWorld(t, map[string]gateway.Upstream{"/mcp": {URL: k.web.URL}})
	client := w.token("/mcp", "mara", "search").Client()
	tests := map[string]struct {
		project string
		header  []string
		status  int
		want    string
	}{
		"as in the body":           {"WEB", []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Param-Project", "WEB"}, 200, "WEB"},
		"not at all":               {"WEB", []string{"Mcp-Protocol-Version", "2026-07-28"}, 200, "WEB"},
		"wrapped":                  {"Größe", []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Param-Project", "=?base64?R3LDtsOfZQ==?="}, 200, "=?base64?R3LDtsOfZQ==?="},
		"another value":            {"WEB", []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Param-Project", "OPS"}, 400, ""},
		"another, an old protocol": {"WEB", []string{"Mcp-Protocol-Version", "2025-11-25", "Mcp-Param-Project", "OPS"}, 400, ""},
		"an old protocol":          {"WEB", []string{"Mcp-Protocol-Version", "2025-11-25"}, 200, ""},
		"one that nobody wants":    {"WEB", []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Param-Text", "x"}, 200, "WEB"},
	}
	for name, tt := range tests {
		k.mu.Lock()
		k.seen = nil
		k.mu.Unlock()
		resp := w.post("/mcp", client, body("search", ticket{Project: tt.project}), tt.header...)
		if raw := text(t, resp); resp.StatusCode != tt.status {
			t.Errorf("%s: %d %s", name, resp.StatusCode, raw)
			continue
		}
		if tt.status != http.StatusOK {
			if len(k.seen) > 0 {
				t.Errorf("%s: reached the server", name)
			}
			continue
		}
		if got := k.seen[0].Get("Mcp-Param-Project"); got != tt.want || k.seen[0].Get("Mcp-Param-Text") != "" {
			t.Errorf("%s: the server gets %q", name, got)
		}
	}
}

// TestEnrolsLater: the gateway starts before its authorization server and its upstream do.
func TestEnrolsLater(t *testing.T) {
	issuer := resourcetest.New(t)
	u := newRemote(t, false)
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	t.Cleanup(server.Close)
	up := u.upstream()
	up.Guard = issuer.Config(server.URL+"/mcp", policy, nil)
	issuer.Down(true)
	g, err := gateway.New(t.Context(), gateway.Config{Upstreams: []gateway.Upstream{up}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	handler = g
	for _, path := range []string{"/mcp", "/.well-known/oauth-protected-resource/mcp"} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s before enrolling: %d", path, resp.StatusCode)
		}
	}
	issuer.Down(false)
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &world{TB: t, issuer: issuer, gateway: g, base: server.URL}
	if resp := w.post("/mcp", w.token("/mcp", "mara", "search").Client(), body("search", ticket{Project: "WEB"})); resp.StatusCode != http.StatusOK {
		t.Errorf("once enrolled: %d %s", resp.StatusCode, text(t, resp))
	}
}

// TestClosesWhileItCannotEnrol: nothing hangs on an authorization server that never comes.
func TestClosesWhileItCannotEnrol(t *testing.T) {
	issuer := resourcetest.New(t)
	up := gateway.Upstream{URL: "http://127.0.0.1:1"}
	up.Guard = issuer.Config("http://127.0.0.1:1/mcp", policy, nil)
	g, err := gateway.New(t.Context(), gateway.Config{Upstreams: []gateway.Upstream{up}})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}
