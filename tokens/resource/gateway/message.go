package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/remit-auth/remit/tokens/resource"
)

// Methods that the gateway knows.
const (
	methodInitialize  = "initialize"
	methodInitialized = "notifications/initialized"
	methodDiscover    = "server/discover"
	methodPing        = "ping"
	methodList        = "tools/list"
	methodCall        = "tools/call"
	methodCancelled   = "notifications/cancelled"
	methodListChanged = "notifications/tools/list_changed"
)

// Error codes of JSON-RPC, and of a denial as the Guard writes it.
const (
	rpcNotFound = -32601
	rpcInternal = -32603
	rpcDenied   = -32001
	rpcHeader   = -32020 // a header says something else than the body (MCP 2026-07-28)
)

// maxMessage is the longest message of a server.
const maxMessage = 16 << 20

// wire is any JSON-RPC message.
type wire struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// has tells a member that is there from one that is not, or null.
func has(raw json.RawMessage) bool { return len(raw) > 0 && !bytes.Equal(raw, []byte("null")) }

// message is what an agent sent and the Guard let through.
type message struct {
	wire
	body      []byte // as the Guard checked it
	tool      string
	name      string // of the tool, or of what is read
	arguments json.RawMessage
	bindings  []binding // of the tool
	permit    *resource.Permit
	header    http.Header
}

func readMessage(r *http.Request, permit *resource.Permit) (*message, error) {
	m := &message{permit: permit, header: r.Header}
	var err error
	if m.body, err = io.ReadAll(r.Body); err != nil { // the Guard has bounded it
		return nil, err
	}
	if err := json.Unmarshal(m.body, &m.wire); err != nil {
		return nil, err
	}
	if m.Method != permit.Method() {
		return nil, fmt.Errorf("gateway: the permit is for %s, the message for %s", permit.Method(), m.Method)
	}
	if m.Method == methodCall {
		var params struct {
			Name      string
			Arguments json.RawMessage
		}
		if err := json.Unmarshal(m.Params, &params); err != nil {
			return nil, err
		}
		m.tool, m.arguments = params.Name, params.Arguments
	}
	m.name = m.tool
	if m.Method == "resources/read" || m.Method == "prompts/get" { // what Mcp-Name repeats
		m.name = permit.Target()
	}
	return m, nil
}

func (m *message) notification() bool { return !has(m.ID) }

var errAnswer = errors.New("gateway: the server's answer is no JSON-RPC message")

// readWire reads one message of a server; arrays are none.
func readWire(raw []byte) (w wire, err error) {
	if err := json.Unmarshal(raw, &w); err != nil {
		return w, fmt.Errorf("%w: %w", errAnswer, err)
	}
	if w.Version != "2.0" || w.Method == "" && has(w.Result) == has(w.Error) {
		return w, errAnswer
	}
	return w, nil
}

// encode writes a message on one line, with the texts of its members as they are.
func (w wire) encode() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(`{"jsonrpc":"2.0"`)
	method, err := json.Marshal(w.Method)
	if err != nil {
		return nil, err
	}
	if w.Method == "" {
		method = nil
	}
	for _, one := range []struct {
		name  string
		value json.RawMessage
	}{{"id", w.ID}, {"method", method}, {"params", w.Params}, {"result", w.Result}, {"error", w.Error}} {
		if len(one.value) == 0 {
			continue
		}
		b.WriteString(`,"` + one.name + `":`)
		if err := json.Compact(&b, one.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// sameID compares ids by value: a server may write 1 as 1.0.
func sameID(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// rpcError is an error of JSON-RPC.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

func (e rpcError) to(id json.RawMessage) []byte {
	if len(id) == 0 {
		id = json.RawMessage("null")
	}
	raw, err := json.Marshal(e)
	if err == nil {
		raw, err = wire{ID: id, Error: raw}.encode()
	}
	if err != nil { // an id that is no JSON never gets here
		return []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}`)
	}
	return raw
}

// forAgent says which notifications of a server an agent may see: those about its own request.
func forAgent(method string) bool {
	return method == "notifications/progress" || method == "notifications/message"
}

// refusal answers a request that a server makes. Agents cannot be asked anything through a gateway.
func refusal(w wire) ([]byte, error) {
	if w.Method == methodPing {
		return wire{ID: w.ID, Result: json.RawMessage("{}")}.encode()
	}
	return rpcError{Code: rpcNotFound, Message: "this method is not available through the gateway"}.to(w.ID), nil
}

// narrow leaves of a server's introduction what agents can use.
func narrow(result json.RawMessage, p *resource.Permit, streams bool) (json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(result, &members); err != nil {
		return nil, err
	}
	if raw, says := members["capabilities"]; says {
		members["capabilities"] = usable(raw, p, streams)
	}
	return json.Marshal(members)
}

// announces reports whether a server says that it tells when its tools change.
func announces(capabilities json.RawMessage) bool {
	var c struct {
		Tools struct {
			ListChanged bool `json:"listChanged"`
		} `json:"tools"`
	}
	return json.Unmarshal(capabilities, &c) == nil && c.Tools.ListChanged
}

// succeeded reads of a call's answer whether the tool did what it was asked to.
func succeeded(w wire) bool {
	var result struct{ IsError bool }
	return !has(w.Error) && json.Unmarshal(w.Result, &result) == nil && !result.IsError
}

func quote(s string) json.RawMessage {
	raw, _ := json.Marshal(strings.ToValidUTF8(s, "?")) // a string always has an encoding
	return raw
}
