package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/agent"
	"github.com/remit-auth/remit/tokens/resource"
)

// purpose is the task in the agent's words, as the consent page quotes them.
const purpose = "Triage this week's open bugs in project WEB"

// askFor is what the agent asks for: all five tools, in one project, for half an hour.
func askFor(resource string) agent.Ask {
	web := tokens.Constraints{"project": {{Const: json.RawMessage(`"WEB"`)}}}
	d := tokens.Details{Task: &tokens.TaskDetail{Purpose: purpose, MaxDuration: 1800}}
	for _, name := range []string{"search_tickets", "get_ticket", "add_comment", "email_customer", "delete_ticket"} {
		d.Tools = append(d.Tools, tokens.ToolDetail{Locations: []string{resource}, Tool: name, Constraints: web})
	}
	return agent.Ask{Details: d}
}

// assistant is the demo's agent: a program of its own but for the process. It has a key, a loopback
// listener for the browser to come back to, and the MCP SDK's client.
type assistant struct {
	key      tokens.ProofKey
	callback *callback
	client   *agent.Client
	session  *agent.Session
	tools    *mcp.ClientSession
	seen     *lastAnswer
}

func newAssistant() (*assistant, error) {
	key, err := tokens.NewProofKey()
	if err != nil {
		return nil, err
	}
	back, err := listenCallback()
	if err != nil {
		return nil, err
	}
	return &assistant{key: key, callback: back, seen: &lastAnswer{}}, nil
}

func (a *assistant) close() {
	if a.tools != nil {
		a.tools.Close()
	}
	a.callback.close()
}

// discover finds the authorization server of the MCP server.
func (a *assistant) discover(ctx context.Context, clientID, mcpURL string) (agent.Discovery, error) {
	found, err := agent.Discover(ctx, nil, mcpURL)
	if err != nil {
		return found, err
	}
	a.client, err = agent.NewClient(agent.Config{
		ClientID: clientID, RedirectURI: a.callback.uri(), Server: found.Server, Resource: found.Resource, Key: a.key,
	})
	return found, err
}

// accept turns the browser's answer into a session with the MCP server.
func (a *assistant) accept(ctx context.Context, r agent.Request, code, mcpURL string) error {
	token, err := a.client.Redeem(ctx, r, code)
	if err != nil {
		return err
	}
	a.session = a.client.Session(token)
	web := &http.Client{Transport: &agent.Transport{Session: a.session, Base: a.seen}}
	client := mcp.NewClient(&mcp.Implementation{Name: "demo-agent", Title: "Demo Agent", Version: "1"}, nil)
	a.tools, err = client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: mcpURL, HTTPClient: web, DisableStandaloneSSE: true, MaxRetries: -1}, nil)
	return err
}

// outcome is how a call went.
type outcome struct {
	Allowed bool
	Result  json.RawMessage // structured content of an allowed call
	Failed  string          // the tool's own error
	Status  int             // HTTP status of a refusal
	Error   string          // error of its challenge
	Code    string          // code of its structured denial
	Message string          // the denial in words
}

// call calls a tool through the SDK.
func (a *assistant) call(ctx context.Context, tool string, arguments map[string]any) (outcome, error) {
	res, err := a.tools.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err == nil {
		o := outcome{Allowed: true, Status: http.StatusOK}
		if res.IsError {
			o.Failed = contentText(res)
		}
		if o.Result, err = json.Marshal(res.StructuredContent); err != nil {
			return o, err
		}
		return o, nil
	}
	if o, ok := a.seen.refusal(); ok {
		return o, nil
	}
	var cut resource.CutOff // of a call that had begun
	if e, ok := errors.AsType[*jsonrpc.Error](err); ok && json.Unmarshal(e.Data, &cut) == nil && cut.Code != "" {
		return outcome{Status: http.StatusOK, Code: string(cut.Code), Message: e.Message}, nil
	}
	return outcome{}, fmt.Errorf("call %s: %w", tool, err)
}

func contentText(res *mcp.CallToolResult) string {
	for _, c := range res.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			return t.Text
		}
	}
	return "the tool failed"
}

// lastAnswer is a transport that remembers how the last request was refused: the SDK keeps status
// and challenge to itself, and the denial too when it does not repeat the message's id.
type lastAnswer struct {
	mu      sync.Mutex
	refused *outcome // nil: the last request was answered otherwise
}

func (l *lastAnswer) set(o *outcome) {
	l.mu.Lock()
	l.refused = o
	l.mu.Unlock()
}

func (l *lastAnswer) refusal() (outcome, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused == nil {
		return outcome{}, false
	}
	return *l.refused, true
}

// RoundTrip sends the request.
func (l *lastAnswer) RoundTrip(r *http.Request) (*http.Response, error) {
	l.set(nil)
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || res.StatusCode < http.StatusBadRequest {
		return res, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	l.set(readRefusal(res, body))
	return res, nil
}

// readRefusal reads the first error of the challenges, and the structured denial.
func readRefusal(res *http.Response, body []byte) *outcome {
	o := &outcome{Status: res.StatusCode}
	for _, c := range agent.ParseChallenges(res.Header.Values("WWW-Authenticate")) {
		if o.Error == "" {
			o.Error = c.Params["error"]
		}
	}
	var denied struct {
		Error struct {
			Message string
			Data    struct{ Code string }
		}
	}
	if json.Unmarshal(body, &denied) == nil {
		o.Code, o.Message = denied.Error.Data.Code, denied.Error.Message
	}
	return o
}

// callback is the loopback listener that the browser comes back to (RFC 8252 §7.3).
type callback struct {
	listener net.Listener
	server   *http.Server
	answers  chan url.Values
}

func listenCallback() (*callback, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("callback: %w", err)
	}
	c := &callback{listener: l, answers: make(chan url.Values, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", c.receive)
	c.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go c.server.Serve(l)
	return c, nil
}

// registered is the redirect URI that the client registers: on loopback any port will do.
const registered = "http://127.0.0.1/callback"

func (c *callback) uri() string { return "http://" + c.listener.Addr().String() + "/callback" }

func (c *callback) receive(w http.ResponseWriter, r *http.Request) {
	select {
	case c.answers <- r.URL.Query():
	default: // the first answer counts
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprintln(w, "The agent has your answer. You can close this window and go back to the terminal.")
}

// wait returns the code once the browser has come back with an answer to this request; others are
// ignored, for anybody on this machine can knock.
func (a *assistant) wait(ctx context.Context, r agent.Request) (string, error) {
	timeout := time.NewTimer(time.Until(r.Expires))
	defer timeout.Stop()
	for {
		select {
		case got := <-a.callback.answers:
			code, err := a.client.Callback(r, got)
			if _, told := errors.AsType[*agent.Error](err); err == nil || told {
				return code, err
			}
		case <-timeout.C:
			return "", errUndecided
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// errUndecided says that nobody answered while the request lived.
var errUndecided = errors.New("nobody decided while the request was open")

func (c *callback) close() { c.server.Close() }
