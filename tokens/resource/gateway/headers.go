package gateway

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
)

const (
	sessionHeader = "Mcp-Session-Id"
	versionHeader = "Mcp-Protocol-Version"
	methodHeader  = "Mcp-Method"
	nameHeader    = "Mcp-Name"
)

// carried are the only headers of an agent that go on as they came, if they look like this. All
// else stays behind: credentials, cookies, what says where a request came from, and what describes
// one connection only.
var carried = map[string]*regexp.Regexp{
	versionHeader: regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`),
	"Traceparent": regexp.MustCompile(`^[0-9a-f-]{1,64}$`),
	"Tracestate":  regexp.MustCompile(`^[ -~]{1,512}$`),
}

// baseHeader is what every request to a server carries.
func baseHeader() http.Header {
	return http.Header{
		"Content-Type":    {"application/json"},
		"Accept":          {"application/json, text/event-stream"},
		"Accept-Encoding": {"identity"}, // so that nothing waits for a compressor
		"User-Agent":      {"remit-gateway"},
	}
}

// carry returns the headers that go to the server with an agent's message. Those that repeat what
// stands in the body must agree with it (MCP 2026-07-28), and are written anew from what the Guard
// checked: nothing behind us should route by another word than was judged.
func carry(in *message) (http.Header, *failure) {
	h := baseHeader()
	for name, looks := range carried {
		if v := in.header.Values(name); len(v) == 1 && looks.MatchString(v[0]) {
			h.Set(name, v[0])
		}
	}
	for name, body := range map[string]string{methodHeader: in.Method, nameHeader: in.name} {
		values := in.header.Values(name)
		if len(values) == 0 {
			continue
		}
		if said, ok := unwrap(values[0]); len(values) > 1 || !ok || said != body {
			return nil, &failure{status: http.StatusBadRequest, rpc: rpcError{Code: rpcHeader, Message: name + " does not say what the message says"}}
		}
		if body != "" {
			h.Set(name, wrap(body))
		}
	}
	return h, repeat(in, h)
}

// The form of header values that are not plain (MCP 2026-07-28).
const wrapPrefix, wrapSuffix = "=?base64?", "?="

func unwrap(s string) (string, bool) {
	inner, wrapped := strings.CutPrefix(s, wrapPrefix)
	if !wrapped {
		return s, true
	}
	inner, wrapped = strings.CutSuffix(inner, wrapSuffix)
	raw, err := base64.StdEncoding.DecodeString(inner)
	return string(raw), wrapped && err == nil
}

var plainValue = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?$`)

func wrap(s string) string {
	if plainValue.MatchString(s) && !strings.HasPrefix(s, wrapPrefix) {
		return s
	}
	return wrapPrefix + base64.StdEncoding.EncodeToString([]byte(s)) + wrapSuffix
}
