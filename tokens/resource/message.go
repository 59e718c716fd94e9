package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/remit-auth/remit/tokens"
	"github.com/remit-auth/remit/tokens/resource/policy"
)

// Methods that the Guard knows. What needs no tool right is open to every valid token; what is not
// here is denied.
const (
	methodCall = "tools/call"
	methodList = "tools/list"
)

var openMethods = map[string]bool{
	"initialize":      true,
	"server/discover": true,
	methodList:        true,
	"ping":            true,
}

const notifications = "notifications/"

// maxToolName is the longest name of a tool (MCP 2026-07-28).
const maxToolName = 128

// message is one JSON-RPC request or notification.
type message struct {
	id        json.RawMessage // nil: a notification
	method    string
	tool      string          // params.name of tools/call
	target    string          // what is read: a resource's URI, or a prompt's name
	read      policy.Kind     // what kind of thing that is; empty: nothing is read
	template  bool            // target is a URI template
	opener    string          // the scope that would let it be read
	arguments json.RawMessage // as sent
	besides   string          // a member of params besides name, arguments and _meta
	trace     string          // params._meta.traceparent
	members   []tokens.Member
	params    []tokens.Member
	canonical []byte // the arguments that were checked
}

var errBatch = errors.New("batches are not accepted; send one message at a time")

// parseMessage reads one message, literally: members have one spelling and occur once, so that the
// tool server cannot read another message than was checked. Headers that repeat the method or the
// name have no say.
func parseMessage(raw []byte) (message, error) {
	var m message
	if head := bytes.TrimLeft(raw, " \t\r\n"); len(head) > 0 && head[0] == '[' {
		return m, errBatch
	}
	var err error
	if m.members, err = tokens.Members(raw); err != nil {
		return m, err
	}
	var version string
	for _, one := range m.members {
		switch one.Name {
		case "jsonrpc":
			version, err = text(one)
		case "id":
			m.id, err = one.Value, checkID(one.Value)
		case "method":
			m.method, err = text(one)
		case "params":
		case "result", "error": // who looks for these first would take it for an answer to a request of theirs
			err = errors.New("a request has no " + one.Name + "; answers are not accepted")
		default:
			err = refuseTwin(one.Name, "jsonrpc", "id", "method", "params", "result", "error")
		}
		if err != nil {
			return m, err
		}
	}
	switch {
	case version != "2.0":
		return m, errors.New("jsonrpc must be 2.0")
	case m.method == "":
		return m, errors.New("the message has no method")
	case readMethods[m.method] != nil:
		return m, m.parseRead()
	case m.method != methodCall:
		return m, nil
	case m.id == nil:
		return m, errors.New("tools/call must have an id")
	}
	return m, m.parseCall()
}

// parseCall reads the params of tools/call.
func (m *message) parseCall() error {
	i := m.find("params")
	if i < 0 {
		return errors.New("tools/call must have params")
	}
	var err error
	if m.params, err = tokens.Members(m.members[i].Value); err != nil {
		return err
	}
	for _, one := range m.params {
		switch one.Name {
		case "name":
			m.tool, err = text(one)
		case "arguments":
			m.arguments = one.Value
		case "_meta":
			m.trace = traceparent(one.Value)
		default:
			err, m.besides = refuseTwin(one.Name, "name", "arguments", "_meta"), one.Name
		}
		if err != nil {
			return err
		}
	}
	if m.tool == "" || len(m.tool) > maxToolName {
		return errors.New("tools/call must name a tool, in at most 128 bytes")
	}
	return nil
}

// along is what comes with a call besides its tool and its arguments, such as answers to what the tool has asked.
func (m *message) along() (all []tokens.Member) {
	if m.besides == "" {
		return nil
	}
	for _, one := range m.params {
		if one.Name != "name" && one.Name != "arguments" && one.Name != "_meta" {
			all = append(all, one)
		}
	}
	return all
}

func (m *message) find(name string) int {
	for i, one := range m.members {
		if one.Name == name {
			return i
		}
	}
	return -1
}

// digest is that of the call's arguments: of those that were checked, else as they were sent; empty where
// they have no canonical form.
func (m *message) digest() string {
	if m.canonical == nil {
		sent, err := tokens.Canonical(m.arguments)
		if err != nil {
			return ""
		}
		return tokens.HashBytes(sent)
	}
	return tokens.HashBytes(m.canonical)
}

