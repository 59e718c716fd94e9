package resource_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource"
	"github.com/remit-auth/remit/tokens/resource/resourcetest"
)

// ready waits until the Guard's view is fresh again.
func (w *world) ready() {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.guard.Ready(ctx); err != nil {
		w.Fatal(err)
	}
}

// eventually asks until it holds, for what has no event to wait for.
func (w *world) eventually(what string, holds func() bool) {
	w.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if holds() {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	w.Fatalf("waited in vain for %s", what)
}

// restart closes the Guard and starts it anew on the same state.
func (w *world) restart(adjust ...func(*resource.Config)) {
	w.Helper()
	if err := w.guard.Close(); err != nil {
		w.Fatal(err)
	}
	w.config.EnrolmentCode = ""
	for _, a := range adjust {
		a(&w.config)
	}
	var err error
	if w.guard, err = resource.New(context.Background(), w.config); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { w.guard.Close() })
}

func TestRS12Messages(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	good := string(resourcetest.Call("search_tickets", web))
	tests := map[string]struct {
		body   string
		status int
		code   resource.Code
	}{
		"a batch":                        {"[" + good + "]", 400, resource.BatchRefused},
		"a batch after spaces":           {" \n[" + good + "," + good + "]", 400, resource.BatchRefused},
		"method twice":                   {`{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"search_tickets"}}`, 400, resource.BadRequest},
		"method twice, once escaped":     {`{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"tools/call","params":{"name":"search_tickets"}}`, 400, resource.BadRequest},
		"Method besides method":          {`{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"delete_ticket"}}`, 400, resource.BadRequest},
		"METHOD alone":                   {`{"jsonrpc":"2.0","id":1,"METHOD":"ping"}`, 400, resource.BadRequest},
		"name twice":                     {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search_tickets","name":"delete_ticket"}}`, 400, resource.BadRequest},
		"Name besides name":              {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search_tickets","Name":"delete_ticket"}}`, 400, resource.BadRequest},
		"Arguments besides arguments":    {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search_tickets","arguments":{},"Arguments":{}}}`, 400, resource.BadRequest},
		"params besides a Kelvin sign":   {`{"jsonrpc":"2.0","id":1,"method":"ping","paramſ":{}}`, 400, resource.BadRequest},
		"no JSON":                        {`tools/call`, 400, resource.BadRequest},
		"nothing":                        {``, 400, resource.BadRequest},
		"text behind":                    {good + "{}", 400, resource.BadRequest},
		"not UTF-8":                      {strings.Replace(good, "WEB", "\xff", 1), 400, resource.BadRequest},
		"a lone surrogate":               {strings.Replace(good, "WEB", `\ud800`, 1), 400, resource.BadRequest},
		"too deep":                       {`{"jsonrpc":"2.0","id":1,"method":"ping","params":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, 400, resource.BadRequest},
		"jsonrpc 1.0":                    {strings.Replace(good, `"2.0"`, `"1.0"`, 1), 400, resource.BadRequest},
		"no jsonrpc":                     {`{"id":1,"method":"ping"}`, 400, resource.BadRequest},
		"tools/call as notification":     {`{"jsonrpc":"2.0","method":"tools/call","params":{"name":"search_tickets"}}`, 400, resource.BadRequest},
		"id null":                        {`{"jsonrpc":"2.0","id":null,"method":"ping"}`, 400, resource.BadRequest},
		"id an object":                   {`{"jsonrpc":"2.0","id":{},"method":"ping"}`, 400, resource.BadRequest},
		"no params":                      {`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, 400, resource.BadRequest},
		"no name":                        {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`, 400, resource.BadRequest},
		"a name of 1 MB":                 {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + strings.Repeat("n", 1<<19) + `"}}`, 400, resource.BadRequest},
		"an answer":                      {`{"jsonrpc":"2.0","id":1,"result":{}}`, 400, resource.BadRequest},
		"an unknown method":              {`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///etc/passwd"}}`, 403, resource.BadRequest},
		"a method of another case":       {`{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"search_tickets"}}`, 403, resource.BadRequest},
		"a notification that wants more": {`{"jsonrpc":"2.0","id":1,"method":"notifications/x"}`, 403, resource.BadRequest},
		"too long":                       {good + strings.Repeat(" ", 1<<20), 413, resource.BadRequest},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w.wants(w.send(token, []byte(tt.body)), tt.status, tt.code)
		})
	}
	if w.calls() != 0 {
		t.Errorf("the server ran %d times", w.calls())
	}
	w.good()
}

func TestOpenMethods(t *testing.T) {
	w := newWorld(t)
	token := w.token(resourcetest.Grant{}) // no scope, no role, no tool
	for _, m := range []string{"initialize", "server/discover", "tools/list", "ping"} {
		if a := w.send(token, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":"a","method":%q,"params":{}}`, m)); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", m, a.status, a.body)
		}
	}
	if a := w.send(token, []byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)); a.status != http.StatusOK {
		t.Errorf("a notification: %d %s", a.status, a.body)
	}
	w.wants(w.do(http.DefaultClient, w.request([]byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))), 401, resource.NoToken)
	r, err := http.NewRequest(http.MethodGet, w.uri, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := w.do(token.Client(), r); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
		t.Errorf("GET: %d %v", a.status, a.header)
	}
}

