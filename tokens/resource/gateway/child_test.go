package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/remit-auth/remit/tokens/resource/gateway"
)

func childUpstream(t testing.TB) gateway.Upstream {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return gateway.Upstream{Command: []string{self}, Env: []string{childMode + "=1", "GREETING=hello"}}
}

func newChildWorld(t testing.TB) *world {
	t.Helper()
	return newWorld(t, map[string]gateway.Upstream{"/mcp": childUpstream(t)})
}

// said is the text of a call's answer.
func said(t testing.TB, raw string) string {
	t.Helper()
	var m struct {
		Result struct{ Content []struct{ Text string } }
	}
	if err := json.Unmarshal([]byte(raw), &m); err != nil || len(m.Result.Content) != 1 {
		t.Fatalf("%v %s", err, raw)
	}
	return m.Result.Content[0].Text
}

func TestChild(t *testing.T) {
	t.Setenv("SECRET_OF_THE_GATEWAY", "1")
	w := newChildWorld(t)
	token := w.token("/mcp", "mara", "echo", "env", "ask")
	session := w.connect("/mcp", token)
	if got := names(t, session); !slices.Equal(got, []string{"ask", "echo", "env"}) {
		t.Errorf("tools/list shows %v", got)
	}
	who := session.InitializeResult()
	if who.ServerInfo.Name != "child" || who.Instructions != "Be kind." {
		t.Errorf("the server is %+v", who)
	}
	if err := session.Ping(t.Context(), nil); err != nil {
		t.Error(err)
	}
	client := token.Client()
	if got := said(t, text(t, w.post("/mcp", client, body("env", map[string]string{})))); got != childMode+"=1\nGREETING=hello" {
		t.Errorf("the child's environment is %q", got)
	}
	if got := said(t, text(t, w.post("/mcp", client, body("ask", map[string]string{})))); !strings.Contains(got, "not available") {
		t.Errorf("the child's question was answered with %q", got)
	}
	tricky := "a\n{\"jsonrpc\":\"2.0\"} \u2028 \\u000a"
	resp := w.post("/mcp", client, "{\n\"jsonrpc\":\"2.0\",\n\"id\":\"x\\n\",\"method\":\"tools/call\",\"params\":{\n\"_meta\":{\n\"a\":\n1},\"name\":\"echo\",\"arguments\":"+string(quote(tricky))+"}}")
	if raw := text(t, resp); said(t, raw) != tricky || !strings.Contains(raw, `"id":"x\n"`) {
		t.Errorf("%d %s", resp.StatusCode, raw)
	}
	if resp := w.post("/mcp", client, body("delete", map[string]string{})); resp.StatusCode != http.StatusForbidden {
		t.Errorf("delete: %d", resp.StatusCode)
	}
	w.log.wait(t, "child started", 1)
}

func quote(text string) []byte {
	raw, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		panic(err) // a text has an encoding
	}
	return raw
}

// TestNobodyGetsAnothersAnswer: 200 callers, all of whose requests have the same id, share one child.
func TestNobodyGetsAnothersAnswer(t *testing.T) {
	w := newChildWorld(t)
	var calling sync.WaitGroup
	for n := range 200 {
		calling.Go(func() {
			client := w.token("/mcp", fmt.Sprintf("user %d", n), "echo").Client()
			for i := range 5 {
				want := fmt.Sprintf("call %d of user %d", i, n)
				call := body("echo", map[string]string{"text": want})
				resp := w.post("/mcp", client, call)
				if resp.StatusCode == http.StatusServiceUnavailable { // so many calls can keep the Guard from hearing the server in time
					if err := w.ready(); err != nil {
						t.Error(err)
					}
					resp = w.post("/mcp", client, call)
				}
				if raw := text(t, resp); resp.StatusCode != http.StatusOK || said(t, raw) != want {
					t.Errorf("%s: %d %s", want, resp.StatusCode, raw)
				}
			}
		})
	}
	calling.Wait()
}

func TestCrashedChildIsStartedAgain(t *testing.T) {
	w := newChildWorld(t)
	client := w.token("/mcp", "mara", "echo", "crash").Client()
	resp := w.post("/mcp", client, body("crash", map[string]string{}))
	raw := text(t, resp)
	if _, reason := rpcOf(raw); resp.StatusCode != http.StatusBadGateway || reason != "upstream_unavailable" {
		t.Errorf("%d %s", resp.StatusCode, raw)
	}
	if got := w.outcome("/mcp", 2); got != "error" {
		t.Errorf("the outcome is %q", got)
	}
	w.log.wait(t, "child crashes", 1)
	w.log.wait(t, "the server runs", 2)
	if got := said(t, text(t, w.post("/mcp", client, body("echo", map[string]string{"text": "again"})))); got != "again" {
		t.Errorf("after the crash: %q", got)
	}
}

func TestChildIsToldThatNobodyWaits(t *testing.T) {
	for name, leave := range map[string]func(*world, context.CancelFunc, string){
		"the agent leaves": func(_ *world, cancel context.CancelFunc, _ string) { cancel() },
		"the task ends":    func(w *world, _ context.CancelFunc, task string) { w.issuer.EndTask(task) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newChildWorld(t)
			token := w.token("/mcp", "mara", "slow", "echo")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			status := make(chan int, 1)
			go func() {
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base+"/mcp", strings.NewReader(body("slow", map[string]string{})))
				if err != nil {
					t.Error(err)
				}
				resp, err := token.Client().Do(r)
				if err != nil {
					status <- 0
					return
				}
				resp.Body.Close()
				status <- resp.StatusCode
			}()
			w.log.wait(t, "slow begins", 1)
			leave(w, cancel, token.Claims.Task.ID)
			w.log.wait(t, "slow was cancelled", 1)
			if got := <-status; got != 0 && got != http.StatusForbidden {
				t.Errorf("status %d", got)
			}
			if got := w.outcome("/mcp", 2); got != "error" {
				t.Errorf("the outcome is %q", got)
			}
		})
	}
}
