package gateway

import (
	"encoding/json"
	"math"
	"net/http"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
)

// Headers that repeat arguments (MCP 2026-07-28, SEP-2243).
const (
	paramPrefix = "Mcp-Param-"
	paramsSince = "2026-07-28"
	maxSafe     = 1<<53 - 1 // the largest integer that every reader takes for the same
)

// binding is an argument that a tool's input schema wants repeated in a header.
type binding struct {
	path   []string
	header string // canonical
}

// schemaProperty is what counts of a property of an input schema.
type schemaProperty struct {
	Header     json.RawMessage           `json:"x-mcp-header"`
	Properties map[string]schemaProperty `json:"properties"`
}

var headerName = regexp.MustCompile(`^[0-9A-Za-z!#$%&'*+.^_|~-]{1,100}$`) // RFC 9110 §5.6.2, without the back quote

// bindingsOf reads the bindings of a tools/list entry.
func bindingsOf(entry json.RawMessage) (tool string, all []binding) {
	var t struct {
		Name        string         `json:"name"`
		InputSchema schemaProperty `json:"inputSchema"`
	}
	if json.Unmarshal(entry, &t) != nil { // the Guard says what is wrong with it
		return "", nil
	}
	return t.Name, collect(nil, nil, t.InputSchema.Properties)
}

func collect(all []binding, path []string, properties map[string]schemaProperty) []binding {
	for name, p := range properties {
		here := append(path[:len(path):len(path)], name)
		var header string
		if json.Unmarshal(p.Header, &header) == nil && headerName.MatchString(header) {
			all = append(all, binding{here, textproto.CanonicalMIMEHeaderKey(paramPrefix + header)})
		}
		if len(here) < 16 {
			all = collect(all, here, p.Properties)
		}
	}
	return all
}

// repeat writes anew the headers that repeat arguments, from those that the Guard checked. One of the
// agent's that says something else is refused; what no schema asks for stays behind.
func repeat(in *message, h http.Header) *failure {
	for _, b := range in.bindings {
		value, there := in.argument(b.path)
		if said := in.header.Values(b.header); len(said) > 0 {
			if text, ok := unwrap(said[0]); len(said) > 1 || !ok || !there || text != value {
				return &failure{status: http.StatusBadRequest, rpc: rpcError{Code: rpcHeader, Message: b.header + " does not say what the message says"}}
			}
		}
		if there && h.Get(versionHeader) >= paramsSince {
			h.Set(b.header, wrap(value))
		}
	}
	return nil
}

// argument returns an argument as a header writes it: texts, integers and truth values alone.
func (m *message) argument(path []string) (string, bool) {
	at := m.arguments
	for _, name := range path {
		var members map[string]json.RawMessage
		if json.Unmarshal(at, &members) != nil {
			return "", false
		}
		var there bool
		if at, there = members[name]; !there {
			return "", false
		}
	}
	var value any
	if json.Unmarshal(at, &value) != nil {
		return "", false
	}
	switch v := value.(type) {
	case string:
		return strings.ToValidUTF8(v, "?"), true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), v == math.Trunc(v) && math.Abs(v) <= maxSafe
	}
	return "", false
}
