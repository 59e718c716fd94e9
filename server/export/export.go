// Package export writes records of the ledger, and tasks, for tools that keep or search them: CSV, JSON,
// JSON Lines, and OCSF events. Of what a record says it takes the members named here and no other; a value
// of a tool's argument it writes only where it is handed one beside the payload. Who wants to check the
// chain needs the ledger itself.
package export

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Record is a record as the admin API tells it.
type Record struct {
	Seq       int64           `json:"seq"`
	At        time.Time       `json:"at"`
	Kind      string          `json:"kind"`
	Task      string          `json:"task"`
	User      string          `json:"user"`
	Client    string          `json:"client"`
	Agent     string          `json:"agent"`
	Resource  string          `json:"resource"`
	JTI       string          `json:"jti"`
	Execution string          `json:"execution"`
	Request   string          `json:"request"`
	Payload   json.RawMessage `json:"payload"`
	Hash      string          `json:"hash"`

	Values json.RawMessage `json:"-"` // of arguments, for who may read them
}

// Row is what is written of a record.
type Row struct {
	Seq       int64     `json:"seq"`
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`
	Task      string    `json:"task,omitempty"`
	User      string    `json:"user,omitempty"`
	Client    string    `json:"client,omitempty"`
	Agent     string    `json:"agent,omitempty"`
	Resource  string    `json:"resource,omitempty"`
	JTI       string    `json:"jti,omitempty"`
	Execution string    `json:"execution,omitempty"`
	Request   string    `json:"request,omitempty"`
	said
	Values json.RawMessage `json:"values,omitempty"` // of arguments
	Hash   string          `json:"hash"`             // of the chain up to and with this record
}

// said are the members of a payload that are written. None holds a value of an argument.
type said struct {
	Tool            string `json:"tool,omitempty"`
	Method          string `json:"method,omitempty"`
	Decision        string `json:"decision,omitempty"`
	Observed        string `json:"observed,omitempty"`
	Outcome         string `json:"outcome,omitempty"`
	Reason          string `json:"reason,omitempty"`
	Rule            string `json:"rule,omitempty"`
	By              string `json:"by,omitempty"`
	Person          string `json:"person,omitempty"`
	ArgumentsDigest string `json:"arguments_digest,omitempty"`
	DurationUS      int64  `json:"duration_us,omitempty"`
}

// row reads what may be written. A member of another type than it should have is left out alone.
func (rec Record) row() Row {
	r := Row{
		Seq: rec.Seq, At: rec.At.UTC(), Kind: rec.Kind, Task: rec.Task, User: rec.User, Client: rec.Client, Agent: rec.Agent,
		Resource: rec.Resource, JTI: rec.JTI, Execution: rec.Execution, Request: rec.Request, Values: rec.Values, Hash: rec.Hash,
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(rec.Payload, &members) != nil {
		return r // erased
	}
	for name, into := range map[string]any{
		"tool": &r.Tool, "method": &r.Method, "decision": &r.Decision, "observed": &r.Observed, "outcome": &r.Outcome, "reason": &r.Reason, "rule": &r.Rule,
		"by": &r.By, "person": &r.Person, "arguments_digest": &r.ArgumentsDigest, "duration_us": &r.DurationUS,
	} {
		if raw, there := members[name]; there {
			_ = json.Unmarshal(raw, into)
		}
	}
	return r
}

// Writer writes one after the other. What was not closed is not whole.
type Writer[T any] interface {
	Write(one T) error
	Close() error
}

// Formats are what New and NewTasks take.
var Formats = []string{"csv", "json", "jsonl", "ocsf"}

// New writes records to w in this format.
func New(format string, w io.Writer) (Writer[Record], error) { return open(format, w, records) }

// shape is how one kind of thing is written.
type shape[T any] struct {
	columns []string
	cells   func(T) []string
	row     func(T) any
	event   func(T) any
}

var records = shape[Record]{
	columns: []string{
		"seq", "at", "kind", "task", "user", "client", "agent", "resource", "jti", "execution", "request",
		"tool", "method", "decision", "observed", "outcome", "reason", "rule", "by", "person", "arguments_digest", "duration_us", "values", "hash",
	},
	cells: func(rec Record) []string {
		r := rec.row()
		return []string{
			strconv.FormatInt(r.Seq, 10), stamp(r.At), r.Kind, r.Task, r.User, r.Client, r.Agent, r.Resource, r.JTI, r.Execution, r.Request,
			r.Tool, r.Method, r.Decision, r.Observed, r.Outcome, r.Reason, r.Rule, r.By, r.Person, r.ArgumentsDigest, number(r.DurationUS), string(r.Values), r.Hash,
		}
	},
	row:   func(rec Record) any { return rec.row() },
	event: func(rec Record) any { return eventOf(rec.row()) },
}

func open[T any](format string, w io.Writer, s shape[T]) (Writer[T], error) {
	switch format {
	case "csv":
		c := &csvWriter[T]{csv.NewWriter(w), s}
		return c, c.Writer.Write(s.columns)
	case "json":
		return &jsonWriter[T]{w: w, before: "[\n", row: s.row}, nil
	case "jsonl":
		return lineWriter[T]{json.NewEncoder(w), s.row}, nil
	case "ocsf":
		return lineWriter[T]{json.NewEncoder(w), s.event}, nil
	}
	return nil, fmt.Errorf("the format is one of %s", strings.Join(Formats, ", "))
}

type lineWriter[T any] struct {
	lines *json.Encoder
	view  func(T) any
}

func (l lineWriter[T]) Write(one T) error { return l.lines.Encode(l.view(one)) }
func (l lineWriter[T]) Close() error      { return nil }

// jsonWriter writes one array; without Close it is none.
type jsonWriter[T any] struct {
	w      io.Writer
	before string
	row    func(T) any
}

func (j *jsonWriter[T]) Write(one T) error {
	raw, err := json.Marshal(j.row(one))
	if err == nil {
		_, err = io.WriteString(j.w, j.before+string(raw))
	}
	j.before = ",\n"
	return err
}

func (j *jsonWriter[T]) Close() error {
	end := "\n]\n"
	if j.before != ",\n" {
		end = "[]\n"
	}
	_, err := io.WriteString(j.w, end)
	return err
}

type csvWriter[T any] struct {
	*csv.Writer
	shape[T]
}

func (c *csvWriter[T]) Write(one T) error {
	cells := c.cells(one)
	for i, cell := range cells {
		cells[i] = inert(cell)
	}
	return c.Writer.Write(cells)
}

func (c *csvWriter[T]) Close() error {
	c.Flush()
	return c.Error()
}

// stamp and number are cells; nothing is an empty one.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// inert keeps a spreadsheet from taking a cell for a formula, also one that splits lines at semicolons or
// tabs, as it does where a comma stands in numbers: what it then begins a cell with is no formula either.
func inert(cell string) string {
	var b strings.Builder
	begins := true // a cell, for some spreadsheet
	for i, r := range cell {
		if begins && strings.ContainsRune("=+-@", r) || i == 0 && strings.ContainsRune("\t\r\n", r) {
			b.WriteByte('\'')
		}
		begins = strings.ContainsRune(";\t\r\n", r) || begins && r == '"'
		b.WriteRune(r)
	}
	return b.String()
}
