package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens/resource/gateway"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

func TestServersOfTheSDK(t *testing.T) {
	for name, stateful := range map[string]bool{"stateless": false, "stateful": true} {
		t.Run(name, func(t *testing.T) {
			u := newRemote(t, stateful)
			w := newWorld(t, map[string]gateway.Upstream{"/mcp": u.upstream()})
			session := w.connect("/mcp", w.token("/mcp", "mara", "search", "comment", "fail"))
			if got := names(t, session); !slices.Equal(got, []string{"comment", "fail", "search"}) { // pages of three
				t.Errorf("tools/list shows %v", got)
			}
			if stateful != (session.ID() != "") {
				t.Errorf("the session is %q", session.ID())
			}
			if caps, err := json.Marshal(session.InitializeResult().Capabilities); err != nil || string(caps) != map[bool]string{false: `{"tools":{}}`, true: `{"tools":{"listChanged":true}}`}[stateful] {
				t.Errorf("the capabilities are %s %v", caps, err)
			}
			if result, err := call(t, session, "search", ticket{Project: "WEB"}); err != nil || result.IsError {
				t.Errorf("search: %v %v", result, err)
			}
			if result, err := call(t, session, "fail", ticket{Project: "WEB"}); err != nil || !result.IsError {
				t.Errorf("fail: %v %v", result, err)
			}
			for tool, in := range map[string]ticket{"delete": {Project: "WEB"}, "comment": {Project: "OPS"}, "watch": {Project: "WEB"}} {
				if _, err := call(t, session, tool, in); err == nil {
					t.Errorf("%s was allowed", tool)
				}
			}
			var told []string
			for _, e := range w.issuer.Executions(w.base+"/mcp", 7) {
				told = append(told, e.Tool+" "+e.Decision+e.Outcome)
			}
			slices.Sort(told)
			want := []string{"comment refused", "delete refused", "fail allowed", "fail error", "search allowed", "search ok", "watch refused"}
			if !slices.Equal(told, want) {
				t.Errorf("the ledger is told %q", told)
			}
			if len(u.seen) != 2 {
				t.Errorf("%d calls reached the server", len(u.seen))
			}
		})
	}
}

func TestHeaderHygiene(t *testing.T) {
	u := newRemote(t, false)
	up := u.upstream()
	up.Credential = &gateway.Credential{Header: "X-Api-Key", Value: "sesame"}
	w := newWorld(t, map[string]gateway.Upstream{"/mcp": up})
	token := w.token("/mcp", "mara", "search")
	resp := w.post("/mcp", token.Client(), ` {"jsonrpc":"2.0", "id":7,"method":"tools/call","params":{"arguments":{"text":"a\u0062","project":"WEB"},"name":"search"}}`,
		"Cookie", "session=1", "Forwarded", "for=1.2.3.4", "X-Forwarded-For", "1.2.3.4", "X-Forwarded-Host", "evil", "X-Real-Ip", "1.2.3.4",
		"X-Api-Key", "the agent's own", "Connection", "keep-alive, X-Hop", "X-Hop", "1", "Te", "trailers", "Proxy-Authorization", "Basic eA==",
		"Authorization-Extra", token.Raw, "Mcp-Param-Project", "OPS", "Origin", w.base, "Referer", "http://evil/", "Last-Event-Id", "3",
		"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Mcp-Protocol-Version", "2025-11-25")
	if raw := text(t, resp); resp.StatusCode != http.StatusOK || !strings.Contains(raw, `"id":7`) {
		t.Fatalf("%d %s", resp.StatusCode, raw)
	}
	if len(resp.Header.Values("Set-Cookie")) > 0 || !strings.HasPrefix(resp.Header.Get("Cache-Control"), "private") {
		t.Errorf("the answer's headers are %v", resp.Header)
	}
	if len(u.seen) != 1 {
		t.Fatalf("%d calls reached the server", len(u.seen))
	}
	allowed := []string{"Accept", "Accept-Encoding", "Content-Length", "Content-Type", "Mcp-Protocol-Version", "Traceparent", "User-Agent", "X-Api-Key"}
	for name, values := range u.seen[0] {
		if !slices.Contains(allowed, name) {
			t.Errorf("the server gets %s: %v", name, values)
		}
	}
	if got := u.seen[0].Values("X-Api-Key"); !slices.Equal(got, []string{"sesame"}) {
		t.Errorf("the server gets X-Api-Key: %v", got)
	}
	if want := `"arguments":{"project":"WEB","text":"ab"}`; !strings.Contains(u.bodies[0], want) { // as it was checked
		t.Errorf("the server gets %s", u.bodies[0])
	}
}

