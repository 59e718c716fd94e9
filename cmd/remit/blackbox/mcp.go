package blackbox

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// Tools is a protected MCP server seen from outside, stateless (2026-07-28).
type Tools struct {
	URL string

	mu    sync.Mutex
	nonce string
}

// protocol is the MCP revision that the raw calls speak.
const protocol = "2026-07-28"

// CallBody is the JSON-RPC text of a tools/call.
func CallBody(tool string, arguments Object) string {
	return Object{
		"jsonrpc": "2.0", "id": 1, "method": "tools/call",
		"params": Object{"name": tool, "arguments": arguments, "_meta": Object{
			"io.modelcontextprotocol/protocolVersion":    protocol,
			"io.modelcontextprotocol/clientInfo":         Object{"name": "blackbox", "version": "1"},
			"io.modelcontextprotocol/clientCapabilities": Object{},
		}},
	}.JSON()
}

// ListBody is the JSON-RPC text of a tools/list.
func ListBody() string {
	return Object{
		"jsonrpc": "2.0", "id": 1, "method": "tools/list",
		"params": Object{"_meta": Object{
			"io.modelcontextprotocol/protocolVersion":    protocol,
			"io.modelcontextprotocol/clientInfo":         Object{"name": "blackbox", "version": "1"},
			"io.modelcontextprotocol/clientCapabilities": Object{},
		}},
	}.JSON()
}

// Post sends a JSON-RPC text with the headers that the protocol wants and these besides. method
// and name are what Mcp-Method and Mcp-Name say.
func (t *Tools) Post(ctx context.Context, method, name, body string, headers ...Header) (Response, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return Response{}, err
	}
	all := []Header{
		{"Content-Type", "application/json"},
		{"Accept", "application/json, text/event-stream"},
		{"Mcp-Protocol-Version", protocol},
		{"Mcp-Method", method},
	}
	if name != "" {
		all = append(all, Header{"Mcp-Name", name})
	}
	res, err := Do(ctx, u.Scheme+"://"+u.Host, Request{Method: "POST", Target: u.RequestURI(), Headers: append(all, headers...), Body: []byte(body)})
	if err == nil {
		t.Note(res)
	}
	return res, err
}

// Note remembers the nonce of an answer.
func (t *Tools) Note(res Response) {
	if n := res.Header.Get("DPoP-Nonce"); n != "" {
		t.mu.Lock()
		t.nonce = n
		t.mu.Unlock()
	}
}

// Proof is a good proof for a POST to the server with the newest nonce seen.
func (t *Tools) Proof(k Key, token string) Proof {
	t.mu.Lock()
	defer t.mu.Unlock()
	return NewProof(k, "POST", t.URL, t.nonce, token)
}

// Call calls a tool with token and proof, and once more when the server wants a newer nonce.
func (t *Tools) Call(ctx context.Context, k Key, token, tool string, arguments Object) (Response, error) {
	for try := 0; ; try++ {
		res, err := t.Post(ctx, "tools/call", tool, CallBody(tool, arguments), Header{"Authorization", "DPoP " + token}, DPoP(t.Proof(k, token)))
		if err != nil || try > 0 || res.Status != 401 || !Challenged(res, "use_dpop_nonce") {
			return res, err
		}
	}
}

// Answer is the JSON-RPC answer, unwrapped from an event stream if it came in one.
func Answer(res Response) Object {
	body := res.Body
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			body = data
		}
	}
	var o Object
	if json.Unmarshal(body, &o) != nil {
		return nil
	}
	return o
}

// Denial is the data of a structured denial: reason, code, remediation, tool, task, hint.
func Denial(res Response) Object {
	e, _ := Answer(res)["error"].(map[string]any)
	d, _ := e["data"].(map[string]any)
	return d
}

// Challenge is one challenge of WWW-Authenticate; scheme and parameter names in lower case.
type Challenge struct {
	Scheme string
	Params map[string]string
}

// challengePart finds schemes and parameters: a word, perhaps with a value behind an equals sign.
var challengePart = regexp.MustCompile(`([A-Za-z0-9_\-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?`)

// Challenges reads all challenges of an answer, in order.
func Challenges(res Response) []Challenge {
	var all []Challenge
	for _, line := range res.Header.Values("WWW-Authenticate") {
		for _, m := range challengePart.FindAllStringSubmatch(line, -1) {
			word, quoted, bare := strings.ToLower(m[1]), m[2], m[3]
			switch {
			case !strings.Contains(m[0], "="):
				all = append(all, Challenge{word, map[string]string{}})
			case len(all) > 0:
				all[len(all)-1].Params[word] = quoted + bare
			}
		}
	}
	return all
}

// Challenged reports whether a challenge of the answer says this error.
func Challenged(res Response, code string) bool {
	for _, c := range Challenges(res) {
		if c.Params["error"] == code {
			return true
		}
	}
	return false
}