// encode writes the message again, with the arguments that were checked in their canonical form.
func (m *message) encode() []byte {
	b := make([]byte, 0, 512)
	return appendObject(b, m.members, "params", func(b []byte) []byte {
		given := false
		for i := range m.params {
			given = given || m.params[i].Name == "arguments"
		}
		if !given {
			m.params = append(m.params, tokens.Member{Name: "arguments"})
		}
		return appendObject(b, m.params, "arguments", func(b []byte) []byte { return append(b, m.canonical...) })
	})
}

// appendObject writes the members, one of them anew.
func appendObject(b []byte, members []tokens.Member, other string, anew func([]byte) []byte) []byte {
	b = append(b, '{')
	for i, one := range members {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, one.Name)
		b = append(b, ':')
		if one.Name == other {
			b = anew(b)
		} else {
			b = append(b, one.Value...)
		}
	}
	return append(b, '}')
}

func text(m tokens.Member) (s string, err error) {
	if len(m.Value) == 0 || m.Value[0] != '"' {
		return "", errors.New(m.Name + " must be a string")
	}
	if bytes.IndexByte(m.Value, '\\') < 0 { // what Members has read is well formed
		return string(m.Value[1 : len(m.Value)-1]), nil
	}
	return s, json.Unmarshal(m.Value, &s)
}

// checkID holds an id to MCP: a string or a number.
func checkID(raw json.RawMessage) error {
	if c := raw[0]; c == '"' || c == '-' || c >= '0' && c <= '9' {
		return nil
	}
	return errors.New("id must be a string or a number")
}

// refuseTwin refuses a name that another decoder, one that folds case, would take for a known one.
func refuseTwin(name string, known ...string) error {
	for _, k := range known {
		if strings.EqualFold(name, k) {
			return errors.New("a member differs from " + k + " by case alone")
		}
	}
	return nil
}

// traceparent finds the caller's trace (SEP-414).
func traceparent(meta []byte) string {
	if !bytes.Contains(meta, []byte("traceparent")) {
		return ""
	}
	members, err := tokens.Members(meta)
	if err != nil {
		return ""
	}
	for _, one := range members {
		if s, err := text(one); err == nil && one.Name == "traceparent" && len(s) <= 64 {
			return s
		}
	}
	return ""
}

// text refuses a body that says that it is packed or in another charset than it is read in: the server
// would read another text than was checked.
func (c *call) text() *refusal {
	plain := !slices.ContainsFunc(c.r.Header.Values("Content-Encoding"), func(s string) bool { return !strings.EqualFold(s, "identity") })
	switch types := c.r.Header.Values("Content-Type"); {
	case len(types) > 1:
		plain = false
	case len(types) == 1 && types[0] != "application/json":
		_, params, err := mime.ParseMediaType(types[0])
		charset, says := params["charset"]
		plain = plain && err == nil && (!says || strings.EqualFold(charset, "utf-8"))
	}
	if !plain {
		return refuse(BadRequest, "the message must be JSON in UTF-8, not packed").status(http.StatusUnsupportedMediaType)
	}
	return nil
}

// message reads the body: from a page of our own or from no page at all, not too long, one message.
func (c *call) message() *refusal {
	if origin := c.r.Header.Get("Origin"); origin != "" && !c.g.origins[origin] {
		return refuse(BadRequest, "requests from this web origin are not accepted").status(http.StatusForbidden)
	}
	if c.r.Method != http.MethodPost {
		return c.stream()
	}
	if f := c.text(); f != nil {
		return f
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, c.g.maxBody))
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return refuse(BadRequest, "the message is too long").status(http.StatusRequestEntityTooLarge)
	} else if err != nil {
		return refuse(BadRequest, "the message could not be read")
	}
	c.body = body
	c.msg, err = parseMessage(body)
	switch {
	case errors.Is(err, errBatch):
		return refuse(BatchRefused, err.Error())
	case err != nil:
		return refuse(BadRequest, "not an acceptable message: "+err.Error())
	case c.msg.method == methodCall, openMethods[c.msg.method], strings.HasPrefix(c.msg.method, notifications) && c.msg.id == nil:
		return nil
	case c.opens():
		return nil
	}
	return refuse(BadRequest, "this method is not open to agents").status(http.StatusForbidden)
}