func TestHeadersAgreeWithTheBody(t *testing.T) {
	u := newRemote(t, false)
	w := newWorld(t, map[string]gateway.Upstream{"/mcp": u.upstream()})
	client := w.token("/mcp", "mara", "search").Client()
	for name, header := range map[string][]string{
		"another method":       {"Mcp-Method", "tools/list"},
		"another tool":         {"Mcp-Name", "delete"},
		"another tool, hidden": {"Mcp-Name", "=?base64?ZGVsZXRl?="},
		"no base64":            {"Mcp-Name", "=?base64?*?="},
		"two tools":            {"Mcp-Name", "search", "Mcp-Name", "delete"},
	} {
		if resp := w.post("/mcp", client, body("search", ticket{Project: "WEB"}), header...); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, resp.StatusCode, text(t, resp))
		}
	}
	if len(u.seen) > 0 {
		t.Errorf("%d calls reached the server", len(u.seen))
	}
	resp := w.post("/mcp", client, body("search", ticket{Project: "WEB"}), "Mcp-Method", "tools/call", "Mcp-Name", "=?base64?c2VhcmNo?=")
	if resp.StatusCode != http.StatusOK || u.seen[0].Get("Mcp-Name") != "search" {
		t.Errorf("the good request: %d %s", resp.StatusCode, text(t, resp))
	}
}

// watching is a call that streams, with its first event.
func watching(w *world, client *http.Client, header ...string) (*http.Response, *bufio.Reader) {
	w.Helper()
	resp := w.post("/mcp", client, `{"jsonrpc":"2.0","id":"w","method":"tools/call","params":{"name":"watch","arguments":{"project":"WEB"},"_meta":{"progressToken":"p"}}}`, header...)
	r := bufio.NewReader(resp.Body)
	for line := ""; !strings.Contains(line, "notifications/progress"); { // flushed as it comes: the tool has not returned
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			w.Fatalf("%d %v", resp.StatusCode, err)
		}
	}
	return resp, r
}

// TestStreamsEndWithTheirTask is RS13 of the attack catalogue.
func TestStreamsEndWithTheirTask(t *testing.T) {
	for _, stateful := range []bool{false, true} {
		for name, end := range map[string]func(*resourcetest.Issuer, *resourcetest.Token){
			"task_ended":     func(i *resourcetest.Issuer, t *resourcetest.Token) { i.EndTask(t.Claims.Task.ID) },
			"task_suspended": func(i *resourcetest.Issuer, t *resourcetest.Token) { i.SuspendTask(t.Claims.Task.ID) },
			"token_revoked":  func(i *resourcetest.Issuer, t *resourcetest.Token) { i.RevokeToken(t.Claims.ID) },
			"stale_view": func(i *resourcetest.Issuer, _ *resourcetest.Token) {
				i.Silence(true)
				i.Advance(11 * time.Second)
			},
		} {
			t.Run(name, func(t *testing.T) {
				u := newRemote(t, stateful)
				w := newWorld(t, map[string]gateway.Upstream{"/mcp": u.upstream()})
				token := w.token("/mcp", "mara", "watch")
				client, header := token.Client(), []string(nil)
				if stateful {
					header = []string{"Mcp-Session-Id", open(w, client)}
				}
				resp, events := watching(w, client, header...)
				began := time.Now()
				end(w.issuer, token)
				var rest strings.Builder
				if _, err := events.WriteTo(&rest); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("the stream lasted for %v", took)
				}
				if _, code := rpcOf(rest.String()); code != name || resp.StatusCode != http.StatusOK {
					t.Errorf("the last event is %q", rest.String())
				}
				w.issuer.Silence(false)
				if got := w.outcome("/mcp", 2); got != "error" {
					t.Errorf("the outcome is %q", got)
				}
			})
		}
	}
}

func TestServersAskNothing(t *testing.T) {
	u := newRemote(t, true)
	w := newWorld(t, map[string]gateway.Upstream{"/mcp": u.upstream()})
	client := w.token("/mcp", "mara", "ask").Client()
	id := open(w, client)
	resp := w.post("/mcp", client, body("ask", ticket{Project: "WEB"}), "Mcp-Session-Id", id, "Mcp-Protocol-Version", "2025-11-25")
	if raw := text(t, resp); !strings.Contains(raw, "ask WEB") || strings.Contains(raw, "password") {
		t.Errorf("%d %s", resp.StatusCode, raw)
	}
	if u.asked == nil || !strings.Contains(u.asked.Error(), "not available") {
		t.Errorf("the question was answered with %v", u.asked)
	}
}