func TestHeadersDecideNothing(t *testing.T) {
	w := newWorld(t)
	r := w.request(resourcetest.Call("delete_ticket", web))
	r.Header.Set("Mcp-Method", "tools/list")
	r.Header.Set("Mcp-Name", "search_tickets")
	w.wants(w.do(w.token(reader()).Client(), r), http.StatusForbidden, resource.NoScope)
}

func TestOrigin(t *testing.T) {
	w := newWorld(t, func(c *resource.Config) { c.Origins = []string{"https://app.example"} })
	for origin, status := range map[string]int{
		"https://app.example": 200, w.server.URL: 200, "": 200,
		"https://evil.example": 403, "null": 403, "https://app.example.evil": 403,
	} {
		r := w.request(resourcetest.Call("search_tickets", web))
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if a := w.do(w.token(reader()).Client(), r); a.status != status {
			t.Errorf("Origin %q: %d, want %d", origin, a.status, status)
		}
	}
}

func TestRS15NoFeed(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	w.good()
	w.issuer.Silence(true)
	w.issuer.Advance(11 * time.Second)
	a := w.call(token, "search_tickets", web)
	w.wants(a, http.StatusServiceUnavailable, resource.StaleView)
	if a.header.Get("Retry-After") == "" || a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("headers %v", a.header)
	}
	w.issuer.Silence(false)
	w.ready()
	w.good()

	w.issuer.Down(true) // the authorization server is away
	w.good()            // cached keys and a fresh view will do
	w.issuer.Advance(11 * time.Second)
	w.wants(w.call(token, "search_tickets", web), http.StatusServiceUnavailable, resource.StaleView)
	w.issuer.Advance(11 * time.Minute) // so old keys are worth nothing
	w.wants(w.call(w.token(reader()), "search_tickets", web), http.StatusServiceUnavailable, resource.StaleView)
	w.issuer.Down(false)
	w.ready()
	w.good()
}

func TestStartWithoutIssuer(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	w.issuer.Down(true)
	w.restart()
	w.wants(w.call(token, "search_tickets", web), http.StatusServiceUnavailable, resource.StaleView)
	w.issuer.Down(false)
	w.ready()
	w.good()
}

func TestEnds(t *testing.T) {
	w := newWorld(t)
	token, other := w.token(reader()), w.token(reader())
	w.issuer.SuspendTask(token.Claims.Task.ID)
	a := w.call(token, "search_tickets", web)
	w.wants(a, http.StatusForbidden, resource.TaskSuspended)
	if a.denial.Error.Data.Remediation != "available" {
		t.Errorf("remediation %q", a.denial.Error.Data.Remediation)
	}
	w.issuer.ResumeTask(token.Claims.Task.ID)
	if a := w.call(token, "search_tickets", web); a.status != http.StatusOK {
		t.Errorf("resumed: %d", a.status)
	}
	w.issuer.RevokeToken(token.Claims.ID)
	w.wants(w.call(token, "search_tickets", web), http.StatusUnauthorized, resource.TokenRevoked)
	w.issuer.EndTask(other.Claims.Task.ID)
	w.wants(w.call(other, "search_tickets", web), http.StatusUnauthorized, resource.TaskEnded)
	w.issuer.ResumeTask(other.Claims.Task.ID) // an end is an end
	w.wants(w.call(other, "search_tickets", web), http.StatusUnauthorized, resource.TaskEnded)

	ending := w.token(resourcetest.Grant{Task: other.Claims.Task.ID, Scopes: []string{"tickets.read"}, Roles: []string{"reader"}})
	w.wants(w.call(ending, "search_tickets", web), http.StatusUnauthorized, resource.TaskEnded)
	var reasons []string
	for _, e := range w.issuer.Executions(w.uri, 7) {
		if e.Kind == "execution.decided" {
			reasons = append(reasons, e.Reason)
		}
	}
	if got := strings.Join(reasons, " "); got != "task_suspended  token_revoked task_ended task_ended task_ended" {
		t.Errorf("the ledger is told %q", got)
	}
	w.good()
}

func TestEndsSurviveARestartOfTheGuard(t *testing.T) {
	w := newWorld(t)
	token := w.token(reader())
	w.issuer.EndTask(token.Claims.Task.ID)
	w.restart()
	w.ready()
	w.wants(w.call(token, "search_tickets", web), http.StatusUnauthorized, resource.TaskEnded)
	w.good()
}