// open opens a session, raw.
func open(w *world, client *http.Client) string {
	w.Helper()
	resp := w.post("/mcp", client, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{"form":{}}},"clientInfo":{"name":"a","version":"1"}}}`)
	id := resp.Header.Get("Mcp-Session-Id")
	if raw := text(w, resp); id == "" {
		w.Fatalf("initialize: %d %s", resp.StatusCode, raw)
	}
	if resp := w.post("/mcp", client, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "Mcp-Session-Id", id); resp.StatusCode != http.StatusAccepted {
		w.Fatalf("initialized: %d", resp.StatusCode)
	}
	return id
}

func TestSessionsHaveOwners(t *testing.T) {
	u := newRemote(t, true)
	w := newWorld(t, map[string]gateway.Upstream{"/mcp": u.upstream()})
	mara, eve := w.token("/mcp", "mara", "search").Client(), w.token("/mcp", "eve", "search").Client()
	id := open(w, mara)
	search := body("search", ticket{Project: "WEB"})
	if resp := w.post("/mcp", mara, search, "Mcp-Session-Id", id); resp.StatusCode != http.StatusOK {
		t.Fatalf("Mara's own session: %d %s", resp.StatusCode, text(t, resp))
	}
	server := u.seen[0].Get("Mcp-Session-Id")
	if server == "" || server == id {
		t.Errorf("the agent's id is %q, the server's %q", id, server)
	}
	for name, one := range map[string]struct {
		client *http.Client
		id     string
	}{"another user's": {eve, id}, "the server's own": {mara, server}, "none": {mara, "x"}} {
		if resp := w.post("/mcp", one.client, search, "Mcp-Session-Id", one.id); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d %s", name, resp.StatusCode, text(t, resp))
		}
	}
	w.issuer.Advance(31 * time.Minute)
	if resp := w.post("/mcp", w.token("/mcp", "mara", "search").Client(), search, "Mcp-Session-Id", id); resp.StatusCode == http.StatusOK {
		t.Errorf("an old session: %d", resp.StatusCode)
	}
	if len(u.seen) != 1 {
		t.Errorf("%d calls reached the server", len(u.seen))
	}
}

func TestSessionsAreBounded(t *testing.T) {
	u := newRemote(t, true)
	w := newWorld(t, map[string]gateway.Upstream{"/mcp": u.upstream()})
	mara, eve := w.token("/mcp", "mara", "search").Client(), w.token("/mcp", "eve", "search").Client()
	ofEve, first := open(w, eve), open(w, mara)
	for range 32 {
		open(w, mara)
	}
	search := body("search", ticket{Project: "WEB"})
	if resp := w.post("/mcp", mara, search, "Mcp-Session-Id", first); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the oldest of too many: %d", resp.StatusCode)
	}
	if resp := w.post("/mcp", eve, search, "Mcp-Session-Id", ofEve); resp.StatusCode != http.StatusOK {
		t.Errorf("somebody else's: %d %s", resp.StatusCode, text(t, resp))
	}
}

func TestUpstreamIsDown(t *testing.T) {
	u := newRemote(t, false)
	w := newWorld(t, map[string]gateway.Upstream{"/mcp": u.upstream()})
	client := w.token("/mcp", "mara", "search").Client()
	if resp := w.post("/mcp", client, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); resp.StatusCode != http.StatusOK { // the definitions are fresh now
		t.Fatal(text(t, resp))
	}
	u.web.CloseClientConnections()
	u.web.Close()
	resp := w.post("/mcp", client, body("search", ticket{Project: "WEB"}))
	raw := text(t, resp)
	if _, reason := rpcOf(raw); resp.StatusCode != http.StatusBadGateway || reason != "upstream_unavailable" {
		t.Errorf("%d %s", resp.StatusCode, raw)
	}
	if got := w.outcome("/mcp", 2); got != "error" {
		t.Errorf("the outcome is %q", got)
	}
	w.issuer.Advance(2 * time.Second) // nothing stale is kept
	if resp := w.post("/mcp", client, body("search", ticket{Project: "WEB"})); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%d %s", resp.StatusCode, text(t, resp))
	}
}

func TestBadUpstreamAnswers(t *testing.T) {
	u := newRemote(t, false)
	stolen := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	t.Cleanup(stolen.Close)
	answers := map[string]func(http.ResponseWriter){
		"a redirect":  func(w http.ResponseWriter) { w.Header().Set("Location", stolen.URL); w.WriteHeader(307) },
		"a challenge": func(w http.ResponseWriter) { w.Header().Set("WWW-Authenticate", "Bearer"); w.WriteHeader(401) },
		"a fault":     func(w http.ResponseWriter) { w.WriteHeader(500) },
		"a page":      func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/html"); w.Write([]byte("<p>")) },
		"no message":  func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/json"); w.Write([]byte(`{}`)) },
		"an array":    func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/json"); w.Write([]byte(`[]`)) },
		"another's answer": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`{"jsonrpc":"2.0","id":2,"result":{}}`))
		},
		"a stream that breaks": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Write([]byte("data: {\"jsonrpc\""))
		},
		"a stream with nothing": func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/event-stream") },
	}
	var answer func(http.ResponseWriter)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer != nil && r.ContentLength > 0 {
			answer(w)
			return
		}
		u.web.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	w := newWorld(t, map[string]gateway.Upstream{"/mcp": {URL: front.URL}})
	client := w.token("/mcp", "mara", "search").Client()
	for name, one := range answers {
		answer = nil
		if resp := w.post("/mcp", client, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); resp.StatusCode != http.StatusOK {
			t.Fatal(text(t, resp))
		}
		answer = one
		resp := w.post("/mcp", client, body("search", ticket{Project: "WEB"}))
		raw := text(t, resp)
		if _, reason := rpcOf(raw); resp.StatusCode != http.StatusBadGateway || reason != "upstream_unavailable" || resp.Header.Get("WWW-Authenticate")+resp.Header.Get("Location") != "" {
			t.Errorf("%s: %d %s", name, resp.StatusCode, raw)
		}
	}
	answer = nil
}

func TestSeveralUpstreams(t *testing.T) {
	a, b := newRemote(t, false), newRemote(t, false)
	w := newWorld(t, map[string]gateway.Upstream{"/a": a.upstream(), "/b": b.upstream()})
	atA := w.token("/a", "mara", "search").Client()
	if resp := w.post("/a", atA, body("search", ticket{Project: "WEB"})); resp.StatusCode != http.StatusOK || len(a.seen) != 1 {
		t.Errorf("%d %s", resp.StatusCode, text(t, resp))
	}
	if resp := w.post("/b", atA, body("search", ticket{Project: "WEB"})); resp.StatusCode != http.StatusUnauthorized || len(b.seen) != 0 {
		t.Errorf("%d %s", resp.StatusCode, text(t, resp))
	}
	for path, status := range map[string]int{
		"/.well-known/oauth-protected-resource/a": 200, "/.well-known/oauth-protected-resource/b": 200,
		"/.well-known/oauth-protected-resource": 404, "/c": 404, "/a/x": 404, "/a": 401,
	} {
		resp, err := http.Get(w.base + path)
		if err != nil {
			t.Fatal(err)
		}
		raw := text(t, resp)
		if resp.Body.Close(); resp.StatusCode != status || status == 200 && !strings.Contains(raw, `"resource":"`+w.base+path[len(path)-2:]+`"`) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, raw)
		}
	}
}

func TestChangedTool(t *testing.T) {
	u := newRemote(t, false)
	w := newWorld(t, map[string]gateway.Upstream{"/mcp": u.upstream()})
	client := w.token("/mcp", "mara", "search").Client()
	if resp := w.post("/mcp", client, body("search", ticket{Project: "WEB"})); resp.StatusCode != http.StatusOK {
		t.Fatal(text(t, resp))
	}
	u.server.RemoveTools("search")
	u.add("search2")
	w.issuer.Advance(2 * time.Second)
	if resp := w.post("/mcp", client, body("search", ticket{Project: "WEB"})); resp.StatusCode != http.StatusForbidden {
		t.Errorf("%d %s", resp.StatusCode, text(t, resp))
	}
}

func TestNewRefuses(t *testing.T) {
	issuer := resourcetest.New(t)
	tests := map[string][]gateway.Upstream{
		"no upstream":                    nil,
		"neither":                        {{}},
		"both":                           {{URL: "http://127.0.0.1:1", Command: []string{"true"}}},
		"another scheme":                 {{URL: "ftp://127.0.0.1/"}},
		"a user in the URL":              {{URL: "http://u:p@127.0.0.1/"}},
		"a credential in the clear":      {{URL: "http://tools.example/", Credential: &gateway.Credential{Header: "Authorization", Value: "x"}}},
		"a credential of two lines":      {{URL: "https://tools.example/", Credential: &gateway.Credential{Header: "Authorization", Value: "x\r\nHost: y"}}},
		"a credential for a command":     {{Command: []string{"true"}, Credential: &gateway.Credential{Header: "A", Value: "x"}}},
		"an environment for a URL":       {{URL: "http://127.0.0.1:1", Env: []string{"A=b"}}},
		"a path without a slash":         {{URL: "http://127.0.0.1:1", Path: "mcp"}},
		"a command that is not there":    {{Command: []string{"/nowhere/at/all"}}},
		"two upstreams in the same path": {newRemote(t, false).upstream(), newRemote(t, false).upstream()},
	}
	for name, upstreams := range tests {
		t.Run(name, func(t *testing.T) {
			for i := range upstreams {
				upstreams[i].Guard = issuer.Config("http://127.0.0.1:1/mcp", policy, nil)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if g, err := gateway.New(ctx, gateway.Config{Upstreams: upstreams}); err == nil {
				g.Close()
				t.Error("was accepted")
			}
		})
	}
}