func TestGapInTheFeed(t *testing.T) {
	w := newWorld(t)
	lost, told := w.token(reader()), w.token(reader())
	w.issuer.Lose(1)
	w.issuer.EndTask(lost.Claims.Task.ID) // waits until the Guard, by a new snapshot, knows
	w.wants(w.call(lost, "search_tickets", web), http.StatusUnauthorized, resource.TaskEnded)
	w.issuer.EndTask(told.Claims.Task.ID)
	w.wants(w.call(told, "search_tickets", web), http.StatusUnauthorized, resource.TaskEnded)
	w.good()

	lost, told = w.token(reader()), w.token(reader())
	w.issuer.Lose(1)
	w.issuer.EndTask(lost.Claims.Task.ID, told.Claims.Task.ID) // it is the second event that shows the gap
	for _, token := range []*resourcetest.Token{lost, told} {
		w.wants(w.call(token, "search_tickets", web), http.StatusUnauthorized, resource.TaskEnded)
	}
	w.good()
}

func TestWitness(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(c *resource.Config) { c.Log = logTo(&log) })
	path := filepath.Join(w.config.StateDir, "witness.jsonl")
	lines := func() []string {
		raw, _ := os.ReadFile(path)
		return strings.Fields(string(raw))
	}
	head := func(n int) string { return fmt.Sprintf("%064x", n) }
	w.issuer.SetLedger(5, head(5))
	w.eventually("the first checkpoint", func() bool { return len(lines()) == 1 })
	w.issuer.SetLedger(9, head(9))
	w.eventually("the second checkpoint", func() bool { return len(lines()) == 2 })
	w.issuer.SetLedger(7, head(7)) // it shrank
	w.eventually("the alarm", func() bool { return strings.Contains(w.logged(&log), "rewritten") })
	w.issuer.SetLedger(9, head(8)) // it has another past
	w.issuer.SetLedger(12, head(12))
	w.eventually("the third checkpoint", func() bool { return len(lines()) == 3 })
	var last struct {
		Size       int64  `json:"size"`
		Head       string `json:"head"`
		Checkpoint string `json:"checkpoint"`
	}
	if err := json.Unmarshal([]byte(lines()[2]), &last); err != nil || last.Size != 12 || last.Head != head(12) {
		t.Errorf("kept %+v, %v", last, err)
	}
	if c, err := tokens.NewKeySet(w.issuer.Key()).VerifyCheckpoint(last.Checkpoint); err != nil || c.Size != 12 {
		t.Errorf("the checkpoint kept: %+v, %v", c, err)
	}
	w.restart()
	w.ready()
	w.issuer.SetLedger(12, head(12))
	w.issuer.SetLedger(13, head(13))
	w.eventually("the fourth checkpoint", func() bool { return len(lines()) == 4 })
}

func TestRS18ManyUsers(t *testing.T) {
	w := newWorld(t)
	const users = 1000
	body := func(user string) []byte {
		return resourcetest.Call("search_tickets", map[string]any{"project": user, "limit": 1})
	}
	w.serve = func(rw http.ResponseWriter, r *http.Request) {
		p, _ := resource.PrincipalFrom(r.Context())
		fmt.Fprintf(rw, "%s %s", p.User, p.Task)
	}
	var group sync.WaitGroup
	slots := make(chan struct{}, 64)
	for i := range users {
		grant := reader()
		grant.User = fmt.Sprintf("usr_%d", i)
		token := w.token(grant)
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			client := token.Client()
			for range 2 {
				resp, err := client.Do(w.request(body(grant.User)))
				if err != nil {
					t.Error(err)
					return
				}
				raw, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(raw) != grant.User+" "+token.Claims.Task.ID {
					t.Errorf("%s was served %s", grant.User, raw)
				}
			}
		})
	}
	group.Wait()
	for i, p := range w.ran {
		if !strings.Contains(w.sent[i], `"project":"`+p.User+`"`) {
			t.Fatalf("%s ran %s", p.User, w.sent[i])
		}
	}
	for _, e := range w.issuer.Executions(w.uri, 4*users) {
		if e.Kind == "execution.decided" && e.Decision != "allowed" {
			t.Fatalf("refused: %+v", e)
		}
	}
}

func TestMetadata(t *testing.T) {
	w := newWorld(t, func(c *resource.Config) { c.Name = "Tickets" })
	for _, path := range []string{"", "/mcp", "/mcp/"} {
		r, err := http.NewRequest(http.MethodGet, w.server.URL+"/.well-known/oauth-protected-resource"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		a := w.do(http.DefaultClient, r)
		var m struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
			Scopes   []string `json:"scopes_supported"`
			Name     string   `json:"resource_name"`
			DPoP     bool     `json:"dpop_bound_access_tokens_required"`
		}
		if err := json.Unmarshal([]byte(a.body), &m); err != nil || a.status != http.StatusOK {
			t.Fatalf("%q: %d %v", path, a.status, err)
		}
		if m.Resource != w.uri || len(m.Servers) != 1 || m.Servers[0] != w.issuer.URL() || m.Name != "Tickets" ||
			len(m.Scopes) != 1 || m.Scopes[0] != "tickets.read" || !m.DPoP || a.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%q: %s", path, a.body)
		}
	}
	for path, status := range map[string]int{"/other": 404, "x": 404} {
		r, err := http.NewRequest(http.MethodGet, w.server.URL+"/.well-known/oauth-protected-resource"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a := w.do(http.DefaultClient, r); a.status != status {
			t.Errorf("%q: %d, want %d", path, a.status, status)
		}
	}
}
